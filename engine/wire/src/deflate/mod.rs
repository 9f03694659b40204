//! permessage-deflate (RFC 7692): messages compressed one by one.
//!
//! - [`negotiate`]: what is agreed to of what a client offers.
//! - [`InflatePool`] and [`Inflation`]: what comes in, inflated as it arrives and never past the
//!   bound of a message.
//! - [`Deflater`]: a frame compressed once, to be shared by all that receive it. So it keeps no
//!   context from one message to the next, and every agreement says so.

mod deflater;
mod inflater;
mod inflation;
mod negotiation;
mod pool;

pub use deflater::Deflater;
pub use inflation::Inflation;
pub use negotiation::{Agreed, negotiate};
pub use pool::{InflatePool, InflateTotals};

/// Ends each message; left out on the wire.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The longest window of DEFLATE, as a power of two.
const WINDOW_BITS_MAX: u8 = 15;
