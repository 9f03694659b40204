//! What `docs/protocol` promises: its examples are messages, its tables are those of the code.

use std::collections::BTreeSet;
use std::fs;

use corecast_feed::limits::Limits;
use corecast_feed::value::Delivery;
use corecast_feed::{CloseCode, ErrorCode, Event, Subprotocol, parse_command};

#[test]
fn every_example_is_a_message_as_it_is_sent() {
    let page = page("README.md");
    let (mut kinds, mut in_example) = (BTreeSet::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            in_example = line == "```json";
        } else if in_example {
            let (kind, written) = match line.split_once(' ') {
                Some((">", text)) => {
                    let command = parse_command(text, &Limits::default());
                    let command = command.unwrap_or_else(|error| panic!("{error}: {text}"));
                    (command.name().to_owned(), command.to_json())
                }
                Some(("<", text)) => {
                    let event = Event::parse(text);
                    let event = event.unwrap_or_else(|error| panic!("{error}: {text}"));
                    (kind(text), event.to_json())
                }
                _ => panic!("neither > nor <: {line}"),
            };
            assert_eq!(written, line[2..]);
            kinds.insert(kind);
        }
    }
    let missing = Vec::from_iter(names().filter(|name| !kinds.contains(name)));
    assert!(missing.is_empty(), "no example of {missing:?}");
}

#[test]
fn every_command_event_and_policy_is_named() {
    let page = page("README.md");
    for name in names() {
        assert!(page.contains(&format!("`{name}`")), "{name} is missing");
    }
    for delivery in Delivery::ALL {
        assert!(page.contains(&format!("| `{delivery}` |")), "{delivery} is missing");
    }
    for subprotocol in Subprotocol::ALL {
        assert!(page.contains(&format!("`{}`", subprotocol.name())));
    }
}

#[test]
fn the_tables_of_codes_are_those_of_the_code() {
    let page = page("codes.md");
    let (errors, closes) = page.split_once("## Closes").expect("two tables");
    let code = ErrorCode::ALL.map(|code| {
        let retry = if code.retry() { "yes" } else { "no" };
        [code.to_string(), code.name().to_owned(), retry.to_owned()]
    });
    assert_eq!(rows(errors), code);
    let code = CloseCode::ALL.map(|code| {
        [code.code().to_string(), format!("{code:?}"), code.reconnect().name().to_owned()]
    });
    assert_eq!(rows(closes), code);
}

/// The first three cells of each row that begins with a number.
fn rows(page: &str) -> Vec<[String; 3]> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ").map(str::to_owned);
        let row = [cells.next()?, cells.next()?, cells.next()?];
        row[0].parse::<u16>().ok().map(|_| row)
    });
    rows.collect()
}

/// The `type` of every command and event.
fn names() -> impl Iterator<Item = String> {
    ["commands.schema.json", "events.schema.json"].into_iter().flat_map(|schema| {
        let schema: serde_json::Value = serde_json::from_str(&page(schema)).expect("JSON");
        let kinds = schema["oneOf"].as_array().expect("one of the messages");
        assert!(kinds.len() >= 8);
        let name = |kind: &serde_json::Value| kind["properties"]["type"]["const"].clone();
        let names = kinds.iter().map(|kind| name(kind).as_str().expect("a type").to_owned());
        Vec::from_iter(names)
    })
}

fn kind(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).expect("JSON");
    event["type"].as_str().expect("a type").to_owned()
}

fn page(name: &str) -> String {
    let path = format!("{}/../../docs/protocol/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
