//! A wake between two tasks of one shard, and the count of all of them: who sees that nobody was
//! woken while all others had their turn knows that nobody can run.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

thread_local! {
    /// Wakes on this thread, which is one shard's.
    static WAKES: Cell<u64> = const { Cell::new(0) };
}

/// Wakes so far, on this thread.
#[inline]
pub(crate) fn wakes() -> u64 {
    WAKES.get()
}

/// Takes note that somebody has something to do.
#[inline]
pub(crate) fn note() {
    WAKES.set(WAKES.get() + 1);
}

/// Wakes a task of this thread, and takes note of it.
#[inline]
pub(crate) fn wake(waker: Waker) {
    note();
    waker.wake();
}

/// Lets all others that can run have their turn.
pub(crate) async fn step_back() {
    futures_lite::future::yield_now().await;
}

/// Raised by many, waited for by one task.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Signal {
    /// Schedules the waiter behind the tasks that can run already. Raising it twice is raising it
    /// once.
    #[inline]
    pub(crate) fn raise(&self) {
        if !self.raised.replace(true)
            && let Some(waiter) = self.waiter.take()
        {
            wake(waiter);
        }
    }

    /// Lets go of the waiter. A waker that is dropped behind its executor's end leaks its task.
    pub(crate) fn forget(&self) {
        self.waiter.take();
    }

    /// Waits until it is raised. Always yields, so that a waiter that raises it itself starves
    /// nobody.
    pub(crate) async fn wait(&self) {
        let mut yielded = false;
        poll_fn(|cx| {
            if self.raised.get() && yielded {
                self.raised.set(false);
                return Poll::Ready(());
            }
            if self.raised.get() {
                wake(cx.waker().clone());
            } else {
                self.waiter.replace(Some(cx.waker().clone()));
            }
            yielded = true;
            Poll::Pending
        })
        .await;
    }
}
