//! The kernel's settings that matter to a server of many sockets: the one place where they are
//! judged. `tuning/sysctl.conf` says the same values, and a test compares the two.

use crate::limits::{
    FILE_MAX_MIN, NETDEV_BACKLOG_MIN, NR_OPEN_MIN, SOMAXCONN_ADVISED, TCP_BUFFER_BYTES_MAX_ADVISED,
    TCP_MEMORY_BYTES_MIN, TCP_PORTS_MIN, THREADS_MIN, WMEM_MAX_BYTES_MIN,
};
use crate::root::Root;
use serde::Serialize;
use std::collections::BTreeMap;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Sysctl {
    /// Its name, such as `net.core.somaxconn`.
    pub key: &'static str,
    /// What to set; `None` where no value is right for every machine.
    pub advised: Option<&'static str>,
    /// Whether a kernel may lack it: built without it, or hidden in a network namespace.
    pub optional: bool,
    /// Why it matters, and how that is known.
    pub why: &'static str,
    fits: fn(&[u64], &Sysctls) -> bool,
}

impl Sysctl {
    /// Whether a value is one that `doctor` leaves alone on a machine with the settings `all`.
    /// What is not numbers does not fit.
    #[must_use]
    pub fn fits(&self, value: &str, all: &Sysctls) -> bool {
        let numbers = value.split_whitespace().map(|number| number.parse().ok());
        numbers.collect::<Option<Vec<u64>>>().is_some_and(|numbers| (self.fits)(&numbers, all))
    }

    /// The last part of its name: what `doctor` calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }

    /// Where it is below `/proc/sys`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/sys/{}", self.key.replace('.', "/"))
    }
}

/// Values as the kernel writes them, with single spaces; what cannot be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sysctls(pub BTreeMap<String, String>);

impl Sysctls {
    pub(crate) fn read(root: &Root) -> Self {
        let each = SYSCTLS.iter().filter_map(|sysctl| {
            let words = root.text(&sysctl.path())?;
            let words: Vec<_> = words.split_whitespace().collect();
            Some((sysctl.key.to_owned(), words.join(" ")))
        });
        Self(each.collect())
    }

