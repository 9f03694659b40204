//! Who is let in, before the upgrade is answered: the page, then the token. Nothing is subscribed,
//! counted or told of anybody before this is done.

use crate::auth::Gatekeeper;
use crate::config::auth::AuthMode;
use crate::config::hook::HookEvent;
use crate::guest::Guest;
use crate::hook::{Asked, Clerk, Question, Ticket, Verdict};
use corecast::{Arrival, Reject, Upgrade};
use corecast_gate::{Denied, Identity, OriginDenied};
use std::time::Duration;

/// One shard's judge of who comes.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    gate: Gatekeeper,
    clerk: Option<Clerk>,
}

/// What the hook has said of somebody who waits, and what it is asked now.
#[derive(Default)]
struct Kept {
    said: Vec<Verdict>,
    ticket: Option<Ticket>,
}

/// Who stands at the door.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Somebody who may come in.
    Known(Guest),
    /// Somebody who has to say who he is within this time, and may do nothing before.
    Unknown(Duration),
}

/// Whether somebody may come in first and say then who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The feed, where `auth` may be the first command.
    Feed,
    /// All others.
    Raw,
}

impl Doorkeeper {
    pub(crate) fn new(gate: Gatekeeper, clerk: Option<Clerk>) -> Self {
        Self { gate, clerk }
    }

    /// Judges who wants to come in.
    ///
    /// # Errors
    ///
    /// The answer to who may not.
    pub(crate) fn judge(
        &mut self,
        door: Door,
        topic: Option<&str>,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Entry, Reject> {
        let (origin, host) = (request.origin(), request.header("host"));
        self.gate.check_origin(origin, host, arrival.is_secure()).map_err(|denied| {
            tracing::debug!(peer = %arrival.peer_addr(), ?denied, "a page was refused");
            Reject::new(OriginDenied::STATUS, denied.reason())
        })?;
        let entry = self.who(door, request).map_err(|denied| {
            tracing::debug!(peer = %arrival.peer_addr(), why = denied.name(), "not let in");
            reject(&denied)
        })?;
        match entry {
            Entry::Known(guest) => {
                let guest = self.consult(guest, topic, request, arrival)?;
                Ok(Entry::Known(counted(guest, arrival)?))
            }
            Entry::Unknown(within) => Ok(Entry::Unknown(within)),
        }
    }

    /// Whether nobody is asked who comes, neither he nor the hook.
    pub(crate) fn asks_nobody(&mut self) -> bool {
        let asks_hook = self.clerk.as_ref().is_some_and(|clerk| clerk.is_for(HookEvent::Connect));
        !asks_hook && self.gate.access().mode == AuthMode::Off
    }

    /// Asks the hook, where there is one: whether he may connect, and join the topic. Until it has
    /// answered he waits.
    fn consult(
        &mut self,
        mut guest: Guest,
        topic: Option<&str>,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Guest, Reject> {
        let Some(clerk) = &mut self.clerk else { return Ok(guest) };
        let mut kept = *arrival.take_kept::<Kept>().unwrap_or_default();
        let mut said = std::mem::take(&mut kept.said).into_iter();
        for event in [HookEvent::Connect, HookEvent::Subscribe] {
            if !clerk.is_for(event) || (event == HookEvent::Subscribe && topic.is_none()) {
                continue;
            }
            let verdict = match said.next() {
                Some(verdict) => verdict,
                None => match next(clerk, &mut kept.ticket, event, &guest, topic, request, arrival)
                {
                    Some(verdict) => verdict,
                    None => {
                        arrival.keep(kept);
                        return Err(Reject::later());
                    }
                },
            };
            kept.said.push(verdict.clone());
            let judged = match event {
                HookEvent::Connect => guest.judged(verdict),
                _ => guest.allowed_in(verdict, topic.unwrap_or_default()),
            };
            guest = judged.map_err(|denied| {
                let (peer, why) = (arrival.peer_addr(), denied.name());
                tracing::debug!(%peer, why, "the hook says no");
                reject(&denied)
            })?;
        }
        Ok(guest)
    }

    fn who(&mut self, door: Door, request: &Upgrade<'_>) -> Result<Entry, Denied> {
        if let Some(found) = self.gate.credential(request.headers(), request.query())? {
            return Ok(Entry::Known(self.gate.verify(found.token())?.into()));
        }
        let access = self.gate.access();
        match access.mode {
            AuthMode::Off => Ok(Entry::Known(Guest::anybody())),
            AuthMode::Optional => {
                Ok(Entry::Known(Identity::anonymous(access.anonymous.clone()).into()))
            }
            AuthMode::Required if door == Door::Feed && access.first_message => {
                Ok(Entry::Unknown(access.deadline))
            }
            AuthMode::Required => Err(Denied::Missing),
        }
    }
}

/// The answer to a question that is asked already, or is asked now; none: it is to come.
#[allow(clippy::too_many_arguments, reason = "all that a question is made of")]
fn next(
    clerk: &mut Clerk,
    ticket: &mut Option<Ticket>,
    event: HookEvent,
    guest: &Guest,
    topic: Option<&str>,
    request: &Upgrade<'_>,
    arrival: &Arrival<'_>,
) -> Option<Verdict> {
    let now = arrival.now();
    if let Some(asked) = ticket {
        let verdict = clerk.take(asked, now)?;
        *ticket = None;
        return Some(verdict);
    }
    let user = guest.user.as_deref();
    let id = arrival.id().to_string();
    let address = arrival.peer_addr().ip();
    let question = match event {
        HookEvent::Connect => Question::connect(user, request, address, clerk.headers()),
        _ => Ok(Question::topics(event, user, &id, topic.into_iter().collect())),
    };
    let body = match question {
        Ok(question) => question.to_json(),
        Err(why) => return Some(Verdict::Unavailable(why)),
    };
    match clerk.ask(body, now, arrival.waker()) {
        Asked::Known(verdict) => Some(verdict),
        Asked::Pending(asked) => {
            *ticket = Some(asked);
            None
        }
    }
}

/// Counts somebody among the connections of his user.
///
/// # Errors
///
/// 429, when he has as many as he may have.
pub(crate) fn counted(guest: Guest, arrival: &Arrival<'_>) -> Result<Guest, Reject> {
    guest
        .counted(|user| arrival.charge_user(user))
        .map_err(|many| Reject::new(429, many.to_string()).retry_after(TOO_MANY_RETRY_AFTER_S))
}

/// The answer to who is not let in.
fn reject(denied: &Denied) -> Reject {
    let reject = Reject::new(denied.status(), denied.reason());
    let reject = match denied.challenge() {
        Some(challenge) => reject.header("WWW-Authenticate", challenge),
        None => reject,
    };
    if denied.status() == 503 { reject.retry_after(RETRY_AFTER_S) } else { reject }
}

/// When to come again while tokens cannot be judged, in seconds.
const RETRY_AFTER_S: u32 = 1;
/// When to come again for who has too many connections, in seconds.
const TOO_MANY_RETRY_AFTER_S: u32 = 10;
