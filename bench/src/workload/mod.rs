//! What is measured besides plain fan-out, a file for each workload.

pub mod clients;
pub mod gateway;
pub mod play;
pub mod replay;
