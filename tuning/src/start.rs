//! What makes a start impossible, asked before glommio is touched: it panics or ends the process
//! where something is missing.

use crate::checks::{IO_URING, KERNEL, MEMLOCK, NOFILE};
use crate::facts::{Bytes, Facts};
use crate::finding::Finding;
use crate::limits::{
    KERNEL_MIN, MEMLOCK_BUFFER_BYTES_PER_SHARD, MEMLOCK_BYTES_MIN, MEMLOCK_RING_BYTES_PER_SHARD,
    NOFILE_PER_SHARD, NOFILE_PROGRAM,
};
use crate::ring::IoUring;

/// The exit code of a program that cannot start on this machine: `EX_CONFIG` of sysexits.
pub const EXIT_CODE: u8 = 78;

/// What keeps `shards` shards from starting on the machine that `facts` describe; empty when
/// nothing does. Every entry is a [`Level::Problem`](crate::Level::Problem).
#[must_use]
pub fn start_problems(facts: &Facts, shards: usize) -> Vec<Finding> {
    [kernel(facts), io_uring(facts), memlock(facts, shards), nofile(facts, shards)]
        .into_iter()
        .flatten()
        .collect()
}

fn kernel(facts: &Facts) -> Option<Finding> {
    if facts.kernel.at_least(KERNEL_MIN) {
        return None;
    }
    let (major, minor) = KERNEL_MIN;
    let what_to_do = format!("Upgrade to Linux {major}.{minor} or later");
    Some(KERNEL.problem(facts.kernel.release.as_str(), what_to_do))
}

/// The finding of a ring that cannot be had or lacks operations.
pub(crate) fn io_uring(facts: &Facts) -> Option<Finding> {
    let problem = |value: &str, what: &str| Some(IO_URING.problem(value, what));
    match &facts.io_uring {
        IoUring::Works { missing } if missing.is_empty() => None,
        IoUring::Works { missing } => problem(
            &format!("lacks {}", missing.join(", ")),
            "Upgrade the kernel: glommio needs these operations",
        ),
        IoUring::NotInKernel => problem(
            "not in this kernel",
            "Use Linux 5.11 or later, built with CONFIG_IO_URING (some sandboxes, gVisor among \
             them, have none at all)",
        ),
        IoUring::DisabledBySysctl { value } => problem(
            &format!("disabled by kernel.io_uring_disabled = {value}"),
            if *value == 1 {
                "Run `sysctl kernel.io_uring_disabled=0` as root, or run this program in the group \
                 that kernel.io_uring_group names"
            } else {
                "Run `sysctl kernel.io_uring_disabled=0` as root"
            },
        ),
        IoUring::BlockedBySeccomp => problem(
            "blocked by a seccomp filter",
            "Allow io_uring_setup, io_uring_enter and io_uring_register in the container's or \
             service's filter (Docker, Podman: --security-opt seccomp=tuning/seccomp.json)",
        ),
        IoUring::Forbidden => problem(
            "forbidden, by neither sysctl nor seccomp",
            "Look at the security module's log (SELinux: ausearch -m avc, AppArmor: dmesg)",
        ),
        IoUring::MemlockExhausted => problem(
            "no room under the memlock limit",
            "Raise it: `ulimit -l unlimited`, LimitMEMLOCK=infinity in the systemd unit, or \
             --ulimit memlock=-1 with Docker",
        ),
        IoUring::OutOfMemory => problem(
            "no memory for a ring",
            "Free memory, or raise the memory limit of the container or service",
        ),
        IoUring::OutOfFiles => problem(
            "no file descriptor left for a ring",
            "Raise the limit of open files: `ulimit -n 65536` or LimitNOFILE=65536",
        ),
        IoUring::Failed { error } => problem(error, "Report this error with `uname -a`"),
    }
}

fn memlock(facts: &Facts, shards: usize) -> Option<Finding> {
    let needed = memlock_bytes_needed(facts, shards);
    if facts.memlock.soft_allows(needed) {
        return None;
    }
    let kib = needed / 1024;
    let what_to_do = if facts.memlock.hard_allows(needed) {
        format!("Run `ulimit -l {kib}` before starting (the hard limit allows it)")
    } else {
        format!(
            "Raise it to {kib} KiB or more: LimitMEMLOCK=infinity in the systemd unit, --ulimit \
             memlock=-1 with Docker, or a memlock line in /etc/security/limits.conf"
        )
    };
    let value = format!("soft limit {}", Bytes(facts.memlock.soft));
    Some(MEMLOCK.problem(value, what_to_do))
}

/// The soft memlock limit, in bytes, with which `shards` shards are sure to start here. Where rings
/// are charged, the fixed buffers of the first shards compete with the rings of the last: both
/// count.
pub(crate) fn memlock_bytes_needed(facts: &Facts, shards: usize) -> u64 {
    if facts.memlock_exempt || !facts.kernel.locks_rings() {
        return MEMLOCK_BYTES_MIN;
    }
    let shards = u64::try_from(shards).unwrap_or(u64::MAX);
    let per_shard = MEMLOCK_RING_BYTES_PER_SHARD + MEMLOCK_BUFFER_BYTES_PER_SHARD;
    per_shard.saturating_mul(shards).max(MEMLOCK_BYTES_MIN)
}

