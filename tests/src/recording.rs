//! The recorded ticks, read independently of the program: what a replay must deliver.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use eyre::{Result, WrapErr, bail, eyre};
use flate2::read::MultiGzDecoder;

/// The six recordings, with the name that each has in its topics.
const FILES: [(&str, &str, &str); 6] = [
    ("spot", "spot_btcusdt.gz", "BTCUSDT"),
    ("spot", "spot_ethusdt.gz", "ETHUSDT"),
    ("usdm", "usdm_btcusdt.gz", "BTCUSDT"),
    ("usdm", "usdm_ethusdt.gz", "ETHUSDT"),
    ("cm", "cm_btcusd_perp.gz", "BTCUSD_PERP"),
    ("cm", "cm_ethusd_perp.gz", "ETHUSD_PERP"),
];

/// Where the recordings are: `CORECAST_DATA`, or `../shared/data` beside the project. `None`, and
/// a word on it, where there are none; in CI that is an error.
///
/// # Errors
/// When they are absent and `CI` is set.
pub fn folder() -> Result<Option<PathBuf>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = env::var_os("CORECAST_DATA").map_or(beside, PathBuf::from);
    let folder = data.join("binance-2024-08-08");
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    let absent = format!("no recorded ticks at {}; set CORECAST_DATA", folder.display());
    crate::skip(&absent).map(|()| None)
}

/// The files as arguments of `corecast replay`, each with its name.
#[must_use]
pub fn arguments(folder: &std::path::Path) -> Vec<String> {
    let argument =
        |(name, file, _): &(&str, &str, &str)| format!("{name}={}", folder.join(file).display());
    FILES.iter().map(argument).collect()
}

/// All messages of each topic, in the order of their file, byte for byte.
///
/// # Errors
/// When a file cannot be read, or a line is not `TIME JSON`.
pub fn messages(folder: &std::path::Path) -> Result<BTreeMap<String, Vec<Box<[u8]>>>> {
    let mut topics: BTreeMap<String, Vec<Box<[u8]>>> = BTreeMap::new();
    for (name, file, symbol) in FILES {
        let path = folder.join(file);
        let opened = File::open(&path).wrap_err_with(|| path.display().to_string())?;
        for line in BufReader::new(MultiGzDecoder::new(opened)).split(b'\n') {
            let line = line?;
            let at = line.iter().position(|&byte| byte == b' ');
            let json = &line[at.ok_or_else(|| eyre!("{file}: a line without a blank"))? + 1..];
            let kind = kind_of(json).wrap_err_with(|| file.to_owned())?;
            topics.entry(format!("{kind}.{name}.{symbol}")).or_default().push(json.into());
        }
    }
    Ok(topics)
}

/// `quote`, `trade` or `book`. A whole book comes without a stream's name.
fn kind_of(json: &[u8]) -> Result<&'static str> {
    let head = String::from_utf8_lossy(&json[..json.len().min(64)]);
    if !head.starts_with(r#"{"stream":""#) {
        return Ok("book");
    }
    for (mark, kind) in [("@bookTicker\"", "quote"), ("@trade\"", "trade"), ("@depth@", "book")] {
        if head.contains(mark) {
            return Ok(kind);
        }
    }
    bail!("an unknown stream: {head}")
}
