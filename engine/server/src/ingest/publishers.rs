//! The publishers by name: how far each has come, and which connection speaks for it.
//!
//! A second connection of a name takes over, and the first is closed: a publisher whose machine or
//! network has failed need not wait until its dead connection is noticed. Two live ones of the same
//! name and epoch would take turns; that is logged each time.

use super::limits::NAMES_PER_PUBLISHER;
use super::progress::{PastEpoch, Progress, Start};
use crate::lock::Lock;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// All publishers that the server remembers.
#[derive(Debug)]
pub(crate) struct Publishers {
    table: Lock<Table>,
    /// Records were lost with their home: the server ends, and answers no hello any more.
    has_lost: AtomicBool,
    connected_max: usize,
    names_max: usize,
}

#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<Box<str>, Arc<Publisher>>,
    connected: usize,
    /// Counts connections; also tells which publisher has been away the longest.
    connections: u64,
}

/// One name.
#[derive(Debug)]
struct Publisher {
    state: Lock<State>,
    /// A connection has ended.
    fewer: Notify,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    /// Connections that have not ended: also those that speak for it no longer, as long as it is
    /// not known what became of all that they have given.
    sessions: usize,
    /// The connection that speaks for it, and how to tell that one to end.
    owner: Option<(u64, Arc<Notify>)>,
    /// The last connection that spoke for it.
    last_owner: u64,
}

/// How far a publisher has come, for another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its name.
    pub(crate) name: Box<str>,
    /// Its epoch.
    pub(crate) epoch: u64,
    /// Its last record in it; none: it may be anywhere.
    pub(crate) last: Option<u64>,
}

/// The connection that speaks for a publisher. Another may take its place at any time.
#[derive(Debug)]
pub(crate) struct Session {
    publishers: Arc<Publishers>,
    publisher: Arc<Publisher>,
    connection: u64,
    superseded: Arc<Notify>,
    /// The last record that was taken before this connection; 0: none.
    pub(crate) last: u64,
    /// Whether the publisher has started again since it was last here.
    pub(crate) start: Start,
    /// Whether it took the place of another connection.
    pub(crate) took_over: bool,
}

/// Why a publisher may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// It is in an epoch that is past.
    Past(PastEpoch),
    /// Records were lost with their home.
    Lost,
    /// So many are connected already.
    TooMany(usize),
}

/// What became of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer<T, E> {
    /// They were taken.
    Taken(T),
    /// Taking them failed; nothing has changed.
    Failed(E),
    /// Another connection speaks for this publisher now.
    Superseded,
}

impl Publishers {
    /// Room for `connected_max` publishers at a time, and for [`NAMES_PER_PUBLISHER`] times as many
    /// names.
    pub(crate) fn new(connected_max: usize) -> Self {
        let names_max = connected_max.saturating_mul(NAMES_PER_PUBLISHER);
        let (table, has_lost) = Default::default();
        Self { table, has_lost, connected_max, names_max }
    }

