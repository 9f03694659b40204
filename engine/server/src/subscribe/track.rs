//! Where each topic stands: the last number, what was skipped, what was lost.

use super::limits::TOPICS_MAX;
use std::collections::BTreeMap;

/// The topics of a subscriber, by the names that the server gives them.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    topics: BTreeMap<String, Track>,
}

/// One topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Track {
    /// The name that was asked for; none: a pattern has brought it.
    pub(crate) asked: Option<String>,
    /// The number of the last message.
    pub(crate) last: u64,
    /// Messages and snapshots received.
    pub(crate) received: u64,
    /// Numbers that were passed over without a gap: conflated.
    pub(crate) conflated: u64,
    /// Numbers that a gap has told of, or that were missing after a reconnect.
    pub(crate) lost: u64,
}

impl Tracks {
    /// The server has granted a topic, behind the message `seq`. `resumed`: it goes on where it
    /// was. Gives the numbers that are lost, from the first to the last.
    pub(crate) fn granted(
        &mut self,
        topic: &str,
        asked: Option<&str>,
        seq: u64,
        resumed: Option<bool>,
    ) -> Option<(u64, u64)> {
        let is_new = !self.topics.contains_key(topic);
        let track = self.track(topic)?;
        if let Some(asked) = asked {
            track.asked = Some(asked.to_owned());
        }
        if resumed == Some(true) {
            return None;
        }
        let last = std::mem::replace(&mut track.last, seq);
        // In another epoch the numbers may be smaller: what is lost cannot be counted then.
        let lost = (!is_new && seq > last).then_some((last + 1, seq));
        track.lost += lost.map_or(0, |(from, to)| to - from + 1);
        lost
    }

    /// A message has come; it may have passed over some.
    pub(crate) fn message(&mut self, topic: &str, seq: u64) {
        let Some(track) = self.track(topic) else { return };
        track.received += 1;
        if track.last > 0 && seq > track.last {
            track.conflated += seq - track.last - 1;
        }
        track.last = seq;
    }

    /// A snapshot has come: from here on `seq` is where the topic stands.
    pub(crate) fn snapshot(&mut self, topic: &str, seq: u64) {
        let Some(track) = self.track(topic) else { return };
        track.received += 1;
        track.last = seq;
    }

    /// Messages are missing, and the server has said so.
    pub(crate) fn gap(&mut self, topic: &str, from: u64, to: u64) {
        let Some(track) = self.track(topic) else { return };
        track.lost += to.saturating_sub(from) + 1;
        track.last = track.last.max(to);
    }

    /// The topics, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Track)> {
        self.topics.iter().map(|(name, track)| (name.as_str(), track))
    }

    fn track(&mut self, topic: &str) -> Option<&mut Track> {
        if !self.topics.contains_key(topic) {
            if self.topics.len() >= TOPICS_MAX {
                return None;
            }
            self.topics.insert(topic.to_owned(), Track::default());
        }
        self.topics.get_mut(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(tracks: &Tracks) -> (u64, u64, u64, u64) {
        let (_, track) = tracks.iter().next().expect("a topic");
        (track.last, track.received, track.conflated, track.lost)
    }

    #[test]
    fn jumps_are_conflation_and_gaps_are_loss() {
        let mut tracks = Tracks::default();
        assert_eq!(tracks.granted("a", Some("a"), 5, None), None);
        tracks.message("a", 6);
        tracks.message("a", 9);
        assert_eq!(track(&tracks), (9, 2, 2, 0));
        tracks.gap("a", 10, 14);
        tracks.message("a", 15);
        assert_eq!(track(&tracks), (15, 3, 2, 5));
        tracks.snapshot("a", 20);
        tracks.message("a", 21);
        assert_eq!(track(&tracks), (21, 5, 2, 5), "a snapshot stands for all before it");
    }

    #[test]
    fn what_was_not_resumed_is_lost() {
        let mut tracks = Tracks::default();
        tracks.granted("a", None, 5, None);
        tracks.message("a", 6);
        assert_eq!(tracks.granted("a", None, 6, Some(true)), None);
        assert_eq!(track(&tracks), (6, 1, 0, 0));
        assert_eq!(tracks.granted("a", None, 9, Some(false)), Some((7, 9)));
        assert_eq!(track(&tracks), (9, 1, 0, 3));
        assert_eq!(tracks.granted("a", None, 2, Some(false)), None, "another epoch");
        tracks.message("a", 3);
        assert_eq!(track(&tracks), (3, 2, 0, 3));
    }

    #[test]
    fn topics_are_bounded() {
        let mut tracks = Tracks::default();
        for index in 0..=TOPICS_MAX {
            tracks.message(&format!("t{index}"), 1);
        }
        assert_eq!(tracks.iter().count(), TOPICS_MAX);
    }
}
