//! How many were not let in, and why: counters that only grow, with reasons that are known
//! beforehand.

use corecast_gate::Denied;
use std::sync::atomic::{AtomicU64, Ordering};

/// Refusals since the start, of all shards together. Nothing is counted of who is let in.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    origin: AtomicU64,
    hook_refused: AtomicU64,
    hook_unavailable: AtomicU64,
    credentials: [AtomicU64; Denied::NAMES.len()],
}

impl Denials {
    /// A page of a foreign origin.
    pub(crate) fn origin(&self) {
        self.origin.fetch_add(1, Ordering::Relaxed);
    }

    /// A token that is missing, or not good.
    pub(crate) fn credential(&self, denied: &Denied) {
        let index = Denied::NAMES.iter().position(|name| *name == denied.name());
        if let Some(count) = index.and_then(|index| self.credentials.get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The hook says no, or nothing.
    pub(crate) fn hook(&self, denied: &Denied) {
        match denied {
            Denied::Refused(_) => self.hook_refused.fetch_add(1, Ordering::Relaxed),
            _ => self.hook_unavailable.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// All reasons and how often each was one.
    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let named = Denied::NAMES.into_iter().zip(&self.credentials);
        let others = [
            ("origin", &self.origin),
            ("hook_refused", &self.hook_refused),
            ("hook_unavailable", &self.hook_unavailable),
        ];
        let all = named.chain(others);
        all.map(|(name, count)| (name, count.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter() {
        let denials = Denials::default();
        let of = |name| denials.read().into_iter().find(|(known, _)| *known == name);
        let source: std::sync::Arc<str> = "s".into();
        let all = [
            Denied::Missing,
            Denied::Ambiguous,
            Denied::TooLong,
            Denied::Malformed("no"),
            Denied::Algorithm,
            Denied::Issuer,
            Denied::UnknownKey { source: source.clone(), kid: None },
            Denied::Unavailable { source },
            Denied::Signature,
            Denied::Expired,
            Denied::NotYet,
            Denied::Audience,
            Denied::Claim("sub", "is missing"),
            Denied::TooOften(1),
            Denied::Refused("no".into()),
        ];
        assert_eq!(all.each_ref().map(Denied::name), Denied::NAMES);
        for denied in &all {
            denials.credential(denied);
            assert_eq!(of(denied.name()), Some((denied.name(), 1)));
        }
        denials.origin();
        denials.hook(&Denied::Refused("no".into()));
        denials.hook(&Denied::Expired);
        assert!(denials.read().iter().all(|(_, count)| *count == 1), "{:?}", denials.read());
    }
}
