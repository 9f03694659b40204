//! Buffers that the kernel takes from for whatever it receives.

use std::alloc::{Layout, alloc_zeroed};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// The number under which the kernel knows them.
pub(crate) const GROUP: u16 = 0;

const COUNT: u16 = 256;
const BUFFER_BYTES: usize = 32 << 10;
const PAGE_BYTES: usize = 4096;

/// Bytes in a buffer, to be read once.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) buffer: u16,
    pub(super) bytes: usize,
}

/// All buffers, and the ring of those that are free. Never given back to the allocator.
pub(super) struct Buffers {
    free: NonNull<BufRingEntry>,
    storage: NonNull<u8>,
    tail: u16,
}

impl Buffers {
    pub(super) fn register(uring: &IoUring) -> io::Result<Self> {
        let free = allocate(usize::from(COUNT) * size_of::<BufRingEntry>())?.cast();
        let storage = allocate(usize::from(COUNT) * BUFFER_BYTES)?;
        let address = free.as_ptr() as u64;
        // SAFETY: the ring of COUNT entries begins on a page and is never freed.
        unsafe { uring.submitter().register_buf_ring_with_flags(address, COUNT, GROUP, 0) }?;
        let mut buffers = Self { free, storage, tail: 0 };
        (0..COUNT).for_each(|buffer| buffers.give_back(buffer));
        Ok(buffers)
    }

    pub(super) fn read(&mut self, lease: Lease, input: &mut Vec<u8>) {
        let Lease { buffer, bytes } = lease;
        assert!(buffer < COUNT && bytes <= BUFFER_BYTES, "the kernel gave what it was given");
        // SAFETY: `bytes` bytes from the start of this buffer are inside `storage`, written by the
        // kernel, and not written to again before the buffer is given back below.
        let received = unsafe { std::slice::from_raw_parts(self.start(buffer), bytes) };
        input.extend_from_slice(received);
        self.give_back(buffer);
    }

    fn give_back(&mut self, buffer: u16) {
        let start = self.start(buffer) as u64;
        let place = usize::from(self.tail % COUNT);
        // SAFETY: `place` is below COUNT, the number of entries behind `free`.
        let entry = unsafe { self.free.add(place) };
        // SAFETY: the entry is zeroed memory at least, which is a valid entry, and the kernel
        // reads entries below the tail only, which this one is not: it holds all other buffers
        // that are free, and those are fewer than COUNT.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(start);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `free` is the address of the ring's first entry, which is initialised.
        let tail = unsafe { BufRingEntry::tail(self.free.as_ptr()) };
        // SAFETY: the tail is an aligned u16 in memory that is never freed, and the kernel only
        // reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn start(&self, buffer: u16) -> *mut u8 {
        self.storage.as_ptr().wrapping_add(usize::from(buffer) * BUFFER_BYTES)
    }
}

/// Zeroed memory that begins on a page.
fn allocate(bytes: usize) -> io::Result<NonNull<u8>> {
    let layout = Layout::from_size_align(bytes, PAGE_BYTES).map_err(io::Error::other)?;
    // SAFETY: the layout is of more than 0 bytes.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}
