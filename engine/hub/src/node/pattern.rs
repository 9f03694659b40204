//! Patterns: all homes are asked, and each begins with its own answer.

use std::sync::Arc;

use super::attach::{start, stream};
use super::job::{Address, Job, Matched, PatternAttach, Ticket};
use super::{Event, Held, Mesh, Node, Turn};
use crate::encoding::Encoding;
use crate::home::{AttachError, PatternRequest};
use crate::id::ConnId;
use crate::limits::{PATTERN_TOKENS_MAX, PATTERNS_MAX};
use crate::policy::Policy;
use crate::rules::Pattern;

/// A pattern that a connection asks for.
#[derive(Debug, Clone)]
pub struct PatternWish<'a> {
    /// The connection's public id.
    pub client: &'a str,
    /// Which topics.
    pub pattern: &'a Pattern,
    /// Their variants of so many milliseconds, 0 for themselves.
    pub interval_ms: u32,
    /// The policy, none for that of each topic.
    pub policy: Option<Policy>,
    /// The form in which the connection gets them.
    pub encoding: Encoding,
}

/// The next part of a home's answer to a pattern, to be asked for when the reader has room for it.
#[derive(Debug)]
pub(super) struct Page {
    conn: ConnId,
    home: u16,
    pattern: Pattern,
    interval_ms: u32,
    encoding: Encoding,
    after: Option<Arc<str>>,
}

