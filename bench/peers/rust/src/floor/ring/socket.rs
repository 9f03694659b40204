//! One socket: what is queued for it, and what of that is in the kernel's hands.

use std::collections::VecDeque;
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use io_uring::squeue::Entry;
use io_uring::{opcode, types};

/// What may be queued for one socket; one that falls further behind is ended.
const QUEUED_BYTES_MAX: usize = 16 << 20;
/// Frames of one send.
const GATHERED_MAX: usize = 64;
/// The kernel itself waits for room and goes on after a short write.
const FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

pub(super) struct Socket {
    stream: TcpStream,
    /// The first ones are in flight while `flying` is set, and stay in their places.
    queue: VecDeque<Rc<Vec<u8>>>,
    queued_bytes: usize,
    /// Bytes of the first frame that are sent.
    sent_bytes: usize,
    /// How several frames are described to the kernel; stays as it is while `flying` is set.
    gather: Option<Box<Gather>>,
    flying: bool,
    dirty: bool,
    /// Takes nothing more: it fails, or ends.
    closing: bool,
    /// Receives nothing more.
    ended: bool,
}

struct Gather {
    slices: [libc::iovec; GATHERED_MAX],
    header: libc::msghdr,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent_bytes: 0,
            gather: None,
            flying: false,
            dirty: false,
            closing: false,
            ended: false,
        }
    }

    /// Queues a frame; says whether the socket is to be sent to, and was not yet.
    pub(super) fn queue(&mut self, frame: Rc<Vec<u8>>) -> bool {
        if self.closing {
            return false;
        }
        self.queued_bytes += frame.len();
        if self.queued_bytes > QUEUED_BYTES_MAX {
            eprintln!("a connection has fallen too far behind");
            self.abort();
            return false;
        }
        self.queue.push_back(frame);
        self.becomes_dirty()
    }

    /// What to submit for it; from now on that is in flight.
    pub(super) fn take_off(&mut self) -> Option<Entry> {
        self.dirty = false;
        if self.flying || self.queue.is_empty() {
            return None;
        }
        self.flying = true;
        let fd = types::Fixed(self.stream.as_raw_fd() as u32);
        if self.queue.len() > 1 {
            let header = self.describe();
            return Some(opcode::SendMsg::new(fd, header).flags(FLAGS as u32).build());
        }
        let rest = &self.queue[0][self.sent_bytes..];
        let bytes = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        Some(opcode::Send::new(fd, rest.as_ptr(), bytes).flags(FLAGS).build())
    }

    /// A send has completed; says whether the socket is to be sent to again.
    pub(super) fn land(&mut self, result: i32) -> bool {
        self.flying = false;
        match result {
            0.. => self.advance(result as usize),
            _ if result == -libc::EAGAIN || result == -libc::EINTR => {}
            _ => self.abort(),
        }
        if self.queue.is_empty() && self.closing {
            self.shut_down();
        }
        self.becomes_dirty()
    }

    /// Ends it once all that is queued is sent.
    pub(super) fn finish(&mut self) {
        self.closing = true;
        if self.queue.is_empty() {
            self.shut_down();
        }
    }

    /// It receives nothing more: whatever is queued is for nobody.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.abort();
    }

    /// Whether the kernel has nothing more to do with it.
    pub(super) fn is_over(&self) -> bool {
        self.ended && !self.flying
    }

    fn becomes_dirty(&mut self) -> bool {
        let begins = !self.dirty && !self.flying && !self.queue.is_empty();
        self.dirty |= begins;
        begins
    }

    /// Gives up what is queued, except what is in flight: that fails by itself.
    fn abort(&mut self) {
        self.closing = true;
        if !self.flying {
            self.queue.clear();
        }
        self.shut_down();
    }

    fn shut_down(&self) {
        // It fails only when the other side has ended the connection already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Takes what was sent off the queue's front.
    fn advance(&mut self, mut bytes: usize) {
        while let Some(front) = self.queue.front() {
            let left = front.len() - self.sent_bytes;
            if bytes < left {
                self.sent_bytes += bytes;
                return;
            }
            bytes -= left;
            self.sent_bytes = 0;
            self.queued_bytes -= front.len();
            self.queue.pop_front();
        }
    }

    /// Lists the frames at the queue's front.
    fn describe(&mut self) -> *const libc::msghdr {
        let gather = self.gather.get_or_insert_with(Gather::new);
        let frames = self.queue.iter().take(GATHERED_MAX);
        let mut skipped = self.sent_bytes;
        for (slice, frame) in gather.slices.iter_mut().zip(frames) {
            let rest = &frame[mem::take(&mut skipped)..];
            slice.iov_base = rest.as_ptr().cast_mut().cast();
            slice.iov_len = rest.len();
        }
        gather.header.msg_iov = gather.slices.as_mut_ptr();
        gather.header.msg_iovlen = self.queue.len().min(GATHERED_MAX);
        &raw const gather.header
    }
}

impl Gather {
    fn new() -> Box<Self> {
        let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: a msghdr of zeros is valid: no name, no control data, no slices.
        let header = unsafe { mem::zeroed() };
        Box::new(Self { slices: [nothing; GATHERED_MAX], header })
    }
}
