//! Which cores the shards have, and with whom they share them.

use crate::checks::{CORES, GOVERNOR, ISOLATED, NOHZ, NUMA, SMT};
use crate::cpu_set::Cpus;
use crate::facts::Facts;
use crate::finding::{Finding, Group};
use crate::machine::{Machine, Plan};
use crate::review::sysctl;

pub(super) fn findings(facts: &Facts, machine: &Machine, plan: &Plan) -> Vec<Finding> {
    let mut all = vec![
        cores(facts, machine, plan),
        smt(machine, plan),
        numa(machine, plan),
        isolated(machine, plan),
        nohz(machine, plan),
        governor(machine, plan),
    ];
    if machine.cores.nodes.len() > 1 {
        all.push(sysctl(machine, Group::Cores, "kernel.numa_balancing"));
    }
    all
}

fn cores(facts: &Facts, machine: &Machine, plan: &Plan) -> Finding {
    let usable: Cpus = facts.affinity.iter().copied().collect();
    if usable.is_empty() {
        let what_to_do = "The kernel does not say which cores this process may use; pass --cpus";
        return CORES.advice("unknown", what_to_do);
    }
    if !plan.cores.is_within(&usable) {
        let value = format!("{} wanted, {usable} usable", plan.cores);
        return CORES.problem(value, format!("Pass --cpus out of {usable}, or widen the mask"));
    }
    let shards = if plan.shards == 1 { "shard" } else { "shards" };
    let value = format!("{} {shards} on {} of {usable} usable", plan.shards, plan.cores);
    if plan.shards > plan.cores.len() {
        let what_to_do = format!("Pass --shards {} at most: some share a core", plan.cores.len());
        return CORES.advice(value, what_to_do);
    }
    match &machine.cores.online {
        Some(online) if !online.is_within(&usable) => CORES.advice(
            format!("{value}, {} online", online.len()),
            "A mask or a cpuset keeps the others away; widen it (taskset, AllowedCPUs=) if they \
             are meant for this server",
        ),
        _ if usable.len() == 1 => CORES.advice(
            value,
            "Publishers and the system share this core; with more of them latency is steadier",
        ),
        _ => CORES.ok(value),
    }
}

fn smt(machine: &Machine, plan: &Plan) -> Finding {
    if machine.cores.online.is_none() {
        return SMT.unseen();
    }
    let siblings = &machine.cores.siblings;
    let shared = siblings.iter().map(|core| core.shared_with(&plan.cores));
    let shared: Vec<_> = shared.filter(|together| together.len() > 1).collect();
    if shared.is_empty() {
        return SMT.ok(if siblings.is_empty() { "none" } else { "each shard has its own core" });
    }
    let second = |cpu| shared.iter().any(|core| core.iter().skip(1).any(|other| other == cpu));
    let firsts: Cpus = plan.cores.iter().filter(|&cpu| !second(cpu)).collect();
    let value = format!("{} cores carry two shards, such as {}", shared.len(), shared[0]);
    let what_to_do = format!(
        "Measure both: `--cpus {firsts}` has one shard on each core, and leaves the other threads \
         to the rest of the system"
    );
    SMT.advice(value, what_to_do)
}

fn numa(machine: &Machine, plan: &Plan) -> Finding {
    let nodes = &machine.cores.nodes;
    if nodes.is_empty() {
        return NUMA.unseen();
    }
    let of_shards = nodes.iter().filter(|(_, cpus)| !cpus.shared_with(&plan.cores).is_empty());
    let of_shards: Vec<_> = of_shards.collect();
    let [_, second, ..] = of_shards.as_slice() else {
        let plural = if nodes.len() == 1 { "" } else { "s" };
        return NUMA.ok(format!("{} node{plural}, the shards on one", nodes.len()));
    };
    let (node, cpus) = of_shards
        .iter()
        .max_by_key(|(_, cpus)| cpus.shared_with(&plan.cores).len())
        .unwrap_or(second);
    let value = format!("the shards are on {} nodes of {}", of_shards.len(), nodes.len());
    let what_to_do = format!(
        "If the cores of one suffice: `--cpus {}` under `numactl --cpunodebind={node} \
         --membind={node}`",
        cpus.shared_with(&plan.cores)
    );
    NUMA.advice(value, what_to_do)
}

fn isolated(machine: &Machine, plan: &Plan) -> Finding {
    let Some(isolated) = &machine.cores.isolated else { return ISOLATED.unseen() };
    if isolated.is_empty() {
        return ISOLATED.ok("none: the shards' cores are everybody's");
    }
    if plan.cores.is_within(isolated) {
        return ISOLATED.ok(format!("{isolated}, with all shards"));
    }
    let value = format!("{isolated}, the shards are on {}", plan.cores);
    ISOLATED.advice(value, format!("`--cpus {isolated}`, under `taskset -c {isolated}`"))
}

fn nohz(machine: &Machine, plan: &Plan) -> Finding {
    match &machine.cores.nohz_full {
        None => NOHZ.unseen(),
        Some(cpus) if cpus.is_empty() => NOHZ.ok("none"),
        Some(cpus) if plan.cores.is_within(cpus) => NOHZ.ok(format!("{cpus}, with all shards")),
        Some(cpus) => NOHZ.advice(
            format!("{cpus}, the shards are on {}", plan.cores),
            format!("`--cpus {cpus}`, or nohz_full={} at the kernel's start", plan.cores),
        ),
    }
}

fn governor(machine: &Machine, plan: &Plan) -> Finding {
    let of_shards = machine.cores.governors.iter();
    let of_shards = of_shards.filter(|(_, cpus)| !cpus.shared_with(&plan.cores).is_empty());
    let names: Vec<_> = of_shards.map(|(name, _)| name.as_str()).collect();
    match names.as_slice() {
        // Most virtual machines have none: the host governs.
        [] => GOVERNOR.unseen(),
        ["performance"] => GOVERNOR.ok("performance"),
        _ => GOVERNOR.advice(
            names.join(", "),
            format!("`cpupower -c {} frequency-set -g performance`", plan.cores),
        ),
    }
}
