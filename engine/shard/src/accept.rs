//! The accept task of a shard: one, never raced, and never spinning when the process is out of
//! descriptors.

use std::fs::File;
use std::io::IoSlice;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use glommio::net::{AcceptedTcpStream, TcpStream};

use crate::connection::Connection;
use crate::handler::Handler;
use crate::limits::{ACCEPTS_PER_TURN_MAX, REFUSALS_PER_TURN_MAX};
use crate::shard::Shard;
use crate::socket::Listener;
use crate::{pace, socket};

/// How long the listener rests when the process is out of descriptors or memory.
const REST: Duration = Duration::from_millis(100);

/// What a client is told when there is no place for it.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 33\r\n\r\n\
    no room for another connection.\r\n";

/// Accepts until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>, listener: Listener) {
    let mut reserve = Reserve::open();
    loop {
        // The accepted descriptor is Copy and has no Drop: it becomes a stream before anything can
        // fail.
        let first = listener.waiter.shared_accept().await.map(AcceptedTcpStream::bind_to_executor);
        let outcome = match first {
            Ok(stream) => {
                admit(&shard, stream);
                socket::accept_waiting(&listener, ACCEPTS_PER_TURN_MAX, |fd| {
                    admit(&shard, socket::to_stream(fd));
                })
            }
            Err(error) => Err(error.into()),
        };
        match outcome {
            // glommio's accept takes what waits without a pause: others want their turn, and the
            // executor a look at its rings.
            Ok(()) => pace::pause().await,
            Err(error) if socket::is_exhaustion(&error) => {
                shard.stats.accept_errors.add(1);
                tracing::warn!(shard = shard.id.0, %error, "cannot accept: refusing who waits");
                reserve.refuse_waiting(&listener);
                glommio::timer::sleep(REST).await;
            }
            Err(error) => {
                // A connection that was gone before it was accepted, or a listener that is closing.
                tracing::debug!(shard = shard.id.0, %error, "cannot accept");
                glommio::timer::sleep(REST / 100).await;
            }
        }
    }
}

/// Gives a connection its task, or refuses it when the shard is full.
fn admit<H: Handler>(shard: &Rc<Shard<H>>, stream: TcpStream) {
    let fd = stream.as_raw_fd();
    socket::prepare(fd, &shard.config.socket);
    let Ok(peer) = stream.peer_addr() else {
        // Gone already.
        socket::shut(fd, Shutdown::Both);
        return;
    };
    if shard.live.get() >= shard.config.connection.connections_max {
        shard.stats.refused.add(1);
        let _ = socket::write(fd, &[IoSlice::new(FULL)]);
        socket::shut(fd, Shutdown::Both);
        return;
    }
    glommio::spawn_local(Connection::new(Rc::clone(shard), stream, peer)).detach();
}

/// A descriptor kept back, so that there is one to answer with when the process has no other.
struct Reserve(Option<File>);

impl Reserve {
    fn open() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Answers who waits in the accept queue with 503, one at a time, on the reserve's descriptor.
    fn refuse_waiting(&mut self, listener: &Listener) {
        for _ in 0..REFUSALS_PER_TURN_MAX {
            self.0 = None;
            let mut refused = false;
            let _ = socket::accept_waiting(listener, 1, |fd| {
                refused = true;
                let _ = socket::write(fd.as_raw_fd(), &[IoSlice::new(FULL)]);
                socket::shut(fd.as_raw_fd(), Shutdown::Write);
            });
            *self = Self::open();
            if !refused {
                return;
            }
        }
    }
}
