//! The bounds of every number in [`Config`], in one list: what a start checks, and what the
//! reference of the settings prints.

use corecast_hub::limits::{OUTBOX_BYTES_CEILING, OUTBOX_FRAMES_CEILING, OUTBOX_TIME_CEILING};

use super::{Config, TlsConfig};
use crate::error::StartError;
use crate::limits::{NETWORKS_MAX, SHARDS_MAX, TIME_MS_CEILING, TLS_CERTIFICATES_MAX};

/// What a number may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The setting, as in the configuration file: `outbox.bytes_max`. Of a list, its length.
    pub key: &'static str,
    /// The smallest value.
    pub min: u64,
    /// The largest value.
    pub max: u64,
}

impl Config {
    /// The bounds of all numbers.
    #[must_use]
    pub fn bounds() -> Vec<Bound> {
        values(&Self::default()).into_iter().map(|(bound, _)| bound).collect()
    }

    /// Checks every number against its bound.
    ///
    /// # Errors
    /// Which setting is out of bounds, and what it may be.
    pub fn check(&self) -> Result<(), StartError> {
        for (Bound { key, min, max }, value) in values(self) {
            if !(min..=max).contains(&value) {
                let problem = format!("{value} is out of bounds; it may be from {min} to {max}");
                return Err(StartError::Setting { name: key, problem });
            }
        }
        Ok(())
    }
}

/// Every number with its bound.
fn values(config: &Config) -> Vec<(Bound, u64)> {
    let Config { outbox, connection, topics, socket, mesh, flush, poll, compression, .. } = config;
    let queue = OUTBOX_TIME_CEILING.as_millis() as u64;
    let time = TIME_MS_CEILING;
    let rows: [(_, u64, u64, u64); 32] = [
        ("shards", config.shards as u64, 0, SHARDS_MAX as u64),
        ("cpus", config.cpus.len() as u64, 0, SHARDS_MAX as u64),
        ("outbox.bytes_max", outbox.bytes_max as u64, 1, OUTBOX_BYTES_CEILING as u64),
        ("outbox.frames_max", outbox.frames_max.into(), 1, OUTBOX_FRAMES_CEILING.into()),
        ("outbox.age_max_ms", outbox.age_max_ms, 1, queue),
        ("outbox.stall_max_ms", outbox.stall_max_ms, 1, queue),
        ("connection.connections_max", connection.connections_max.into(), 1, 1 << 24),
        ("connection.message_bytes_max", connection.message_bytes_max as u64, 1, 1 << 30),
        ("connection.message_parts_max", connection.message_parts_max.into(), 1, 1 << 20),
        (
            "connection.control_frames_per_second_max",
            connection.control_frames_per_second_max.into(),
            0,
            u32::MAX.into(),
        ),
        ("connection.handshake_timeout_ms", connection.handshake_timeout_ms, 1, time),
        ("connection.message_timeout_ms", connection.message_timeout_ms, 1, time),
        ("connection.ping_interval_ms", connection.ping_interval_ms, 0, time),
        ("connection.pong_timeout_ms", connection.pong_timeout_ms, 1, time),
        ("connection.idle_timeout_ms", connection.idle_timeout_ms, 0, time),
        ("connection.close_timeout_ms", connection.close_timeout_ms, 1, time),
        ("topics.topic_bytes_max", topics.topic_bytes_max as u64, 1, 65_535),
        ("topics.topics_max", topics.topics_max as u64, 1, 1 << 30),
        ("topics.subscriptions_max", topics.subscriptions_max as u64, 1, 1 << 30),
        ("socket.send_buffer_bytes", socket.send_buffer_bytes as u64, 0, 1 << 30),
        ("socket.notsent_lowat_bytes", socket.notsent_lowat_bytes.into(), 0, u32::MAX.into()),
        ("socket.backlog", socket.backlog.into(), 0, i32::MAX as u64),
        ("mesh.pending_publishes_max", mesh.pending_publishes_max as u64, 2, 1 << 20),
        ("mesh.pending_bytes_max", mesh.pending_bytes_max as u64, 1 << 16, 1 << 40),
        ("flush.batch_max", flush.batch_max as u64, 1, 4_096),
        ("flush.direct_max", flush.direct_max as u64, 0, 4_096),
        ("flush.window_us", flush.window_us, 0, 100_000),
        ("poll.spin_us", poll.spin_us, 0, 1_000_000),
        ("compression.level", compression.level.into(), 1, 9),
        ("compression.threshold_bytes", compression.threshold_bytes as u64, 0, 1 << 30),
        ("compression.inflaters_max", compression.inflaters_max.into(), 0, 1 << 20),
        ("policies", config.policies.len() as u64, 0, corecast_hub::limits::RULES_MAX as u64),
    ];
    let rows = rows.into_iter().chain(edge(config)).chain(tls(&config.tls));
    rows.map(|(key, value, min, max)| (Bound { key, min, max }, value)).collect()
}

/// Those of TLS.
fn tls(tls: &TlsConfig) -> [(&'static str, u64, u64, u64); 4] {
    [
        ("tls.certificates", tls.certificates.len() as u64, 0, TLS_CERTIFICATES_MAX as u64),
        ("tls.versions", tls.versions.len() as u64, 0, 2),
        ("tls.handshakes_max", tls.handshakes_max.into(), 1, 1 << 20),
        ("tls.handshake_timeout_ms", tls.handshake_timeout_ms, 1, TIME_MS_CEILING),
    ]
}

/// Those of the edge.
fn edge(config: &Config) -> [(&'static str, u64, u64, u64); 14] {
    let Config { address, user, proxy, connection, .. } = config;
    let any = u32::MAX.into();
    let networks = NETWORKS_MAX as u64;
    let entries = corecast_gate::budget::limits::ENTRIES_CEILING.into();
    [
        ("connection.messages_per_second_max", connection.messages_per_second_max.into(), 0, any),
        ("connection.messages_burst", connection.messages_burst.into(), 1, any),
        ("connection.bytes_per_second_max", connection.bytes_per_second_max.into(), 0, any),
        ("connection.bytes_burst", connection.bytes_burst.into(), 1, any),
        ("address.connections_max", address.connections_max.into(), 0, any),
        ("address.handshakes_per_second_max", address.handshakes_per_second_max.into(), 0, any),
        ("address.handshakes_burst", address.handshakes_burst.into(), 1, any),
        (
            "address.auth_failures_per_second_max",
            address.auth_failures_per_second_max.into(),
            0,
            any,
        ),
        ("address.auth_failures_burst", address.auth_failures_burst.into(), 1, any),
        ("address.ipv6_prefix", address.ipv6_prefix.into(), 0, 128),
        ("address.entries_max", address.entries_max.into(), 1, entries),
        ("address.exempt", address.exempt.len() as u64, 0, networks),
        ("user.connections_max", user.connections_max.into(), 0, any),
        ("proxy.trusted", proxy.trusted.len() as u64, 0, networks),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds() {
        Config::default().check().expect("the defaults");
    }

    #[test]
    fn a_value_out_of_bounds_is_named_with_its_bound() {
        let mut config = Config::default();
        config.flush.window_us = 100_001;
        let error = config.check().expect_err("too long").to_string();
        let expected =
            "setting flush.window_us: 100001 is out of bounds; it may be from 0 to 100000";
        assert_eq!(error, expected);
    }
}
