//! Subscriptions: the home is asked, and its answer is where they begin.

use std::sync::Arc;

use super::job::{Address, Attach, AttachResult, Attached, Broadcast, Job, Purpose, Ticket};
use super::{Event, Mesh, Node, Turn};
use crate::encoding::Encoding;
use crate::home::{AttachError, AttachRequest, Attachment, variant_name};
use crate::id::ConnId;
use crate::limits::PRESENCES_MAX;
use crate::policy::Policy;
use crate::slow::Resync;
use crate::stream::Stream;
use crate::subscribe::{Start, SubscribeError};

impl<T: Ticket> Node<T> {
    /// Asks the homes of topics for a connection. Returned are those whose home this node is: reply
    /// and [`start`](Self::start) each at once; and those that the mesh has no room for. The
    /// others come by [`Event::Attached`], one event for each home.
    pub fn attach<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        token: u64,
        requests: Vec<AttachRequest>,
        turn: &mut Turn<'_, T, M>,
    ) -> Vec<AttachResult> {
        let mut by_home: Vec<(u16, Vec<AttachRequest>)> = Vec::new();
        for request in requests {
            let home = turn.mesh.home(&request.topic);
            match by_home.iter_mut().find(|(of, _)| *of == home) {
                Some((_, requests)) => requests.push(request),
                None => by_home.push((home, vec![request])),
            }
        }
        let mut results = Vec::new();
        for (home, requests) in by_home {
            if !turn.hub.is_connected(conn) {
                results.extend(refuse(requests, &AttachError::Gone));
                continue;
            }
            if !self.may_join(conn, &requests) {
                results.extend(refuse(requests, &AttachError::JoinedFull));
                continue;
            }
            let busy = !self.leaves.is_empty() && requests.iter().any(|r| r.member.is_some());
            let ticket = if busy { None } else { turn.mesh.ticket(0) };
            let Some(ticket) = ticket else {
                results.extend(refuse(requests, &AttachError::Busy));
                continue;
            };
            self.remember_joins(conn, &requests);
            if home == self.shard {
                let mut here = self.attach_here(requests, ticket, None, turn).0;
                leave_out_what_came(conn, &mut here, turn);
                self.forget_refused_joins(conn, &here);
                results.extend(here);
            } else {
                let from = Address { shard: self.shard, conn };
                let purpose = Purpose::Subscribe { token };
                let attach = Attach { from, purpose, requests, ticket };
                turn.mesh.post(home, Job::Attach(Box::new(attach)));
            }
        }
        self.settle(turn);
        results
    }

    /// Subscribes a connection to what it attached to, and queues the snapshot and what it missed.
    ///
    /// # Errors
    /// When a bound is reached, or the connection is gone or closing.
    pub fn start<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        attachment: &Attachment,
        policy: Policy,
        encoding: Encoding,
        turn: &mut Turn<'_, T, M>,
    ) -> Result<(), SubscribeError> {
        let home = turn.mesh.home(&attachment.topic);
        let start = start(attachment, policy, encoding);
        let started = turn.hub.start(conn, &stream(attachment, home), start, turn.now.mono);
        if started.is_err() && attachment.interval_ms == 0 {
            // Who does not get a topic is not in it either.
            self.leave_topic(conn, &attachment.topic, turn);
        }
        self.settle(turn);
        started.map(|_| ())
    }

    /// This node is the home: another's connection wants topics.
    pub(super) fn attach_for_another<M: Mesh<T>>(
        &mut self,
        attach: Attach<T>,
        turn: &mut Turn<'_, T, M>,
    ) {
        let Attach { from, purpose, requests, ticket } = attach;
        let (results, said, ticket) = self.attach_here(requests, ticket, Some(from.shard), turn);
        let attached = Attached { to: from.conn, purpose, said, results, _ticket: ticket };
        turn.mesh.post(from.shard, Job::Attached(Box::new(attached)));
    }

    /// Attaches at this home. What that makes it say is told to all nodes but `but`, which gets it
    /// with the answer: so that no inbox holds two jobs of one ticket.
    fn attach_here<M: Mesh<T>>(
        &mut self,
        requests: Vec<AttachRequest>,
        ticket: T,
        but: Option<u16>,
        turn: &mut Turn<'_, T, M>,
    ) -> (Vec<AttachResult>, Option<Arc<Broadcast<T>>>, Option<T>) {
        let wanted = turn.mesh.wanted();
        let mut emissions = std::mem::take(&mut self.emissions);
        let results = requests.into_iter().map(|request| {
            let from = but.unwrap_or(self.shard);
            let result = self.home.attach(&request, from, wanted, turn.now, &mut emissions);
            AttachResult { topic: request.topic, interval_ms: request.interval_ms, result }
        });
        let results = results.collect();
        let (said, ticket) = self.say_also(emissions, ticket, but, turn);
        (results, said, ticket)
    }

    /// Tells the nodes what came up beside an answer.
    pub(super) fn say_also<M: Mesh<T>>(
        &mut self,
        emissions: Vec<crate::home::Emission>,
        ticket: T,
        but: Option<u16>,
        turn: &mut Turn<'_, T, M>,
    ) -> (Option<Arc<Broadcast<T>>>, Option<T>) {
        if emissions.is_empty() {
            self.emissions = emissions;
            return (None, Some(ticket));
        }
        let broadcast = self.broadcast(emissions, turn.now.mono, Some(ticket));
        (Some(self.say(broadcast, but, turn)), None)
    }

    /// A home has answered.
    pub(super) fn attached<M: Mesh<T>>(
        &mut self,
        attached: Attached<T>,
        turn: &mut Turn<'_, T, M>,
    ) {
        let Attached { to, purpose, said, mut results, _ticket } = attached;
        if let Some(said) = said {
            self.deliver(&said, turn);
            turn.queued.push(said);
        }
        match purpose {
            Purpose::Subscribe { token } => {
                if turn.hub.is_connected(to) {
                    self.forget_refused_joins(to, &results);
                    leave_out_what_came(to, &mut results, turn);
                    turn.events.push((to, Event::Attached { token, results }));
                }
            }
            Purpose::Resync { lost_from } => {
                for result in &results {
                    self.resynced(to, lost_from, result, turn);
                }
            }
        }
    }

    /// Slow readers go on: each attaches again.
    pub(super) fn resync_all<M: Mesh<T>>(&mut self, turn: &mut Turn<'_, T, M>) {
        while let Some(resync) = self.resyncs.pop_front() {
            let Resync { conn, topic, interval_ms, encoding, lost_from, .. } = &resync;
            if !turn.hub.is_connected(*conn) {
                continue;
            }
            let Some(ticket) = turn.mesh.ticket(0) else {
                self.resyncs.push_front(resync);
                return;
            };
            let request = AttachRequest::resync(topic, *interval_ms, *encoding);
            let home = turn.mesh.home(topic);
            if home == self.shard {
                let (results, ..) = self.attach_here(vec![request], ticket, None, turn);
                for result in &results {
                    self.resynced(*conn, *lost_from, result, turn);
                }
                continue;
            }
            let from = Address { shard: self.shard, conn: *conn };
            let purpose = Purpose::Resync { lost_from: *lost_from };
            let attach = Attach { from, purpose, requests: vec![request], ticket };
            turn.mesh.post(home, Job::Attach(Box::new(attach)));
        }
    }

    fn resynced<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        lost_from: u64,
        result: &AttachResult,
        turn: &mut Turn<'_, T, M>,
    ) {
        let Ok(attachment) = &result.result else {
            let name = variant_name(&result.topic, result.interval_ms);
            turn.hub.resync_failed(conn, &name, lost_from);
            return;
        };
        let stream = stream(attachment, turn.mesh.home(&attachment.topic));
        let (snapshot, missed) = (attachment.snapshot.clone(), &attachment.missed);
        turn.hub.resync(conn, &stream, lost_from, snapshot, missed, turn.now.mono);
    }

    /// Whether a connection may be in so many topics with presence.
    fn may_join(&self, conn: ConnId, requests: &[AttachRequest]) -> bool {
        let joining = requests.iter().filter(|request| request.member.is_some()).count();
        let joined = self.peers.get(&conn.index).map_or(0, |peer| peer.joined.len());
        joining == 0 || joined + joining <= PRESENCES_MAX
    }

    fn remember_joins(&mut self, conn: ConnId, requests: &[AttachRequest]) {
        for request in requests {
            if let Some(member) = &request.member {
                let peer = self.peer(conn, &member.client);
                *peer.joined.entry(request.topic.clone()).or_default() += 1;
            }
        }
    }

    fn forget_refused_joins(&mut self, conn: ConnId, results: &[AttachResult]) {
        let Some(peer) = self.peers.get_mut(&conn.index).filter(|peer| peer.conn == conn) else {
            return;
        };
        for result in results.iter().filter(|result| result.result.is_err()) {
            if let Some(count) = peer.joined.get_mut(&result.topic) {
                *count -= 1;
                if *count == 0 {
                    peer.joined.remove(&result.topic);
                }
            }
        }
    }
}

