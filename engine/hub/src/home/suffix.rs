//! The names of conflated variants: a topic and, behind `@`, how often it speaks.

use crate::limits::INTERVAL_MAX_MS;

/// Splits `quote.BTC@100ms` into the topic and the interval in milliseconds. A name without such
/// an end is a topic as a whole, with the interval 0.
///
/// The end is `@`, digits, and `ms` or `s`; `@1s` is `@1000ms`. Any other `@` belongs to the
/// topic, as in `btcusdt@bookTicker`.
///
/// # Errors
/// When the interval is 0 or above [`INTERVAL_MAX_MS`], or what stands before the end is no topic
/// of its own.
pub fn split_variant(name: &str) -> Result<(&str, u32), VariantError> {
    let Some((topic, interval_ms)) = split_end(name) else { return Ok((name, 0)) };
    let interval_ms = u32::try_from(interval_ms).unwrap_or(u32::MAX);
    if interval_ms == 0 || interval_ms > INTERVAL_MAX_MS {
        return Err(VariantError::Interval(shortened(name)));
    }
    if topic.is_empty() {
        return Err(VariantError::NoTopic(shortened(name)));
    }
    if split_end(topic).is_some() {
        return Err(VariantError::Twice(shortened(name)));
    }
    Ok((topic, interval_ms))
}

/// The name of a topic's variant; that of the topic itself with interval 0.
#[must_use]
pub fn variant_name(topic: &str, interval_ms: u32) -> String {
    match interval_ms {
        0 => topic.to_owned(),
        _ => format!("{topic}@{interval_ms}ms"),
    }
}

/// Why a text names no variant, though it ends like one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariantError {
    /// The interval is out of bounds.
    #[error("`{0}`: the interval of a variant is 1 ms to {INTERVAL_MAX_MS} ms")]
    Interval(Box<str>),
    /// There is nothing before the `@`.
    #[error("`{0}`: a topic stands before the interval")]
    NoTopic(Box<str>),
    /// It is a variant of a variant.
    #[error("`{0}`: a topic has one interval")]
    Twice(Box<str>),
}

/// The topic and the milliseconds, at most `u64::MAX`, of a name that ends in an interval.
fn split_end(name: &str) -> Option<(&str, u64)> {
    let (topic, end) = name.rsplit_once('@')?;
    let (digits, unit_ms) = match end.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (end.strip_suffix('s')?, 1_000),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only too many digits fail: more than any interval.
    Some((topic, digits.parse().unwrap_or(u64::MAX).saturating_mul(unit_ms)))
}

/// Enough of a name to recognise it: it comes from a peer and is of any length.
fn shortened(name: &str) -> Box<str> {
    name.chars().take(80).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_interval_at_the_end_makes_a_variant() {
        for (name, topic, interval_ms) in [
            ("quote.BTC@100ms", "quote.BTC", 100),
            ("quote.BTC@1s", "quote.BTC", 1_000),
            ("quote.BTC@060s", "quote.BTC", 60_000),
            ("btcusdt@depth@250ms", "btcusdt@depth", 250),
            ("btcusdt@bookTicker", "btcusdt@bookTicker", 0),
            ("kline@1m", "kline@1m", 0),
            ("a@100ms.b", "a@100ms.b", 0),
            ("a@ms", "a@ms", 0),
            ("a@+1ms", "a@+1ms", 0),
            ("a@", "a@", 0),
            ("quote.BTC", "quote.BTC", 0),
        ] {
            assert_eq!(split_variant(name), Ok((topic, interval_ms)), "{name}");
        }
        assert_eq!(variant_name("a@depth", 250), "a@depth@250ms");
        assert_eq!(variant_name("a", 0), "a");
    }

    #[test]
    fn an_interval_that_no_topic_can_have_is_an_error() {
        for name in ["a@0ms", "a@60001ms", "a@61s", "a@99999999999999999999999s", "a@4294967297ms"]
        {
            assert!(matches!(split_variant(name), Err(VariantError::Interval(_))), "{name}");
        }
        assert!(matches!(split_variant("@100ms"), Err(VariantError::NoTopic(_))));
        assert!(matches!(split_variant("a@1s@100ms"), Err(VariantError::Twice(_))));
        let long = format!("{}@0ms", "x".repeat(10_000));
        assert!(split_variant(&long).expect_err("0").to_string().len() < 200);
    }
}
