//! What a container or a service manager allows: control groups of both versions, seccomp.

use crate::cpu_set::Cpus;
use crate::root::Root;
use serde::Serialize;

/// The narrowest limits on the way from this process's control group to the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Container {
    /// What gives the container away: `docker`, `podman`, …; `None` where nothing does.
    pub kind: Option<String>,
    /// Versions of control groups that are mounted: 1, 2, both, or none visible.
    pub cgroup_versions: Vec<u32>,
    /// CPU time that may be used in each period.
    pub cpu: Option<CpuQuota>,
    /// Memory at most, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// Processes and threads at most.
    pub threads_max: Option<u64>,
    /// Cores that the group may use.
    pub cpuset: Option<Cpus>,
    /// Whether a seccomp filter is on this process.
    pub seccomp: bool,
}

/// A share of CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CpuQuota {
    /// Microseconds of CPU time in a period.
    pub quota_us: u64,
    /// A period, in microseconds.
    pub period_us: u64,
    /// How often the group was stopped because it was used up.
    pub throttled: Option<u64>,
}

impl CpuQuota {
    /// Cores' worth of time.
    #[must_use]
    pub fn cores(&self) -> f64 {
        self.quota_us as f64 / self.period_us.max(1) as f64
    }
}

impl Container {
    pub(crate) fn read(root: &Root) -> Self {
        let status = root.text("/proc/self/status").unwrap_or_default();
        let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        let mut found = Self {
            kind: kind(root),
            seccomp: mode.is_some_and(|mode| mode.trim() == "2"),
            ..Self::default()
        };
        let groups = root.text("/proc/self/cgroup").unwrap_or_default();
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            if let (Some(controllers), Some(path)) = (parts.next(), parts.next()) {
                found.read_hierarchy(root, controllers, path);
            }
        }
        found
    }

    fn read_hierarchy(&mut self, root: &Root, controllers: &str, path: &str) {
        let bases = if controllers.is_empty() {
            vec!["/sys/fs/cgroup/unified".to_owned(), "/sys/fs/cgroup".to_owned()]
        } else {
            let each = controllers.split(',').filter(|name| !name.starts_with("name="));
            let each = each.map(|name| format!("/sys/fs/cgroup/{name}"));
            each.chain([format!("/sys/fs/cgroup/{controllers}")]).collect()
        };
        let version = if controllers.is_empty() { 2 } else { 1 };
        let proof = if version == 2 { "cgroup.controllers" } else { "cgroup.procs" };
        for base in bases.iter().filter(|base| root.exists(&format!("{base}/{proof}"))) {
            if !self.cgroup_versions.contains(&version) {
                self.cgroup_versions.push(version);
            }
            for folder in with_parents(base, path) {
                let text = |file: &str| root.text(&format!("{folder}/{file}"));
                self.narrow(version, text);
            }
        }
    }

    /// Takes the limits of one group where they are narrower than those found below it.
    fn narrow(&mut self, version: u32, text: impl Fn(&str) -> Option<String>) {
        let number = |file: &str| text(file).and_then(|text| text.parse::<u64>().ok());
        let (quota, memory, cpuset) = if version == 2 {
            let quota = text("cpu.max").and_then(|text| {
                let (quota, period) = text.split_once(' ')?;
                Some((quota.parse().ok()?, period.parse().ok()?))
            });
            let memory = [number("memory.max"), number("memory.high")];
            (quota, memory.into_iter().flatten().min(), text("cpuset.cpus.effective"))
        } else {
            // -1 is no quota, and does not parse.
            let quota = number("cpu.cfs_quota_us").zip(number("cpu.cfs_period_us"));
            // No limit is written as the largest number of whole pages.
            let memory = number("memory.limit_in_bytes").filter(|bytes| *bytes < 1 << 60);
            let cpuset = text("cpuset.effective_cpus").or_else(|| text("cpuset.cpus"));
            (quota, memory, cpuset)
        };
        if let Some((quota_us, period_us)) = quota {
            let stat = text("cpu.stat").unwrap_or_default();
            let throttled = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
            let throttled = throttled.and_then(|count| count.trim().parse().ok());
            let quota = CpuQuota { quota_us, period_us, throttled };
            if self.cpu.is_none_or(|known| quota.cores() < known.cores()) {
                self.cpu = Some(quota);
            }
        }
        let narrower = |known: Option<u64>, found: Option<u64>| match (known, found) {
            (Some(known), Some(found)) => Some(known.min(found)),
            (known, found) => known.or(found),
        };
        self.memory_bytes_max = narrower(self.memory_bytes_max, memory);
        self.threads_max = narrower(self.threads_max, number("pids.max"));
        let cpuset = cpuset.and_then(|list| Cpus::from_list(&list)).filter(|c| !c.is_empty());
        self.cpuset = self.cpuset.take().or(cpuset);
    }
}

/// The folder of a group and of each group above it, the innermost first. In a namespace of its
/// own the path may lead nowhere: the files at the top then are the container's.
fn with_parents(base: &str, path: &str) -> Vec<String> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != "..").collect();
    let depths = (0..=parts.len()).rev();
    let folders = depths.map(|depth| match parts[..depth].join("/") {
        inner if inner.is_empty() => base.to_owned(),
        inner => format!("{base}/{inner}"),
    });
    folders.collect()
}

fn kind(root: &Root) -> Option<String> {
    if root.exists("/.dockerenv") {
        return Some("docker".to_owned());
    }
    if root.exists("/run/.containerenv") {
        return Some("podman".to_owned());
    }
    let groups = root.text("/proc/self/cgroup").unwrap_or_default();
    let words = ["kubepods", "docker", "lxc", "containerd", "libpod"];
    words.into_iter().find(|word| groups.contains(word)).map(str::to_owned)
}
