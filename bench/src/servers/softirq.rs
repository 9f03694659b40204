//! Time that the kernel's own thread takes on a server's CPU.
//!
//! Packets are handled in the context of whoever runs; under load the kernel hands them to the
//! thread `ksoftirqd/N` of that CPU. What it does for a server stands in no process's bill.

use std::fs;
use std::path::PathBuf;

use crate::outcome::Outcome;
use crate::process::Usage;

/// The name of the figure in [`Outcome::extra`]: time of ksoftirqd on the server's CPUs over the
/// server's own CPU time, over the whole round with its handshakes.
pub const SHARE: &str = "ksoftirqd_share";

/// Above this share a report says so.
pub const SHARE_TOLD: f64 = 0.02;

/// The kernel's threads of some CPUs, at the beginning of a stretch.
#[derive(Debug)]
pub struct Softirq {
    threads: Vec<PathBuf>,
    began_ns: u64,
    server: Option<Usage>,
}

impl Softirq {
    /// Begins a stretch of a server that runs on `cpus`, and uses `server` at this moment.
    #[must_use]
    pub fn start(cpus: &[usize], server: Option<Usage>) -> Self {
        let threads = threads(cpus);
        let began_ns = spent_ns(&threads);
        Self { threads, began_ns, server }
    }

    /// Writes the share of the stretch down; nothing where the kernel shows no such thread or the
    /// server's process is not known.
    pub fn note(&self, server: Option<Usage>, outcome: &mut Outcome) {
        let Some((before, after)) = self.server.zip(server) else { return };
        let server_ns = after.cpu.saturating_sub(before.cpu).as_nanos();
        if !self.threads.is_empty() && server_ns > 0 {
            let spent_ns = spent_ns(&self.threads).saturating_sub(self.began_ns);
            outcome.extra.insert(SHARE.to_owned(), spent_ns as f64 / server_ns as f64);
        }
    }
}

/// What the scheduler has counted for each of these CPUs' threads.
fn threads(cpus: &[usize]) -> Vec<PathBuf> {
    let names = Vec::from_iter(cpus.iter().map(|cpu| format!("ksoftirqd/{cpu}")));
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let is_one = |folder: &PathBuf| {
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        names.iter().any(|one| one == name.trim_end())
    };
    let folders = processes.flatten().map(|process| process.path()).filter(is_one);
    folders.map(|folder| folder.join("schedstat")).filter(|file| file.is_file()).collect()
}

fn spent_ns(threads: &[PathBuf]) -> u64 {
    let of = |file: &PathBuf| {
        let text = fs::read_to_string(file).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    threads.iter().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_share_is_of_the_servers_own_time() {
        let file = std::env::temp_dir().join(format!("softirq-{}", std::process::id()));
        fs::write(&file, "5000 7 9\n").unwrap();
        let at = |cpu_ns: u64| Usage { cpu: Duration::from_nanos(cpu_ns), ..Usage::default() };
        let threads = vec![file.clone()];
        let softirq = Softirq { began_ns: spent_ns(&threads), threads, server: Some(at(1_000)) };
        fs::write(&file, "5030 8 9\n").unwrap();
        let mut outcome = Outcome::default();
        softirq.note(None, &mut outcome);
        assert!(outcome.extra.is_empty(), "the server's process was not known");
        softirq.note(Some(at(2_000)), &mut outcome);
        fs::remove_file(file).unwrap();
        assert_eq!(outcome.extra[SHARE], 0.03);
    }
}
