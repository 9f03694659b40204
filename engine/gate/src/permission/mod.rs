//! What somebody may do with which topics.

mod pattern;

use crate::limits::{PATTERNS_BYTES_MAX, PATTERNS_MAX};
pub use pattern::PatternError;
use pattern::{Pattern, topic_of};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What somebody may do. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions(Granted);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Granted {
    All,
    None,
    These(Arc<Grants>),
}

/// The patterns of each verb; none: those of `subscribe`.
#[derive(Debug, PartialEq, Eq)]
struct Grants {
    subscribe: Box<[Pattern]>,
    publish: Box<[Pattern]>,
    presence: Option<Box<[Pattern]>>,
    history: Option<Box<[Pattern]>>,
}

/// What can be done with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// To get its messages.
    Subscribe,
    /// To send messages to it.
    Publish,
    /// To ask who is there.
    Presence,
    /// To ask for what was there.
    History,
}

/// Rights as they are written: lists of patterns, in which `*` stands for one token and a last `>`
/// for the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rights {
    /// Topics that may be subscribed to.
    pub subscribe: Vec<String>,
    /// Topics that may be published to.
    pub publish: Vec<String>,
    /// Topics whose members may be asked for; absent: those of `subscribe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Vec<String>>,
    /// Topics whose history may be asked for; absent: those of `subscribe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<String>>,
}

impl Permissions {
    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self(Granted::All)
    }

    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self(Granted::None)
    }

    /// Those rights and no others.
    ///
    /// # Errors
    /// When a pattern is none, or there are more than [`PATTERNS_MAX`], or more bytes of them than
    /// [`PATTERNS_BYTES_MAX`].
    pub fn new(rights: &Rights) -> Result<Self, RightsError> {
        let Rights { subscribe, publish, presence, history } = rights;
        let optional = [presence, history].into_iter().flatten();
        let all = || [subscribe, publish].into_iter().chain(optional.clone()).flatten();
        let count = all().count();
        if count > PATTERNS_MAX {
            return Err(RightsError::TooMany);
        }
        if all().map(String::len).sum::<usize>() > PATTERNS_BYTES_MAX {
            return Err(RightsError::TooLong);
        }
        if count == 0 {
            return Ok(Self::none());
        }
        let read = |texts: &Vec<String>| {
            texts.iter().map(|text| Pattern::parse(text)).collect::<Result<Box<[_]>, _>>()
        };
        Ok(Self(Granted::These(Arc::new(Grants {
            subscribe: read(subscribe)?,
            publish: read(publish)?,
            presence: presence.as_ref().map(read).transpose()?,
            history: history.as_ref().map(read).transpose()?,
        }))))
    }

    /// Whether this may be done with `name`: a topic, a variant such as `quote.BTC@100ms`, or a
    /// pattern. A variant is judged by its topic, a pattern must be covered whole by one that is
    /// granted. What keeps to no grammar is granted by [`all`](Self::all) alone.
    ///
    /// O(granted patterns).
    #[must_use]
    pub fn may(&self, verb: Verb, name: &str) -> bool {
        let grants = match &self.0 {
            Granted::All => return true,
            Granted::None => return false,
            Granted::These(grants) => grants,
        };
        let Some(topic) = topic_of(name) else { return false };
        grants.of(verb).iter().any(|granted| granted.covers(topic))
    }

    /// Whether it may be subscribed to.
    #[must_use]
    pub fn may_subscribe(&self, name: &str) -> bool {
        self.may(Verb::Subscribe, name)
    }

    /// Whether it may be published to.
    #[must_use]
    pub fn may_publish(&self, name: &str) -> bool {
        self.may(Verb::Publish, name)
    }

    /// Whether its members may be asked for.
    #[must_use]
    pub fn may_presence(&self, name: &str) -> bool {
        self.may(Verb::Presence, name)
    }

    /// Whether its history may be asked for.
    #[must_use]
    pub fn may_history(&self, name: &str) -> bool {
        self.may(Verb::History, name)
    }

    /// The patterns that are granted for a verb; `>` where everything is.
    #[must_use]
    pub fn patterns(&self, verb: Verb) -> Vec<&str> {
        match &self.0 {
            Granted::All => vec![">"],
            Granted::None => Vec::new(),
            Granted::These(grants) => grants.of(verb).iter().map(Pattern::as_str).collect(),
        }
    }
}

