//! The demo's quote: 40 bytes, so that a quote costs 64 on the wire.

/// Bytes of a [`Quote`].
pub const QUOTE_BYTES: usize = 40;

/// The best bid and ask, as five little-endian `i64`. Where the decimal points are stands in the
/// `body` of `subscribed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Quote {
    /// Price of the best bid.
    pub bid: i64,
    /// Size of the best bid.
    pub bid_size: i64,
    /// Price of the best ask.
    pub ask: i64,
    /// Size of the best ask.
    pub ask_size: i64,
    /// When the venue made it, in ns since 1970-01-01 UTC.
    pub venue_time: i64,
}

impl Quote {
    /// The 40 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; QUOTE_BYTES] {
        let mut bytes = [0; QUOTE_BYTES];
        let values = [self.bid, self.bid_size, self.ask, self.ask_size, self.venue_time];
        for (place, value) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(values) {
            *place = value.to_le_bytes();
        }
        bytes
    }

    /// Reads 40 bytes.
    ///
    /// # Errors
    /// There are more or fewer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QuoteError> {
        let (values, []) = bytes.as_chunks::<8>() else {
            return Err(QuoteError { bytes: bytes.len() });
        };
        let &[bid, bid_size, ask, ask_size, venue_time] = values else {
            return Err(QuoteError { bytes: bytes.len() });
        };
        Ok(Self {
            bid: i64::from_le_bytes(bid),
            bid_size: i64::from_le_bytes(bid_size),
            ask: i64::from_le_bytes(ask),
            ask_size: i64::from_le_bytes(ask_size),
            venue_time: i64::from_le_bytes(venue_time),
        })
    }
}

/// Bytes that are no quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quote has 40 bytes, this has {bytes}")]
pub struct QuoteError {
    /// How many there are.
    pub bytes: usize,
}
