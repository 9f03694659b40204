//! The bounds of all numbers: the engine's and the namespaces' own, and the program's.

use super::limits;
use corecast::{Config, Namespace};
use std::fmt;
use std::sync::LazyLock;

/// What a number, or the length of a list, may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) min: u64,
    pub(super) max: u64,
    /// Whether 0 is another allowed value, below `min`.
    pub(super) or_zero: bool,
}

impl Range {
    pub(super) fn contains(self, value: i64) -> bool {
        let is_zero = self.or_zero && value == 0;
        is_zero || u64::try_from(value).is_ok_and(|value| (self.min..=self.max).contains(&value))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zero = if self.or_zero { "0, or " } else { "" };
        write!(f, "{zero}{} to {}", self.min, self.max)
    }
}

/// The bound of a key, in which indices are `[]`.
pub(super) fn find(path: &str) -> Option<Range> {
    all().find(|(known, _)| *known == path).map(|(_, range)| range)
}

/// All bounds.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Range)> {
    static ALL: LazyLock<Vec<(String, Range)>> = LazyLock::new(|| {
        let engine = Config::bounds().into_iter();
        let engine = engine.map(|bound| (bound.key.to_owned(), bound.min, bound.max));
        let namespace = Namespace::bounds().into_iter();
        let namespace = namespace.map(|(key, min, max)| (format!("namespaces[].{key}"), min, max));
        let own = OWN.iter().map(|&(key, min, max)| (key.to_owned(), min, max));
        let all = engine.chain(namespace).chain(own);
        all.map(|(key, min, max): (String, _, _)| {
            let or_zero = OR_ZERO.contains(&key.as_str());
            (key, Range { min, max, or_zero })
        })
        .collect()
    });
    ALL.iter().map(|(key, range)| (key.as_str(), *range))
}

const OWN: &[(&str, u64, u64)] = &[
    ("namespaces", 0, corecast::limits::hub::NAMESPACES_MAX as u64),
    ("feed.heartbeat_ms", limits::HEARTBEAT_MS_MIN, limits::HEARTBEAT_MS_MAX),
    ("feed.errors_max", 0, limits::COMMANDS_CEILING as u64),
    ("feed.commands_per_second_max", 0, limits::COMMANDS_CEILING as u64),
    ("feed.commands_burst", 1, limits::COMMANDS_CEILING as u64),
    ("feed.topics_per_command_max", 1, limits::TOPICS_PER_COMMAND_CEILING as u64),
    ("feed.history_reply_max", 1, limits::HISTORY_REPLY_CEILING as u64),
    ("auth.deadline_ms", limits::AUTH_DEADLINE_MS_MIN, limits::AUTH_DEADLINE_MS_MAX),
    ("auth.leeway_s", 0, corecast_gate::limits::LEEWAY_S_MAX as u64),
    ("auth.audience", 0, corecast_gate::limits::AUDIENCES_MAX as u64),
    ("auth.anonymous.subscribe", 0, corecast_gate::limits::PATTERNS_MAX as u64),
    ("auth.anonymous.publish", 0, corecast_gate::limits::PATTERNS_MAX as u64),
    ("auth.default.subscribe", 0, corecast_gate::limits::PATTERNS_MAX as u64),
    ("auth.default.publish", 0, corecast_gate::limits::PATTERNS_MAX as u64),
    ("auth.sources", 0, corecast_gate::limits::SOURCES_MAX as u64),
    ("auth.sources[].refresh_ms", limits::KEYS_REFRESH_MS_MIN, limits::KEYS_REFRESH_MS_MAX),
    ("auth.sources[].age_max_ms", limits::KEYS_REFRESH_MS_MIN, limits::KEYS_AGE_MS_CEILING),
    ("auth.hook.timeout_ms", limits::HOOK_TIMEOUT_MS_MIN, limits::HOOK_TIMEOUT_MS_MAX),
    ("auth.hook.cache_ms", 0, limits::HOOK_CACHE_MS_MAX),
    ("auth.hook.cache_max", 0, limits::HOOK_CACHE_CEILING as u64),
    ("auth.hook.concurrency_max", 1, limits::HOOK_CONCURRENCY_CEILING as u64),
    ("auth.hook.queue_max", 1, limits::HOOK_QUEUE_CEILING as u64),
    ("auth.hook.headers", 0, limits::HOOK_HEADERS_MAX as u64),
    ("origin.allow", 0, corecast_gate::limits::ORIGINS_MAX as u64),
    ("ingest.publishers_max", 1, limits::PUBLISHERS_CEILING as u64),
    ("ingest.record_bytes_max", limits::RECORD_BYTES_MIN, limits::RECORD_BYTES_CEILING as u64),
    ("admin.body_bytes_max", 1, limits::BODY_BYTES_CEILING as u64),
    ("admin.batch_max", 1, limits::BATCH_CEILING as u64),
    ("take_over.state_bytes_max", 0, limits::STATE_BYTES_CEILING),
    ("shutdown.drain_ms", 0, limits::SHUTDOWN_MS_CEILING),
    ("shutdown.spread_ms", 0, limits::SHUTDOWN_MS_CEILING),
    ("shutdown.linger_ms", 0, limits::SHUTDOWN_MS_CEILING),
];

const OR_ZERO: &[&str] = &["feed.heartbeat_ms"];
