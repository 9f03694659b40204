//! The harness: criterion micro-benchmarks, the load generator, the cost report.

#![forbid(unsafe_code)]

pub mod process;