impl Grants {
    fn of(&self, verb: Verb) -> &[Pattern] {
        match verb {
            Verb::Subscribe => &self.subscribe,
            Verb::Publish => &self.publish,
            Verb::Presence => self.presence.as_ref().unwrap_or(&self.subscribe),
            Verb::History => self.history.as_ref().unwrap_or(&self.subscribe),
        }
    }
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 4] = [Self::Subscribe, Self::Publish, Self::Presence, Self::History];

    /// Its name in claims and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::Presence => "presence",
            Self::History => "history",
        }
    }
}

/// Why rights cannot be granted as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RightsError {
    /// There are too many patterns.
    #[error("there are more than {PATTERNS_MAX} patterns")]
    TooMany,
    /// They have too many bytes.
    #[error("the patterns have more than {PATTERNS_BYTES_MAX} bytes")]
    TooLong,
    /// One of them is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn presence_and_history_follow_subscribe_unless_they_are_named() {
        let mut rights = Rights {
            subscribe: list(&["quote.*"]),
            publish: list(&["chat.lobby"]),
            ..Rights::default()
        };
        let permissions = Permissions::new(&rights).expect("rights");
        assert!(permissions.may_subscribe("quote.BTC") && permissions.may_presence("quote.BTC"));
        assert!(permissions.may_history("quote.BTC") && !permissions.may_publish("quote.BTC"));
        assert!(permissions.may_publish("chat.lobby") && !permissions.may_subscribe("chat.lobby"));
        assert!(!permissions.may_history("chat.lobby"));
        rights.presence = Some(Vec::new());
        rights.history = Some(list(&["log.>"]));
        let permissions = Permissions::new(&rights).expect("rights");
        assert!(!permissions.may_presence("quote.BTC") && !permissions.may_history("quote.BTC"));
        assert!(permissions.may_history("log.a") && permissions.may_subscribe("quote.BTC"));
    }

    #[test]
    fn a_variant_is_judged_by_its_topic() {
        let rights = Rights { subscribe: list(&["quote.BTC"]), ..Rights::default() };
        let permissions = Permissions::new(&rights).expect("rights");
        assert!(permissions.may_subscribe("quote.BTC@100ms"));
        for name in ["quote.ETH@100ms", "quote.BTC@1s@1s", "quote.BTC@100ms.x", "quote.*@1s"] {
            assert!(!permissions.may_subscribe(name), "{name}");
        }
    }

    #[test]
    fn nothing_is_nothing_and_everything_is_everything() {
        for verb in Verb::ALL {
            assert!(Permissions::all().may(verb, "a.b") && !Permissions::none().may(verb, "a.b"));
        }
        assert_eq!(Permissions::new(&Rights::default()), Ok(Permissions::none()));
        let everything = Rights { subscribe: list(&[">"]), ..Rights::default() };
        let permissions = Permissions::new(&everything).expect("rights");
        assert!(permissions.may_subscribe(">") && !permissions.may_subscribe("$user.u1"));
    }

    #[test]
    fn rights_are_bounded_in_count_and_bytes() {
        let many = Rights { subscribe: vec!["a".into(); PATTERNS_MAX + 1], ..Rights::default() };
        assert_eq!(Permissions::new(&many), Err(RightsError::TooMany));
        let long = Rights { publish: vec!["a".repeat(255); 33], ..Rights::default() };
        assert_eq!(Permissions::new(&long), Err(RightsError::TooLong));
        let wrong = Rights { history: Some(list(&["a.."])), ..Rights::default() };
        let error = Permissions::new(&wrong).expect_err("no pattern");
        assert_eq!(error, RightsError::Pattern(PatternError::EmptyToken));
    }

    #[test]
    fn an_unknown_right_is_not_passed_over() {
        // Who writes `deny` means less than what stands beside it.
        let error = serde_json::from_str::<Rights>(r#"{"subscribe":[">"],"deny":["a"]}"#);
        assert!(error.is_err());
    }
}
