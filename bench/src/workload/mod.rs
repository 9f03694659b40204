//! What is measured besides plain fan-out, a file for each workload.

pub mod clients;
pub mod connect;
pub mod echo;
pub mod feed_site;
pub mod flood;
pub mod gateway;
pub mod idle;
pub mod ingest;
pub mod play;
pub mod quotes;
pub mod replay;
pub mod shown;
mod spent;
pub mod stalled;
pub mod storm;
pub mod symbols;
