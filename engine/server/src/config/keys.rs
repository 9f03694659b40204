//! The keys of the configuration: what each may be, and which one was meant.

use super::auth::SourceConfig;
use super::bounds;
use super::reference::REFERENCE;
use super::{ServerConfig, make};
use corecast::Namespace;
use corecast::config::{CertificateConfig, PolicyRule};
use std::sync::LazyLock;
use toml::{Table, Value};

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its dotted path; `[]` stands for any index.
    pub(super) path: &'static str,
    /// What its number counts; empty for texts and switches.
    pub(super) unit: &'static str,
    /// What it is for.
    pub(super) about: &'static str,
    /// The values it may have, where they are few.
    pub(super) choices: &'static [&'static str],
    /// What its text may be, where it is not any of few.
    pub(super) form: &'static str,
    /// Whether SIGHUP applies it.
    pub(super) is_reloadable: bool,
    /// Whether it must stand in its table.
    pub(super) is_required: bool,
}

pub(super) const fn key(path: &'static str, unit: &'static str, about: &'static str) -> Key {
    let (choices, form) = (&[] as &[&str], "");
    Key { path, unit, about, choices, form, is_reloadable: false, is_required: false }
}

impl Key {
    pub(super) const fn one_of(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    pub(super) const fn text(mut self, form: &'static str) -> Self {
        self.form = form;
        self
    }

    pub(super) const fn reloadable(mut self) -> Self {
        self.is_reloadable = true;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Its default, as the structs have it; for a required key an example.
    pub(super) fn default_value(&self) -> &'static Value {
        static DEFAULTS: LazyLock<Table> = LazyLock::new(sample);
        let mut value = None;
        let mut table = Some(&*DEFAULTS);
        for segment in self.path.split('.') {
            value = table.and_then(|table| table.get(segment.trim_end_matches("[]")));
            if let (Some(Value::Array(items)), true) = (value, segment.ends_with("[]")) {
                value = items.first();
            }
            table = value.and_then(Value::as_table);
        }
        // A test looks at every key.
        value.unwrap_or(&Value::Boolean(false))
    }

    /// Whether it is a list of tables.
    pub(super) fn is_list(&self) -> bool {
        REFERENCE.iter().any(|key| key.path.strip_prefix(self.path).is_some_and(is_index))
    }

    /// What it may be, for people.
    pub(super) fn bound_text(&self) -> String {
        if !self.choices.is_empty() {
            let quoted: Vec<_> = self.choices.iter().map(|choice| format!("`{choice}`")).collect();
            return quoted.join(", ");
        }
        match bounds::find(self.path) {
            Some(range) if self.default_value().is_array() => format!("at most {}", range.max),
            Some(range) => range.to_string(),
            None if self.default_value().is_bool() => "`true`, `false`".to_owned(),
            None => self.form.to_owned(),
        }
    }
}

fn is_index(rest: &str) -> bool {
    rest.starts_with("[]")
}

/// The default settings, with one element in each list.
pub(super) fn sample() -> Table {
    let mut config = ServerConfig::default();
    config.engine.namespaces.push(Namespace::default());
    config.auth.sources.push(SourceConfig::default());
    let pattern = "quote.*".to_owned();
    config.engine.policies.push(PolicyRule { pattern, policy: corecast::Policy::Latest });
    config
        .engine
        .tls
        .certificates
        .push(CertificateConfig { chain: "fullchain.pem".into(), key: "privkey.pem".into() });
    make::table(&config)
}

/// The key at a path, in which indices may be numbers.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let path = without_indices(path);
    REFERENCE.iter().find(|key| key.path == path)
}

/// Whether there are keys below this path: whether it is a table, or an element of a list.
pub(super) fn is_table(path: &str) -> bool {
    let start = format!("{}.", without_indices(path));
    REFERENCE.iter().any(|key| key.path.starts_with(&start))
}

/// `namespaces[1].policy` as `namespaces[].policy`.
pub(super) fn without_indices(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        inside = (inside && c != ']') || c == '[';
        if !inside || c == '[' {
            text.push(c);
        }
    }
    text
}

