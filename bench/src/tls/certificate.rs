//! A certificate for one measurement.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, eyre};
use rcgen::{CertifiedKey, generate_simple_self_signed};

/// The name of the certificate's file in its folder.
pub const CHAIN: &str = "chain.pem";

/// A certificate for `localhost` and `127.0.0.1` that signs itself, on ECDSA P-256 as most are,
/// and its key: two files in a folder of somebody else's, who removes them.
#[derive(Debug, Clone)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Makes one and writes it into `folder`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write(folder: &Path) -> Result<Self> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
        let (chain, key) = (folder.join(CHAIN), folder.join("key.pem"));
        let write = |file: &Path, text: String| {
            std::fs::write(file, text).wrap_err_with(|| format!("cannot write {}", file.display()))
        };
        write(&chain, cert.pem())?;
        write(&key, signing_key.serialize_pem())?;
        Ok(Self { chain, key })
    }

    /// What corecast's configuration says to use it: on a further address, or on the one that it
    /// listens on.
    ///
    /// # Errors
    /// When the folder's name is no text.
    pub fn settings(&self, listen: Option<SocketAddr>) -> Result<String> {
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| eyre!("{path:?}"));
        let (chain, key) = (text(&self.chain)?, text(&self.key)?);
        let listen = listen.map_or_else(String::new, |at| format!("[tls]\nlisten = \"{at}\"\n"));
        Ok(format!("{listen}\n[[tls.certificates]]\nchain = {chain:?}\nkey = {key:?}\n"))
    }
}
