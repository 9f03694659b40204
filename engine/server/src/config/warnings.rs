//! What is no mistake, and most likely not what was meant.

use super::{ServerConfig, edge};
use corecast::{Compress, Namespace, Overflow, Policy, SnapshotKind};
use std::net::SocketAddr;

/// All that is odd about settings that are in order.
pub(super) fn of(config: &ServerConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, namespace) in config.engine.namespaces.iter().enumerate() {
        let place = format!("namespaces[{index}] (`{}`)", namespace.name);
        warnings.extend(unresumable(namespace, config).map(|what| format!("{place}: {what}")));
        warnings.extend(no_snapshot(namespace).map(|what| format!("{place}: {what}")));
        warnings.extend(not_compressed(namespace, config).map(|what| format!("{place}: {what}")));
    }
    warnings.extend(shared_addresses(config));
    warnings.extend(edge::warnings(&config.engine));
    warnings.extend(super::auth::rules::warnings(config));
    warnings.extend(short_drain(config));
    warnings
}

/// What a client missed is queued for it at once, beside what waits already.
fn unresumable(namespace: &Namespace, config: &ServerConfig) -> Option<String> {
    let outbox = &config.engine.outbox;
    let (bytes_max, entries_max) = (outbox.bytes_max / 2, outbox.frames_max / 2);
    let Namespace { history_entries, history_bytes, .. } = *namespace;
    let say = |key: &str, value: u64, bound: &str, max: u64| {
        format!(
            "{key} = {value} is more than half of {bound}: who missed more than {max} is not \
             resumed, but starts afresh"
        )
    };
    if history_entries > entries_max {
        let (value, max) = (history_entries.into(), entries_max.into());
        return Some(say("history_entries", value, "outbox.frames_max", max));
    }
    let is_long = history_entries > 0 && history_bytes > bytes_max;
    is_long
        .then(|| say("history_bytes", history_bytes as u64, "outbox.bytes_max", bytes_max as u64))
}

fn no_snapshot(namespace: &Namespace) -> Option<String> {
    let wanted = Policy::Lossless { overflow: Overflow::Snapshot };
    let asks = namespace.policy == wanted || namespace.allow.contains(&wanted);
    (asks && namespace.snapshot == SnapshotKind::None).then(|| {
        "lossless:snapshot with snapshot = \"none\": a slow reader is told of the gap, and gets no \
         snapshot"
            .to_owned()
    })
}

fn short_drain(config: &ServerConfig) -> Option<String> {
    let shutdown = &config.shutdown;
    let (drain, spread) = (shutdown.drain_ms, shutdown.spread_ms);
    (spread >= drain && spread > 0).then(|| {
        format!(
            "shutdown.spread_ms = {spread} does not end before shutdown.drain_ms = {drain}: the \
             Closes are spread over nine tenths of the drain"
        )
    })
}

fn not_compressed(namespace: &Namespace, config: &ServerConfig) -> Option<String> {
    let asks = matches!(namespace.compress, Compress::Batches | Compress::All);
    (asks && !config.engine.compression.enabled)
        .then(|| "compress with compression.enabled = false: nothing is compressed".to_owned())
}

fn shared_addresses(config: &ServerConfig) -> Option<String> {
    let listeners = [
        ("listen", Some(config.engine.listen)),
        ("tls.listen", config.engine.tls.listen),
        ("ingest.tcp", config.ingest.tcp),
        ("admin.listen", config.admin.listen),
    ];
    let listeners: Vec<(&str, SocketAddr)> =
        listeners.into_iter().filter_map(|(key, address)| Some((key, address?))).collect();
    let pairs = listeners.iter().enumerate().flat_map(|(index, first)| {
        listeners[index + 1..].iter().map(move |second| (first, second))
    });
    let clashing: Vec<String> = pairs
        .filter(|((_, first), (_, second))| clash(*first, *second))
        .map(|((first, address), (second, _))| format!("{first} and {second} at {address}"))
        .collect();
    (!clashing.is_empty())
        .then(|| format!("{}: two listeners cannot share an address", clashing.join("; ")))
}

