//! The grammar of topic names: tokens of printable ASCII, separated by dots.

/// Checks that `name` can be a topic: one or more tokens separated by single dots, at most
/// `bytes_max` bytes; a token is made of ASCII letters, digits and `_ - : / + = @ ~`. The
/// wildcards `*` and `>` belong to patterns.
///
/// # Errors
/// The first thing that is wrong, with its place in bytes.
pub fn check_topic(name: &str, bytes_max: usize) -> Result<(), TopicError> {
    if name.is_empty() {
        return Err(TopicError::Empty);
    }
    if name.len() > bytes_max {
        return Err(TopicError::TooLong { bytes: name.len(), bytes_max });
    }
    let mut token_at = 0;
    for (at, character) in name.char_indices() {
        match character {
            '.' if at == token_at => return Err(TopicError::EmptyToken { at }),
            '.' => token_at = at + 1,
            '*' | '>' => return Err(TopicError::Wildcard { wildcard: character, at }),
            _ if is_token_character(character) => {}
            _ => return Err(TopicError::Character { character, at }),
        }
    }
    if token_at == name.len() {
        return Err(TopicError::EmptyToken { at: token_at });
    }
    Ok(())
}

/// Whether `character` may stand in a token of a topic or a pattern.
pub(crate) const fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '_' | '-' | ':' | '/' | '+' | '=' | '@' | '~')
}

/// Why a text cannot be a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It has no byte.
    #[error("a topic is not empty")]
    Empty,
    /// It is longer than the hub allows.
    #[error("a topic has at most {bytes_max} bytes, this one {bytes}")]
    TooLong {
        /// Length of the text.
        bytes: usize,
        /// The hub's bound.
        bytes_max: usize,
    },
    /// It starts or ends with a dot, or has two in a row.
    #[error("an empty token at byte {at} of the topic: single dots stand between tokens")]
    EmptyToken {
        /// Place in bytes.
        at: usize,
    },
    /// It has a character that no token has.
    #[error("{character:?} at byte {at} of the topic: tokens have letters, digits and _-:/+=@~")]
    Character {
        /// The first such character.
        character: char,
        /// Place in bytes.
        at: usize,
    },
    /// It has a wildcard, which only patterns have.
    #[error("`{wildcard}` at byte {at}: wildcards stand in patterns, not in topics")]
    Wildcard {
        /// `*` or `>`.
        wildcard: char,
        /// Place in bytes.
        at: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str) -> Result<(), TopicError> {
        check_topic(name, 24)
    }

    #[test]
    fn names_of_the_field_are_topics() {
        for name in ["quote.BTCUSDT", "a", "quote.usdm.BTC-USD_PERP", "ns:a/b+c=d@e~f", "0.0"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        assert_eq!(check(""), Err(TopicError::Empty));
        assert_eq!(check(".a"), Err(TopicError::EmptyToken { at: 0 }));
        assert_eq!(check("a..b"), Err(TopicError::EmptyToken { at: 2 }));
        assert_eq!(check("ab."), Err(TopicError::EmptyToken { at: 3 }));
        assert_eq!(check("a b"), Err(TopicError::Character { character: ' ', at: 1 }));
        assert_eq!(check("aé"), Err(TopicError::Character { character: 'é', at: 1 }));
        assert_eq!(check("a\0"), Err(TopicError::Character { character: '\0', at: 1 }));
        assert_eq!(check("q.*"), Err(TopicError::Wildcard { wildcard: '*', at: 2 }));
        assert_eq!(check("q.>"), Err(TopicError::Wildcard { wildcard: '>', at: 2 }));
        let long = "a".repeat(25);
        assert_eq!(check(&long), Err(TopicError::TooLong { bytes: 25, bytes_max: 24 }));
        assert_eq!(check(&long[..24]), Ok(()));
    }
}
