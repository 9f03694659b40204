//! `[auth]`: who may connect, and with which rights.

pub(super) mod reference;
pub(super) mod rules;
#[cfg(test)]
mod tests;

use super::hook::HookConfig;
use super::limits;
use corecast_gate::keys::SecretEncoding;
use corecast_gate::token::SourceError;
use corecast_gate::{
    Algorithm, CredentialConfig, Permissions, Rights, Source, TokenRules, Verifier,
};
use serde::{Deserialize, Serialize};

/// Whether tokens are asked for, where they may stand, and who issues them. It holds names of
/// secrets, never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthConfig {
    /// Whether somebody must say who he is.
    pub(crate) mode: AuthMode,
    /// Whether `Authorization: Bearer` is looked at.
    pub(crate) bearer: bool,
    /// The cookie that is looked at; empty: none.
    pub(crate) cookie: String,
    /// The query parameter that is looked at; empty: none.
    pub(crate) query: String,
    /// Whether a client may send its token after the upgrade, in an `auth`.
    pub(crate) first_message: bool,
    /// How long it has for that, in milliseconds.
    pub(crate) deadline_ms: u64,
    /// How much clocks of issuers may differ from ours, in seconds.
    pub(crate) leeway_s: u32,
    /// Whether a token must have an end (`exp`).
    pub(crate) expiry_required: bool,
    /// Whom tokens are for: one of these; none: tokens for nobody in particular.
    pub(crate) audience: Vec<String>,
    /// Rights of who has no token, with mode `optional`.
    pub(crate) anonymous: DefaultRights,
    /// Rights of who has a token that says nothing of topics.
    pub(crate) default: DefaultRights,
    /// Who issues tokens.
    pub(crate) sources: Vec<SourceConfig>,
    /// A service that is asked as well.
    pub(crate) hook: HookConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            mode: AuthMode::Off,
            bearer: true,
            cookie: String::new(),
            query: String::new(),
            first_message: true,
            deadline_ms: limits::AUTH_DEADLINE_MS,
            leeway_s: 0,
            expiry_required: true,
            audience: Vec::new(),
            anonymous: DefaultRights::default(),
            default: DefaultRights::default(),
            sources: Vec::new(),
            hook: HookConfig::default(),
        }
    }
}

impl AuthConfig {
    /// Where a request may carry its token.
    pub(crate) fn credential(&self) -> CredentialConfig {
        let named = |name: &str| (!name.is_empty()).then(|| name.into());
        let (cookie, query) = (named(&self.cookie), named(&self.query));
        CredentialConfig { bearer: self.bearer, cookie, query }
    }

    /// What judges tokens by these settings, before there are keys.
    ///
    /// # Errors
    ///
    /// When the sources do not go together.
    pub(crate) fn verifier(&self) -> Result<Verifier, SourceError> {
        let sources = self.sources.iter().map(|source| {
            Source::new(&source.name, (!source.issuer.is_empty()).then_some(&*source.issuer))
        });
        // Patterns that are none are told by a rule of their own.
        let default_permissions = self.default.permissions().unwrap_or(Permissions::none());
        let rules = TokenRules {
            audience: self.audience.clone(),
            leeway_s: self.leeway_s,
            expiry_required: self.expiry_required,
            default_permissions,
        };
        Verifier::new(sources.collect(), rules)
    }
}

/// Whether somebody must say who he is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthMode {
    /// Nobody is asked: all may do everything that namespaces allow.
    #[default]
    Off,
    /// Who has no token has the rights of `[auth.anonymous]`.
    Optional,
    /// Without a token nobody stays.
    Required,
}

/// Rights that no token says. Presence and history go with `subscribe`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DefaultRights {
    /// Topics that may be subscribed to.
    pub(crate) subscribe: Vec<String>,
    /// Topics that may be published to.
    pub(crate) publish: Vec<String>,
}

impl DefaultRights {
    /// What they allow.
    ///
    /// # Errors
    ///
    /// Which pattern is none.
    pub(crate) fn permissions(&self) -> Result<Permissions, String> {
        let Self { subscribe, publish } = self.clone();
        let rights = Rights { subscribe, publish, ..Rights::default() };
        Permissions::new(&rights).map_err(|error| error.to_string())
    }
}

/// Somebody who issues tokens, and where his keys are: in exactly one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SourceConfig {
    /// What logs call it.
    pub(crate) name: String,
    /// What its tokens say in `iss`; empty: anything, where it is the only source.
    pub(crate) issuer: String,
    /// File with a shared secret (HS256).
    pub(crate) secret_file: String,
    /// Environment variable with a shared secret (HS256).
    pub(crate) secret_env: String,
    /// How the secret is written.
    pub(crate) secret_encoding: SecretEncoding,
    /// File with a public key in PEM.
    pub(crate) public_key_file: String,
    /// File with a JWK set.
    pub(crate) jwks_file: String,
    /// Address of a JWK set.
    pub(crate) jwks_url: String,
    /// Algorithms that are taken; none: those of its keys.
    pub(crate) algorithms: Vec<Algorithm>,
    /// Time between two looks at `jwks_url`, in milliseconds.
    pub(crate) refresh_ms: u64,
    /// How long the keys of `jwks_url` are trusted while it does not answer, in milliseconds.
    pub(crate) age_max_ms: u64,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            name: "main".to_owned(),
            issuer: String::new(),
            secret_file: String::new(),
            secret_env: String::new(),
            secret_encoding: SecretEncoding::Raw,
            public_key_file: String::new(),
            jwks_file: String::new(),
            jwks_url: String::new(),
            algorithms: Vec::new(),
            refresh_ms: limits::KEYS_REFRESH_MS,
            age_max_ms: limits::KEYS_AGE_MAX_MS,
        }
    }
}

/// Where the keys of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// A shared secret in this file.
    SecretFile(&'a str),
    /// A shared secret in this variable.
    SecretVariable(&'a str),
    /// A public key in this file.
    PublicKeyFile(&'a str),
    /// A JWK set in this file.
    JwksFile(&'a str),
    /// A JWK set at this address.
    JwksUrl(&'a str),
}

impl SourceConfig {
    /// The place of its keys; none where there is no place, or more than one.
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        let places = [
            Place::SecretFile(&self.secret_file),
            Place::SecretVariable(&self.secret_env),
            Place::PublicKeyFile(&self.public_key_file),
            Place::JwksFile(&self.jwks_file),
            Place::JwksUrl(&self.jwks_url),
        ];
        let mut named = places.into_iter().filter(|place| !place.text().is_empty());
        let first = named.next();
        first.filter(|_| named.next().is_none())
    }
}

impl<'a> Place<'a> {
    /// The path, variable or address.
    pub(crate) const fn text(self) -> &'a str {
        match self {
            Self::SecretFile(text)
            | Self::SecretVariable(text)
            | Self::PublicKeyFile(text)
            | Self::JwksFile(text)
            | Self::JwksUrl(text) => text,
        }
    }

    /// The key that names it.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::SecretFile(_) => "secret_file",
            Self::SecretVariable(_) => "secret_env",
            Self::PublicKeyFile(_) => "public_key_file",
            Self::JwksFile(_) => "jwks_file",
            Self::JwksUrl(_) => "jwks_url",
        }
    }
}