    /// All that it remembers, who was here last, last. Nobody may be connected any more.
    pub(crate) fn export(&self) -> Vec<Known> {
        let table = self.table.lock();
        let all = table.by_name.iter().map(|(name, publisher)| {
            let state = publisher.state.lock();
            let (epoch, last) = state.progress.parts();
            (state.last_owner, Known { name: name.clone(), epoch, last })
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by_key(|(last_owner, _)| *last_owner);
        all.into_iter().map(|(_, known)| known).collect()
    }

    /// Remembers what another process has remembered, as much as there is room for.
    pub(crate) fn import(&self, known: Vec<Known>) {
        let mut table = self.table.lock();
        let too_many = known.len().saturating_sub(self.names_max);
        for Known { name, epoch, last } in known.into_iter().skip(too_many) {
            table.connections += 1;
            let publisher = Publisher::new(Progress::at(epoch, last), table.connections);
            table.by_name.insert(name, Arc::new(publisher));
        }
    }

    /// A connection speaks for the publisher `name` from now on.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub(crate) fn open(self: &Arc<Self>, name: &str, epoch: u64) -> Result<Session, OpenError> {
        if self.has_lost.load(Ordering::SeqCst) {
            return Err(OpenError::Lost);
        }
        let mut table = self.table.lock();
        let known = table.by_name.get(name).cloned();
        let is_connected = known.as_ref().is_some_and(|known| known.state.lock().owner.is_some());
        if !is_connected && table.connected >= self.connected_max {
            return Err(OpenError::TooMany(self.connected_max));
        }
        let publisher = known.unwrap_or_else(|| {
            table.forget_one_of(self.names_max);
            let publisher = Arc::new(Publisher::new(Progress::new(epoch), 0));
            table.by_name.insert(name.into(), Arc::clone(&publisher));
            publisher
        });
        let mut state = publisher.state.lock();
        let start = state.progress.hello(epoch).map_err(OpenError::Past)?;
        table.connections += 1;
        let (connection, superseded) = (table.connections, Arc::new(Notify::new()));
        let before = state.owner.replace((connection, Arc::clone(&superseded)));
        state.last_owner = connection;
        state.sessions += 1;
        let last = state.progress.last();
        drop(state);
        match &before {
            Some((_, other)) => other.notify_one(),
            None => table.connected += 1,
        }
        let (publishers, took_over) = (Arc::clone(self), before.is_some());
        Ok(Session { publishers, publisher, connection, superseded, last, start, took_over })
    }
}

impl Publisher {
    fn new(progress: Progress, last_owner: u64) -> Self {
        let state = State { progress, sessions: 0, owner: None, last_owner };
        Self { state: Lock::new(state), fewer: Notify::new() }
    }
}

impl Table {
    /// Makes a place for one more name: the publisher that has been away the longest is forgotten.
    fn forget_one_of(&mut self, names_max: usize) {
        if self.by_name.len() < names_max {
            return;
        }
        let away = self.by_name.iter().filter_map(|(name, publisher)| {
            let state = publisher.state.lock();
            state.owner.is_none().then(|| (state.last_owner, name.clone()))
        });
        // Fewer are connected than names are remembered, so one is away.
        if let Some((_, name)) = away.min() {
            tracing::info!(publisher = %name, "forgotten: more names than are remembered");
            self.by_name.remove(&name);
        }
    }
}

impl Session {
    /// Lets `take` judge records and take those that are new. All in one step, so that of two
    /// connections only one takes them; where it fails, the publisher has come no further.
    pub(crate) fn offer<T, E>(
        &self,
        take: impl FnOnce(&mut Progress) -> Result<T, E>,
    ) -> Offer<T, E> {
        let mut state = self.publisher.state.lock();
        if !state.is_owned_by(self.connection) {
            return Offer::Superseded;
        }
        let mut progress = state.progress;
        match take(&mut progress) {
            Ok(taken) => {
                state.progress = progress;
                Offer::Taken(taken)
            }
            Err(error) => Offer::Failed(error),
        }
    }

    /// Waits until all earlier connections of this publisher have ended: it is known then what
    /// became of everything that they have given.
    pub(crate) async fn alone(&self) {
        loop {
            let mut fewer = pin!(self.publisher.fewer.notified());
            // From here on it is told of each that ends.
            fewer.as_mut().enable();
            if self.publisher.state.lock().sessions == 1 {
                return;
            }
            fewer.await;
        }
    }

    /// A home has ended before it took all that this connection has given.
    pub(crate) fn lost(&self) {
        self.publishers.has_lost.store(true, Ordering::SeqCst);
    }

    /// Whether that has happened to any connection.
    pub(crate) fn has_lost(&self) -> bool {
        self.publishers.has_lost.load(Ordering::SeqCst)
    }

    /// Waits until another connection has taken over.
    pub(crate) async fn superseded(&self) {
        self.superseded.notified().await;
    }
}

impl State {
    fn is_owned_by(&self, connection: u64) -> bool {
        self.owner.as_ref().is_some_and(|(owner, _)| *owner == connection)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut table = self.publishers.table.lock();
        let mut state = self.publisher.state.lock();
        if state.is_owned_by(self.connection) {
            state.owner = None;
            table.connected -= 1;
        }
        state.sessions -= 1;
        self.publisher.fewer.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::super::progress::Verdict;
    use super::*;

    /// Takes one record, and tells how it was judged.
    fn take(seq: u64) -> impl FnOnce(&mut Progress) -> Result<Verdict, &'static str> {
        move |progress| {
            let verdict = progress.judge(seq);
            if verdict != Verdict::Duplicate {
                progress.advance(seq);
            }
            Ok(verdict)
        }
    }

