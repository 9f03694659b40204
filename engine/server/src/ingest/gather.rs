//! The records that have come in, made ready to be published together.

use super::input::Input;
use super::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use super::progress::{Progress, Verdict};
use crate::intake::{Fault, Intake, Sink, own};
use corecast::{Update, UpdateKind};
use corecast_feed::ingest::{Frame, Record, RecordKind};

/// Records that are ready to be published, and how far their publisher has come with them.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) gathered: Gathered,
    pub(super) progress: Progress,
}

/// The new records among the next frames, and what was wrong with others.
#[derive(Debug)]
pub(super) struct Gathered {
    /// What is to be published, in order.
    pub(super) updates: Vec<Update>,
    /// Bytes of those, as the sink counts them.
    updates_bytes: usize,
    /// The number of each of them.
    pub(super) seqs: Vec<u64>,
    /// New records that can never be published, by rising number.
    pub(super) faults: Vec<(u64, Fault)>,
    /// Bytes of the frames.
    pub(super) bytes: usize,
    /// Records that have never come, by the numbers of those that have.
    pub(super) missing: u64,
    /// Records that were there before.
    pub(super) duplicates: u64,
    /// Why there are not more.
    pub(super) then: Then,
}

/// What comes behind the gathered records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Maybe more of them.
    More,
    /// Nothing that is all there.
    Bytes,
    /// A frame that is none of them, or no frame at all.
    Other,
}

/// Gathers records, at most so many, of a publisher that has come so far.
pub(super) fn gather<S: Sink>(
    input: &Input,
    intake: &Intake<S>,
    mut progress: Progress,
    records_max: usize,
) -> Held {
    let (sink_records_max, sink_bytes_max) = intake.batch_max();
    let records_max = records_max.min(BATCH_RECORDS_MAX).min(sink_records_max).max(1);
    let bytes_max = BATCH_BYTES_MAX.min(sink_bytes_max);
    let mut gathered = Gathered {
        updates: Vec::new(),
        updates_bytes: 0,
        seqs: Vec::new(),
        faults: Vec::new(),
        bytes: 0,
        missing: 0,
        duplicates: 0,
        then: Then::More,
    };
    while gathered.records() < records_max {
        let (record, bytes) = match input.frame_behind(gathered.bytes) {
            Ok(Some((Frame::Record(record), bytes))) if record.seq > 0 => (record, bytes),
            Ok(None) => {
                gathered.then = Then::Bytes;
                break;
            }
            _ => {
                gathered.then = Then::Other;
                break;
            }
        };
        // One record may be larger than all that otherwise go together.
        if gathered.bytes + bytes > bytes_max && gathered.records() > 0 {
            break;
        }
        gathered.bytes += bytes;
        gathered.take(&record, intake, &mut progress);
    }
    Held { gathered, progress }
}

impl Held {
    /// What there must be room for.
    pub(super) fn updates_and_bytes(&self) -> (usize, usize) {
        (self.gathered.updates.len(), self.gathered.updates_bytes)
    }
}

impl Gathered {
    /// New records.
    pub(super) fn records(&self) -> usize {
        self.updates.len() + self.faults.len()
    }

    fn take<S: Sink>(&mut self, record: &Record<'_>, intake: &Intake<S>, progress: &mut Progress) {
        match progress.judge(record.seq) {
            Verdict::Duplicate => {
                self.duplicates += 1;
                return;
            }
            Verdict::Jump { missing } => self.missing = self.missing.saturating_add(missing),
            Verdict::Next => {}
        }
        progress.advance(record.seq);
        match intake.checked(update(record)) {
            Ok(update) => {
                self.updates_bytes += update.bytes();
                self.updates.push(update);
                self.seqs.push(record.seq);
            }
            Err(fault) => self.faults.push((record.seq, fault)),
        }
    }
}

/// What a record publishes.
fn update(record: &Record<'_>) -> Update {
    Update {
        kind: match record.kind {
            RecordKind::Message => UpdateKind::Message,
            RecordKind::Snapshot => UpdateKind::Snapshot,
        },
        key: record.key.map(own),
        binary: record.binary.map(own),
        ts: record.ts_ns,
        ..Update::new(record.topic, own(record.data))
    }
}
