//! What a process uses, read from `/proc`.

use std::fs;
use std::time::Duration;

use eyre::{OptionExt, Result, WrapErr};
use serde::{Serialize, Serializer};

/// What a process uses at one moment.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// User and system time of all its threads since the start: of the living ones to the
    /// nanosecond where the kernel tells (`schedstat`), of others in its ticks (10 ms).
    #[serde(rename = "cpu_seconds", serialize_with = "as_seconds")]
    pub cpu: Duration,
    /// Resident memory in bytes, shared pages included (`VmRSS`).
    pub rss_bytes: u64,
    /// Resident memory of its own: heap and stacks, in bytes (`RssAnon`).
    pub rss_anon_bytes: u64,
    /// Resident memory with shared pages divided among their users, in bytes; 0 when the kernel
    /// does not tell.
    pub pss_bytes: u64,
    /// Open file descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
    /// Context switches of all threads because they waited.
    pub switches_voluntary: u64,
    /// Context switches of all threads because their time was up.
    pub switches_forced: u64,
}

impl Usage {
    /// Reads the figures of process `pid`.
    ///
    /// # Errors
    /// When the process is gone or belongs to another user.
    pub fn of(pid: u32) -> Result<Self> {
        let status = read(pid, "status")?;
        let (switches_voluntary, switches_forced) = switches(pid)?;
        Ok(Self {
            cpu: cpu_time(pid)?,
            rss_bytes: 1024 * field(&status, "VmRSS:")?,
            rss_anon_bytes: 1024 * field(&status, "RssAnon:")?,
            pss_bytes: read(pid, "smaps_rollup")
                .and_then(|rollup| field(&rollup, "Pss:"))
                .map_or(0, |kib| 1024 * kib),
            fds: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
            threads: field(&status, "Threads:")?,
            switches_voluntary,
            switches_forced,
        })
    }
}

/// Resident memory of process `pid` in bytes, shared pages included: one short file, where
/// [`Usage::of`] reads many.
///
/// # Errors
/// When the process is gone.
pub fn rss_bytes(pid: u32) -> Result<u64> {
    let statm = read(pid, "statm")?;
    let pages = statm.split_ascii_whitespace().nth(1).ok_or_eyre("/proc/PID/statm is too short")?;
    Ok(pages.parse::<u64>()? * rustix::param::page_size() as u64)
}

/// Memory that all TCP sockets of the machine hold in the kernel, in bytes.
///
/// # Errors
/// When `/proc/net/sockstat` is missing.
pub fn sockets_bytes() -> Result<u64> {
    let sockstat = fs::read_to_string("/proc/net/sockstat")?;
    let tcp = sockstat.lines().find(|line| line.starts_with("TCP:"));
    let pages = tcp.and_then(|line| line.split(" mem ").nth(1));
    let pages: u64 = pages.ok_or_eyre("/proc/net/sockstat names no TCP memory")?.trim().parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// `utime` + `stime`: their sum is exact to a tick, however the kernel divides it.
fn cpu_time(pid: u32) -> Result<Duration> {
    match scheduled(pid) {
        Some(time) => Ok(time),
        None => ticked(pid),
    }
}

/// What the scheduler counted, in nanoseconds, of the threads that live, and the ticks of those
/// that do not; nothing where the kernel was built without it.
fn scheduled(pid: u32) -> Option<Duration> {
    let (mut living, mut living_ticked, mut threads) = (Duration::ZERO, Duration::ZERO, 0);
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let task = task.ok()?.path();
        // A thread may end between the listing and the reading: then it is among the dead.
        let Ok(stat) = fs::read_to_string(task.join("schedstat")) else { continue };
        let Ok(ticked) = fs::read_to_string(task.join("stat")) else { continue };
        living += Duration::from_nanos(stat.split_ascii_whitespace().next()?.parse().ok()?);
        living_ticked += ticks(&ticked).ok()?;
        threads += 1;
    }
    // Each thread's ticks are rounded by themselves: less than one for each is no dead thread.
    let rounding =
        Duration::from_secs(threads + 1) / rustix::param::clock_ticks_per_second() as u32;
    let dead = ticked(pid).ok()?.saturating_sub(living_ticked);
    let dead = if dead > rounding { dead } else { Duration::ZERO };
    (!living.is_zero()).then_some(living + dead)
}

fn ticked(pid: u32) -> Result<Duration> {
    ticks(&read(pid, "stat")?)
}

fn ticks(stat: &str) -> Result<Duration> {
    // The second field is the name in parentheses, and may itself contain blanks and parentheses.
    let (_, rest) = stat.rsplit_once(')').ok_or_eyre("/proc/PID/stat has no name")?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next =
        || -> Result<u64> { Ok(fields.next().ok_or_eyre("/proc/PID/stat is too short")?.parse()?) };
    let ticks = next()? + next()?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn as_seconds<S: Serializer>(
    time: &Duration,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn switches(pid: u32) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        if let Ok(status) = fs::read_to_string(task?.path().join("status")) {
            sum.0 += field(&status, "voluntary_ctxt_switches:")?;
            sum.1 += field(&status, "nonvoluntary_ctxt_switches:")?;
        }
    }
    Ok(sum)
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).wrap_err(path)
}

/// The number behind `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_ascii_whitespace().next());
    Ok(number.ok_or_eyre(format!("no {name} in /proc"))?.parse()?)
}
