//! Everybody comes back at once: a storm of connects must not stop the shards that take them in.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, ensure};

/// Connections at a time of each thread: what it has more is closed, oldest first.
const OPEN_MAX: usize = 256;

#[test]
fn a_storm_of_connects_does_not_stall_others() -> Result<()> {
    // One shard, so that control and storm meet on it.
    let siege = Siege::start(["--shards", "1"])?;
    let (stop, connects) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut open = std::collections::VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    let Ok(socket) = TcpStream::connect(siege.address()) else { continue };
                    connects.fetch_add(1, Ordering::Relaxed);
                    open.push_back(socket);
                    if open.len() > OPEN_MAX {
                        open.pop_front();
                    }
                }
            });
        }
        thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
    });
    let connects = connects.into_inner();
    ensure!(connects > 1_000, "{connects} connects in 3 s are no storm");
    let report = siege.finish(2 * KEPT_BYTES_MAX)?;
    println!("{connects} connects; the control's p99 {:?}", report.latency_p99);
    // An executor that looks at its sockets only when nobody connects is at 100 ms and above.
    ensure!(
        report.latency_p99 < Duration::from_millis(80),
        "others waited {:?}",
        report.latency_p99
    );
    Ok(())
}
