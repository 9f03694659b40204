//! Somebody who was let in: who he is, until when, and what he may do.

use corecast::{TooMany, UserCharge};
use corecast_gate::{Identity, Permissions, Verb};

/// Somebody who was let in. What nobody vouches for anew ends at its time.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The name; none: somebody without one.
    pub(crate) user: Option<Box<str>>,
    /// When it ends, in seconds since 1970; none: with the connection.
    expires_at_s: Option<i64>,
    rights: Permissions,
    /// Counts the connection as one of the user's.
    charge: Option<UserCharge>,
}

impl Guest {
    /// Somebody without a name who may do what the namespaces allow.
    pub(crate) const fn anybody() -> Self {
        Self { user: None, expires_at_s: None, rights: Permissions::all(), charge: None }
    }

    /// The same by this name, which nobody vouches for.
    pub(crate) fn named(user: Option<Box<str>>) -> Self {
        Self { user, ..Self::anybody() }
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
        self.rights.may(verb, name)
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
        self.expires_at_s.is_some() || self.rights != Permissions::all() || self.charge.is_some()
    }
}

impl From<Identity> for Guest {
    fn from(identity: Identity) -> Self {
        let Identity { user, expires_at_s, permissions } = identity;
        Self { user, expires_at_s, rights: permissions, charge: None }
    }
}
