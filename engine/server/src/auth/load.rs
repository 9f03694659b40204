//! Keys from files and variables.

use crate::config::auth::{Place, SourceConfig};
use corecast_gate::KeySet;
use corecast_gate::keys::{Jwks, JwksRules};
use corecast_gate::limits::JWKS_BYTES_MAX;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// The keys of a source that are on this machine; none where they are fetched.
///
/// # Errors
///
/// When they cannot be read, or used; without a word of what they are.
pub(crate) fn load(source: &SourceConfig) -> Result<Option<Arc<KeySet>>, String> {
    let name = &source.name;
    let Some(place) = source.place() else { return Err(format!("the source `{name}` is empty")) };
    let told =
        |why: String| format!("auth source `{name}`, {} {}: {why}", place.key(), place.text());
    let set = match place {
        Place::JwksUrl(_) => return Ok(None),
        Place::SecretFile(path) => {
            let content = read(path, IsSecret::Yes).map_err(told)?;
            KeySet::from_secret(&content, source.secret_encoding)
        }
        Place::SecretVariable(variable) => {
            let value = std::env::var_os(variable).ok_or_else(|| told("it is not set".into()))?;
            KeySet::from_secret(value.as_encoded_bytes(), source.secret_encoding)
        }
        Place::PublicKeyFile(path) => KeySet::from_pem(&read(path, IsSecret::No).map_err(told)?),
        Place::JwksFile(path) => {
            let content = read(path, IsSecret::No).map_err(told)?;
            let rules = JwksRules { algorithms: source.algorithms.clone(), secrets: true };
            Jwks::parse(&content, &rules).map(|jwks| tell_ignored(name, jwks))
        }
    };
    let set = set.map_err(|error| told(error.to_string()))?;
    let other = set.algorithms().into_iter().find(|one| !source.algorithms.contains(one));
    if let Some(other) = other.filter(|_| !source.algorithms.is_empty()) {
        return Err(told(format!("its key is for {other}, which `algorithms` does not name")));
    }
    Ok(Some(Arc::new(set)))
}

/// Says which keys of a set are not used, and gives the others.
pub(super) fn tell_ignored(source: &str, Jwks { set, ignored }: Jwks) -> KeySet {
    for key in &ignored {
        let (index, why) = (key.index, &key.why);
        tracing::info!(source, index, %why, "a key of the set is not used");
    }
    set
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsSecret {
    Yes,
    No,
}

/// Reads the file of a key that signs.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn read_key(path: &Path) -> Result<Vec<u8>, String> {
    read(path, IsSecret::Yes)
}

/// Reads a file, or so much of it that it is seen to be too long.
fn read(path: impl AsRef<Path>, is_secret: IsSecret) -> Result<Vec<u8>, String> {
    let path = path.as_ref();
    let unreadable = |error: std::io::Error| format!("cannot read it: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    // Who can read a shared secret can sign; who can write a key can put his own in its place.
    let mode = metadata.mode();
    if is_secret == IsSecret::Yes && mode & 0o004 != 0 {
        tracing::warn!(?path, mode = format!("{:o}", mode & 0o777), "anybody can read this secret");
    }
    if mode & 0o002 != 0 {
        tracing::warn!(?path, mode = format!("{:o}", mode & 0o777), "anybody can change this key");
    }
    let mut content = Vec::new();
    file.take(JWKS_BYTES_MAX as u64 + 1).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}