/// Whether one of them cannot listen beside the other. Port 0 is any that is free.
fn clash(first: SocketAddr, second: SocketAddr) -> bool {
    let (a, b) = (first.ip(), second.ip());
    let overlap = a == b || a.is_unspecified() || b.is_unspecified();
    first.port() == second.port() && first.port() != 0 && overlap
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, parse};

    fn warnings(text: &str) -> Vec<String> {
        parse(text, &Environment::default()).expect("good settings").warnings
    }

    #[test]
    fn what_cannot_be_resumed_is_told() {
        let found =
            |namespace: &str| warnings(&format!("[[namespaces]]\nname = \"n\"\n{namespace}"));
        let long = found("history_entries = 8193");
        assert_eq!(long.len(), 1, "{long:?}");
        assert!(long[0].contains("`n`") && long[0].contains("outbox.frames_max"), "{long:?}");
        let heavy = found("history_entries = 1\nhistory_bytes = 2097153");
        assert!(heavy.len() == 1 && heavy[0].contains("outbox.bytes_max"), "{heavy:?}");
        for fine in ["history_entries = 8192\nhistory_bytes = 2097152", "history_bytes = 9000000"] {
            assert_eq!(found(fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn a_snapshot_that_never_comes_is_told() {
        let found = |rest: &str| warnings(&format!("[[namespaces]]\nname = \"n\"\n{rest}"));
        for odd in ["policy = \"lossless:snapshot\"", "allow = [\"lossless:snapshot\"]"] {
            let said = found(odd);
            assert!(said.len() == 1 && said[0].contains("lossless:snapshot"), "{odd}: {said:?}");
            assert_eq!(found(&format!("{odd}\nsnapshot = \"last\"")), [""; 0], "{odd}");
        }
    }

    #[test]
    fn listeners_at_one_address_are_told() {
        let found = |listen: &str, tcp: &str, admin: &str| {
            warnings(&format!(
                "listen = {listen:?}\n[ingest]\ntcp = {tcp:?}\n[admin]\nlisten = {admin:?}"
            ))
        };
        let any = found("0.0.0.0:9001", "127.0.0.1:9003", "127.0.0.1:9001");
        assert!(any.len() == 1 && any[0].contains("listen and admin.listen"), "{any:?}");
        let same = found("127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9002");
        assert!(same.len() == 1 && same[0].contains("ingest.tcp and admin.listen"), "{same:?}");
        assert_eq!(found("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"), [""; 0]);
        assert_eq!(found("127.0.0.1:9001", "127.0.0.2:9001", ""), [""; 0]);
    }

    #[test]
    fn a_spread_longer_than_the_drain_is_told() {
        let said = warnings("[shutdown]\ndrain_ms = 1000\nspread_ms = 1000");
        assert!(said.len() == 1 && said[0].contains("shutdown.drain_ms"), "{said:?}");
        for fine in ["drain_ms = 0\nspread_ms = 0", "drain_ms = 6000"] {
            assert_eq!(warnings(&format!("[shutdown]\n{fine}")), [""; 0]);
        }
    }

    #[test]
    fn a_namespace_that_asks_for_compression_in_vain_is_told() {
        let found = |rest: &str, compress: &str| {
            let namespace = format!("[[namespaces]]\nname = \"n\"\ncompress = {compress:?}");
            warnings(&format!("{rest}\n{namespace}"))
        };
        let off = found("", "all");
        assert!(off.len() == 1 && off[0].contains("compression.enabled"), "{off:?}");
        assert_eq!(found("[compression]\nenabled = true", "all"), [""; 0]);
        assert_eq!(found("", "off"), [""; 0]);
    }

    #[test]
    fn the_example_is_not_odd() {
        assert_eq!(warnings(include_str!("../../../../docs/corecast.example.toml")), [""; 0]);
    }
}
