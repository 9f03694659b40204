//! How far a publisher has come: its epoch, and its last record in it.

/// The last record of a publisher that was taken or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    epoch: u64,
    /// Its number; none: a publisher that this server has just met may be anywhere in its epoch.
    last: Option<u64>,
}

/// What a hello means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The publisher goes on in its epoch.
    Same,
    /// It has started again: its records count from 1.
    Restarted,
}

/// A hello with an epoch that is past: an older process of the same name, or a clock that was set
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastEpoch {
    /// The epoch that the server has seen.
    pub(crate) known: u64,
}

/// What the number of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It follows the last one.
    Next,
    /// So many before it have never come.
    Jump {
        /// How many.
        missing: u64,
    },
    /// It was there before.
    Duplicate,
}

impl Progress {
    /// Where another process has seen it.
    pub(crate) const fn at(epoch: u64, last: Option<u64>) -> Self {
        Self { epoch, last }
    }

    /// Its epoch and its last record.
    pub(crate) const fn parts(&self) -> (u64, Option<u64>) {
        (self.epoch, self.last)
    }

    /// A publisher that is new here.
    pub(crate) const fn new(epoch: u64) -> Self {
        Self { epoch, last: None }
    }

    /// The publisher connects.
    ///
    /// # Errors
    ///
    /// When it is in an epoch that is past.
    pub(crate) fn hello(&mut self, epoch: u64) -> Result<Start, PastEpoch> {
        if epoch < self.epoch {
            return Err(PastEpoch { known: self.epoch });
        }
        if epoch == self.epoch {
            return Ok(Start::Same);
        }
        *self = Self { epoch, last: Some(0) };
        Ok(Start::Restarted)
    }

    /// Judges a record, without a change.
    pub(crate) fn judge(&self, seq: u64) -> Verdict {
        match self.last {
            Some(last) if seq <= last => Verdict::Duplicate,
            Some(last) if seq - last > 1 => Verdict::Jump { missing: seq - last - 1 },
            _ => Verdict::Next,
        }
    }

    /// A record is done with.
    pub(crate) fn advance(&mut self, seq: u64) {
        debug_assert!(self.judge(seq) != Verdict::Duplicate, "numbers rise");
        self.last = Some(seq);
    }

    /// The number of the last record; 0: none.
    pub(crate) fn last(&self) -> u64 {
        self.last.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_restart_counts_from_one_and_the_past_is_refused() {
        let mut progress = Progress::new(7);
        progress.advance(100);
        assert_eq!(progress.hello(7), Ok(Start::Same));
        assert_eq!(progress.judge(101), Verdict::Next);
        assert_eq!(progress.hello(6), Err(PastEpoch { known: 7 }));
        assert_eq!(progress.judge(100), Verdict::Duplicate, "a refused hello changes nothing");
        assert_eq!(progress.hello(8), Ok(Start::Restarted));
        assert_eq!(progress.last(), 0);
        assert_eq!(progress.judge(1), Verdict::Next);
        assert_eq!(progress.judge(4), Verdict::Jump { missing: 3 });
    }

    #[test]
    fn who_is_new_here_may_be_anywhere() {
        let progress = Progress::new(7);
        assert_eq!(progress.judge(1_000), Verdict::Next);
        assert_eq!(progress.judge(u64::MAX), Verdict::Next);
    }

    proptest! {
        /// Whatever comes in whatever order: nothing is taken twice, and what is missing at the end
        /// is what was counted.
        #[test]
        fn taken_missing_and_duplicates_add_up(seqs in prop::collection::vec(1_u64..60, 0..200)) {
            let mut progress = Progress::new(1);
            progress.hello(2).expect("a restart");
            let (mut taken, mut missing, mut duplicates) = (BTreeSet::new(), 0, 0);
            for seq in &seqs {
                match progress.judge(*seq) {
                    Verdict::Duplicate => {
                        duplicates += 1;
                        continue;
                    }
                    Verdict::Jump { missing: more } => missing += more,
                    Verdict::Next => {}
                }
                progress.advance(*seq);
                prop_assert!(taken.insert(*seq), "{} was taken twice", seq);
            }
            prop_assert_eq!(taken.len() + duplicates, seqs.len());
            prop_assert_eq!(taken.len() as u64 + missing, progress.last());
        }
    }
}
