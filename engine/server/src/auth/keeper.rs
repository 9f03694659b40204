//! Keeps fetched keys fresh: one task for each source, on the control thread.

use super::Auth;
use super::fetch::Fetcher;
use super::limits::JITTER;
use super::refresh::Refresh;
use crate::config::auth::SourceConfig;
use crate::control::stopped;
use crate::subscribe::backoff::{Backoff, random};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Fetches until the program ends. Where the sources change, it begins anew.
pub(super) async fn run(auth: Auth, mut stopping: watch::Receiver<bool>) {
    let mut sources = auth.fetched.subscribe();
    loop {
        let now = Arc::clone(&sources.borrow_and_update());
        // Tasks end where their set is dropped.
        let mut tasks = JoinSet::new();
        let fetcher = match Fetcher::new(auth.pace.fetch_within) {
            Ok(fetcher) => fetcher,
            Err(error) => {
                tracing::error!(%error, "key sets cannot be fetched");
                return stopped(&mut stopping).await;
            }
        };
        for source in now.iter() {
            if let Some(refresh) = auth.access().refresh_of(&source.name) {
                let keeper = Keeper {
                    auth: auth.clone(),
                    fetcher: fetcher.clone(),
                    source: source.clone(),
                    refresh: Arc::clone(refresh),
                };
                tasks.spawn(keeper.run());
            }
        }
        tokio::select! {
            changed = sources.changed() => if changed.is_err() { return },
            () = stopped(&mut stopping) => return,
        }
    }
}

/// One source that is fetched.
struct Keeper {
    auth: Auth,
    fetcher: Fetcher,
    source: SourceConfig,
    refresh: Arc<Refresh>,
}

impl Keeper {
    async fn run(self) {
        let mut backoff = Backoff::new();
        let mut is_good = false;
        loop {
            let name = &*self.source.name;
            let pause = match self.fetcher.fetch(&self.source).await {
                Ok(keys) => {
                    let (count, was_good) = (keys.len(), std::mem::replace(&mut is_good, true));
                    match was_good {
                        false => tracing::info!(source = name, keys = count, "keys fetched"),
                        true => tracing::debug!(source = name, keys = count, "keys fetched"),
                    }
                    self.auth.set_keys(name, Some(keys));
                    self.refresh.fetched();
                    backoff.reset();
                    jittered(self.source.refresh_ms, random())
                }
                Err(error) => {
                    is_good = false;
                    let pause = backoff.next(random());
                    tracing::warn!(source = name, %error, again_in = ?pause, "no keys");
                    self.forget();
                    pause
                }
            };
            self.rest(Instant::now() + pause).await;
        }
    }

    /// Lets go of keys that nobody has confirmed for too long.
    fn forget(&self) {
        let age_max = Duration::from_millis(self.source.age_max_ms);
        if self.refresh.age().is_some_and(|age| age > age_max) {
            let name = &*self.source.name;
            tracing::error!(source = name, ?age_max, "its keys are too old: they count no more");
            self.auth.set_keys(name, None);
            self.refresh.forgotten();
        }
    }

    /// Waits for the next look: at the time for it, or when somebody has asked.
    async fn rest(&self, until: Instant) {
        self.refresh.rest();
        let ask_from = Instant::now() + self.auth.pace.ask_again_after;
        sleep_until(until.min(ask_from)).await;
        if until > ask_from {
            self.refresh.wake();
            // Whichever comes first.
            let _ = timeout_at(until, self.refresh.asked()).await;
        }
    }
}

fn jittered(refresh_ms: u64, random: f64) -> Duration {
    let part = 1.0 + JITTER * (2.0 * random - 1.0);
    Duration::from_millis(refresh_ms).mul_f64(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_does_not_look_at_once() {
        let at = |random| jittered(1_000, random).as_millis();
        assert_eq!((at(0.0), at(0.5), at(1.0)), (900, 1_000, 1_100));
    }
}
