//! The ring: accepts, receives into provided buffers, and sends; all in one kernel entry a turn.
#![allow(unsafe_code)]

mod buffers;
mod socket;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use buffers::Buffers;
pub(crate) use buffers::Lease;
use io_uring::squeue::Entry;
use io_uring::{IoUring, cqueue, opcode, types};
use socket::Socket;

/// A connection: its descriptor, which another one has only after [`Event::Ended`].
pub(crate) type Id = RawFd;

/// What a turn has brought.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection was accepted.
    Opened(Id),
    /// Bytes have come; [`Ring::read`] takes them.
    Received(Id, Lease),
    /// It will send nothing more, and nothing can be queued for it.
    Ended(Id),
}

/// Sends of one kernel entry; where there are more, it takes a second one.
const SUBMISSIONS: u32 = 4096;
/// Above the completions that a turn can bring: one for each connection, and what it received.
const COMPLETIONS: u32 = 64 << 10;
const ACCEPT_BACKLOG: i32 = 4096;
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The kernel's bound of a table of registered files.
const FILES_MAX: u64 = 1 << 20;
/// In the table of registered files: none.
const UNREGISTERED: RawFd = -1;

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

/// The ring with all its sockets.
pub(crate) struct Ring {
    uring: IoUring,
    buffers: Buffers,
    listener: TcpListener,
    sockets: Vec<Option<Box<Socket>>>,
    /// Sockets with something queued and nothing in flight.
    dirty: Vec<Id>,
    /// Sockets that receive again once buffers are given back.
    unarmed: Vec<Id>,
    completions: Vec<cqueue::Entry>,
}

impl Ring {
    /// Listens on `address`. It is never dropped, so nothing is while the kernel uses it.
    pub(crate) fn new(address: SocketAddr) -> io::Result<&'static mut Self> {
        let listener = listen(address)?;
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let buffers = Buffers::register(&uring)?;
        uring.submitter().register_files_sparse(files_max()?)?;
        let (sockets, dirty) = (Vec::new(), Vec::new());
        let (unarmed, completions) = (Vec::new(), Vec::new());
        let ring = Self { uring, buffers, listener, sockets, dirty, unarmed, completions };
        let ring = Box::leak(Box::new(ring));
        ring.accept()?;
        Ok(ring)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sends what is queued, waits for something to happen, and adds it to `events`.
    pub(crate) fn turn(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        for id in std::mem::take(&mut self.unarmed) {
            self.receive(id)?;
        }
        self.send()?;
        self.enter(1)?;
        let mut completions = std::mem::take(&mut self.completions);
        completions.extend(self.uring.completion());
        for completion in completions.drain(..) {
            let (kind, id) = (completion.user_data() >> 32, completion.user_data() as u32 as Id);
            match kind {
                ACCEPT => self.on_accepted(&completion, events)?,
                RECEIVE => self.on_received(id, &completion, events)?,
                _ => self.on_sent(id, completion.result())?,
            }
        }
        self.completions = completions;
        Ok(())
    }

    /// Appends what was received to `input`, and gives the buffer back.
    pub(crate) fn read(&mut self, lease: Lease, input: &mut Vec<u8>) {
        self.buffers.read(lease, input);
    }

    /// Queues a frame. A connection that has fallen too far behind ends.
    pub(crate) fn queue(&mut self, id: Id, frame: Rc<Vec<u8>>) {
        if let Some(socket) = socket(&mut self.sockets, id)
            && socket.queue(frame)
        {
            self.dirty.push(id);
        }
    }

    /// Ends a connection once what is queued for it has been sent.
    pub(crate) fn finish(&mut self, id: Id) {
        if let Some(socket) = socket(&mut self.sockets, id) {
            socket.finish();
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let fd = types::Fd(self.listener.as_raw_fd());
        let entry = opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build();
        self.push(&entry.user_data(ACCEPT << 32))
    }

    fn receive(&mut self, id: Id) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(types::Fixed(id as u32), buffers::GROUP).build();
        self.push(&entry.user_data(RECEIVE << 32 | id as u64))
    }