fn nofile(facts: &Facts, shards: usize) -> Option<Finding> {
    let shards = u64::try_from(shards).unwrap_or(u64::MAX);
    let needed = NOFILE_PER_SHARD.saturating_mul(shards).saturating_add(NOFILE_PROGRAM);
    if facts.nofile.soft_allows(needed) {
        return None;
    }
    let value = match facts.nofile.soft {
        Some(soft) => format!("{soft} open files"),
        None => "unlimited".to_owned(),
    };
    let what_to_do = format!("Run `ulimit -n 65536`: the shards alone need {needed}");
    Some(NOFILE.problem(value, what_to_do))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Kernel, Limit};
    use crate::finding::Level;
    use crate::review::tests::good_facts;

    fn one(facts: &Facts, shards: usize) -> Finding {
        let mut found = start_problems(facts, shards);
        assert_eq!(found.len(), 1, "{found:?}");
        let finding = found.remove(0);
        assert_eq!(finding.level, Level::Problem);
        assert!(!finding.what_to_do.is_empty());
        finding
    }

    #[test]
    fn a_good_machine_starts() {
        assert_eq!(start_problems(&good_facts(), 64), vec![]);
    }

    #[test]
    fn an_old_kernel_is_named() {
        let facts = Facts { kernel: Kernel::parse("5.4.0-old"), ..good_facts() };
        let finding = one(&facts, 1);
        assert_eq!((finding.subject, finding.value.as_str()), ("kernel", "5.4.0-old"));
        assert!(finding.what_to_do.contains("5.11"));
    }

    #[test]
    fn each_refused_ring_says_what_to_do() {
        let sysctl = |value| IoUring::DisabledBySysctl { value };
        for (ring, word) in [
            (IoUring::Works { missing: vec!["SEND"] }, "Upgrade"),
            (IoUring::NotInKernel, "CONFIG_IO_URING"),
            (sysctl(1), "kernel.io_uring_group"),
            (sysctl(2), "sysctl kernel.io_uring_disabled=0"),
            (IoUring::BlockedBySeccomp, "seccomp=tuning/seccomp.json"),
            (IoUring::Forbidden, "AppArmor"),
            (IoUring::MemlockExhausted, "ulimit -l"),
            (IoUring::OutOfMemory, "memory limit"),
            (IoUring::OutOfFiles, "ulimit -n"),
            (IoUring::Failed { error: "odd".into() }, "uname"),
        ] {
            let finding = one(&Facts { io_uring: ring, ..good_facts() }, 1);
            assert_eq!(finding.subject, "io_uring");
            assert!(finding.what_to_do.contains(word), "{finding}");
        }
    }

    #[test]
    fn memlock_is_per_shard_where_rings_are_charged_and_a_floor_elsewhere() {
        let limit = |bytes| Limit { soft: Some(bytes), hard: Some(bytes) };
        let on = |release, bytes| Facts {
            memlock: limit(bytes),
            kernel: Kernel::parse(release),
            ..good_facts()
        };
        assert_eq!(start_problems(&on("6.1.0", MEMLOCK_BYTES_MIN), 64), vec![]);
        let finding = one(&on("6.1.0", 64 * 1024), 1);
        assert_eq!(finding.value, "soft limit 64 KiB");
        assert!(finding.what_to_do.contains("512 KiB"), "{finding}");

        for release in ["5.11.0", "6.18.0"] {
            assert_eq!(start_problems(&on(release, 704 * 1024), 1), vec![]);
            let finding = one(&on(release, 704 * 1024), 2);
            assert!(finding.what_to_do.contains("1408 KiB"), "{finding}");
        }

        let exempt = |bytes| Facts { memlock_exempt: true, ..on("6.18.0", bytes) };
        assert_eq!(start_problems(&exempt(MEMLOCK_BYTES_MIN), 64), vec![]);
        assert_eq!(one(&exempt(MEMLOCK_BYTES_MIN - 1), 1).subject, "memlock");
    }

    #[test]
    fn memlock_below_a_generous_hard_limit_can_be_raised_by_oneself() {
        let memlock = Limit { soft: Some(65_536), hard: None };
        let finding = one(&Facts { memlock, ..good_facts() }, 1);
        assert!(finding.what_to_do.contains("ulimit -l 512"), "{finding}");
    }

    #[test]
    fn too_few_open_files_are_counted_per_shard() {
        let nofile = Limit { soft: Some(100), hard: Some(100) };
        let facts = Facts { nofile, ..good_facts() };
        assert_eq!(start_problems(&facts, 2), vec![]);
        assert!(one(&facts, 4).what_to_do.contains("160"));
    }
}
