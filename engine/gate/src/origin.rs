//! Which pages may open a connection: `Origin` (RFC 6454), compared as a whole.
//!
//! Browsers let any page open a WebSocket to anywhere, and send their cookies along; what they
//! offer against it is this one header field.

use crate::limits::{ORIGIN_BYTES_MAX, ORIGINS_MAX};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Rules as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginRules {
    /// Origins such as `https://app.example.com` or `http://localhost:8080`. `*` is any, and stands
    /// alone.
    pub allow: Vec<String>,
    /// Whether pages of the server itself may connect: the host and port of `Host`, and the scheme
    /// of the connection.
    pub same: bool,
    /// What the server itself is called, for `same`: `app.example.com`, at any port, or with one.
    /// None: an address or `localhost`. Any other name may be somebody else's, who has it lead here
    /// (DNS rebinding): then his page would be taken for one of ours.
    pub hosts: Vec<String>,
    /// Whether who sends no `Origin` may connect: programs, not browsers.
    pub absent: bool,
}

impl Default for OriginRules {
    fn default() -> Self {
        Self { allow: Vec::new(), same: true, hosts: Vec::new(), absent: true }
    }
}

/// Who may connect, by origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    same: bool,
    absent: bool,
    allowed: Box<[Origin]>,
    /// Ours, each with its port or at any.
    hosts: Box<[(Box<str>, Option<u16>)]>,
}

impl Origins {
    /// Reads the rules.
    ///
    /// # Errors
    /// Which of them can never be what was meant, and why.
    pub fn new(rules: &OriginRules) -> Result<Self, OriginRuleError> {
        if rules.allow.len() > ORIGINS_MAX {
            return Err(OriginRuleError::TooMany);
        }
        let any = rules.allow.iter().any(|text| text == "*");
        if any && rules.allow.len() > 1 {
            return Err(OriginRuleError::AnyBesideOthers);
        }
        let texts = rules.allow.iter().filter(|text| *text != "*");
        let allowed = texts.map(|text| Origin::of_rule(text)).collect::<Result<_, _>>()?;
        if rules.hosts.len() > ORIGINS_MAX {
            return Err(OriginRuleError::TooMany);
        }
        let hosts = rules.hosts.iter().map(|text| host_of_rule(text)).collect::<Result<_, _>>()?;
        Ok(Self { any, same: rules.same, absent: rules.absent, allowed, hosts })
    }

    /// Whether any page may connect.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.any
    }

    /// Judges a request by the values of its `Origin` and `Host`, each there once at most, and by
    /// whether it came over TLS. A `null` origin, and what is no origin, is refused unless any is
    /// allowed.
    ///
    /// # Errors
    /// Why the page may not connect.
    pub fn check(
        &self,
        origin: Option<&str>,
        host: Option<&str>,
        is_secure: bool,
    ) -> Result<(), OriginDenied> {
        let Some(origin) = origin else {
            return if self.absent { Ok(()) } else { Err(OriginDenied::Absent) };
        };
        if self.any {
            return Ok(());
        }
        let origin = Origin::parse(origin).ok_or(OriginDenied::Opaque)?;
        if self.allowed.contains(&origin) {
            return Ok(());
        }
        let is_same = self.same && host.is_some_and(|host| origin.is_of(host, is_secure));
        if is_same && self.is_ours(&origin) {
            return Ok(());
        }
        Err(if is_same { OriginDenied::Unnamed } else { OriginDenied::Foreign })
    }

    /// Whether an origin's host, which is what the client took us for, is a name of ours.
    fn is_ours(&self, origin: &Origin) -> bool {
        let Origin { host, port, .. } = origin;
        if self.hosts.is_empty() {
            return **host == *"localhost"
                || host.starts_with('[')
                || host.parse::<Ipv4Addr>().is_ok();
        }
        self.hosts.iter().any(|(ours, at)| ours == host && at.is_none_or(|at| at == *port))
    }
}

/// Scheme, host and port: two origins are the same when all three are (RFC 6454 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    /// In lower case.
    scheme: Box<str>,
    /// In lower case; an IPv6 address as it is written shortest.
    host: Box<str>,
    /// The scheme's own where none is named; 0 where the scheme has none.
    port: u16,
}

