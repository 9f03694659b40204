//! The opening handshake of the feed: which subprotocol, and who.

use super::limits::USER_BYTES_MAX;
use super::session::{Session, Upgraded};
use crate::config::feed::Identity;
use crate::doorkeeper::Judged;
use crate::guest::Guest;
use crate::route::percent_decoded;
use corecast::{Reject, Upgrade};
use corecast_feed::{Subprotocol, negotiate};

/// A session, and the subprotocol that is echoed.
pub(crate) type Accepted = (Session, Option<&'static str>);

/// Accepts in the client's first subprotocol that is known here. None of them known: none is
/// echoed, and JSON is spoken.
pub(crate) fn accept(request: &Upgrade<'_>, judged: Judged) -> Accepted {
    let agreed = negotiate(request.protocols());
    let subprotocol = agreed.unwrap_or_default();
    let session = Session::new(Upgraded { subprotocol, judged: Some(judged) });
    (session, agreed.map(Subprotocol::name))
}

/// Who comes where nobody is asked for a token.
///
/// # Errors
///
/// 400 when `?user=` names no user.
pub(crate) fn named(request: &Upgrade<'_>, identity: Identity) -> Result<Guest, Reject> {
    let user = match identity {
        Identity::Anonymous => None,
        Identity::Query => {
            user(request.query().unwrap_or_default()).map_err(|why| Reject::new(400, why))?
        }
    };
    Ok(Guest::named(user))
}

/// The user that `user=` in a query names. It is said once.
fn user(query: &str) -> Result<Option<Box<str>>, String> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("user="));
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("the query has `user` more than once".to_owned());
    }
    let Some(user) = percent_decoded(value) else {
        return Err("the percent-encoding of `user` is broken".to_owned());
    };
    if user.is_empty() || user.len() > USER_BYTES_MAX {
        return Err(format!("`user` has 1 to {USER_BYTES_MAX} bytes"));
    }
    if user.chars().any(char::is_control) {
        return Err("`user` has a control character".to_owned());
    }
    Ok(Some(user.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_once_and_decoded() {
        let named = |query| user(query).expect(query);
        assert_eq!(named("user=u1"), Some("u1".into()));
        assert_eq!(named("a=b&user=J%C3%BCrgen%20K&c"), Some("Jürgen K".into()));
        for query in ["", "user", "users=u1", "a=user=u1"] {
            assert_eq!(named(query), None, "{query}");
        }
    }

    #[test]
    fn what_names_no_user_is_refused() {
        let long = format!("user={}", "x".repeat(USER_BYTES_MAX + 1));
        for (query, part) in [
            ("user=", "1 to 128 bytes"),
            (long.as_str(), "1 to 128 bytes"),
            ("user=a&user=b", "more than once"),
            ("user=%zz", "percent-encoding"),
            ("user=%ff", "percent-encoding"),
            ("user=a%00", "control character"),
            ("user=a%C2%85", "control character"),
        ] {
            let why = user(query).expect_err(query);
            assert!(why.contains(part), "{query}: {why}");
        }
    }
}
