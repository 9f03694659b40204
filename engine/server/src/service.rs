//! What a service manager is told (`Type=notify`, `sd_notify(3)`): that it is ready, that it
//! reloads, that it leaves, how many connections there are, and that all shards are alive.

use crate::clock;
use crate::control::{Control, stopped};
use crate::refusals;
use crate::report::thousands;
use corecast::Engine;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// Says that the program is ready, and from then on that it is alive. Nothing happens where nobody
/// asked for it (`NOTIFY_SOCKET`).
pub(crate) fn start(control: &Control, engine: &Arc<Engine>) {
    let watchdog = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero());
    say(&[NotifyState::Ready, NotifyState::Status(&status(engine))]);
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        // Until the last client has left: the manager must not lose patience before.
        drop(control.spawn(tell(Arc::clone(engine), watchdog, control.over())));
    }
}

/// The settings are read again; [`ready`] follows.
pub(crate) fn reloading() {
    // Where the clock cannot be read, the manager takes the message's own time.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(_) => say(&[NotifyState::Reloading]),
    }
}

/// The settings are read.
pub(crate) fn ready() {
    say(&[NotifyState::Ready]);
}

/// The program leaves, which may take so long.
pub(crate) fn stopping(within: Duration) {
    let micros = u32::try_from((within + GRACE).as_micros()).unwrap_or(u32::MAX);
    say(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

fn status(engine: &Engine) -> String {
    let stats = engine.stats();
    let queued = stats.queued_bytes / 1_024;
    let (connections, refused) = (thousands(stats.connections), refusals::total(&stats));
    format!("{connections} connections, {} KiB queued{refused}", thousands(queued))
}

/// Tells again and again, until clients have left.
async fn tell(engine: Arc<Engine>, watchdog: Option<Duration>, mut over: watch::Receiver<bool>) {
    let mut pulse = Pulse::new(clock::now());
    let every = watchdog.map_or(STATUS_EVERY, |interval| (interval / 4).min(STATUS_EVERY));
    let (mut told, mut told_at) = (String::new(), None::<Instant>);
    loop {
        tokio::select! {
            () = stopped(&mut over) => return,
            () = sleep(every) => {}
        }
        let now = clock::now();
        if let Some(interval) = watchdog {
            match pulse.silent(&engine.rounds(), patience(interval), now) {
                None => say(&[NotifyState::Watchdog]),
                Some(shard) => tracing::error!(shard, "a shard is stuck: no ping for the watchdog"),
            }
        }
        if told_at.is_none_or(|at| now - at >= STATUS_EVERY) {
            let status = status(&engine);
            if status != told {
                say(&[NotifyState::Status(&status)]);
                told = status;
            }
            told_at = Some(now);
        }
    }
}

/// How long a shard may be silent: it makes a round a second at least.
fn patience(interval: Duration) -> Duration {
    (interval / 2).max(PATIENCE_MIN)
}

/// When each shard was last seen to have made a round.
#[derive(Debug)]
struct Pulse {
    seen: Vec<(u64, Instant)>,
    begun: Instant,
}

impl Pulse {
    fn new(begun: Instant) -> Self {
        Self { seen: Vec::new(), begun }
    }

    /// The first shard that has made no round for so long. One that has ended counts as silent:
    /// the others end with it.
    fn silent(&mut self, rounds: &[u64], patience: Duration, now: Instant) -> Option<usize> {
        self.seen.resize(rounds.len(), (0, self.begun));
        for (seen, &count) in self.seen.iter_mut().zip(rounds) {
            if seen.0 != count {
                *seen = (count, now);
            }
        }
        self.seen.iter().position(|(_, at)| now - *at > patience)
    }
}

const STATUS_EVERY: Duration = Duration::from_secs(2);
const PATIENCE_MIN: Duration = Duration::from_millis(1_500);
/// What comes behind the drain: requests of the admin port, and the end of the process.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_shard_stops_the_pings_and_one_that_goes_on_does_not() {
        let begun = clock::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut pulse = Pulse::new(begun);
        let patience = patience(Duration::from_secs(2));
        assert_eq!(patience, Duration::from_millis(1_500), "an idle shard sleeps for a second");
        assert_eq!(pulse.silent(&[1, 1], patience, at(500)), None);
        assert_eq!(pulse.silent(&[9, 1], patience, at(1_500)), None);
        assert_eq!(pulse.silent(&[20, 1], patience, at(2_100)), Some(1), "since 0.5 s");
        assert_eq!(pulse.silent(&[21, 2], patience, at(2_200)), None, "it goes on");
        assert_eq!(pulse.silent(&[21, 3], patience, at(4_000)), Some(0));
    }
}
