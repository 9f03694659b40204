//! Control groups and seccomp.

use crate::checks::{CGROUP, CPU_QUOTA, CPUSET, MEMORY_LIMIT, PIDS, SECCOMP};
use crate::container::Container;
use crate::facts::Bytes;
use crate::finding::Finding;
use crate::limits::{MEMORY_BYTES_MIN, THREADS_PROGRAM};
use crate::machine::Plan;

pub(super) fn findings(container: &Container, plan: &Plan) -> Vec<Finding> {
    vec![
        cgroup(container),
        cpu_quota(container, plan),
        cpuset(container, plan),
        memory(container),
        threads(container, plan),
        SECCOMP.ok(match container.seccomp {
            true => "a filter is on this process (whether it allows io_uring: see there)",
            false => "no filter",
        }),
    ]
}

fn cgroup(container: &Container) -> Finding {
    if container.cgroup_versions.is_empty() {
        return CGROUP.unseen();
    }
    let versions: Vec<_> = container.cgroup_versions.iter().map(|v| format!("v{v}")).collect();
    let kind = container.kind.as_ref().map_or_else(String::new, |kind| format!(", in {kind}"));
    CGROUP.ok(format!("{}{kind}", versions.join(" and ")))
}

fn cpu_quota(container: &Container, plan: &Plan) -> Finding {
    let Some(quota) = container.cpu else {
        return none(container, CPU_QUOTA.ok("none"), CPU_QUOTA.unseen());
    };
    let throttled = quota.throttled.filter(|&count| count > 0);
    let times = throttled.map_or_else(String::new, |n| format!(", used up {n} times"));
    let period = quota.period_us / 1_000;
    let value = format!("{:.2} cores in {period} ms{times}", quota.cores());
    if quota.cores() >= plan.shards as f64 && throttled.is_none() {
        return CPU_QUOTA.ok(value);
    }
    let what_to_do = format!(
        "Give whole cores by a cpuset instead (--cpuset-cpus, AllowedCPUs=), or raise the quota to \
         {} cores or more (--cpus, CPUQuota=, cpu.max)",
        plan.shards
    );
    CPU_QUOTA.advice(value, what_to_do)
}

fn cpuset(container: &Container, plan: &Plan) -> Finding {
    let Some(cpuset) = &container.cpuset else {
        return none(container, CPUSET.ok("all cores"), CPUSET.unseen());
    };
    if plan.cores.is_within(cpuset) {
        return CPUSET.ok(cpuset.to_string());
    }
    let what_to_do = format!("Pass --cpus out of {cpuset}, or widen the set (--cpuset-cpus)");
    CPUSET.problem(format!("{cpuset}, the shards want {}", plan.cores), what_to_do)
}

fn memory(container: &Container) -> Finding {
    let Some(bytes) = container.memory_bytes_max else {
        return none(container, MEMORY_LIMIT.ok("none"), MEMORY_LIMIT.unseen());
    };
    let value = format!("{} MiB", bytes >> 20);
    if bytes >= MEMORY_BYTES_MIN {
        return MEMORY_LIMIT.ok(value);
    }
    let what_to_do = format!(
        "Raise it to {} or more (--memory, MemoryMax=, memory.max), or lower what may be queued \
         (outbox.bytes_max)",
        Bytes(Some(MEMORY_BYTES_MIN))
    );
    MEMORY_LIMIT.advice(value, what_to_do)
}

fn threads(container: &Container, plan: &Plan) -> Finding {
    let Some(most) = container.threads_max else {
        return none(container, PIDS.ok("none"), PIDS.unseen());
    };
    let needed = THREADS_PROGRAM.saturating_add(plan.shards as u64);
    if most >= needed {
        return PIDS.ok(most.to_string());
    }
    let what_to_do = format!("Raise it to {needed} or more (--pids-limit, TasksMax=, pids.max)");
    PIDS.problem(most.to_string(), what_to_do)
}

/// Without a limit: there is none where groups can be seen, and nobody knows where not.
fn none(container: &Container, visible: Finding, unseen: Finding) -> Finding {
    if container.cgroup_versions.is_empty() { unseen } else { visible }
}
