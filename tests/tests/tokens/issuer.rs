//! An issuer with a key set on loopback.

use eyre::{Result, eyre};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// A key on P-256.
pub(crate) struct Key {
    kid: String,
    pair: KeyPair,
}

impl Key {
    pub(crate) fn new(kid: &str) -> Result<Self> {
        Ok(Self { kid: kid.to_owned(), pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)? })
    }

    pub(crate) fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    pub(crate) fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// A token of a user who may subscribe to everything, for an hour.
    pub(crate) fn token(&self) -> Result<String> {
        let exp = now_s() + 3_600;
        let claims = json!({ "sub": "u1", "exp": exp, "topics": { "subscribe": [">"] } });
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        let key = EncodingKey::from_ec_pem(self.private_pem().as_bytes())?;
        Ok(jsonwebtoken::encode(&header, &claims, &key)?)
    }

    fn jwk(&self) -> Result<Value> {
        let key = EncodingKey::from_ec_pem(self.private_pem().as_bytes())?;
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256)?)?;
        jwk["kid"] = self.kid.as_str().into();
        Ok(jwk)
    }
}

/// A server of a key set, for as long as the test runs.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    body: Arc<Mutex<String>>,
    hits: Arc<AtomicUsize>,
}

impl Issuer {
    pub(crate) fn start(at: &str, keys: &[&Key]) -> Result<Self> {
        Self::start_on(at, keys, None)
    }

    /// The same over TLS, where there is a configuration of it.
    pub(crate) fn start_on(
        at: &str,
        keys: &[&Key],
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(at)?;
        let address = listener.local_addr()?;
        let (body, hits) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
        let (shared, counted) = (Arc::clone(&body), Arc::clone(&hits));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let body = shared.lock().map(|body| body.clone()).unwrap_or_default();
                // Who goes away before the answer gets none, nor does who trusts nobody.
                let _ = match &tls {
                    None => answer(stream, &body),
                    Some(tls) => ServerConnection::new(Arc::clone(tls))
                        .map_err(Into::into)
                        .and_then(|tls| answer(StreamOwned::new(tls, stream), &body)),
                };
            }
        });
        let this = Self { address, body, hits };
        this.set(keys)?;
        Ok(this)
    }

    pub(crate) fn set(&self, keys: &[&Key]) -> Result<()> {
        let keys = keys.iter().map(|key| key.jwk()).collect::<Result<Vec<_>>>()?;
        let mut body = self.body.lock().map_err(|_| eyre!("the issuer panicked"))?;
        *body = json!({ "keys": keys }).to_string();
        Ok(())
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// The settings of a server that trusts it.
    pub(crate) fn settings(address: SocketAddr) -> String {
        format!(
            "[auth]\nmode = \"required\"\n[[auth.sources]]\nname = \"idp\"\n\
             jwks_url = \"http://{address}/jwks\"\n"
        )
    }
}

/// The time, in seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn answer(stream: impl Read + Write, body: &str) -> Result<()> {
    let mut reader = BufReader::new(stream);
    for line in reader.by_ref().lines() {
        if line?.is_empty() {
            break;
        }
    }
    let mut stream = reader.into_inner();
    let bytes = body.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    write!(stream, "{head}\r\ncontent-length: {bytes}\r\n\r\n{body}")?;
    Ok(stream.flush()?)
}

/// A directory of one test, which goes with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("corecast-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> Result<String> {
        let path = self.path().join(name);
        std::fs::write(&path, content)?;
        path.into_os_string().into_string().map_err(|path| eyre!("{path:?} is not UTF-8"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
