//! Encryption at the last moment: what is queued for connections that speak TLS is encrypted out of
//! their outboxes into one buffer of the shard, and leaves from there, hundreds of sockets in one
//! submission. Until then their frames are shared with all others.
//!
//! Kernel TLS would have its place here: where the kernel holds a connection's keys (`TCP_ULP`,
//! `TLS_TX`), its frames are targets of the plain path, and nothing is encrypted on this side.

use std::ops::Range;
use std::os::fd::RawFd;

use corecast_hub::{ConnId, Outbox};

use super::ring::Ring;
use crate::handler::Handler;
use crate::limits::{GATHER_FRAMES_MAX, TLS_ARENA_BYTES};
use crate::shard::{Shard, slot_mut};
use crate::socket::Written;
use crate::tls::{Prepared, RECORD_BYTES, SEALED_WRITE_BYTES_MAX};

/// The connections whose turn it is, and the buffers of a submission.
#[derive(Default)]
pub(super) struct Secure {
    due: Vec<ConnId>,
    targets: Vec<(ConnId, RawFd)>,
    prepared: Vec<Prepared>,
    spans: Vec<Range<usize>>,
    written: Vec<Written>,
    /// Empty until the first connection that speaks TLS is written to.
    arena: Vec<u8>,
    staging: Vec<u8>,
}

impl Secure {
    pub(super) fn push(&mut self, conn: ConnId) {
        self.due.push(conn);
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// Writes once to each connection that is due: by the ring, if there is one to use.
    pub(super) fn flush<H: Handler>(&mut self, shard: &Shard<H>, mut ring: Option<&mut Ring>) {
        if self.due.is_empty() {
            return;
        }
        if self.arena.is_empty() {
            self.arena = vec![0; TLS_ARENA_BYTES];
            self.staging = vec![0; RECORD_BYTES];
        }
        let mut due = std::mem::take(&mut self.due);
        let mut rest = &due[..];
        while !rest.is_empty() {
            let prepared = self.prepare(shard, rest);
            rest = &rest[prepared..];
            self.written.clear();
            match &mut ring {
                Some(ring) => {
                    ring.send(&self.arena, &self.spans, &self.targets, &mut self.written);
                }
                None => self.send(),
            }
            self.account(shard);
            super::settle(shard, &self.targets, &self.written);
        }
        due.clear();
        self.due = due;
    }

    /// Encrypts for as many of them as the buffer has room for.
    fn prepare<H: Handler>(&mut self, shard: &Shard<H>, due: &[ConnId]) -> usize {
        self.targets.clear();
        self.prepared.clear();
        self.spans.clear();
        let hub = shard.hub.borrow();
        let mut slots = shard.slots.borrow_mut();
        let mut used = 0;
        for (count, &conn) in due.iter().enumerate() {
            if used + SEALED_WRITE_BYTES_MAX > self.arena.len() {
                return count;
            }
            let Some(slot) = slot_mut(&mut slots, conn) else { continue };
            let Some(tls) = &mut slot.stream.tls else { continue };
            let slices = hub.outbox(conn).into_iter().flat_map(Outbox::slices);
            let room = &mut self.arena[used..used + SEALED_WRITE_BYTES_MAX];
            let slices = slices.take(GATHER_FRAMES_MAX);
            let prepared = tls.prepare(slices, &mut self.staging, room);
            self.targets.push((conn, slot.stream.socket.raw()));
            self.spans.push(used..used + prepared.sealed);
            used += prepared.sealed;
            self.prepared.push(prepared);
        }
        due.len()
    }

    /// One system call for each socket.
    fn send(&mut self) {
        for (&(_, fd), span) in self.targets.iter().zip(&self.spans) {
            let bytes = &self.arena[span.clone()];
            let slices = [std::io::IoSlice::new(bytes)];
            let is_empty = bytes.is_empty();
            let outcome = || crate::socket::write(fd, &slices);
            self.written.push(if is_empty { Written::Bytes(0) } else { outcome() });
        }
    }

    /// Makes outcomes in ciphertext outcomes in plaintext.
    fn account<H: Handler>(&mut self, shard: &Shard<H>) {
        let now = shard.clock.now();
        let mut slots = shard.slots.borrow_mut();
        let mut hub = shard.hub.borrow_mut();
        let outcomes = self.written.iter_mut().zip(&self.prepared).zip(&self.spans);
        for (&(conn, _), ((written, &prepared), span)) in self.targets.iter().zip(outcomes) {
            let Some(slot) = slot_mut(&mut slots, conn) else { continue };
            let Some(tls) = &mut slot.stream.tls else { continue };
            *written = tls.settle(*written, prepared, &self.arena[span.clone()]);
            let has_moved = tls.take_moved();
            if *written == Written::WouldBlock && has_moved {
                hub.progressed(conn, now);
            }
        }
    }
}
