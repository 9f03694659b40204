//! Clients of the feed: what each is subscribed to, by the number that the server gave it.

use std::collections::HashMap;
use std::time::Duration;

use corecast_feed::Subprotocol;
use corecast_wire::frame::Opcode;
use eyre::{Result, bail, ensure, eyre};
use serde_json::{Value, json};

use crate::clock;
use crate::swarm::{Delivery, Plan, Swarm};

/// One subscription of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The server's number for the topic.
    pub sid: u32,
    /// The place of its name.
    pub place: usize,
    /// The last number of the topic that was not for this client.
    pub seq: u64,
}

/// What each client is subscribed to, sorted by number.
#[derive(Debug, Default)]
pub struct Subscriptions {
    of: Vec<Vec<Subscription>>,
}

impl Subscriptions {
    /// Opens `count` clients that get records in binary frames, and subscribes each to its names.
    ///
    /// # Errors
    /// When a client is refused, a name is, or the answers do not come.
    pub fn open(
        swarm: &mut Swarm,
        count: usize,
        names: &[String],
        of_client: &dyn Fn(usize) -> Vec<usize>,
    ) -> Result<Self> {
        let place_of: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let plan = Plan {
            protocols: vec![Subprotocol::Binary.name().to_owned()],
            ..Plan::reader("/feed")
        };
        let all = swarm.open_all(&plan, count, WITHIN, &mut |_| {})?;
        ensure!(all.start == 0, "the feed's clients are the swarm's first");
        let mut due = 0;
        for client in all {
            let topics = Vec::from_iter(of_client(client).into_iter().map(|place| &names[place]));
            due += topics.len();
            let command = json!({"type": "subscribe", "topics": topics}).to_string();
            swarm.send(client, Opcode::Text, command.as_bytes());
        }
        let mut this = Self { of: vec![Vec::new(); count] };
        let (mut answered, mut fault) = (0, None);
        let until = clock::now_ns() + WITHIN.as_nanos() as u64;
        while answered < due {
            swarm.poll(Duration::from_millis(50), &mut |delivery| match this
                .take(&delivery, &place_of)
            {
                Ok(count) => answered += count,
                Err(error) => fault = Some(error),
            })?;
            if let Some(fault) = fault {
                return Err(fault);
            }
            ensure!(clock::now_ns() < until, "{answered} of {due} subscriptions were answered");
        }
        for subscriptions in &mut this.of {
            subscriptions.sort_by_key(|subscription| subscription.sid);
        }
        Ok(this)
    }

    /// The subscription that a record of this client belongs to.
    pub fn find(&mut self, client: usize, sid: u32) -> Option<&mut Subscription> {
        let subscriptions = self.of.get_mut(client)?;
        let at = subscriptions.binary_search_by_key(&sid, |subscription| subscription.sid).ok()?;
        Some(&mut subscriptions[at])
    }

    /// How many subscriptions each name has.
    #[must_use]
    pub fn counts(&self, names: usize) -> Vec<u64> {
        let mut counts = vec![0; names];
        self.of.iter().flatten().for_each(|subscription| counts[subscription.place] += 1);
        counts
    }

    /// Takes an answer; says how many subscriptions it has.
    fn take(&mut self, delivery: &Delivery<'_>, places: &HashMap<&str, usize>) -> Result<usize> {
        if !delivery.is_text {
            return Ok(0);
        }
        let event: Value = serde_json::from_slice(delivery.payload)?;
        match event["type"].as_str() {
            Some("subscribed") => {}
            Some("error") => bail!("the server refused a command: {event}"),
            _ => return Ok(0),
        }
        let errors = event["errors"].as_array().map_or(0, Vec::len);
        ensure!(errors == 0, "the server refused subscriptions: {}", event["errors"]);
        let entries = event["ok"].as_array().map_or(&[][..], Vec::as_slice);
        for entry in entries {
            let place = entry["topic"].as_str().and_then(|topic| places.get(topic));
            let place = *place.ok_or_else(|| eyre!("not asked for: {entry}"))?;
            let number = |name: &str| entry[name].as_u64().ok_or_else(|| eyre!("{name}: {entry}"));
            let (sid, seq) = (u32::try_from(number("sid")?)?, number("seq")?);
            self.of[delivery.connection].push(Subscription { sid, place, seq });
        }
        Ok(entries.len())
    }
}

const WITHIN: Duration = Duration::from_secs(60);