impl Origin {
    /// Reads `scheme://host[:port]`, with nothing before or behind it.
    fn parse(text: &str) -> Option<Self> {
        if text.len() > ORIGIN_BYTES_MAX {
            return None;
        }
        let (scheme, authority) = text.split_once("://")?;
        let mut letters = scheme.bytes();
        let begins = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !begins || !letters.all(goes_on) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase().into_boxed_str();
        let (host, port) = split_authority(authority)?;
        let port = port.or_else(|| default_port(&scheme)).unwrap_or_default();
        Some(Self { scheme, host, port })
    }

    fn of_rule(text: &str) -> Result<Self, OriginRuleError> {
        let error = |why| OriginRuleError::None { rule: text.into(), why };
        if text == "null" {
            return Err(error("any sandboxed page is `null`: give its page an origin"));
        }
        if text.contains('*') {
            return Err(error("there are no wildcards: name each origin, or `*` alone for any"));
        }
        if text.ends_with('/') {
            return Err(error("an origin ends with its host or port, without a slash"));
        }
        if text.starts_with("ws:") || text.starts_with("wss:") {
            return Err(error("it is the page's address, which begins with http:// or https://"));
        }
        if !text.is_ascii() {
            return Err(error("browsers send such a host as punycode (xn--…): write it so"));
        }
        let origin = Self::parse(text).ok_or_else(|| {
            error("an origin is scheme://host or scheme://host:port, such as https://a.example")
        })?;
        if origin.host.ends_with('.') {
            return Err(error("a host has no dot at its end"));
        }
        Ok(origin)
    }

    /// Whether it is the origin of a page that this `Host` serves.
    fn is_of(&self, host: &str, is_secure: bool) -> bool {
        let scheme = if is_secure { "https" } else { "http" };
        let Some((host, port)) = split_authority(host) else { return false };
        let port = port.or_else(|| default_port(scheme));
        *self.scheme == *scheme && self.host == host && Some(self.port) == port
    }
}

/// A host of ours, as it is written in a rule.
fn host_of_rule(text: &str) -> Result<(Box<str>, Option<u16>), OriginRuleError> {
    let error = |why| OriginRuleError::None { rule: text.into(), why };
    if text.contains("://") {
        return Err(error("a host has no scheme: app.example.com, or app.example.com:8443"));
    }
    if text.len() > ORIGIN_BYTES_MAX || text.ends_with('.') {
        return Err(error("it is longer than a host, or has a dot at its end"));
    }
    split_authority(text).ok_or_else(|| {
        error("a host is a name or an address, such as app.example.com, a.example:8443 or [::1]")
    })
}

/// `host`, `host:port` or `[v6]:port`.
fn split_authority(text: &str) -> Option<(Box<str>, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some((format!("[{address}]").into(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (text, None),
    };
    // No userinfo, no path, no list of origins, no percent-encoding: none of their bytes.
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_host = !host.is_empty() && host.bytes().all(is_host_byte);
    is_host.then(|| (host.to_ascii_lowercase().into(), port))
}

fn port(digits: &str) -> Option<u16> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_number)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Why a page may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginDenied {
    /// There is no `Origin`, and one is needed.
    #[error("{}", self.reason())]
    Absent,
    /// It is `null`, or no origin at all.
    #[error("{}", self.reason())]
    Opaque,
    /// It is none of those that are allowed.
    #[error("{}", self.reason())]
    Foreign,
    /// It is what the request takes this server for, and no name of this server.
    #[error("{}", self.reason())]
    Unnamed,
}

impl OriginDenied {
    /// The status of the answer.
    pub const STATUS: u16 = 403;

    /// A sentence fit for a client.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Absent => "an Origin is needed",
            Self::Opaque => "the Origin is none that can be allowed",
            Self::Foreign => "pages of this Origin may not connect",
            Self::Unnamed => "this Host is none that the server knows as its own (origin.hosts)",
        }
    }
}

/// Why a rule cannot be meant so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginRuleError {
    /// There are too many.
    #[error("at most {ORIGINS_MAX} origins")]
    TooMany,
    /// `*` makes the others meaningless.
    #[error("`*` allows any page, so it stands alone")]
    AnyBesideOthers,
    /// It is no origin.
    #[error("`{rule}`: {why}")]
    None {
        /// As it was written.
        rule: Box<str>,
        /// What is wrong with it.
        why: &'static str,
    },
}

#[cfg(test)]
mod tests;
