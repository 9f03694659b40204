//! Cores: which exist, what they share, how their clocks are governed, who keeps off them.

use crate::cpu_set::Cpus;
use crate::root::Root;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The cores of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cores {
    /// Those that are online.
    pub online: Option<Cpus>,
    /// Those that the scheduler leaves alone (`isolcpus=`).
    pub isolated: Option<Cpus>,
    /// Those without a timer tick while one task runs (`nohz_full=`).
    pub nohz_full: Option<Cpus>,
    /// Cores that are hardware threads of one physical core, two or more together.
    pub siblings: BTreeSet<Cpus>,
    /// The cores of each NUMA node.
    pub nodes: BTreeMap<usize, Cpus>,
    /// The cores of each frequency governor; empty in most virtual machines, which have none.
    pub governors: BTreeMap<String, Cpus>,
    /// Whether the processor says that it is a virtual one.
    pub virtual_machine: bool,
    /// What the kernel reads the time from.
    pub clock_source: Option<String>,
    /// What else it could read it from.
    pub clock_sources: Vec<String>,
}

impl Cores {
    pub(crate) fn read(root: &Root) -> Self {
        let list = |name: &str| {
            root.text(&format!("/sys/devices/system/cpu/{name}")).and_then(|t| Cpus::from_list(&t))
        };
        let online = list("online");
        let each: Vec<usize> = online.iter().flat_map(Cpus::iter).collect();
        let (mut siblings, mut governors) = (BTreeSet::new(), BTreeMap::<String, Cpus>::new());
        for cpu in each {
            let own = |name: &str| root.text(&format!("/sys/devices/system/cpu/cpu{cpu}/{name}"));
            let together = own("topology/thread_siblings_list");
            let together = together.and_then(|text| Cpus::from_list(&text));
            siblings.extend(together.filter(|cpus| cpus.len() > 1));
            if let Some(governor) = own("cpufreq/scaling_governor") {
                let cpus = governors.entry(governor).or_default();
                *cpus = cpus.iter().chain([cpu]).collect();
            }
        }
        let clock = |name: &str| {
            root.text(&format!("/sys/devices/system/clocksource/clocksource0/{name}_clocksource"))
        };
        let sources = clock("available").unwrap_or_default();
        Self {
            online,
            isolated: list("isolated"),
            // A kernel that can and does not says `(null)`.
            nohz_full: list("nohz_full"),
            siblings,
            nodes: nodes(root),
            governors,
            virtual_machine: is_virtual(root),
            clock_source: clock("current"),
            clock_sources: sources.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// Numbers of the cores this process may run on, ascending; empty where the kernel does not say.
pub(crate) fn affinity() -> Vec<usize> {
    sched_getaffinity(None).map_or_else(
        |_| Vec::new(),
        |set| (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect(),
    )
}

fn nodes(root: &Root) -> BTreeMap<usize, Cpus> {
    let mut nodes = BTreeMap::new();
    for name in root.names("/sys/devices/system/node") {
        let Some(node) = name.strip_prefix("node").and_then(|n| n.parse().ok()) else { continue };
        let list = root.text(&format!("/sys/devices/system/node/{name}/cpulist"));
        if let Some(cpus) = list.and_then(|text| Cpus::from_list(&text)) {
            nodes.insert(node, cpus);
        }
    }
    nodes
}

fn is_virtual(root: &Root) -> bool {
    let info = root.text("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_may_use_some_core_that_is_online() {
        let (cores, cpus) = (affinity(), Cores::read(&Root::machine()));
        assert!(!cores.is_empty());
        assert!(cores.is_sorted());
        let online = cpus.online.expect("a machine lists its cores");
        assert!(cores.iter().all(|&core| online.contains(core)), "{cores:?} of {online}");
    }
}
