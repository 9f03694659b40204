//! The few socket calls of a shard, on descriptors that others own.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::{SendAncillaryBuffer, SendFlags, SocketFlags};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::SocketConfig;
use crate::error::StartError;

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// So many bytes were taken.
    Bytes(usize),
    /// The socket takes nothing now.
    WouldBlock,
    /// The connection is broken.
    Failed(i32),
}

impl Written {
    /// From the result of a send in io_uring's form: a length, or a negated error number.
    pub(crate) fn from_result(result: i32) -> Self {
        const AGAIN: i32 = rustix::io::Errno::AGAIN.raw_os_error();
        const INTR: i32 = rustix::io::Errno::INTR.raw_os_error();
        const NOBUFS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();
        const NOMEM: i32 = rustix::io::Errno::NOMEM.raw_os_error();
        match -result {
            // Out of memory for a packet is not the end of a connection: the task waits for room as
            // for any other.
            AGAIN | INTR | NOBUFS | NOMEM => Self::WouldBlock,
            error if error > 0 => Self::Failed(error),
            _ => usize::try_from(result).map_or(Self::WouldBlock, Self::Bytes),
        }
    }
}

#[cfg(feature = "fault-injection")]
thread_local! {
    /// The next so many writes of this thread find no memory for a packet, of which the kernel
    /// cannot be made to run out for one process alone.
    pub(crate) static NO_BUFFERS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Borrows a descriptor that a connection's slot owns.
pub(crate) fn borrow(fd: &RawFd) -> BorrowedFd<'_> {
    // SAFETY: slots own the descriptor of their connection, and a turn that ends the connection
    // takes the slot out before it drops it. So a descriptor found in a slot is open for as long as
    // nobody else has a turn; none is kept for longer.
    unsafe { BorrowedFd::borrow_raw(*fd) }
}

/// One `send` or `sendmsg` that neither blocks nor raises SIGPIPE.
pub(crate) fn write(fd: RawFd, slices: &[IoSlice<'_>]) -> Written {
    #[cfg(feature = "fault-injection")]
    if NO_BUFFERS.get() > 0 {
        NO_BUFFERS.set(NO_BUFFERS.get() - 1);
        return Written::from_result(-rustix::io::Errno::NOBUFS.raw_os_error());
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let fd = borrow(&fd);
    let result = match slices {
        [one] => rustix::net::send(fd, one, flags),
        many => rustix::net::sendmsg(fd, many, &mut SendAncillaryBuffer::default(), flags),
    };
    match result {
        Ok(sent) => Written::Bytes(sent),
        Err(error) => Written::from_result(-error.raw_os_error()),
    }
}

/// Shuts our side, or both. The peer being gone already is no error.
pub(crate) fn shut(fd: RawFd, how: Shutdown) {
    let fd = borrow(&fd);
    let _ = SockRef::from(&fd).shutdown(how);
}

/// A listening socket of our own: glommio's has a backlog of 1,024 and no say in it. It does not
/// block; what it accepts does, where it is not asked otherwise.
pub(crate) fn listen(address: SocketAddr, config: &SocketConfig) -> Result<Socket, StartError> {
    let socket = bind(address, config)?;
    let listening = begin_to_listen(&socket, config);
    listening.map_err(|source| StartError::Listen { address, source })?;
    Ok(socket)
}

/// One that does not listen yet: it is in no SO_REUSEPORT group until it does.
pub(crate) fn bind(address: SocketAddr, config: &SocketConfig) -> Result<Socket, StartError> {
    let failed = |source| StartError::Listen { address, source };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .map_err(failed)?;
    let open = || -> io::Result<()> {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        prepare(&socket, config);
        socket.bind(&address.into())
    };
    open().map_err(failed)?;
    Ok(socket)
}

/// Lets a bound socket listen.
///
/// # Errors
/// When another process has its address to itself.
pub(crate) fn begin_to_listen(socket: &impl AsFd, config: &SocketConfig) -> io::Result<()> {
    Ok(rustix::net::listen(socket, backlog(config))?)
}

/// True when another process (or another user's) listens on that address already: with SO_REUSEPORT
/// the kernel would share its connections out between the two without a word.
pub(crate) fn in_use(address: SocketAddr) -> bool {
    let plain = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP));
    let Ok(plain) = plain else { return false };
    if plain.set_reuse_address(true).is_err() {
        return false;
    }
    matches!(plain.bind(&address.into()), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

/// Lets a listener ignore who only now begins to connect: he tries again within a second, and finds
/// it closed, or another in its place. Who has begun already comes through.
///
/// # Errors
/// When the kernel refuses the filter.
pub(crate) fn ignore_new(listener: &OwnedFd) -> io::Result<()> {
    /// The byte of the flags in a TCP header, and in it SYN and ACK (RFC 9293 §3.1).
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const SYN_ACK: u32 = 0x12;
    let op = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        op(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, FLAGS, 0, 0),
        op(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, SYN_ACK, 0, 0),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, SYN, 0, 1),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, u32::MAX, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the option takes a sock_fprog by pointer and length; it and the instructions that it
    // points to outlive the call, which copies them.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn backlog(config: &SocketConfig) -> i32 {
    let wanted = match config.backlog {
        0 => std::fs::read_to_string("/proc/sys/net/core/somaxconn")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(4_096),
        backlog => backlog,
    };
    i32::try_from(wanted).unwrap_or(i32::MAX)
}

/// Accepts what waits already, up to `max`. Says whether there may be more.
///
/// # Errors
/// When a connection cannot be taken, for want of descriptors or of memory.
pub(crate) fn accept_waiting(
    listener: &OwnedFd,
    max: usize,
    mut take: impl FnMut(OwnedFd, SocketAddr),
) -> io::Result<bool> {
    for _ in 0..max {
        match rustix::net::acceptfrom_with(listener, SocketFlags::CLOEXEC) {
            Ok((socket, peer)) => {
                if let Some(peer) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
                    take(socket, peer);
                }
            }
            Err(rustix::io::Errno::AGAIN) => return Ok(false),
            // Gone before it was accepted.
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Whether the process, or the machine, is out of descriptors or memory.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errors = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    errors.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Sets what a broadcast socket needs: accepted ones have it from their listener (tcp(7)). A
/// failure leaves the default, which works.
fn prepare(listener: &Socket, config: &SocketConfig) {
    let _ = listener.set_tcp_nodelay(true);
    if config.send_buffer_bytes > 0 {
        let _ = listener.set_send_buffer_size(config.send_buffer_bytes);
    }
    if config.notsent_lowat_bytes > 0 {
        set_notsent_lowat(listener.as_raw_fd(), config.notsent_lowat_bytes);
    }
}

fn set_notsent_lowat(fd: RawFd, bytes: u32) {
    // SAFETY: the option takes a u32 by pointer and length, and both describe `bytes`, which
    // outlives the call.
    unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of::<u32>() as libc::socklen_t,
        );
    }
}
