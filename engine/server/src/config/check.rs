//! Looks at every key where it stands, so that all that is wrong is told at once.

use super::problem::Problem;
use super::tree::{Content, Node, join};
use super::{bounds, keys, make};
use toml::Value;

/// Unknown keys, wrong types, values out of bounds, required keys that are missing.
pub(super) fn check(root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    visit(root, "", &mut problems);
    problems
}

fn visit(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    let known = keys::find(path);
    let is_list = known.is_some_and(keys::Key::is_list);
    match &node.content {
        Content::Table(table) if path.is_empty() || keys::is_table(path) && !is_list => {
            for (name, node) in table {
                visit(node, &join(path, name), problems);
            }
            for name in missing(path, |name| table.contains_key(name)) {
                let message = format!("`{name}` is missing");
                problems.push(Problem::new(&node.origin, path, message));
            }
        }
        Content::List(items) if is_list => {
            for (index, item) in items.iter().enumerate() {
                visit(item, &format!("{path}[{index}]"), problems);
            }
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            problems
                .extend(out_of_bounds(path, length).map(|it| Problem::new(&node.origin, path, it)));
        }
        content => {
            let found = content.value();
            let message = match known {
                Some(key) => value_problem(key, path, &found),
                None if keys::is_table(path) => {
                    Some(format!("expected a table, found {}", kind(&found)))
                }
                None => Some(unknown(path)),
            };
            problems.extend(message.map(|message| Problem::new(&node.origin, path, message)));
        }
    }
}

/// Names of the keys that an element must have and has not.
fn missing(path: &str, has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let element = format!("{}.", keys::without_indices(path));
    let required = super::reference::REFERENCE.iter().filter(|key| key.is_required);
    let names = required.filter_map(|key| key.path.strip_prefix(&element));
    // Those of a list within it are its elements' own.
    names.filter(|name| !name.contains('.') && !has(name)).collect()
}

fn unknown(path: &str) -> String {
    match keys::nearest(path) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => "unknown key; `corecast config --docs` tells all".to_owned(),
    }
}

/// What is wrong with a value, if anything.
pub(super) fn value_problem(key: &keys::Key, path: &str, value: &Value) -> Option<String> {
    let default = key.default_value();
    if kind(default) != kind(value) {
        let expected = if key.is_list() { "a list of tables" } else { kind(default) };
        return Some(format!("expected {expected}, found {}", kind(value)));
    }
    if let Value::Integer(number) = value
        && let Some(message) = out_of_bounds(path, *number)
    {
        return Some(message);
    }
    if let Value::Array(items) = value {
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if key.is_list() && length > 0 {
            return Some("expected a list of tables".to_owned());
        }
        if let Some(message) = out_of_bounds(path, length) {
            return Some(format!("the list's length {message}"));
        }
    }
    let refused = make::alone(path, value).err()?;
    match (value, key.choices) {
        (Value::String(text), choices) if !choices.is_empty() => {
            Some(format!("{text:?} is none of {}", choices.join(", ")))
        }
        _ => Some(refused),
    }
}

fn out_of_bounds(path: &str, number: i64) -> Option<String> {
    let range = bounds::find(&keys::without_indices(path))?;
    let message = || format!("{number} is out of bounds; it may be {range}");
    (!range.contains(number)).then(message)
}

/// The type of a value, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
