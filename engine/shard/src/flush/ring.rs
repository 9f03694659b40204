//! The batch ring: a side io_uring on which one `io_uring_enter` writes to hundreds of sockets.
//!
//! The batch is synchronous. `MSG_DONTWAIT` makes the kernel finish each send, or refuse it, inside
//! the call, so nothing is in flight when it returns: nothing to cancel, and no buffer that must
//! outlive it.

use std::io;
use std::ops::Range;
use std::os::fd::RawFd;

use corecast_hub::{ConnId, Hub};
use io_uring::squeue::Entry;
use io_uring::{IoUring, opcode, types};

use crate::limits::GATHER_FRAMES_MAX;
use crate::socket::Written;

const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// The ring, and the buffers that describe a batch to the kernel. They hold pointers during a call
/// only.
pub(crate) struct Ring {
    ring: IoUring,
    slices: Vec<libc::iovec>,
    spans: Vec<(usize, usize)>,
    headers: Vec<libc::msghdr>,
}

impl Ring {
    /// A ring for batches of `batch_max` sockets.
    pub(crate) fn new(batch_max: usize) -> io::Result<Self> {
        let entries = u32::try_from(batch_max.next_power_of_two()).map_err(io::Error::other)?;
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .build(entries)
            // Kernels before 6.1 know neither flag.
            .or_else(|_| IoUring::builder().setup_submit_all().build(entries))
            .or_else(|_| IoUring::new(entries))?;
        Ok(Self { ring, slices: Vec::new(), spans: Vec::new(), headers: Vec::new() })
    }

    /// Writes once to each target what its outbox has; `written` gets an outcome for each, in
    /// order.
    pub(crate) fn write(
        &mut self,
        hub: &Hub,
        targets: &[(ConnId, RawFd)],
        written: &mut Vec<Written>,
    ) {
        self.describe(hub, targets);
        written.resize(targets.len(), Written::WouldBlock);
        let mut pending = 0;
        for (index, &(_, fd)) in targets.iter().enumerate() {
            let (start, count) = self.spans[index];
            if count == 0 {
                written[index] = Written::Bytes(0);
                continue;
            }
            let fd = types::Fd(fd);
            let entry = if count == 1 {
                let slice = self.slices[start];
                let length = u32::try_from(slice.iov_len).unwrap_or(u32::MAX);
                opcode::Send::new(fd, slice.iov_base.cast(), length).flags(FLAGS).build()
            } else {
                opcode::SendMsg::new(fd, &raw const self.headers[index])
                    .flags(FLAGS.unsigned_abs())
                    .build()
            };
            self.push(&entry.user_data(index as u64));
            pending += 1;
        }
        self.submit(pending, written);
    }

    /// Writes once to each target its span of the arena.
    pub(crate) fn send(
        &mut self,
        arena: &[u8],
        spans: &[Range<usize>],
        targets: &[(ConnId, RawFd)],
        written: &mut Vec<Written>,
    ) {
        written.resize(targets.len(), Written::WouldBlock);
        let mut pending = 0;
        for (index, (&(_, fd), span)) in targets.iter().zip(spans).enumerate() {
            let bytes = &arena[span.clone()];
            if bytes.is_empty() {
                written[index] = Written::Bytes(0);
                continue;
            }
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let entry = opcode::Send::new(types::Fd(fd), bytes.as_ptr(), length);
            self.push(&entry.flags(FLAGS).build().user_data(index as u64));
            pending += 1;
        }
        self.submit(pending, written);
    }

    /// Lists the slices of every target, and the message headers that point into the list.
    fn describe(&mut self, hub: &Hub, targets: &[(ConnId, RawFd)]) {
        self.slices.clear();
        self.spans.clear();
        for &(conn, _) in targets {
            let start = self.slices.len();
            if let Some(outbox) = hub.outbox(conn) {
                self.slices.extend(outbox.slices().take(GATHER_FRAMES_MAX).map(|slice| {
                    libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() }
                }));
            }
            self.spans.push((start, self.slices.len() - start));
        }
        // Only now, that the list no longer moves.
        self.headers.clear();
        for &(start, count) in &self.spans {
            // SAFETY: a msghdr of zeros is valid: no name, no control data, no slices.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_iov = self.slices[start..].as_mut_ptr();
            header.msg_iovlen = count as _;
            self.headers.push(header);
        }
    }

    fn push(&mut self, entry: &Entry) {
        // SAFETY: the entry points at frames that the hub holds and at `headers` and `slices`, or
        // into an arena; the caller keeps the hub or the arena borrowed, and this struct unchanged,
        // until `submit` has seen every completion.
        let pushed = unsafe { self.ring.submission().push(entry) };
        assert!(pushed.is_ok(), "a batch is never larger than the ring");
    }

    fn submit(&mut self, mut pending: usize, written: &mut [Written]) {
        while pending > 0 {
            match self.ring.submit_and_wait(pending) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
                // Buffers are in the kernel's hands: going on could let it read what is freed.
                Err(error) => panic!("io_uring_enter failed: {error}"),
            }
            for completion in self.ring.completion() {
                let index = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
                if let Some(outcome) = written.get_mut(index) {
                    *outcome = Written::from_result(completion.result());
                    pending -= 1;
                }
            }
        }
    }
}
