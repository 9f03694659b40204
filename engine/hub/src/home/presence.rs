//! Who is in a topic, where its namespace asks.

use super::emission::{Emission, Turn};
use super::error::AttachError;
use super::{Home, topic::Topic};
use crate::encoding::Wanted;
use crate::message::{Member, Now};

impl Home {
    /// Lets somebody into a topic that is there, and tells the others. Gives false when it is in
    /// there already, or the namespace keeps no presence.
    ///
    /// # Errors
    /// When there is no such topic, or it has as many members as it may.
    pub fn join(
        &mut self,
        topic: &str,
        member: &Member,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<bool, AttachError> {
        let number = *self.numbers.get(topic).ok_or(AttachError::Unknown)?;
        let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
        let joined = self.topics[number as usize].join(member, &mut turn)?;
        self.list_idle(number);
        Ok(joined)
    }

    /// Lets somebody out of a topic, and tells the others. False when it is not in there.
    pub fn leave(
        &mut self,
        topic: &str,
        client: &str,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> bool {
        let Some(&number) = self.numbers.get(topic) else { return false };
        let topic = &mut self.topics[number as usize];
        let Some(member) = topic.members.remove(client) else { return false };
        let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
        topic.notify(&mut turn, |codec, name, as_| codec.presence(name, &member, false, as_));
        self.list_idle(number);
        true
    }

    /// The members of a topic in the order of their ids, at most `limit`, and how many there are.
    #[must_use]
    pub fn members(&self, topic: &str, limit: usize) -> (Vec<Member>, usize) {
        let Some(number) = self.numbers.get(topic) else { return (Vec::new(), 0) };
        let members = &self.topics[*number as usize].members;
        (members.values().take(limit).cloned().collect(), members.len())
    }
}

impl Topic {
    pub(super) fn check_room(&self, member: &Member) -> Result<(), AttachError> {
        let presence_max = self.namespace.presence_max;
        let is_full = self.members.len() >= presence_max as usize;
        if self.namespace.presence && is_full && !self.members.contains_key(&member.client) {
            return Err(AttachError::PresenceFull { presence_max });
        }
        Ok(())
    }

    pub(super) fn join(
        &mut self,
        member: &Member,
        turn: &mut Turn<'_>,
    ) -> Result<bool, AttachError> {
        if !self.namespace.presence || self.members.contains_key(&member.client) {
            return Ok(false);
        }
        self.check_room(member)?;
        self.members.insert(member.client.clone(), member.clone());
        self.notify(turn, |codec, name, as_| codec.presence(name, member, true, as_));
        Ok(true)
    }
}
