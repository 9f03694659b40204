//! How much one may do: connections at once and handshakes in a second for each address,
//! connections for each user, messages and bytes in a second for each connection.
//!
//! Time is passed in, in nanoseconds of a monotonic clock. Everything is counted in whole numbers:
//! no budget drifts, however long it runs.

mod bucket;
mod key;
pub mod limits;
mod meter;
mod table;

pub use bucket::{Level, Rate};
pub use key::address_key;
pub use meter::{Meter, MeterRates, Spending};
pub use table::{Bounds, Denied, Place, Refusal, Table};
