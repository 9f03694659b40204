//! A file that ships, with what a test has to change in it. A change that finds nothing to change,
//! or more than it knows of, is an error: so the file that was tested is the file that ships.

use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, ensure};

/// The text of a shipped file, changed.
#[derive(Debug, Clone)]
pub(crate) struct Shipped {
    name: &'static str,
    text: String,
}

impl Shipped {
    /// The file of this name under `tuning/`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn read(name: &'static str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tuning").join(name);
        let text = std::fs::read_to_string(&path).wrap_err(name)?;
        Ok(Self { name, text })
    }

    /// Puts `new` in the place of `old`, which must stand there once.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn put(&mut self, old: &str, new: &str) -> Result<()> {
        self.put_all(old, new, 1)
    }

    /// Puts `new` in all places of `old`, which must be so many.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) fn put_all(&mut self, old: &str, new: &str, times: usize) -> Result<()> {
        let found = self.text.matches(old).count();
        ensure!(found == times, "{old:?} stands in {} {found} times, not {times}", self.name);
        self.text = self.text.replace(old, new);
        Ok(())
    }

    /// Writes the changed text into this folder.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn write_to(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(self.name);
        std::fs::write(&path, &self.text)?;
        Ok(path)
    }
}

#[test]
fn a_change_that_finds_nothing_or_too_much_is_refused() -> Result<()> {
    let mut file = Shipped { name: "a", text: "listen 80;\nlisten 81;\n".into() };
    ensure!(file.put("listen 82", "x").is_err(), "it is not there");
    ensure!(file.put("listen", "x").is_err(), "it is there twice");
    file.put("listen 80", "listen 8080")?;
    file.put_all("listen", "bind", 2)?;
    ensure!(file.text == "bind 8080;\nbind 81;\n", "{}", file.text);
    Ok(())
}
