//! Bounds of what a proxy says.

/// Bytes of a line of the PROXY protocol, its end included (proxy-protocol.txt §2.1).
pub const V1_BYTES_MAX: usize = 107;

/// Bytes of a binary header: HAProxy sends a client's certificate in it, where it is told to.
pub const V2_BYTES_MAX: usize = 4_096;

/// Proxies in a row whose word is followed.
pub const HOPS_MAX: usize = 16;
