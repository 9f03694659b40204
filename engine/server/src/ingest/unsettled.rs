//! Records that were given to the engine, and whose topics' homes have not said yet what became of
//! them. They are acknowledged in their order, and none before its home has spoken.

use crate::intake::{Fault, Outcome, Taken};
use futures_util::future::{self, Either, Ready};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The records of one connection, by rising number.
#[derive(Debug)]
pub(super) struct Unsettled<F>(VecDeque<(u64, Either<F, Ready<Outcome>>)>);

impl<F: Future<Output = Outcome> + Unpin> Unsettled<F> {
    pub(super) fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A record that its topic's home will judge.
    pub(super) fn push(&mut self, seq: u64, reported: F) {
        self.0.push_back((seq, Either::Left(reported)));
    }

    /// A record that was refused at once: its turn to be told comes all the same.
    pub(super) fn push_refused(&mut self, seq: u64, fault: Fault) {
        self.0.push_back((seq, Either::Right(future::ready(Err(fault)))));
    }

    /// The first record, if it is settled.
    pub(super) fn settled(&mut self) -> Option<(u64, Result<Taken, Fault>)> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(settled) => settled,
            Poll::Pending => None,
        }
    }

    /// Waits for the first record; none: there is none. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<(u64, Result<Taken, Fault>)> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(u64, Outcome)>> {
        let Some((seq, outcome)) = self.0.front_mut() else { return Poll::Ready(None) };
        let seq = *seq;
        let Poll::Ready(outcome) = Pin::new(outcome).poll(cx) else { return Poll::Pending };
        self.0.pop_front();
        if self.0.is_empty() && self.0.capacity() > KEPT {
            self.0 = VecDeque::new();
        }
        Poll::Ready(Some((seq, outcome)))
    }
}

/// Places that an empty queue keeps.
const KEPT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn they_settle_in_their_order_whoever_is_done_first() {
        let fault = |code| Fault::whole(code, "no");
        let channel = || {
            let (done, report) = oneshot::channel();
            (done, Box::pin(async { report.await.expect("a report") }))
        };
        let ((first, a), (third, c)) = (channel(), channel());
        let mut records = Unsettled::<Pin<Box<dyn Future<Output = Outcome>>>>::new();
        records.push(1, a);
        records.push_refused(2, fault(404));
        records.push(7, c);
        third.send(Err(fault(429))).expect("somebody waits");
        assert_eq!((records.settled(), records.len()), (None, 3));
        first.send(Ok(Taken::default())).expect("somebody waits");
        assert_eq!(records.next().await, Some((1, Ok(Taken::default()))));
        assert_eq!(records.settled(), Some((2, Err(fault(404)))));
        assert_eq!(records.next().await, Some((7, Err(fault(429)))));
        assert_eq!((records.next().await, records.is_empty()), (None, true));
    }
}
