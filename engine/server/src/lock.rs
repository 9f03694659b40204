//! The lock for what tasks of the control plane share. Nothing on a shard takes it.

#![expect(clippy::disallowed_types, reason = "the one place that wraps the banned type")]

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex that a panic elsewhere does not poison: what it guards is changed in single steps.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
