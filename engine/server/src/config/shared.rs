//! A setting that may change while the program runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// A value that one thread sets and the shards read. To read it costs one atomic load as long as it
/// has not changed: what was read last is kept in a [`Cache`].
pub(crate) struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    generation: AtomicU64,
    value: watch::Sender<Arc<T>>,
}

/// What a reader knows of a [`Shared`].
#[derive(Clone, Debug)]
pub(crate) struct Cache<T> {
    generation: u64,
    value: Arc<T>,
}

impl<T> Shared<T> {
    /// Begins with this value.
    pub(crate) fn new(value: T) -> Self {
        let value = watch::Sender::new(Arc::new(value));
        Self(Arc::new(Inner { generation: AtomicU64::new(0), value }))
    }

    /// Changes the value for all readers.
    pub(crate) fn set(&self, value: T) {
        self.0.value.send_replace(Arc::new(value));
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// What a reader begins with.
    pub(crate) fn cache(&self) -> Cache<T> {
        let generation = self.0.generation.load(Ordering::Acquire);
        Cache { generation, value: self.0.value.borrow().clone() }
    }

    /// The value of now, if it was set since the cache was asked last.
    pub(crate) fn changed<'a>(&self, cache: &'a mut Cache<T>) -> Option<&'a T> {
        // The value is set before its generation: what is read here is never older than it.
        if self.0.generation.load(Ordering::Acquire) == cache.generation {
            return None;
        }
        *cache = self.cache();
        Some(&cache.value)
    }
}

impl<T> Cache<T> {
    /// The value that was read last.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&*self.0.value.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn readers_see_what_was_set_last() {
        let shared = Shared::new(1);
        let (mut first, mut second) = (shared.cache(), shared.clone().cache());
        assert_eq!(shared.changed(&mut first), None);
        assert_eq!(*first.value(), 1);
        shared.set(2);
        assert_eq!((shared.changed(&mut first), shared.changed(&mut second)), (Some(&2), Some(&2)));
        assert_eq!(shared.changed(&mut second), None, "it was told");
        assert_eq!(*second.value(), 2);
    }

    #[test]
    fn readers_on_other_threads_never_go_back_and_reach_the_last_value() {
        const LAST: u32 = 10_000;
        let shared = Shared::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let (mut cache, mut seen) = (shared.cache(), 0);
                    while seen < LAST {
                        shared.changed(&mut cache);
                        let now = *cache.value();
                        assert!(now >= seen, "{now} after {seen}");
                        seen = now;
                    }
                });
            }
            (1..=LAST).for_each(|value| shared.set(value));
        });
    }
}
