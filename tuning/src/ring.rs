//! Is there an `io_uring` to be had, and if not, who refuses it? Asked by creating one.

use crate::facts::Kernel;
use crate::root::Root;
use io_uring::{Builder, Probe, opcode};
use rustix::io::Errno;
use serde::Serialize;
use std::io;

/// What came of creating a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum IoUring {
    /// A ring was created and probed; `missing` names the required operations it does not know
    /// (none: everything works).
    Works {
        /// Names out of [`REQUIRED_OPERATIONS`].
        missing: Vec<&'static str>,
    },
    /// The kernel has no such system call (before 5.1, or built without `CONFIG_IO_URING`).
    NotInKernel,
    /// `kernel.io_uring_disabled` forbids it: 1 to processes without `CAP_SYS_ADMIN` outside the
    /// permitted group, 2 to all.
    DisabledBySysctl {
        /// The value of `kernel.io_uring_disabled`.
        value: u32,
    },
    /// A seccomp filter (a container's, a service manager's) answers in the kernel's place.
    BlockedBySeccomp,
    /// Refused with EPERM or EACCES and neither sysctl nor seccomp is the reason: a security
    /// module.
    Forbidden,
    /// The memlock limit has no room for a ring (see
    /// [`KERNEL_RINGS_NOT_LOCKED`](crate::KERNEL_RINGS_NOT_LOCKED)).
    MemlockExhausted,
    /// No memory for a ring: the machine's or the memory cgroup's, not the memlock limit.
    OutOfMemory,
    /// No free file descriptor for a ring.
    OutOfFiles,
    /// Another error of the system call.
    Failed {
        /// The system's own words.
        error: String,
    },
}

/// The operations that the shards and glommio 0.9 use, with their numbers. glommio ends the whole
/// process when one of them is missing.
pub const REQUIRED_OPERATIONS: &[(&str, u8)] = &[
    ("NOP", opcode::Nop::CODE),
    ("READV", opcode::Readv::CODE),
    ("WRITEV", opcode::Writev::CODE),
    ("FSYNC", opcode::Fsync::CODE),
    ("READ_FIXED", opcode::ReadFixed::CODE),
    ("WRITE_FIXED", opcode::WriteFixed::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("POLL_REMOVE", opcode::PollRemove::CODE),
    ("SENDMSG", opcode::SendMsg::CODE),
    ("RECVMSG", opcode::RecvMsg::CODE),
    ("TIMEOUT", opcode::Timeout::CODE),
    ("TIMEOUT_REMOVE", opcode::TimeoutRemove::CODE),
    ("ACCEPT", opcode::Accept::CODE),
    ("LINK_TIMEOUT", opcode::LinkTimeout::CODE),
    ("CONNECT", opcode::Connect::CODE),
    ("FALLOCATE", opcode::Fallocate::CODE),
    ("OPENAT", opcode::OpenAt::CODE),
    ("CLOSE", opcode::Close::CODE),
    ("STATX", opcode::Statx::CODE),
    ("READ", opcode::Read::CODE),
    ("WRITE", opcode::Write::CODE),
    ("SEND", opcode::Send::CODE),
    ("RECV", opcode::Recv::CODE),
];

/// Creates a small ring, asks it for its operations, and drops it.
/// `status` is the text of `/proc/self/status`.
pub(crate) fn probe(root: &Root, kernel: &Kernel, status: &str) -> IoUring {
    match create_and_list() {
        Ok(missing) => IoUring::Works { missing },
        Err(error) => explain(
            &error,
            kernel,
            root.number("/proc/sys/kernel/io_uring_disabled")
                .and_then(|value| u32::try_from(value).ok()),
            seccomp_filters(status),
        ),
    }
}

/// An ability of `io_uring` that came after the oldest kernel that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RingOption {
    /// Its name.
    pub name: &'static str,
    /// Whether this kernel has it, by trying.
    pub present: bool,
    /// Whether the flush ring uses it where it is there.
    pub used: bool,
}

/// Tries each newer ability; empty where there is no ring at all.
pub(crate) fn ring_options() -> Vec<RingOption> {
    type Setup = fn(&mut Builder) -> &mut Builder;
    let setups: [(&str, bool, Setup); 4] = [
        ("SUBMIT_ALL", true, Builder::setup_submit_all),
        ("SINGLE_ISSUER", true, Builder::setup_single_issuer),
        ("DEFER_TASKRUN", true, |builder| builder.setup_single_issuer().setup_defer_taskrun()),
        ("COOP_TASKRUN", false, Builder::setup_coop_taskrun),
    ];
    let operations = [("SEND_ZC", opcode::SendZc::CODE), ("SENDMSG_ZC", opcode::SendMsgZc::CODE)];
    let Ok(ring) = io_uring::IoUring::new(8) else { return Vec::new() };
    let mut known = Probe::new();
    let probed = ring.submitter().register_probe(&mut known).is_ok();
    let setups = setups.into_iter().map(|(name, used, set)| {
        let present = set(&mut io_uring::IoUring::builder()).build(8).is_ok();
        RingOption { name, present, used }
    });
    let operations = operations.into_iter().map(|(name, code)| {
        let present = probed && known.is_supported(code);
        RingOption { name, present, used: false }
    });
    setups.chain(operations).collect()
}