    /// A value, where it can be read.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// All settings that are looked at, in the order of the report.
pub const SYSCTLS: &[Sysctl] = &[
    Sysctl {
        key: "net.core.somaxconn",
        advised: Some("4096"),
        optional: false,
        why: "The accept queue: connections beyond it wait for a SYN sent again, 1 s later",
        fits: |value, _| at_least(value, 0, SOMAXCONN_ADVISED),
    },
    Sysctl {
        key: "net.ipv4.tcp_syncookies",
        advised: Some("1"),
        optional: true,
        why: "Without it a full SYN queue drops who connects (kernel: ip-sysctl)",
        fits: |value, _| at_least(value, 0, 1),
    },
    Sysctl {
        key: "net.ipv4.tcp_max_syn_backlog",
        advised: Some("4096"),
        optional: false,
        why: "Handshakes half done; the kernel drops by it where tcp_syncookies is 0",
        fits: |value, all| {
            let cookies = all.value("net.ipv4.tcp_syncookies");
            cookies.is_some_and(|value| value != "0") || at_least(value, 0, SOMAXCONN_ADVISED)
        },
    },
    Sysctl {
        key: "net.core.netdev_max_backlog",
        advised: Some("16384"),
        optional: true,
        why: "Packets that wait for a core, on loopback and with RPS; more are dropped",
        fits: |value, _| at_least(value, 0, NETDEV_BACKLOG_MIN),
    },
    Sysctl {
        key: "net.core.wmem_max",
        advised: Some("4194304"),
        optional: true,
        why: "The largest SO_SNDBUF: the engine asks for 128 KiB for each socket",
        fits: |value, _| at_least(value, 0, WMEM_MAX_BYTES_MIN),
    },
    Sysctl {
        key: "net.ipv4.tcp_rmem",
        advised: Some("4096 131072 6291456"),
        optional: false,
        why: "Receive buffers, in bytes: a long path cannot be filled with less than 1 MiB",
        fits: |value, _| at_least(value, 2, TCP_BUFFER_BYTES_MAX_ADVISED),
    },
    Sysctl {
        key: "net.ipv4.tcp_wmem",
        advised: Some("4096 16384 4194304"),
        optional: false,
        why: "Send buffers, in bytes, where socket.send_buffer_bytes = 0 leaves them to the kernel",
        fits: |value, _| at_least(value, 2, TCP_BUFFER_BYTES_MAX_ADVISED),
    },
    Sysctl {
        key: "net.ipv4.tcp_mem",
        advised: None,
        optional: true,
        why: "Memory of all TCP sockets, in pages: beyond the second number the kernel saves \
              (by default a share of the machine's memory)",
        fits: |value, _| {
            let pages = TCP_MEMORY_BYTES_MIN / rustix::param::page_size() as u64;
            at_least(value, 1, pages)
        },
    },
    Sysctl {
        key: "net.ipv4.tcp_notsent_lowat",
        advised: None,
        optional: true,
        why: "The engine sets 16 KiB on each socket itself, so that a backlog waits where its \
              policy sees it",
        fits: |value, _| at_least(value, 0, 0),
    },
    Sysctl {
        key: "net.ipv4.tcp_slow_start_after_idle",
        advised: Some("0"),
        optional: false,
        why: "A topic that was quiet begins its next burst with a window of ten packets",
        fits: |value, _| value == [0],
    },
    Sysctl {
        key: "net.ipv4.ip_local_port_range",
        advised: Some("10240 65535"),
        optional: false,
        why: "A proxy or a load client has so many connections to one port from one address",
        fits: |value, _| match value {
            [first, last] => last.saturating_sub(*first) + 1 >= TCP_PORTS_MIN,
            _ => false,
        },
    },
    Sysctl {
        key: "net.core.busy_poll",
        advised: Some("0"),
        optional: true,
        why: "Spinning in poll is for a handful of sockets (kernel: admin-guide/sysctl/net)",
        fits: |value, _| value == [0],
    },
    Sysctl {
        key: "net.core.busy_read",
        advised: Some("0"),
        optional: true,
        why: "Spinning in reads is for a handful of sockets (kernel: admin-guide/sysctl/net)",
        fits: |value, _| value == [0],
    },
    Sysctl {
        key: "fs.file-max",
        advised: Some("1048576"),
        optional: false,
        why: "Open files of the whole machine: each connection is one",
        fits: |value, _| at_least(value, 0, FILE_MAX_MIN),
    },
    Sysctl {
        key: "fs.nr_open",
        advised: Some("1048576"),
        optional: false,
        why: "The ceiling of every limit of open files",
        fits: |value, _| at_least(value, 0, NR_OPEN_MIN),
    },
    Sysctl {
        key: "kernel.threads-max",
        advised: None,
        optional: true,
        why: "Threads of the whole machine; a shard is one, and the kernel makes workers for it",
        fits: |value, _| at_least(value, 0, THREADS_MIN),
    },
    Sysctl {
        key: "kernel.numa_balancing",
        advised: Some("0"),
        optional: true,
        why: "A shard does not move, so moving its memory after it only costs page faults",
        fits: |value, _| value == [0],
    },
    Sysctl {
        key: "vm.overcommit_memory",
        advised: Some("0"),
        optional: false,
        why: "With 2 the kernel refuses memory that is reserved and not used (proc(5))",
        fits: |value, _| matches!(value, [0 | 1]),
    },
    Sysctl {
        key: "vm.swappiness",
        advised: Some("10"),
        optional: false,
        why: "A queue that was swapped out stops its shard, and all connections on it, for a disk",
        fits: |value, _| value.first().is_some_and(|&value| value <= 10),
    },
];

fn at_least(value: &[u64], index: usize, least: u64) -> bool {
    value.get(index).is_some_and(|&value| value >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_advised_value_fits_and_a_bad_one_does_not() {
        for sysctl in SYSCTLS {
            let all = Sysctls::default();
            if let Some(advised) = sysctl.advised {
                assert!(sysctl.fits(advised, &all), "{} = {advised}", sysctl.key);
            }
            assert!(!sysctl.fits("many", &all) && !sysctl.fits("", &all), "{}", sysctl.key);
            assert!(sysctl.why.len() < 160, "{}", sysctl.key);
        }
    }

    #[test]
    fn the_syn_backlog_counts_only_without_cookies() {
        let backlog = SYSCTLS.iter().find(|s| s.name() == "tcp_max_syn_backlog").expect("listed");
        let with = |cookies: &str| {
            Sysctls([("net.ipv4.tcp_syncookies".to_owned(), cookies.to_owned())].into())
        };
        assert!(backlog.fits("128", &with("1")));
        assert!(!backlog.fits("128", &with("0")));
        assert!(backlog.fits("4096", &with("0")));
    }

    #[test]
    fn ports_are_counted() {
        let range = SYSCTLS.iter().find(|s| s.name() == "ip_local_port_range").expect("listed");
        let fits = |value| range.fits(value, &Sysctls::default());
        assert!(fits("32768 60999"));
        assert!(!fits("32768 60998"));
        assert!(!fits("60999 32768"));
        assert!(!fits("32768"));
    }
}
