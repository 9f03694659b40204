//! The account of many updates that were published together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use corecast_hub::home::UpdateError;

use crate::lock::Lock;

/// What the homes have said of a batch, and who waits for the last of them.
#[derive(Debug)]
pub(crate) struct BatchCell {
    /// Parts, one for each home, that some shard has not queued yet.
    parts: AtomicUsize,
    /// Updates that their homes have taken or refused.
    dealt: AtomicUsize,
    /// Rare, so a lock: nobody waits for it but at the end.
    refused: Lock<Vec<(u32, UpdateError)>>,
    waiter: Lock<Option<Waker>>,
}

impl BatchCell {
    /// Of so many parts; and those that were refused before they were sent to any home.
    pub(crate) fn new(parts: usize, refused: Vec<(u32, UpdateError)>) -> Self {
        let (parts, dealt) = (AtomicUsize::new(parts), AtomicUsize::new(refused.len()));
        Self { parts, dealt, refused: Lock::new(refused), waiter: Lock::default() }
    }

    pub(crate) fn refuse(&self, place: u32, error: UpdateError) {
        self.refused.lock().push((place, error));
    }

    pub(crate) fn deal(&self, updates: usize) {
        self.dealt.fetch_add(updates, Ordering::Relaxed);
    }

    /// A part is queued on all shards, or will never be.
    pub(crate) fn finish_part(&self) {
        if self.parts.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiter = self.waiter.lock().take();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }

    fn report(&self) -> Option<BatchReport> {
        (self.parts.load(Ordering::Acquire) == 0).then(|| {
            let mut refused = std::mem::take(&mut *self.refused.lock());
            refused.sort_by_key(|(place, _)| *place);
            BatchReport { dealt: self.dealt.load(Ordering::Relaxed), refused }
        })
    }
}

/// What became of updates that were published together, once every shard has queued those that
/// were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// Updates that were taken or refused. Fewer than were given: a home has ended before it took
    /// the others.
    pub dealt: usize,
    /// Those that were refused, by their places from 0 in what was given, rising; and why.
    pub refused: Vec<(u32, UpdateError)>,
}

/// A [`BatchReport`] to come. Await it on any runtime.
#[derive(Debug)]
#[must_use = "a report is delivered to who waits for it"]
pub struct BatchReported {
    pub(crate) cell: Arc<BatchCell>,
}

impl BatchReported {
    /// Blocks this thread until every shard has queued the batch. Never call it on a shard.
    #[must_use]
    pub fn wait(self) -> BatchReport {
        futures_lite::future::block_on(self)
    }
}

impl Future for BatchReported {
    type Output = BatchReport;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BatchReport> {
        if let Some(report) = self.cell.report() {
            return Poll::Ready(report);
        }
        *self.cell.waiter.lock() = Some(cx.waker().clone());
        self.cell.report().map_or(Poll::Pending, Poll::Ready)
    }
}