    #[tokio::test]
    async fn who_comes_later_takes_over_and_nothing_is_taken_twice() {
        let publishers = Arc::new(Publishers::new(1));
        let first = publishers.open("a", 1).expect("a place");
        assert_eq!(first.offer(take(1)), Offer::Taken(Verdict::Next));
        let second = publishers.open("a", 1).expect("a takeover needs no place");
        first.superseded().await;
        assert!(second.took_over && !first.took_over);
        assert_eq!(first.offer(take(2)), Offer::Superseded);
        assert_eq!(second.offer(take(1)), Offer::Taken(Verdict::Duplicate));
        assert_eq!(second.offer(take(2)), Offer::Taken(Verdict::Next));
        drop(first);
        assert_eq!(publishers.open("b", 1).expect_err("no place"), OpenError::TooMany(1));
        drop(second);
        assert_eq!(publishers.open("a", 1).expect("a place again").last, 2);
    }

    #[test]
    fn what_could_not_be_taken_may_come_again() {
        let publishers = Arc::new(Publishers::new(1));
        let session = publishers.open("a", 1).expect("a place");
        assert_eq!(
            session.offer(|progress| {
                progress.advance(5);
                Err::<(), _>("full")
            }),
            Offer::Failed("full")
        );
        let session = publishers.open("a", 1).expect("its place");
        assert_eq!(session.last, 0);
        assert_eq!(session.offer(take(5)), Offer::Taken(Verdict::Next));
        assert_eq!(session.offer(take(9)), Offer::Taken(Verdict::Jump { missing: 3 }));
    }

    #[test]
    fn an_older_process_does_not_push_the_newer_out() {
        let publishers = Arc::new(Publishers::new(2));
        let newer = publishers.open("a", 9).expect("a place");
        let past = OpenError::Past(PastEpoch { known: 9 });
        assert_eq!(publishers.open("a", 8).expect_err("an old epoch"), past);
        assert_eq!(newer.offer(take(1)), Offer::Taken(Verdict::Next));
        let restarted = publishers.open("a", 10).expect("a new epoch");
        assert_eq!((restarted.start, restarted.last), (Start::Restarted, 0));
    }

    #[test]
    fn another_process_knows_who_has_come_how_far_and_forgets_the_longest_away() {
        let old = Arc::new(Publishers::new(1));
        for (name, seq) in [("a", 7), ("b", 1), ("c", 3)] {
            let session = old.open(name, 1).expect("a place");
            assert_eq!(session.offer(take(seq)), Offer::Taken(Verdict::Next));
        }
        drop(old.open("a", 1).expect("again"));
        drop(old.open("d", 1).expect("it says nothing"));
        let known = old.export();
        let new = Arc::new(Publishers::new(1));
        new.import(known.clone());
        assert_eq!(new.export(), known);
        let session = new.open("a", 1).expect("a place");
        assert_eq!(session.last, 7);
        assert_eq!(session.offer(take(7)), Offer::Taken(Verdict::Duplicate));
        assert_eq!(session.offer(take(8)), Offer::Taken(Verdict::Next));
        drop(session);
        assert_eq!(new.open("d", 1).expect("a place").offer(take(9)), Offer::Taken(Verdict::Next));
        let past = OpenError::Past(PastEpoch { known: 1 });
        assert_eq!(new.open("b", 0).expect_err("an old epoch"), past);
        let few = Publishers { names_max: 2, ..Publishers::new(1) };
        few.import(known);
        let names: Vec<_> = few.export().into_iter().map(|known| known.name).collect();
        assert_eq!(names, ["a".into(), "d".into()], "the longest away are forgotten");
    }

    #[test]
    fn the_names_are_bounded_and_the_longest_away_goes_first() {
        let publishers = Arc::new(Publishers::new(1));
        let seen = |name: &str| {
            let session = publishers.open(name, 1).expect("a place");
            let last = session.last;
            session.offer(take(last + 1));
            last
        };
        for index in 0..NAMES_PER_PUBLISHER {
            assert_eq!(seen(&format!("p{index}")), 0);
        }
        assert_eq!(seen("p0"), 1, "remembered, and again the newest");
        assert_eq!(seen("new"), 0);
        assert_eq!(publishers.table.lock().by_name.len(), NAMES_PER_PUBLISHER);
        assert_eq!(seen("p0"), 2);
        assert_eq!(seen("p1"), 0, "forgotten in favour of the new one");
    }
}
