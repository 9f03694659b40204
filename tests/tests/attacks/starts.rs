//! A machine that is busy while the server starts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use corecast_tests::server::launch;
use eyre::{Result, WrapErr, eyre};
use rustix::process::Signal;

/// A start that goes to sleep before its first task ran was seen once in 300.
const STARTS: u32 = 800;
const AT_ONCE: u32 = 8;

#[test]
fn a_start_on_a_busy_machine_does_not_hang() -> Result<()> {
    let next = AtomicU32::new(0);
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= STARTS {
                return Ok(());
            }
            let shards = ["1", "2"][number as usize % 2];
            let serve = ["serve", "--listen", "127.0.0.1:0", "--shards", shards];
            // It waits until the server has said where it listens, 20 s at most.
            let mut process = launch()?.args(serve).start().wrap_err_with(|| {
                next.store(STARTS, Ordering::Relaxed);
                format!("start {number} with {shards} shards")
            })?;
            process.signal(Signal::TERM)?;
            process.wait(Duration::from_secs(20))?;
        }
    };
    thread::scope(|scope| {
        let threads = Vec::from_iter((0..AT_ONCE).map(|_| scope.spawn(work)));
        threads.into_iter().try_for_each(|one| one.join().map_err(|_| eyre!("a panic"))?)
    })
}
