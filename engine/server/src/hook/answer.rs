//! What the hook says. Anything but a whole, well-formed yes is a no.

use super::limits::REASON_BYTES_MAX;
use corecast_gate::limits::USER_BYTES_MAX;
use corecast_gate::{Permissions, Rights};
use serde::Deserialize;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes.
    Allowed(Allowed),
    /// No, with a reason for the client.
    Denied(Box<str>),
    /// Nobody knows: for now it is a no.
    Unavailable(&'static str),
}

/// A yes, and how far it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Who it is.
    pub(crate) user: Option<Box<str>>,
    /// Until when, in seconds since 1970.
    pub(crate) expires_at_s: Option<i64>,
    /// What at most; none: it sets no bound.
    pub(crate) rights: Option<Permissions>,
}

/// The JSON. Fields that are not known say nothing here; an unknown right does not pass.
#[derive(Deserialize)]
struct Answer {
    allow: bool,
    user: Option<String>,
    expires_at: Option<i64>,
    topics: Option<Rights>,
    reason: Option<String>,
}

impl Verdict {
    /// Reads an answer.
    pub(super) fn read(body: &[u8], wall_s: i64) -> Self {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            return Self::Unavailable("the hook's answer is none");
        };
        let Answer { allow, user, expires_at, topics, reason } = answer;
        if !allow {
            return Self::Denied(reason_of(reason.as_deref()));
        }
        let is_user = |user: &String| {
            let bytes = 1..=USER_BYTES_MAX;
            bytes.contains(&user.len()) && !user.chars().any(char::is_control)
        };
        if user.as_ref().is_some_and(|user| !is_user(user)) {
            return Self::Unavailable("the hook's answer names no user");
        }
        if expires_at.is_some_and(|end_s| end_s <= wall_s) {
            return Self::Denied("it has expired".into());
        }
        let Ok(rights) = topics.as_ref().map(Permissions::new).transpose() else {
            return Self::Unavailable("the hook's answer has what is no pattern");
        };
        let user = user.map(String::into_boxed_str);
        Self::Allowed(Allowed { user, expires_at_s: expires_at, rights })
    }
}

impl Verdict {
    /// Whether it is a yes that has ended.
    pub(crate) fn has_ended(&self, wall_s: i64) -> bool {
        matches!(self, Self::Allowed(allowed) if allowed.has_ended(wall_s))
    }
}

impl Allowed {
    /// Whether it holds no more.
    pub(crate) fn has_ended(&self, wall_s: i64) -> bool {
        self.expires_at_s.is_some_and(|end_s| wall_s >= end_s)
    }
}

/// A reason fit for a client: short, and one line of it.
fn reason_of(reason: Option<&str>) -> Box<str> {
    let Some(reason) = reason.filter(|reason| !reason.is_empty()) else {
        return "not allowed".into();
    };
    let mut text = String::new();
    for letter in reason.chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        if text.len() + letter.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        text.push(letter);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Verdict {
        Verdict::read(body.as_bytes(), 1_000)
    }

    #[test]
    fn only_a_whole_and_plain_yes_is_one() {
        let yes = Verdict::Allowed(Allowed::default());
        assert_eq!(read(r#"{"allow":true}"#), yes);
        assert_eq!(read(r#"{"allow":true,"more":[1]}"#), yes);
        for body in [
            "",
            "true",
            "[]",
            "{}",
            r#"{"allow":"true"}"#,
            r#"{"allow":1}"#,
            r#"{"allow":null}"#,
            r#"{"allow":false,"allow":true}"#,
            r#"{"allow":true"#,
            r#"{"allow":true} {"allow":true}"#,
            r#"{"allow":true,"user":""}"#,
            r#"{"allow":true,"user":"a\nb"}"#,
            r#"{"allow":true,"user":7}"#,
            r#"{"allow":true,"expires_at":"tomorrow"}"#,
            r#"{"allow":true,"topics":{"subscribe":["a..b"]}}"#,
            r#"{"allow":true,"topics":{"deny":["a"]}}"#,
        ] {
            assert!(matches!(read(body), Verdict::Unavailable(_)), "{body}: {:?}", read(body));
        }
        assert!(matches!(read(r#"{"allow":true,"expires_at":1000}"#), Verdict::Denied(_)));
    }

    #[test]
    fn a_no_has_a_reason_that_a_client_can_read() {
        let reason = |body: &str| match read(body) {
            Verdict::Denied(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(&*reason(r#"{"allow":false}"#), "not allowed");
        assert_eq!(&*reason(r#"{"allow":false,"reason":"banned\r\nX: y"}"#), "banned  X: y");
        let long = format!(r#"{{"allow":false,"reason":"{}"}}"#, "é".repeat(500));
        assert!(reason(&long).len() <= REASON_BYTES_MAX);
    }

    #[test]
    fn a_yes_may_say_who_until_when_and_how_much() {
        let body = r#"{"allow":true,"user":"u1","expires_at":2000,"topics":{"subscribe":["a.*"]}}"#;
        let Verdict::Allowed(found) = read(body) else { panic!("no yes") };
        assert_eq!((found.user.as_deref(), found.expires_at_s), (Some("u1"), Some(2_000)));
        let rights = found.rights.expect("rights");
        assert!(rights.may_subscribe("a.b") && !rights.may_publish("a.b"));
    }
}