fn refuse(requests: Vec<AttachRequest>, error: &AttachError) -> impl Iterator<Item = AttachResult> {
    requests.into_iter().map(|request| AttachResult {
        topic: request.topic,
        interval_ms: request.interval_ms,
        result: Err(error.clone()),
    })
}

/// Who has a stream already, by a pattern or by name, has all up to the answer, or was told what
/// it lost: it does not go on from an older place, and nothing comes again.
fn leave_out_what_came<T, M>(conn: ConnId, results: &mut [AttachResult], turn: &Turn<'_, T, M>) {
    for attachment in results.iter_mut().filter_map(|result| result.result.as_mut().ok()) {
        if attachment.resumed && turn.hub.is_subscribed(conn, &attachment.name) {
            attachment.resumed = false;
            attachment.missed.clear();
        }
    }
}

/// How a subscription starts.
pub(super) fn start(attachment: &Attachment, policy: Policy, encoding: Encoding) -> Start<'_> {
    let (snapshot, missed) = (attachment.snapshot.clone(), &attachment.missed[..]);
    Start { policy, encoding, snapshot, missed }
}

/// What the hub has to know of a stream.
pub(super) fn stream(attachment: &Attachment, home: u16) -> Stream<'_> {
    Stream {
        name: &attachment.name,
        sid: attachment.sid,
        payload: attachment.payload,
        home,
        interval_ms: attachment.interval_ms,
        seq: attachment.seq,
    }
}
