//! Keys that are on this machine.

use super::super::{Auth, load};
use super::idp::Key;
use crate::config::auth::{AuthConfig, AuthMode, SourceConfig};
use crate::config::origin::OriginConfig;
use corecast_gate::Algorithm;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory of this test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("corecast-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn source(set: impl FnOnce(&mut SourceConfig)) -> SourceConfig {
    let mut source = SourceConfig { name: "own".to_owned(), ..SourceConfig::default() };
    set(&mut source);
    source
}

fn required(source: SourceConfig) -> AuthConfig {
    AuthConfig { mode: AuthMode::Required, sources: vec![source], ..AuthConfig::default() }
}

#[test]
fn keys_of_every_kind_are_read() {
    let folder = Folder::new("kinds");
    let (key, secret) = (Key::new("k1"), "0123456789abcdef0123456789abcdef");
    let set = json!({ "keys": [key.jwk()] }).to_string();
    let secret = folder.file("secret", format!("{secret}\n"));
    let (pem, jwks) = (folder.file("key.pem", key.public_pem()), folder.file("jwks.json", set));
    for (source, algorithm) in [
        (source(|it| it.secret_file = secret), Algorithm::Hs256),
        (source(|it| it.public_key_file = pem), Algorithm::EdDsa),
        (source(|it| it.jwks_file = jwks), Algorithm::EdDsa),
    ] {
        let keys = load(&source).expect("keys").expect("on this machine");
        assert_eq!(keys.algorithms(), [algorithm]);
    }
}

#[test]
fn what_cannot_be_used_names_its_key_and_nothing_of_it() {
    let folder = Folder::new("bad");
    let short = folder.file("short", "swordfish");
    let pem = folder.file("key.pem", Key::new("k1").public_pem());
    let directory = folder.0.to_str().expect("UTF-8").to_owned();
    for (source, parts) in [
        (source(|it| it.secret_file = "no/such/file".into()), ["secret_file", "cannot read it"]),
        (source(|it| it.secret_file = short.clone()), ["secret_file", "9 bytes"]),
        (source(|it| it.secret_file = pem.clone()), ["secret_file", "public_key_file"]),
        (source(|it| it.secret_file = directory), ["secret_file", "no file"]),
        (source(|it| it.secret_env = "CORECAST_NO_SUCH".into()), ["secret_env", "not set"]),
        (source(|it| it.public_key_file = short.clone()), ["public_key_file", "no public key"]),
        (source(|it| it.jwks_file = short), ["jwks_file", "no JWK set"]),
        (
            source(|it| (it.public_key_file, it.algorithms) = (pem, vec![Algorithm::Rs256])),
            ["public_key_file", "EdDSA"],
        ),
    ] {
        let told = load(&source).expect_err("bad");
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        assert!(told.contains("`own`") && !told.contains("swordfish"), "{told}");
    }
}

#[test]
fn a_file_that_is_broken_leaves_the_keys_as_they_are() {
    let folder = Folder::new("again");
    let (old, new) = (Key::new("k1"), Key::new("k2"));
    let path = folder.file("key.pem", old.public_pem());
    let (config, origin) = (required(source(|it| it.public_key_file = path)), Default::default());
    let auth = Auth::new(&config, &origin).expect("settings");
    let mut gatekeeper = auth.gatekeeper();
    assert_eq!(gatekeeper.verify(&old.token()).expect_err("not read").name(), "unavailable");
    auth.load(&config, &origin).expect("a key");
    assert!(gatekeeper.verify(&old.token()).is_ok());
    folder.file("key.pem", "broken");
    assert!(auth.load(&config, &origin).is_err());
    assert!(gatekeeper.verify(&old.token()).is_ok());
    folder.file("key.pem", new.public_pem());
    auth.load(&config, &origin).expect("another key");
    assert_eq!(gatekeeper.verify(&old.token()).expect_err("replaced").name(), "signature");
    assert!(gatekeeper.verify(&new.token()).is_ok());
}

#[test]
fn origins_are_judged_by_what_is_configured_now() {
    let (auth, mut origin) = (AuthConfig::default(), OriginConfig::default());
    let kept = Auth::new(&auth, &origin).expect("settings");
    let mut gatekeeper = kept.gatekeeper();
    let page = Some("https://app.example");
    assert!(gatekeeper.check_origin(page, Some("127.0.0.1:9001"), false).is_err());
    assert!(gatekeeper.check_origin(None, Some("127.0.0.1:9001"), false).is_ok());
    origin.allow = vec!["https://app.example".to_owned()];
    kept.load(&auth, &origin).expect("settings");
    assert!(gatekeeper.check_origin(page, Some("127.0.0.1:9001"), false).is_ok());
}

#[test]
fn settings_never_hold_a_secret() {
    let folder = Folder::new("secrets");
    let secret = "a secret that nobody reads in any log";
    let path = folder.file("secret", secret);
    let config = required(source(|it| it.secret_file = path));
    let auth = Auth::new(&config, &OriginConfig::default()).expect("settings");
    auth.load(&config, &OriginConfig::default()).expect("a secret");
    let shown = format!("{auth:?} {config:?} {}", toml::to_string(&config).expect("TOML"));
    assert!(!shown.contains(secret) && !shown.contains("97, 32, 115"), "{shown}");
    assert!(Path::new(&config.sources[0].secret_file).exists());
}
