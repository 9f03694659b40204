//! `[auth.hook]`: a service that is asked who may do what.

use super::limits;
use serde::{Deserialize, Serialize};

/// A service that is asked, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HookConfig {
    /// Its address; empty: there is none.
    pub(crate) url: String,
    /// What it is asked about.
    pub(crate) on: Vec<HookEvent>,
    /// How long an answer may take, in milliseconds, its time in the queue included.
    pub(crate) timeout_ms: u64,
    /// How long an answer is remembered, in milliseconds. 0: not at all.
    pub(crate) cache_ms: u64,
    /// Answers that each shard remembers at most.
    pub(crate) cache_max: usize,
    /// Questions that are asked at once at most.
    pub(crate) concurrency_max: usize,
    /// Questions that wait to be asked at most.
    pub(crate) queue_max: usize,
    /// Headers of the request that it is told.
    pub(crate) headers: Vec<String>,
}

impl Default for HookConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            on: vec![HookEvent::Connect],
            timeout_ms: limits::HOOK_TIMEOUT_MS,
            cache_ms: 0,
            cache_max: limits::HOOK_CACHE_MAX,
            concurrency_max: limits::HOOK_CONCURRENCY_MAX,
            queue_max: limits::HOOK_QUEUE_MAX,
            headers: Vec::new(),
        }
    }
}

impl HookConfig {
    /// Whether it is asked about this.
    pub(crate) fn is_for(&self, event: HookEvent) -> bool {
        !self.url.is_empty() && self.on.contains(&event)
    }
}

/// What a hook is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HookEvent {
    /// Somebody comes, or says who he is.
    Connect,
    /// Somebody subscribes.
    Subscribe,
    /// Somebody publishes.
    Publish,
}
