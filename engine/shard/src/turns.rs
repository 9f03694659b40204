//! Whose turn it is: connections that have something to do, and the one task that does it.

use std::cell::RefCell;
use std::rc::Rc;

use corecast_hub::ConnId;

use crate::connection;
use crate::handler::Handler;
use crate::limits::TURNS_MAX;
use crate::shard::Shard;
use crate::signal::{self, Signal};

/// The connections that are to have a turn, each once.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    due: RefCell<Vec<ConnId>>,
    raised: Signal,
}

impl Turns {
    /// Schedules a turn. Only [`Slot::wake`](crate::shard::Slot::wake) calls it, which sees to it
    /// that nobody is scheduled twice.
    #[inline]
    pub(crate) fn push(&self, conn: ConnId) {
        self.due.borrow_mut().push(conn);
        self.raised.raise();
    }

    /// Lets go of the task.
    pub(crate) fn forget(&self) {
        self.raised.forget();
    }
}

/// Gives turns until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>) {
    let mut due = Vec::new();
    loop {
        shard.turns.raised.wait().await;
        std::mem::swap(&mut due, &mut *shard.turns.due.borrow_mut());
        for some in due.chunks(TURNS_MAX) {
            for &conn in some {
                connection::turn(&shard, conn);
            }
            if some.len() == TURNS_MAX {
                // The flusher and the mesh have theirs in between.
                signal::yield_now().await;
            }
        }
        due.clear();
    }
}
