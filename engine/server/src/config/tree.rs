//! Settings as they are written, each with its place: tables, lists of tables, and values.

use super::problem::{Origin, Problem};
use std::collections::BTreeMap;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// A setting or a group of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Where it stands.
    pub(super) origin: Origin,
    /// What it is.
    pub(super) content: Content,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// A value: also a list of values, and an empty list.
    Leaf(Value),
    /// Keys.
    Table(BTreeMap<String, Node>),
    /// Tables.
    List(Vec<Node>),
}

impl Node {
    /// A table without keys.
    pub(super) fn empty(origin: Origin) -> Self {
        Self { origin, content: Content::Table(BTreeMap::new()) }
    }

    /// Reads a TOML document.
    ///
    /// # Errors
    ///
    /// Everything that is no TOML, and doubled keys.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let lines = Lines::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(syntax_problems(text, &lines, &errors));
        }
        let mut problems = Vec::new();
        let content = convert_table(table.get_ref(), &lines, "", &mut problems);
        let root = Self { origin: Origin::Line(1), content };
        if problems.is_empty() { Ok(root) } else { Err(problems) }
    }

    /// Reads one value as TOML, with tables in it: `[{name = "quote"}]`.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub(super) fn parse_value(text: &str, origin: &Origin) -> Result<Self, String> {
        let value = DeValue::parse(text).map_err(|error| error.message().to_owned())?;
        let mut problems = Vec::new();
        let content = convert(value.get_ref(), &Lines::new(text), "", 1, &mut problems);
        if let Some(problem) = problems.pop() {
            return Err(problem.message);
        }
        let mut node = Self { origin: origin.clone(), content };
        node.stand_at(origin);
        Ok(node)
    }

    /// Gives this and all in it one place.
    fn stand_at(&mut self, origin: &Origin) {
        self.origin = origin.clone();
        match &mut self.content {
            Content::Leaf(_) => {}
            Content::Table(table) => table.values_mut().for_each(|node| node.stand_at(origin)),
            Content::List(list) => list.iter_mut().for_each(|node| node.stand_at(origin)),
        }
    }

    /// The place of `key`, or of what it would stand in.
    pub(super) fn origin_of(&self, key: &str) -> Origin {
        let mut node = self;
        for segment in key.split(['.', '[']) {
            let next = match &node.content {
                Content::Table(table) => table.get(segment),
                Content::List(list) => {
                    segment.trim_end_matches(']').parse().ok().and_then(|i: usize| list.get(i))
                }
                Content::Leaf(_) => None,
            };
            match next {
                Some(next) => node = next,
                None if std::ptr::eq(node, self) => return Origin::Elsewhere,
                None => break,
            }
        }
        node.origin.clone()
    }
}

impl Content {
    /// The values without their places.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Leaf(value) => value.clone(),
            Self::Table(table) => {
                let entries = table.iter().map(|(key, node)| (key.clone(), node.content.value()));
                Value::Table(entries.collect())
            }
            Self::List(list) => {
                Value::Array(list.iter().map(|node| node.content.value()).collect())
            }
        }
    }
}

/// The numbers of lines, by the places in a text.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|at| at.0).collect())
    }

    fn number(&self, offset: usize) -> usize {
        self.0.partition_point(|&end| end < offset) + 1
    }
}

fn convert_table(
    table: &DeTable<'_>,
    lines: &Lines,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Content {
    let entries = table.iter().map(|(key, value)| {
        let line = lines.number(key.span().start);
        let name = key.get_ref().to_string();
        let path = join(path, &name);
        let content = convert(value.get_ref(), lines, &path, line, problems);
        (name, Node { origin: Origin::Line(line), content })
    });
    Content::Table(entries.collect())
}

fn convert(
    value: &DeValue<'_>,
    lines: &Lines,
    path: &str,
    line: usize,
    problems: &mut Vec<Problem>,
) -> Content {
    let leaf = match value {
        DeValue::Table(table) => return convert_table(table, lines, path, problems),
        DeValue::Array(array)
            if !array.is_empty() && array.iter().all(|item| item.get_ref().is_table()) =>
        {
            let items = array.iter().enumerate().map(|(index, item)| {
                let line = lines.number(item.span().start);
                let path = format!("{path}[{index}]");
                let content = convert(item.get_ref(), lines, &path, line, problems);
                Node { origin: Origin::Line(line), content }
            });
            return Content::List(items.collect());
        }
        DeValue::Array(array) => {
            let items = array.iter().map(|item| item.get_ref());
            let values = items.map(|item| convert(item, lines, path, line, problems).value());
            Value::Array(values.collect())
        }
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
                let message = format!("{number} is larger than any setting");
                problems.push(Problem::new(&Origin::Line(line), path, message));
                0
            }),
        ),
    };
    Content::Leaf(leaf)
}

