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

use crate::ingest::Publishers;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

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

/// What the ways in for publishers need of all this.
#[derive(Debug)]
pub(crate) struct Holdings<'a> {
    /// Those of another process.
    pub(crate) listeners: &'a mut Listeners,
    /// Whether another process has the place.
    pub(crate) bequeathed: &'a Bequeathed,
    /// How far each publisher has come.
    pub(crate) publishers: &'a Arc<Publishers>,
}

impl Listeners {
    /// That of the admin port, if it is at this address.
    pub(crate) fn take_admin(&mut self, asked: SocketAddr) -> Option<TcpListener> {
        self.admin.take_if(|it| is_at(it, asked))
    }

    /// That of publishers over TCP, if it is at this address.
    pub(crate) fn take_ingest_tcp(&mut self, asked: SocketAddr) -> Option<TcpListener> {
        self.ingest_tcp.take_if(|it| is_at(it, asked))
    }

    /// That of publishers on a Unix socket, if it is at this path.
    pub(crate) fn take_ingest_unix(&mut self, asked: &Path) -> Option<UnixListener> {
        let is_there = |it: &mut UnixListener| {
            it.local_addr().is_ok_and(|address| address.as_pathname() == Some(asked))
        };
        self.ingest_unix.take_if(is_there)
    }

    /// Closes those of the admin port and of publishers that nobody has taken: who waits in them
    /// would wait for ever.
    pub(crate) fn close_unused(&mut self) {
        let Self { admin, ingest_tcp, ingest_unix, .. } = std::mem::take(self);
        let names = [
            admin.map(|_| "the admin port's"),
            ingest_tcp.map(|_| "ingest's over TCP"),
            ingest_unix.map(|_| "ingest's on a Unix socket"),
        ];
        for listener in names.into_iter().flatten() {
            tracing::info!(listener, "the process before has a listener that is not used here");
        }
    }
}

fn is_at(listener: &TcpListener, asked: SocketAddr) -> bool {
    listener.local_addr().is_ok_and(|address| {
        address.ip() == asked.ip() && (asked.port() == 0 || address.port() == asked.port())
    })
}

/// Whether another process has the place: it has it still, or has it now. Meanwhile nobody is
/// accepted and nothing is published here, and files of sockets are not taken away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bequeathed(Arc<Possession>);

#[derive(Debug, Default)]
struct Possession {
    is_anothers: AtomicBool,
    changed: Notify,
}

impl Bequeathed {
    /// Another process has it, or does not after all.
    pub(crate) fn set(&self, bequeathed: bool) {
        self.0.is_anothers.store(bequeathed, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Whether another process has it.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_anothers.load(Ordering::SeqCst)
    }

    /// Waits until no other process has it.
    pub(crate) async fn ours(&self) {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if !self.is_set() {
                return;
            }
            changed.await;
        }
    }
}
