//! Records that were given to the engine, and whose topics' homes have not said yet what became of
//! them. They are acknowledged in their order, and none before its home has spoken.

use crate::intake::{Fault, Settled};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What became of a record, and with it of all before it that nothing was said of.
pub(super) type Told = (u64, Result<(), Fault>);

/// The records of one connection, by rising number.
#[derive(Debug)]
pub(super) struct Unsettled<F> {
    batches: VecDeque<Batch<F>>,
    /// Records in all of them.
    records: usize,
    /// What is known, and not told yet, of the last batch that was settled.
    told: VecDeque<Told>,
}

/// Records that were given together.
#[derive(Debug)]
pub(super) struct Batch<F> {
    /// The number of each that was given.
    pub(super) seqs: Vec<u64>,
    /// What their homes will say; none: none was given.
    pub(super) reported: Option<F>,
    /// Those that were refused at once, by rising number.
    pub(super) faults: Vec<(u64, Fault)>,
}

impl<F: Future<Output = Settled> + Unpin> Unsettled<F> {
    pub(super) fn new() -> Self {
        Self { batches: VecDeque::new(), records: 0, told: VecDeque::new() }
    }

    /// Records of which nothing is known.
    pub(super) fn len(&self) -> usize {
        self.records
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.told.is_empty()
    }

    /// Records that come behind all others.
    pub(super) fn push(&mut self, batch: Batch<F>) {
        self.records += batch.records();
        self.batches.push_back(batch);
    }

    /// What is to be told next, if it is known.
    pub(super) fn settled(&mut self) -> Option<Told> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(told) => told,
            Poll::Pending => None,
        }
    }

    /// Waits for what is to be told next; none: there is nothing. Dropping the future loses
    /// nothing.
    pub(super) async fn next(&mut self) -> Option<Told> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Told>> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Poll::Ready(Some(told));
            }
            let Some(batch) = self.batches.front_mut() else { return Poll::Ready(None) };
            let settled = match &mut batch.reported {
                None => Settled::default(),
                Some(reported) => match Pin::new(reported).poll(cx) {
                    Poll::Ready(settled) => settled,
                    Poll::Pending => return Poll::Pending,
                },
            };
            if let Some(batch) = self.batches.pop_front() {
                self.records -= batch.records();
                batch.tell(settled, &mut self.told);
            }
        }
    }
}

impl<F> Batch<F> {
    fn records(&self) -> usize {
        self.seqs.len() + self.faults.len()
    }

    /// All refusals in their order, and that the rest is done.
    fn tell(self, settled: Settled, told: &mut VecDeque<Told>) {
        let Self { seqs, mut faults, .. } = self;
        if settled.dealt < seqs.len() {
            // A home has ended. Which records it took is not known: they come again.
            let first = seqs.first().copied().unwrap_or(0);
            told.push_back((first, Err(Fault::whole(503, "the server is ending"))));
            return;
        }
        let last = seqs.last().copied().max(faults.last().map(|(seq, _)| *seq));
        faults.extend(settled.refused.into_iter().map(|(place, fault)| (seqs[place], fault)));
        faults.sort_by_key(|(seq, _)| *seq);
        let is_last_told = faults.last().map(|(seq, _)| *seq) == last;
        told.extend(faults.into_iter().map(|(seq, fault)| (seq, Err(fault))));
        told.extend(last.filter(|_| !is_last_told).map(|seq| (seq, Ok(()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    type Reported = Pin<Box<dyn Future<Output = Settled>>>;

    fn fault(code: u16) -> Fault {
        Fault::whole(code, "no")
    }

    fn channel() -> (oneshot::Sender<Settled>, Option<Reported>) {
        let (done, report) = oneshot::channel();
        (done, Some(Box::pin(async { report.await.expect("a report") })))
    }

    fn dealt(dealt: usize, refused: Vec<(usize, Fault)>) -> Settled {
        Settled { dealt, refused }
    }

    #[tokio::test]
    async fn they_settle_in_their_order_whoever_is_done_first() {
        let ((first, a), (third, c)) = (channel(), channel());
        let mut records = Unsettled::<Reported>::new();
        let faults = vec![(2, fault(400))];
        records.push(Batch { seqs: vec![1, 3, 4], reported: a, faults });
        records.push(Batch { seqs: vec![], reported: None, faults: vec![(5, fault(404))] });
        records.push(Batch { seqs: vec![7], reported: c, faults: vec![] });
        third.send(dealt(1, vec![(0, fault(429))])).expect("somebody waits");
        assert_eq!((records.settled(), records.len()), (None, 6));
        first.send(dealt(3, vec![(1, fault(413))])).expect("somebody waits");
        assert_eq!(records.next().await, Some((2, Err(fault(400)))));
        assert_eq!(records.settled(), Some((3, Err(fault(413)))));
        assert_eq!(records.settled(), Some((4, Ok(()))));
        assert_eq!(records.settled(), Some((5, Err(fault(404)))));
        assert_eq!(records.next().await, Some((7, Err(fault(429)))));
        assert_eq!((records.next().await, records.is_empty(), records.len()), (None, true, 0));
    }

    #[tokio::test]
    async fn what_a_home_did_not_live_to_take_is_not_done() {
        let (done, reported) = channel();
        let mut records = Unsettled::<Reported>::new();
        records.push(Batch { seqs: vec![8, 9], reported, faults: vec![] });
        done.send(dealt(1, vec![])).expect("somebody waits");
        let Some((8, Err(fault))) = records.next().await else { panic!("it is told") };
        assert_eq!(fault.code, 503);
    }
}
