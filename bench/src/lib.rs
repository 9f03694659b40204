//! The harness: criterion micro-benchmarks, the load generator, the cost report.

#![forbid(unsafe_code)]

pub mod clock;
pub mod command;
pub mod flood;
pub mod limits;
pub mod load;
pub mod measure;
pub mod micro;
pub mod outcome;
pub mod process;
pub mod random;
pub mod recording;
pub mod report;
pub mod schedule;
pub mod servers;
pub mod stamp;
pub mod swarm;
pub mod target;
pub mod tls;
pub mod workload;
