//! Judges every fact, for `corecast doctor`.

use crate::facts::{Bytes, Facts, Limit};
use crate::finding::Finding;
use crate::limits::{
    KERNEL_MIN, MEMLOCK_BUFFER_BYTES_PER_SHARD, NOFILE_ADVISED, NOFILE_PER_SHARD, NOFILE_PROGRAM,
    SOMAXCONN_ADVISED, TCP_BUFFER_BYTES_MAX_ADVISED,
};
use crate::start::{io_uring, memlock_bytes_needed};

/// Everything that was looked at, in the order a reader wants it, with what to do. A server with
/// one shard per usable core is supposed.
#[must_use]
pub fn findings(facts: &Facts) -> Vec<Finding> {
    vec![
        kernel(facts),
        io_uring(facts).unwrap_or_else(|| Finding::ok("io_uring", "works")),
        memlock(facts),
        nofile(facts),
        somaxconn(facts),
        cores(facts),
        governor(facts),
        tcp_buffer("tcp_rmem", facts.tcp_rmem),
        tcp_buffer("tcp_wmem", facts.tcp_wmem),
    ]
}

fn kernel(facts: &Facts) -> Finding {
    let release = facts.kernel.release.as_str();
    let (major, minor) = KERNEL_MIN;
    if !facts.kernel.at_least(KERNEL_MIN) {
        let what_to_do = format!("Upgrade to Linux {major}.{minor} or later");
        return Finding::problem("kernel", release, what_to_do);
    }
    if facts.kernel.version.is_none() {
        let what_to_do = format!("Make sure that it is Linux {major}.{minor} or later");
        return Finding::advice("kernel", release, what_to_do);
    }
    Finding::ok("kernel", release)
}

fn memlock(facts: &Facts) -> Finding {
    let Limit { soft, hard } = facts.memlock;
    let value = format!("soft {}, hard {}", Bytes(soft), Bytes(hard));
    let needed = memlock_bytes_needed(facts, shards(facts));
    if !facts.memlock.soft_allows(needed) {
        let what_to_do = format!(
            "Raise it to {} or more (`ulimit -l`, LimitMEMLOCK=infinity, --ulimit memlock=-1)",
            Bytes(Some(needed))
        );
        return Finding::problem("memlock", value, what_to_do);
    }
    let buffers = MEMLOCK_BUFFER_BYTES_PER_SHARD.saturating_mul(shards(facts) as u64);
    if !facts.memlock_exempt && !facts.memlock.soft_allows(buffers) {
        let what_to_do = format!(
            "Raise it to {}: with one shard per core that much is registered as fixed buffers, \
             which are done without where they are refused",
            Bytes(Some(buffers))
        );
        return Finding::advice("memlock", value, what_to_do);
    }
    Finding::ok("memlock", value)
}

fn nofile(facts: &Facts) -> Finding {
    let files = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    let value = format!("soft {}, hard {}", files(facts.nofile.soft), files(facts.nofile.hard));
    let needed = NOFILE_PER_SHARD.saturating_mul(shards(facts) as u64) + NOFILE_PROGRAM;
    // The program raises the soft limit to the hard one by itself: only the hard one matters.
    if !facts.nofile.hard_allows(needed) {
        let what_to_do =
            format!("Raise the hard limit (LimitNOFILE=65536): the shards alone need {needed}");
        return Finding::problem("nofile", value, what_to_do);
    }
    if !facts.nofile.hard_allows(NOFILE_ADVISED) {
        let what_to_do = format!(
            "Each connection is one open file; raise the hard limit (LimitNOFILE={NOFILE_ADVISED}, \
             --ulimit nofile={NOFILE_ADVISED}, /etc/security/limits.conf) for more of them"
        );
        return Finding::advice("nofile", value, what_to_do);
    }
    Finding::ok("nofile", value)
}

fn somaxconn(facts: &Facts) -> Finding {
    let what_to_do = format!(
        "Run `sysctl net.core.somaxconn={SOMAXCONN_ADVISED}` so that a burst of connections \
         does not overflow the accept backlog"
    );
    match facts.somaxconn {
        Some(backlog) if backlog >= SOMAXCONN_ADVISED => {
            Finding::ok("somaxconn", backlog.to_string())
        }
        Some(0) => Finding::problem("somaxconn", "0", what_to_do),
        Some(backlog) => Finding::advice("somaxconn", backlog.to_string(), what_to_do),
        None => Finding::advice("somaxconn", "unknown", what_to_do),
    }
}

fn cores(facts: &Facts) -> Finding {
    let usable = facts.affinity.len();
    if usable == 0 {
        let what_to_do = "The kernel does not say which cores this process may use; pass --cpus";
        return Finding::advice("cores", "unknown", what_to_do);
    }
    match facts.cores_online {
        Some(online) if usable < online => Finding::advice(
            "cores",
            format!("{usable} usable of {online} online"),
            "The affinity mask or a cpuset keeps the others away; widen it (taskset, cpuset, \
             AllowedCPUs=) if they are meant for this server",
        ),
        _ if usable == 1 => Finding::advice(
            "cores",
            "1 usable",
            "With one core, publishers and shards share it; expect more latency under load",
        ),
        _ => Finding::ok("cores", format!("{usable} usable")),
    }
}

fn governor(facts: &Facts) -> Finding {
    let value = facts.governors.join(", ");
    match facts.governors.as_slice() {
        [] => Finding::ok("governor", "none (as in most virtual machines)"),
        [one] if one == "performance" => Finding::ok("governor", value),
        _ => Finding::advice(
            "governor",
            value,
            "Run `cpupower frequency-set -g performance` as root for a steadier latency",
        ),
    }
}

