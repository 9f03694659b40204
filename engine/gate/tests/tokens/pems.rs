//! Keys in files: what is taken, and what is told of the others.

use crate::issuer::{ISSUERS, NOW_S, rules};
use corecast_gate::keys::KeyError;
use corecast_gate::token::{Grant, SigningKey};
use corecast_gate::{Algorithm, KeySet, Rights, Source, Verifier};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use std::sync::Arc;

#[test]
fn a_key_decides_its_algorithm() {
    for (pem, algorithm) in [
        (ISSUERS.rsa.public.as_str(), Algorithm::Rs256),
        (ISSUERS.ec.public.as_str(), Algorithm::Es256),
        (ISSUERS.ed.public.as_str(), Algorithm::EdDsa),
        (include_str!("keys/rsa_2048.pem"), Algorithm::Rs256),
        (include_str!("keys/rsa_pkcs1.pem"), Algorithm::Rs256),
    ] {
        let set = KeySet::from_pem(pem.as_bytes()).expect("a public key");
        assert_eq!((set.len(), set.algorithms()), (1, vec![algorithm]), "{pem}");
        let with_line_ends = pem.replace('\n', "\r\n");
        assert!(KeySet::from_pem(with_line_ends.as_bytes()).is_ok());
    }
}

#[test]
fn a_key_that_is_weak_or_of_another_kind_is_told_apart() {
    let private = KeyPair::generate_for(&PKCS_ED25519).expect("a key").serialize_pem();
    let two = format!("{}{}", ISSUERS.ec.public, ISSUERS.ed.public);
    let broken = ISSUERS.ec.public.replace("MFk", "MFj");
    let old = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n";
    for (row, pem, error) in [
        ("RSA-1024", include_str!("keys/rsa_1024.pem"), KeyError::RsaBits(1_024)),
        ("P-384", include_str!("keys/p384.pem"), KeyError::Curve),
        ("secp256k1", include_str!("keys/secp256k1.pem"), KeyError::Curve),
        ("a compressed point", include_str!("keys/p256_compressed.pem"), KeyError::Curve),
        ("Ed448", include_str!("keys/ed448.pem"), KeyError::NoPublicKey),
        ("a certificate", include_str!("keys/certificate.pem"), KeyError::Certificate),
        ("a private key", &private, KeyError::PrivateKey),
        ("a private key of old", old, KeyError::PrivateKey),
        ("two keys", &two, KeyError::SeveralKeys),
        ("broken", &broken, KeyError::NoPublicKey),
        ("a text", "secret", KeyError::NoPublicKey),
        ("nothing", "", KeyError::NoPublicKey),
        ("a label alone", "-----BEGIN PUBLIC KEY-----", KeyError::NoPublicKey),
        ("too long", &"A".repeat(20_000), KeyError::TooLong),
    ] {
        assert_eq!(KeySet::from_pem(pem.as_bytes()).expect_err(row), error, "{row}");
    }
    assert_eq!(KeySet::from_pem(b"\xff\xfe").expect_err("bytes"), KeyError::NoPublicKey);
}

#[test]
fn what_is_refused_is_not_repeated() {
    let private = KeyPair::generate_for(&PKCS_ED25519).expect("a key").serialize_pem();
    let body = private.lines().nth(1).expect("a body");
    let told = KeySet::from_pem(private.as_bytes()).expect_err("private").to_string();
    assert!(!told.contains(body) && told.contains("openssl pkey"), "{told}");
}

#[test]
fn what_is_signed_with_a_private_key_is_verified_with_its_public_one() {
    for kind in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let pair = KeyPair::generate_for(kind).expect("a key");
        let key = SigningKey::from_pem(pair.serialize_pem().as_bytes()).expect("a private key");
        let set = KeySet::from_pem(pair.public_key_pem().as_bytes()).expect("a public key");
        assert_eq!(set.algorithms(), [key.algorithm()]);
        let source = Source::new("own", None).with_keys(Arc::new(set));
        let verifier = Verifier::new(vec![source], rules()).expect("one source");
        let grant = Grant {
            sub: Some("u1".into()),
            aud: vec!["corecast".into()],
            exp: Some(NOW_S + 1),
            topics: Some(Rights { publish: vec!["chat.>".into()], ..Rights::default() }),
            ..Grant::default()
        };
        let token = key.sign(Some("any"), &grant).expect("a token");
        let identity = verifier.verify(&token, NOW_S).expect("a good token");
        assert!(identity.permissions.may_publish("chat.lobby"));
    }
    for pem in ["", "secret", &ISSUERS.rsa.public, &ISSUERS.ed.public] {
        assert!(SigningKey::from_pem(pem.as_bytes()).is_err(), "{pem}");
    }
}
