//! Who somebody is, and what he may do.

use crate::permission::Permissions;

/// Somebody whom a token, a hook or a setting vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name, at most [`USER_BYTES_MAX`](crate::limits::USER_BYTES_MAX) bytes without control
    /// characters; none for somebody who has no name.
    pub user: Option<Box<str>>,
    /// When it ends, in seconds since 1970, by the wall clock; none: it does not. A session ends
    /// with it, unless it was renewed.
    pub expires_at_s: Option<i64>,
    /// What it allows.
    pub permissions: Permissions,
}

impl Identity {
    /// Somebody without a name, for as long as the connection lasts.
    #[must_use]
    pub const fn anonymous(permissions: Permissions) -> Self {
        Self { user: None, expires_at_s: None, permissions }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_expired(&self, now_s: i64) -> bool {
        self.expires_at_s.is_some_and(|end_s| now_s >= end_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_ends_at_its_second_and_not_after_it() {
        let mut identity = Identity::anonymous(Permissions::none());
        assert!(!identity.is_expired(i64::MAX));
        identity.expires_at_s = Some(100);
        assert!(!identity.is_expired(99) && identity.is_expired(100));
    }
}
