//! What the micro-benchmarks measured: read back from the files that criterion leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use eyre::{Result, WrapErr, bail, eyre};
use serde::{Deserialize, Serialize};

/// Who does the work that is ours to be ahead in.
pub const CORECAST: &str = "corecast";
/// A copy of as many bytes: what memory allows.
pub const MEMCPY: &str = "memcpy";
/// The crates that the same work is done in, as their functions are named in the benchmarks.
pub const PEERS: [&str; 3] = ["fastwebsockets", "tokio-websockets", "tungstenite"];

/// From this many bytes on, unmasking is held to [`MEMCPY_SHARE_MIN`].
pub const MEMCPY_BYTES_MIN: u64 = 4 * 1024;
/// The share of a copy's speed that unmasking is to reach.
pub const MEMCPY_SHARE_MIN: f64 = 0.8;

/// One piece of work in one size, by all who do it, in one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The benchmark's group: `unmask`, `parse`, `encode_for_1`, …
    pub work: String,
    /// The parameter: for codecs, the payload's bytes.
    pub size: String,
    /// What one iteration handles.
    pub unit: Unit,
    /// Median nanoseconds of one iteration, by who does it.
    pub times_ns: BTreeMap<String, f64>,
    /// Whether it is ahead as it is to be; `None` where nothing is held, or not all was measured.
    pub reached: Option<bool>,
}

/// What an iteration's time is to be divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nothing: it is one operation.
    Iteration,
    /// So many messages, sockets or operations.
    Elements(u64),
    /// So many bytes.
    Bytes(u64),
}

impl Row {
    /// Median nanoseconds of one element, or of one iteration where those are not counted.
    #[must_use]
    pub fn time_ns(&self, name: &str) -> Option<f64> {
        let elements = match self.unit {
            Unit::Elements(elements) => elements.max(1) as f64,
            Unit::Iteration | Unit::Bytes(_) => 1.0,
        };
        self.times_ns.get(name).map(|time_ns| time_ns / elements)
    }

    /// Bytes per second in GiB, where bytes are counted.
    #[must_use]
    pub fn gib_per_second(&self, name: &str) -> Option<f64> {
        let Unit::Bytes(bytes) = self.unit else { return None };
        let time_ns = self.times_ns.get(name)?;
        Some(bytes as f64 / time_ns * 1e9 / f64::from(1 << 30))
    }

    /// Our speed as a share of a copy's.
    #[must_use]
    pub fn memcpy_share(&self) -> Option<f64> {
        Some(self.times_ns.get(MEMCPY)? / self.times_ns.get(CORECAST)?)
    }

    /// Our time over that of the fastest peer, which is named: below 1 is ahead.
    #[must_use]
    pub fn best_peer(&self) -> Option<(&'static str, f64)> {
        let ours = self.times_ns.get(CORECAST)?;
        let times = PEERS.iter().filter_map(|peer| Some((*peer, *self.times_ns.get(*peer)?)));
        let best = times.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        Some((best.0, ours / best.1))
    }
}

