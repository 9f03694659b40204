//! The server's side of the opening handshake (RFC 6455 §4.2), strict where laxness is how
//! requests are smuggled.
//!
//! Feed what arrives to a [`HeadScanner`] until it finds the end of the head, parse that as a
//! [`Request`], and where [`Request::is_upgrade`] turn it into an [`Upgrade`]; answer with
//! [`accept_response`], or with [`HandshakeError::to_response`]. Bytes behind the head are
//! frames, to be parsed only after the 101 was sent.

mod accept;
mod error;
mod extension;
mod fields;
mod request;
mod response;
mod scanner;
mod upgrade;

pub use accept::accept_key;
pub use error::HandshakeError;
pub use extension::ExtensionOffer;
pub use request::{Request, Version};
pub use response::{InvalidResponse, accept_response, response};
pub use scanner::HeadScanner;
pub use upgrade::Upgrade;

pub(crate) use accept::encode_key;
pub(crate) use fields::{Fields, is_token, list};
pub(crate) use response::push_header;
