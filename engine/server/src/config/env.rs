//! The environment laid over the file: `CORECAST_OUTBOX__BYTES_MAX=1048576`.

use super::keys::{self, Key};
use super::problem::{Origin, Problem};
use super::reference::REFERENCE;
use super::tree::{Content, Node};
use std::collections::BTreeMap;
use std::ffi::OsString;
use toml::Value;

/// What all variables of the program begin with.
pub(crate) const PREFIX: &str = "CORECAST_";

/// The variables that may be meant for the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
    /// Those that options read; they are none of the keys'.
    options: Vec<String>,
}

impl Environment {
    /// The process's own.
    pub(crate) fn of_process(options: Vec<String>) -> Self {
        Self::new(std::env::vars_os(), options)
    }

    /// These.
    pub(crate) fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        options: Vec<String>,
    ) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        };
        Self { variables: variables.into_iter().filter_map(text).collect(), options }
    }

    /// Lays the variables over `root`: problems, and warnings about variables that are no keys but
    /// look like some.
    pub(super) fn overlay(&self, root: &mut Node) -> (Vec<Problem>, Vec<String>) {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let variables = self.variables.iter().filter(|(name, _)| !self.options.contains(name));
        for (name, text) in variables {
            let Some((key, path)) = key_of(name) else {
                warnings.extend(warning(name));
                continue;
            };
            let origin = Origin::Variable(name.clone());
            let place = read(key, text, &origin).and_then(|node| put(root, &path, node, &origin));
            problems.extend(place.err().map(|message| Problem::new(&origin, &path, message)));
        }
        (problems, warnings)
    }
}

/// The variable of a key: `CORECAST_FEED__PATH`; in lists `CORECAST_NAMESPACES__0__POLICY`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace("[]", "__0").replace('.', "__").to_uppercase())
}

/// The key that a variable names, and its path with indices.
fn key_of(name: &str) -> Option<(&'static Key, String)> {
    let mut path = String::new();
    for segment in name.strip_prefix(PREFIX)?.split("__") {
        if segment != segment.to_uppercase() {
            return None;
        }
        let is_index = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        path = match is_index {
            true => format!("{path}[{segment}]"),
            false => super::tree::join(&path, &segment.to_lowercase()),
        };
    }
    keys::find(&path).map(|key| (key, path))
}

/// What to say about a variable that is no key: nothing where it looks like none either.
fn warning(name: &str) -> Option<String> {
    let plain = |text: &str| text.replace("__", "_");
    let typed = plain(name);
    let near = REFERENCE.iter().map(|key| variable_of(key.path));
    let near = near.map(|known| (keys::distance(&typed, &plain(&known)), known));
    let (apart, known) = near.min()?;
    let allowed = 1 + (name.len() - PREFIX.len().min(name.len())) / 8;
    if apart <= allowed {
        return Some(format!("the variable {name} sets nothing; did you mean {known}?"));
    }
    let about = "sets nothing; `corecast config --docs` tells all keys";
    name.contains("__").then(|| format!("the variable {name} {about}"))
}

/// Reads the text as the key's type; texts as they are, lists as TOML.
fn read(key: &Key, text: &str, origin: &Origin) -> Result<Node, String> {
    let expected = |what: &str| format!("expected {what}, found {text:?}");
    let leaf = match key.default_value() {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => {
            Value::Integer(text.trim().parse().map_err(|_| expected("an integer"))?)
        }
        Value::Boolean(_) => {
            Value::Boolean(text.trim().parse().map_err(|_| expected("true or false"))?)
        }
        _ => {
            return Node::parse_value(text.trim(), origin)
                .map_err(|error| format!("expected a list in TOML, such as [1, 2]: {error}"));
        }
    };
    Ok(Node { origin: origin.clone(), content: Content::Leaf(leaf) })
}

/// Puts a value at a path, and makes the tables on the way.
fn put(root: &mut Node, path: &str, node: Node, origin: &Origin) -> Result<(), String> {
    let mut place = root;
    for segment in path.split(['.', '[']) {
        let index = segment.strip_suffix(']').map(str::parse::<usize>);
        if let Content::Leaf(Value::Array(items)) = &place.content
            && items.is_empty()
        {
            place.content = Content::List(Vec::new());
        }
        place = match (&mut place.content, index) {
            (Content::Table(table), None) => {
                table.entry(segment.to_owned()).or_insert_with(|| new(path, segment, origin))
            }
            (Content::List(items), Some(Ok(index))) => {
                if index > items.len() {
                    return Err(format!("there are {} before it; count from there", items.len()));
                }
                if index == items.len() {
                    items.push(Node::empty(origin.clone()));
                }
                &mut items[index]
            }
            _ => return Err("the file has something else in its place".to_owned()),
        };
    }
    *place = node;
    Ok(())
}

/// A list where an index follows, else a table.
fn new(path: &str, segment: &str, origin: &Origin) -> Node {
    let is_list = path.contains(&format!("{segment}["));
    let content = if is_list { Content::List(Vec::new()) } else { Content::Table(BTreeMap::new()) };
    Node { origin: origin.clone(), content }
}
