//! How the program leaves: health checks fail, publishers end, clients are told and closed one
//! after the other, and a line says what came of it.

use crate::cli::exit::Failure;
use crate::clock;
use crate::config::shutdown::{LeaveCode, ShutdownConfig};
use crate::control::Control;
use crate::gateways::Gateways;
use crate::report::span;
use crate::service;
use corecast::{Engine, Leave, Left};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Ends everything in order. `gateways` are those that were started; of a program without any,
/// none.
///
/// # Errors
///
/// When a shard panicked.
pub(crate) fn leave(
    engine: &Engine,
    gateways: Option<Gateways>,
    control: &Control,
    config: &ShutdownConfig,
) -> Result<(), Failure> {
    let begun = clock::now();
    engine.set_draining(true);
    service::stopping(Duration::from_millis(config.linger_ms) + config.drain());
    let linger = match control.has_heir() {
        true => Duration::ZERO,
        false => Duration::from_millis(config.linger_ms),
    };
    while begun.elapsed() < linger && !control.is_ended() {
        std::thread::park_timeout(LOOK_EVERY.min(linger));
    }
    // What publishers have sent is taken, and acknowledged, while clients are still there.
    let gateways = gateways.map(|gateways| gateways.end_publishers(control));
    let code = if control.is_restarting() { LeaveCode::Restart } else { config.code };
    let mut plan = plan(engine, config, code);
    if control.has_heir() {
        // Somebody is there already, and the Closes are spread.
        plan.reconnect = RECONNECT_TO_HEIR;
        // For who was accepted here and has not asked yet. It ends with the last of them.
        plan.linger = LINGER_FOR_HEIR.min(plan.deadline);
    }
    let left = engine.leave_blocking(plan);
    control.set_over();
    if let Some(gateways) = gateways {
        gateways.end(control);
    }
    tell(left?);
    Ok(())
}

/// Few clients are closed at once; many one after the other, so that they come back one after the
/// other.
fn plan(engine: &Engine, config: &ShutdownConfig, code: LeaveCode) -> Leave {
    let connections = u32::try_from(engine.stats().connections).unwrap_or(u32::MAX);
    let deadline = config.drain();
    let spread = spread(connections, config);
    let is_local = engine.local_addr().ip().is_loopback();
    Leave {
        deadline,
        spread,
        linger: if is_local { LINGER_LOCAL } else { LINGER }.min(deadline),
        reconnect: spread.max(RECONNECT_MIN),
        code: code.close_code(),
        reason: code.reason().into(),
        seed: RandomState::new().hash_one(0),
    }
}

/// Over how long the Closes are spread. A tenth of the drain is left for the last of them to be
/// answered.
fn spread(connections: u32, config: &ShutdownConfig) -> Duration {
    let at_most = Duration::from_millis(config.spread_ms).min(config.drain() * 9 / 10);
    if connections < SPREAD_FROM { Duration::ZERO } else { at_most.min(EACH * connections) }
}

fn tell(left: Left) {
    let Left { told, closed, cut, frames_dropped, took } = left;
    let took = span(took);
    if cut == 0 {
        tracing::info!(told, closed, %took, "left in order");
    } else {
        tracing::warn!(
            told,
            closed,
            cut,
            frames_dropped,
            %took,
            "left; some clients did not take all that was queued for them in time"
        );
    }
}

/// The part of the spread that each connection adds.
const EACH: Duration = Duration::from_millis(2);
/// So few connections are closed at once.
const SPREAD_FROM: u32 = 10;
/// Clients are not asked to come back sooner than within this.
const RECONNECT_MIN: Duration = Duration::from_millis(1_000);
/// For who had begun to connect: a round trip around the world, and one on this machine.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_LOCAL: Duration = Duration::from_millis(20);
/// Clients of a process whose place another has are asked to come back within this.
const RECONNECT_TO_HEIR: Duration = Duration::from_millis(250);
const LINGER_FOR_HEIR: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_developer_does_not_wait_and_a_crowd_is_spread() {
        let config = ShutdownConfig::default();
        for (connections, seconds) in
            [(0, 0.0), (9, 0.0), (100, 0.2), (1_000, 2.0), (2_500, 5.0), (100_000, 5.0)]
        {
            assert_eq!(spread(connections, &config).as_secs_f64(), seconds, "{connections}");
        }
        let short = ShutdownConfig { drain_ms: 1_000, ..config };
        assert_eq!(spread(10_000, &short), Duration::from_millis(900));
    }
}
