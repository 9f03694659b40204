//! Huge pages, swap, overcommitment.

use crate::checks::{HUGE_PAGES, SWAP};
use crate::finding::{Finding, Group};
use crate::machine::Machine;
use crate::review::{set, sysctl};

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let overcommit = sysctl(machine, Group::Memory, "vm.overcommit_memory");
    vec![huge_pages(machine), swap(machine), overcommit]
}

fn huge_pages(machine: &Machine) -> Finding {
    match machine.memory.huge_pages.as_deref() {
        None => HUGE_PAGES.unseen(),
        Some("always") => HUGE_PAGES.ok("always (the program asks for none)"),
        Some(mode) => HUGE_PAGES.ok(mode),
    }
}

fn swap(machine: &Machine) -> Finding {
    let Some(bytes) = machine.memory.swap_bytes else { return SWAP.unseen() };
    if bytes == 0 {
        return SWAP.ok("none");
    }
    let key = "vm.swappiness";
    let swappiness = machine.sysctls.value(key);
    let value = format!("{} MiB, swappiness {}", bytes >> 20, swappiness.unwrap_or("unknown"));
    match swappiness.and_then(|value| value.parse::<u64>().ok()) {
        Some(..=10) | None => SWAP.ok(value),
        Some(_) => SWAP.advice(value, set(key, "10")),
    }
}
