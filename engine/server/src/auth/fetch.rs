//! A key set by its address. The address is the configuration's and nobody else's.

use super::limits::{CONNECT_WITHIN, REDIRECTS_MAX};
use super::load::tell_ignored;
use crate::config::auth::SourceConfig;
use corecast_gate::KeySet;
use corecast_gate::keys::{Jwks, JwksRules};
use corecast_gate::limits::JWKS_BYTES_MAX;
use reqwest::{Client, StatusCode, Url, redirect};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Fetches key sets: within a time, of a size, from one host each.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
}

impl Fetcher {
    /// One for all sources; a key set must be there within this time.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub(crate) fn new(within: Duration) -> Result<Self, String> {
        let same_host = redirect::Policy::custom(|attempt| {
            let previous = attempt.previous();
            let is_same = previous.first().is_some_and(|first| is_same_host(first, attempt.url()));
            if !is_same {
                return attempt.error("it redirects to another host, which is not configured");
            }
            match previous.len() > REDIRECTS_MAX {
                true => attempt.error("it redirects too often"),
                false => attempt.follow(),
            }
        });
        let client = Client::builder()
            .redirect(same_host)
            .connect_timeout(CONNECT_WITHIN)
            .timeout(within)
            .referer(false)
            .user_agent(concat!("corecast/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| because(&error))?;
        Ok(Self { client })
    }

    /// The keys of a source.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub(crate) async fn fetch(&self, source: &SourceConfig) -> Result<Arc<KeySet>, String> {
        let request = self.client.get(&source.jwks_url);
        let request = request.header("accept", "application/jwk-set+json, application/json");
        let mut response = request.send().await.map_err(|error| because(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answers {}", response.status()));
        }
        let too_long = || format!("its answer has more than {JWKS_BYTES_MAX} bytes");
        if response.content_length().is_some_and(|bytes| bytes > JWKS_BYTES_MAX as u64) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| because(&error))? {
            if body.len() + chunk.len() > JWKS_BYTES_MAX {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        let rules = JwksRules { algorithms: source.algorithms.clone(), secrets: false };
        let jwks = Jwks::parse(&body, &rules).map_err(|error| error.to_string())?;
        Ok(Arc::new(tell_ignored(&source.name, jwks)))
    }
}

fn is_same_host(first: &Url, next: &Url) -> bool {
    let of = |url: &Url| {
        (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
    };
    of(first) == of(next)
}

/// What went wrong beneath: the outermost error names little more than the address.
fn because(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
