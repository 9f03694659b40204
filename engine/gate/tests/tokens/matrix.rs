//! The matrix: tokens that were forged, changed, or are for another time or place.

use crate::issuer::{ISSUERS, Issuer, NOW_S, base64url, refused, rules, verifier};
use corecast_gate::limits::{TIME_S_MAX, TOKEN_BYTES_MAX};
use corecast_gate::{Denied, TokenRules, Verifier};
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn a_good_token_of_each_algorithm_is_taken() {
    for issuer in ISSUERS.trusted() {
        let identity = verifier().verify(&issuer.token(), NOW_S).expect(issuer.iss);
        // There are several sources: the name is that of one of them.
        assert!(identity.user.is_some_and(|user| user.ends_with(":u1")), "{}", issuer.iss);
        assert_eq!(identity.expires_at_s, Some(NOW_S + 60));
        assert!(identity.permissions.may_subscribe("quote.BTC@100ms"));
        assert!(!identity.permissions.may_publish("quote.BTC"));
    }
}

#[test]
fn the_header_chooses_no_algorithm() {
    let verifier = verifier();
    for issuer in ISSUERS.trusted() {
        for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "RS512", "PS256", "ES384"]
        {
            let row = format!("{} {alg}", issuer.iss);
            refused(&verifier, &row, &issuer.heading("alg", alg.into()), "algorithm");
            // Unsigned, as `none` is.
            let header = json!({ "alg": alg, "kid": issuer.kid }).to_string();
            let unsigned =
                format!("{}.{}.", base64url(header), base64url(issuer.claims().to_string()));
            refused(&verifier, &row, &unsigned, "malformed");
            refused(&verifier, &row, &format!("{unsigned}AA"), "algorithm");
        }
        for other in ISSUERS.trusted().into_iter().filter(|it| it.algorithm != issuer.algorithm) {
            let row = format!("{} says {:?}", issuer.iss, other.algorithm);
            let alg = format!("{:?}", other.algorithm);
            refused(&verifier, &row, &issuer.heading("alg", alg.into()), "algorithm");
        }
        for alg in [Value::Null, json!(1), json!(["HS256"]), json!({ "alg": "HS256" })] {
            refused(&verifier, issuer.iss, &issuer.heading("alg", alg), "malformed");
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let verifier = verifier();
    for issuer in [&ISSUERS.rsa, &ISSUERS.ec, &ISSUERS.ed] {
        let pem = issuer.public.clone().into_bytes();
        let der = crate::issuer::der_of(&issuer.public);
        let jwk = issuer.jwk().to_string().into_bytes();
        for secret in [&pem[..], pem.trim_ascii_end(), &der, &jwk, b""] {
            let forger = Issuer {
                key: EncodingKey::from_secret(secret),
                algorithm: Algorithm::HS256,
                public: String::new(),
                ..*issuer
            };
            refused(&verifier, "HS with what is public", &forger.token(), "algorithm");
            // The header tells the truth about the key, and the signature does not fit it.
            let alg = format!("{:?}", issuer.algorithm);
            refused(&verifier, "a MAC", &forger.heading("alg", alg.into()), "signature");
        }
    }
}

#[test]
fn a_key_id_leads_nowhere() {
    let (verifier, ec) = (verifier(), &ISSUERS.ec);
    for kid in ["k2", "K1", "r1", "e1", "k1.pem", "https://evil.example/jwks.json"] {
        refused(&verifier, kid, &ec.heading("kid", kid.into()), "unknown_key");
    }
    let long = "k".repeat(129);
    for kid in [
        "",
        " k1",
        "k1 ",
        "k1\0",
        "k1\n",
        "../k1",
        "../../../../dev/null",
        "/dev/null",
        "k1/../k1",
        "%2e%2e/k1",
        "k1' OR '1'='1",
        "k1\" | id",
        "$(id)",
        "k1;",
        "ключ",
        &long,
    ] {
        refused(&verifier, kid, &ec.heading("kid", kid.into()), "malformed");
    }
    for kid in [json!(1), json!(["k1"]), json!({}), json!(true)] {
        refused(&verifier, "no text", &ec.heading("kid", kid), "malformed");
    }
    let error = verifier.verify(&ec.heading("kid", "k2".into()), NOW_S).expect_err("unknown");
    let asks = Denied::UnknownKey { source: "ec.example".into(), kid: Some("k2".into()) };
    assert_eq!(error, asks, "a refresh of that source and of no other");
}

#[test]
fn a_key_of_one_issuer_signs_nothing_of_another() {
    let verifier = verifier();
    // The same id, the same curve: only whose key it is differs.
    for (signer, claimed) in [
        (&ISSUERS.ec, &ISSUERS.other),
        (&ISSUERS.other, &ISSUERS.ec),
        (&ISSUERS.stranger, &ISSUERS.ec),
    ] {
        refused(&verifier, "iss", &signer.claiming("iss", Some(claimed.iss.into())), "signature");
    }
    refused(&verifier, "a stranger", &ISSUERS.stranger.token(), "issuer");
    let (ec, with_slash) = (&ISSUERS.ec, "https://ec.example/");
    for iss in [with_slash, "https://EC.example", "https://ec.example.evil", "ec.example", ""] {
        refused(&verifier, iss, &ec.claiming("iss", Some(iss.into())), "issuer");
    }
    refused(&verifier, "no iss", &ec.claiming("iss", None), "issuer");
    refused(&verifier, "null", &ec.claiming("iss", Some(Value::Null)), "issuer");
    for iss in [json!([ec.iss]), json!(1), json!({ "a": ec.iss })] {
        refused(&verifier, "no text", &ec.claiming("iss", Some(iss)), "malformed");
    }
}

#[test]
fn a_header_brings_no_key_along() {
    let (verifier, stranger) = (verifier(), &ISSUERS.stranger);
    let mut claims = stranger.claims();
    claims["iss"] = ISSUERS.ec.iss.into();
    for (member, value) in [
        ("jwk", stranger.jwk()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = stranger.header();
        header[member] = value;
        let token = stranger.sign(header.to_string(), claims.to_string());
        refused(&verifier, member, &token, "signature");
    }
}

#[test]
fn what_a_header_demands_and_nobody_understands_is_refused() {
    let (verifier, ec) = (verifier(), &ISSUERS.ec);
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), Value::Null, json!("x")] {
        refused(&verifier, "crit", &ec.heading("crit", crit), "malformed");
    }
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "", "application/", "jwt2"] {
        refused(&verifier, typ, &ec.heading("typ", typ.into()), "malformed");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "Application/JWT"] {
        assert!(verifier.verify(&ec.heading("typ", typ.into()), NOW_S).is_ok(), "{typ}");
    }
}

