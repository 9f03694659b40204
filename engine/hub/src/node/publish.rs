//! From the publisher home, and from there to all nodes.

use std::sync::Arc;

use super::job::{Batch, Broadcast, Job, Origin, Refusal, Sent, Ticket, Unheard};
use super::{Mesh, Node, Turn};
use crate::frame::Prepared;
use crate::home::{Emission, EmissionKind, UpdateError};
use crate::id::Timestamp;
use crate::message::UpdateKind;
use crate::publish::Publication;

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated {
    /// This node is its home: its number. A snapshot has that of the last message.
    Numbered(u64),
    /// It is on its way home: an event will tell.
    OnItsWay,
    /// It was refused.
    Refused(UpdateError),
    /// Its home has ended.
    Stopped,
}

impl<T: Ticket> Node<T> {
    /// Publishes from this node. The origin gets an event unless this is the home.
    pub fn update<M: Mesh<T>>(&mut self, sent: Sent<T>, turn: &mut Turn<'_, T, M>) -> Updated {
        let home = turn.mesh.home(&sent.update.topic);
        if home != self.shard {
            let posted = turn.mesh.post(home, Job::Update(Box::new(sent)));
            return if posted { Updated::OnItsWay } else { Updated::Stopped };
        }
        let updated = match self.number(sent, turn) {
            Ok(seq) => Updated::Numbered(seq),
            Err((error, _)) => Updated::Refused(error),
        };
        self.settle(turn);
        updated
    }

    /// An update has come home from elsewhere.
    pub(super) fn update_came_home<M: Mesh<T>>(
        &mut self,
        sent: Sent<T>,
        turn: &mut Turn<'_, T, M>,
    ) {
        let origin = sent.origin;
        let Err((error, ticket)) = self.number(sent, turn) else { return };
        if let Some(origin) = origin {
            let to = origin.address.shard;
            let refusal = Refusal { origin, error, _ticket: ticket };
            turn.mesh.post(to, Job::Refused(Box::new(refusal)));
        }
    }

    /// Many updates have come home at once: all that they make this home say is told in one
    /// broadcast, in order.
    pub(super) fn batch_came_home<M: Mesh<T>>(
        &mut self,
        batch: Batch<T>,
        turn: &mut Turn<'_, T, M>,
    ) {
        let Batch { updates, is_run, published_at, ticket } = batch;
        let wanted = turn.mesh.wanted();
        let mut emissions = std::mem::take(&mut self.emissions);
        let mut broken = None;
        for (place, update) in &updates {
            let taken = match &broken {
                Some(error) => Err(UpdateError::clone(error)),
                None => self.home.publish(update, wanted, turn.now, &mut emissions),
            };
            if let Err(error) = taken {
                broken = is_run.then(|| error.clone());
                ticket.refused_of_many(*place, &update.topic, error);
            }
        }
        ticket.dealt_with(updates.len());
        let broadcast = self.broadcast(emissions, published_at, Some(ticket));
        self.say(broadcast, None, turn);
    }

    fn number<M: Mesh<T>>(
        &mut self,
        sent: Sent<T>,
        turn: &mut Turn<'_, T, M>,
    ) -> Result<u64, (UpdateError, T)> {
        let Sent { update, except, origin, published_at, ticket } = sent;
        let wanted = turn.mesh.wanted();
        let mut emissions = std::mem::take(&mut self.emissions);
        let seq = match self.home.publish(&update, wanted, turn.now, &mut emissions) {
            Ok(seq) => seq,
            Err(error) => {
                self.ask_for_room(emissions, turn);
                ticket.refused(&error, origin.is_some());
                return Err((error, ticket));
            }
        };
        ticket.sequenced(seq);
        let told = if update.kind == UpdateKind::Snapshot { 0 } else { seq };
        let mut broadcast = self.broadcast(emissions, published_at, Some(ticket));
        broadcast.except = except;
        broadcast.origin = origin.map(|origin| (origin, told));
        self.say(broadcast, None, turn);
        Ok(seq)
    }

