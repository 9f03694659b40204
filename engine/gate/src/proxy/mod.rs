//! What proxies say of a client's address: the PROXY protocol in front of the first byte, or a
//! header field of the request. Whether a proxy is to be believed is asked elsewhere, before.

mod forwarded;
mod hop;
pub mod limits;
mod v1;
mod v2;

use core::net::SocketAddr;

pub use forwarded::{
    client_by_forwarded, client_by_x_forwarded_for, secure_by_forwarded,
    secure_by_x_forwarded_proto,
};
pub use hop::{Client, HopError};

/// Versions of the PROXY protocol that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// The line of text.
    V1,
    /// The binary one.
    V2,
    /// Either.
    Any,
}

/// Reads a PROXY header as it comes in, and keeps no more of it than an address needs.
#[derive(Clone, Debug)]
pub struct ProxyHeader {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing has come, or what both versions do not contradict yet.
    Begun(Versions),
    V1(v1::Line),
    V2(v2::Header),
}

/// What a PROXY header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// The proxy speaks for this client.
    For(SocketAddr),
    /// It speaks for itself (a health check), or does not say for whom.
    Itself,
}

/// What is no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It does not begin as one, in a version that is taken.
    #[error("no PROXY header of the version that is asked for")]
    Signature,
    /// It is longer than a header may be.
    #[error("a PROXY header that is too long")]
    TooLong,
    /// It begins as one, and goes on as none.
    #[error("a malformed PROXY header")]
    Malformed,
}

impl ProxyHeader {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(versions: Versions) -> Self {
        Self { state: State::Begun(versions) }
    }

    /// Takes the next bytes. `Some`: the header is whole, and ends behind so many of *these* bytes;
    /// `None`: all of them belong to it, and there is more to come.
    ///
    /// # Errors
    /// What keeps them from being a PROXY header; as soon as that is known.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<(usize, Spoken)>, ProxyError> {
        for (index, &byte) in bytes.iter().enumerate() {
            if let Some(spoken) = self.push(byte)? {
                return Ok(Some((index + 1, spoken)));
            }
        }
        Ok(None)
    }

    fn push(&mut self, byte: u8) -> Result<Option<Spoken>, ProxyError> {
        if let State::Begun(versions) = self.state {
            // Their first bytes differ.
            self.state = match (byte, versions) {
                (b'P', Versions::V1 | Versions::Any) => State::V1(v1::Line::default()),
                (b'\r', Versions::V2 | Versions::Any) => State::V2(v2::Header::default()),
                _ => return Err(ProxyError::Signature),
            };
        }
        match &mut self.state {
            State::V1(line) => line.push(byte),
            State::V2(header) => header.push(byte),
            State::Begun(_) => unreachable!("decided by the first byte"),
        }
    }
}
