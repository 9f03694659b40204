//! Clients that never read: beside the others, subscribed to the same.

use std::time::Duration;

use corecast_feed::Subprotocol;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};
use serde_json::json;

use crate::clock;
use crate::swarm::{Delivery, Plan, Role, Swarm};

/// Opens `count` of them on a plain fan-out server's path.
pub(super) fn open_plain(swarm: &mut Swarm, path: &str, count: usize) -> Result<()> {
    swarm.open_all(&Plan::stalled(path), count, WITHIN, &mut |_| {}).map(drop)
}

/// Opens `count` clients of the feed and subscribes them. They read until they are subscribed, and
/// never again.
pub(super) fn open_feed(swarm: &mut Swarm, topics: &[String], count: usize) -> Result<()> {
    let plan = Plan {
        role: Role::Reader,
        protocols: vec![Subprotocol::Binary.name().to_owned()],
        ..Plan::stalled("/feed")
    };
    let all = swarm.open_all(&plan, count, WITHIN, &mut |_| {})?;
    let command = json!({"type": "subscribe", "topics": topics}).to_string();
    for client in all.clone() {
        swarm.send(client, Opcode::Text, command.as_bytes());
    }
    let mut is_subscribed = vec![false; count];
    let until_ns = clock::now_ns() + WITHIN.as_nanos() as u64;
    while is_subscribed.contains(&false) {
        swarm.poll(Duration::from_millis(20), &mut |delivery: Delivery<'_>| {
            let answer = delivery.payload.starts_with(br#"{"type":"subscribed""#);
            if answer && all.contains(&delivery.connection) {
                is_subscribed[delivery.connection - all.start] = true;
            }
        })?;
        let left = is_subscribed.iter().filter(|is_subscribed| !**is_subscribed).count();
        let late = clock::now_ns() > until_ns;
        ensure!(!late, "{left} of {count} clients that are to stall had no answer");
    }
    all.for_each(|client| swarm.set_role(client, Role::Stalled));
    Ok(())
}

const WITHIN: Duration = Duration::from_secs(60);
