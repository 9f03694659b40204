//! Patterns that somebody holds with an interval: a topic made later gets its variant at once.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use super::emission::Emission;
use super::{AttachError, Home};
use crate::encoding::Wanted;
use crate::limits::{HELD_PATTERNS_MAX, PATTERN_SCAN_MAX};
use crate::message::Now;
use crate::rules::Pattern;

/// The patterns, by their first token, each with how often it is held: a new topic is compared
/// with those alone that can match it.
#[derive(Debug, Default)]
pub(super) struct HeldPatterns {
    // SipHash: patterns come from peers.
    by_first: HashMap<Box<str>, HashMap<(Pattern, u32), u32>>,
    patterns: usize,
}

impl HeldPatterns {
    fn hold(&mut self, pattern: &Pattern, interval_ms: u32) -> Result<(), AttachError> {
        let first = first_token(pattern.as_str());
        let key = (pattern.clone(), interval_ms);
        if let Some(count) = self.by_first.get_mut(first).and_then(|held| held.get_mut(&key)) {
            *count += 1;
            return Ok(());
        }
        if self.patterns == HELD_PATTERNS_MAX {
            return Err(AttachError::PatternsFull);
        }
        self.patterns += 1;
        self.by_first.entry(first.into()).or_default().insert(key, 1);
        Ok(())
    }

    fn drop(&mut self, pattern: &Pattern, interval_ms: u32) {
        let first = first_token(pattern.as_str());
        let Some(held) = self.by_first.get_mut(first) else { return };
        let key = (pattern.clone(), interval_ms);
        let Some(count) = held.get_mut(&key) else { return };
        *count -= 1;
        if *count == 0 {
            held.remove(&key);
            self.patterns -= 1;
            if held.is_empty() {
                self.by_first.remove(first);
            }
        }
    }

    /// The intervals in which a topic is waited for, each once, in order.
    pub(super) fn intervals(&self, topic: &str) -> Vec<u32> {
        let candidates = [first_token(topic), "*", ">"].map(|first| self.by_first.get(first));
        let held = candidates.into_iter().flatten().flatten();
        let matching = held.filter(|((pattern, _), _)| pattern.matches(topic));
        let mut intervals: Vec<_> = matching.map(|((_, interval_ms), _)| *interval_ms).collect();
        intervals.sort_unstable();
        intervals.dedup();
        intervals
    }
}

impl Home {
    /// Lets topics that are made later and match have this variant from the start. Counted: to be
    /// [dropped](Self::drop_pattern) as often. Interval 0 needs no holding.
    ///
    /// # Errors
    /// When [`HELD_PATTERNS_MAX`] others are held.
    pub fn hold_pattern(&mut self, pattern: &Pattern, interval_ms: u32) -> Result<(), AttachError> {
        if interval_ms == 0 {
            return Ok(());
        }
        self.held.hold(pattern, interval_ms)
    }

    /// Takes back one [`hold_pattern`](Self::hold_pattern).
    pub fn drop_pattern(&mut self, pattern: &Pattern, interval_ms: u32) {
        self.held.drop(pattern, interval_ms);
    }

    /// Makes the variants of a topic that patterns wait for.
    pub(super) fn hold_variants(
        &mut self,
        number: u32,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) {
        for interval_ms in self.held.intervals(&self.topics[number as usize].base.name) {
            let held = self.hold_variant(number, interval_ms, wanted, now, out);
            self.encoder.totals.variants_refused += u64::from(held.is_err());
        }
    }

    /// Makes a variant that any shard may be waiting for: those that are not will say so.
    fn hold_variant(
        &mut self,
        number: u32,
        interval_ms: u32,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<(), AttachError> {
        self.make_variant(number, interval_ms, wanted, now, out)?;
        self.let_all_hear(number, interval_ms);
        Ok(())
    }

    /// There was no room for a variant when its topic was made, or it ended since: where a pattern
    /// waits for it, any shard may.
    pub(super) fn let_holders_hear(&mut self, number: u32, interval_ms: u32) {
        let name = &self.topics[number as usize].base.name;
        if self.held.intervals(name).contains(&interval_ms) {
            self.let_all_hear(number, interval_ms);
        }
    }

    fn let_all_hear(&mut self, number: u32, interval_ms: u32) {
        self.stamps += 1;
        for shard in 0..self.shards {
            self.topics[number as usize].hear(interval_ms, (shard, self.shards), self.stamps);
        }
    }

    /// The topics that match, in order, at most `limit`; and where to go on if there may be more.
    /// Only names that begin like the pattern are looked at, those behind `after`.
    pub(super) fn matching(
        &self,
        pattern: &Pattern,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<u32>, Option<Arc<str>>) {
        let text = pattern.as_str();
        let prefix = &text[..text.find(['*', '>']).unwrap_or(text.len())];
        let behind = after.filter(|after| *after >= prefix).map(Bound::Excluded);
        let from = behind.unwrap_or(Bound::Included(prefix));
        let names = self.ordered.range::<str, _>((from, Bound::Unbounded));
        let names = names.take_while(|(name, _)| name.starts_with(prefix));
        let (mut numbers, mut last) = (Vec::new(), None::<&Arc<str>>);
        for (looked_at, (name, number)) in names.enumerate() {
            let matches = pattern.matches(name);
            if looked_at == PATTERN_SCAN_MAX || matches && numbers.len() == limit.max(1) {
                return (numbers, last.cloned());
            }
            if matches {
                numbers.push(*number);
            }
            last = Some(name);
        }
        (numbers, None)
    }
}

fn first_token(text: &str) -> &str {
    text.split('.').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_pattern_leaves_nothing_behind() {
        let mut held = HeldPatterns::default();
        let pattern = |n: usize| format!("t{n}.*").parse::<Pattern>().expect("a pattern");
        for n in 0..HELD_PATTERNS_MAX {
            held.hold(&pattern(n), 100).expect("room");
        }
        let refused = pattern(HELD_PATTERNS_MAX);
        assert_eq!(held.hold(&refused, 100), Err(AttachError::PatternsFull));
        assert_eq!(held.by_first.len(), HELD_PATTERNS_MAX);
        // It holds nothing, so it takes nothing from who does.
        held.drop(&refused, 100);
        assert_eq!((held.by_first.len(), held.patterns), (HELD_PATTERNS_MAX, HELD_PATTERNS_MAX));
        for n in 0..HELD_PATTERNS_MAX {
            held.drop(&pattern(n), 100);
        }
        assert!(held.by_first.is_empty() && held.patterns == 0);
    }
}
