//! The JSON Schema of all messages, as it is committed in `docs/protocol`, and whether the golden
//! files keep to it.

mod check;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::{Command, Event};
use check::check;

const RENEW: &str = "CORECAST_RENEW=1 cargo test -p corecast-feed --lib schema";

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let stale = Vec::from_iter(schemas().into_iter().filter_map(|(name, schema)| {
        let path = root().join("../../docs/protocol").join(name);
        let committed = fs::read_to_string(&path).ok();
        // Compared as values: the order of the members is not the schema's.
        if committed.and_then(|text| serde_json::from_str(&text).ok()) == Some(schema.clone()) {
            return None;
        }
        if env::var_os("CORECAST_RENEW").is_some() {
            let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
            fs::write(&path, text).expect("docs/protocol can be written");
            return None;
        }
        Some(name)
    }));
    assert!(stale.is_empty(), "{stale:?} in docs/protocol are out of date; to renew: {RENEW}");
}

#[test]
fn golden_messages_keep_to_the_schema() {
    for (folder, schema) in goldens() {
        let mut seen = BTreeSet::new();
        for (name, message) in messages(folder) {
            let found = check(&schema, &schema, &message, &mut seen);
            assert_eq!(found, Ok(()), "{folder}/{name}");
        }
        let unseen = Vec::from_iter(places(&schema).difference(&seen).cloned());
        assert!(unseen.is_empty(), "no golden file in {folder} has {unseen:?}");
    }
}

#[test]
fn a_message_without_one_of_its_required_fields_does_not_keep_to_the_schema() {
    let mut refused = 0;
    for (folder, schema) in goldens() {
        for (name, message) in messages(folder) {
            let kind = message["type"].as_str().expect("a type");
            let reads = |text: &str| match folder {
                "commands" => crate::parse_command(text, &Default::default()).is_ok(),
                _ => Event::parse(text).is_ok(),
            };
            for field in message.as_object().expect("an object").keys() {
                let mut less = message.clone();
                less.as_object_mut().expect("an object").remove(field);
                let keeps = check(&schema, &schema, &less, &mut BTreeSet::new()).is_ok();
                assert!(
                    keeps == reads(&less.to_string()),
                    "{folder}/{name}, a {kind} without {field}: by the schema {keeps}"
                );
                refused += usize::from(!keeps);
            }
        }
    }
    assert!(refused > 50, "only {refused} were refused");
}

fn goldens() -> [(&'static str, Value); 2] {
    let [(_, commands), (_, events)] = schemas();
    [("commands", commands), ("events", events)]
}

fn schemas() -> [(&'static str, Value); 2] {
    [
        (
            "commands.schema.json",
            schema::<Command<'_>>("Commands of corecast.v1: what a client sends"),
        ),
        ("events.schema.json", schema::<Event<'_>>("Events of corecast.v1: what the server sends")),
    ]
}

fn schema<T: JsonSchema>(title: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    schema["title"] = json!(title);
    tidy(&mut schema);
    schema
}

/// Takes out `null` (an absent field is absent) and Rust's own names of number formats.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            // Unknown fields are ignored everywhere.
            if object.get("additionalProperties") == Some(&Value::Bool(false)) {
                object.remove("additionalProperties");
            }
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|one| one != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(any)) = object.get_mut("anyOf") {
                any.retain(|one| *one != json!({ "type": "null" }));
                if let [Value::Object(one)] = any.as_slice() {
                    let one = one.clone();
                    object.remove("anyOf");
                    object.extend(one);
                }
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(array) => array.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Every property of the schema, as `Definition.property`.
fn places(schema: &Value) -> BTreeSet<String> {
    let definitions = schema["$defs"].as_object().expect("definitions");
    let places = definitions.iter().flat_map(|(name, definition)| {
        let properties = definition["properties"].as_object().into_iter().flatten();
        properties.map(move |(property, _)| format!("{name}.{property}"))
    });
    places.collect()
}

fn messages(folder: &str) -> Vec<(String, Value)> {
    let folder = root().join("golden/json").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let read = |path: &Path| {
        let text = fs::read_to_string(path).expect("a golden file");
        serde_json::from_str(&text).expect("a golden file is JSON")
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.display().to_string(), read(&path))).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