fn create_and_list() -> io::Result<Vec<&'static str>> {
    let ring = io_uring::IoUring::new(8)?;
    let mut known = Probe::new();
    ring.submitter().register_probe(&mut known)?;
    let missing = REQUIRED_OPERATIONS.iter().filter(|(_, code)| !known.is_supported(*code));
    Ok(missing.map(|(name, _)| *name).collect())
}

/// Whose refusal `error` is. The sysctl comes before seccomp: where both forbid, the filter is
/// usually the container runtime's own answer to the same wish, and the sysctl has to be changed
/// in any case.
fn explain(
    error: &io::Error,
    kernel: &Kernel,
    sysctl_disabled: Option<u32>,
    seccomp: bool,
) -> IoUring {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        // The system call exists since 5.1: a younger kernel that denies knowing it is a filter.
        Some(Errno::NOSYS) if seccomp && kernel.at_least((5, 1)) => IoUring::BlockedBySeccomp,
        Some(Errno::NOSYS) => IoUring::NotInKernel,
        Some(Errno::PERM | Errno::ACCESS) => match sysctl_disabled {
            Some(value @ 1..) => IoUring::DisabledBySysctl { value },
            _ if seccomp => IoUring::BlockedBySeccomp,
            _ => IoUring::Forbidden,
        },
        Some(Errno::NOMEM) if kernel.locks_rings() => IoUring::MemlockExhausted,
        Some(Errno::NOMEM) => IoUring::OutOfMemory,
        Some(Errno::MFILE | Errno::NFILE) => IoUring::OutOfFiles,
        _ => IoUring::Failed { error: error.to_string() },
    }
}

/// Whether `/proc/self/status` tells of a seccomp filter (mode 2) on this process.
fn seccomp_filters(status: &str) -> bool {
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() == "2")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errno: Errno, release: &str, sysctl: Option<u32>, seccomp: bool) -> IoUring {
        let error = io::Error::from_raw_os_error(errno.raw_os_error());
        explain(&error, &Kernel::parse(release), sysctl, seccomp)
    }

    #[test]
    fn each_refusal_is_told_apart() {
        let new = "6.18.4";
        assert_eq!(told(Errno::NOSYS, new, Some(0), false), IoUring::NotInKernel);
        assert_eq!(told(Errno::NOSYS, "4.19.0", None, true), IoUring::NotInKernel);
        assert_eq!(told(Errno::NOSYS, new, Some(0), true), IoUring::BlockedBySeccomp);
        for value in [1, 2] {
            let found = told(Errno::PERM, new, Some(value), true);
            assert_eq!(found, IoUring::DisabledBySysctl { value });
        }
        assert_eq!(told(Errno::PERM, new, Some(0), true), IoUring::BlockedBySeccomp);
        assert_eq!(told(Errno::PERM, "5.10.0", None, true), IoUring::BlockedBySeccomp);
        assert_eq!(told(Errno::ACCESS, new, Some(0), false), IoUring::Forbidden);
        assert_eq!(told(Errno::NOMEM, "5.10.0", None, false), IoUring::MemlockExhausted);
        assert_eq!(told(Errno::NOMEM, new, Some(0), false), IoUring::MemlockExhausted);
        assert_eq!(told(Errno::NOMEM, "6.1.0", None, false), IoUring::OutOfMemory);
        assert_eq!(told(Errno::MFILE, new, Some(0), false), IoUring::OutOfFiles);
        let IoUring::Failed { error } = told(Errno::INVAL, new, Some(0), false) else {
            panic!("EINVAL is none of the explained errors");
        };
        assert!(error.contains("Invalid argument"), "{error}");
    }

    #[test]
    fn options_are_tried_where_there_is_a_ring() {
        let options = ring_options();
        assert_eq!(options.is_empty(), create_and_list().is_err());
        let present = |name| options.iter().any(|option| option.name == name && option.present);
        // The kernel refuses DEFER_TASKRUN without SINGLE_ISSUER.
        assert!(present("SINGLE_ISSUER") || !present("DEFER_TASKRUN"), "{options:?}");
    }

    #[test]
    fn seccomp_mode_is_read_from_status() {
        assert!(seccomp_filters("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!seccomp_filters("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
        assert!(!seccomp_filters(""));
    }
}
