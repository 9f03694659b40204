//! The order books of a replay, as the publisher knows them: whoever joins a book's topic late gets
//! the whole of it from here.
//!
//! A recording begins with changes to a book that nobody has; then comes the whole book that the
//! recorder asked for, which is older than the last changes before it. So the changes are kept
//! until then, and those that the whole book does not know are applied to it: the procedure that
//! the venue prescribes ("How to manage a local order book correctly").

use super::change::{Change, Parsed, Problem, Whole, parse};
use super::limits::{BOOK_LEVELS_MAX, EARLY_BYTES_MAX, SNAPSHOT_BYTES};
use super::price::{Price, is_zero};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// One topic's book. Without one it waits for the recording's next whole book.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    book: Option<Book>,
    early: Early,
    /// Messages since the last snapshot.
    since_snapshot: u32,
    bytes_since_snapshot: usize,
}

impl Keeper {
    /// Takes in the next message of the topic. True when a snapshot should follow it: the book has
    /// just begun, or `every` messages have passed since the last. With 0 only the former.
    ///
    /// # Errors
    ///
    /// Why the book is lost: said once, then the keeper waits for the next whole one.
    pub(crate) fn take(&mut self, payload: &str, every: u32) -> Result<bool, Lost> {
        let taken = match parse(payload) {
            Ok(parsed) => self.apply(parsed, payload),
            Err(problem) => Err(Lost::Message(problem)),
        };
        let begun = match taken {
            Ok(begun) => begun,
            Err(lost) => {
                self.early.clear();
                // A book that was not there is not lost.
                return if self.book.take().is_some() { Err(lost) } else { Ok(false) };
            }
        };
        self.since_snapshot = self.since_snapshot.saturating_add(1);
        self.bytes_since_snapshot += payload.len();
        let enough = self.since_snapshot >= every || self.bytes_since_snapshot >= SNAPSHOT_BYTES;
        let due = begun || (every > 0 && enough);
        let due = due && self.book.is_some();
        if due {
            (self.since_snapshot, self.bytes_since_snapshot) = (0, 0);
        }
        Ok(due)
    }

    /// The book after the last message, as JSON; none while there is no book.
    pub(crate) fn snapshot(&self) -> Option<String> {
        self.book.as_ref().map(Book::to_json)
    }

    /// True when the book begins with this.
    fn apply(&mut self, parsed: Parsed<'_>, payload: &str) -> Result<bool, Lost> {
        match parsed {
            Parsed::Change(change) => match &mut self.book {
                Some(book) => book.change(&change).map(|()| false),
                None => {
                    self.early.push(payload);
                    Ok(false)
                }
            },
            // Asked for before the last change: it knows nothing new.
            Parsed::Whole(whole)
                if self.book.as_ref().is_some_and(|book| book.last >= whole.last) =>
            {
                Ok(false)
            }
            Parsed::Whole(whole) => {
                let mut book = Book::new(&whole)?;
                for early in &self.early.payloads {
                    if let Ok(Parsed::Change(change)) = parse(early) {
                        book.change(&change)?;
                    }
                }
                self.early.clear();
                self.book = Some(book);
                Ok(true)
            }
        }
    }
}

/// Why there is no book any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// A message that is neither a change nor a whole book.
    Message(Problem),
    /// A change follows on one that was not recorded: the book is at `known`, it builds on
    /// `needed`.
    Missing { known: u64, needed: u64 },
    /// More than [`BOOK_LEVELS_MAX`] prices on one side.
    Levels,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(problem) => write!(f, "a message is no change of a book: {problem}"),
            Self::Missing { known, needed } => write!(
                f,
                "changes are missing from the recording: the book is at update {known}, the next \
                 change builds on {needed}"
            ),
            Self::Levels => write!(f, "more than {BOOK_LEVELS_MAX} prices on one side"),
        }
    }
}

/// A whole book.
#[derive(Debug)]
struct Book {
    /// The venue's number of the last update in it.
    last: u64,
    bids: Levels,
    asks: Levels,
}

/// One side. Price and quantity stay the venue's text.
type Levels = BTreeMap<Price, (Box<str>, Box<str>)>;

/// The book as it is told.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "lastUpdateId")]
    last_update_id: u64,
    bids: Vec<&'a (Box<str>, Box<str>)>,
    asks: Vec<&'a (Box<str>, Box<str>)>,
}

impl Book {
    fn new(whole: &Whole<'_>) -> Result<Self, Lost> {
        let mut book = Self { last: whole.last, bids: Levels::new(), asks: Levels::new() };
        set(&mut book.bids, &whole.bids)?;
        set(&mut book.asks, &whole.asks)?;
        Ok(book)
    }

