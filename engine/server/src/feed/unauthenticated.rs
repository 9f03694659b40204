//! A session that has to say first who it is. It has no way to subscribe, to publish or to ask: of
//! all commands it knows `auth` and `ping`.

use super::open::Open;
use super::refusal::Refusal;
use super::session::{Desk, refuse, reply};
use crate::hook;
use corecast::{CloseCode, Context, Timestamp};
use corecast_feed::command::Auth;
use corecast_feed::event::{Event, Pong};
use corecast_feed::{Command, ErrorCode, Subprotocol};

/// Somebody who is not known yet.
#[derive(Debug)]
pub(super) struct Unauthenticated {
    pub(super) client: Box<str>,
    /// What the hook is told of its request.
    pub(super) told: Option<Box<hook::Request>>,
    pub(super) subprotocol: Subprotocol,
    /// When `auth` must have come.
    pub(super) until: Timestamp,
}

/// What a command came to.
pub(super) enum Outcome {
    /// It is answered.
    Answered,
    /// It is answered, and is one too many of its kind before long.
    Refused,
    /// He is known now.
    Opened(Box<Open>),
}

impl Unauthenticated {
    pub(super) fn command(
        &self,
        command: &Command<'_>,
        desk: &mut Desk<'_>,
        context: &mut Context<'_>,
    ) -> Outcome {
        match command {
            Command::Auth(auth) => self.auth(auth, desk, context),
            Command::Ping(ping) => {
                reply(context, &Event::Pong(Pong { id: ping.id.clone() }));
                Outcome::Answered
            }
            other => {
                let message = format!("`{}` needs `auth` before it", other.name());
                let refusal = Refusal::new(ErrorCode::Unauthenticated, message);
                refuse(context, other.id(), None, &refusal);
                Outcome::Refused
            }
        }
    }

    /// The time for `auth` may be over: then the connection is closed.
    pub(super) fn wake(&self, context: &mut Context<'_>) -> bool {
        if context.now() < self.until {
            context.wake_at(Some(self.until));
            return false;
        }
        let refusal = Refusal::new(ErrorCode::Timeout, "no `auth` has come in time");
        refuse(context, None, None, &refusal);
        let code = corecast_feed::CloseCode::AuthTimeout.code();
        context.close(CloseCode(code), "no auth has come in time: reconnect, and send it at once");
        true
    }

    fn auth(&self, auth: &Auth<'_>, desk: &mut Desk<'_>, context: &mut Context<'_>) -> Outcome {
        let guest = match desk.guest(&auth.token, context) {
            Ok(guest) => guest,
            Err(denied) => {
                let refusal = Refusal::from(&denied);
                refuse(context, auth.id.as_ref(), None, &refusal);
                if matches!(refusal.code, ErrorCode::Forbidden | ErrorCode::TooMany) {
                    let reason = denied.reason();
                    context.close(CloseCode(denied.close_code()), &reason);
                }
                return Outcome::Refused;
            }
        };
        let guest = match guest.counted(|user| context.charge_user(user)) {
            Ok(guest) => guest,
            Err(many) => {
                refuse(context, auth.id.as_ref(), None, &many.into());
                let code = corecast_feed::CloseCode::TooMany.code();
                context.close(CloseCode(code), &many.to_string());
                return Outcome::Refused;
            }
        };
        context.wake_at(None);
        let (named, subprotocol) = ((self.client.clone(), self.told.clone()), self.subprotocol);
        match Open::begin(named, subprotocol, guest, desk.settings, context) {
            Ok(open) => {
                open.tell_authenticated(auth.id.as_ref(), context);
                Outcome::Opened(Box::new(open))
            }
            Err(refusal) => {
                refuse(context, auth.id.as_ref(), None, &refusal);
                context.close(CloseCode::TRY_AGAIN_LATER, &refusal.message);
                Outcome::Refused
            }
        }
    }
}
