//! Defaults and hard bounds of a shard, in bytes and in count, checked against each other at
//! compile time.

use std::time::Duration;

/// Shards of one engine.
pub const SHARDS_MAX: usize = 1_024;

/// Connections that one shard holds at most, handshakes included.
pub const CONNECTIONS_MAX: u32 = 1_000_000;

/// Longest message a peer may send, in payload bytes over all fragments.
pub const MESSAGE_BYTES_MAX: usize = 65_536;

/// Fragments (parts) of one message at most. An attacker bounded in bytes alone spends parts.
pub const MESSAGE_PARTS_MAX: u32 = 1_024;

/// Ping, pong and close frames of one connection in one second at most.
pub const CONTROL_FRAMES_PER_SECOND_MAX: u32 = 100;

/// Bytes of one connection at once, where bytes in a second are bounded: some messages of the
/// longest kind.
pub const BYTES_BURST: u32 = 1024 * 1024;

/// Connections of one user at once.
pub const USER_CONNECTIONS_MAX: u32 = 100;

/// Networks in one list.
pub const NETWORKS_MAX: usize = 256;

/// Sockets that one shard has refused and leaves open a moment, for their peers to read why.
pub const REFUSALS_LINGERING_MAX: usize = 64;

/// Time that a refused peer has to read why.
pub const REFUSAL_LINGER: Duration = Duration::from_millis(500);

/// Longest message that the shard-wide read buffer receives in place, where so long ones are
/// allowed: a turn takes as much from a socket at most. Of longer ones each connection keeps its
/// own.
pub const IN_PLACE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that a turn reads from one socket before others get theirs; the frame in which it ends is
/// still read, where it fits the read buffer.
pub const TURN_BYTES_MAX: usize = 65_536;

/// Bytes that a turn inflates of one socket before others get theirs; the message in which it
/// passes them is still handled. In 64 KiB that come in there may be 64 MiB.
pub const TURN_INFLATED_BYTES_MAX: u64 = 65_536;

/// Bytes that the turns of all sockets inflate before the flusher and other tasks have theirs:
/// about a millisecond.
pub const TURNS_INFLATED_BYTES_MAX: u64 = 256 * 1024;

/// Publications that are accepted and not yet queued on every shard, in count.
pub const PENDING_PUBLISHES_MAX: usize = 16_384;

/// Publications that are accepted and not yet queued on every shard, in bytes of encoded frames.
pub const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Default level of compression: see the figures in ARCHITECTURE.md.
pub const COMPRESSION_LEVEL: u8 = 1;

/// Frames shorter than that gain little by compression.
pub const COMPRESSION_THRESHOLD_BYTES: usize = 512;

/// Default bound of the inflaters that a shard's connections keep: about 11 MiB.
pub const INFLATERS_MAX: u32 = 256;

/// Frames of one socket that one write gathers. Linux takes 1,024 (UIO_MAXIOV), which is no better:
/// at 11,000 small messages a second to 1,000 sockets a delivery costs 0.140 µs with 64, 0.090 with
/// 256 and with 1,024.
pub const GATHER_FRAMES_MAX: usize = 256;

/// Sockets that one submission of the batch ring serves.
pub const FLUSH_BATCH_MAX: usize = 512;

/// With so few sockets to write to, plain sends beat a submission.
pub const FLUSH_DIRECT_MAX: usize = 4;

/// Kernel send buffer of one socket in bytes (`SO_SNDBUF`; Linux doubles it for its bookkeeping).
pub const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Unsent bytes in the kernel above which a socket is not writable (`TCP_NOTSENT_LOWAT`).
pub const NOTSENT_LOWAT_BYTES: u32 = 16 * 1024;

/// Time for which a shard stays awake where the waits of late were short, in microseconds: less
/// than what a sleep and its end take.
pub const SPIN_US: u64 = 25;

/// Sockets that the kernel tells of at once.
pub const WATCH_EVENTS_MAX: usize = 1_024;

/// Updates that one job of a batch has: one job is done in one step, so it must not be a turn by
/// itself.
pub const JOB_UPDATES_MAX: usize = 64;

/// Bytes of the updates that one job of a batch has; one update may be larger.
pub const JOB_BYTES_MAX: usize = 64 * 1024;

