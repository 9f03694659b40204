//! Which policy a topic has: patterns, the first that matches wins.

use core::fmt;
use core::str::FromStr;

use crate::limits::{RULES_MAX, TOPIC_BYTES_MAX};
use crate::policy::{Policy, PolicyError};
use crate::topic::is_token_character;

/// Patterns with their policies, in order. A topic that none matches is `lossless`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// No rules: every topic has the default policy.
    #[must_use]
    pub const fn new() -> Self {
        Self { rules: Vec::new() }
    }

    /// Adds a rule behind the others.
    ///
    /// # Errors
    /// When there are [`RULES_MAX`] already.
    pub fn push(&mut self, rule: Rule) -> Result<(), RuleError> {
        if self.rules.len() == RULES_MAX {
            return Err(RuleError::TooMany);
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Reads `pattern` and adds it behind the others.
    ///
    /// # Errors
    /// When the pattern is none, or there are [`RULES_MAX`] rules already.
    pub fn add(&mut self, pattern: &str, policy: Policy) -> Result<(), RuleError> {
        self.push(Rule { pattern: pattern.parse()?, policy })
    }

    /// The policy of `topic`: that of the first pattern that matches, else the default.
    #[must_use]
    pub fn policy(&self, topic: &str) -> Policy {
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(topic));
        rule.map_or_else(Policy::default, |rule| rule.policy)
    }

    /// The rules in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// One rule. As text: `latest=quote.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which topics.
    pub pattern: Pattern,
    /// What a backlog does to them.
    pub policy: Policy,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (policy, pattern) = text.split_once('=').ok_or(RuleError::NoEqualsSign)?;
        Ok(Self { policy: policy.parse()?, pattern: pattern.parse()? })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.policy, self.pattern)
    }
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The text has no `=`.
    #[error("a rule reads POLICY=PATTERN, such as latest=quote.*")]
    NoEqualsSign,
    /// The part before the `=` is no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The part behind the `=` is no pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// There are [`RULES_MAX`] rules already.
    #[error("at most {RULES_MAX} rules")]
    TooMany,
}

/// A topic in which the token `*` stands for any one token, and a last token `>` for one or
/// more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Whether `topic` is one of those meant.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let mut tokens = topic.split('.');
        for expected in self.0.split('.') {
            let Some(token) = tokens.next() else { return false };
            match expected {
                ">" => return true,
                "*" => {}
                _ if expected == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// The pattern's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > TOPIC_BYTES_MAX {
            return Err(PatternError::TooLong { bytes: text.len() });
        }
        let mut tokens = text.split('.').peekable();
        while let Some(token) = tokens.next() {
            match token {
                "" => return Err(PatternError::EmptyToken(text.into())),
                ">" if tokens.peek().is_some() => {
                    return Err(PatternError::RestNotLast(text.into()));
                }
                ">" | "*" => {}
                _ if token.chars().all(is_token_character) => {}
                _ => return Err(PatternError::Token(token.into(), text.into())),
            }
        }
        Ok(Self(text.into()))
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than any topic.
    #[error("a pattern has at most {TOPIC_BYTES_MAX} bytes, this one {bytes}")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// It is empty, starts or ends with a dot, or has two in a row.
    #[error("pattern `{0}` has an empty token: single dots stand between tokens")]
    EmptyToken(Box<str>),
    /// `>` stands before other tokens.
    #[error("pattern `{0}`: `>` stands for all the rest, so it is the last token")]
    RestNotLast(Box<str>),
    /// A token has a character that no topic has, or a wildcard that is only part of it.
    #[error(
        "token `{0}` of pattern `{1}`: a token is `*`, a last `>`, or letters, digits and \
         _-:/+=@~"
    )]
    Token(Box<str>, Box<str>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Overflow;

    fn pattern(text: &str) -> Pattern {
        text.parse().expect("a pattern")
    }

    #[test]
    fn a_star_is_one_token_and_a_greater_than_is_the_rest() {
        assert!(pattern("quote.*").matches("quote.BTC"));
        assert!(!pattern("quote.*").matches("quote"));
        assert!(!pattern("quote.*").matches("quote.usdm.BTC"));
        assert!(pattern("*.*.BTC").matches("quote.usdm.BTC"));
        assert!(pattern("quote.>").matches("quote.usdm.BTC"));
        assert!(!pattern("quote.>").matches("quote"));
        assert!(pattern(">").matches("anything.at.all"));
        assert!(pattern("a.b").matches("a.b"));
        assert!(!pattern("a.b").matches("a.bc"));
        assert!(!pattern("a.b").matches("a.b.c"));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, part) in [
            ("", "empty token"),
            ("a..b", "empty token"),
            (">.a", "last token"),
            ("quo*", "token `quo*`"),
            ("a.>b", "token `>b`"),
            ("a b", "token `a b`"),
        ] {
            let error = text.parse::<Pattern>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!("a".repeat(256).parse::<Pattern>().is_err());
    }

    #[test]
    fn the_first_match_wins_and_the_default_is_lossless() {
        let mut rules = Rules::new();
        for text in ["drop_oldest=log.debug", "latest=log.*", "lossless:gap=log.>"] {
            rules.push(text.parse().expect("a rule")).expect("room");
        }
        assert_eq!(rules.policy("log.debug"), Policy::DropOldest);
        assert_eq!(rules.policy("log.info"), Policy::Latest);
        assert_eq!(rules.policy("log.a.b"), Policy::Lossless { overflow: Overflow::Gap });
        assert_eq!(rules.policy("trade"), Policy::default());
        let texts: Vec<_> = rules.iter().map(Rule::to_string).collect();
        assert_eq!(texts, ["drop_oldest=log.debug", "latest=log.*", "lossless:gap=log.>"]);
    }

    #[test]
    fn rules_are_bounded_and_their_faults_are_told_apart() {
        assert_eq!("latest".parse::<Rule>(), Err(RuleError::NoEqualsSign));
        assert!(matches!("newest=a".parse::<Rule>(), Err(RuleError::Policy(_))));
        assert!(matches!("latest=a..b".parse::<Rule>(), Err(RuleError::Pattern(_))));
        let mut rules = Rules::new();
        for _ in 0..RULES_MAX {
            rules.add("a", Policy::Latest).expect("room");
        }
        assert_eq!(rules.add("a", Policy::Latest), Err(RuleError::TooMany));
        assert_eq!(rules.len(), RULES_MAX);
    }
}