#[test]
fn a_token_has_three_whole_parts() {
    let (verifier, ec) = (verifier(), &ISSUERS.ec);
    let good = ec.token();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let short = &signature[..signature.len() - 4];
    for (row, token, reason) in [
        ("empty", String::new(), "malformed"),
        ("dots", "..".to_owned(), "malformed"),
        ("one part", header.to_owned(), "malformed"),
        ("two parts", format!("{header}.{payload}"), "malformed"),
        ("no signature", format!("{header}.{payload}."), "malformed"),
        ("no payload", format!("{header}..{signature}"), "malformed"),
        ("no header", format!(".{payload}.{signature}"), "malformed"),
        ("a fourth part", format!("{good}.{signature}"), "malformed"),
        ("five parts, as JWE has", format!("{good}.a.b"), "malformed"),
        ("a dot behind", format!("{good}."), "malformed"),
        ("a space before", format!(" {good}"), "malformed"),
        ("a line end behind", format!("{good}\n"), "signature"),
        ("padding", format!("{good}=="), "signature"),
        ("truncated", format!("{header}.{payload}.{short}"), "signature"),
        ("longer", format!("{good}AAAA"), "signature"),
        ("swapped", format!("{payload}.{header}.{signature}"), "malformed"),
        ("a zero", format!("{header}\0.{payload}.{signature}"), "malformed"),
        ("too long", format!("{good}.{}", "A".repeat(TOKEN_BYTES_MAX)), "too_long"),
        ("standard base64", format!("{}.{payload}.{signature}", "+/+/"), "malformed"),
    ] {
        refused(&verifier, row, &token, reason);
    }
    let huge = ec.claiming("x", Some("A".repeat(TOKEN_BYTES_MAX).into()));
    refused(&verifier, "huge and signed", &huge, "too_long");
    for issuer in ISSUERS.trusted() {
        assert_only_one_text_verifies(&verifier, issuer);
    }
}

