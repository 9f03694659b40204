//! The numbers a machine is judged by, each with its source.

/// The oldest kernel glommio 0.9 accepts, as (major, minor).
pub const KERNEL_MIN: (u32, u32) = (5, 8);

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

/// The most bytes read from a file of `/proc` or `/sys`.
pub(crate) const PROC_FILE_BYTES_MAX: u64 = 64 * 1024;

const _: () = assert!(MEMLOCK_BUFFER_BYTES_PER_SHARD < MEMLOCK_BYTES_MIN);
const _: () = assert!(NOFILE_PER_SHARD + NOFILE_PROGRAM < NOFILE_ADVISED);
