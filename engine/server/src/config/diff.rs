//! What differs between two sets of settings, key by key.

use super::tree::join;
use super::{ServerConfig, keys, make};
use std::collections::BTreeMap;
use toml::Value;

/// A key with two values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The whole key; namespaces stand by their names: `namespaces[quote].policy`.
    pub(crate) key: String,
    /// What it was; nothing where it was not there.
    pub(crate) from: Option<Value>,
    /// What it is; nothing where it is gone.
    pub(crate) to: Option<Value>,
}

impl Change {
    /// Whether it may be applied while the program runs.
    pub(crate) fn is_reloadable(&self) -> bool {
        keys::find(&self.key).is_some_and(|key| key.is_reloadable)
    }

    /// Whether it belongs to a namespace.
    pub(crate) fn is_namespace(&self) -> bool {
        self.key.starts_with("namespaces[")
    }

    /// Whether it belongs to TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.key.starts_with("tls.")
    }

    /// The old value in TOML, `none` where there is none.
    pub(crate) fn before(&self) -> String {
        text(self.from.as_ref())
    }

    /// The new value in TOML, `none` where there is none.
    pub(crate) fn after(&self) -> String {
        text(self.to.as_ref())
    }
}

/// All keys whose values differ, by their names.
pub(crate) fn diff(from: &ServerConfig, to: &ServerConfig) -> Vec<Change> {
    let (from, mut to) = (flatten(from), flatten(to));
    let mut changes: Vec<Change> = Vec::new();
    for (key, from) in from {
        let to = to.remove(&key);
        if to.as_ref() != Some(&from) {
            changes.push(Change { key, from: Some(from), to });
        }
    }
    changes.extend(to.into_iter().map(|(key, to)| Change { key, from: None, to: Some(to) }));
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

/// What is not as it is by default. In lists that are empty by default, each element is compared
/// with a new one; its name is always among what differs.
pub(crate) fn differences(config: &ServerConfig) -> Vec<Change> {
    let defaults = flatten(&ServerConfig::default());
    let changes = flatten(config).into_iter().map(|(key, to)| {
        let of_element = || {
            let key = keys::find(&key).filter(|found| key.contains('[') && !found.is_required)?;
            (!key.path.ends_with("].name")).then(|| key.default_value().clone())
        };
        let from = defaults.get(&key).cloned().or_else(of_element);
        Change { key, from, to: Some(to) }
    });
    changes.filter(|change| change.from != change.to).collect()
}

fn flatten(config: &ServerConfig) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    leaves("", Value::Table(make::table(config)), &mut found);
    found
}

fn leaves(path: &str, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                leaves(&join(path, &name), value, found);
            }
        }
        Value::Array(items) if keys::find(path).is_some_and(keys::Key::is_list) => {
            for (index, item) in items.into_iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
                let name = name.unwrap_or_else(|| index.to_string());
                leaves(&format!("{path}[{name}]"), item, found);
            }
        }
        value => {
            found.insert(path.to_owned(), value);
        }
    }
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::{Namespace, Policy};

    #[test]
    fn changed_keys_are_found_with_both_values() {
        let mut from = ServerConfig::default();
        let named = |name: &str| Namespace { name: name.into(), ..Namespace::default() };
        from.engine.namespaces = vec![named("gone"), named("quote")];
        let mut to = from.clone();
        assert_eq!(diff(&from, &to), []);
        to.feed.heartbeat_ms = 100;
        to.engine.shards = 3;
        to.engine.namespaces.remove(0);
        to.engine.namespaces[0].policy = Policy::Latest;
        let changes = diff(&from, &to);
        let of = |key: &str| changes.iter().find(|change| change.key == key).expect(key);
        let beat = of("feed.heartbeat_ms");
        assert!(beat.is_reloadable());
        assert_eq!((beat.before(), beat.after()), ("5000".to_owned(), "100".to_owned()));
        assert!(!of("shards").is_reloadable() && !of("shards").is_namespace());
        let policy = of("namespaces[quote].policy");
        assert!(policy.is_namespace());
        assert_eq!(policy.after(), "\"latest\"");
        assert_eq!(of("namespaces[gone].name").after(), "none");
        assert!(changes.iter().all(|change| !change.key.starts_with("namespaces[quote].name")));
        let keys: Vec<_> = differences(&to).into_iter().map(|change| change.key).collect();
        let expected =
            ["feed.heartbeat_ms", "namespaces[quote].name", "namespaces[quote].policy", "shards"];
        assert_eq!(keys, expected);
    }
}