/// base64 has several texts for one signature where bits are left over: only one of them is taken.
fn assert_only_one_text_verifies(verifier: &Verifier, issuer: &Issuer) {
    let good = issuer.token();
    let (start, last) = good.split_at(good.len() - 1);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let taken = letters
        .chars()
        .filter(|letter| verifier.verify(&format!("{start}{letter}"), NOW_S).is_ok());
    assert_eq!(taken.collect::<String>(), last, "{}", issuer.iss);
}

#[test]
fn a_payload_is_an_object_that_says_each_thing_once() {
    let (verifier, hs) = (verifier(), &ISSUERS.hs);
    let header = hs.header().to_string();
    let (iss, exp) = (hs.iss, NOW_S + 60);
    let good = format!("\"iss\":\"{iss}\",\"aud\":\"corecast\",\"exp\":{exp}");
    assert!(verifier.verify(&hs.sign(&header, format!("{{{good}}}")), NOW_S).is_ok());
    let deep =
        |claim: &str| format!("{{{good},\"{claim}\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000));
    let passed_over = hs.sign(&header, deep("x"));
    assert!(verifier.verify(&passed_over, NOW_S).is_ok(), "nobody descends where nothing is");
    let twice = |more: &str| format!("{{{good},{more}}}");
    for payload in [
        String::new(),
        "null".to_owned(),
        "1".to_owned(),
        format!("\"{iss}\""),
        // As serde reads a struct from a list.
        format!("[\"{iss}\",\"u1\",\"corecast\",{exp}]"),
        format!("[{{{good}}}]"),
        format!("{{{good}"),
        format!("{{{good}}}{{}}"),
        format!("{{{good},}}"),
        format!("\u{feff}{{{good}}}"),
        format!("{{{good}}}\0"),
        twice("\"exp\":9999999999"),
        twice("\"\\u0065xp\":9999999999"),
        twice(&format!("\"iss\":\"{iss}\"")),
        twice("\"iss\":\"https://ec.example\""),
        twice("\"aud\":\"corecast\""),
        twice("\"sub\":\"a\",\"sub\":\"b\""),
        twice("\"nbf\":1,\"nbf\":2"),
        twice("\"topics\":{},\"topics\":{}"),
        twice("\"topics\":{\"subscribe\":[],\"subscribe\":[\">\"]}"),
        deep("topics"),
        deep("aud"),
    ] {
        refused(&verifier, &payload, &hs.sign(&header, &payload), "malformed");
    }
    let broken = hs.sign(&header, [b"{\"iss\":\"".as_slice(), b"\xff\"}"].concat());
    refused(&verifier, "no UTF-8", &broken, "malformed");
    let (start, end) = header.split_at(1);
    let header = format!("{start}\"alg\":\"none\",{end}");
    refused(&verifier, "alg twice", &hs.sign(header, format!("{{{good}}}")), "malformed");
}

#[test]
fn a_time_is_a_time() {
    let (verifier, hs) = (verifier(), &ISSUERS.hs);
    let is = |claim: &str, value: Value, reason: &str| {
        let row = format!("{claim} {value}");
        refused(&verifier, &row, &hs.claiming(claim, Some(value)), reason);
    };
    for exp in [json!(NOW_S), json!(NOW_S - 1), json!(0), json!(NOW_S as f64 + 0.9), json!(-0.0)] {
        is("exp", exp, "expired");
    }
    let beyond = [json!(TIME_S_MAX + 1), json!(i64::MAX), json!(u64::MAX), json!(1e300)];
    let below = [json!(-1), json!(i64::MIN), json!(-1.5), json!(-1e300)];
    for value in beyond.into_iter().chain(below) {
        is("exp", value.clone(), "claim");
        is("nbf", value, "claim");
    }
    for value in [json!("9999999999"), json!(true), json!([9_999_999_999_i64]), json!({})] {
        is("exp", value.clone(), "malformed");
        is("nbf", value, "malformed");
    }
    is("exp", Value::Null, "claim");
    refused(&verifier, "no exp", &hs.claiming("exp", None), "claim");
    // No number of JSON, or none that fits one.
    for exp in ["1e400", "NaN", "Infinity", "0x7fffffff", "+1", "1_000"] {
        let payload = format!("{{\"iss\":\"{}\",\"aud\":\"corecast\",\"exp\":{exp}}}", hs.iss);
        refused(&verifier, exp, &hs.sign(hs.header().to_string(), payload), "malformed");
    }
    is("nbf", json!(NOW_S + 1), "not_yet");
    is("nbf", json!(NOW_S as f64 + 0.1), "not_yet");
    is("nbf", json!(TIME_S_MAX), "not_yet");
    for (claim, value) in [("nbf", json!(NOW_S)), ("nbf", json!(0)), ("exp", json!(TIME_S_MAX))] {
        assert!(verifier.verify(&hs.claiming(claim, Some(value)), NOW_S).is_ok(), "{claim}");
    }
}

#[test]
fn clocks_may_differ_by_what_is_configured_and_by_no_more() {
    let source = || {
        let hs = &ISSUERS.hs;
        corecast_gate::Source::new("hs", Some(hs.iss)).with_keys(hs.keys())
    };
    let with = |leeway_s| Verifier::new(vec![source()], TokenRules { leeway_s, ..rules() });
    let verifier = with(5).expect("rules");
    let hs = &ISSUERS.hs;
    let identity = verifier.verify(&hs.claiming("exp", Some((NOW_S - 4).into())), NOW_S);
    assert_eq!(identity.expect("in leeway").expires_at_s, Some(NOW_S + 1));
    refused(&verifier, "5", &hs.claiming("exp", Some((NOW_S - 5).into())), "expired");
    assert!(verifier.verify(&hs.claiming("nbf", Some((NOW_S + 5).into())), NOW_S).is_ok());
    refused(&verifier, "6", &hs.claiming("nbf", Some((NOW_S + 6).into())), "not_yet");
    assert!(with(61).is_err());
}

#[test]
fn a_token_for_somebody_else_is_not_for_us() {
    let (verifier, hs) = (verifier(), &ISSUERS.hs);
    let many: Vec<String> = (0..17).map(|n| n.to_string()).collect();
    for (aud, reason) in [
        (json!("other"), "audience"),
        (json!("CORECAST"), "audience"),
        (json!("corecast2"), "audience"),
        (json!("corecas"), "audience"),
        (json!(""), "audience"),
        (json!([]), "audience"),
        (json!(["a", "b"]), "audience"),
        (json!("a corecast"), "audience"),
        (Value::Null, "audience"),
        (json!(many), "claim"),
        (json!(1), "malformed"),
        (json!([1, "corecast"]), "malformed"),
        (json!({ "corecast": true }), "malformed"),
    ] {
        let row = aud.to_string();
        refused(&verifier, &row, &hs.claiming("aud", Some(aud)), reason);
    }
    refused(&verifier, "no aud", &hs.claiming("aud", None), "audience");
    let among = hs.claiming("aud", Some(json!(["a", "corecast"])));
    assert!(verifier.verify(&among, NOW_S).is_ok());
    // Where we are nobody in particular, a token for somebody is not for us.
    let source = corecast_gate::Source::new("hs", None).with_keys(hs.keys());
    let nobody = Verifier::new(vec![source], TokenRules::default()).expect("one source");
    refused(&nobody, "an audience", &hs.token(), "audience");
    assert!(nobody.verify(&hs.claiming("aud", None), NOW_S).is_ok());
}

#[test]
fn a_name_is_short_and_fits_into_a_line() {
    let (verifier, hs) = (verifier(), &ISSUERS.hs);
    for sub in ["", &"u".repeat(129), "a\nb", "a\0", "a\u{85}", "\u{7f}"] {
        refused(&verifier, sub, &hs.claiming("sub", Some(sub.into())), "claim");
    }
    for sub in [json!(1), json!(["u1"]), json!({})] {
        refused(&verifier, "no text", &hs.claiming("sub", Some(sub)), "malformed");
    }
    let nameless = verifier.verify(&hs.claiming("sub", None), NOW_S).expect("no name is fine");
    assert_eq!(nameless.user, None);
}

#[test]
fn rights_that_mean_nothing_grant_nothing() {
    let (verifier, hs) = (verifier(), &ISSUERS.hs);
    let many: Vec<String> = (0..300).map(|n| format!("a{n}")).collect();
    for (topics, reason) in [
        (json!({ "subscribe": ["a.>.b"] }), "claim"),
        (json!({ "publish": ["a b"] }), "claim"),
        (json!({ "subscribe": ["quote.*@100ms"] }), "claim"),
        (json!({ "subscribe": [""] }), "claim"),
        (json!({ "subscribe": many }), "claim"),
        (json!({ "subscribe": ">" }), "malformed"),
        (json!({ "subscribe": [1] }), "malformed"),
        (json!({ "subscribe": null }), "malformed"),
        (json!({ "subscribe": [">"], "deny": ["a"] }), "malformed"),
        (json!([[">"], [">"]]), "malformed"),
        (json!(">"), "malformed"),
        (json!(true), "malformed"),
    ] {
        let row = topics.to_string();
        refused(&verifier, &row, &hs.claiming("topics", Some(topics)), reason);
    }
    for silent in [None, Some(Value::Null), Some(json!({}))] {
        let identity = verifier.verify(&hs.claiming("topics", silent), NOW_S).expect("a token");
        assert!(!identity.permissions.may_subscribe("quote.BTC"));
    }
}

#[test]
fn what_is_not_signed_is_not_looked_at() {
    // Expired, for somebody else, with rights that mean nothing: all that is told is that nobody
    // signed it.
    let (verifier, hs) = (verifier(), &ISSUERS.hs);
    let claims = json!({ "iss": hs.iss, "exp": 1, "aud": "x", "topics": { "subscribe": ["a b"] } });
    let token = hs.sign(hs.header().to_string(), claims.to_string());
    let (message, _) = token.rsplit_once('.').expect("a signature");
    refused(&verifier, "unsigned", &format!("{message}.AAAA"), "signature");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_is_a_token(text in "[A-Za-z0-9._=-]{0,80}|.{0,80}") {
        prop_assert!(verifier().verify(&text, NOW_S).is_err());
    }

    #[test]
    fn a_changed_token_is_no_token(place in any::<prop::sample::Index>(), with in any::<char>()) {
        let good = ISSUERS.ec.token();
        let mut letters: Vec<char> = good.chars().collect();
        *place.get_mut(&mut letters) = with;
        let changed: String = letters.into_iter().collect();
        prop_assert!(changed == good || verifier().verify(&changed, NOW_S).is_err());
    }

    #[test]
    fn any_signed_claims_are_judged_without_a_panic(payload in ".{0,200}", exp in any::<f64>()) {
        let hs = &ISSUERS.hs;
        let _ = verifier().verify(&hs.sign(hs.header().to_string(), &payload), NOW_S);
        let token = hs.claiming("exp", Some(json!(exp)));
        if let Ok(identity) = verifier().verify(&token, NOW_S) {
            let end_s = identity.expires_at_s.expect("an end");
            prop_assert!(end_s > NOW_S && end_s as f64 <= exp);
        }
    }
}