    fn change(&mut self, change: &Change<'_>) -> Result<(), Lost> {
        if change.last <= self.last {
            return Ok(());
        }
        if change.builds_on > self.last {
            return Err(Lost::Missing { known: self.last, needed: change.builds_on });
        }
        self.last = change.last;
        set(&mut self.bids, &change.bids)?;
        set(&mut self.asks, &change.asks)
    }

    /// Best price first on both sides.
    fn to_json(&self) -> String {
        let told = Told {
            last_update_id: self.last,
            bids: self.bids.values().rev().collect(),
            asks: self.asks.values().collect(),
        };
        serde_json::to_string(&told).unwrap_or_default()
    }
}

/// Puts each quantity in the place of its price's last; one of zero takes the price out.
fn set(levels: &mut Levels, to: &[(&str, &str)]) -> Result<(), Lost> {
    for &(price, quantity) in to {
        let key = Price::parse(price).ok_or_else(|| Lost::Message(Problem::number(price)))?;
        match is_zero(quantity) {
            None => return Err(Lost::Message(Problem::number(quantity))),
            Some(true) => drop(levels.remove(&key)),
            Some(false) => drop(levels.insert(key, (price.into(), quantity.into()))),
        }
    }
    if levels.len() > BOOK_LEVELS_MAX { Err(Lost::Levels) } else { Ok(()) }
}

/// The last changes while there is no book.
#[derive(Debug, Default)]
struct Early {
    payloads: VecDeque<Box<str>>,
    bytes: usize,
}

