//! The harness: criterion micro-benchmarks, the load generator, the cost report.
