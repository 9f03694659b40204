//! What needs a whole server: conformance, browser, adversarial, churn.
//!
//! The tests in `tests/tests` start the real program, talk to it over loopback and look at it
//! through `/proc`. What they share is here:
//!
//! - [`server`]: the program as a child process.
//! - [`raw`]: one connection that may send anything.
//! - [`control`]: a publisher and subscribers on a topic of their own, which must not notice what
//!   a test does to others.
//! - [`feed`]: a client of the feed.
//! - [`gateway`]: a publisher of another process, and where it connects.
//! - [`recording`]: the recorded ticks, read independently of the program.
//! - [`siege`]: server and control, and what must hold when an attack is over.
//!
//! Many connections at once are [`corecast_bench::swarm`]'s business.

#![forbid(unsafe_code)]

use eyre::{Result, bail};

pub mod control;
pub mod feed;
pub mod gateway;
mod hang_up;
pub mod raw;
pub mod recording;
pub mod server;
pub mod siege;

/// What a test says when this machine cannot do what it needs.
///
/// # Errors
/// With `CI` set, where nothing may be skipped.
pub fn skip(reason: &str) -> Result<()> {
    if std::env::var_os("CI").is_some() {
        bail!("in CI nothing may be skipped: {reason}");
    }
    eprintln!("skipped: {reason}");
    Ok(())
}

/// What a test says when a program of Debian's that it runs is not installed. The step `rust` sets
/// `CORECAST_PROGRAMS_OPTIONAL`: other steps install these programs, and run such tests again.
///
/// # Errors
/// With `CI` set, unless another step runs the test.
pub fn absent(program: &str) -> Result<()> {
    let reason = format!("{program} is not installed");
    if std::env::var_os("CORECAST_PROGRAMS_OPTIONAL").is_some() {
        eprintln!("left out: {reason}");
        return Ok(());
    }
    skip(&reason)
}