impl Early {
    /// Without room the oldest go: the whole book may know them already, and where it does not, it
    /// is said then.
    fn push(&mut self, payload: &str) {
        self.bytes += payload.len();
        self.payloads.push_back(payload.into());
        while self.bytes > EARLY_BYTES_MAX {
            let Some(oldest) = self.payloads.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(first: u64, last: u64, bid: (&str, &str), ask: (&str, &str)) -> String {
        let sides = serde_json::json!([[bid], [ask]]);
        let (bids, asks) = (&sides[0], &sides[1]);
        format!(r#"{{"stream":"a@depth","data":{{"U":{first},"u":{last},"b":{bids},"a":{asks}}}}}"#)
    }

    fn whole(last: u64, bid: &str, ask: &str) -> String {
        format!(r#"{{"lastUpdateId":{last},"E":1,"bids":[["{bid}","1"]],"asks":[["{ask}","1"]]}}"#)
    }

    fn taken(keeper: &mut Keeper, payload: &str) -> bool {
        keeper.take(payload, 3).expect("a good message")
    }

    #[test]
    fn a_book_is_the_whole_one_and_the_changes_that_it_does_not_know() {
        let mut keeper = Keeper::default();
        assert!(!taken(&mut keeper, &change(1, 4, ("9", "4"), ("20", "4"))));
        assert!(!taken(&mut keeper, &change(5, 9, ("10", "0.00"), ("21", "9"))));
        assert_eq!(keeper.snapshot(), None);
        // As of 7: the first change is in it, the second is not.
        assert!(taken(&mut keeper, &whole(7, "10", "20.0")));
        let expected = r#"{"lastUpdateId":9,"bids":[],"asks":[["20.0","1"],["21","9"]]}"#;
        assert_eq!(keeper.snapshot().as_deref(), Some(expected));
        // 9.50 is above 9.5's place in the text's order, and equal by value.
        assert!(!taken(&mut keeper, &change(10, 11, ("9.5", "1"), ("20", "0"))));
        assert!(!taken(&mut keeper, &change(12, 12, ("9.50", "2.10"), ("100", "3"))));
        assert!(taken(&mut keeper, &change(13, 14, ("8", "1"), ("3", "0"))), "every third");
        let expected = concat!(
            r#"{"lastUpdateId":14,"bids":[["9.50","2.10"],["8","1"]],"#,
            r#""asks":[["21","9"],["100","3"]]}"#
        );
        assert_eq!(keeper.snapshot().as_deref(), Some(expected));
    }

    #[test]
    fn large_changes_are_followed_by_a_snapshot_before_they_are_many() {
        let mut keeper = Keeper::default();
        assert!(taken(&mut keeper, &whole(0, "10", "20")));
        let padding = " ".repeat(SNAPSHOT_BYTES / 2);
        let mut take = |number: u64, every: u32| {
            let message = change(number, number, ("9", "4"), ("20", "4")) + &padding;
            keeper.take(&message, every).expect("a good message")
        };
        assert_eq!([take(1, 1_000), take(2, 1_000), take(3, 1_000)], [false, true, false]);
        assert_eq!([take(4, 0), take(5, 0)], [false, false], "0 asks for none");
    }

    #[test]
    fn what_is_older_than_the_book_changes_nothing() {
        let mut keeper = Keeper::default();
        assert!(taken(&mut keeper, &whole(7, "10", "20")));
        let before = keeper.snapshot();
        assert!(!taken(&mut keeper, &change(1, 7, ("1", "1"), ("2", "1"))));
        assert!(!taken(&mut keeper, &whole(6, "1", "2")));
        assert_eq!(keeper.snapshot(), before);
        assert!(taken(&mut keeper, &whole(8, "1", "2")));
        assert!(keeper.snapshot().is_some_and(|book| book.contains(r#""bids":[["1","1"]]"#)));
    }

    #[test]
    fn a_hole_loses_the_book_once_until_the_next_whole_one() {
        let mut keeper = Keeper::default();
        assert!(taken(&mut keeper, &whole(7, "10", "20")));
        let lost = keeper.take(&change(9, 9, ("1", "1"), ("2", "1")), 1);
        assert_eq!(lost, Err(Lost::Missing { known: 7, needed: 8 }));
        assert_eq!(keeper.take(&change(12, 12, ("1", "1"), ("2", "1")), 1), Ok(false));
        assert_eq!(keeper.snapshot(), None);
        // The change in between is missing: this whole book is too old for what is kept.
        assert_eq!(keeper.take(&whole(8, "10", "20"), 1), Ok(false));
        assert_eq!(keeper.snapshot(), None);
        assert!(taken(&mut keeper, &whole(12, "10", "20")));
    }

    #[test]
    fn futures_say_on_what_a_change_builds() {
        let mut keeper = Keeper::default();
        assert!(taken(&mut keeper, &whole(7, "10", "20")));
        let next = |previous, last| {
            format!(
                r#"{{"data":{{"U":{last},"u":{last},"pu":{previous},"b":[],"a":[["1","1"]]}}}}"#
            )
        };
        assert_eq!(keeper.take(&next(6, 50), 0), Ok(false));
        assert_eq!(keeper.take(&next(50, 90), 0), Ok(false));
        let lost = keeper.take(&next(91, 95), 0).expect_err("90 to 91 is missing");
        assert!(lost.to_string().contains("at update 90, the next change builds on 91"), "{lost}");
    }

    #[test]
    fn what_is_no_change_is_named() {
        for (payload, word) in [
            ("{}", "missing field `data`"),
            (r#"{"data":{"U":1,"b":[],"a":[]}}"#, "missing field `u`"),
            (r#"{"lastUpdateId":8,"asks":[]}"#, "missing field `bids`"),
            (r#"{"data":{"U":8,"u":8,"b":[["1.2.3","1"]],"a":[]}}"#, "\"1.2.3\" is no price"),
            (r#"{"data":{"U":8,"u":8,"b":[["1","much"]],"a":[]}}"#, "\"much\" is no price"),
            (r#"{"data":{"U":8,"u":8,"b":[[1,2]],"a":[]}}"#, "invalid type: integer"),
        ] {
            let mut keeper = Keeper::default();
            assert!(taken(&mut keeper, &whole(7, "10", "20")));
            let lost = keeper.take(payload, 0).expect_err("no change").to_string();
            assert!(lost.contains(word), "{payload} gave {lost:?}, without {word:?}");
            assert_eq!(keeper.take(payload, 0), Ok(false), "said once");
        }
    }

    #[test]
    fn both_bounds_hold() {
        let mut keeper = Keeper::default();
        let long = change(1, 1, (&"1".repeat(20), &"9".repeat(EARLY_BYTES_MAX / 4)), ("2", "1"));
        (0..10).for_each(|_| assert!(!taken(&mut keeper, &long)));
        assert!(keeper.early.bytes <= EARLY_BYTES_MAX && keeper.early.payloads.len() == 3);

        let pairs: Vec<_> = (0..=BOOK_LEVELS_MAX).map(|n| [n.to_string(), "1".into()]).collect();
        let pairs = serde_json::to_string(&pairs).expect("strings");
        let payload = format!(r#"{{"data":{{"U":8,"u":8,"b":{pairs},"a":[]}}}}"#);
        let mut keeper = Keeper::default();
        assert!(taken(&mut keeper, &whole(7, "10", "20")));
        assert_eq!(keeper.take(&payload, 0), Err(Lost::Levels));
    }
}
