//! The golden files, which the clients in other languages share: read and written byte by byte.

mod binary;
mod ingest;
mod json;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Name and text of each file in a folder of `golden/`, at least `count_min` of them.
fn files(folder: &str, count_min: usize) -> Vec<(String, String)> {
    let folder = root().join("golden").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut files = Vec::from_iter(paths.map(|path| (name(&path), text(&path))));
    files.sort();
    assert!(files.len() >= count_min, "{folder:?} has {} files", files.len());
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn name(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn text(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("a golden file is JSON")
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal is a string");
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { panic!("odd: {text}") };
    let byte = |pair: &[u8; 2]| {
        let pair = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(pair, 16).expect("hexadecimal")
    };
    pairs.iter().map(byte).collect()
}

/// A number that stands as a string, because it may need 64 bits.
fn wide<T: std::str::FromStr>(value: &Value) -> T {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.unwrap_or_else(|| panic!("{value} is no number in a string"))
}
