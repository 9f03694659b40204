//! Clients that a test has not closed when it stops its server: they hang up first. Else the
//! server waits, as it must, until each has answered its Close, and nobody reads it any more.

use std::cell::RefCell;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Weak};

thread_local! {
    /// The connections that this thread has opened, for as long as they are there.
    static OPENED: RefCell<Vec<Weak<TcpStream>>> = const { RefCell::new(Vec::new()) };
}

/// Notes a connection.
pub(crate) fn note(stream: &Arc<TcpStream>) {
    OPENED.with_borrow_mut(|opened| {
        if opened.len() == opened.capacity() {
            opened.retain(|stream| stream.strong_count() > 0);
        }
        opened.push(Arc::downgrade(stream));
    });
}

/// Ends the connections of this thread to a server that is about to be stopped.
pub(crate) fn all(server: SocketAddr) {
    for stream in OPENED.take().iter().filter_map(Weak::upgrade) {
        if stream.peer_addr().is_ok_and(|peer| peer == server) {
            // It may have ended before.
            let _ = stream.shutdown(Shutdown::Both);
        } else {
            note(&stream);
        }
    }
}
