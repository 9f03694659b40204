//! Patterns of topics, and which of them covers which. The grammar is that of the hub.

use crate::limits::PATTERN_BYTES_MAX;

/// A topic in which the token `*` stands for any one token, and a last token `>` for one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Box<str>);

impl Pattern {
    /// Reads what is granted.
    ///
    /// # Errors
    /// When it is no pattern, or ends like a variant: rights name topics, all variants of a topic
    /// go with it.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        if split_variant(text).is_some() {
            return Err(PatternError::Variant);
        }
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Whether all topics that are meant by `requested`, a topic or a pattern, are meant by this
    /// one, too. `requested` keeps to the grammar.
    pub(crate) fn covers(&self, requested: &str) -> bool {
        let mut tokens = requested.split('.');
        for granted in self.0.split('.') {
            match (granted, tokens.next()) {
                (_, None) => return false,
                // One or more: whatever is left, `>` included.
                (">", Some(_)) => return true,
                // A rest is more than one token can be.
                (_, Some(">")) => return false,
                ("*", Some(_)) => {}
                (granted, Some(token)) if granted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The topic or pattern that a request is about: `quote.BTC@100ms` is about `quote.BTC`. None where
/// it keeps to no grammar, so that nothing grants it.
pub(crate) fn topic_of(requested: &str) -> Option<&str> {
    let topic = split_variant(requested).unwrap_or(requested);
    let is_plain = check(topic).is_ok() && split_variant(topic).is_none();
    is_plain.then_some(topic)
}

/// Checks the grammar: tokens of letters, digits and `_-:/+=@~`, single dots between them; `*` as
/// a whole token, `>` as the last one.
fn check(text: &str) -> Result<(), PatternError> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong);
    }
    let mut tokens = text.split('.').peekable();
    while let Some(token) = tokens.next() {
        match token {
            "" => return Err(PatternError::EmptyToken),
            ">" if tokens.peek().is_some() => return Err(PatternError::RestNotLast),
            ">" | "*" => {}
            _ if token.bytes().all(is_token_byte) => {}
            _ => return Err(PatternError::Token),
        }
    }
    Ok(())
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'-' | b':' | b'/' | b'+' | b'=' | b'@' | b'~')
}

/// What stands before `@100ms` or `@1s` at the end of a name, if it ends so: the hub's rule.
fn split_variant(name: &str) -> Option<&str> {
    let (topic, end) = name.rsplit_once('@')?;
    let digits = end.strip_suffix("ms").or_else(|| end.strip_suffix('s'))?;
    let is_interval = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_interval.then_some(topic)
}

/// Why a text is no pattern that can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than any topic.
    #[error("a pattern has at most {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// It is empty, starts or ends with a dot, or has two in a row.
    #[error("a pattern has an empty token: single dots stand between tokens")]
    EmptyToken,
    /// `>` stands before other tokens.
    #[error("`>` stands for all the rest, so it is the last token of a pattern")]
    RestNotLast,
    /// A token has a character that no topic has, or a wildcard that is only part of it.
    #[error("a token of a pattern is `*`, a last `>`, or letters, digits and _-:/+=@~")]
    Token,
    /// It ends like a conflated variant.
    #[error("a right names a topic, without the interval of a variant such as @100ms")]
    Variant,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    #[test]
    fn a_pattern_is_covered_whole_or_not_at_all() {
        for (granted, requested, covers) in [
            ("quote.*", "quote.BTC", true),
            ("quote.*", "quote.*", true),
            ("quote.*", "quote.>", false),
            ("quote.*", "quote", false),
            ("quote.*", "quote.usdm.BTC", false),
            ("quote.>", "quote.*", true),
            ("quote.>", "quote.usdm.*", true),
            ("quote.>", "quote.>", true),
            ("quote.>", "quote", false),
            ("quote.>", "*.BTC", false),
            ("quote.>", ">", false),
            (">", ">", true),
            (">", "*", true),
            (">", "a.b.c", true),
            ("*", ">", false),
            ("*.>", ">", false),
            ("*.>", "a.>", true),
            ("*.BTC", "quote.BTC", true),
            ("*.BTC", "quote.*", false),
            ("quote.BTC", "quote.BTC", true),
            ("quote.BTC", "quote.BTCUSD", false),
            ("quote.BTC", "quote.*", false),
            ("quote.BTC", "Quote.BTC", false),
        ] {
            assert_eq!(pattern(granted).covers(requested), covers, "{granted} {requested}");
        }
    }

    #[test]
    fn only_an_interval_at_the_end_is_left_out() {
        for (name, topic) in [
            ("quote.BTC@100ms", Some("quote.BTC")),
            ("quote.*@1s", Some("quote.*")),
            ("kline@1m", Some("kline@1m")),
            ("btcusdt@depth@250ms", Some("btcusdt@depth")),
            ("a@100ms.b", Some("a@100ms.b")),
            // What the hub refuses, nothing grants.
            ("a@1s@100ms", None),
            ("@100ms", None),
            ("", None),
            ("a..b", None),
            (".a", None),
            (">.a", None),
            ("quo*", None),
            ("$user.u1", None),
            ("a b", None),
            ("a\0", None),
            ("ä", None),
        ] {
            assert_eq!(topic_of(name), topic, "{name}");
        }
        assert_eq!(topic_of(&"a".repeat(256)), None);
    }

    #[test]
    fn what_cannot_be_granted_says_why() {
        for (text, error) in [
            ("", PatternError::EmptyToken),
            ("a.", PatternError::EmptyToken),
            (">.a", PatternError::RestNotLast),
            ("a*", PatternError::Token),
            ("a b", PatternError::Token),
            ("quote.*@100ms", PatternError::Variant),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(Pattern::parse(&"a".repeat(256)), Err(PatternError::TooLong));
    }

    /// Short names over few tokens, so that many of them have to do with each other.
    fn any_pattern() -> impl Strategy<Value = String> {
        let token = prop_oneof![Just("a"), Just("b"), Just("*")];
        (prop::collection::vec(token, 0..4), any::<bool>()).prop_map(|(mut tokens, rest)| {
            if rest || tokens.is_empty() {
                tokens.push(">");
            }
            tokens.join(".")
        })
    }

    /// Topics that a pattern means: each wildcard by a token of the pattern's alphabet and by one
    /// of nobody's, the rest by one, two and three of them.
    fn meant(pattern: &str) -> Vec<String> {
        let mut found = vec![String::new()];
        for token in pattern.split('.') {
            let choices: &[&str] = match token {
                "*" => &["a", "b", "z"],
                ">" => &["a", "b", "z", "a.a", "z.z", "b.z.a", "z.z.z.z"],
                fixed => &[fixed],
            };
            found = found
                .iter()
                .flat_map(|start| choices.iter().map(move |choice| format!("{start}.{choice}")))
                .collect();
        }
        found.iter().map(|topic| topic[1..].to_owned()).collect()
    }

    proptest! {
        #[test]
        fn a_covered_pattern_means_no_topic_that_was_not_granted(
            granted in any_pattern(), requested in any_pattern(),
        ) {
            let granted = pattern(&granted);
            let topics = meant(&requested);
            let all = topics.iter().all(|topic| granted.covers(topic));
            prop_assert_eq!(granted.covers(&requested), all, "{:?} {}", granted, requested);
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in any::<String>(), granted in any_pattern()) {
            let topic = topic_of(&text);
            prop_assert!(topic.is_none_or(|topic| text.starts_with(topic)));
            if let Some(topic) = topic {
                pattern(&granted).covers(topic);
            }
        }
    }
}
