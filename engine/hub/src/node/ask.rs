//! Questions to a home, and notices for the connections of a user.

use std::sync::Arc;

use super::job::{Address, Answer, Ask, Event, Job, Question, Reply, Ticket};
use super::{Mesh, Node, Turn};
use crate::encoding::Frames;
use crate::home::{AttachError, Emission};
use crate::id::ConnId;

impl<T: Ticket> Node<T> {
    /// Asks a topic's home. The answer comes as an event, in this turn where this is the home.
    ///
    /// # Errors
    /// When the mesh is full.
    pub fn ask<M: Mesh<T>>(
        &mut self,
        conn: ConnId,
        token: u64,
        question: Question,
        turn: &mut Turn<'_, T, M>,
    ) -> Result<(), AttachError> {
        let (topic, _) = crate::home::split_variant(question.topic())?;
        let home = turn.mesh.home(topic);
        if home == self.shard {
            let answer = self.answer(question, turn);
            turn.events.push((conn, Event::Answer { token, answer }));
            return Ok(());
        }
        let ticket = turn.mesh.ticket(0).ok_or(AttachError::Busy)?;
        let from = Address { shard: self.shard, conn };
        turn.mesh.post(home, Job::Ask(Box::new(Ask { from, token, question, ticket })));
        Ok(())
    }

    pub(super) fn asked_by_another<M: Mesh<T>>(&mut self, ask: Ask<T>, turn: &mut Turn<'_, T, M>) {
        let Ask { from, token, question, ticket } = ask;
        let answer = self.answer(question, turn);
        let reply = Reply { to: from.conn, token, answer, _ticket: ticket };
        turn.mesh.post(from.shard, Job::Answer(Box::new(reply)));
    }

    fn answer<M>(&mut self, question: Question, turn: &Turn<'_, T, M>) -> Answer {
        match question {
            Question::Presence { topic, limit } => {
                let (members, total) = self.home.members(&topic, limit);
                Answer::Presence { topic, members, total }
            }
            Question::History { topic, since, limit } => {
                let result = self.home.history(&topic, since, limit, turn.now);
                Answer::History { topic, result }
            }
        }
    }

    /// Sends frames to all subscribers of an internal topic, on all nodes. It has no number and no
    /// history, and nobody's policy conflates it.
    pub fn notice<M: Mesh<T>>(
        &mut self,
        name: &str,
        frames: Frames,
        ticket: T,
        turn: &mut Turn<'_, T, M>,
    ) {
        let emission = Emission::notice(Arc::from(name), frames);
        let broadcast = self.broadcast(vec![emission], turn.now.mono, Some(ticket));
        self.say(broadcast, None, turn);
        self.settle(turn);
    }
}