    fn send(&mut self) -> io::Result<()> {
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            let entry = socket(&mut self.sockets, id).and_then(Socket::take_off);
            if let Some(entry) = entry {
                self.push(&entry.user_data(SEND << 32 | id as u64))?;
            }
        }
        self.dirty = dirty;
        Ok(())
    }

    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        if self.uring.submission().is_full() {
            self.enter(0)?;
        }
        // SAFETY: a receive writes to provided buffers only, an accept to nothing. A send reads
        // from a socket's flight, which stays as it is until its completion has been seen: only
        // `on_sent` lands it, and only `reap` drops a socket, when nothing of it is in flight.
        let pushed = unsafe { self.uring.submission().push(entry) };
        pushed.map_err(io::Error::other)
    }

    fn enter(&mut self, wanted: usize) -> io::Result<()> {
        match self.uring.submit_and_wait(wanted) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn on_accepted(
        &mut self,
        completion: &cqueue::Entry,
        events: &mut Vec<Event>,
    ) -> io::Result<()> {
        let fd = completion.result();
        if fd >= 0 {
            // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
            let stream = unsafe { TcpStream::from_raw_fd(fd) };
            let place = fd as usize;
            if self.sockets.len() <= place {
                self.sockets.resize_with(place + 1, || None);
            }
            self.uring.submitter().register_files_update(fd as u32, &[fd])?;
            self.sockets[place] = Some(Box::new(Socket::new(stream)));
            self.receive(fd)?;
            events.push(Event::Opened(fd));
        } else {
            eprintln!("cannot accept: {}", io::Error::from_raw_os_error(-fd));
            std::thread::sleep(ACCEPT_AGAIN_AFTER);
        }
        if cqueue::more(completion.flags()) { Ok(()) } else { self.accept() }
    }

    fn on_received(
        &mut self,
        id: Id,
        completion: &cqueue::Entry,
        events: &mut Vec<Event>,
    ) -> io::Result<()> {
        let result = completion.result();
        match (cqueue::buffer_select(completion.flags()), usize::try_from(result)) {
            (Some(buffer), Ok(bytes)) if bytes > 0 => {
                events.push(Event::Received(id, Lease { buffer, bytes }));
            }
            _ if result == -libc::ENOBUFS => {
                self.unarmed.push(id);
                return Ok(());
            }
            _ => {
                events.push(Event::Ended(id));
                if let Some(socket) = socket(&mut self.sockets, id) {
                    socket.end();
                }
                return self.reap(id);
            }
        }
        if cqueue::more(completion.flags()) { Ok(()) } else { self.receive(id) }
    }

    fn on_sent(&mut self, id: Id, result: i32) -> io::Result<()> {
        if let Some(socket) = socket(&mut self.sockets, id)
            && socket.land(result)
        {
            self.dirty.push(id);
        }
        self.reap(id)
    }

    /// Lets go of a socket that has ended, once the kernel has.
    fn reap(&mut self, id: Id) -> io::Result<()> {
        let slot = &mut self.sockets[id as usize];
        if slot.as_ref().is_some_and(|socket| socket.is_over()) {
            self.uring.submitter().register_files_update(id as u32, &[UNREGISTERED])?;
            *slot = None;
        }
        Ok(())
    }
}

fn socket(sockets: &mut [Option<Box<Socket>>], id: Id) -> Option<&mut Socket> {
    sockets.get_mut(usize::try_from(id).ok()?)?.as_deref_mut()
}

/// Descriptors are registered at their own number, so the table has room for each that this process
/// may have: the kernel then need not look them up, and count their users, for each send.
fn files_max() -> io::Result<u32> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is written to `limit`, which outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur.min(FILES_MAX) as u32)
}

/// A listener whose connections send without delay: they have it from the listener.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    let (fd, on) = (listener.as_raw_fd(), 1_i32);
    // SAFETY: the descriptor is open, and `on` is as long as is said.
    let set = unsafe {
        let on = (&raw const on).cast();
        libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, on, size_of::<i32>() as u32)
    };
    // SAFETY: the descriptor is an open socket that listens; this changes its backlog.
    let listening = unsafe { libc::listen(fd, ACCEPT_BACKLOG) };
    if set < 0 || listening < 0 { Err(io::Error::last_os_error()) } else { Ok(listener) }
}
