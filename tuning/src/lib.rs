//! What the machine offers a WebSocket server, and what to change: the crate behind the start-up
//! probe and `corecast doctor`.
//!
//! [`Facts::read`] looks at what a start needs, [`Machine::read`] at everything else; neither
//! judges. [`start_problems`] names what makes a start impossible (asked by the shards before they
//! touch their executor, which panics or exits where something is missing). [`findings`] judges
//! everything, for people.

#![forbid(unsafe_code)]

mod checks;
mod container;
mod cores;
mod cpu_set;
mod facts;
mod finding;
mod limits;
mod machine;
mod memory;
mod nics;
mod nofile;
mod review;
mod ring;
mod root;
mod start;
mod sysctls;
mod user;

pub use container::{Container, CpuQuota};
pub use cores::Cores;
pub use cpu_set::Cpus;
pub use facts::{Facts, Kernel, Limit};
pub use finding::{Finding, Group, Level};
pub use limits::*;
pub use machine::{Machine, Plan};
pub use memory::Memory;
pub use nics::{Irq, Nic};
pub use nofile::raise_nofile;
pub use review::findings;
pub use ring::{IoUring, REQUIRED_OPERATIONS, RingOption};
pub use root::Root;
pub use start::{EXIT_CODE, start_problems};
pub use sysctls::{SYSCTLS, Sysctl, Sysctls};
pub use user::User;
