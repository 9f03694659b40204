//! A wake between two tasks of one shard.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

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
            waiter.wake();
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
                cx.waker().wake_by_ref();
            } else {
                self.waiter.replace(Some(cx.waker().clone()));
            }
            yielded = true;
            Poll::Pending
        })
        .await;
    }
}