/// Where criterion leaves its files: below the build directory.
#[must_use]
pub fn default_directory() -> PathBuf {
    if let Some(home) = std::env::var_os("CRITERION_HOME") {
        return home.into();
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    target.join("criterion")
}

/// All that was measured below `directory`, by work and then size.
///
/// # Errors
/// The directory cannot be read or has no measurement, or a file is not one of criterion's.
pub fn read(directory: &Path) -> Result<Vec<Row>> {
    let mut files = Vec::new();
    find(directory, DEPTH_MAX, &mut files)
        .wrap_err_with(|| format!("cannot read {}: {HOW}", directory.display()))?;
    let mut rows: BTreeMap<(String, u64, String), Row> = BTreeMap::new();
    for new in files {
        let Some(measured) = Measured::read(&new)? else { continue };
        let Measured { group_id: work, function_id: name, value_str: size, unit, median_ns } =
            measured;
        let key = (work.clone(), size.parse().unwrap_or(0), size.clone());
        let row = rows.entry(key).or_insert_with(|| Row {
            work,
            size,
            unit,
            times_ns: BTreeMap::new(),
            reached: None,
        });
        row.times_ns.insert(name, median_ns);
    }
    if rows.is_empty() {
        bail!("no measurement in {}: {HOW}", directory.display());
    }
    Ok(rows.into_values().map(|row| Row { reached: reached(&row), ..row }).collect())
}

/// The rows that the codec's goal is about, each with [`reached`](Row::reached): unmasking at
/// least [`MEMCPY_SHARE_MIN`] as fast as a copy, and ahead of every peer in parsing, unmasking,
/// validating and encoding.
///
/// # Errors
/// As [`read`].
pub fn goals(directory: &Path) -> Result<Vec<Row>> {
    let mut rows = read(directory)?;
    rows.retain(|row| GOALS.iter().any(|(work, _)| *work == row.work));
    if rows.is_empty() {
        bail!("no measurement of the codec in {}: {HOW}", directory.display());
    }
    Ok(rows)
}

/// When the oldest of the rows that [`goals`] gives was measured.
///
/// # Errors
/// As [`read`].
pub fn oldest(directory: &Path) -> Result<SystemTime> {
    let mut files = Vec::new();
    find(directory, DEPTH_MAX, &mut files)
        .wrap_err_with(|| format!("cannot read {}: {HOW}", directory.display()))?;
    let mut times = Vec::new();
    for new in files {
        let Some(measured) = Measured::read(&new)? else { continue };
        if GOALS.iter().any(|(work, _)| *work == measured.group_id) {
            times.push(fs::metadata(new.join("estimates.json"))?.modified()?);
        }
    }
    let oldest = times.into_iter().min();
    oldest.ok_or_else(|| eyre!("no measurement of the codec in {}: {HOW}", directory.display()))
}

/// The work that has a goal, and the peers that have an interface for that work alone.
const GOALS: [(&str, &[&str]); 9] = [
    ("unmask", &["fastwebsockets"]),
    ("parse", &PEERS),
    ("parse_unmask", &PEERS),
    ("parse_validate", &PEERS),
    ("receive", &PEERS),
    ("receive_not_ascii", &PEERS),
    ("encode_borrowed", &PEERS),
    ("encode_for_1", &PEERS),
    ("encode_for_100", &PEERS),
];

const HOW: &str = "measure first, with `cargo bench -p corecast-bench --bench wire`, \
                   or say where that was done (--criterion)";
/// Group, function, parameter, `new`; a group or function may have a slash of its own.
const DEPTH_MAX: usize = 8;

fn reached(row: &Row) -> Option<bool> {
    let (_, peers) = GOALS.iter().find(|(work, _)| *work == row.work)?;
    let ours = *row.times_ns.get(CORECAST)?;
    let mut ahead = true;
    for peer in *peers {
        ahead &= ours < *row.times_ns.get(*peer)?;
    }
    if row.work == "unmask" && row.size.parse().is_ok_and(|bytes: u64| bytes >= MEMCPY_BYTES_MIN) {
        ahead &= row.memcpy_share()? >= MEMCPY_SHARE_MIN;
    }
    Some(ahead)
}

/// The directories named `new`.
fn find(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if entry.file_name() == "new" {
            found.push(entry.path());
        } else if depth > 0 {
            find(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

struct Measured {
    group_id: String,
    function_id: String,
    value_str: String,
    unit: Unit,
    median_ns: f64,
}

impl Measured {
    /// `None`: it is not one of many that do the same work.
    fn read(new: &Path) -> Result<Option<Self>> {
        let Benchmark { group_id, function_id, value_str, throughput } =
            read_json(&new.join("benchmark.json"))?;
        let Estimates { median } = read_json(&new.join("estimates.json"))?;
        let unit = match throughput {
            Some(Throughput { elements: Some(elements), .. }) => Unit::Elements(elements),
            Some(Throughput { bytes: Some(bytes), .. }) => Unit::Bytes(bytes),
            _ => Unit::Iteration,
        };
        let Some(function_id) = function_id else { return Ok(None) };
        let value_str = value_str.unwrap_or_default();
        let median_ns = median.point_estimate;
        Ok(Some(Self { group_id, function_id, value_str, unit, median_ns }))
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let read = || -> Result<T> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    read().wrap_err_with(|| format!("cannot read {}: {HOW}", path.display()))
}

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: Option<u64>,
    #[serde(rename = "Bytes")]
    bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(work: &str, size: &str, times: &[(&str, f64)]) -> Row {
        let times_ns = times.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect();
        let unit = Unit::Elements(64);
        let row =
            Row { work: work.to_owned(), size: size.to_owned(), unit, times_ns, reached: None };
        Row { reached: reached(&row), ..row }
    }

    #[test]
    fn ahead_is_ahead_of_every_peer_and_all_must_be_measured() {
        let all = [("tungstenite", 90.0), ("fastwebsockets", 80.0), ("tokio-websockets", 85.0)];
        let ours = |time_ns| [&all[..], &[(CORECAST, time_ns)]].concat();
        assert_eq!(row("parse", "128", &ours(79.0)).reached, Some(true));
        assert_eq!(row("parse", "128", &ours(81.0)).reached, Some(false));
        assert_eq!(row("parse", "128", &ours(64.0)).best_peer(), Some(("fastwebsockets", 0.8)));
        assert_eq!(row("parse", "128", &ours(64.0)).time_ns(CORECAST), Some(1.0));
        assert_eq!(row("parse", "128", &[(CORECAST, 1.0), all[0]]).reached, None);
        assert_eq!(row("publish", "128", &ours(1.0)).reached, None, "nothing is held there");
    }

    #[test]
    fn a_copy_is_the_yardstick_of_large_payloads_alone() {
        let times = [(MEMCPY, 7.0), (CORECAST, 10.0), ("fastwebsockets", 20.0)];
        assert_eq!(row("unmask", "1024", &times).reached, Some(true));
        assert_eq!(row("unmask", "4096", &times).reached, Some(false));
        assert_eq!(row("unmask", "4096", &times).memcpy_share(), Some(0.7));
    }

    #[test]
    fn what_criterion_left_is_read_and_what_is_missing_is_said() {
        let directory = std::env::temp_dir().join(format!("micro-{}", std::process::id()));
        let new = directory.join("unmask/corecast/16/new");
        fs::create_dir_all(&new).expect("a directory");
        let benchmark = r#"{"group_id":"unmask","function_id":"corecast","value_str":"16",
            "throughput":{"Bytes":16},"full_id":"unmask/corecast/16"}"#;
        fs::write(new.join("benchmark.json"), benchmark).expect("a file");
        let error = goals(&directory).expect_err("half of it is missing").to_string();
        assert!(error.contains("estimates.json") && error.contains("cargo bench"), "{error}");
        let estimates = r#"{"median":{"point_estimate":2.0,"standard_error":0.1}}"#;
        fs::write(new.join("estimates.json"), estimates).expect("a file");
        let rows = goals(&directory).expect("one row");
        let age = oldest(&directory).expect("one row").elapsed().unwrap_or_default();
        assert!(age < std::time::Duration::from_secs(600), "{age:?}");
        fs::remove_dir_all(&directory).expect("nobody else uses it");
        assert_eq!(rows[0].unit, Unit::Bytes(16));
        assert_eq!(rows[0].times_ns[CORECAST], 2.0);
        assert!(rows[0].gib_per_second(CORECAST).is_some_and(|speed| (speed - 7.45).abs() < 0.01));
        assert!(goals(&directory).is_err());
    }
}
