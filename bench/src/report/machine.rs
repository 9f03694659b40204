//! What the figures were measured on: they belong to it.

mod program;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use rustix::system::uname;
use serde::Serialize;

/// A description of machine and software. What cannot be learnt is left out.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// When, in UTC: `2026-11-20 23:30`.
    pub date: String,
    /// The commit that the measured corecast was built of, with `, changed` when its sources
    /// differ from it; or why that is not known.
    pub commit: String,
    /// The CPU's name.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Name and value, in the order in which they are shown.
    pub facts: Vec<(String, String)>,
    /// Name and version of each server.
    pub versions: Vec<(String, String)>,
}

impl Machine {
    /// Asks the kernel; `versions` comes from who has started the servers, `corecast` is the
    /// program that was measured.
    #[must_use]
    pub fn describe(versions: Vec<(String, String)>, corecast: &Path) -> Self {
        let mut facts = Vec::new();
        let mut note = |name: &str, value: Option<String>| {
            facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name.into(), value)));
        };
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = uname();
        note("kernel", Some(kernel.release().to_string_lossy().into_owned()));
        note("memory", memory());
        note("CPU features", Some(features(&info)));
        let hypervisor = cpu_field(&info, "flags").is_some_and(|flags| has(&flags, "hypervisor"));
        note("virtual machine", hypervisor.then(|| "yes".to_owned()));
        for (name, path) in FILES {
            note(name, read(path));
        }
        for name in SYSCTLS {
            note(name, read(&format!("/proc/sys/{}", name.replace('.', "/"))));
        }
        let nofile = getrlimit(Resource::Nofile).current;
        note("open files", nofile.map(|limit| limit.to_string()));
        note("mitigations", Some(mitigations()));
        Self {
            date: date(SystemTime::now()),
            commit: program::commit(corecast),
            cpu: cpu_field(&info, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            facts,
            versions,
        }
    }

    /// As a page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# The machine\n\n{}, commit {}.\n\n| | |\n|---|---|\n| CPU | {} |\n| CPUs | {} |\n",
            self.date, self.commit, self.cpu, self.cpus
        );
        for (name, value) in self.facts.iter().chain(&self.versions) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text
    }
}

/// A moment as `YYYY-MM-DD hh:mm`, UTC.
#[must_use]
pub fn date(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", second / 3_600, second % 3_600 / 60)
}

fn memory() -> Option<String> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(format!("{:.1} GiB", kib / 1024.0 / 1024.0))
}

fn features(info: &str) -> String {
    let flags = cpu_field(info, "flags").or_else(|| cpu_field(info, "Features"));
    let flags = flags.unwrap_or_default();
    Vec::from_iter(FLAGS.into_iter().filter(|flag| has(&flags, flag))).join(" ")
}

fn has(flags: &str, wanted: &str) -> bool {
    flags.split_ascii_whitespace().any(|flag| flag == wanted)
}

fn cpu_field(info: &str, name: &str) -> Option<String> {
    let line = info.lines().find(|line| line.split(':').next().map(str::trim) == Some(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// What the kernel does against leaks between processes costs each system call.
fn mitigations() -> String {
    let Ok(folder) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else {
        return String::new();
    };
    let state = |path: &Path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let value = fs::read_to_string(path).ok()?;
        let value = value.strip_prefix("Mitigation: ")?.split([';', ',']).next()?.trim().to_owned();
        Some(format!("{name}: {value}"))
    };
    let mut found = Vec::from_iter(folder.flatten().filter_map(|entry| state(&entry.path())));
    found.sort();
    found.join("; ")
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What the kernels of copying, masking and validating are chosen by.
const FLAGS: [&str; 10] = [
    "sse4_2",
    "avx",
    "avx2",
    "avx512f",
    "avx512bw",
    "bmi2",
    "erms",
    "fsrm",
    "constant_tsc",
    "asimd",
];

const FILES: [(&str, &str); 5] = [
    ("clock", "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    ("governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    ("SMT", "/sys/devices/system/cpu/smt/control"),
    ("transparent huge pages", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ("isolated CPUs", "/sys/devices/system/cpu/isolated"),
];

const SYSCTLS: [&str; 12] = [
    "net.core.somaxconn",
    "net.core.rmem_max",
    "net.core.wmem_max",
    "net.core.busy_poll",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.ip_local_port_range",
    "fs.file-max",
    "kernel.io_uring_disabled",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // As `date -u -d @SECONDS` says.
        for (seconds, said) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_723_161_599, "2024-08-08 23:59"),
            (4_102_444_800, "2100-01-01 00:00"),
        ] {
            assert_eq!(date(UNIX_EPOCH + Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn this_machine_has_a_cpu_a_kernel_and_memory() {
        let machine = Machine::describe(vec![("bun".into(), "1.2.3".into())], Path::new("/"));
        let page = machine.markdown();
        assert!(machine.cpus > 0, "{machine:?}");
        for said in ["| kernel | ", "| memory | ", "| net.core.somaxconn | ", "| bun | 1.2.3 |"] {
            assert!(page.contains(said), "{said} is not in {page}");
        }
    }
}
