//! From a recorded stream's name to the topic it is published under, and the table of all of them.

use std::collections::HashMap;
use std::fmt;

/// Why a stream's name gives no topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// No `@`: there is no telling symbol from kind.
    NoAt,
    /// The symbol is empty, too long, or has a character that a topic's token has not.
    Symbol,
    /// None of `bookTicker`, `trade`, `depth`, `depth@…`.
    Kind,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAt => "it has no @ between symbol and kind",
            Self::Symbol => "its symbol is not 1 to 64 letters, digits, - or _",
            Self::Kind => "its kind is none of bookTicker, trade, depth",
        })
    }
}

/// `btcusdt@bookTicker` is `quote.BTCUSDT`, with the name `usdm` it is `quote.usdm.BTCUSDT`.
/// `trade` streams are `trade.…`, `depth` and `depth@…` are `book.…`.
///
/// # Errors
///
/// When the stream is of no such form.
pub(crate) fn topic_of(stream: &str, name: Option<&str>) -> Result<String, StreamError> {
    let (symbol, kind) = stream.split_once('@').ok_or(StreamError::NoAt)?;
    if !is_token(symbol) {
        return Err(StreamError::Symbol);
    }
    let prefix = match kind {
        "bookTicker" => "quote",
        "trade" => "trade",
        "depth" => "book",
        _ if kind.starts_with("depth@") => "book",
        _ => return Err(StreamError::Kind),
    };
    let symbol = symbol.to_ascii_uppercase();
    Ok(match name {
        Some(name) => format!("{prefix}.{name}.{symbol}"),
        None => format!("{prefix}.{symbol}"),
    })
}

/// Whether `text` can be one token of a topic here: 1 to 64 letters, digits, `-` or `_`.
pub(crate) fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Topics in the order of their first message, with how many messages each had.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    names: Vec<String>,
    messages: Vec<u64>,
    by_name: HashMap<String, usize>,
}

impl Topics {
    /// The number of the topic called `name`, a new one where it is not known yet.
    pub(crate) fn intern(&mut self, name: String) -> usize {
        if let Some(&index) = self.by_name.get(&name) {
            return index;
        }
        let index = self.names.len();
        self.names.push(name.clone());
        self.messages.push(0);
        self.by_name.insert(name, index);
        index
    }

    /// The name of the topic with number `index`.
    pub(crate) fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// Counts one message of the topic with number `index`.
    pub(crate) fn count(&mut self, index: usize) {
        self.messages[index] += 1;
    }

    /// Name and messages of each topic, by name.
    pub(crate) fn sorted(&self) -> Vec<(&str, u64)> {
        let names = self.names.iter().map(String::as_str);
        let mut all: Vec<_> = names.zip(self.messages.iter().copied()).collect();
        all.sort_unstable();
        all
    }

    /// Messages of all topics.
    pub(crate) fn total(&self) -> u64 {
        self.messages.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_become_topics() {
        for (stream, name, topic) in [
            ("btcusdt@bookTicker", None, "quote.BTCUSDT"),
            ("btcusdt@trade", None, "trade.BTCUSDT"),
            ("btcusdt@depth", None, "book.BTCUSDT"),
            ("btcusdt@depth@0ms", None, "book.BTCUSDT"),
            ("ethusd_perp@depth@100ms", Some("cm"), "book.cm.ETHUSD_PERP"),
            ("btcusdt@bookTicker", Some("usdm"), "quote.usdm.BTCUSDT"),
        ] {
            assert_eq!(topic_of(stream, name).as_deref(), Ok(topic));
        }
    }

    #[test]
    fn what_is_no_stream_is_told() {
        for (stream, error) in [
            ("btcusdt", StreamError::NoAt),
            ("", StreamError::NoAt),
            ("@trade", StreamError::Symbol),
            ("btc.usdt@trade", StreamError::Symbol),
            ("btc*@trade", StreamError::Symbol),
            ("btcusdt@", StreamError::Kind),
            ("btcusdt@kline_1m", StreamError::Kind),
            ("btcusdt@depth20", StreamError::Kind),
        ] {
            assert_eq!(topic_of(stream, None), Err(error), "{stream:?}");
        }
    }

    #[test]
    fn topics_are_interned_once_and_counted() {
        let mut topics = Topics::default();
        let quote = topics.intern("quote.B".into());
        let trade = topics.intern("trade.A".into());
        assert_eq!(topics.intern("quote.B".into()), quote);
        topics.count(quote);
        topics.count(quote);
        topics.count(trade);
        assert_eq!(topics.name(trade), "trade.A");
        assert_eq!(topics.sorted(), [("quote.B", 2), ("trade.A", 1)]);
        assert_eq!(topics.total(), 3);
    }
}
