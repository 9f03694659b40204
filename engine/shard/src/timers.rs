//! Timers of a shard: who sleeps, and until when. The shard's watch waits no longer than until the
//! next of them is due, and fires them; so no timer of the executor's is needed, which would be
//! noticed only when the executor itself goes to sleep.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use corecast_hub::Timestamp;

use crate::signal;

/// When somebody is to be woken; the number tells those apart who are due at the same time.
type Key = (Timestamp, u64);

/// The sleepers of a shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    sleepers: RefCell<BTreeMap<Key, Waker>>,
    numbers: Cell<u64>,
}

impl Timers {
    /// Sleeps until `at`, and at least until the timers are fired the next time: behind those whose
    /// bytes came in meanwhile.
    pub(crate) fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        self.numbers.set(self.numbers.get() + 1);
        Sleep { timers: self, key: (at, self.numbers.get()), begun: false }
    }

    /// How long nobody is due, or `None` when nobody sleeps.
    pub(crate) fn idle(&self, now: Timestamp) -> Option<Duration> {
        let sleepers = self.sleepers.borrow();
        sleepers.first_key_value().map(|(&(at, _), _)| at.since(now))
    }

    /// Wakes all that are due.
    pub(crate) fn fire(&self, now: Timestamp) {
        let mut sleepers = self.sleepers.borrow_mut();
        while let Some(first) = sleepers.first_entry().filter(|first| first.key().0 <= now) {
            signal::wake(first.remove());
        }
    }
}

/// A sleep. It begins when it is polled; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Sleep<'a> {
    timers: &'a Timers,
    key: Key,
    begun: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleepers = self.timers.sleepers.borrow_mut();
        if self.begun && !sleepers.contains_key(&self.key) {
            return Poll::Ready(());
        }
        sleepers.insert(self.key, cx.waker().clone());
        drop(sleepers);
        self.begun = true;
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if self.begun {
            self.timers.sleepers.borrow_mut().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn poll(sleep: Pin<&mut Sleep<'_>>) -> bool {
        sleep.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn who_is_due_is_woken_and_nobody_else() {
        let timers = Timers::default();
        let at = |ms: u64| Timestamp(ms * 1_000_000);
        let (mut first, mut second) =
            (pin!(timers.sleep_until(at(5))), pin!(timers.sleep_until(at(7))));
        assert_eq!(timers.idle(at(1)), None);
        assert!(!poll(first.as_mut()) && !poll(second.as_mut()));
        assert_eq!(timers.idle(at(1)), Some(Duration::from_millis(4)));
        timers.fire(at(4));
        assert!(!poll(first.as_mut()));
        timers.fire(at(5));
        assert!(poll(first.as_mut()) && !poll(second.as_mut()));
        assert_eq!(timers.idle(at(9)), Some(Duration::ZERO));
    }

    #[test]
    fn a_sleep_that_is_dropped_leaves_nothing_behind() {
        let timers = Timers::default();
        for number in 0..100 {
            let mut sleep = Box::pin(timers.sleep_until(Timestamp(number)));
            assert!(!poll(sleep.as_mut()));
        }
        assert_eq!(timers.idle(Timestamp(0)), None);
    }
}
