//! The feed through real sockets: what a client may rely on, one file for each thing to fear.

#![forbid(unsafe_code)]

mod a_command_goes_unanswered;
mod a_connection_is_mute;
mod a_direct_message_goes_astray;
mod a_pattern_misses_a_topic;
mod a_resumed_stream_has_a_hole;
mod a_setting_is_lowered_in_silence;
mod an_error_is_not_told;
mod encodings_disagree;
mod malformed_input_does_harm;
mod presence_lies;
mod snapshots_and_messages_do_not_meet;

use corecast_tests::server::TestServer;
use eyre::Result;
use serde_json::Value;

/// Namespaces for all tastes. Clients publish, so that a test needs no other way in.
const NAMESPACES: &str = r#"
[[namespaces]]
name = "chat"
publish = "clients"
presence = true
history_entries = 100

[[namespaces]]
name = "quote"
policy = "latest"
allow = ["lossless:gap"]
snapshot = "last"
publish = "clients"
interval_min_ms = 20

[[namespaces]]
name = "trade"
publish = "clients"
history_entries = 50

[[namespaces]]
name = "book"
policy = "lossless:snapshot"
snapshot = "published"
publish = "clients"
history_entries = 100

[[namespaces]]
name = "keys"
policy = "latest_by_key"
snapshot = "keys"
publish = "clients"

[[namespaces]]
name = "news"
open = false

[[namespaces]]
name = "blob"
payload = "binary"
snapshot = "last"
publish = "clients"
history_entries = 10

[[namespaces]]
name = "plain"
publish = "clients"
interval_min_ms = 0
message_bytes_max = 64

[[namespaces]]
name = "club"
presence = true
presence_max = 1
"#;

/// What most tests have under `[feed]`.
const FEED: &str = "[feed]\nidentity = \"query\"\nsend = \"users\"\ncommands_per_second_max = 0\n";

/// Clients that are not there to answer the Close do not hold up the end of a test.
const CONNECTION: &str = "[connection]\nclose_timeout_ms = 200\n";

/// Two shards: some topics are at home with their subscribers, some are not.
fn serve() -> Result<TestServer> {
    serve_with(FEED)
}

/// The same with other settings beside the namespaces.
fn serve_with(settings: &str) -> Result<TestServer> {
    let config = format!("{settings}\n{CONNECTION}{NAMESPACES}");
    TestServer::start_with(&config, ["--shards", "2"])
}

/// Names of topics of a namespace: enough that both shards are home to some.
fn topics(namespace: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{namespace}.topic{number}")).collect()
}

/// As they are in commands.
fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The names in the `ok` of an answer, sorted.
fn granted(answer: &Value) -> Vec<&str> {
    let ok = answer["ok"].as_array().into_iter().flatten();
    let mut names: Vec<_> = ok.filter_map(|granted| granted["topic"].as_str()).collect();
    names.sort_unstable();
    names
}
