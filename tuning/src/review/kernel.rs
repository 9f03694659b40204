//! Kernel, `io_uring`, clock.

use crate::checks::{CLOCK, IO_URING, KERNEL, RING_OPTIONS};
use crate::facts::Facts;
use crate::finding::Finding;
use crate::limits::KERNEL_MIN;
use crate::machine::Machine;
use crate::ring::REQUIRED_OPERATIONS;
use crate::start;

pub(super) fn findings(facts: &Facts, machine: &Machine) -> Vec<Finding> {
    let works = || IO_URING.ok(format!("works, all {} operations", REQUIRED_OPERATIONS.len()));
    vec![
        kernel(facts),
        start::io_uring(facts).unwrap_or_else(works),
        ring_options(machine),
        clock(machine),
    ]
}

fn kernel(facts: &Facts) -> Finding {
    let release = facts.kernel.release.as_str();
    let (major, minor) = KERNEL_MIN;
    if !facts.kernel.at_least(KERNEL_MIN) {
        return KERNEL.problem(release, format!("Upgrade to Linux {major}.{minor} or later"));
    }
    if facts.kernel.version.is_none() {
        let what_to_do = format!("Make sure that it is Linux {major}.{minor} or later");
        return KERNEL.advice(release, what_to_do);
    }
    KERNEL.ok(release)
}

fn ring_options(machine: &Machine) -> Finding {
    let options = &machine.ring_options;
    if options.is_empty() {
        return RING_OPTIONS.unseen();
    }
    let present = options.iter().filter(|option| option.present).map(|option| option.name);
    let present = present.collect::<Vec<_>>().join(" ");
    let missing = options.iter().filter(|option| option.used && !option.present);
    let missing: Vec<_> = missing.map(|option| option.name).collect();
    if missing.is_empty() {
        return RING_OPTIONS.ok(present);
    }
    let value = format!("lacks {}", missing.join(" "));
    RING_OPTIONS.advice(value, "Use Linux 6.1 or later: the engine works without, a little slower")
}

fn clock(machine: &Machine) -> Finding {
    const FAST: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];
    let Some(source) = machine.cores.clock_source.as_deref() else { return CLOCK.unseen() };
    if FAST.contains(&source) {
        return CLOCK.ok(source);
    }
    let folder = "/sys/devices/system/clocksource/clocksource0";
    let better =
        FAST.into_iter().find(|fast| machine.cores.clock_sources.iter().any(|s| s == fast));
    CLOCK.advice(
        source,
        match better {
            Some(better) => format!("`echo {better} > {folder}/current_clocksource`"),
            None => "Look in `dmesg` for why the kernel rejected tsc; in a virtual machine its \
                     host decides"
                .to_owned(),
        },
    )
}
