//! The recorded ticks, read independently of the program: what a replay must deliver.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use corecast_bench::recording::{FILES, Recording, find};
use eyre::Result;

/// Where the recordings are: `CORECAST_DATA`, or `../shared/data` beside the project. `None`, and
/// a word on it, where there are none; in CI that is an error.
///
/// # Errors
/// When they are absent and `CI` is set.
pub fn folder() -> Result<Option<PathBuf>> {
    let (folder, exists) = find(None);
    if exists {
        return Ok(Some(folder));
    }
    let absent = format!("no recorded ticks at {}; set CORECAST_DATA", folder.display());
    crate::skip(&absent).map(|()| None)
}

/// The files as arguments of `corecast replay`, each with its name.
#[must_use]
pub fn arguments(folder: &Path) -> Vec<String> {
    let argument =
        |(name, file, _): &(&str, &str, &str)| format!("{name}={}", folder.join(file).display());
    FILES.iter().map(argument).collect()
}

/// All messages of each topic, in the order of their file, byte for byte.
///
/// # Errors
/// When a file cannot be read, or a line is not `TIME JSON`.
pub fn messages(folder: &Path) -> Result<BTreeMap<String, Vec<Box<[u8]>>>> {
    let recording = Recording::read(folder, Duration::MAX)?;
    let mut topics: BTreeMap<String, Vec<Box<[u8]>>> = BTreeMap::new();
    for entry in &recording.entries {
        let (name, _) = &recording.topics[entry.topic];
        topics.entry(name.clone()).or_default().push(recording.data(entry).into());
    }
    Ok(topics)
}
