//! Fails on purpose, a mutation away from its seed: proves that the harness sees failures.

#![no_main]

use corecast_feed::limits::Limits;
use corecast_feed::{Command, parse_command};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(Command::Ping(ping)) = parse_command(text, &Limits::default()) {
        let id = ping.id.map(|id| id.get().to_owned()).unwrap_or_default();
        assert!(id == "13", "the canary is dead: the harness sees failures");
    }
});