    /// A refusal says nothing but questions whether variants are heard. Without room in the mesh
    /// they are lost: the next refusal asks again.
    fn ask_for_room<M: Mesh<T>>(
        &mut self,
        mut questions: Vec<Emission>,
        turn: &mut Turn<'_, T, M>,
    ) {
        let ticket = if questions.is_empty() { None } else { turn.mesh.ticket(0) };
        match ticket {
            Some(ticket) => {
                let broadcast = self.broadcast(questions, turn.now.mono, Some(ticket));
                self.say(broadcast, None, turn);
            }
            None => {
                questions.clear();
                self.emissions = questions;
            }
        }
    }

    pub(super) fn broadcast(
        &self,
        emissions: Vec<Emission>,
        published_at: Timestamp,
        ticket: Option<T>,
    ) -> Broadcast<T> {
        let (home, except, origin) = (self.shard, None, None);
        Broadcast { home, emissions, except, origin, published_at, ticket }
    }

    /// Tells all other nodes, but for one that is told otherwise, and queues here.
    pub(super) fn say<M: Mesh<T>>(
        &mut self,
        broadcast: Broadcast<T>,
        but: Option<u16>,
        turn: &mut Turn<'_, T, M>,
    ) -> Arc<Broadcast<T>> {
        let broadcast = Arc::new(broadcast);
        for shard in self.others().filter(|shard| Some(*shard) != but) {
            // What is said of a variant alone goes to those who hear it.
            if broadcast.emissions.iter().any(|emission| is_heard(emission, shard)) {
                turn.mesh.post(shard, Job::Broadcast(Arc::clone(&broadcast)));
            }
        }
        self.deliver(&broadcast, turn);
        turn.queued.push(Arc::clone(&broadcast));
        broadcast
    }

    /// Queues what a home has said for the connections of this node.
    pub(super) fn deliver<M: Mesh<T>>(
        &mut self,
        broadcast: &Broadcast<T>,
        turn: &mut Turn<'_, T, M>,
    ) {
        if broadcast.home != self.shard
            && let Some((Origin { address, token }, seq)) = broadcast.origin
            && address.shard == self.shard
        {
            turn.events.push((address.conn, super::Event::Published { token, seq }));
        }
        let except = broadcast.except.filter(|address| address.shard == self.shard);
        for emission in &broadcast.emissions {
            if !is_heard(emission, self.shard) {
                continue;
            }
            let own = emission.interval_ms == 0 && emission.kind == EmissionKind::Message;
            let (frames, published_at) = (&emission.frames, broadcast.published_at);
            let publication = Publication {
                topic: &emission.name,
                sid: emission.sid,
                home: broadcast.home,
                interval_ms: emission.interval_ms,
                payload: emission.payload,
                seq: emission.seq,
                is_snapshot: emission.kind == EmissionKind::Snapshot,
                frames: Prepared::Encoded { frames, published_at },
                key: emission.key.as_deref(),
                except: except.filter(|_| own).map(|address| address.conn),
            };
            let report = turn.hub.publish(&publication, turn.now.mono);
            // The account is of what was published: a message, or a notice of no stream.
            let counts = own || emission.sid == 0;
            if counts && let Some(ticket) = &broadcast.ticket {
                ticket.add(report);
            }
            // A notice may come before the subscription that made the variant.
            let is_message = emission.kind == EmissionKind::Message;
            if is_message && emission.interval_ms > 0 && turn.hub.subscribers(&emission.name) == 0 {
                self.nobody_hears(broadcast.home, emission, turn);
            }
        }
    }

    /// Tells a variant's home that nobody here is subscribed. Where the mesh is full, the next
    /// emission comes here in vain and it is told then.
    fn nobody_hears<M: Mesh<T>>(
        &mut self,
        home: u16,
        emission: &Emission,
        turn: &mut Turn<'_, T, M>,
    ) {
        if home == self.shard {
            self.home.unheard(&emission.name, emission.stamp, self.shard);
        } else if let Some(ticket) = turn.mesh.ticket(0) {
            let name = Arc::clone(&emission.name);
            let (from, stamp) = (self.shard, emission.stamp);
            let unheard = Unheard { from, name, stamp, _ticket: ticket };
            turn.mesh.post(home, Job::Unheard(Box::new(unheard)));
        }
    }
}

/// Whether a node has anybody who may want it. Beyond the 64th, nodes hear everything.
fn is_heard(emission: &Emission, shard: u16) -> bool {
    shard >= 64 || emission.heard & 1 << shard != 0
}
