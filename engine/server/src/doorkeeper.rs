//! Who is let in, before the upgrade is answered: the page, then the token. Nothing is subscribed,
//! counted or told of anybody before this is done.

use crate::auth::Gatekeeper;
use crate::config::auth::AuthMode;
use crate::guest::Guest;
use corecast::{Arrival, Reject, Upgrade};
use corecast_gate::{Denied, Identity, OriginDenied};
use std::time::Duration;

/// One shard's judge of who comes.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    gate: Gatekeeper,
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
    pub(crate) fn new(gate: Gatekeeper) -> Self {
        Self { gate }
    }

    /// Judges who wants to come in.
    ///
    /// # Errors
    ///
    /// The answer to who may not.
    pub(crate) fn judge(
        &mut self,
        door: Door,
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
            Entry::Known(guest) => Ok(Entry::Known(counted(guest, arrival)?)),
            Entry::Unknown(within) => Ok(Entry::Unknown(within)),
        }
    }

    /// Whether nobody is asked who he is.
    pub(crate) fn asks_nobody(&mut self) -> bool {
        self.gate.access().mode == AuthMode::Off
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
