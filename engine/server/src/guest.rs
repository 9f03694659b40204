//! Somebody who was let in: who he is, until when, and what he may do.

use crate::clock;
use crate::hook::{Allowed, Verdict};
use corecast::{TooMany, UserCharge};
use corecast_gate::{Denied, Identity, Permissions, Verb};

/// Somebody who was let in. What nobody vouches for anew ends at its time.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The name; none: somebody without one.
    pub(crate) user: Option<Box<str>>,
    /// When it ends, in seconds since 1970; none: with the connection.
    expires_at_s: Option<i64>,
    rights: Permissions,
    /// What a hook has said beside: both must allow it.
    also: Option<Permissions>,
    /// Counts the connection as one of the user's.
    charge: Option<UserCharge>,
}

impl Guest {
    /// Somebody without a name who may do what the namespaces allow.
    pub(crate) const fn anybody() -> Self {
        Self {
            user: None,
            expires_at_s: None,
            rights: Permissions::all(),
            also: None,
            charge: None,
        }
    }

    /// The same by this name, which nobody vouches for.
    pub(crate) fn named(user: Option<Box<str>>) -> Self {
        Self { user, ..Self::anybody() }
    }

    /// The same as a hook bounds it: it may give a name to who has none, and shorten and narrow
    /// what is there.
    ///
    /// # Errors
    ///
    /// When it says that it is somebody else.
    pub(crate) fn judged(mut self, verdict: Verdict) -> Result<Self, Denied> {
        let allowed = match verdict {
            Verdict::Allowed(allowed) => allowed,
            Verdict::Denied(reason) => return Err(Denied::Refused(reason)),
            Verdict::Unavailable(why) => return Err(Denied::Unavailable { source: why.into() }),
        };
        match (&self.user, allowed.user) {
            (Some(user), Some(other)) if **user != *other => {
                return Err(Denied::Refused("the token is somebody else's".into()));
            }
            (None, Some(user)) => self.user = Some(user),
            _ => {}
        }
        let ends = [self.expires_at_s, allowed.expires_at_s];
        self.expires_at_s = ends.into_iter().flatten().min();
        self.also = allowed.rights;
        // An answer that is remembered may have ended meanwhile.
        if self.expires_at_s.is_some_and(|end_s| clock::wall_s() >= end_s) {
            return Err(Denied::Expired);
        }
        Ok(self)
    }

    /// The same, if a hook lets it have this topic, and for as long as it does: a connection that
    /// has one topic ends with it.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(crate) fn allowed_in(mut self, verdict: Verdict, topic: &str) -> Result<Self, Denied> {
        match verdict {
            Verdict::Allowed(Allowed { rights: Some(rights), .. })
                if !rights.may_subscribe(topic) =>
            {
                Err(Denied::Refused("this client may not subscribe to this topic".into()))
            }
            Verdict::Allowed(allowed) if allowed.has_ended(clock::wall_s()) => Err(Denied::Expired),
            Verdict::Allowed(allowed) => {
                let ends = [self.expires_at_s, allowed.expires_at_s];
                self.expires_at_s = ends.into_iter().flatten().min();
                Ok(self)
            }
            Verdict::Denied(reason) => Err(Denied::Refused(reason)),
            Verdict::Unavailable(why) => Err(Denied::Unavailable { source: why.into() }),
        }
    }

    /// Counts the connection among those of its user, if it has one.
    ///
    /// # Errors
    ///
    /// When he has as many as he may have.
    pub(crate) fn counted(
        mut self,
        charge: impl FnOnce(&str) -> Result<UserCharge, TooMany>,
    ) -> Result<Self, TooMany> {
        self.charge = self.user.as_deref().map(charge).transpose()?;
        Ok(self)
    }

    /// Takes over what the connection is counted as.
    pub(crate) fn counted_as(mut self, before: &mut Self) -> Self {
        self.charge = before.charge.take();
        self
    }

    /// Whether the topic, or all topics of the pattern, may be used so.
    pub(crate) fn may(&self, verb: Verb, name: &str) -> bool {
        self.rights.may(verb, name) && self.also.as_ref().is_none_or(|also| also.may(verb, name))
    }

    /// Whether it has ended.
    pub(crate) fn is_expired(&self, wall_ns: i64) -> bool {
        self.expires_ns().is_some_and(|end_ns| wall_ns >= end_ns)
    }

    /// When it ends, in nanoseconds since 1970.
    pub(crate) fn expires_ns(&self) -> Option<i64> {
        self.expires_at_s.map(|end_s| end_s.saturating_mul(1_000_000_000))
    }

    /// Whether it differs from who may do everything for ever.
    pub(crate) fn is_bounded(&self) -> bool {
        let has_bounds = self.also.is_some() || self.rights != Permissions::all();
        has_bounds || self.expires_at_s.is_some() || self.charge.is_some()
    }
}

impl From<Identity> for Guest {
    fn from(identity: Identity) -> Self {
        let Identity { user, expires_at_s, permissions } = identity;
        Self { user, expires_at_s, rights: permissions, also: None, charge: None }
    }
}
