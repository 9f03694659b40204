//! What the machine offers a WebSocket server, and what to change: the crate behind the start-up
//! probe and `corecast doctor`.
//!
//! [`Facts::read`] looks at the machine once, without judging. [`start_problems`] names what makes
//! a start impossible (asked by the shards before they touch their executor, which panics or exits
//! where something is missing). [`findings`] judges everything, for people.

#![forbid(unsafe_code)]

mod cpu;
mod facts;
mod finding;
mod limits;
mod nofile;
mod review;
mod ring;
mod start;

pub use facts::{Facts, Kernel, Limit};
pub use finding::{Finding, Level};
pub use limits::*;
pub use nofile::raise_nofile;
pub use review::findings;
pub use ring::{IoUring, REQUIRED_OPERATIONS};
pub use start::{EXIT_CODE, start_problems};
