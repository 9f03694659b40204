//! Who holds how many connections, and how often each came of late: a bounded table.
//!
//! An entry with a connection stays. One without goes as soon as its bucket is full again, since it
//! says no more than none does. Where neither leaves room, who is new shares one entry with all
//! others who are: an attacker with many addresses neither pushes out what is counted, nor makes
//! the table grow, nor is let in uncounted.

use std::collections::HashMap;

use super::bucket::{Level, Rate};
use super::limits::{SWEEP_STEPS, TELL_EVERY_NS};

/// What one key may have, and how many keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once; 0: any number.
    pub connections_max: u32,
    /// Connections in a second.
    pub rate: Rate,
    /// Keys that are counted each for itself.
    pub entries_max: u32,
}

/// The counters. Each operation looks at a few entries, however many there are.
#[derive(Debug, Default)]
pub struct Table {
    /// Hashed with a seed of this process: nobody outside can choose keys that collide.
    index: HashMap<u128, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// The entry that is looked at next, for whether it can go.
    hand: usize,
    /// Of those for whom there is no entry.
    overflow: Entry,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    key: u128,
    level: Level,
    connections: u32,
    is_used: bool,
    /// When somebody was told of it last; 0: never.
    told_at_ns: u64,
}

/// Where a connection is counted, for [`Table::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u32);

/// What was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Connections at once.
    Connections,
    /// Connections in a second: there is room for one more after so many nanoseconds.
    Rate(u64),
}

/// Somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub refusal: Refusal,
    /// Whether the operator is to be told: once a minute for each entry.
    pub is_news: bool,
}

impl Place {
    /// Where those are counted for whom there is no entry.
    pub const OVERFLOW: Self = Self(u32::MAX);
}

impl Table {
    /// Counts one more connection of `key`.
    ///
    /// # Errors
    /// Where that is more than it may have; nothing is counted then.
    pub fn enter(&mut self, key: u128, bounds: &Bounds, now_ns: u64) -> Result<Place, Denied> {
        let place = match self.index.get(&key) {
            Some(&place) => Place(place),
            None => self.place_for(key, bounds, now_ns),
        };
        let entry = self.entry_mut(place);
        let refusal = if bounds.connections_max > 0 && entry.connections >= bounds.connections_max {
            Refusal::Connections
        } else {
            match bounds.rate.take(&mut entry.level, 1, now_ns) {
                Ok(()) => {
                    entry.connections += 1;
                    return Ok(place);
                }
                Err(wait_ns) => Refusal::Rate(wait_ns),
            }
        };
        let is_news =
            entry.told_at_ns == 0 || now_ns.saturating_sub(entry.told_at_ns) >= TELL_EVERY_NS;
        if is_news {
            entry.told_at_ns = now_ns.max(1);
        }
        Err(Denied { refusal, is_news })
    }

    /// One connection is gone, of whoever is counted there.
    ///
    /// # Panics
    /// When it was not counted: each place is left once.
    pub fn leave(&mut self, place: Place) {
        let entry = self.entry_mut(place);
        assert!(entry.connections > 0, "a connection left that was not counted");
        entry.connections -= 1;
        let says_nothing = entry.connections == 0 && entry.level == Level::default();
        if says_nothing && place != Place::OVERFLOW {
            self.drop_entry(place.0);
        }
    }

    /// Whether `key` may do once more what [`spend`](Self::spend) counts. Nothing is counted here.
    ///
    /// # Errors
    /// Where it did so too often: the nanoseconds until it may.
    pub fn check(&self, key: u128, bounds: &Bounds, now_ns: u64) -> Result<(), u64> {
        let mut level = match self.index.get(&key) {
            Some(&place) => self.entries[place as usize].level,
            None if self.index.len() >= bounds.entries_max as usize => self.overflow.level,
            None => return Ok(()),
        };
        bounds.rate.take(&mut level, 1, now_ns)
    }

    /// Counts once what `key` did, if it may have done it.
    pub fn spend(&mut self, key: u128, bounds: &Bounds, now_ns: u64) {
        let place = match self.index.get(&key) {
            Some(&place) => Place(place),
            None => self.place_for(key, bounds, now_ns),
        };
        // What is more than it may is counted no further: it is to end some time.
        let _ = bounds.rate.take(&mut self.entry_mut(place).level, 1, now_ns);
    }

    /// Connections of this key; of who has no entry, none.
    #[must_use]
    pub fn connections(&self, key: u128) -> u32 {
        self.index.get(&key).map_or(0, |&place| self.entries[place as usize].connections)
    }

    /// Keys that are counted each for itself.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nobody is counted for himself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Connections of those who share one entry.
    #[must_use]
    pub fn overflow(&self) -> u32 {
        self.overflow.connections
    }

