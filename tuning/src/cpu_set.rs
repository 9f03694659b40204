//! Sets of CPUs as the kernel writes them: lists (`0-3,8`) and masks (`ff,00000000`).

use crate::limits::CPUS_MAX;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;

/// Numbers of CPUs, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpus(BTreeSet<usize>);

impl Cpus {
    /// Reads a list such as `0-3,8`; `None` where it is none. An empty text is the empty set.
    #[must_use]
    pub fn from_list(list: &str) -> Option<Self> {
        let mut cpus = BTreeSet::new();
        for part in list.trim().split(',').filter(|_| !list.trim().is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last >= CPUS_MAX {
                return None;
            }
            cpus.extend(first..=last);
        }
        Some(Self(cpus))
    }

    /// Reads a mask in groups of 32 bits, the highest first: `1,00000000` is CPU 32.
    #[must_use]
    pub fn from_mask(mask: &str) -> Option<Self> {
        let mut cpus = BTreeSet::new();
        for (group, hex) in mask.trim().rsplit(',').enumerate() {
            let bits = u32::from_str_radix(hex, 16).ok()?;
            let set = (0..32).filter(|bit| bits & (1 << bit) != 0);
            cpus.extend(set.map(|bit| group * 32 + bit));
        }
        (cpus.last().is_none_or(|last| *last < CPUS_MAX)).then_some(Self(cpus))
    }

    /// The mask of this set, as `/sys` takes it: without the zeros in front.
    #[must_use]
    pub fn mask(&self) -> String {
        let groups = self.0.last().map_or(0, |last| last / 32);
        let words = (0..=groups).rev().map(|group| {
            let of_group = self.0.iter().filter(|cpu| *cpu / 32 == group);
            of_group.fold(0_u32, |bits, cpu| bits | 1 << (cpu % 32))
        });
        let mut text = String::new();
        for word in words {
            text += &if text.is_empty() { format!("{word:x}") } else { format!(",{word:08x}") };
        }
        text
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `cpu` is one of them.
    #[must_use]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.contains(&cpu)
    }

    /// Whether all of these are among `others`.
    #[must_use]
    pub fn is_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }

    /// Those that are in both.
    #[must_use]
    pub fn shared_with(&self, others: &Self) -> Self {
        Self(self.0.intersection(&others.0).copied().collect())
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<usize> for Cpus {
    fn from_iter<T: IntoIterator<Item = usize>>(cpus: T) -> Self {
        Self(cpus.into_iter().collect())
    }
}

/// As a list, `0-3,8`; `none` for the empty set.
impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.pad("none");
        }
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for cpu in self.iter() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => runs.push((cpu, cpu)),
            }
        }
        let runs = runs.iter().map(|&(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        });
        f.pad(&runs.collect::<Vec<_>>().join(","))
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        for (list, cpus) in
            [("0", vec![0]), ("0-3", vec![0, 1, 2, 3]), ("0-2,8,10-11", vec![0, 1, 2, 8, 10, 11])]
        {
            let read = Cpus::from_list(list).expect("a list");
            assert_eq!(read.iter().collect::<Vec<_>>(), cpus);
            assert_eq!(read.to_string(), list);
        }
        assert_eq!(Cpus::from_list("\n").map(|cpus| cpus.to_string()), Some("none".into()));
        for bad in ["x", "3-1", "0-", "0-18446744073709551615", "(null)", "1,,2"] {
            assert_eq!(Cpus::from_list(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn masks_are_read_and_written() {
        for (mask, list) in [
            ("0", "none"),
            ("3", "0-1"),
            ("ff", "0-7"),
            ("1,00000000", "32"),
            ("80000000,00000001", "0,63"),
        ] {
            let read = Cpus::from_mask(mask).expect("a mask");
            assert_eq!((read.to_string().as_str(), read.mask().as_str()), (list, mask));
        }
        assert_eq!(Cpus::from_mask("00000000,0000000f").map(|c| c.len()), Some(4));
        assert_eq!(Cpus::from_mask("xyz"), None);
        assert_eq!(Cpus::from_mask(""), None);
    }
}
