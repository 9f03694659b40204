//! Where the kernel's files are read from: the machine itself, or a tree recorded from another.

use crate::limits::{DIRECTORY_ENTRIES_MAX, PROC_FILE_BYTES_MAX};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The root under which `/proc` and `/sys` stand.
///
/// A reader asks it for text and never fails: what is not there (in a container, in a virtual
/// machine, on another kernel) is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The running machine.
    #[must_use]
    pub fn machine() -> Self {
        Self::at("/")
    }

    /// A tree that holds files as a machine had them.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }

    /// The text of a small file, without the line end; at most 64 KiB of it.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(path)).ok()?;
        file.take(PROC_FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// The number that a file holds.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// What a directory holds, by name; empty where there is none.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else { return Vec::new() };
        let names = entries.flatten().take(DIRECTORY_ENTRIES_MAX);
        let mut names: Vec<_> =
            names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The last part of where a link leads, such as a driver's name.
    pub(crate) fn link_name(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Whether there is such a file or directory.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_none_and_what_is_there_is_read() {
        let root = Root::machine();
        assert_eq!(root.text("/proc/no/such/file"), None);
        assert_eq!(root.number("/proc/version"), None);
        assert!(root.names("/no/such/folder").is_empty());
        assert!(root.text("/proc/version").is_some_and(|text| text.starts_with("Linux")));
        assert!(root.number("/proc/sys/fs/file-max").is_some());
        assert!(root.names("/proc/sys/net/core").contains(&"somaxconn".to_owned()));
        assert_eq!(Root::at("/proc").number("sys/fs/nr_open"), root.number("/proc/sys/fs/nr_open"));
    }
}
