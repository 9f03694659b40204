//! Every algorithm on a running server, and what pretends to be another one.

use crate::issuer::{Folder, now_s};
use corecast_tests::raw::RawClient;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "sub": "u1", "exp": now_s() + 600, "topics": { "subscribe": ["chat.*"] }
    })
}

fn signed(algorithm: Algorithm, issuer: &str, key: &EncodingKey) -> Result<String> {
    Ok(jsonwebtoken::encode(&Header::new(algorithm), &claims(issuer), key)?)
}

fn status(server: &TestServer, token: &str) -> Result<u16> {
    let mut client = RawClient::connect(server.address())?;
    let head = client.ask("/ws/chat.a", &[], &[("Authorization", &format!("Bearer {token}"))])?;
    Ok(head.status)
}

#[test]
fn each_key_verifies_its_own_algorithm_and_no_other() -> Result<()> {
    let folder = Folder::new("token-algorithms")?;
    let (rsa, ed, ec) = (
        KeyPair::generate_for(&PKCS_RSA_SHA256)?,
        KeyPair::generate_for(&PKCS_ED25519)?,
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
    );
    let mut config = "[auth]\nmode = \"required\"\n".to_owned();
    for (name, pair) in [("rs", &rsa), ("ed", &ed), ("ec", &ec)] {
        let path = folder.file(&format!("{name}.pem"), &pair.public_key_pem())?;
        config += &format!(
            "[[auth.sources]]\nname = \"{name}\"\nissuer = \"{name}\"\n\
             public_key_file = \"{path}\"\n"
        );
    }
    let secret = folder.file("secret", SECRET)?;
    config +=
        &format!("[[auth.sources]]\nname = \"hs\"\nissuer = \"hs\"\nsecret_file = \"{secret}\"\n");
    let config = folder.file("corecast.toml", &config)?;
    let launch = launch()?.args(["serve", "--listen", "127.0.0.1:0", "--shards", "1"]);
    let server = TestServer::launch(&launch.arg("--config").arg(&config))?;
    let keys = [
        (Algorithm::RS256, "rs", EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes())?),
        (Algorithm::EdDSA, "ed", EncodingKey::from_ed_pem(ed.serialize_pem().as_bytes())?),
        (Algorithm::ES256, "ec", EncodingKey::from_ec_pem(ec.serialize_pem().as_bytes())?),
        (Algorithm::HS256, "hs", EncodingKey::from_secret(SECRET.as_bytes())),
    ];
    for (algorithm, own, key) in &keys {
        for (_, issuer, _) in &keys {
            let found = status(&server, &signed(*algorithm, issuer, key)?)?;
            let expected = if own == issuer { 101 } else { 403 };
            ensure!(found == expected, "{algorithm:?} for {issuer}: {found}");
        }
    }
    // What is public of a key is no secret that signs, in whatever form.
    for (issuer, pair) in [("rs", &rsa), ("ed", &ed), ("ec", &ec)] {
        let pem = pair.public_key_pem();
        for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), pair.public_key_raw()] {
            let forged = signed(Algorithm::HS256, issuer, &EncodingKey::from_secret(secret))?;
            ensure!(status(&server, &forged)? == 403, "{issuer} by its public key");
        }
    }
    let good = signed(Algorithm::HS256, "hs", &keys[3].2)?;
    let (_, rest) = good.split_once('.').unwrap_or_default();
    let (body, _) = rest.split_once('.').unwrap_or_default();
    // {"alg":"none"} and {"alg":"None","typ":"JWT"}
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0"] {
        for signature in ["", "AAAA"] {
            let found = status(&server, &format!("{header}.{body}.{signature}"))?;
            ensure!(found == 403, "alg none: {found}");
        }
    }
    ensure!(status(&server, &good)? == 101);
    server.stop()
}
