//! The rights that corecast runs with: none. And the files that see to it: the systemd unit, the
//! seccomp profile and the image of `tuning/`.

#![forbid(unsafe_code)]

mod a_right_is_needed;
mod a_secret_is_logged;
mod a_service;
mod a_system_call_is_missing;
mod the_image_lacks_a_file;
mod the_unit_says_something_else;

use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr};

/// A file of the project.
fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Its text.
fn text_of(path: &str) -> Result<String> {
    std::fs::read_to_string(shipped(path)).wrap_err_with(|| path.to_owned())
}
