//! A node's place in the mesh, and the account of what became of its publication.

use std::sync::Arc;

use corecast_hub::Report;
use corecast_hub::home::UpdateError;
use corecast_hub::node::{Event, Ticket as Account};

use super::admission::Ticket;
use super::batch::BatchCell;
use super::publication::ReportCell;
use super::{Job, Mesh};
use crate::ConnectionId;
use crate::clock::Clock;

/// Held by each job of a node; the last one that lets go of it ends the account.
#[derive(Debug)]
pub(crate) struct Pass {
    ticket: Option<Ticket>,
    cell: Option<Arc<ReportCell>>,
    asked_by: Option<Box<Asked>>,
    batch: Option<Box<Part>>,
}

/// A part of a batch.
#[derive(Debug)]
struct Part {
    cell: Arc<BatchCell>,
    mesh: Arc<Mesh>,
    clock: Clock,
}

/// A connection that is to be told when every node is done.
#[derive(Debug)]
struct Asked {
    mesh: Arc<Mesh>,
    by: ConnectionId,
    token: u64,
}

impl Pass {
    /// A place that nobody asks about.
    pub(crate) fn new(ticket: Ticket) -> Self {
        Self { ticket: Some(ticket), cell: None, asked_by: None, batch: None }
    }

    /// A place of a part of a batch.
    pub(crate) fn part(
        ticket: Ticket,
        cell: Arc<BatchCell>,
        mesh: &Arc<Mesh>,
        clock: Clock,
    ) -> Self {
        let part = Box::new(Part { cell, mesh: Arc::clone(mesh), clock });
        Self { ticket: Some(ticket), cell: None, asked_by: None, batch: Some(part) }
    }

    /// A place whose account is kept in `cell`.
    pub(crate) fn reported(ticket: Ticket, cell: Arc<ReportCell>) -> Self {
        Self { ticket: Some(ticket), cell: Some(cell), asked_by: None, batch: None }
    }

    /// A place whose account is told to a connection, by [`Event::Reported`].
    pub(crate) fn told(ticket: Ticket, mesh: &Arc<Mesh>, by: ConnectionId, token: u64) -> Self {
        let asked = Asked { mesh: Arc::clone(mesh), by, token };
        let cell = Some(Arc::default());
        let asked_by = Some(Box::new(asked));
        Self { ticket: Some(ticket), cell, asked_by, batch: None }
    }
}

impl Account for Pass {
    fn sequenced(&self, seq: u64) {
        if let Some(cell) = &self.cell {
            cell.number(seq);
        }
    }

    fn refused(&self, error: &UpdateError, told: bool) {
        match &self.cell {
            Some(cell) => cell.refuse(error.clone()),
            None if told => {}
            None => tracing::debug!(%error, "an update was refused by its topic's home"),
        }
    }

    fn add(&self, report: Report) {
        if let Some(cell) = &self.cell {
            cell.add(report);
        }
    }

    fn refused_of_many(&self, place: u32, topic: &str, error: UpdateError) {
        if let Some(part) = &self.batch {
            part.mesh.refusals.note(part.clock.now(), topic, &error);
            part.cell.refuse(place, error);
        }
    }

    fn dealt_with(&self, updates: usize) {
        if let Some(part) = &self.batch {
            part.cell.deal(updates);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(part) = self.batch.take() {
            part.cell.finish_part();
        }
        let Some(cell) = self.cell.take() else { return };
        cell.finish();
        let (Some(asked), Some(ticket)) = (self.asked_by.take(), self.ticket.take()) else {
            return;
        };
        let Asked { mesh, by, token } = *asked;
        // Of a refusal it was told already.
        let Some(report) = cell.report().filter(|report| report.refused.is_none()) else { return };
        let seq = report.seq.unwrap_or(0);
        let report = Report {
            delivered: report.delivered,
            conflated: report.conflated,
            dropped: report.dropped,
        };
        let event = Box::new(Event::Reported { token, seq, report });
        // The place goes on with the news, so that the inbox has room for it.
        mesh.post(by.shard, Job::Tell { to: by.conn, event, _ticket: ticket });
    }
}
