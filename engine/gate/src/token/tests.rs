use super::*;
use crate::keys::SecretEncoding;
use crate::permission::Rights;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes, in a test";
const NOW_S: i64 = 1_700_000_000;

fn verifier() -> Verifier {
    let keys = KeySet::from_secret(SECRET, SecretEncoding::Raw).expect("a secret");
    let source = Source::new("own", None).with_keys(Arc::new(keys));
    Verifier::new(vec![source], TokenRules::default()).expect("one source")
}

#[test]
fn what_was_signed_is_verified_and_tampering_is_seen() {
    let key = SigningKey::from_secret(SECRET, SecretEncoding::Raw).expect("a secret");
    let topics = Rights { subscribe: vec!["quote.*".into()], ..Rights::default() };
    let grant = Grant {
        sub: Some("u1".into()),
        exp: Some(NOW_S + 60),
        topics: Some(topics),
        ..Grant::default()
    };
    let token = key.sign(None, &grant).expect("a token");
    let identity = verifier().verify(&token, NOW_S).expect("it is good");
    assert_eq!(identity.user.as_deref(), Some("u1"));
    assert_eq!(identity.expires_at_s, Some(NOW_S + 60));
    assert!(identity.permissions.may_subscribe("quote.BTC"));
    assert!(!identity.permissions.may_publish("quote.BTC"));
    assert_eq!(verifier().verify(&token, NOW_S + 60), Err(Denied::Expired));
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).expect("ASCII");
        assert!(verifier().verify(&other, NOW_S).is_err(), "byte {at}");
    }
}
