//! Answers of a while ago, each by exactly what was asked.

use super::answer::Verdict;
use super::limits::REMEMBERED_BYTES_MAX;
use corecast::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Bounded in count and in time: the oldest goes first.
pub(super) struct Cache {
    time: Duration,
    count_max: usize,
    by_question: HashMap<Arc<str>, (Verdict, Timestamp)>,
    in_order: VecDeque<(Timestamp, Arc<str>)>,
}

/// Questions may have secrets in them.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("answers", &self.by_question.len()).finish_non_exhaustive()
    }
}

impl Cache {
    /// A time or a count of 0: nothing is remembered.
    pub(super) fn new(time: Duration, count_max: usize) -> Self {
        Self { time, count_max, by_question: HashMap::new(), in_order: VecDeque::new() }
    }

    pub(super) fn find(&mut self, question: &str, now: Timestamp) -> Option<Verdict> {
        self.forget_old(now);
        self.by_question.get(question).map(|(verdict, _)| verdict.clone())
    }

    /// Remembers an answer. That nobody knows is not remembered.
    pub(super) fn keep(&mut self, question: &Arc<str>, verdict: &Verdict, now: Timestamp) {
        self.forget_old(now);
        let is_answer = !matches!(verdict, Verdict::Unavailable(_));
        let is_on = !self.time.is_zero() && self.count_max > 0;
        if !is_on || !is_answer || question.len() > REMEMBERED_BYTES_MAX {
            return;
        }
        if self.by_question.len() >= self.count_max && !self.by_question.contains_key(question) {
            self.forget_first();
        }
        let entry = (verdict.clone(), now);
        // Two that were asked at once: the later answer holds, from the earlier one's time on.
        if self.by_question.insert(Arc::clone(question), entry).is_none() {
            self.in_order.push_back((now, Arc::clone(question)));
        }
    }

    fn forget_old(&mut self, now: Timestamp) {
        while self.in_order.front().is_some_and(|(since, _)| now.since(*since) >= self.time) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, question)) = self.in_order.pop_front() {
            self.by_question.remove(&question);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    fn no(reason: &str) -> Verdict {
        Verdict::Denied(reason.into())
    }

    #[test]
    fn an_answer_holds_for_what_was_asked_and_for_its_time() {
        let mut cache = Cache::new(Duration::from_millis(100), 10);
        cache.keep(&"q1".into(), &no("1"), at(0));
        cache.keep(&"q2".into(), &no("2"), at(50));
        assert_eq!(cache.find("q1", at(99)), Some(no("1")));
        assert_eq!((cache.find("q1", at(100)), cache.find("q2", at(100))), (None, Some(no("2"))));
        assert_eq!(cache.find("q3", at(100)), None);
        assert_eq!(cache.find("q2", at(150)), None);
        assert!(cache.by_question.is_empty() && cache.in_order.is_empty());
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let mut cache = Cache::new(Duration::from_secs(1), 3);
        for number in 0..100u32 {
            cache.keep(&number.to_string().into(), &no("x"), at(u64::from(number)));
            cache.keep(&number.to_string().into(), &no("y"), at(u64::from(number)));
        }
        assert_eq!((cache.by_question.len(), cache.in_order.len()), (3, 3));
        assert_eq!((cache.find("96", at(100)), cache.find("97", at(100))), (None, Some(no("y"))));
        let long: Arc<str> = "x".repeat(REMEMBERED_BYTES_MAX + 1).into();
        cache.keep(&long, &no("x"), at(100));
        assert_eq!(cache.find(&long, at(100)), None);
    }

    #[test]
    fn what_nobody_knows_is_asked_again() {
        let mut cache = Cache::new(Duration::from_secs(1), 3);
        cache.keep(&"q".into(), &Verdict::Unavailable("down"), at(0));
        assert_eq!(cache.find("q", at(0)), None);
        let mut off = Cache::new(Duration::ZERO, 3);
        off.keep(&"q".into(), &no("x"), at(0));
        assert_eq!(off.find("q", at(0)), None);
    }
}