impl<T: Ticket> Node<T> {
    /// Subscribes a connection to all topics that match, those made later included. Each is
    /// announced to the connection before its first message.
    ///
    /// # Errors
    /// When the mesh is full, or the connection has as many patterns as it may.
    pub fn attach_pattern<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        wish: &PatternWish<'_>,
        turn: &mut Turn<'_, T, M>,
    ) -> Result<(), AttachError> {
        let PatternWish { client, pattern, interval_ms, policy, encoding } = *wish;
        if !turn.hub.is_connected(conn) {
            return Err(AttachError::Gone);
        }
        let tokens = pattern.as_str().split('.').count();
        if tokens > PATTERN_TOKENS_MAX {
            return Err(AttachError::PatternTokens { tokens });
        }
        if let Some(peer) = self.peers.get_mut(&conn.index).filter(|peer| peer.conn == conn) {
            let mut held = peer.patterns.iter_mut();
            let same =
                |held: &&mut Held| held.pattern == *pattern && held.interval_ms == interval_ms;
            if let Some(held) = held.find(same) {
                // The homes know it: it holds with other terms for what matches from now on.
                (held.policy, held.encoding) = (policy, encoding);
                return Ok(());
            }
            if peer.patterns.len() >= PATTERNS_MAX {
                return Err(AttachError::PatternsFull);
            }
        }
        let others: Vec<_> = self.others().collect();
        let tickets: Vec<_> = others.iter().map_while(|_| turn.mesh.ticket(0)).collect();
        let own = if self.leaves.is_empty() { turn.mesh.ticket(0) } else { None };
        let Some(own) = own.filter(|_| tickets.len() == others.len()) else {
            return Err(AttachError::Busy);
        };
        let peer = self.peer(conn, client);
        peer.patterns.push(Held { pattern: pattern.clone(), interval_ms, policy, encoding });
        let homes = others.into_iter().zip(tickets).chain([(self.shard, own)]);
        for (home, ticket) in homes {
            let pattern = pattern.clone();
            let page = Page { conn, home, pattern, interval_ms, encoding, after: None };
            self.ask_page(page, ticket, turn);
        }
        self.settle(turn);
        Ok(())
    }

    /// Asks for the pages that wait: those of readers that keep up, one of each in a call.
    pub(super) fn ask_pages<M: Mesh<T>>(&mut self, turn: &mut Turn<'_, T, M>) {
        for _ in 0..self.pages.len() {
            let Some(page) = self.pages.pop_front() else { return };
            if !self.holds(&page) {
                continue;
            }
            let ticket = if turn.hub.has_room(page.conn) { turn.mesh.ticket(0) } else { None };
            match ticket {
                Some(ticket) => self.ask_page(page, ticket, turn),
                None => self.pages.push_back(page),
            }
        }
    }

    fn ask_page<M: Mesh<T>>(&mut self, page: Page, ticket: T, turn: &mut Turn<'_, T, M>) {
        let Page { conn, home, pattern, interval_ms, encoding, after } = page;
        let from = Address { shard: self.shard, conn };
        let wish = PatternAttach { from, pattern, interval_ms, encoding, after, ticket };
        if home == self.shard {
            let matched = self.find_matching(wish, None, turn);
            self.matched(matched, turn);
        } else {
            turn.mesh.post(home, Job::Pattern(Box::new(wish)));
        }
    }

    /// Whether the connection has not given the pattern up.
    fn holds(&self, page: &Page) -> bool {
        let peer = self.peers.get(&page.conn.index).filter(|peer| peer.conn == page.conn);
        peer.is_some_and(|peer| {
            let mut held = peer.patterns.iter();
            held.any(|held| held.pattern == page.pattern && held.interval_ms == page.interval_ms)
        })
    }

    /// This node is one of the homes that another's connection asks.
    pub(super) fn pattern_for_another<M: Mesh<T>>(
        &mut self,
        wish: PatternAttach<T>,
        turn: &mut Turn<'_, T, M>,
    ) {
        let to = wish.from.shard;
        let matched = self.find_matching(wish, Some(to), turn);
        turn.mesh.post(to, Job::Matched(Box::new(matched)));
    }

    fn find_matching<M: Mesh<T>>(
        &mut self,
        wish: PatternAttach<T>,
        but: Option<u16>,
        turn: &mut Turn<'_, T, M>,
    ) -> Matched<T> {
        let PatternAttach { from, pattern, interval_ms, encoding, after, ticket } = wish;
        let wanted = turn.mesh.wanted();
        let mut emissions = std::mem::take(&mut self.emissions);
        let request = PatternRequest {
            pattern: &pattern,
            interval_ms,
            encoding,
            shard: from.shard,
            limit: self.page_max,
            after: after.as_deref(),
        };
        let found = self.home.attach_matching(&request, wanted, turn.now, &mut emissions);
        let (said, ticket) = self.say_also(emissions, ticket, but, turn);
        let said = said.filter(|_| but.is_some());
        Matched {
            home: self.shard,
            to: from.conn,
            pattern,
            interval_ms,
            cut: !found.held || found.refused > 0,
            attachments: found.attachments,
            next: found.next,
            said,
            _ticket: ticket,
        }
    }

    /// A home has answered: from its first page on its topics come, those made later included.
    pub(super) fn matched<M: Mesh<T>>(&mut self, matched: Matched<T>, turn: &mut Turn<'_, T, M>) {
        let Matched { home, to, pattern, interval_ms, attachments, next, cut, said, _ticket } =
            matched;
        if let Some(said) = said {
            self.deliver(&said, turn);
            turn.queued.push(said);
        }
        let held = self.peers.get(&to.index).filter(|peer| peer.conn == to).and_then(|peer| {
            let mut held = peer.patterns.iter();
            held.find(|held| held.pattern == pattern && held.interval_ms == interval_ms)
        });
        // It may have been given up meanwhile.
        let Some(&Held { policy, encoding, .. }) = held else { return };
        let attached = turn.hub.attach_pattern(to, home, &pattern, interval_ms, policy, encoding);
        if attached.is_err() {
            return;
        }
        for attachment in &attachments {
            let policy = turn.hub.policy_for(&attachment.topic, interval_ms, policy);
            let start = start(attachment, policy, encoding);
            turn.hub.match_stream(to, &pattern, &stream(attachment, home), start, turn.now.mono);
        }
        if cut {
            let pattern = pattern.as_str().into();
            turn.events.push((to, Event::PatternCut { pattern }));
        }
        if next.is_some() {
            let page = Page { conn: to, home, pattern, interval_ms, encoding, after: next };
            self.pages.push_back(page);
        }
    }
}