    /// An entry for a key that has none.
    fn place_for(&mut self, key: u128, bounds: &Bounds, now_ns: u64) -> Place {
        self.sweep(&bounds.rate, now_ns);
        if self.index.len() >= bounds.entries_max as usize {
            return Place::OVERFLOW;
        }
        let entry = Entry { key, is_used: true, ..Entry::default() };
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).unwrap_or_else(|_| unreachable!("bounded"))
            }
        };
        self.index.insert(key, place);
        Place(place)
    }

    /// Looks at the next few entries, and drops those that say nothing any more.
    fn sweep(&mut self, rate: &Rate, now_ns: u64) {
        for _ in 0..SWEEP_STEPS.min(self.entries.len()) {
            self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
            let entry = &self.entries[self.hand];
            let is_idle = entry.is_used && entry.connections == 0;
            if is_idle && rate.is_full(&entry.level, now_ns) {
                self.drop_entry(self.hand as u32);
            }
        }
    }

    fn drop_entry(&mut self, place: u32) {
        let entry = &mut self.entries[place as usize];
        entry.is_used = false;
        self.index.remove(&entry.key);
        self.free.push(place);
    }

    fn entry_mut(&mut self, place: Place) -> &mut Entry {
        match place {
            Place::OVERFLOW => &mut self.overflow,
            Place(place) => &mut self.entries[place as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn bounds(connections_max: u32, rate: Rate, entries_max: u32) -> Bounds {
        Bounds { connections_max, rate, entries_max }
    }

    #[test]
    fn each_key_has_its_own_connections() {
        let bounds = bounds(2, Rate::default(), 10);
        let mut table = Table::default();
        let first = table.enter(1, &bounds, 0).expect("the first");
        table.enter(1, &bounds, 0).expect("the second");
        let denied = table.enter(1, &bounds, 5).expect_err("a third");
        assert_eq!(denied, Denied { refusal: Refusal::Connections, is_news: true });
        assert!(!table.enter(1, &bounds, SECOND).expect_err("a fourth").is_news);
        assert!(table.enter(1, &bounds, 61 * SECOND).expect_err("a fifth").is_news);
        table.enter(2, &bounds, 0).expect("another");
        table.leave(first);
        table.enter(1, &bounds, 0).expect("room again");
    }

    #[test]
    fn coming_and_going_does_not_earn_a_new_bucket() {
        let bounds = bounds(0, Rate::new(1, 3), 10);
        let mut table = Table::default();
        for _ in 0..3 {
            let place = table.enter(7, &bounds, SECOND).expect("a burst");
            table.leave(place);
        }
        let denied = table.enter(7, &bounds, SECOND).expect_err("spent");
        assert_eq!(denied.refusal, Refusal::Rate(SECOND));
        assert!(table.enter(7, &bounds, 2 * SECOND).is_ok());
    }

    #[test]
    fn many_addresses_push_nobody_out_and_are_not_let_in_uncounted() {
        let bounds = bounds(3, Rate::default(), 100);
        let mut table = Table::default();
        let mut places = Vec::new();
        for key in 0..100 {
            places.push(table.enter(key, &bounds, 0).expect("an entry"));
        }
        // All that come now share three places.
        let let_in = (1_000..2_000).filter(|&key| table.enter(key, &bounds, 0).is_ok()).count();
        assert_eq!((let_in, table.len(), table.overflow()), (3, 100, 3));
        // Who was counted before is still counted, and has what he had.
        for key in 0..100 {
            assert_eq!(table.connections(key), 1);
            assert!(table.enter(key, &bounds, 0).is_ok());
        }
        (0..3).for_each(|_| table.leave(Place::OVERFLOW));
        table.leave(places[5]);
        table.leave(places[5]);
        assert_eq!(table.enter(1_000, &bounds, 0), Ok(places[5]), "room for one");
    }

    #[test]
    fn a_table_forgets_who_says_nothing_and_nobody_else() {
        let bounds = bounds(0, Rate::new(1, 2), 1_000);
        let mut table = Table::default();
        let staying = table.enter(u128::MAX, &bounds, 0).expect("an entry");
        for key in 0..200_000_u128 {
            let now = key as u64 * SECOND / 100;
            let place = table.enter(key, &bounds, now).expect("an entry");
            table.leave(place);
        }
        // A hundred a second, each remembered for a second, and the sweep is faster than that.
        assert!(table.len() < 300 && table.entries.len() < 300, "{}", table.len());
        assert_eq!((table.connections(u128::MAX), table.overflow()), (1, 0));
        table.leave(staying);
    }

    #[test]
    fn what_is_only_looked_at_is_not_counted() {
        let bounds = bounds(0, Rate::new(1, 2), 1);
        let mut table = Table::default();
        for _ in 0..10 {
            assert_eq!(table.check(1, &bounds, SECOND), Ok(()));
        }
        assert!(table.is_empty());
        (0..5).for_each(|_| table.spend(1, &bounds, SECOND));
        assert_eq!(table.check(1, &bounds, SECOND), Err(SECOND));
        assert_eq!(table.check(1, &bounds, 2 * SECOND), Ok(()), "it is not punished for ever");
        // Those for whom there is no entry share one.
        assert_eq!(table.check(2, &bounds, SECOND), Ok(()));
        (0..2).for_each(|_| table.spend(2, &bounds, SECOND));
        assert_eq!(table.check(3, &bounds, SECOND), Err(SECOND));
    }

    #[test]
    #[should_panic(expected = "not counted")]
    fn nobody_leaves_twice() {
        let mut table = Table::default();
        let bounds = bounds(1, Rate::new(1, 1), 1);
        let place = table.enter(1, &bounds, 0).expect("an entry");
        table.leave(place);
        table.leave(place);
    }
}
