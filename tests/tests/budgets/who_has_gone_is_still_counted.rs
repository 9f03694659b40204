//! Whatever way a connection ends, its address has that place again: 200,000 of them, and not one
//! is counted too many or too few.

use std::time::Duration;

use corecast_bench::command::churn::cycle;
use corecast_bench::swarm::Swarm;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};

use crate::{let_in, too_many};

const CYCLES: u64 = 200_000;
const CONCURRENCY: usize = 64;
/// Of each of the addresses that the swarm comes from.
const CONNECTIONS_MAX: usize = 100;
const ADDRESSES: usize = 16;

#[test]
fn two_hundred_thousand_ends_leave_every_place_free() -> Result<()> {
    let config = format!(
        "[address]\nexempt = []\nconnections_max = {CONNECTIONS_MAX}\n\
         handshakes_per_second_max = 0\n"
    );
    let server = TestServer::start_with(&config, ["--shards", "2"])?;
    let mut swarm = Swarm::new(server.address())?;
    let tally = cycle(&mut swarm, "/echo", CYCLES, CONCURRENCY)?;
    for (kind, count) in [
        ("clean", tally.clean),
        ("reset", tally.reset),
        ("half handshake", tally.half_handshake),
        ("half frame", tally.half_frame),
    ] {
        ensure!(count == CYCLES / 4, "{count} cycles of kind {kind}");
    }
    server.wait_until_idle(Duration::from_secs(12))?;
    // One count that was lost would be one place too few, one that was given back twice the end of
    // the shard.
    let mut held = Vec::new();
    for last in 1..=ADDRESSES {
        let from = format!("127.0.0.{last}");
        for _ in 0..CONNECTIONS_MAX {
            held.push(let_in(&from, server.address(), b"", "")?);
        }
        too_many(&from, server.address(), b"", "")?;
    }
    drop(held);
    server.wait_until_idle(Duration::from_secs(12))?;
    server.stop()
}
