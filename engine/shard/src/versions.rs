//! A value that changes rarely and is read on every publication, by any thread, without a lock.

use std::sync::{Arc, OnceLock};

/// The head of a chain: each version knows the one that took its place.
#[derive(Debug)]
pub(crate) struct Versions<T>(Arc<Version<T>>);

#[derive(Debug)]
struct Version<T> {
    value: Arc<T>,
    next: OnceLock<Arc<Self>>,
}

impl<T> Clone for Versions<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Versions<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self(Arc::new(Version { value, next: OnceLock::new() }))
    }

    /// The latest version. One load, and one more for each change since this handle was made.
    pub(crate) fn latest(&self) -> &Arc<T> {
        &self.last().value
    }

    /// Puts a version behind all others.
    pub(crate) fn push(&self, value: Arc<T>) {
        let mut version = Arc::new(Version { value, next: OnceLock::new() });
        let mut last = self.last();
        // Who comes second goes behind the first.
        while let Err(back) = last.next.set(version) {
            version = back;
            last = last.next.get().unwrap_or_else(|| unreachable!("set by another thread"));
        }
    }

    /// A handle whose look-ups begin at the latest version.
    pub(crate) fn renewed(&self) -> Self {
        let mut last = &self.0;
        while let Some(next) = last.next.get() {
            last = next;
        }
        Self(Arc::clone(last))
    }

    fn last(&self) -> &Version<T> {
        let mut last = &*self.0;
        while let Some(next) = last.next.get() {
            last = next;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handle_sees_the_latest() {
        let first = Versions::new(Arc::new(1));
        let other = first.clone();
        assert_eq!(**first.latest(), 1);
        other.push(Arc::new(2));
        first.push(Arc::new(3));
        assert_eq!((**first.latest(), **other.latest(), **other.renewed().latest()), (3, 3, 3));
    }
}