/// The key that was probably meant: one of the same name elsewhere, or one that differs by little.
pub(super) fn nearest(path: &str) -> Option<String> {
    let path = without_indices(path);
    let last = path.rsplit('.').next().unwrap_or(&path);
    let near = REFERENCE.iter().map(|key| key.path).chain(tables()).map(|known| {
        let name = known.rsplit('.').next().unwrap_or(known);
        let here = known.len() - name.len() == path.len() - last.len()
            && known[..known.len() - name.len()] == path[..path.len() - last.len()];
        let apart = if here {
            // A beginning, such as `bytes` of `bytes_max`, is closer than its length.
            let is_part = name.starts_with(last) && last.len() >= 3;
            if is_part { 1 } else { distance(last, name) }
        } else {
            // The same name in another table, or the whole path with one slip.
            distance(last, name) * 2 + 1
        };
        (apart.min(distance(&path, known)), known)
    });
    let (apart, known) = near.min_by_key(|&(apart, known)| (apart, known.len()))?;
    (apart <= 1 + last.len() / 4).then(|| known.to_owned())
}

/// The tables at the top.
fn tables() -> impl Iterator<Item = &'static str> {
    let first = |key: &Key| key.path.split_once('.').map(|(table, _)| table);
    REFERENCE.iter().filter_map(first).filter(|table| !table.ends_with("[]"))
}

/// How many characters must be added, removed or changed to get from one text to the other
/// (Levenshtein).
pub(super) fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn leaves(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Table(table) => {
                for (name, value) in table {
                    leaves(&super::super::tree::join(path, name), value, found);
                }
            }
            Value::Array(items) if items.first().is_some_and(Value::is_table) => {
                found.insert(path.to_owned());
                leaves(&format!("{path}[]"), &items[0], found);
            }
            _ => {
                found.insert(path.to_owned());
            }
        }
    }

    #[test]
    fn the_reference_has_exactly_the_keys_of_the_structs() {
        let mut fields = BTreeSet::new();
        leaves("", &Value::Table(sample()), &mut fields);
        let keys: BTreeSet<_> = REFERENCE.iter().map(|key| key.path.to_owned()).collect();
        let missing: Vec<_> = fields.difference(&keys).collect();
        let gone: Vec<_> = keys.difference(&fields).collect();
        assert!(missing.is_empty() && gone.is_empty(), "not told: {missing:?}; gone: {gone:?}");
        assert_eq!(keys.len(), REFERENCE.len(), "a key is told twice");
    }

    #[test]
    fn every_key_has_a_unit_or_a_form_and_a_sentence() {
        for key in REFERENCE {
            let is_number = key.default_value().is_integer();
            assert!(!is_number || bounds::find(key.path).is_some(), "{} has no bound", key.path);
            assert!(key.about.ends_with('.'), "{}", key.path);
            let counts = ["shards", "compression.level"].contains(&key.path);
            assert_eq!(!key.unit.is_empty(), is_number && !counts, "unit of {}", key.path);
            assert!(!key.bound_text().is_empty(), "{} may be anything", key.path);
        }
        for (path, _) in bounds::all() {
            assert!(find(path).is_some(), "a bound for {path}, which is no key");
        }
    }

    #[test]
    fn choices_are_those_of_the_structs() {
        for key in REFERENCE.iter().filter(|key| !key.choices.is_empty()) {
            let value = |text: &str| match key.default_value() {
                Value::Array(_) => Value::Array(vec![Value::String(text.to_owned())]),
                _ => Value::String(text.to_owned()),
            };
            for choice in key.choices {
                assert_eq!(make::alone(key.path, &value(choice)), Ok(()), "{}", key.path);
            }
            // What serde or the policy itself lists, when it refuses a text.
            let error = make::alone(key.path, &value("no such thing")).expect_err(key.path);
            let listed = error.rsplit(" one of ").next().unwrap_or_default();
            let listed = listed.rsplit(", expected ").next().unwrap_or_default();
            let listed = listed.split([',', ' ', '`']).filter(|word| !word.is_empty());
            let listed: BTreeSet<_> = listed.filter(|&word| word != "or").collect();
            assert_eq!(listed, key.choices.iter().copied().collect(), "{}: {error}", key.path);
        }
    }

    #[test]
    fn the_key_that_was_meant_is_found() {
        for (typed, meant) in [
            ("shard", Some("shards")),
            ("outbox.byte_max", Some("outbox.bytes_max")),
            ("outbox.bytes", Some("outbox.bytes_max")),
            ("outboks", Some("outbox")),
            ("window_us", Some("flush.window_us")),
            ("namespaces[3].polciy", Some("namespaces[].policy")),
            ("feed.heartbeat", Some("feed.heartbeat_ms")),
            ("xyzzy", None),
        ] {
            assert_eq!(nearest(typed).as_deref(), meant, "{typed}");
        }
    }
}
