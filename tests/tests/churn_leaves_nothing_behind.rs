//! Connections that come and go must not leave files, memory or threads behind, and a shard must
//! outlive more of them than fit into the 16 bits of glommio's task counters.

#![forbid(unsafe_code)]

use std::time::Duration;

use corecast_bench::command::churn::cycle;
use corecast_bench::swarm::Swarm;
use corecast_tests::control::Control;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};

const WARM_UP: u64 = 20_000;
/// With the warm-up 200,000, all on one shard.
const CYCLES: u64 = 180_000;
const CONCURRENCY: usize = 64;
const GROWTH_BYTES_MAX: u64 = 2 << 20;
/// Longer than the handshake's and the close's deadline.
const IDLE_WITHIN: Duration = Duration::from_secs(12);

#[test]
fn two_hundred_thousand_cycles_of_four_kinds() -> Result<()> {
    let server = TestServer::start(["--shards", "1"])?;
    let mut swarm = Swarm::new(server.address())?;
    cycle(&mut swarm, "/echo", WARM_UP, CONCURRENCY)?;
    let warm = server.wait_until_idle(IDLE_WITHIN)?;

    let control = Control::start(server.address())?;
    let tally = cycle(&mut swarm, "/echo", CYCLES, CONCURRENCY)?;
    control.finish()?.check_nothing_lost()?;
    for (kind, count) in [
        ("clean", tally.clean),
        ("reset", tally.reset),
        ("half handshake", tally.half_handshake),
        ("half frame", tally.half_frame),
    ] {
        ensure!(count == CYCLES / 4, "{count} cycles of kind {kind}");
    }

    let end = server.wait_until_idle(IDLE_WITHIN)?;
    ensure!(end.threads == server.baseline.threads, "{} threads are left", end.threads);
    let grown = end.rss_anon_bytes.saturating_sub(warm.rss_anon_bytes);
    ensure!(grown <= GROWTH_BYTES_MAX, "{CYCLES} cycles left {grown} bytes behind");
    server.stop()
}
