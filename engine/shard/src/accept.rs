//! The accept task of a shard: one, never raced, and never spinning when the process is out of
//! descriptors.

use std::fs::File;
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use crate::door::Door;
use crate::handler::Handler;
use crate::limits::{ACCEPTS_PER_TURN_MAX, REFUSALS_PER_TURN_MAX};
use crate::refusal::{self, FULL};
use crate::shard::Shard;
use crate::{edge, pace, socket};

/// How long the listener rests when the process is out of descriptors or memory.
const REST: Duration = Duration::from_millis(100);

/// Accepts until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>, door: Door) {
    let mut reserve = Reserve::open();
    while let Err(error) = shard.watch.listener(&door) {
        tracing::error!(shard = shard.id.0, %error, "cannot watch the listener: trying again");
        shard.sleep(REST).await;
    }
    loop {
        let mut may_be_more = false;
        for listener in door.sockets.iter().filter(|_| shard.accepting.get()) {
            may_be_more |= accept(&shard, listener, door.secure, &mut reserve).await;
        }
        if may_be_more {
            // Others want their turn, and the executor a look at its rings.
            pace::pause(&shard).await;
        } else {
            shard.listening[usize::from(door.secure)].wait().await;
        }
    }
}

/// Accepts what makes a turn. Says whether there may be more.
async fn accept<H: Handler>(
    shard: &Shard<H>,
    listener: &OwnedFd,
    secure: bool,
    reserve: &mut Reserve,
) -> bool {
    let accepted = socket::accept_waiting(listener, ACCEPTS_PER_TURN_MAX, |fd, peer| {
        admit(shard, fd, peer, secure);
    });
    let error = match accepted {
        Ok(may_be_more) => return may_be_more,
        Err(error) => error,
    };
    if socket::is_exhaustion(&error) {
        shard.stats.accept_errors.add(1);
        tracing::warn!(shard = shard.id.0, %error, "cannot accept: refusing who waits");
        reserve.refuse_waiting(listener, secure);
        shard.sleep(REST).await;
    } else {
        // What is wrong with one connection that waits (accept(2)), or a listener that is closing.
        tracing::debug!(shard = shard.id.0, %error, "cannot accept");
        shard.sleep(REST / 100).await;
    }
    true
}

/// Gives a connection its place, or refuses it: when the shard is full, or its address has spent
/// its budget. Who would have to do a TLS handshake first (`secure`) is not told why.
pub(crate) fn admit<H: Handler>(shard: &Shard<H>, fd: OwnedFd, peer: SocketAddr, secure: bool) {
    if shard.live.get() >= shard.config.connection.connections_max {
        shard.stats.refused.add(1);
        return refusal::refuse(shard, fd, (!secure).then_some(FULL));
    }
    match edge::enter(shard, peer) {
        Ok(entrance) => shard.admit(fd, peer, entrance, secure),
        Err(denied) => {
            let answer = refusal::note(shard, peer, denied);
            shard.stats.refused.add(1);
            refusal::refuse(shard, fd, (!secure).then_some(answer));
        }
    }
}

/// A descriptor kept back, so that there is one to answer with when the process has no other.
struct Reserve(Option<File>);

impl Reserve {
    fn open() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Answers who waits in the accept queue with 503, one at a time, on the reserve's descriptor.
    fn refuse_waiting(&mut self, listener: &OwnedFd, secure: bool) {
        for _ in 0..REFUSALS_PER_TURN_MAX {
            self.0 = None;
            let mut refused = false;
            let _ = socket::accept_waiting(listener, 1, |fd, _| {
                refused = true;
                if !secure {
                    let _ = socket::write(fd.as_raw_fd(), &[IoSlice::new(FULL)]);
                }
                socket::shut(fd.as_raw_fd(), Shutdown::Write);
                refusal::close(fd);
            });
            *self = Self::open();
            if !refused {
                return;
            }
        }
    }
}
