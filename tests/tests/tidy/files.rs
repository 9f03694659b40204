//! The files of the project, as git knows them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

/// A text file of the project.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the project's root.
    pub(crate) path: String,
    /// Its content.
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether a person wrote it as a program: Rust, JavaScript, Python, shell.
    pub(crate) fn is_source(&self) -> bool {
        let extensions = [".rs", ".js", ".mjs", ".ts", ".py", ".sh"];
        extensions.iter().any(|end| self.path.ends_with(end)) || self.text.starts_with("#!")
    }

    pub(crate) fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Its lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests has a parent").to_owned()
}

/// All text files that git tracks, or would if they were added.
pub(crate) static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root())
        .output()
        .expect("git lists the project's files");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let files = paths.split_terminator('\0').filter_map(|path| {
        // A tracked file that is deleted, a link or not text has no lines to check.
        let text = fs::read_to_string(root().join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    });
    let files = Vec::from_iter(files);
    assert!(files.len() > 50, "git lists only {} files", files.len());
    files
});

/// The text of one file that must be there.
pub(crate) fn read(path: &str) -> String {
    let found = fs::read_to_string(root().join(path));
    found.unwrap_or_else(|error| panic!("{path}: {error}"))
}
