//! The token in a request, wherever it may stand.

use crate::denied::Denied;
use crate::limits::TOKEN_BYTES_MAX;
use std::borrow::Cow;
use std::fmt;

/// Where a request may carry a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialConfig {
    /// Whether `Authorization: Bearer …` is looked at.
    pub bearer: bool,
    /// The cookie that is. Browsers send it by themselves, for any page: it needs a rule for
    /// origins.
    pub cookie: Option<Box<str>>,
    /// The query parameter that is. URLs stand in logs and histories.
    pub query: Option<Box<str>>,
}

impl Default for CredentialConfig {
    fn default() -> Self {
        Self { bearer: true, cookie: None, query: None }
    }
}

/// A token that was found. Nobody has looked into it yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential<'h> {
    token: Cow<'h, str>,
    place: Place,
}

/// Where a token stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `Authorization: Bearer`.
    Bearer,
    /// A cookie.
    Cookie,
    /// The query.
    Query,
}

impl<'h> Credential<'h> {
    /// Looks for a token in a request's header fields and in the query of its target (what follows
    /// the `?`). None where there is none; the same token in two places is one.
    ///
    /// # Errors
    /// [`Denied::Ambiguous`] when there are two that differ, or two `Authorization` fields;
    /// [`Denied::TooLong`], and [`Denied::Malformed`] for what no token can be.
    pub fn find(
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        query: Option<&'h str>,
        config: &CredentialConfig,
    ) -> Result<Option<Self>, Denied> {
        let mut found: Option<Self> = None;
        let mut authorizations = 0;
        let mut take = |token: Cow<'h, str>, place| {
            check(&token)?;
            match &found {
                Some(before) if before.token != token => return Err(Denied::Ambiguous),
                Some(_) => {}
                None => found = Some(Self { token, place }),
            }
            Ok(())
        };
        for (name, value) in headers {
            if config.bearer && name.eq_ignore_ascii_case("authorization") {
                authorizations += 1;
                if authorizations > 1 {
                    return Err(Denied::Ambiguous);
                }
                if let Some(token) = bearer(value) {
                    take(token.into(), Place::Bearer)?;
                }
            }
            let cookie = config.cookie.as_deref().filter(|_| name.eq_ignore_ascii_case("cookie"));
            for token in cookie.into_iter().flat_map(|wanted| cookies(value, wanted)) {
                take(token.into(), Place::Cookie)?;
            }
        }
        let wanted = config.query.as_deref().zip(query);
        for token in wanted.into_iter().flat_map(|(wanted, query)| parameters(query, wanted)) {
            take(percent_decoded(token)?, Place::Query)?;
        }
        Ok(found)
    }

    /// The token, at most [`TOKEN_BYTES_MAX`] bytes of what RFC 6750 §2.1 allows.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where it stood.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.token.len();
        f.debug_struct("Credential").field("place", &self.place).field("bytes", &bytes).finish()
    }
}

/// A request's target for logs: what the parameters of its query say is left out, all of it, since
/// nobody knows what else somebody puts there.
///
/// ```
/// assert_eq!(corecast_gate::credential::redacted("/feed?token=eyJ"), "/feed?token=…");
/// assert_eq!(corecast_gate::credential::redacted("/ws/quote.BTC"), "/ws/quote.BTC");
/// ```
#[must_use]
pub fn redacted(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else { return Cow::Borrowed(target) };
    let mut text = String::with_capacity(target.len());
    text.push_str(path);
    for (index, parameter) in query.split('&').enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) => {
                text.push_str(name);
                text.push_str("=…");
            }
            None if parameter.is_empty() => {}
            None => text.push('…'),
        }
    }
    Cow::Owned(text)
}

/// The token of an `Authorization` field; none where it has another scheme, which is for somebody
/// else.
fn bearer(value: &str) -> Option<&str> {
    //= RFC 9110 §11.1
    //# It uses a case-insensitive token to identify the authentication scheme
    let (scheme, token) = value.trim_matches(is_space).split_once(is_space)?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(is_space))
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// The values of a cookie in one `Cookie` field (RFC 6265 §4.2.1). Names have cases.
fn cookies<'h>(field: &'h str, wanted: &str) -> impl Iterator<Item = &'h str> {
    field.split(';').filter_map(move |pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim_matches(is_space);
        let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        (name.trim_matches(is_space) == wanted).then(|| inner.unwrap_or(value))
    })
}

fn parameters<'h>(query: &'h str, wanted: &str) -> impl Iterator<Item = &'h str> {
    query.split('&').filter_map(move |pair| {
        let (name, value) = pair.split_once('=')?;
        (name == wanted).then_some(value)
    })
}

fn percent_decoded(text: &str) -> Result<Cow<'_, str>, Denied> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    if text.len() > TOKEN_BYTES_MAX * 3 {
        return Err(Denied::TooLong);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let digits = after.get(..2).filter(|two| two.bytes().all(|it| it.is_ascii_hexdigit()));
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        // What a token may have is ASCII.
        let byte = byte.filter(u8::is_ascii).ok_or(NO_TOKEN)?;
        decoded.push(char::from(byte));
        rest = &after[2..];
    }
    decoded.push_str(rest);
    Ok(Cow::Owned(decoded))
}

