//! Subscriptions: the home is asked, and its answer is where they begin.

use std::sync::Arc;

use super::job::{Address, Attach, AttachResult, Attached, Broadcast, Job, Purpose, Ticket};
use super::{Event, Mesh, Node, Turn};
use crate::encoding::Encoding;
use crate::home::{AttachError, AttachRequest, Attachment};
use crate::id::ConnId;
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
        turn: &mut Turn<'_, M>,
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
            let busy = !self.leaves.is_empty() && requests.iter().any(|r| r.member.is_some());
            let ticket = if busy { None } else { turn.mesh.ticket(0) };
            let Some(ticket) = ticket else {
                results.extend(requests.into_iter().map(|request| AttachResult {
                    topic: request.topic,
                    interval_ms: request.interval_ms,
                    result: Err(AttachError::Busy),
                }));
                continue;
            };
            self.remember_joins(conn, &requests);
            if home == self.shard {
                let mut here = self.attach_here(requests, ticket, None, turn).0;
                leave_out_what_came(conn, &mut here, turn);
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
        turn: &mut Turn<'_, M>,
    ) -> Result<(), SubscribeError> {
        let home = turn.mesh.home(&attachment.topic);
        let start = start(attachment, policy, encoding);
        turn.hub.start(conn, &stream(attachment, home), start, turn.now.mono)?;
        self.settle(turn);
        Ok(())
    }

    /// This node is the home: another's connection wants topics.
    pub(super) fn attach_for_another<M: Mesh<T>>(
        &mut self,
        attach: Attach<T>,
        turn: &mut Turn<'_, M>,
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
        turn: &mut Turn<'_, M>,
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
        turn: &mut Turn<'_, M>,
    ) -> (Option<Arc<Broadcast<T>>>, Option<T>) {
        if emissions.is_empty() {
            self.emissions = emissions;
            return (None, Some(ticket));
        }
        let broadcast = self.broadcast(emissions, turn.now.mono, Some(ticket));
        (Some(self.say(broadcast, but, turn)), None)
    }

    /// A home has answered.
    pub(super) fn attached<M: Mesh<T>>(&mut self, attached: Attached<T>, turn: &mut Turn<'_, M>) {
        let Attached { to, purpose, said, mut results, _ticket } = attached;
        if let Some(said) = said {
            self.deliver(&said, turn);
        }
        match purpose {
            Purpose::Subscribe { token } => {
                if turn.hub.is_connected(to) {
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
    pub(super) fn resync_all<M: Mesh<T>>(&mut self, turn: &mut Turn<'_, M>) {
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
        turn: &mut Turn<'_, M>,
    ) {
        // A topic does not go while somebody is subscribed to it.
        let Ok(attachment) = &result.result else { return };
        let stream = stream(attachment, turn.mesh.home(&attachment.topic));
        let (snapshot, missed) = (attachment.snapshot.clone(), &attachment.missed);
        turn.hub.resync(conn, &stream, lost_from, snapshot, missed, turn.now.mono);
    }

    fn remember_joins(&mut self, conn: ConnId, requests: &[AttachRequest]) {
        for request in requests {
            if let Some(member) = &request.member {
                let peer = self.peer(conn, &member.client);
                if !peer.joined.contains(&request.topic) {
                    peer.joined.push(request.topic.clone());
                }
            }
        }
    }
}

/// Who has a stream already, by a pattern or by name, has all up to the answer, or was told what
/// it lost: it does not go on from an older place, and nothing comes again.
fn leave_out_what_came<M>(conn: ConnId, results: &mut [AttachResult], turn: &Turn<'_, M>) {
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