/// Connections that have their turn before other tasks have theirs.
pub const TURNS_MAX: usize = 256;

/// Connections that are told in one round that they were woken, before others get their turn.
pub const WAKES_PER_TURN_MAX: usize = 256;

/// Connections that one wake of the listener accepts before others get their turn: few, since to
/// refuse one takes 8 µs. In a flood of 47,000 a second that are refused, p99 of a subscriber was
/// 2.1 ms with 256 and 0.4 ms with 16.
pub const ACCEPTS_PER_TURN_MAX: usize = 16;

/// Connections that are answered 503 in one turn when the process is out of descriptors.
pub const REFUSALS_PER_TURN_MAX: usize = 64;

/// Reads of one connection before others get their turn, where each ends before the bytes do.
pub const READS_PER_TURN_MAX: u32 = 8;

/// Messages of one connection that are handled before others get their turn.
pub const MESSAGES_PER_TURN_MAX: usize = 256;

/// Deliveries (socket × message) that one turn of the mesh queues before others get their turn.
pub const MESH_DELIVERIES_PER_TURN_MAX: u64 = 50_000;

/// Jobs that one turn of the mesh does before others get their turn.
pub const MESH_JOBS_PER_TURN_MAX: u32 = 4_096;

/// Places in the mesh beyond those for publications: what shards say to each other on their own
/// (subscriptions, ticks, leaves) must not wait for publishers that never do.
pub const MESH_OWN_JOBS_MAX: usize = 4_096;

/// Time in which a Close that is not to wait for what is queued must have left; then its
/// connection is cut. A session's end by the clock is noticed 50 ms late, and this 50 ms: together
/// well within the second that it has.
pub const CLOSE_NOW_WITHIN: Duration = Duration::from_millis(500);

/// Bytes that a closing connection's peer may still send before its socket is closed under it.
pub const DRAIN_BYTES_MAX: usize = 1024 * 1024;

/// Time for the peer to close its side once ours is shut.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time that can be configured for a connection: 30 days, in milliseconds.
pub const TIME_MS_CEILING: u64 = 30 * 24 * 3_600_000;

/// TLS handshakes of one shard that are under way at once. Each holds a few KiB.
pub const TLS_HANDSHAKES_MAX: u32 = 1_024;

/// How long a handshake's place is kept for a peer that does not go on, while others wait for one.
pub const TLS_PATIENCE: Duration = Duration::from_secs(1);

/// Records that one key of TLS 1.2 still encrypts when its connection is told to come back: what
/// leaves until the Close does.
pub const TLS_RECORDS_SPARE: u64 = 1 << 20;

/// Certificates that a configuration takes.
pub const TLS_CERTIFICATES_MAX: usize = 256;

/// Bytes of a certificate's or key's file.
pub const TLS_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Plaintext of one socket that is encrypted at once: two records. What the socket does not take of
/// it waits with the connection, so that more would only be more memory for those who read slowly.
pub const TLS_WRITE_BYTES_MAX: usize = 32 * 1024;

/// Ciphertext of many sockets that one submission writes: it stays in the second-level cache.
pub const TLS_ARENA_BYTES: usize = 512 * 1024;

/// Bytes of a handshake that a client without a certificate may send before it is done, of which
/// any may be incomplete; one record.
pub const TLS_HELLO_BYTES_MAX: usize = 18 * 1024;

/// The same where client certificates are taken: a chain of them takes several records.
pub const TLS_CHAIN_BYTES_MAX: usize = 64 * 1024;

/// Pages that a builder takes.
pub const PAGES_MAX: usize = 256;

const _: () = assert!(GATHER_FRAMES_MAX <= 1_024, "UIO_MAXIOV");
const _: () = assert!(FLUSH_DIRECT_MAX < FLUSH_BATCH_MAX);
const _: () = assert!(FLUSH_BATCH_MAX <= 4_096, "entries of the side ring");
const _: () = assert!(NOTSENT_LOWAT_BYTES as usize <= SEND_BUFFER_BYTES);
const _: () = assert!(PENDING_BYTES_MAX > MESSAGE_BYTES_MAX);
const _: () = assert!(BYTES_BURST as usize >= MESSAGE_BYTES_MAX);
