//! The token of a client: read anew for each connection, since tokens end and files are renewed.

use crate::cli::exit::{Exit, Failure};
use corecast_feed::limits::TOKEN_BYTES_MAX;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Where the token is. What it says is shown nowhere.
#[derive(Clone, Debug)]
pub(crate) enum TokenPlace {
    /// In this file, alone.
    File(PathBuf),
    /// In this environment variable.
    Variable(String),
}

impl TokenPlace {
    /// What the options say.
    pub(crate) fn of(file: Option<&PathBuf>, variable: Option<&String>) -> Option<Self> {
        let file = file.cloned().map(Self::File);
        file.or_else(|| variable.cloned().map(Self::Variable))
    }

    /// The value of `Authorization` that it makes.
    ///
    /// # Errors
    ///
    /// When there is no token there.
    pub(crate) fn header(&self) -> Result<HeaderValue, Failure> {
        let value = HeaderValue::from_str(&format!("Bearer {}", self.token()?));
        // A token is ASCII.
        let mut value = value.map_err(|_| Failure::new(Exit::BadData, "a strange token"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The token.
    ///
    /// # Errors
    ///
    /// When there is none there.
    pub(crate) fn token(&self) -> Result<String, Failure> {
        let (place, text) = match self {
            Self::File(path) => {
                let mut text = String::new();
                let read = File::open(path)
                    .and_then(|file| file.take(READ_BYTES_MAX).read_to_string(&mut text));
                read.map_err(|error| {
                    let message = format!("cannot read the token in {}: {error}", path.display());
                    Failure::new(Exit::NoInput, message)
                })?;
                (path.display().to_string(), text)
            }
            Self::Variable(name) => {
                let text = std::env::var(name).map_err(|_| {
                    Failure::with_code(2, format!("--token-env: {name} is not set"))
                })?;
                (name.clone(), text)
            }
        };
        // As the server reads its own: a file in which tokens are exchanged has several lines.
        let is_said = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let token = text.lines().map(str::trim).find(is_said).unwrap_or_default();
        let is_token = !token.is_empty()
            && token.len() <= TOKEN_BYTES_MAX
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            let message = format!("what is in {place} is no token: a line of ASCII without blanks");
            return Err(Failure::new(Exit::BadData, message));
        }
        Ok(token.to_owned())
    }
}

/// A token with what a text editor puts around it.
const READ_BYTES_MAX: u64 = TOKEN_BYTES_MAX as u64 + 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_whole_and_never_shown() {
        let path = std::env::temp_dir().join(format!("corecast-token-{}", std::process::id()));
        let place = TokenPlace::File(path.clone());
        std::fs::write(&path, " a.b-c_d\r\n").expect("written");
        let header = place.header().expect("a token");
        assert_eq!(header.as_bytes(), b"Bearer a.b-c_d");
        assert!(!format!("{header:?}").contains("a.b"));
        std::fs::write(&path, "# new\n\nfirst\nsecond\n").expect("written");
        assert_eq!(place.token().expect("a token"), "first");
        for bad in ["", "\n", "# none", "two words", &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            std::fs::write(&path, bad).expect("written");
            let failure = place.header().expect_err(bad).to_string();
            assert!(bad.is_empty() || !failure.contains(bad.trim()) || bad == "\n", "{failure}");
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(place.header().expect_err("gone").to_string().contains("cannot read"));
        let unset = TokenPlace::Variable("CORECAST_NO_SUCH_TOKEN".to_owned());
        assert!(unset.header().expect_err("unset").to_string().contains("is not set"));
    }
}
