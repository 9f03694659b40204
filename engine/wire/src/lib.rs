//! RFC 6455 and RFC 7692 as pure state machines: bytes in, events and bytes out.
//!
//! No I/O, no clock: who owns the socket feeds what it read and sends what it is given.
//!
//! - [`handshake`]: the server's side of the opening handshake, from the head's bytes to the
//!   answer's.
//! - [`client`]: the client's side of it, and masked frames.
//! - [`Receiver`]: messages out of bytes, in place, in any chunking. Beneath it
//!   [`parser`] (frames), [`frame`] (headers), [`mask`] and [`utf8`].
//! - [`Frame`]: a frame encoded once and shared by all that receive it.
//! - [`deflate`]: permessage-deflate (RFC 7692), agreed, inflated and deflated once for all.
//! - [`close`]: which close codes may stand on the wire.
//! - [`limits`]: every bound.

#![deny(unsafe_code)]

pub mod client;
pub mod close;
pub mod deflate;
mod error;
pub mod frame;
pub mod handshake;
mod input;
pub mod limits;
pub mod mask;
pub mod parser;
mod partial;
mod prepared;
mod receiver;
pub mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use deflate::{Deflater, InflatePool, Inflation};
pub use error::ProtocolError;
pub use frame::{Header, Opcode};
pub use handshake::{HandshakeError, HeadScanner, Request, Upgrade};
pub use input::Input;
pub use parser::{Chunk, Parser, Role};
pub use prepared::{Frame, PrepareError};
pub use receiver::{Event, Receiver, ReceiverLimits};
