//! Network cards: their queues, who is interrupted by them, and which cores they prefer.

use crate::cpu_set::Cpus;
use crate::root::Root;
use serde::Serialize;

/// A network card with a device behind it: `lo`, bridges and veth pairs are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nic {
    /// Its name, such as `eth0`.
    pub name: String,
    /// The driver, where it can be seen.
    pub driver: Option<String>,
    /// The NUMA node that it is attached to.
    pub node: Option<usize>,
    /// For each receive queue the cores that its packets are handed to by software (RPS); none:
    /// the core that was interrupted keeps them.
    pub rps: Vec<Cpus>,
    /// For each transmit queue the cores that choose it (XPS).
    pub xps: Vec<Cpus>,
    /// The interrupts of its queues.
    pub irqs: Vec<Irq>,
    /// Packets that the card had no room for since it came up.
    pub missed_packets: Option<u64>,
}

/// An interrupt of a card's queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Irq {
    /// Its number.
    pub number: u32,
    /// What the driver calls it, such as `eth0-TxRx-0`.
    pub label: String,
    /// The cores that it really goes to (where the kernel does not say: may go to).
    pub cpus: Cpus,
}

impl Irq {
    /// Whether packets come in by it, as far as its name tells.
    pub(crate) fn receives(&self) -> bool {
        let label = self.label.to_lowercase();
        let sends = ["tx", "output"].iter().any(|word| label.contains(word));
        !sends || label.contains("rx")
    }
}

/// The cards that are up.
pub(crate) fn read(root: &Root) -> Vec<Nic> {
    let interrupts = root.text("/proc/interrupts").unwrap_or_default();
    let names = root.names("/sys/class/net").into_iter();
    let real = names.filter(|name| {
        let folder = format!("/sys/class/net/{name}");
        let up = root.text(&format!("{folder}/operstate")).is_none_or(|state| state != "down");
        up && root.exists(&format!("{folder}/device"))
    });
    real.map(|name| nic(root, &interrupts, name)).collect()
}

/// Whether a daemon moves interrupts about.
pub(crate) fn irqbalance_runs(root: &Root) -> bool {
    let processes = root.names("/proc").into_iter();
    let mut processes = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    processes.any(|id| root.text(&format!("/proc/{id}/comm")).is_some_and(|c| c == "irqbalance"))
}

fn nic(root: &Root, interrupts: &str, name: String) -> Nic {
    let folder = format!("/sys/class/net/{name}");
    let queues = |kind: &str, file: &str| {
        let names = root.names(&format!("{folder}/queues")).into_iter();
        let mut names: Vec<_> = names.filter(|queue| queue.starts_with(kind)).collect();
        names.sort_by_key(|queue| queue[kind.len()..].parse::<u32>().unwrap_or(u32::MAX));
        let mask = |queue: String| {
            let text = root.text(&format!("{folder}/queues/{queue}/{file}"));
            text.and_then(|text| Cpus::from_mask(&text)).unwrap_or_default()
        };
        names.into_iter().map(mask).collect::<Vec<_>>()
    };
    let count = |name: &str| root.number(&format!("{folder}/statistics/{name}"));
    let missed = [count("rx_missed_errors"), count("rx_fifo_errors")];
    Nic {
        driver: root.link_name(&format!("{folder}/device/driver")),
        // -1 where the card belongs to no node.
        node: root.number(&format!("{folder}/device/numa_node")).map(|node| node as usize),
        rps: queues("rx-", "rps_cpus"),
        xps: queues("tx-", "xps_cpus"),
        irqs: irqs(root, interrupts, &name),
        missed_packets: missed.iter().flatten().copied().reduce(u64::saturating_add),
        name,
    }
}

/// The interrupts that the device owns, or that bear its name or the card's.
fn irqs(root: &Root, interrupts: &str, name: &str) -> Vec<Irq> {
    let owned: Vec<u32> = root
        .names(&format!("/sys/class/net/{name}/device/msi_irqs"))
        .iter()
        .filter_map(|number| number.parse().ok())
        .collect();
    let device = root.link_name(&format!("/sys/class/net/{name}/device"));
    let of_device = |label: &str| {
        let (first, _) = label.split_once('-').unwrap_or((label, ""));
        device.as_deref() == Some(first) || label.split(['-', '@']).any(|part| part == name)
    };
    let lines = interrupts.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let label = rest.split_whitespace().last()?;
        Some((number.trim().parse().ok()?, label))
    });
    let own = lines.filter(|(number, label)| owned.contains(number) || of_device(label));
    let queues = own.filter(|(_, label)| !is_control(label));
    let irq = |(number, label): (u32, &str)| {
        let list = |file: &str| {
            let text = root.text(&format!("/proc/irq/{number}/{file}"))?;
            Cpus::from_list(&text).filter(|cpus| !cpus.is_empty())
        };
        let cpus = list("effective_affinity_list").or_else(|| list("smp_affinity_list"))?;
        Some(Irq { number, label: label.to_owned(), cpus })
    };
    queues.filter_map(irq).collect()
}

/// Interrupts for the card's own affairs rather than packets.
fn is_control(label: &str) -> bool {
    let label = label.to_lowercase();
    ["config", "event", "async", "mgm", "ctrl", "control", "misc", "admin", "link", "fdir"]
        .iter()
        .any(|word| label.contains(word))
}
