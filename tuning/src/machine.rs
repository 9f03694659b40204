//! The machine in full: what `corecast doctor` reads beyond what a start needs to know.

use crate::container::Container;
use crate::cores::Cores;
use crate::cpu_set::Cpus;
use crate::facts::Facts;
use crate::memory::Memory;
use crate::nics::{self, Nic};
use crate::ring::{RingOption, ring_options};
use crate::root::Root;
use crate::sysctls::Sysctls;
use serde::Serialize;

/// What a machine is like, read from its files and not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Newer abilities of `io_uring`, asked of the running kernel; empty where it gives no ring.
    pub ring_options: Vec<RingOption>,
    /// Kernel settings by name.
    pub sysctls: Sysctls,
    /// Packets dropped because a core's input queue was full, since the machine started.
    pub softnet_dropped: Option<u64>,
    /// Cores, clocks, nodes.
    pub cores: Cores,
    /// Network cards that are up.
    pub nics: Vec<Nic>,
    /// Whether a daemon moves interrupts about.
    pub irqbalance: bool,
    /// Memory.
    pub memory: Memory,
    /// Control groups and seccomp.
    pub container: Container,
}

impl Machine {
    /// Reads everything below `root`; the ring alone is asked of the running kernel. What cannot be
    /// read is absent, never an error. Takes a few milliseconds.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        Self {
            ring_options: ring_options(),
            sysctls: Sysctls::read(root),
            softnet_dropped: root.text("/proc/net/softnet_stat").and_then(|text| dropped(&text)),
            cores: Cores::read(root),
            nics: nics::read(root),
            irqbalance: nics::irqbalance_runs(root),
            memory: Memory::read(root),
            container: Container::read(root),
        }
    }
}

/// Where the shards are to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How many shards.
    pub shards: usize,
    /// Their cores; fewer than shards where some share one.
    pub cores: Cpus,
}

impl Plan {
    /// The shards as the engine would place them: on `cpus`, or on all that this process may use;
    /// `shards` of them, or one for each.
    #[must_use]
    pub fn new(facts: &Facts, shards: Option<usize>, cpus: Option<&[usize]>) -> Self {
        let cpus = cpus.unwrap_or(&facts.affinity);
        let shards = shards.filter(|&shards| shards > 0).unwrap_or(cpus.len().max(1));
        Self { shards, cores: cpus.iter().copied().take(shards).collect() }
    }
}

/// The second column of each core's line, in hex.
fn dropped(softnet: &str) -> Option<u64> {
    let each = softnet.lines().map(|line| {
        let column = line.split_whitespace().nth(1)?;
        u64::from_str_radix(column, 16).ok()
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_summed_over_the_cores() {
        let text = "13a7d9d7 00000000 00000003\n1373941b 000018a4 0000000b";
        assert_eq!(dropped(text), Some(6_308));
        assert_eq!(dropped("x"), None);
        assert_eq!(dropped("1 y"), None);
    }

    #[test]
    fn shards_are_placed_as_the_engine_places_them() {
        let facts = Facts { affinity: vec![0, 1, 2, 3], ..crate::review::tests::good_facts() };
        let plan = |shards, cpus| {
            let Plan { shards, cores } = Plan::new(&facts, shards, cpus);
            (shards, cores.to_string())
        };
        assert_eq!(plan(None, None), (4, "0-3".into()));
        assert_eq!(plan(Some(0), None), (4, "0-3".into()));
        assert_eq!(plan(Some(2), None), (2, "0-1".into()));
        assert_eq!(plan(Some(2), Some(&[3, 1, 0])), (2, "1,3".into()));
        assert_eq!(plan(Some(8), Some(&[1])), (8, "1".into()));
    }

    #[test]
    fn this_machine_is_read() {
        let machine = Machine::read(&Root::machine());
        assert!(machine.sysctls.value("net.core.somaxconn").is_some());
        assert!(machine.cores.online.is_some());
        assert!(machine.memory.total_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(machine.nics.iter().all(|nic| nic.name != "lo"));
    }
}
