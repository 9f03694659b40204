//! Tokens: JSON Web Tokens (RFC 7519) that are signed (RFC 7515), judged as RFC 8725 advises.
//!
//! Of a token whose signature is not verified, three things are looked at: its header's `alg`,
//! which must be the key's; its `kid`, which names a key among those of one source; and its `iss`,
//! which names a source among those that are configured. None of them makes an address.

mod claims;
mod header;
pub(crate) mod object;
mod sign;

pub use claims::TokenRules;
pub use sign::{Grant, SignError, SigningKey};

use crate::denied::Denied;
use crate::identity::Identity;
use crate::keys::{Key, KeySet};
use crate::limits::{LEEWAY_S_MAX, SOURCES_MAX, USER_BYTES_MAX};
use claims::{Claims, claimed_issuer};
use header::{Header, Parts};
use std::sync::Arc;

/// Where keys come from: somebody who issues tokens.
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    issuer: Option<Arc<str>>,
    keys: Option<Arc<KeySet>>,
}

impl Source {
    /// A source whose keys are not there yet: its tokens are answered
    /// [`Denied::Unavailable`]. `name` is ours; `issuer` is what its tokens must say in `iss`,
    /// none: anything.
    #[must_use]
    pub fn new(name: &str, issuer: Option<&str>) -> Self {
        Self { name: name.into(), issuer: issuer.map(Into::into), keys: None }
    }

    /// With these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<KeySet>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys, if they are there.
    #[must_use]
    pub fn keys(&self) -> Option<&KeySet> {
        self.keys.as_deref()
    }

    /// The key of a header.
    fn key(&self, header: &Header) -> Result<&Key, Denied> {
        let source = || Arc::clone(&self.name);
        let keys = self.keys.as_ref().ok_or_else(|| Denied::Unavailable { source: source() })?;
        keys.find(header.kid.as_deref(), &header.alg).ok_or_else(|| Denied::UnknownKey {
            source: source(),
            kid: header.kid.as_deref().map(Into::into),
        })
    }
}

/// Judges tokens. It never changes: where keys do, another takes its place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Verifier {
    sources: Arc<[Source]>,
    rules: Arc<TokenRules>,
}

impl Verifier {
    /// Takes tokens of these sources.
    ///
    /// # Errors
    /// When there are several sources and one has no issuer of its own, so that it is open whose
    /// key a token means; when two have one name, or one has a colon in it; or a rule is out of
    /// its bounds.
    pub fn new(sources: Vec<Source>, rules: TokenRules) -> Result<Self, SourceError> {
        if sources.len() > SOURCES_MAX {
            return Err(SourceError::TooMany);
        }
        if rules.leeway_s > LEEWAY_S_MAX {
            return Err(SourceError::Leeway);
        }
        for (index, source) in sources.iter().enumerate() {
            let name = || source.name.as_ref().into();
            if sources.len() > 1 && source.issuer.is_none() {
                return Err(SourceError::NoIssuer(name()));
            }
            if source.name.contains(':') {
                return Err(SourceError::Name(name()));
            }
            if sources[..index].iter().any(|other| other.name == source.name) {
                return Err(SourceError::SameName(name()));
            }
            if sources[..index].iter().any(|other| other.issuer == source.issuer) {
                return Err(SourceError::SameIssuer(name()));
            }
        }
        Ok(Self { sources: sources.into(), rules: Arc::new(rules) })
    }

    /// The same, with other keys for one source; none: they are not to be trusted any more. A name
    /// that is none of the sources' changes nothing.
    #[must_use]
    pub fn with_keys(&self, source: &str, keys: Option<Arc<KeySet>>) -> Self {
        let mut sources = self.sources.to_vec();
        if let Some(source) = sources.iter_mut().find(|it| &*it.name == source) {
            source.keys = keys;
        }
        Self { sources: sources.into(), rules: Arc::clone(&self.rules) }
    }

    /// The sources in order.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The keys of a source, if they are there.
    #[must_use]
    pub fn keys(&self, source: &str) -> Option<Arc<KeySet>> {
        self.sources.iter().find(|it| &*it.name == source)?.keys.clone()
    }

    /// Says who sent a token, by the wall clock's `now_s`, in seconds since 1970. Where there are
    /// several sources, the user is `name of the source:sub`.
    ///
    /// # Errors
    /// Why it is refused. [`Denied::UnknownKey`] may be answered by a refresh of its source.
    pub fn verify(&self, token: &str, now_s: i64) -> Result<Identity, Denied> {
        let parts = Parts::split(token)?;
        let header = Header::parse(parts.header)?;
        let source = self.source_of(parts.payload)?;
        source.key(&header)?.verify(&header.alg, parts.message, parts.signature)?;
        // From here on its issuer has said all of it.
        let claims = Claims::parse(parts.payload)?;
        let identity = claims.judge(source.issuer.as_deref(), &self.rules, now_s)?;
        self.named(source, identity)
    }

    /// One `sub` of two issuers is two users: where there are several sources, a user is called
    /// by that of his token, `source:sub`.
    fn named(&self, source: &Source, mut identity: Identity) -> Result<Identity, Denied> {
        if self.sources.len() > 1
            && let Some(sub) = &identity.user
        {
            let user = format!("{}:{sub}", source.name);
            if user.len() > USER_BYTES_MAX {
                return Err(Denied::Claim("sub", "is too long beside the name of its source"));
            }
            identity.user = Some(user.into());
        }
        Ok(identity)
    }

    fn source_of(&self, payload: &str) -> Result<&Source, Denied> {
        if let [source] = &*self.sources {
            return Ok(source);
        }
        let issuer = claimed_issuer(payload)?;
        let found =
            self.sources.iter().find(|source| source.issuer.as_deref() == issuer.as_deref());
        found.ok_or(Denied::Issuer)
    }
}

/// Why sources cannot be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There are too many.
    #[error("at most {SOURCES_MAX} sources of keys")]
    TooMany,
    /// Clocks do not differ that much.
    #[error("clocks may differ by {LEEWAY_S_MAX} s at most")]
    Leeway,
    /// One of several has no issuer.
    #[error("the source `{0}` needs an `issuer`: there are others, and `iss` tells them apart")]
    NoIssuer(Box<str>),
    /// A name could be taken for one and the beginning of a user's.
    #[error("the name of the source `{0}` has a colon, which stands between it and its users")]
    Name(Box<str>),
    /// Two have one name.
    #[error("there is a source `{0}` already")]
    SameName(Box<str>),
    /// Two have one issuer.
    #[error("the source `{0}` has the issuer of another one: each has its own")]
    SameIssuer(Box<str>),
}

#[cfg(test)]
mod tests;
