//! The table of budgets against a model that has all the room there is, and that forgets nothing.

use std::collections::HashMap;

use corecast_gate::budget::{Bounds, Level, Place, Rate, Table};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter(u8),
    /// Leaves as the n-th of those who are in.
    Leave(prop::sample::Index),
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(Step::Enter),
        3 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => (0_u32..2_000_000_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..400)
}

/// What there would be without any bound on entries.
#[derive(Default)]
struct Model(HashMap<u128, (u32, Level)>);

impl Model {
    fn enter(&mut self, key: u128, bounds: &Bounds, now: u64) -> bool {
        let (connections, level) = self.0.entry(key).or_default();
        let is_full = bounds.connections_max > 0 && *connections >= bounds.connections_max;
        let is_in = !is_full && bounds.rate.take(level, 1, now).is_ok();
        *connections += u32::from(is_in);
        is_in
    }
}

proptest! {
    #[test]
    fn a_table_with_room_decides_as_one_that_forgets_nothing(
        steps in steps(), connections_max in 0_u32..4, per_second in 0_u32..4, burst in 1_u32..5,
    ) {
        let rate = Rate::new(per_second, burst);
        let bounds = Bounds { connections_max, rate, entries_max: 256 };
        let (mut table, mut model) = (Table::default(), Model::default());
        let (mut held, mut now) = (Vec::new(), 1_u64);
        for step in steps {
            match step {
                Step::Enter(key) => {
                    let entered = table.enter(key.into(), &bounds, now);
                    prop_assert_eq!(entered.is_ok(), model.enter(key.into(), &bounds, now));
                    held.extend(entered.ok().map(|place| (u128::from(key), place)));
                }
                Step::Leave(index) if !held.is_empty() => {
                    let (key, place) = held.swap_remove(index.index(held.len()));
                    table.leave(place);
                    model.0.get_mut(&key).expect("it entered").0 -= 1;
                }
                Step::Leave(_) => {}
                Step::Wait(nanos) => now += u64::from(nanos),
            }
            for (key, (connections, _)) in &model.0 {
                prop_assert_eq!(table.connections(*key), *connections);
            }
        }
        prop_assert_eq!(table.overflow(), 0);
    }

    #[test]
    fn a_table_without_room_counts_everybody_who_is_in(
        steps in steps(), entries_max in 1_u32..6,
    ) {
        let bounds = Bounds { connections_max: 3, rate: Rate::new(2, 2), entries_max };
        let (mut table, mut held, mut now) = (Table::default(), Vec::new(), 1_u64);
        for step in steps {
            match step {
                Step::Enter(key) => {
                    let entered = table.enter(key.into(), &bounds, now);
                    held.extend(entered.ok().map(|place| (u128::from(key), place)));
                }
                Step::Leave(index) if !held.is_empty() => {
                    table.leave(held.swap_remove(index.index(held.len())).1);
                }
                Step::Leave(_) => {}
                Step::Wait(nanos) => now += u64::from(nanos),
            }
            prop_assert!(table.len() <= entries_max as usize);
            let shared = held.iter().filter(|(_, place)| *place == Place::OVERFLOW).count();
            prop_assert_eq!(table.overflow() as usize, shared);
            prop_assert!(shared <= 3, "those who share have no more than one has");
            // An entry with connections is never given to another.
            for (key, place) in held.iter().filter(|(_, place)| *place != Place::OVERFLOW) {
                let same = held.iter().filter(|(_, it)| it == place);
                prop_assert!(same.clone().all(|(other, _)| other == key));
                prop_assert_eq!(table.connections(*key) as usize, same.count());
            }
        }
    }

    #[test]
    fn a_bucket_gives_no_more_than_its_rate_over_any_time(
        per_second in 1_u32..1_000, burst in 1_u32..100,
        waits in prop::collection::vec(0_u64..3_000_000_000, 1..200),
    ) {
        let (rate, mut level) = (Rate::new(per_second, burst), Level::default());
        let (mut now, mut taken) = (0_u64, 0_u128);
        for wait in waits {
            now += wait;
            while rate.take(&mut level, 1, now).is_ok() {
                taken += 1;
            }
            let earned = u128::from(now) * u128::from(per_second) / 1_000_000_000;
            prop_assert!(taken <= u128::from(burst) + earned);
        }
        // And who always waits as long as he is told gets exactly what he is owed.
        let (mut level, mut at) = (Level::default(), 0);
        for count in 0..u64::from(burst) + 100 {
            if let Err(wait) = rate.take(&mut level, 1, at) {
                at += wait;
                prop_assert!(rate.take(&mut level, 1, at).is_ok());
                let owed = (count + 1 - u64::from(burst)) * 1_000_000_000;
                let late = at - owed.div_ceil(u64::from(per_second));
                prop_assert!(burst == 1 || late == 0, "{late} ns late");
            }
        }
    }
}
