//! The namespaces that a command has where the configuration names none.

use corecast::{Namespace, Overflow, Policy, PublishRight, SnapshotKind};

const GAP: Policy = Policy::Lossless { overflow: Overflow::Gap };
const SNAPSHOT: Policy = Policy::Lossless { overflow: Overflow::Snapshot };

/// Adds what `corecast serve` has: one namespace for all topics, if none was named.
pub(crate) fn serve(namespaces: &mut Vec<Namespace>) {
    if namespaces.is_empty() {
        namespaces.push(Namespace {
            policy: GAP,
            snapshot: SnapshotKind::Last,
            history_entries: 100,
            ..Namespace::default()
        });
    }
}

/// Whether these are what [`serve`] makes of none.
pub(crate) fn are_built_in(namespaces: &[Namespace]) -> bool {
    let mut built_in = Vec::new();
    serve(&mut built_in);
    namespaces == built_in
}

/// Adds those of `corecast demo` and `corecast replay` that were not named: their topics are known.
pub(crate) fn market(namespaces: &mut Vec<Namespace>) {
    for built_in in markets() {
        if namespaces.iter().all(|namespace| namespace.name != built_in.name) {
            namespaces.push(built_in);
        }
    }
}

fn markets() -> [Namespace; 5] {
    let named = |name: &str| Namespace { name: name.into(), ..Namespace::default() };
    [
        // A quote is worth nothing when the next one is there.
        Namespace {
            policy: Policy::Latest,
            allow: vec![GAP],
            snapshot: SnapshotKind::Last,
            stale_after_ms: 5_000,
            ..named("quote")
        },
        Namespace {
            policy: GAP,
            allow: vec![Policy::Latest, Policy::DropOldest],
            history_entries: 1_000,
            ..named("trade")
        },
        // All of the demo in one topic; its keys are the others.
        Namespace {
            policy: Policy::LatestByKey,
            allow: vec![GAP],
            snapshot: SnapshotKind::Keys,
            ..named("market")
        },
        // Changes of a book are worth nothing without the whole.
        Namespace {
            policy: SNAPSHOT,
            allow: vec![GAP],
            snapshot: SnapshotKind::Published,
            history_entries: 10_000,
            history_bytes: 16 << 20,
            ..named("book")
        },
        Namespace {
            policy: GAP,
            presence: true,
            history_entries: 200,
            publish: PublishRight::Clients,
            ..named("chat")
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::Namespaces;

    #[test]
    fn what_is_built_in_is_within_bounds() {
        let (mut alone, mut markets) = (Vec::new(), Vec::new());
        serve(&mut alone);
        market(&mut markets);
        let alone = Namespaces::new(alone).expect("in bounds");
        assert!(alone.find("anything.at.all").is_some_and(|n| n.history_entries == 100));
        let markets = Namespaces::new(markets).expect("in bounds");
        for topic in ["quote.A", "trade.usdm.A", "market.all", "book.A", "chat.room1"] {
            assert!(markets.find(topic).is_some(), "{topic}");
        }
        assert!(markets.find("other.A").is_none());
    }

    #[test]
    fn what_was_named_stays() {
        let own = Namespace { name: "quote".into(), ..Namespace::default() };
        let mut namespaces = vec![own.clone()];
        serve(&mut namespaces);
        assert_eq!(
            namespaces,
            std::slice::from_ref(&own),
            "no `*` beside it: other topics are unknown"
        );
        market(&mut namespaces);
        assert_eq!((namespaces.len(), &namespaces[0]), (5, &own));
    }
}
