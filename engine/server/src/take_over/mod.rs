//! One process takes the place of another: it gets the listening sockets of all ports and all that
//! topics keep, over a Unix socket, and goes on in the same epoch.
//!
//! - [`offer`] is the side of the process that runs: it waits for an heir, and leaves to it.
//! - [`heir`] is the side of the process that starts.
//! - [`place`] is what a process leaves, or gets.
//! - [`relay`] keeps the clients of the one that leaves up to date.
//! - [`wire`] is what they say to each other, [`image`] how a topic looks then.

mod channel;
pub(crate) mod heir;
mod image;
pub(crate) mod offer;
pub(crate) mod place;
mod relay;
#[cfg(test)]
mod tests;
mod wire;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Listening sockets that another process had, or will have.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// Of the engine.
    pub(crate) engine: Vec<OwnedFd>,
    /// Of the engine, at the address that speaks TLS alone.
    pub(crate) engine_tls: Vec<OwnedFd>,
    /// Of the admin port.
    pub(crate) admin: Option<TcpListener>,
    /// Of publishers, over TCP.
    pub(crate) ingest_tcp: Option<TcpListener>,
    /// Of publishers, on a Unix socket.
    pub(crate) ingest_unix: Option<UnixListener>,
    /// Of who takes over next.
    pub(crate) offer: Option<UnixListener>,
}

/// Whether another process has what this one had: then nothing is published here any more, and
/// files of sockets are not taken away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bequeathed(Arc<AtomicBool>);

impl Bequeathed {
    /// Another process has it, or does not after all.
    pub(crate) fn set(&self, bequeathed: bool) {
        self.0.store(bequeathed, Ordering::SeqCst);
    }

    /// Whether another process has it.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
