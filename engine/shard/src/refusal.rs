//! Who is refused before anything is read of him: answered in a few bytes, without a slot.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use corecast_gate::budget::{Denied, Rate, Refusal};
use corecast_hub::Timestamp;
use corecast_wire::limits::HEAD_BYTES_MAX;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::handler::Handler;
use crate::limits::{REFUSAL_LINGER, REFUSALS_LINGERING_MAX};
use crate::shard::Shard;
use crate::socket;

/// What a client is told when there is no place for it.
pub(crate) const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 33\r\n\r\n\
    no room for another connection.\r\n";

/// What it is told when its address has as many connections as it may have.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 10\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 41\r\n\r\n\
    too many connections from your address.\r\n";

/// What it is told when its address connects too often.
const TOO_OFTEN: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 1\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 49\r\n\r\n\
    too many connections a second from your address\r\n";

/// Refused sockets whose peers have not read why yet. To close at once what still sends would reset
/// it, and the answer with it.
#[derive(Debug, Default)]
pub(crate) struct Lingering(RefCell<VecDeque<(OwnedFd, Timestamp)>>);

/// The log's lines about refusals: many addresses make no flood of lines.
pub(crate) const LINES: Rate = Rate::new(1, 20);

/// Refuses a socket that was just accepted. On a listener for TLS nothing is said: no handshake is
/// worth it.
pub(crate) fn refuse<H: Handler>(shard: &Shard<H>, fd: OwnedFd, answer: Option<&'static [u8]>) {
    let Some(answer) = answer else { return };
    let _ = socket::write(fd.as_raw_fd(), &[IoSlice::new(answer)]);
    socket::shut(fd.as_raw_fd(), Shutdown::Write);
    shard.edge.lingering.push(fd, shard.clock.now().after(REFUSAL_LINGER));
}

/// Counts a refusal for the budget of an address, tells the operator where it is news, and gives
/// the answer.
pub(crate) fn note<H: Handler>(
    shard: &Shard<H>,
    address: SocketAddr,
    denied: Denied,
) -> &'static [u8] {
    let stats = &shard.stats;
    let (count, what, answer) = match denied.refusal {
        Refusal::Connections => {
            (&stats.refused_by_address, "has as many connections as it may have", TOO_MANY)
        }
        Refusal::Rate(_) => (&stats.refused_by_rate, "connects too often", TOO_OFTEN),
    };
    count.add(1);
    if denied.is_news && shard.edge.may_tell(shard.clock.now()) {
        let address = address.ip();
        tracing::warn!(
            shard = shard.id.0, %address,
            "refused: this address {what}; if it is a proxy, name it in proxy.trusted, or in \
             address.exempt"
        );
    }
    answer
}

impl Lingering {
    /// Keeps a socket open until then, or until others need its place.
    fn push(&self, fd: OwnedFd, until: Timestamp) {
        let mut sockets = self.0.borrow_mut();
        if sockets.len() >= REFUSALS_LINGERING_MAX
            && let Some((oldest, _)) = sockets.pop_front()
        {
            close(oldest);
        }
        sockets.push_back((fd, until));
    }

    /// Closes those whose time has come.
    pub(crate) fn expire(&self, now: Timestamp) {
        let mut sockets = self.0.borrow_mut();
        while sockets.front().is_some_and(|(_, until)| *until <= now) {
            if let Some((fd, _)) = sockets.pop_front() {
                close(fd);
            }
        }
    }
}

/// Closes a socket. What came meanwhile is taken out of it before, as much as the longest head has:
/// with bytes unread, the peer would be reset.
pub(crate) fn close(fd: OwnedFd) {
    // MSG_TRUNC throws away without copying (tcp(7)).
    let mut unused = [0; 4_096];
    let mut left = HEAD_BYTES_MAX;
    while left > 0 {
        match rustix::net::recv(&fd, &mut unused[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, read)) if read > 0 => left = left.saturating_sub(read),
            Err(Errno::INTR) => {}
            _ => break,
        }
    }
    drop(fd);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared_answers_are_as_long_as_they_say() {
        for answer in [FULL, TOO_MANY, TOO_OFTEN] {
            let text = std::str::from_utf8(answer).expect("text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            assert_eq!(length.map(str::to_owned), Some(body.len().to_string()), "{body:?}");
            assert!(head.contains("\r\nRetry-After: ") && head.contains("\r\nConnection: close"));
        }
    }
}