fn tcp_buffer(subject: &'static str, sizes: Option<[u64; 3]>) -> Finding {
    let Some([least, initial, largest]) = sizes else {
        return Finding::ok(subject, "unknown (not visible in this network namespace)");
    };
    let value = format!("{least} {initial} {largest} bytes");
    if largest >= TCP_BUFFER_BYTES_MAX_ADVISED {
        return Finding::ok(subject, value);
    }
    let what_to_do = format!(
        "Run `sysctl net.ipv4.{subject}=\"{least} {initial} {TCP_BUFFER_BYTES_MAX_ADVISED}\"`: \
         a long path cannot fill a smaller buffer"
    );
    Finding::advice(subject, value, what_to_do)
}

/// The shards a server would start by default: one per usable core.
fn shards(facts: &Facts) -> usize {
    facts.affinity.len().max(1)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::facts::Kernel;
    use crate::finding::Level::{self, Advice, Ok, Problem};
    use crate::ring::IoUring;

    /// A machine about which there is nothing to say.
    pub(crate) fn good_machine() -> Facts {
        Facts {
            kernel: Kernel::parse("6.12.0"),
            io_uring: IoUring::Works { missing: vec![] },
            memlock: Limit { soft: None, hard: None },
            memlock_exempt: false,
            nofile: Limit { soft: Some(1 << 20), hard: Some(1 << 20) },
            somaxconn: Some(4096),
            governors: vec!["performance".into()],
            cores_online: Some(4),
            affinity: vec![0, 1, 2, 3],
            tcp_rmem: Some([4096, 131_072, 6_291_456]),
            tcp_wmem: Some([4096, 16_384, 4_194_304]),
        }
    }

    #[track_caller]
    fn expect(facts: &Facts, subject: &str, level: Level) {
        let all = findings(facts);
        let finding = all.iter().find(|f| f.subject == subject).expect("subject");
        assert_eq!(finding.level, level, "{finding}");
        assert_eq!(finding.what_to_do.is_empty(), level == Ok, "{finding}");
        let others = all.iter().filter(|f| f.subject != subject && f.level != Ok);
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&Finding>::new());
    }

    #[test]
    fn a_good_machine_is_all_ok() {
        let all = findings(&good_machine());
        assert_eq!(all.len(), 9);
        assert!(all.iter().all(|f| f.level == Ok && f.what_to_do.is_empty()), "{all:?}");
    }

    #[test]
    fn kernel_levels() {
        let on = |release: &str| Facts { kernel: Kernel::parse(release), ..good_machine() };
        expect(&on("5.4.0"), "kernel", Problem);
        expect(&on("custom"), "kernel", Advice);
        expect(&on("5.8.0"), "kernel", Ok);
    }

    #[test]
    fn io_uring_levels() {
        expect(&good_machine(), "io_uring", Ok);
        let io_uring = IoUring::BlockedBySeccomp;
        expect(&Facts { io_uring, ..good_machine() }, "io_uring", Problem);
    }

    #[test]
    fn memlock_levels() {
        let with = |kib: u64| {
            let memlock = Limit { soft: Some(kib * 1024), hard: None };
            Facts { memlock, ..good_machine() }
        };
        expect(&with(64), "memlock", Problem);
        expect(&with(512), "memlock", Advice);
        expect(&with(768), "memlock", Ok);
        expect(&Facts { memlock_exempt: true, ..with(512) }, "memlock", Ok);
        expect(&Facts { kernel: Kernel::parse("6.14.0"), ..with(768) }, "memlock", Problem);
        expect(&Facts { kernel: Kernel::parse("6.14.0"), ..with(2816) }, "memlock", Ok);
    }

    #[test]
    fn nofile_levels() {
        let with = |hard| Facts {
            nofile: Limit { soft: Some(64.min(hard)), hard: Some(hard) },
            ..good_machine()
        };
        expect(&with(100), "nofile", Problem);
        expect(&with(20_000), "nofile", Advice);
        expect(&with(65_536), "nofile", Ok);
    }

    #[test]
    fn somaxconn_levels() {
        let with = |somaxconn| Facts { somaxconn, ..good_machine() };
        expect(&with(Some(0)), "somaxconn", Problem);
        expect(&with(Some(128)), "somaxconn", Advice);
        expect(&with(None), "somaxconn", Advice);
        expect(&with(Some(4096)), "somaxconn", Ok);
    }

    #[test]
    fn cores_levels() {
        let with = |affinity: &[usize], cores_online| Facts {
            affinity: affinity.to_vec(),
            cores_online,
            ..good_machine()
        };
        expect(&with(&[], Some(4)), "cores", Advice);
        expect(&with(&[0], Some(4)), "cores", Advice);
        expect(&with(&[0], Some(1)), "cores", Advice);
        expect(&with(&[0, 1], None), "cores", Ok);
    }

    #[test]
    fn governor_levels() {
        let with = |names: &[&str]| Facts {
            governors: names.iter().map(|name| (*name).to_owned()).collect(),
            ..good_machine()
        };
        expect(&with(&[]), "governor", Ok);
        expect(&with(&["performance"]), "governor", Ok);
        expect(&with(&["powersave"]), "governor", Advice);
        expect(&with(&["performance", "schedutil"]), "governor", Advice);
    }

    #[test]
    fn tcp_buffer_levels() {
        let small = Some([4096, 16_384, 65_536]);
        expect(&Facts { tcp_rmem: small, ..good_machine() }, "tcp_rmem", Advice);
        expect(&Facts { tcp_wmem: small, ..good_machine() }, "tcp_wmem", Advice);
        expect(&Facts { tcp_wmem: None, ..good_machine() }, "tcp_wmem", Ok);
    }
}
