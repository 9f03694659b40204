//! A message of a book's topic, taken apart: a change, or the whole book.

use serde::Deserialize;
use std::fmt;

/// What a message of a book's topic is.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    /// New quantities at some prices.
    Change(Change<'a>),
    /// The whole book.
    Whole(Whole<'a>),
}

/// Price and quantity, as the venue wrote them.
pub(crate) type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// New quantities at some prices; zero takes a price out.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// The number of the update before the first in it: a book that knows less has a hole.
    pub(crate) builds_on: u64,
    /// The number of the last update in it.
    pub(crate) last: u64,
    pub(crate) bids: Pairs<'a>,
    pub(crate) asks: Pairs<'a>,
}

/// A whole book, answered by the venue's REST interface. Other fields (times, symbol), which the
/// futures venues add, are not looked at.
#[derive(Debug)]
pub(crate) struct Whole<'a> {
    /// The number of the last update in it.
    pub(crate) last: u64,
    pub(crate) bids: Pairs<'a>,
    pub(crate) asks: Pairs<'a>,
}

/// Why a message is neither.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem(String);

impl Problem {
    /// A price or quantity that is no decimal number.
    pub(crate) fn number(text: &str) -> Self {
        Self(format!("{:?} is no price or quantity", super::line::shortened(text)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Takes a message apart. The fields of a change are those of the venue's diff depth streams: `U`
/// and `u` are its first and last update, `pu`, which only futures have, the last of the change
/// before it.
///
/// # Errors
///
/// What is missing, or of another type.
pub(crate) fn parse(payload: &str) -> Result<Parsed<'_>, Problem> {
    let message: Message<'_> =
        serde_json::from_str(payload).map_err(|error| Problem(error.to_string()))?;
    let missing = |field| Problem(format!("missing field `{field}`"));
    if let Some(Diff { first, last, previous, bids, asks }) = message.data {
        let builds_on = previous.unwrap_or_else(|| first.saturating_sub(1));
        return Ok(Parsed::Change(Change { builds_on, last, bids, asks }));
    }
    Ok(Parsed::Whole(Whole {
        last: message.last.ok_or_else(|| missing("data"))?,
        bids: message.bids.ok_or_else(|| missing("bids"))?,
        asks: message.asks.ok_or_else(|| missing("asks"))?,
    }))
}

/// A change has `data`, a whole book the others.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    data: Option<Diff<'a>>,
    #[serde(rename = "lastUpdateId")]
    last: Option<u64>,
    #[serde(borrow)]
    bids: Option<Pairs<'a>>,
    #[serde(borrow)]
    asks: Option<Pairs<'a>>,
}

#[derive(Deserialize)]
struct Diff<'a> {
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
    #[serde(rename = "pu")]
    previous: Option<u64>,
    #[serde(rename = "b", borrow)]
    bids: Pairs<'a>,
    #[serde(rename = "a", borrow)]
    asks: Pairs<'a>,
}
