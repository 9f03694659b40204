//! An order book as a client keeps it, and the one rebuilt straight from a recording. Neither
//! knows the program's own books: prices are compared by their text, which within one recording is
//! the same for the same price.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use eyre::{Result, ensure, eyre};
use serde_json::Value;

/// All levels, and how far the book is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    /// The venue's number of the last update in it.
    pub(crate) last_update_id: u64,
    bids: BTreeMap<Box<str>, Box<str>>,
    asks: BTreeMap<Box<str>, Box<str>>,
}

/// What two equal books have in common, and two others, but for a chance of 2⁻⁶⁴, have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print {
    /// The venue's number of the last update.
    pub(crate) last_update_id: u64,
    /// Prices on the bid and the ask side.
    pub(crate) levels: (usize, usize),
    /// Of all prices and quantities.
    pub(crate) hash: u64,
}

impl Book {
    /// `{"lastUpdateId":…,"bids":[["p","q"],…],"asks":[…]}`: each side must be in order, the best
    /// price first.
    pub(crate) fn whole(book: &Value) -> Result<Self> {
        let mut this = Self { last_update_id: number(book, "lastUpdateId")?, ..Self::default() };
        set(&mut this.bids, &book["bids"])?;
        set(&mut this.asks, &book["asks"])?;
        let (bids, asks) = (prices(&book["bids"])?, prices(&book["asks"])?);
        ensure!(bids.is_sorted_by(|a, b| a > b), "bids are out of order");
        ensure!(asks.is_sorted_by(|a, b| a < b), "asks are out of order");
        Ok(this)
    }

    /// Applies the `data` of a diff depth message, unless the book is newer.
    pub(crate) fn change(&mut self, data: &Value) -> Result<()> {
        let last = number(data, "u")?;
        if last <= self.last_update_id {
            return Ok(());
        }
        self.last_update_id = last;
        set(&mut self.bids, &data["b"])?;
        set(&mut self.asks, &data["a"])
    }

    /// Its print.
    pub(crate) fn print(&self) -> Print {
        let mut hasher = DefaultHasher::new();
        self.bids.hash(&mut hasher);
        self.asks.hash(&mut hasher);
        Print {
            last_update_id: self.last_update_id,
            levels: (self.bids.len(), self.asks.len()),
            hash: hasher.finish(),
        }
    }
}

/// The venue's procedure over one recording: what came before the whole book is kept, and what the
/// whole book does not know of it is applied.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    book: Option<Book>,
    early: Vec<Value>,
}

impl Reference {
    /// Takes in the next message of the recording; the book after it, once there is one.
    pub(crate) fn take(&mut self, payload: &[u8]) -> Result<Option<&Book>> {
        let mut message: Value = serde_json::from_slice(payload)?;
        if message.get("stream").is_none() {
            let mut book = Book::whole(&message)?;
            for data in self.early.drain(..) {
                book.change(&data)?;
            }
            ensure!(self.book.is_none(), "each recording was to have one whole book");
            self.book = Some(book);
        } else if let Some(book) = &mut self.book {
            book.change(&message["data"])?;
        } else {
            self.early.push(message["data"].take());
        }
        Ok(self.book.as_ref())
    }
}

fn number(object: &Value, field: &str) -> Result<u64> {
    object[field].as_u64().ok_or_else(|| eyre!("no number `{field}`"))
}

fn pairs(side: &Value) -> Result<impl Iterator<Item = Result<(&str, &str)>>> {
    let pairs = side.as_array().ok_or_else(|| eyre!("no array of levels: {side}"))?;
    Ok(pairs.iter().map(|pair| match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(price), Value::String(quantity)]) => Ok((&**price, &**quantity)),
        _ => Err(eyre!("no price and quantity: {pair}")),
    }))
}

fn prices(side: &Value) -> Result<Vec<f64>> {
    pairs(side)?.map(|pair| Ok(pair?.0.parse()?)).collect()
}

fn set(levels: &mut BTreeMap<Box<str>, Box<str>>, to: &Value) -> Result<()> {
    for pair in pairs(to)? {
        let (price, quantity) = pair?;
        if quantity.parse::<f64>()? == 0.0 {
            levels.remove(price);
        } else {
            levels.insert(price.into(), quantity.into());
        }
    }
    Ok(())
}
