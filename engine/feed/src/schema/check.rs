//! As much of JSON Schema as these schemas use; a keyword that is not known here is an error.

use std::collections::BTreeSet;

use serde_json::Value;

/// Whether `value` keeps to `schema`, a part of `root`. Notes in `seen` each property of a
/// definition that the value has.
pub(super) fn check(
    root: &Value,
    schema: &Value,
    value: &Value,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    check_named(root, schema, "", value, seen)
}

fn check_named(
    root: &Value,
    schema: &Value,
    definition: &str,
    value: &Value,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else {
        return if *schema == true { Ok(()) } else { Err(format!("nothing keeps to {schema}")) };
    };
    for (keyword, rule) in keywords {
        let keeps = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" => true,
            "$ref" => {
                let name = rule.as_str().and_then(|path| path.strip_prefix("#/$defs/"));
                let name = name.ok_or_else(|| format!("a reference to {rule}"))?;
                check_named(root, &root["$defs"][name], name, value, seen)?;
                true
            }
            "type" => is_type(rule, value),
            "const" => rule == value,
            "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
            "pattern" => matches_pattern(rule, value),
            "minimum" => number(value) >= number(rule),
            "maximum" => number(value) <= number(rule),
            "exclusiveMinimum" => number(value) > number(rule),
            "minItems" => count(value) >= number(rule),
            "maxItems" => count(value) <= number(rule),
            "required" => names(rule).all(|name| value.get(name).is_some()),
            "oneOf" | "anyOf" => {
                one_of(root, rule, value, seen)?;
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check_named(root, rule, "", item, seen)?;
                }
                true
            }
            "properties" => {
                properties(root, rule, definition, value, seen)?;
                true
            }
            // Only maps have a schema here, and they have no `properties`.
            "additionalProperties" => {
                for (name, item) in value.as_object().into_iter().flatten() {
                    check_named(root, rule, "", item, seen)
                        .map_err(|error| format!("{name}: {error}"))?;
                }
                true
            }
            _ => return Err(format!("the keyword {keyword} is not known here")),
        };
        if !keeps {
            return Err(format!("{value} does not keep to {keyword} {rule}"));
        }
    }
    Ok(())
}

fn properties(
    root: &Value,
    rules: &Value,
    definition: &str,
    value: &Value,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    for (name, rule) in rules.as_object().into_iter().flatten() {
        if let Some(item) = value.get(name) {
            seen.insert(format!("{definition}.{name}"));
            check_named(root, rule, "", item, seen).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

/// Exactly one of the rules; what the others noted does not count.
fn one_of(
    root: &Value,
    rules: &Value,
    value: &Value,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    let mut errors = Vec::new();
    let mut matches = 0;
    for rule in rules.as_array().into_iter().flatten() {
        let mut noted = seen.clone();
        match check_named(root, rule, "", value, &mut noted) {
            Ok(()) => {
                matches += 1;
                *seen = noted;
            }
            Err(error) => errors.push(error),
        }
    }
    if matches == 1 { Ok(()) } else { Err(format!("{matches} of the rules fit: {errors:?}")) }
}

fn is_type(rule: &Value, value: &Value) -> bool {
    let mut types = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice).iter();
    types.any(|one| match one.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => false,
    })
}

/// The one pattern of these schemas: a time.
fn matches_pattern(rule: &Value, value: &Value) -> bool {
    assert_eq!(rule, "^-?[0-9]{1,19}$", "a pattern that is not known here");
    let digits = value.as_str().map(|text| text.strip_prefix('-').unwrap_or(text));
    digits.is_some_and(|digits| {
        (1..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn names(rule: &Value) -> impl Iterator<Item = &str> {
    rule.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn count(value: &Value) -> f64 {
    value.as_array().map_or(f64::NAN, |array| array.len() as f64)
}
