//! What time brings: conflated variants, stale topics, and what found the mesh full.

use core::time::Duration;

use super::job::Ticket;
use super::{Mesh, Node, Turn};
use crate::id::Timestamp;

/// How soon what found the mesh, or a reader, full is tried again.
const RETRY: Duration = Duration::from_millis(5);

impl<T: Ticket> Node<T> {
    /// When [`tick`](Self::tick) has something to do, if ever.
    #[must_use]
    pub fn next_tick(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.home.next_tick();
        if self.leaves.is_empty() && self.resyncs.is_empty() && self.pages.is_empty() {
            return due;
        }
        let retry = now.after(RETRY);
        Some(due.map_or(retry, |due| due.min(retry)))
    }

    /// Does what is due.
    pub fn tick<M: Mesh<T>>(&mut self, turn: &mut Turn<'_, T, M>) {
        self.say_leaves(turn);
        self.ask_pages(turn);
        if self.home.next_tick().is_some_and(|due| due <= turn.now.mono) {
            // Without room in the mesh the variants conflate a little longer.
            if let Some(ticket) = turn.mesh.ticket(0) {
                let wanted = turn.mesh.wanted();
                let mut emissions = std::mem::take(&mut self.emissions);
                self.home.tick(wanted, turn.now, &mut emissions);
                self.say_also(emissions, ticket, None, turn);
            }
        }
        self.settle(turn);
    }
}
