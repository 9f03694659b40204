//! Who waits for something that other threads bring about, on any runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use crate::lock::Lock;

/// A list of who waits, and a flag that spares others the lock while nobody does.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    present: AtomicBool,
    list: Lock<List>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    wakers: Vec<(u64, Waker)>,
}

impl Waiters {
    /// Waits until `holds` says something. Who gives up waiting leaves nothing behind.
    pub(crate) fn until<T, F: FnMut() -> Option<T> + Unpin>(&self, holds: F) -> Until<'_, F> {
        Until { waiters: self, holds, id: None }
    }

    /// Whether anybody waits.
    #[inline]
    pub(crate) fn is_present(&self) -> bool {
        self.present.load(Ordering::SeqCst)
    }

    /// Lets everybody look again.
    pub(crate) fn wake(&self) {
        if self.present.swap(false, Ordering::SeqCst) {
            let wakers = std::mem::take(&mut self.list.lock().wakers);
            wakers.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    fn add(&self, id: Option<u64>, waker: &Waker) -> u64 {
        let mut list = self.list.lock();
        let id = id.unwrap_or_else(|| {
            list.next += 1;
            list.next
        });
        match list.wakers.iter_mut().find(|(present, _)| *present == id) {
            Some((_, present)) => present.clone_from(waker),
            None => list.wakers.push((id, waker.clone())),
        }
        self.present.store(true, Ordering::SeqCst);
        id
    }
}

/// A wait on its way.
#[derive(Debug)]
pub(crate) struct Until<'a, F> {
    waiters: &'a Waiters,
    holds: F,
    id: Option<u64>,
}

impl<T, F: FnMut() -> Option<T> + Unpin> Future for Until<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(value) = (self.holds)() {
            return Poll::Ready(value);
        }
        self.id = Some(self.waiters.add(self.id, cx.waker()));
        // What changed before it saw us wait is seen here.
        (self.holds)().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<F> Drop for Until<'_, F> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.waiters.list.lock().wakers.retain(|(present, _)| *present != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let waiters = Waiters::default();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            let mut until = waiters.until(|| None::<()>);
            assert!(Pin::new(&mut until).poll(&mut cx).is_pending());
            assert!(Pin::new(&mut until).poll(&mut cx).is_pending());
            assert_eq!(waiters.list.lock().wakers.len(), 1);
        }
        assert_eq!(waiters.list.lock().wakers.len(), 0);
    }
}
