//! What other shards answer.

use super::open::{Open, Waiting};
use super::refusal::Refusal;
use super::session::refuse;
use super::settings::FeedSettings;
use corecast::{Context, Event};
use corecast_feed::ErrorCode;

impl Open {
    pub(super) fn event(
        &mut self,
        event: Event,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        match event {
            Event::Attached { token, results } => {
                self.home_answered(token, results, settings, context);
            }
            Event::Published { token, seq } => self.published(token, seq, context),
            Event::Refused { token, error } => self.refused(token, &error.into(), context),
            Event::Reported { token, seq, report } => match self.pending.get_mut(token) {
                Some(Waiting::Send(_)) => self.sent(token, report, context),
                _ => self.reported(token, seq, report, context),
            },
            Event::Answer { token, answer } => self.answered(token, &answer, settings, context),
            Event::PatternCut { pattern } => {
                let message = format!(
                    "pattern {pattern} matches more topics than this connection may have: it does \
                     not get all of them"
                );
                let refusal = Refusal::new(ErrorCode::TooMany, message);
                refuse(context, None, Some(&pattern), &refusal);
            }
        }
    }
}
