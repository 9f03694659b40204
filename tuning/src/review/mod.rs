//! Judges every fact, for `corecast doctor`.

mod cards;
mod container;
mod cores;
mod kernel;
mod limits;
mod memory;
mod network;
#[cfg(test)]
pub(crate) mod tests;

use crate::facts::Facts;
use crate::finding::Finding;
use crate::machine::{Machine, Plan};

/// Everything that was looked at, with what to do about it, for the shards of `plan`: group by
/// group, in the order of [`Group::ALL`](crate::Group::ALL).
#[must_use]
pub fn findings(facts: &Facts, machine: &Machine, plan: &Plan) -> Vec<Finding> {
    let mut all = kernel::findings(facts, machine);
    all.extend(limits::findings(facts, machine, plan));
    all.extend(container::findings(&machine.container, plan));
    all.extend(cores::findings(facts, machine, plan));
    all.extend(network::findings(machine));
    all.extend(cards::findings(machine, plan));
    all.extend(memory::findings(machine));
    all
}

/// What to do about setting `key` of the kernel, and where it stays.
fn set(key: &str, value: &str) -> String {
    let quoted = if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() };
    format!("`sysctl -w {key}={quoted}`; to stay: /etc/sysctl.d/ (tuning/sysctl.conf)")
}

/// The finding of a setting, in `group`.
fn sysctl(machine: &Machine, group: crate::Group, key: &str) -> Finding {
    let sysctl = crate::SYSCTLS.iter().find(|sysctl| sysctl.key == key);
    let sysctl = sysctl.expect("only settings of the table are asked for");
    let check = crate::finding::Check::new(group, sysctl.name(), sysctl.why);
    match machine.sysctls.value(key) {
        None => check.unseen(),
        Some(value) if sysctl.fits(value, &machine.sysctls) => check.ok(value),
        Some(value) => check.advice(
            value,
            sysctl.advised.map_or_else(
                || format!("`sysctl {key}` shows it; the default is larger: see who lowered it"),
                |advised| set(key, advised),
            ),
        ),
    }
}
