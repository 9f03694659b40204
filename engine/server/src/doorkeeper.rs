//! Who is let in, before the upgrade is answered: the page, then the token. Nothing is subscribed,
//! counted or told of anybody before this is done.

use crate::auth::Gatekeeper;
use crate::config::auth::AuthMode;
use crate::config::hook::HookEvent;
use crate::guest::Guest;
use crate::hook::{self, Asked, Clerk, Question, Ticket, Verdict};
use corecast::{Arrival, Reject, Upgrade};
use corecast_gate::{Denied, Identity, OriginDenied};
use std::time::Duration;

/// One shard's judge of who comes.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    gate: Gatekeeper,
    clerk: Option<Clerk>,
    /// Whether the operator was told of a page that may be his.
    has_told: bool,
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

/// Who stands at the door, and what the hook is told of his request when he says who he is.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) entry: Entry,
    pub(crate) told: Option<Box<hook::Request>>,
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
        Self { gate, clerk, has_told: false }
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
    ) -> Result<Judged, Reject> {
        let (origin, host) = (request.origin(), request.header("host"));
        self.gate.check_origin(origin, host, arrival.is_secure()).map_err(|denied| {
            tracing::debug!(peer = %arrival.peer_addr(), ?denied, "a page was refused");
            if denied == OriginDenied::Unnamed && !std::mem::replace(&mut self.has_told, true) {
                tracing::warn!(
                    "a page was refused that may be the server's own: name its host in \
                     origin.hosts (told once)"
                );
            }
            Reject::new(OriginDenied::STATUS, denied.reason())
        })?;
        let entry = self.who(door, request, arrival).map_err(|denied| {
            tracing::debug!(peer = %arrival.peer_addr(), why = denied.name(), "not let in");
            reject(&denied)
        })?;
        let told = self.told(request, arrival)?;
        let entry = match entry {
            Entry::Known(guest) => {
                let guest = self.consult(guest, topic, told.as_deref(), arrival)?;
                Entry::Known(counted(guest, arrival)?)
            }
            Entry::Unknown(within) => Entry::Unknown(within),
        };
        // Who says later who he is, or says it again, is judged by where he came from as well.
        let told = told.filter(|_| door == Door::Feed && self.gate.access().mode != AuthMode::Off);
        Ok(Judged { entry, told })
    }

    /// What the hook is told of a request, if it is asked about it.
    fn told(
        &self,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Option<Box<hook::Request>>, Reject> {
        let Some(clerk) = self.clerk.as_ref().filter(|clerk| clerk.is_for(HookEvent::Connect))
        else {
            return Ok(None);
        };
        let told = hook::Request::of(request, arrival.peer_addr().ip(), clerk.headers());
        let told = told.map_err(|why| reject(&Denied::Unavailable { source: why.into() }))?;
        // What is in a header may be a guess, and to try it is another service's work.
        if told.has_headers() {
            arrival.may_try().map_err(|error| reject(&self.gate.too_often(&error)))?;
        }
        Ok(Some(Box::new(told)))
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
        told: Option<&hook::Request>,
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
                None => match next(clerk, &mut kept.ticket, event, &guest, topic, told, arrival) {
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
                let may_guess = told.is_some_and(hook::Request::has_headers);
                if event == HookEvent::Connect && may_guess && matches!(denied, Denied::Refused(_))
                {
                    arrival.failed();
                }
                let (peer, why) = (arrival.peer_addr(), denied.name());
                tracing::debug!(%peer, why, "the hook says no");
                self.gate.note_hook(&denied);
                reject(&denied)
            })?;
        }
        Ok(guest)
    }

    fn who(
        &mut self,
        door: Door,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Entry, Denied> {
        if let Some(found) = self.gate.credential(request.headers(), request.query())? {
            let known = self.gate.verify(found.token()).map_err(|denied| {
                self.gate.bounded(denied, arrival.may_try(), || arrival.failed())
            })?;
            return Ok(Entry::Known(known.into()));
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
            AuthMode::Required => Err(self.gate.missing()),
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
    told: Option<&hook::Request>,
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
    let question = match (event, told) {
        (HookEvent::Connect, Some(told)) => Question::connect(user, told),
        _ => Question::topics(event, user, &id, topic.into_iter().collect()),
    };
    match clerk.ask(question.to_json(), now, arrival.waker()) {
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
    match denied {
        Denied::TooOften(seconds) => reject.retry_after(*seconds),
        Denied::Unavailable { .. } => reject.retry_after(RETRY_AFTER_S),
        _ => reject,
    }
}

/// When to come again while tokens cannot be judged, in seconds.
const RETRY_AFTER_S: u32 = 1;
/// When to come again for who has too many connections, in seconds.
const TOO_MANY_RETRY_AFTER_S: u32 = 10;
