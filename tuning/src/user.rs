//! With whose rights this process runs.

use serde::Serialize;

/// User and capabilities of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct User {
    /// The effective user's number; 0 is root.
    pub id: u32,
    /// Effective capabilities, a bit for each (capabilities(7)).
    pub capabilities: u64,
}

/// `CAP_NET_BIND_SERVICE`, bit 10: for ports below 1024, and nothing else.
const BIND_SERVICE: u64 = 1 << 10;
/// `CAP_IPC_LOCK`, bit 14.
const IPC_LOCK: u64 = 1 << 14;

impl User {
    /// Reads the text of `/proc/self/status`; nobody without rights where it says nothing.
    pub(crate) fn parse(status: &str) -> Self {
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
        // Real, effective, saved, of the file system.
        let id = field("Uid:").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok());
        let bits = field("CapEff:").and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        Self { id: id.unwrap_or(u32::MAX), capabilities: bits.unwrap_or(0) }
    }

    /// Whether the kernel charges nothing to this process's memlock limit.
    pub(crate) fn locks_freely(self) -> bool {
        self.capabilities & IPC_LOCK != 0
    }

    /// Whether it has no more rights than a server needs.
    pub(crate) fn is_modest(self) -> bool {
        self.id != 0 && self.capabilities & !BIND_SERVICE == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(id: u32, capabilities: u64) -> User {
        User { id, capabilities }
    }

    #[test]
    fn the_effective_user_and_capabilities_are_read() {
        let status = "Uid:\t1000\t65534\t0\t0\nCapPrm:\t000001ffffffffff\nCapEff:\t4400\n";
        assert_eq!(User::parse(status), with(65_534, 0x4400));
        assert_eq!(User::parse(""), with(u32::MAX, 0));
    }

    #[test]
    fn only_a_low_port_may_be_asked_for() {
        assert!(with(1, 0).is_modest() && with(1, 1 << 10).is_modest());
        assert!(!with(0, 0).is_modest() && !with(1, 1 << 12).is_modest());
    }

    #[test]
    fn ipc_lock_is_one_of_the_effective_capabilities() {
        for (status, freely) in [
            ("CapPrm:\t0\nCapEff:\t000001ffffffffff\n", true),
            ("CapEff:\t0000000000004000", true),
            ("CapEff:\t00000000a80425fb", false),
            ("CapPrm:\t000001ffffffffff\n", false),
        ] {
            assert_eq!(User::parse(status).locks_freely(), freely, "{status}");
        }
    }
}
