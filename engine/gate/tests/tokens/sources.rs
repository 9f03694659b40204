//! Whose keys are asked, and what happens where they are not there, or change.

use crate::issuer::{ISSUERS, Issuer, NOW_S, refused, rules, verifier};
use corecast_gate::keys::{Jwks, JwksRules};
use corecast_gate::token::SourceError;
use corecast_gate::{Denied, KeySet, Source, TokenRules, Verifier};
use serde_json::json;
use std::sync::Arc;

fn set_of(issuers: &[&Issuer]) -> Arc<KeySet> {
    let keys: Vec<_> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    let rules = JwksRules { algorithms: Vec::new(), secrets: false };
    let text = json!({ "keys": keys }).to_string();
    Arc::new(Jwks::parse(text.as_bytes(), &rules).expect("a set").set)
}

#[test]
fn a_source_without_keys_is_unavailable_and_the_others_go_on() {
    let without = verifier().with_keys("ec.example", None);
    refused(&without, "no keys", &ISSUERS.ec.token(), "unavailable");
    let error = without.verify(&ISSUERS.ec.token(), NOW_S).expect_err("no keys");
    assert_eq!((error.status(), error.close_code()), (503, 1013));
    assert!(without.verify(&ISSUERS.other.token(), NOW_S).is_ok());
    let again = without.with_keys("ec.example", Some(ISSUERS.ec.keys()));
    assert!(again.verify(&ISSUERS.ec.token(), NOW_S).is_ok());
}

#[test]
fn keys_that_were_replaced_verify_nothing() {
    let source = Source::new("idp", None).with_keys(set_of(&[&ISSUERS.ec]));
    let before = Verifier::new(vec![source], rules()).expect("one source");
    assert!(before.verify(&ISSUERS.ec.token(), NOW_S).is_ok());
    let after = before.with_keys("idp", Some(set_of(&[&ISSUERS.rsa])));
    refused(&after, "an old key", &ISSUERS.ec.token(), "unknown_key");
    assert!(after.verify(&ISSUERS.rsa.token(), NOW_S).is_ok());
    assert!(before.verify(&ISSUERS.ec.token(), NOW_S).is_ok(), "who has it goes on with it");
    let same = after.with_keys("nobody", None);
    assert!(same.verify(&ISSUERS.rsa.token(), NOW_S).is_ok());
}

#[test]
fn nobody_is_trusted_where_there_is_no_source() {
    let nobody = Verifier::new(Vec::new(), TokenRules::default()).expect("no sources");
    refused(&nobody, "no source", &ISSUERS.ec.token(), "issuer");
}

#[test]
fn a_lone_source_takes_any_issuer_only_if_it_names_none() {
    let any = Source::new("idp", None).with_keys(ISSUERS.ec.keys());
    let any = Verifier::new(vec![any], rules()).expect("one source");
    assert!(any.verify(&ISSUERS.ec.claiming("iss", None), NOW_S).is_ok());
    let named = Source::new("idp", Some("https://ec.example")).with_keys(ISSUERS.ec.keys());
    let named = Verifier::new(vec![named], rules()).expect("one source");
    assert!(named.verify(&ISSUERS.ec.token(), NOW_S).is_ok());
    refused(&named, "no iss", &ISSUERS.ec.claiming("iss", None), "issuer");
    let other = ISSUERS.ec.claiming("iss", Some("https://other.example".into()));
    refused(&named, "another iss", &other, "issuer");
}

#[test]
fn sources_that_cannot_be_told_apart_are_refused() {
    let source = |name: &str, issuer: Option<&str>| Source::new(name, issuer);
    let error = |sources| Verifier::new(sources, rules()).expect_err("not in order");
    let no_issuer = error(vec![source("a", Some("https://a")), source("b", None)]);
    assert_eq!(no_issuer, SourceError::NoIssuer("b".into()));
    let same = error(vec![source("a", Some("https://a")), source("b", Some("https://a"))]);
    assert_eq!(same, SourceError::SameIssuer("b".into()));
    let twice = error(vec![source("a", Some("https://a")), source("a", Some("https://b"))]);
    assert_eq!(twice, SourceError::SameName("a".into()));
    let colon = error(vec![source("a:b", None)]);
    assert_eq!(colon, SourceError::Name("a:b".into()));
    let names: Vec<_> = (0..17).map(|n| n.to_string()).collect();
    assert_eq!(error(names.iter().map(|n| source(n, Some(n))).collect()), SourceError::TooMany);
}

