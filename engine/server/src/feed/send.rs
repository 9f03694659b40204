//! `send`: to all connections of a user, or to one connection.
//!
//! Both are internal topics. So the number that `sent` tells is counted where the connections are,
//! on whatever shard, and a connection that is gone is known to be.

use super::codec::text;
use super::open::{Open, Waiting};
use super::refusal::Refusal;
use super::session::{refuse, reply};
use super::settings::FeedSettings;
use crate::config::feed::SendRight;
use corecast::{Context, Encoding, Frames, Report};
use corecast_feed::command::{Recipient, Send};
use corecast_feed::event::{Event, Sent};
use corecast_feed::json::{self, data_bytes};
use corecast_feed::{ErrorCode, Id};

/// A `send` on its way.
#[derive(Debug)]
pub(crate) struct Sending {
    id: Option<Id<'static>>,
    /// Whether one connection is meant.
    to_client: bool,
}

/// The internal topic of one connection.
pub(crate) fn client_topic(client: &str) -> String {
    format!("$client.{client}")
}

impl Open {
    /// `send`.
    pub(super) fn send(
        &mut self,
        command: &Send<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        if let Err(refusal) = self.try_send(command, settings, context) {
            refuse(context, command.id.as_ref(), None, &refusal);
        }
    }

    fn try_send(
        &mut self,
        command: &Send<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if settings.made_of.send != SendRight::Users {
            return Err(Refusal::new(ErrorCode::Forbidden, "clients may not send here"));
        }
        // With tokens, whoever is sent something is told who has sent it.
        if self.guest.user.is_none() && self.guest.is_bounded() {
            return Err(Refusal::new(ErrorCode::Forbidden, "who has no name may not send"));
        }
        let (name, to_client) = match &command.to {
            Recipient::User(user) => (format!("$user.{user}"), false),
            Recipient::Client(client) => {
                settings.names.read_client(client).ok_or_else(no_such_client)?;
                (client_topic(client), true)
            }
        };
        let frame = self.direct(command, context.feed().wall_ns())?;
        let frames =
            Frames::default().with(Encoding::Json, frame.clone()).with(Encoding::Binary, frame);
        let sending = Sending { id: command.id.clone().map(Id::into_owned), to_client };
        let token = self.pending.insert(Waiting::Send(Box::new(sending)));
        let token = token.ok_or_else(Refusal::in_flight)?;
        if let Err(error) = context.feed().notify(token, &name, frames) {
            self.pending.remove(token);
            return Err(error.into());
        }
        Ok(())
    }

    fn direct(&self, command: &Send<'_>, ts_ns: i64) -> Result<corecast::Frame, Refusal> {
        let user = self.guest.user.as_deref();
        let wrong =
            |error| Refusal::field(ErrorCode::Malformed, "data", format!("is wrong: {error}"));
        let data = data_bytes(&command.data, command.encoding).map_err(wrong)?;
        Ok(text(|out| match command.encoding {
            None => json::direct(out, &self.client, user, ts_ns, &data),
            Some(_) => json::direct_base64(out, &self.client, user, ts_ns, &data),
        }))
    }

    /// Every shard has queued it.
    pub(super) fn sent(&mut self, token: u64, report: Report, context: &mut Context<'_>) {
        let Some(Waiting::Send(sending)) = self.pending.remove(token) else { return };
        let Sending { id, to_client } = *sending;
        if to_client && report == Report::default() {
            return refuse(context, id.as_ref(), None, &no_such_client());
        }
        reply(context, &Event::Sent(Sent { id, delivered: report.delivered }));
    }
}

fn no_such_client() -> Refusal {
    Refusal::field(ErrorCode::NotFound, "to.client", "is no connection of this server")
}
