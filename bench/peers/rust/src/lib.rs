//! What the peers share: the command line, the listener, the topics, and a handshake for those
//! whose library has none.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod handshake;
pub mod hub;
pub mod serve;

/// What corecast allocates with, too: an allocator is no part of what is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