#[test]
fn one_name_of_two_issuers_is_two_users() {
    let of = |name: &str, issuer: &Issuer| {
        Source::new(name, Some(issuer.iss)).with_keys(set_of(&[issuer]))
    };
    let user = |verifier: &Verifier, token: String| {
        verifier.verify(&token, NOW_S).map(|identity| identity.user.unwrap_or_default())
    };
    let alone = Verifier::new(vec![of("ec", &ISSUERS.ec)], rules()).expect("one source");
    assert_eq!(user(&alone, ISSUERS.ec.token()), Ok("u1".into()));
    let both = vec![of("ec", &ISSUERS.ec), of("rsa", &ISSUERS.rsa)];
    let both = Verifier::new(both, rules()).expect("two sources");
    assert_eq!(user(&both, ISSUERS.ec.token()), Ok("ec:u1".into()));
    assert_eq!(user(&both, ISSUERS.rsa.token()), Ok("rsa:u1".into()));
    // Nobody takes another's name by writing the colon himself.
    assert_eq!(
        user(&both, ISSUERS.ec.claiming("sub", Some("rsa:u1".into()))),
        Ok("ec:rsa:u1".into())
    );
    assert_eq!(user(&both, ISSUERS.ec.claiming("sub", None)), Ok("".into()), "no name is none");
    let long = |bytes| ISSUERS.ec.claiming("sub", Some("x".repeat(bytes).into()));
    assert!(user(&both, long(125)).is_ok() && user(&alone, long(128)).is_ok());
    refused(&both, "a name that is too long with its source's", &long(126), "claim");
}

#[test]
fn a_token_without_a_key_id_means_the_only_key_that_it_can() {
    let nameless = |issuer: &Issuer| {
        let mut header = issuer.header();
        header.as_object_mut().expect("an object").remove("kid");
        issuer.sign(header.to_string(), issuer.claims().to_string())
    };
    let with = |keys| {
        let source = Source::new("idp", None).with_keys(keys);
        Verifier::new(vec![source], rules()).expect("one source")
    };
    let one_of_each = with(set_of(&[&ISSUERS.rsa, &ISSUERS.ec]));
    assert!(one_of_each.verify(&nameless(&ISSUERS.ec), NOW_S).is_ok());
    assert!(one_of_each.verify(&nameless(&ISSUERS.rsa), NOW_S).is_ok());
    refused(&one_of_each, "none of that kind", &nameless(&ISSUERS.ed), "unknown_key");
    let mut second = ISSUERS.other.jwk();
    second["kid"] = "k2".into();
    let two = json!({ "keys": [ISSUERS.ec.jwk(), second] }).to_string();
    let rules = JwksRules { algorithms: Vec::new(), secrets: false };
    let two = Jwks::parse(two.as_bytes(), &rules).expect("two keys").set;
    let error = with(Arc::new(two)).verify(&nameless(&ISSUERS.ec), NOW_S).expect_err("which?");
    assert_eq!(error, Denied::UnknownKey { source: "idp".into(), kid: None });
    // A key of its own file has no name: tokens may call it what they like.
    let pem = KeySet::from_pem(ISSUERS.ec.public.as_bytes()).expect("a key");
    let pem = with(Arc::new(pem));
    assert!(pem.verify(&ISSUERS.ec.token(), NOW_S).is_ok());
    assert!(pem.verify(&nameless(&ISSUERS.ec), NOW_S).is_ok());
    refused(&pem, "another key", &ISSUERS.other.token(), "signature");
    refused(&pem, "another kind", &ISSUERS.rsa.token(), "algorithm");
}

#[test]
fn a_token_may_have_no_end_only_where_that_is_allowed() {
    let without = ISSUERS.hs.claiming("exp", None);
    let source = Source::new("hs", None).with_keys(ISSUERS.hs.keys());
    let lenient = TokenRules { expiry_required: false, ..rules() };
    let verifier = Verifier::new(vec![source], lenient).expect("one source");
    assert_eq!(verifier.verify(&without, NOW_S).expect("no end").expires_at_s, None);
    let past = ISSUERS.hs.claiming("exp", Some((NOW_S - 1).into()));
    refused(&verifier, "an end is an end", &past, "expired");
}

#[test]
fn what_is_logged_of_keys_tells_none() {
    let shown = format!("{:?}", verifier());
    let secret = String::from_utf8_lossy(crate::issuer::SECRET).into_owned();
    assert!(!shown.contains(&secret) && shown.contains("HS256"), "{shown}");
}
