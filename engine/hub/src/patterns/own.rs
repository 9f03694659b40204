//! The patterns of one connection, and what they hold.

use rustc_hash::FxHashSet;

use crate::encoding::Encoding;
use crate::id::TopicId;
use crate::limits::PATTERNS_MAX;
use crate::policy::Policy;
use crate::rules::Pattern;

/// The patterns of one connection. Each keeps its place as long as it lasts.
#[derive(Debug, Default)]
pub(crate) struct OwnPatterns {
    places: Vec<Option<OwnPattern>>,
    /// How many pairs of a pattern and a topic that it holds there are.
    pub(crate) holds: u32,
    /// How many patterns there ever were: their ages.
    made: u64,
}

/// A pattern of a connection.
#[derive(Debug)]
pub(crate) struct OwnPattern {
    pub(crate) pattern: Pattern,
    pub(crate) interval_ms: u32,
    /// What was asked for; none: what each topic has.
    pub(crate) policy: Option<Policy>,
    pub(crate) encoding: Encoding,
    /// In whose tries it stands.
    pub(crate) homes: Vec<u16>,
    /// The topics whose subscription it holds.
    pub(crate) held: FxHashSet<u32>,
    /// Whether somebody was told that it matches more than it may hold.
    pub(crate) told: bool,
    age: u64,
}

impl OwnPattern {
    /// The pattern as it was asked for: with the interval of the variants.
    pub(crate) fn text(&self) -> Box<str> {
        match self.interval_ms {
            0 => self.pattern.as_str().into(),
            ms => format!("{}@{ms}ms", self.pattern).into(),
        }
    }
}

impl OwnPatterns {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &OwnPattern> {
        self.places.iter().flatten()
    }

    pub(crate) fn find(&self, pattern: &Pattern, interval_ms: u32) -> Option<u8> {
        let is_it = |own: &OwnPattern| own.interval_ms == interval_ms && own.pattern == *pattern;
        let place = self.places.iter().position(|own| own.as_ref().is_some_and(is_it))?;
        u8::try_from(place).ok()
    }

    pub(crate) fn get_mut(&mut self, place: u8) -> Option<&mut OwnPattern> {
        self.places.get_mut(usize::from(place))?.as_mut()
    }

    /// Adds a pattern; none where there are as many as are allowed.
    pub(crate) fn add(&mut self, pattern: &Pattern, interval_ms: u32) -> Option<u8> {
        let place = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        if place >= PATTERNS_MAX {
            return None;
        }
        self.places.resize_with(self.places.len().max(place + 1), || None);
        self.made += 1;
        self.places[place] = Some(OwnPattern {
            pattern: pattern.clone(),
            interval_ms,
            policy: None,
            encoding: Encoding::Raw,
            homes: Vec::new(),
            held: FxHashSet::default(),
            told: false,
            age: self.made,
        });
        u8::try_from(place).ok()
    }

    pub(crate) fn remove(&mut self, place: u8) -> Option<OwnPattern> {
        let own = self.places.get_mut(usize::from(place))?.take()?;
        self.holds -= own.held.len() as u32;
        Some(own)
    }

    /// The oldest pattern that holds a topic.
    pub(crate) fn holder(&self, topic: TopicId) -> Option<&OwnPattern> {
        let holders = self.iter().filter(|own| own.held.contains(&topic.index()));
        holders.min_by_key(|own| own.age)
    }
}
