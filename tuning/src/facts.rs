//! What a start needs to know of the machine, read once and not judged.

use crate::limits::KERNEL_RINGS_NOT_LOCKED;
use crate::ring::{self, IoUring};
use crate::root::Root;
use crate::user::User;
use crate::{cores, nofile};
use rustix::process::{Resource, Rlimit, getrlimit};
use serde::Serialize;
use std::fmt;

/// What the machine and the surroundings of this process are like.
///
/// All fields are public, so that a test can describe a machine it does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The running kernel.
    pub kernel: Kernel,
    /// What came of creating a ring.
    pub io_uring: IoUring,
    /// Who runs this process.
    pub user: User,
    /// `RLIMIT_MEMLOCK`, in bytes.
    pub memlock: Limit,
    /// Whether this process has `CAP_IPC_LOCK`: the kernel then charges nothing to the memlock
    /// limit.
    pub memlock_exempt: bool,
    /// `RLIMIT_NOFILE`, in open files.
    pub nofile: Limit,
    /// `RLIMIT_NPROC`: threads of this user.
    pub threads: Limit,
    /// Numbers of the cores this process may run on, ascending.
    pub affinity: Vec<usize>,
}

impl Facts {
    /// Looks at the machine: reads `/proc` and `/sys`, asks for limits, creates and drops one ring.
    /// Takes well under a millisecond. What cannot be read is absent, never an error.
    #[must_use]
    pub fn read() -> Self {
        let kernel = Kernel::read();
        let root = Root::machine();
        let status = root.text("/proc/self/status").unwrap_or_default();
        let user = User::parse(&status);
        Self {
            io_uring: ring::probe(&root, &kernel, &status),
            kernel,
            memlock: getrlimit(Resource::Memlock).into(),
            memlock_exempt: user.locks_freely(),
            user,
            nofile: nofile::limit(),
            threads: getrlimit(Resource::Nproc).into(),
            affinity: cores::affinity(),
        }
    }
}

/// A kernel release and the two numbers that matter in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: String,
    /// Major and minor version; `None` where the release does not begin with them.
    pub version: Option<(u32, u32)>,
}

impl Kernel {
    /// Takes a release such as `6.18.44-generic` apart.
    #[must_use]
    pub fn parse(release: &str) -> Self {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().ok());
        let version = match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => Some((major, minor)),
            _ => None,
        };
        Self { release: release.to_owned(), version }
    }

    /// Whether this kernel is `(major, minor)` or younger. An unreadable version counts as young:
    /// the ring that was really created is the better witness.
    #[must_use]
    pub fn at_least(&self, version: (u32, u32)) -> bool {
        self.version.is_none_or(|own| own >= version)
    }

    /// Whether this kernel charges the memory of rings to the memlock limit.
    #[must_use]
    pub fn locks_rings(&self) -> bool {
        let (first, end) = KERNEL_RINGS_NOT_LOCKED;
        !self.at_least(first) || self.at_least(end)
    }

    fn read() -> Self {
        Self::parse(&rustix::system::uname().release().to_string_lossy())
    }
}

/// A resource limit: what holds now and how far this process may raise it. `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What holds now.
    pub soft: Option<u64>,
    /// What the soft limit may be raised to.
    pub hard: Option<u64>,
}

impl Limit {
    /// Whether the soft limit is `needed` or more.
    #[must_use]
    pub fn soft_allows(&self, needed: u64) -> bool {
        self.soft.is_none_or(|soft| soft >= needed)
    }

    /// Whether the hard limit is `needed` or more.
    #[must_use]
    pub fn hard_allows(&self, needed: u64) -> bool {
        self.hard.is_none_or(|hard| hard >= needed)
    }
}

impl From<Rlimit> for Limit {
    fn from(limit: Rlimit) -> Self {
        Self { soft: limit.current, hard: limit.maximum }
    }
}

/// Bytes for people, exact where they are whole: `512 KiB`, `8 MiB`, `1000 bytes`, `unlimited`.
pub(crate) struct Bytes(pub(crate) Option<u64>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let Some(bytes) = self.0 else { return f.write_str("unlimited") };
        let unit = UNITS.iter().find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size));
        match unit {
            Some((size, name)) => write!(f, "{} {name}", bytes / size),
            None => write!(f, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_taken_apart() {
        for (release, version) in [
            ("6.18.44-fc", Some((6, 18))),
            ("5.8.0", Some((5, 8))),
            ("6.1-rc3", Some((6, 1))),
            ("6", None),
            ("custom", None),
            ("", None),
        ] {
            assert_eq!(Kernel::parse(release).version, version, "{release:?}");
        }
        assert!(Kernel::parse("5.10.1").at_least((5, 8)));
        assert!(!Kernel::parse("4.19.1").at_least((5, 8)));
        assert!(Kernel::parse("custom").at_least((5, 8)));
    }

    #[test]
    fn kernels_that_lock_rings_are_known() {
        for (release, locks) in
            [("5.10.0", true), ("5.12.0", false), ("6.13.9", false), ("6.14.0", true)]
        {
            assert_eq!(Kernel::parse(release).locks_rings(), locks, "{release}");
        }
    }

    #[test]
    fn bytes_read_well() {
        for (bytes, text) in [
            (None, "unlimited"),
            (Some(0), "0 bytes"),
            (Some(1000), "1000 bytes"),
            (Some(512 * 1024), "512 KiB"),
            (Some(8 << 20), "8 MiB"),
            (Some(4 << 30), "4 GiB"),
            (Some((1 << 20) + 1024), "1025 KiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn a_real_read_agrees_with_the_kernel() {
        let facts = Facts::read();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
        assert_eq!(facts.kernel.release, release.trim());
        assert!(facts.kernel.version.is_some());
        assert!(!facts.affinity.is_empty());
        assert!(facts.nofile.soft.is_none_or(|soft| facts.nofile.hard_allows(soft)));
        assert!(facts.memlock.soft.is_none_or(|soft| facts.memlock.hard_allows(soft)));
    }
}
