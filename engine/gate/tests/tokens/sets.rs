//! Sets of keys from somebody else: what is passed over, what is refused as a whole.

use crate::issuer::{ISSUERS, base64url, der_of, refused, rules};
use corecast_gate::keys::{Ignored, Jwks, JwksRules, KeyError};
use corecast_gate::limits::{JWKS_BYTES_MAX, JWKS_ENTRIES_MAX, KEYS_MAX};
use corecast_gate::{Algorithm, Source, Verifier};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const FETCHED: JwksRules = JwksRules { algorithms: Vec::new(), secrets: false };

fn parse(keys: &[Value]) -> Result<Jwks, KeyError> {
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes(), &FETCHED)
}

fn with(jwk: &Value, member: &str, value: impl Into<Value>) -> Value {
    let mut jwk = jwk.clone();
    jwk[member] = value.into();
    jwk
}

#[test]
fn keys_for_something_else_are_passed_over() {
    let (rsa, ec, ed) = (ISSUERS.rsa.jwk(), ISSUERS.ec.jwk(), ISSUERS.ed.jwk());
    let weak = der_of(include_str!("keys/rsa_1024.pem"));
    let weak = base64url(&weak[weak.len() - 5 - 128..weak.len() - 5]);
    let long = base64url([0xff; 1_025]);
    for (row, jwk, why) in [
        ("another use", with(&rsa, "use", "enc"), "not for signatures"),
        ("another operation", with(&rsa, "key_ops", json!(["sign"])), "not for signatures"),
        ("no operation", with(&rsa, "key_ops", json!([])), "not for signatures"),
        ("another algorithm", with(&rsa, "alg", "RS512"), "algorithm"),
        ("PSS", with(&rsa, "alg", "PS256"), "algorithm"),
        ("confused", with(&rsa, "alg", "HS256"), "algorithm"),
        ("no algorithm", with(&rsa, "alg", "none"), "algorithm"),
        ("an unknown kind", with(&rsa, "kty", "AKP"), "kind"),
        ("a kind by its case", with(&rsa, "kty", "rsa"), "kind"),
        ("a weak modulus", with(&rsa, "n", weak), "1024 bits"),
        ("a long modulus", with(&rsa, "n", long), "8200 bits"),
        ("an even exponent", with(&rsa, "e", "Ag"), "exponent"),
        ("the exponent 1", with(&rsa, "e", "AQ"), "exponent"),
        ("no exponent", with(&rsa, "e", Value::Null), "missing"),
        ("padding", with(&rsa, "e", "AQAB="), "base64url"),
        ("another curve", with(&ec, "crv", "P-384"), "P-256"),
        ("a curve of Bitcoin", with(&ec, "crv", "secp256k1"), "P-256"),
        ("a short point", with(&ec, "x", "AAAA"), "32 bytes"),
        ("no y", with(&ec, "y", Value::Null), "missing"),
        ("X25519", with(&ed, "crv", "X25519"), "Ed25519"),
        ("a long point", with(&ed, "x", base64url([1; 33])), "32 bytes"),
        ("an odd id", with(&ec, "kid", "../k1"), "kid"),
        ("a long id", with(&ec, "kid", "k".repeat(129)), "kid"),
        ("an id that is none", with(&ec, "kid", 1), "wrong type"),
        ("a secret", json!({ "kty": "oct", "k": base64url([1; 32]) }), "from files alone"),
        ("a text", json!("key"), "wrong type"),
        ("a list", json!(["RSA", "sig"]), "wrong type"),
        ("nothing", json!({}), "lacks"),
    ] {
        let good = with(&ISSUERS.other.jwk(), "kid", "good");
        let Jwks { set, ignored } = parse(&[jwk.clone(), good]).expect(row);
        assert_eq!((set.len(), ignored.len()), (1, 1), "{row}");
        let Ignored { index: 0, why: told } = &ignored[0] else { panic!("{row}: {ignored:?}") };
        assert!(told.contains(why), "{row}: {told}");
        let alone = parse(&[jwk]).expect_err(row).to_string();
        assert!(alone.contains("no key that can be used") && alone.contains(why), "{row}: {alone}");
    }
}

#[test]
fn a_key_may_say_more_than_is_needed() {
    let ec = with(&ISSUERS.ec.jwk(), "alg", "ES256");
    let ec = with(&with(&ec, "x5c", json!(["MIIB"])), "key_ops", json!(["verify"]));
    let text = json!({ "keys": [ec, ISSUERS.rsa.jwk(), ISSUERS.ed.jwk()], "next": null });
    let jwks = Jwks::parse(text.to_string().as_bytes(), &FETCHED).expect("a set");
    assert_eq!((jwks.set.len(), jwks.ignored.len()), (3, 0));
    let only = JwksRules { algorithms: vec![Algorithm::Es256], secrets: false };
    let jwks = Jwks::parse(text.to_string().as_bytes(), &only).expect("a set");
    assert_eq!((jwks.set.algorithms(), jwks.ignored.len()), (vec![Algorithm::Es256], 2));
}

