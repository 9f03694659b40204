//! What a session has asked for by name.

use std::collections::BTreeMap;

/// Topics, variants and patterns, under the names that were granted.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    by_name: BTreeMap<Box<str>, Held>,
    /// Where `max_hz` chose the variant: its name, by the name that was asked for. Both mean it.
    by_asked: BTreeMap<Box<str>, Box<str>>,
    /// When those end that do before their session, in seconds since 1970.
    ends_s: BTreeMap<Box<str>, i64>,
}

/// A name that a session holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    /// The command that waits for its answer.
    waits_for: Option<u64>,
    /// The name that was asked for, where it is another.
    asked_as: Option<Box<str>>,
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The names that were granted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    /// Whether one of the two names means something already.
    pub(crate) fn has(&self, asked_as: &str, granted_as: &str) -> bool {
        self.granted(asked_as).is_some() || self.granted(granted_as).is_some()
    }

    /// Notes a name, for which the command `waits_for` is to be answered.
    pub(crate) fn hold(&mut self, asked_as: &str, granted_as: Box<str>, waits_for: Option<u64>) {
        let asked_as: Option<Box<str>> = (asked_as != &*granted_as).then(|| asked_as.into());
        if let Some(asked_as) = &asked_as {
            self.by_asked.insert(asked_as.clone(), granted_as.clone());
        }
        self.by_name.insert(granted_as, Held { waits_for, asked_as });
    }

    /// Lets a name that is held end then.
    pub(crate) fn end_at(&mut self, granted_as: &str, end_s: i64) {
        self.ends_s.insert(granted_as.into(), end_s);
    }

    /// When the first of them ends.
    pub(crate) fn first_end_s(&self) -> Option<i64> {
        self.ends_s.values().min().copied()
    }

    /// Those that have ended by now.
    pub(crate) fn ended(&self, now_s: i64) -> Vec<Box<str>> {
        let ended = self.ends_s.iter().filter(|(_, end_s)| **end_s <= now_s);
        ended.map(|(name, _)| name.clone()).collect()
    }

    /// Whether this command has been waiting for the name; from now on nobody does.
    pub(crate) fn answered(&mut self, granted_as: &str, token: u64) -> bool {
        let held = self.by_name.get_mut(granted_as);
        let held = held.filter(|held| held.waits_for == Some(token));
        held.map(|held| held.waits_for = None).is_some()
    }

    /// Forgets what is held under a granted name.
    pub(crate) fn remove(&mut self, granted_as: &str) {
        let removed = self.by_name.remove(granted_as);
        self.ends_s.remove(granted_as);
        if let Some(asked_as) = removed.and_then(|held| held.asked_as) {
            self.by_asked.remove(&asked_as);
        }
    }

    /// Forgets what a name means, asked for or granted, and gives the granted one.
    pub(crate) fn take(&mut self, name: &str) -> Option<Box<str>> {
        let granted_as: Box<str> = self.granted(name)?.into();
        self.remove(&granted_as);
        Some(granted_as)
    }

    fn granted<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.by_name.contains_key(name) {
            return Some(name);
        }
        self.by_asked.get(name).map(|granted| &**granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_subscription_whichever_of_its_two_names_it_is() {
        let mut held = Subscriptions::default();
        held.hold("quote.A", "quote.A@334ms".into(), Some(7));
        for name in ["quote.A", "quote.A@334ms"] {
            assert!(held.has(name, "quote.A@200ms"), "{name} is taken");
        }
        assert!(!held.has("quote.A@100ms", "quote.A@100ms"));
        held.hold("quote.A@100ms", "quote.A@100ms".into(), Some(7));
        assert!(!held.answered("quote.A@334ms", 8) && held.answered("quote.A@334ms", 7));
        assert!(!held.answered("quote.A@334ms", 7), "nobody waits any more");
        assert_eq!(held.take("quote.A").as_deref(), Some("quote.A@334ms"));
        assert_eq!((held.take("quote.A"), held.take("quote.A@334ms")), (None, None));
        assert_eq!(held.len(), 1);
        held.remove("quote.A@100ms");
        assert!(held.is_empty() && held.by_asked.is_empty());
    }

    #[test]
    fn what_ends_early_is_told_once_and_what_is_left_before_is_not() {
        let mut held = Subscriptions::default();
        for (name, end_s) in [("a", Some(20)), ("b", Some(10)), ("c", Some(10)), ("d", None)] {
            held.hold(name, name.into(), None);
            end_s.into_iter().for_each(|end_s| held.end_at(name, end_s));
        }
        held.take("c");
        assert_eq!((held.first_end_s(), held.ended(9)), (Some(10), Vec::new()));
        assert_eq!(held.ended(10), ["b".into()]);
        held.remove("b");
        assert_eq!((held.first_end_s(), held.ended(19)), (Some(20), Vec::new()));
        held.remove("a");
        assert_eq!((held.first_end_s(), held.len()), (None, 1));
    }
}
