//! What a connection asks for: at first what the command line says; after a reconnect also what
//! patterns had brought, each topic from where it was.

use super::track::Tracks;
use corecast_feed::command::{DeliveryPolicy, Resume, Subscribe};
use corecast_feed::{Command, Id, RawJson};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Topics, variants and patterns.
    pub(crate) topics: Vec<String>,
    pub(crate) policy: Option<DeliveryPolicy>,
}

impl Wish {
    /// The commands of a new connection, with at most `topics_max` topics each; `epoch` is the one
    /// of the numbers in `tracks`, if there was a connection before.
    pub(crate) fn commands(
        &self,
        tracks: &Tracks,
        epoch: Option<&str>,
        topics_max: usize,
    ) -> Vec<String> {
        let (patterns, topics): (Vec<&str>, Vec<&str>) =
            self.topics.iter().map(String::as_str).partition(|topic| is_pattern(topic));
        // A topic that a pattern has brought is asked for by its own name, so that it is resumed.
        // Its variant is in the name.
        let by_pattern = tracks.iter().filter(|(name, track)| {
            let asked = track.asked.as_deref().unwrap_or(name);
            !patterns.is_empty() && !topics.contains(&asked)
        });
        let by_pattern: Vec<&str> = by_pattern.map(|(name, _)| name).collect();
        let unlimited = self.policy.map(|policy| DeliveryPolicy { max_hz: None, ..policy });
        let groups = [(topics, self.policy), (by_pattern, unlimited), (patterns, self.policy)];
        let mut commands = Vec::new();
        for (topics, policy) in &groups {
            for topics in topics.chunks(topics_max.max(1)) {
                let resume = epoch.and_then(|epoch| resume(topics, tracks, epoch));
                let number = commands.len() + 1;
                let subscribe = Subscribe {
                    // A number always is an id.
                    id: RawJson::of(&number).ok().and_then(Id::new),
                    topics: topics.iter().map(|topic| Cow::Borrowed(*topic)).collect(),
                    policy: policy.filter(|policy| *policy != DeliveryPolicy::default()),
                    resume,
                };
                commands.push(Command::Subscribe(subscribe).to_json());
            }
        }
        commands
    }
}

fn resume<'a>(topics: &[&'a str], tracks: &Tracks, epoch: &'a str) -> Option<Resume<'a>> {
    let at = |topic: &str| {
        let named = |(name, track): &(&str, &super::track::Track)| {
            track.asked.as_deref() == Some(topic) || (track.asked.is_none() && *name == topic)
        };
        tracks.iter().find(named).map(|(_, track)| track.last)
    };
    let seq: BTreeMap<_, _> =
        topics.iter().filter_map(|topic| Some((Cow::Borrowed(*topic), at(topic)?))).collect();
    (!seq.is_empty()).then_some(Resume { epoch: Cow::Borrowed(epoch), seq })
}

fn is_pattern(topic: &str) -> bool {
    topic.contains(['*', '>'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast_feed::value::{Delivery, Rate};
    use serde_json::{Value, json};

    fn wish(topics: &[&str], max_hz: Option<f64>) -> Wish {
        let max_hz = max_hz.and_then(Rate::new);
        let policy = DeliveryPolicy { delivery: Some(Delivery::Latest), max_hz };
        Wish {
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            policy: Some(policy),
        }
    }

    #[test]
    fn the_first_connection_asks_for_what_was_said() {
        let commands = wish(&["a", "b.*", "c"], None).commands(&Tracks::default(), None, 10);
        let expected = [
            r#"{"type":"subscribe","id":1,"topics":["a","c"],"policy":{"delivery":"latest"}}"#,
            r#"{"type":"subscribe","id":2,"topics":["b.*"],"policy":{"delivery":"latest"}}"#,
        ];
        assert_eq!(commands, expected);
    }

    #[test]
    fn a_later_one_resumes_also_what_a_pattern_has_brought() {
        let mut tracks = Tracks::default();
        tracks.granted("a@100ms", Some("a"), 5, None);
        tracks.granted("b.x@100ms", None, 7, None);
        let commands = wish(&["a", "b.*"], Some(10.0)).commands(&tracks, Some("e1"), 10);
        let latest = json!({"delivery": "latest"});
        let limited = json!({"delivery": "latest", "max_hz": 10});
        let at = |topic: &str, seq: u64| json!({"epoch": "e1", "seq": {topic: seq}});
        let (by_name, by_pattern) = (at("a", 5), at("b.x@100ms", 7));
        let expected = [
            json!({"type": "subscribe", "id": 1, "topics": ["a"], "policy": limited,
                   "resume": by_name}),
            json!({"type": "subscribe", "id": 2, "topics": ["b.x@100ms"], "policy": latest,
                   "resume": by_pattern}),
            json!({"type": "subscribe", "id": 3, "topics": ["b.*"], "policy": limited}),
        ];
        let commands = commands.iter().map(|command| serde_json::from_str(command));
        let commands: Vec<Value> = commands.collect::<Result<_, _>>().expect("JSON");
        assert_eq!(commands, expected);
    }

    #[test]
    fn many_topics_are_many_commands() {
        let commands = wish(&["a", "b", "c"], None).commands(&Tracks::default(), None, 2);
        assert_eq!(commands.len(), 2);
        assert!(commands[1].contains(r#""topics":["c"]"#), "{commands:?}");
    }
}