/// `token68` of RFC 9110 §11.2, with nothing else around it.
fn check(token: &str) -> Result<(), Denied> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Denied::TooLong);
    }
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_token_byte) {
        return Err(NO_TOKEN);
    }
    Ok(())
}

const NO_TOKEN: Denied = Denied::Malformed("what stands in the token's place is no token");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn everywhere() -> CredentialConfig {
        let (cookie, query) = (Some("session".into()), Some("token".into()));
        CredentialConfig { bearer: true, cookie, query }
    }

    fn find(headers: &[(&str, &str)], query: Option<&str>) -> Result<Option<String>, Denied> {
        let found = Credential::find(headers.iter().copied(), query, &everywhere())?;
        Ok(found.map(|it| format!("{:?} {}", it.place(), it.token())))
    }

    #[test]
    fn a_token_is_found_where_it_may_stand() {
        for (headers, query, expected) in [
            (&[("Authorization", "Bearer a.b.c")][..], None, Some("Bearer a.b.c")),
            (&[("authorization", "bEARER   a.b.c ")], None, Some("Bearer a.b.c")),
            (&[("Authorization", "Basic dTpw")], None, None),
            (&[("Authorization", "Bearer")], None, None),
            (&[("Authorization", "Bearera.b.c")], None, None),
            (&[("Cookie", "x=1; session=a.b.c; y=2")], None, Some("Cookie a.b.c")),
            (&[("Cookie", "x=1"), ("Cookie", "session=\"a.b\"")], None, Some("Cookie a.b")),
            (&[("Cookie", "Session=a; sessions=b; xsession=c; session")], None, None),
            (&[], Some("x=1&token=a.b.c"), Some("Query a.b.c")),
            (&[], Some("token=a%2Eb%7E"), Some("Query a.b~")),
            (&[], Some("Token=a&tokens=b&token"), None),
            (&[], None, None),
        ] {
            assert_eq!(find(headers, query), Ok(expected.map(str::to_owned)), "{headers:?}");
        }
    }

    #[test]
    fn a_second_token_is_not_slipped_in() {
        let bearer = ("Authorization", "Bearer a");
        for (headers, query) in [
            (&[bearer, ("Authorization", "Bearer b")][..], None),
            (&[bearer, bearer], None),
            (&[("Authorization", "Basic a"), bearer], None),
            (&[bearer, ("Cookie", "session=b")], None),
            (&[bearer], Some("token=b")),
            (&[("Cookie", "session=a; session=b")], None),
            (&[("Cookie", "session=a"), ("Cookie", "session=b")], None),
            (&[], Some("token=a&token=b")),
            (&[("Cookie", "session=a")], Some("token=b")),
        ] {
            assert_eq!(find(headers, query), Err(Denied::Ambiguous), "{headers:?} {query:?}");
        }
        let same = find(&[bearer, ("Cookie", "session=a; session=a")], Some("token=a"));
        assert_eq!(same, Ok(Some("Bearer a".to_owned())));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let long = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(find(&[("Authorization", &long)], None), Err(Denied::TooLong));
        let escaped = format!("token={}", "%61".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(find(&[], Some(&escaped)), Err(Denied::TooLong));
        for value in ["Bearer a b", "Bearer a,b", "Bearer \"a\"", "Bearer ä"] {
            assert_eq!(find(&[("Authorization", value)], None), Err(NO_TOKEN), "{value}");
        }
        for query in ["token=", "token=%", "token=%2", "token=%zz", "token=%ff", "token=a%00"] {
            assert_eq!(find(&[], Some(query)), Err(NO_TOKEN), "{query}");
        }
        assert_eq!(find(&[("Cookie", "session=")], None), Err(NO_TOKEN));
    }

    #[test]
    fn a_place_that_is_off_is_not_looked_at() {
        let config = CredentialConfig::default();
        let headers = [("Cookie", "session=a; token=a")];
        let found = Credential::find(headers, Some("token=a"), &config);
        assert_eq!(found, Ok(None));
        let none = CredentialConfig { bearer: false, ..config };
        let two = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")];
        assert_eq!(Credential::find(two, None, &none), Ok(None));
    }

    #[test]
    fn logs_never_show_what_a_query_says() {
        for (target, expected) in [
            ("/feed", "/feed"),
            ("/feed?", "/feed?"),
            ("/feed?token=secret", "/feed?token=…"),
            ("/feed?a=1&token=secret&b", "/feed?a=…&token=…&…"),
            ("/feed?secret", "/feed?…"),
            ("/feed?token=secret?token=secret", "/feed?token=…"),
            ("/feed?token==secret", "/feed?token=…"),
        ] {
            assert_eq!(redacted(target), expected);
        }
        let headers = [("Authorization", "Bearer secret")];
        let found = Credential::find(headers, None, &everywhere()).expect("a token");
        assert!(!format!("{found:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn any_request_is_searched_without_a_panic(
            values in prop::collection::vec("(Bearer |session=)?[ -~é\u{7f}]{0,40}", 0..4),
            query in "(token=)?[ -~é]{0,40}",
        ) {
            let names = ["Authorization", "Cookie", "cookie", "AUTHORIZATION"];
            let headers = names.into_iter().zip(values.iter().map(String::as_str));
            if let Ok(Some(found)) = Credential::find(headers, Some(&query), &everywhere()) {
                prop_assert_eq!(check(found.token()), Ok(()));
            }
        }
    }
}
