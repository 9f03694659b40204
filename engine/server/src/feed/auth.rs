//! `auth` in a session that is open already: a newer token of the same user. And the end of what
//! nobody renews.

use super::open::Open;
use super::refusal::Refusal;
use super::session::{Desk, refuse, reply};
use super::settings::FeedSettings;
use crate::guest::Guest;
use corecast::{CloseCode, Context};
use corecast_feed::command::Auth;
use corecast_feed::event::{Authenticated, Event, Unsubscribed};
use corecast_feed::value::Nanos;
use corecast_feed::{ErrorCode, Id};
use corecast_gate::Verb;

impl Open {
    /// `auth`: from here on the newer token holds. One that is no good changes nothing, and counts
    /// as a command that was none: then this is true.
    pub(super) fn renew(
        &mut self,
        auth: &Auth<'_>,
        desk: &mut Desk<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        if desk.asks_nobody() {
            let message = "this server asks nobody who he is: go on without `auth`";
            let refusal = Refusal::new(ErrorCode::Unsupported, message);
            refuse(context, auth.id.as_ref(), None, &refusal);
            return false;
        }
        let renewed = desk.guest(&auth.token, context).map_err(|denied| Refusal::from(&denied));
        if let Err(refusal) = renewed.and_then(|guest| self.become_guest(guest, context)) {
            refuse(context, auth.id.as_ref(), None, &refusal);
            return true;
        }
        self.tell_authenticated(auth.id.as_ref(), context);
        self.end_what_is_not_allowed(desk.settings, context);
        false
    }

    /// Tells who the client is now, and until when.
    pub(super) fn tell_authenticated(&self, id: Option<&Id<'_>>, context: &mut Context<'_>) {
        let user = self.guest.user.as_deref().map(Into::into);
        let expires = self.guest.expires_ns().map(Nanos);
        reply(context, &Event::Authenticated(Authenticated { id: id.cloned(), user, expires }));
    }

    /// The time of the guest may be over: then the connection is closed. So may be that of some
    /// subscriptions: they end.
    pub(super) fn wake(&mut self, settings: &FeedSettings, context: &mut Context<'_>) -> bool {
        let wall_ns = context.feed().wall_ns();
        if self.guest.is_expired(wall_ns) {
            let code = corecast_feed::CloseCode::Unauthenticated.code();
            // What waits to be sent is no longer his.
            context.close_now(CloseCode(code), EXPIRED);
            return true;
        }
        let ended = self.subscriptions.ended(wall_ns.div_euclid(NS_OF_SECOND));
        self.end(ended, ErrorCode::Unauthenticated, settings, context);
        // The clock may have been set back meanwhile.
        self.wake_in_time(context);
        false
    }

    /// Has the connection woken when the first of its times is over.
    pub(super) fn wake_in_time(&self, context: &mut Context<'_>) {
        let end_s = self.subscriptions.first_end_s();
        let ends = [self.guest.expires_ns(), end_s.map(|it| it.saturating_mul(NS_OF_SECOND))];
        context.wake_at_wall(ends.into_iter().flatten().min());
    }

    fn become_guest(&mut self, mut guest: Guest, context: &mut Context<'_>) -> Result<(), Refusal> {
        match (&self.guest.user, &guest.user) {
            (Some(before), Some(after)) if before == after => {
                guest = guest.counted_as(&mut self.guest);
            }
            (None, None) => {}
            // Who came without a name may get one; it cannot be changed or taken off.
            (None, Some(_)) => {
                guest = guest.counted(|user| context.charge_user(user))?;
                if let Some(user) = &guest.user {
                    context.feed().identify(user)?;
                }
            }
            _ => {
                let message = "the token is another user's than this session: connect anew";
                return Err(Refusal::new(ErrorCode::Forbidden, message));
            }
        }
        self.guest = guest;
        self.wake_in_time(context);
        Ok(())
    }

    /// Ends subscriptions that the guest of now has no right to, and says so.
    fn end_what_is_not_allowed(&mut self, settings: &FeedSettings, context: &mut Context<'_>) {
        let guest = &self.guest;
        let lost = |name: &&str| !guest.may(Verb::Subscribe, name);
        let names = self.subscriptions.names().filter(lost).map(Into::into).collect();
        self.end(names, ErrorCode::Forbidden, settings, context);
    }

    /// Ends subscriptions from our side, and says so, and why.
    fn end(
        &mut self,
        names: Vec<Box<str>>,
        code: ErrorCode,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let mut ok = Vec::new();
        for name in names {
            if self.leave(&name, settings, context).is_ok() {
                ok.push(name.into_string().into());
            }
        }
        if !ok.is_empty() {
            let event = Unsubscribed { id: None, ok, code: Some(code), errors: Vec::new() };
            reply(context, &Event::Unsubscribed(event));
        }
    }
}

const NS_OF_SECOND: i64 = 1_000_000_000;

/// Why a session has ended that nobody has renewed.
const EXPIRED: &str =
    "the token has expired: send auth with a newer one in time, or reconnect with one";

const _: () = assert!(EXPIRED.len() <= 123);