/// `path.name`, or `name` at the top.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// One problem for each line: what follows in it follows from the first.
fn syntax_problems(text: &str, lines: &Lines, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors {
        let line = error.span().map_or(1, |span| lines.number(span.start));
        let origin = Origin::Line(line);
        if problems.iter().all(|problem| problem.origin != origin) {
            problems.push(Problem::new(&origin, &key_of_line(text, line), error.message()));
        }
    }
    problems
}

/// The key that a line seems to set: the text before its `=`, behind the last header above.
fn key_of_line(text: &str, number: usize) -> String {
    let mut table = String::new();
    let mut lists: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines().take(number) {
        let line = line.trim();
        if let Some(header) = line.strip_prefix("[[") {
            let name = header.split(']').next().unwrap_or_default().trim();
            let count = lists.entry(name).or_default();
            table = format!("{name}[{count}]");
            *count += 1;
        } else if let Some(header) = line.strip_prefix('[') {
            header.split(']').next().unwrap_or_default().trim().clone_into(&mut table);
        }
    }
    let line = text.lines().nth(number - 1).unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) => join(&table, key.trim()),
        None => table,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let text = "shards = 2\n\n[outbox]\nbytes_max = 1\n[[namespaces]]\nname = \"a\"\n\
                    [[namespaces]]\nname = \"b\"\nallow = [\n\"latest\",\n]\n";
        let root = Node::parse(text).expect("TOML");
        for (key, line) in [
            ("shards", 1),
            ("outbox.bytes_max", 4),
            ("outbox.frames_max", 3),
            ("namespaces[0].name", 6),
            ("namespaces[1].name", 8),
            ("namespaces[1].policy", 7),
            ("namespaces[1].allow", 9),
        ] {
            assert_eq!(root.origin_of(key), Origin::Line(line), "{key}");
        }
        assert_eq!(root.origin_of("feed.path"), Origin::Elsewhere);
        let plain: toml::Table = toml::from_str(text).expect("TOML");
        assert_eq!(root.content.value(), Value::Table(plain));
    }

    #[test]
    fn broken_lines_are_all_told_with_the_key_they_seem_to_set() {
        let text = "shards =\n[outbox]\nbytes_max = 4MiB\n[[policies]]\n[[policies]]\n\
                    pattern = \"a\nshards\n";
        let problems = Node::parse(text).expect_err("no TOML");
        let places: Vec<_> = problems.iter().map(|p| (p.origin.clone(), p.key.as_str())).collect();
        for expected in [
            (Origin::Line(1), "shards"),
            (Origin::Line(3), "outbox.bytes_max"),
            (Origin::Line(6), "policies[1].pattern"),
        ] {
            assert!(places.contains(&expected), "{places:?} without {expected:?}");
        }
    }

    #[test]
    fn doubled_keys_and_huge_numbers_are_problems() {
        let problems = Node::parse("[outbox]\nbytes_max = 1\nbytes_max = 2\n").expect_err("double");
        assert_eq!(
            (&problems[0].origin, problems[0].key.as_str()),
            (&Origin::Line(3), "outbox.bytes_max")
        );
        assert!(problems[0].message.contains("duplicate"), "{problems:?}");
        let problems = Node::parse("[a]\nb = 99999999999999999999\n").expect_err("huge");
        assert_eq!((&problems[0].origin, problems[0].key.as_str()), (&Origin::Line(2), "a.b"));
    }
}
