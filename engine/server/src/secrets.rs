//! What operators and publishers prove with that they may: tokens, the lines of a file, of which
//! each is good. It is read again at each SIGHUP, so that a token can be replaced by another while
//! both are good.

use crate::auth::read_key;
use crate::cli::exit::{Exit, Failure};
use crate::config::ServerConfig;
use crate::config::shared::Shared;
use crate::denials::Denials;
use corecast_feed::limits::PUBLISHER_TOKEN_BYTES_MAX;
use std::fmt;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tokens of both ways in; and who was not let in elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passes {
    /// Those of `admin.token_file`.
    pub(crate) admin: Secrets,
    /// Those of `ingest.token_file`.
    pub(crate) ingest: Secrets,
    /// Clients that were not let in.
    pub(crate) denials: Arc<Denials>,
}

/// Tokens of which one must be shown; by default nobody is asked for any. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Option<Asked>);

#[derive(Clone, Debug)]
struct Asked {
    key: &'static str,
    path: PathBuf,
    lines: Shared<Lines>,
}

struct Lines(Vec<String>);

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no token.
    Missing,
    /// It is none of those that are good.
    Wrong,
}

impl Passes {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or holds no tokens.
    pub(crate) fn read(config: &ServerConfig, denials: Arc<Denials>) -> Result<Self, Failure> {
        let admin = Secrets::read("admin.token_file", config.admin.token_file.as_deref())?;
        let ingest = Secrets::read("ingest.token_file", config.ingest.token_file.as_deref())?;
        Ok(Self { admin, ingest, denials })
    }

    /// Reads the same files again. What cannot be read changes nothing, and is logged.
    pub(crate) fn reload(&self) {
        for Asked { key, path, lines } in
            [&self.admin, &self.ingest].into_iter().flat_map(|it| &it.0)
        {
            match read(key, path) {
                Ok(new) => lines.set(new),
                Err(message) => tracing::error!("the tokens before stay good: {message}"),
            }
        }
    }
}

impl Secrets {
    fn read(key: &'static str, path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let lines = read(key, path).map_err(|message| Failure::new(Exit::Config, message))?;
        Ok(Self(Some(Asked { key, path: path.to_owned(), lines: Shared::new(lines) })))
    }

    /// Whether a token is asked for.
    pub(crate) fn are_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Judges what somebody shows. How long that takes tells nothing of the tokens but their
    /// lengths.
    ///
    /// # Errors
    ///
    /// When one is asked for, and it is not one of them.
    pub(crate) fn check(&self, token: Option<&str>) -> Result<(), Refused> {
        let Some(Asked { lines, .. }) = &self.0 else { return Ok(()) };
        let token = token.ok_or(Refused::Missing)?;
        let lines = lines.cache();
        // All are compared, whichever it is.
        let good = lines.value().0.iter().fold(false, |good, line| good | is_same(line, token));
        if good { Ok(()) } else { Err(Refused::Wrong) }
    }
}

/// Compares all bytes, wherever they begin to differ.
fn is_same(secret: &str, shown: &str) -> bool {
    let (secret, shown) = (secret.as_bytes(), shown.as_bytes());
    let differ = secret.iter().zip(shown).fold(0, |differ, (a, b)| black_box(differ | (a ^ b)));
    secret.len() == shown.len() && differ == 0
}

/// The tokens of a file: its lines, without those that are empty or begin with `#`.
fn read(key: &str, path: &Path) -> Result<Lines, String> {
    let told = |why: String| format!("{key}, {}: {why}", path.display());
    let content = read_key(path).map_err(told)?;
    let text = String::from_utf8(content).map_err(|_| told("it is not UTF-8".to_owned()))?;
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut tokens = Vec::new();
    for (index, line) in lines {
        let is_token = (TOKEN_BYTES_MIN..=PUBLISHER_TOKEN_BYTES_MAX).contains(&line.len())
            && line.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            return Err(told(format!(
                "line {} is no token: {TOKEN_BYTES_MIN} to {PUBLISHER_TOKEN_BYTES_MAX} characters \
                 of ASCII without spaces, such as `openssl rand -hex 32` makes",
                index + 1
            )));
        }
        tokens.push(line.to_owned());
    }
    if !(1..=TOKENS_MAX).contains(&tokens.len()) {
        let found = tokens.len();
        return Err(told(format!("it has {found} tokens, and should have 1 to {TOKENS_MAX}")));
    }
    Ok(Lines(tokens))
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

/// Characters of a token: fewer could be guessed.
const TOKEN_BYTES_MIN: usize = 16;
/// Tokens of one file.
const TOKENS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> PathBuf {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-secrets-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).expect("written");
        path
    }

    #[test]
    fn each_line_is_good_and_nothing_else_is() {
        let (one, two) = ("0123456789abcdef", "fedcba9876543210-longer");
        let path = file(&format!("# of march\n{one}\r\n\n  {two}\n"));
        let secrets = Secrets::read("admin.token_file", Some(&path)).expect("two tokens");
        assert_eq!([one, two].map(|token| secrets.check(Some(token))), [Ok(()); 2]);
        assert_eq!(secrets.check(None), Err(Refused::Missing));
        let longer = format!("{one}0");
        for bad in ["", &one[..15], &longer, "0123456789abcdeF", "# of march", "1123456789abcdef"] {
            assert_eq!(secrets.check(Some(bad)), Err(Refused::Wrong), "{bad}");
        }
        assert!(!format!("{secrets:?}").contains(one));
        assert_eq!(Secrets::default().check(None), Ok(()));

        // Another takes its place; an empty file, as one that is just being written, does not.
        let passes = Passes { admin: secrets, ..Passes::default() };
        std::fs::write(&path, "").expect("written");
        passes.reload();
        assert_eq!(passes.admin.check(Some(one)), Ok(()));
        std::fs::write(&path, two).expect("written");
        passes.reload();
        let found = [one, two].map(|token| passes.admin.check(Some(token)));
        assert_eq!(found, [Err(Refused::Wrong), Ok(())]);
        std::fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for (content, words) in [
            ("", "0 tokens"),
            ("# only\n", "0 tokens"),
            ("0123456789abcde", "line 1"),
            ("0123456789abcdef\n0123 456789abcdef", "line 2"),
            (&"x".repeat(PUBLISHER_TOKEN_BYTES_MAX + 1), "line 1"),
            (&"0123456789abcdef\n".repeat(TOKENS_MAX + 1), "17 tokens"),
        ] {
            let path = file(content);
            let failure = Secrets::read("ingest.token_file", Some(&path)).expect_err(content);
            std::fs::remove_file(&path).expect("removed");
            let failure = failure.to_string();
            assert!(
                failure.contains("ingest.token_file, ") && failure.contains(words),
                "{failure}"
            );
            assert!(!failure.contains("0123"), "{failure}");
        }
    }
}
