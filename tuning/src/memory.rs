//! Memory: huge pages and swap.

use crate::root::Root;
use serde::Serialize;

/// How the kernel treats memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Whom transparent huge pages are given: `always`, `madvise`, `never`.
    pub huge_pages: Option<String>,
    /// Memory of the machine, in bytes.
    pub total_bytes: Option<u64>,
    /// Swap, in bytes.
    pub swap_bytes: Option<u64>,
}

impl Memory {
    pub(crate) fn read(root: &Root) -> Self {
        let info = root.text("/proc/meminfo").unwrap_or_default();
        let bytes = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        let modes = root.text("/sys/kernel/mm/transparent_hugepage/enabled");
        Self {
            huge_pages: modes.and_then(|modes| {
                let (_, rest) = modes.split_once('[')?;
                Some(rest.split_once(']')?.0.to_owned())
            }),
            total_bytes: bytes("MemTotal:"),
            swap_bytes: bytes("SwapTotal:"),
        }
    }
}
