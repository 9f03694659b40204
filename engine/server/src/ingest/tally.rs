//! What is counted of one publisher's connection, and what the log says of it: each event at its
//! beginning and end, everything else once a second at most.

use super::connection::End;
use super::limits::LOG_EVERY;
use super::progress::Start;
use super::publishers::Session;
use crate::intake::Fault;
use tokio::time::Instant;

/// The counts of one connection.
#[derive(Debug)]
pub(super) struct Tally {
    publisher: String,
    peer: String,
    all: Counts,
    /// What has not been logged yet.
    news: Counts,
    /// The first refusal among the news.
    fault: Option<String>,
    logged_at: Option<Instant>,
}

/// How many records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Were new, and are published or refused.
    records: u64,
    /// Had been there before, and were acknowledged again.
    duplicates: u64,
    /// Have never come, by the numbers of those that have.
    missing: u64,
    /// Were refused.
    refused: u64,
}

impl Tally {
    pub(super) fn new(publisher: String, peer: String) -> Self {
        let (all, news) = Default::default();
        Self { publisher, peer, all, news, fault: None, logged_at: None }
    }

    /// The publisher has said who it is.
    pub(super) fn opened(&self, epoch: u64, session: &Session) {
        let Self { publisher, peer, .. } = self;
        let last = session.last;
        if session.took_over {
            tracing::warn!(?publisher, %peer, "takes over from another connection of this name");
        }
        match session.start {
            Start::Same => tracing::info!(?publisher, %peer, epoch, last, "publisher connected"),
            Start::Restarted => tracing::info!(?publisher, %peer, epoch, "publisher restarted"),
        }
    }

    /// So many new records, others that have never come, and others that were there before.
    pub(super) fn taken(&mut self, records: u64, missing: u64, duplicates: u64) {
        self.all.records += records;
        for counts in [&mut self.all, &mut self.news] {
            counts.missing = counts.missing.saturating_add(missing);
            counts.duplicates += duplicates;
        }
    }

    /// A new record that can never be published.
    pub(super) fn refused(&mut self, seq: u64, fault: &Fault) {
        self.all.refused += 1;
        self.news.refused += 1;
        self.fault.get_or_insert_with(|| format!("record {seq}: {fault}"));
    }

    /// When there is something to log.
    pub(super) fn log_at(&self) -> Option<Instant> {
        let logged_at = self.logged_at.filter(|_| self.news != Counts::default())?;
        Some(logged_at + LOG_EVERY)
    }

    /// Logs the news, unless the last were logged just now.
    pub(super) fn log(&mut self, now: Instant) {
        let is_soon = self.logged_at.is_some_and(|at| now < at + LOG_EVERY);
        if is_soon || self.news == Counts::default() {
            return;
        }
        let Self { publisher, .. } = self;
        let Counts { duplicates, missing, refused, .. } = std::mem::take(&mut self.news);
        match self.fault.take() {
            Some(first) => {
                tracing::warn!(?publisher, refused, first, missing, duplicates, "bad records");
            }
            None => tracing::warn!(?publisher, missing, duplicates, "numbers do not follow"),
        }
        self.logged_at = Some(now);
    }

    /// The connection ends.
    pub(super) fn close(&self, end: &End) {
        let Self { publisher, peer, .. } = self;
        let Counts { records, duplicates, missing, refused } = self.all;
        tracing::info!(
            ?publisher, %peer, records, duplicates, missing, refused, reason = %end,
            "publisher gone"
        );
    }
}
