//! Cores: which exist, which this process may use, and how their clocks are governed.

use crate::facts::read_trimmed;
use rustix::thread::{CpuSet, sched_getaffinity};
use std::collections::BTreeSet;

/// Numbers of the cores this process may run on, ascending; empty where the kernel does not say.
pub(crate) fn affinity() -> Vec<usize> {
    sched_getaffinity(None).map_or_else(
        |_| Vec::new(),
        |set| (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect(),
    )
}

/// How many cores are online, whatever this process may use.
pub(crate) fn online() -> Option<usize> {
    count_list(&read_trimmed("/sys/devices/system/cpu/online")?)
}

/// The distinct frequency governors of `cores`; empty in most virtual machines, which have none.
pub(crate) fn governors(cores: &[usize]) -> Vec<String> {
    let path = |core| format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
    let found: BTreeSet<_> = cores.iter().filter_map(|core| read_trimmed(&path(core))).collect();
    found.into_iter().collect()
}

/// How many numbers a kernel list such as `0-3,8` names.
fn count_list(list: &str) -> Option<usize> {
    let mut count = 0_usize;
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_lists_are_counted() {
        assert_eq!(count_list("0"), Some(1));
        assert_eq!(count_list("0-3"), Some(4));
        assert_eq!(count_list("0-3,8,10-11"), Some(7));
        for bad in ["", "x", "3-1", "0-", "0-18446744073709551615"] {
            assert_eq!(count_list(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn this_process_may_use_some_core_that_is_online() {
        let cores = affinity();
        assert!(!cores.is_empty());
        assert!(cores.is_sorted());
        assert!(online().is_some_and(|online| online >= 1));
    }
}
