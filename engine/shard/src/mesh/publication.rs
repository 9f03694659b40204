//! One message on its way to all shards, and the account of what became of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use corecast_hub::home::UpdateError;
use corecast_hub::{Report, Timestamp};
use corecast_wire::Frame;

use super::admission::Ticket;
use crate::ConnectionId;
use crate::lock::Lock;

/// A message encoded once, shared by all shards. Its ticket is given back when the last shard has
/// queued it.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) topic: Box<str>,
    pub(crate) frame: Frame,
    /// The frame with its twin, made by the topic's home where somebody takes that.
    pub(crate) pressed: OnceLock<Frame>,
    pub(crate) key: Option<Box<[u8]>>,
    pub(crate) except: Option<ConnectionId>,
    pub(crate) published_at: Timestamp,
    pub(crate) seq: AtomicU64,
    pub(crate) report: Option<Arc<ReportCell>>,
    pub(crate) _ticket: Ticket,
}

impl Publication {
    /// What is queued: as its home made it.
    #[inline]
    pub(crate) fn frame(&self) -> &Frame {
        self.pressed.get().unwrap_or(&self.frame)
    }

    pub(crate) fn add(&self, report: Report) {
        if let Some(cell) = &self.report {
            cell.add(report);
        }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if let Some(cell) = &self.report {
            cell.finish();
        }
    }
}

/// Sums over the shards, and who waits for them.
#[derive(Debug, Default)]
pub(crate) struct ReportCell {
    delivered: AtomicU64,
    conflated: AtomicU64,
    dropped: AtomicU64,
    /// The number that the home gave, 0 as long as there is none.
    seq: AtomicU64,
    refused: OnceLock<UpdateError>,
    done: AtomicBool,
    waiter: Lock<Option<Waker>>,
}

impl ReportCell {
    pub(crate) fn add(&self, report: Report) {
        self.delivered.fetch_add(report.delivered, Ordering::Relaxed);
        self.conflated.fetch_add(report.conflated, Ordering::Relaxed);
        self.dropped.fetch_add(report.dropped, Ordering::Relaxed);
    }

    pub(crate) fn number(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, error: UpdateError) {
        let _ = self.refused.set(error);
    }

    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::Release);
        let waiter = self.waiter.lock().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    pub(crate) fn report(&self) -> Option<PublishReport> {
        self.done.load(Ordering::Acquire).then(|| PublishReport {
            delivered: self.delivered.load(Ordering::Relaxed),
            conflated: self.conflated.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            seq: Some(self.seq.load(Ordering::Relaxed)).filter(|seq| *seq > 0),
            refused: self.refused.get().cloned(),
        })
    }
}

/// What became of one publication, over all shards, once each has queued it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Sockets whose queue took it.
    pub delivered: u64,
    /// Older unsent values that it replaced.
    pub conflated: u64,
    /// Frames that a policy discarded on this occasion: this one, or older ones in its favour.
    pub dropped: u64,
    /// The number that the topic's home gave it. A snapshot has that of the last message, and none
    /// before the first. None: it was a raw frame, or refused.
    pub seq: Option<u64>,
    /// Why the topic's home did not take it: nothing of it was delivered.
    pub refused: Option<UpdateError>,
}

/// A [`PublishReport`] to come. Await it on any runtime, or [`wait`](Self::wait) on a thread.
#[derive(Debug)]
#[must_use = "a report is delivered to who waits for it"]
pub struct Reported {
    pub(crate) cell: Arc<ReportCell>,
}

impl Reported {
    /// Blocks this thread until every shard has queued the publication. Never call it on a shard.
    #[must_use]
    pub fn wait(self) -> PublishReport {
        futures_lite::future::block_on(self)
    }
}

impl Future for Reported {
    type Output = PublishReport;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<PublishReport> {
        if let Some(report) = self.cell.report() {
            return Poll::Ready(report);
        }
        *self.cell.waiter.lock() = Some(cx.waker().clone());
        self.cell.report().map_or(Poll::Pending, Poll::Ready)
    }
}
