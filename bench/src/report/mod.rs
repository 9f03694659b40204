//! What a measurement is told as: tables, plots, and the machine that it belongs to.

pub mod figures;
pub mod machine;
pub mod plot;
pub mod rounds;
mod scale;
pub mod summary;
pub mod text;

use std::fs;
use std::path::Path;

use eyre::{Result, WrapErr};

/// A file of a report: its name and what is in it.
pub type File = (String, String);

/// Writes the files of a report into `folder`, which is made.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write(folder: &Path, files: &[File]) -> Result<()> {
    let cannot = || format!("cannot write to {} (--out)", folder.display());
    fs::create_dir_all(folder).wrap_err_with(cannot)?;
    for (name, text) in files {
        let text = format!("{}\n", text.trim_end_matches('\n'));
        fs::write(folder.join(name), text).wrap_err_with(cannot)?;
    }
    eprintln!("{} files written to {}", files.len(), folder.display());
    Ok(())
}
