//! The numbers a machine is judged by, each with its source.

/// The oldest kernel that will do (epoll_pwait2; glommio 0.9 wants 5.8), as (major, minor).
pub const KERNEL_MIN: (u32, u32) = (5, 11);

/// Kernels that charge rings to the memory cgroup instead of the memlock limit: from the first
/// version to before the second. Before 5.12 rings were locked memory, and since 6.14, where they
/// became regions, they are again (measured on 6.18).
pub const KERNEL_RINGS_NOT_LOCKED: ((u32, u32), (u32, u32)) = ((5, 12), (6, 14));

/// The soft memlock limit, in bytes, below which glommio 0.9 refuses to start, whatever the kernel
/// and the capabilities (its `MIN_MEMLOCK_LIMIT`).
pub const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// Memory, in bytes, one shard registers as fixed buffers: 64 KiB, glommio's smallest slab, on each
/// of its three rings. The kernel charges it to the user. Where it does not fit, glommio says so in
/// a warning and goes on without fixed buffers.
pub const MEMLOCK_BUFFER_BYTES_PER_SHARD: u64 = 3 * 64 * 1024;

/// Memory, in bytes, that the rings of one shard lock on kernels that charge them: four rings
/// (glommio's three and the flush ring) of 1,024 entries, each 64 KiB of submission entries and
/// 40 KiB of queues. (Kernels before 5.12 round the queues up to 64 KiB: the whole page order.)
pub const MEMLOCK_RING_BYTES_PER_SHARD: u64 = 4 * 128 * 1024;

/// Open files one shard needs before the first connection: rings, event descriptors, listener,
/// reserve descriptor, wake-up pipes, counted generously.
pub const NOFILE_PER_SHARD: u64 = 32;

/// Open files the program itself needs: standard streams, logs, signals, the control runtime.
pub const NOFILE_PROGRAM: u64 = 32;

/// Below this soft limit of open files `findings` advises more: what a busy server reaches first.
pub const NOFILE_ADVISED: u64 = 65_536;

/// Below this accept backlog a burst of connections waits for retransmitted SYNs.
pub const SOMAXCONN_ADVISED: u64 = 4_096;

/// Below this largest send buffer, in bytes, one large message cannot leave in one write.
pub const TCP_BUFFER_BYTES_MAX_ADVISED: u64 = 1024 * 1024;

/// Packets that a core's input queue holds at least: the kernel's default. Where packets were
/// dropped nevertheless, [`NETDEV_BACKLOG_ADVISED`] is said.
pub const NETDEV_BACKLOG_MIN: u64 = 1_000;

/// Packets that a core's input queue is to hold where it has dropped some: a burst for all sockets.
pub const NETDEV_BACKLOG_ADVISED: u64 = 16_384;

/// Below this largest `SO_SNDBUF`, in bytes, the kernel cuts what the engine asks for.
pub const WMEM_MAX_BYTES_MIN: u64 = 128 * 1024;

/// Memory of all TCP sockets, in bytes, before the kernel saves: a thousand sockets with all of
/// their 256 KiB (`SO_SNDBUF`, doubled) full.
pub const TCP_MEMORY_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// Ports for outgoing connections: as many as the kernel has by default (32,768 to 60,999).
pub const TCP_PORTS_MIN: u64 = 28_232;

/// Open files of the whole machine: four servers with [`NOFILE_ADVISED`] each.
pub const FILE_MAX_MIN: u64 = 4 * NOFILE_ADVISED;

/// The ceiling of the limits of open files: the kernel's default.
pub const NR_OPEN_MIN: u64 = 1_048_576;

/// Threads of the whole machine.
pub const THREADS_MIN: u64 = 4_096;

/// Threads that a program needs beside its shards: the control runtime, kernel workers.
pub const THREADS_PROGRAM: u64 = 64;

/// Memory, in bytes, below which a limit is too narrow: what may be pending between shards
/// (64 MiB), ten thousand idle connections with their kernel part, and the program itself.
pub const MEMORY_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// CPUs of a machine at most: the kernel's own `CONFIG_NR_CPUS` does not go beyond.
pub(crate) const CPUS_MAX: usize = 8_192;

/// Entries read from a directory of `/proc` or `/sys` at most.
pub(crate) const DIRECTORY_ENTRIES_MAX: usize = 65_536;

/// The most bytes read from a file of `/proc` or `/sys`.
pub(crate) const PROC_FILE_BYTES_MAX: u64 = 64 * 1024;

const _: () = assert!(MEMLOCK_BUFFER_BYTES_PER_SHARD < MEMLOCK_BYTES_MIN);
const _: () = assert!(NOFILE_PER_SHARD + NOFILE_PROGRAM < NOFILE_ADVISED);
