//! The records that have come in, made ready to be published together.

use super::input::Input;
use super::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use super::progress::{Progress, Verdict};
use crate::intake::{Fault, Intake, Sink, own};
use corecast::{Update, UpdateKind};
use corecast_feed::ingest::{Frame, Record, RecordKind};

/// The new records among the next frames, and what was wrong with others.
#[derive(Debug)]
pub(super) struct Gathered {
    /// What is to be published, in order.
    pub(super) updates: Vec<Update>,
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

/// Gathers records, at most so many, and notes in `progress` that they are done with.
pub(super) fn gather<S: Sink>(
    input: &Input,
    intake: &Intake<S>,
    progress: &mut Progress,
    records_max: usize,
) -> Gathered {
    let (sink_records_max, sink_bytes_max) = intake.batch_max();
    let records_max = records_max.min(BATCH_RECORDS_MAX).min(sink_records_max).max(1);
    let bytes_max = BATCH_BYTES_MAX.min(sink_bytes_max);
    let mut gathered = Gathered {
        updates: Vec::new(),
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
        gathered.take(&record, intake, progress);
    }
    gathered
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
