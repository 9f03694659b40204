//! Network cards against the shards' cores.

use crate::checks::{CARD_NODE, CARDS, IRQ, MISSED, QUEUES, RPS, XPS};
use crate::cpu_set::Cpus;
use crate::finding::Finding;
use crate::machine::{Machine, Plan};
use crate::nics::{Irq, Nic};

pub(super) fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    if machine.nics.is_empty() {
        return vec![CARDS.unseen()];
    }
    machine.nics.iter().flat_map(|nic| of_card(machine, nic, plan)).collect()
}

fn of_card(machine: &Machine, nic: &Nic, plan: &Plan) -> Vec<Finding> {
    vec![
        queues(nic, plan),
        irq(machine, nic, plan),
        rps(nic, plan),
        xps(nic, plan),
        node(machine, nic, plan),
        missed(nic),
    ]
}

/// The command that sets a card up for these cores.
fn script(nic: &Nic, plan: &Plan) -> String {
    format!("`tuning/nic.sh --cpus {} {}` shows what to change, --apply does", plan.cores, nic.name)
}

fn named(nic: &Nic, value: impl std::fmt::Display) -> String {
    format!("{}: {value}", nic.name)
}

fn queues(nic: &Nic, plan: &Plan) -> Finding {
    let (receive, send) = (nic.rps.len(), nic.xps.len());
    if receive == 0 {
        return QUEUES.unseen();
    }
    let driver = nic.driver.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    let value = named(nic, format_args!("{receive} receive, {send} send{driver}"));
    if receive >= plan.cores.len() || uses_rps(nic) {
        return QUEUES.ok(value);
    }
    let wanted = plan.cores.len();
    let what_to_do = format!(
        "`ethtool -L {} combined {wanted}` where the card has so many; else RPS: {}",
        nic.name,
        script(nic, plan)
    );
    QUEUES.advice(value, what_to_do)
}

fn irq(machine: &Machine, nic: &Nic, plan: &Plan) -> Finding {
    let receiving: Vec<_> = nic.irqs.iter().filter(|irq| irq.receives()).collect();
    let [first, ..] = receiving.as_slice() else { return IRQ.unseen() };
    let hit: Cpus = receiving.iter().flat_map(|irq| irq.cpus.iter()).collect();
    let value = match receiving.len() {
        1 => format!("{} on core {}", first.label, first.cpus),
        many => format!("{many} receive queues on cores {hit}"),
    };
    let value = named(nic, value);
    let spread = distinct(&receiving).min(hit.len());
    let wanted = receiving.len().min(plan.cores.len());
    // On cores that no shard has they disturb nobody; on the shards' they are to be spread.
    let beside = hit.shared_with(&plan.cores).is_empty();
    if !beside && spread < wanted {
        let daemon =
            if machine.irqbalance { "; and stop irqbalance, which moves them back" } else { "" };
        return IRQ.advice(value, script(nic, plan) + daemon);
    }
    if machine.irqbalance && receiving.len() > 1 {
        let what_to_do = "`systemctl disable --now irqbalance`, or IRQBALANCE_BANNED_CPULIST";
        return IRQ.advice(format!("{value}, irqbalance moves them"), what_to_do);
    }
    IRQ.ok(value)
}

/// How many different sets of cores are interrupted.
fn distinct(irqs: &[&Irq]) -> usize {
    let sets: std::collections::BTreeSet<_> = irqs.iter().map(|irq| &irq.cpus).collect();
    sets.len()
}

fn uses_rps(nic: &Nic) -> bool {
    nic.rps.iter().any(|cpus| !cpus.is_empty())
}

fn rps(nic: &Nic, plan: &Plan) -> Finding {
    if nic.rps.is_empty() {
        return RPS.unseen();
    }
    if !uses_rps(nic) {
        return RPS.ok(named(nic, "off"));
    }
    let all: Cpus = nic.rps.iter().flat_map(Cpus::iter).collect();
    let value = named(nic, format_args!("to cores {all}"));
    if nic.rps.len() >= plan.cores.len() && plan.cores.len() > 1 {
        let what_to_do = format!("Each shard can have a queue: {}", script(nic, plan));
        return RPS.advice(value, what_to_do);
    }
    if !plan.cores.is_within(&all) {
        return RPS.advice(value, script(nic, plan));
    }
    RPS.ok(value)
}

fn xps(nic: &Nic, plan: &Plan) -> Finding {
    match nic.xps.len() {
        0 => return XPS.unseen(),
        1 => return XPS.ok(named(nic, "one queue for all")),
        _ => {}
    }
    let chosen = |cpu| nic.xps.iter().filter(|cpus| cpus.contains(cpu)).count();
    if plan.cores.iter().all(|cpu| chosen(cpu) >= 1) {
        return XPS.ok(named(nic, "each shard has its queue"));
    }
    if nic.xps.iter().all(Cpus::is_empty) {
        let value = named(nic, format_args!("off, {} queues by hash", nic.xps.len()));
        return XPS.advice(value, script(nic, plan));
    }
    XPS.advice(named(nic, "some shards have no queue"), script(nic, plan))
}

fn node(machine: &Machine, nic: &Nic, plan: &Plan) -> Finding {
    let nodes = &machine.cores.nodes;
    let Some((node, cpus)) = nic.node.and_then(|node| Some((node, nodes.get(&node)?))) else {
        return CARD_NODE.unseen();
    };
    let value = named(nic, format_args!("node {node}, cores {cpus}"));
    if nodes.len() == 1 || plan.cores.is_within(cpus) {
        return CARD_NODE.ok(value);
    }
    CARD_NODE.advice(value, format!("`--cpus {cpus}`, or fewer of them"))
}

fn missed(nic: &Nic) -> Finding {
    match nic.missed_packets {
        None => MISSED.unseen(),
        Some(0) => MISSED.ok(named(nic, "none")),
        Some(packets) => MISSED.advice(
            named(nic, format_args!("{packets} since it came up")),
            format!("`ethtool -G {} rx N` with the maximum that `ethtool -g` shows", nic.name),
        ),
    }
}