#[test]
fn a_secret_comes_from_a_file_alone_and_is_strong() {
    let file = JwksRules { algorithms: Vec::new(), secrets: true };
    let secret: Vec<u8> = (0..32).collect();
    for (secret, is_good) in [(&secret[..], true), (&secret[..31], false), (&[7; 32][..], false)] {
        let text = json!({ "keys": [{ "kty": "oct", "kid": "s", "k": base64url(secret) }] });
        let read = Jwks::parse(text.to_string().as_bytes(), &file);
        assert_eq!(read.is_ok(), is_good, "{read:?}");
    }
}

#[test]
fn two_keys_of_one_id_are_refused() {
    let error = parse(&[ISSUERS.ec.jwk(), ISSUERS.other.jwk()]).expect_err("k1 twice");
    assert_eq!(error, KeyError::DuplicateKid);
    // A key that is not for signatures may have the name of one that is.
    let enc = with(&ISSUERS.ec.jwk(), "use", "enc");
    assert!(parse(&[enc, ISSUERS.other.jwk()]).is_ok());
}

#[test]
fn a_set_is_bounded_in_bytes_and_in_count() {
    let error = |bytes: &[u8]| Jwks::parse(bytes, &FETCHED).expect_err("no set");
    assert_eq!(error(&vec![b' '; JWKS_BYTES_MAX + 1]), KeyError::SetTooLong);
    let many = json!({ "keys": vec![json!({}); JWKS_ENTRIES_MAX + 1] }).to_string();
    assert_eq!(error(many.as_bytes()), KeyError::TooMany);
    let ed = ISSUERS.ed.jwk();
    let keys = |count: usize| {
        parse(&(0..count).map(|n| with(&ed, "kid", n.to_string())).collect::<Vec<_>>())
    };
    assert_eq!(keys(KEYS_MAX).expect("as many as are allowed").set.len(), KEYS_MAX);
    assert_eq!(keys(KEYS_MAX + 1).expect_err("one more"), KeyError::TooMany);
}

#[test]
fn what_is_no_set_is_refused() {
    let deep = format!("{{\"keys\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let (jwk, array) = (ISSUERS.ec.jwk().to_string(), format!("[[{}]]", ISSUERS.ec.jwk()));
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":null}",
        "<html>",
        &jwk,
        &array,
        &deep,
        "{\"keys\":[],\"keys\":[]}",
        "\u{feff}{\"keys\":[]}",
    ] {
        let error = Jwks::parse(text.as_bytes(), &FETCHED).expect_err(text);
        assert_eq!(error, KeyError::NoSet, "{text}");
    }
    assert_eq!(parse(&[]).expect_err("empty"), KeyError::NoUsableKey("".into()));
}

#[test]
fn a_key_that_is_no_point_or_no_modulus_verifies_nothing() {
    let (rsa, ec, ed) = (&ISSUERS.rsa, &ISSUERS.ec, &ISSUERS.ed);
    let (zeros, ones) = (base64url([0; 32]), base64url([0xff; 32]));
    for (issuer, jwk) in [
        (ec, with(&ec.jwk(), "x", zeros.as_str())),
        (ec, with(&with(&ec.jwk(), "x", zeros.as_str()), "y", zeros.as_str())),
        (ec, with(&ec.jwk(), "y", ones.as_str())),
        (ed, with(&ed.jwk(), "x", ones.as_str())),
        (rsa, with(&rsa.jwk(), "n", base64url([0xff; 256]))),
        (rsa, with(&rsa.jwk(), "n", base64url([0xfe; 1_024]))),
        (rsa, with(&rsa.jwk(), "e", base64url([0xff; 256]))),
    ] {
        let set = parse(std::slice::from_ref(&jwk)).expect("its form is right").set;
        let source = Source::new("idp", None).with_keys(Arc::new(set));
        let verifier = Verifier::new(vec![source], rules()).expect("one source");
        refused(&verifier, &jwk.to_string(), &issuer.token(), "signature");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Jwks::parse(&bytes, &FETCHED).is_err());
    }

    #[test]
    fn any_member_is_read_without_a_panic(
        member in "kty|use|alg|kid|crv|n|e|x|y", text in "[A-Za-z0-9_-]{0,60}|.{0,20}",
    ) {
        for issuer in ISSUERS.trusted().into_iter().filter(|issuer| issuer.kid.is_some()) {
            let _ = parse(&[with(&issuer.jwk(), &member, text.as_str())]);
        }
    }
}
