//! What ends: a subscription, a pattern, a connection.

use super::job::{Job, Leave, Left, Ticket};
use super::{Mesh, Node, Turn};
use crate::id::ConnId;
use crate::rules::Pattern;

impl<T: Ticket> Node<T> {
    /// Ends the subscription to a topic or one of its variants. False when there was none of that
    /// name, or only by a pattern.
    pub fn detach<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        topic: &str,
        name: &str,
        turn: &mut Turn<'_, T, M>,
    ) -> bool {
        let detached = turn.hub.detach(conn, name);
        if name == topic {
            // A variant is no presence in the topic, and its end no end of it.
            self.leave_topic(conn, topic, turn);
        }
        self.settle(turn);
        detached
    }

    /// Ends the presence of a connection in a topic.
    pub(super) fn leave_topic<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        topic: &str,
        turn: &mut Turn<'_, T, M>,
    ) {
        let Some(peer) = self.peers.get_mut(&conn.index).filter(|peer| peer.conn == conn) else {
            return;
        };
        if peer.joined.remove(topic).is_some() {
            let (client, topics) = (peer.client.clone(), vec![topic.into()]);
            let home = turn.mesh.home(topic);
            self.leave(home, Left { client, topics, patterns: Vec::new() }, turn);
        }
    }

    /// Ends the subscriptions that came about by a pattern. False when there was none.
    pub fn detach_pattern<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        pattern: &Pattern,
        interval_ms: u32,
        turn: &mut Turn<'_, T, M>,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&conn.index).filter(|peer| peer.conn == conn) else {
            return false;
        };
        let before = peer.patterns.len();
        peer.patterns.retain(|held| held.pattern != *pattern || held.interval_ms != interval_ms);
        let client = peer.client.clone();
        if peer.patterns.len() == before {
            return false;
        }
        turn.hub.detach_pattern(conn, pattern, interval_ms);
        if interval_ms > 0 {
            let patterns = vec![(pattern.clone(), interval_ms)];
            self.leave_everywhere(&client, &patterns, turn);
        }
        self.settle(turn);
        true
    }

    /// The connection is gone, or about to go: its presence ends, its patterns are given up. Its
    /// subscriptions end with [`Hub::disconnect`](crate::Hub::disconnect), before this call.
    pub fn disconnect<M: Mesh<T>>(&mut self, conn: ConnId, turn: &mut Turn<'_, T, M>) {
        let gone = self.peers.get(&conn.index).is_some_and(|peer| peer.conn == conn);
        let Some(peer) = self.peers.remove(&conn.index).filter(|_| gone) else { return };
        let mut by_home: Vec<(u16, Vec<Box<str>>)> = Vec::new();
        for topic in peer.joined.into_keys() {
            let home = turn.mesh.home(&topic);
            match by_home.iter_mut().find(|(of, _)| *of == home) {
                Some((_, topics)) => topics.push(topic),
                None => by_home.push((home, vec![topic])),
            }
        }
        for (home, topics) in by_home {
            let left = Left { client: peer.client.clone(), topics, patterns: Vec::new() };
            self.leave(home, left, turn);
        }
        let held = peer.patterns.into_iter().filter(|held| held.interval_ms > 0);
        let patterns: Vec<_> = held.map(|held| (held.pattern, held.interval_ms)).collect();
        if !patterns.is_empty() {
            self.leave_everywhere(&peer.client, &patterns, turn);
        }
        self.settle(turn);
    }

    fn leave_everywhere<M: Mesh<T>>(
        &mut self,
        client: &str,
        patterns: &[(Pattern, u32)],
        turn: &mut Turn<'_, T, M>,
    ) {
        for home in 0..self.shards {
            let (client, patterns) = (client.into(), patterns.to_vec());
            self.leave(home, Left { client, topics: Vec::new(), patterns }, turn);
        }
    }

    /// Tells a home what was left. It must come to know: where the mesh is full, later.
    fn leave<M: Mesh<T>>(&mut self, home: u16, left: Left, turn: &mut Turn<'_, T, M>) {
        self.leaves.push_back((home, left));
        self.say_leaves(turn);
    }

    pub(super) fn say_leaves<M: Mesh<T>>(&mut self, turn: &mut Turn<'_, T, M>) {
        while let Some((home, left)) = self.leaves.pop_front() {
            let Some(ticket) = turn.mesh.ticket(0) else {
                self.leaves.push_front((home, left));
                return;
            };
            if home == self.shard {
                self.left(&left, Some(ticket), turn);
            } else {
                turn.mesh.post(home, Job::Leave(Box::new(Leave { left, ticket })));
            }
        }
    }

    /// This node is the home: a client has left.
    pub(super) fn left<M: Mesh<T>>(
        &mut self,
        left: &Left,
        ticket: Option<T>,
        turn: &mut Turn<'_, T, M>,
    ) {
        let wanted = turn.mesh.wanted();
        let mut emissions = std::mem::take(&mut self.emissions);
        for topic in &left.topics {
            self.home.leave(topic, &left.client, wanted, turn.now, &mut emissions);
        }
        for (pattern, interval_ms) in &left.patterns {
            self.home.drop_pattern(pattern, *interval_ms);
        }
        if emissions.is_empty() {
            self.emissions = emissions;
            return;
        }
        let broadcast = self.broadcast(emissions, turn.now.mono, ticket);
        self.say(broadcast, None, turn);
    }
}
