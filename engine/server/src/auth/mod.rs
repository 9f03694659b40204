//! Who may connect: what the gate needs to decide it, kept up to date for the shards.
//!
//! The control thread reads keys and fetches key sets; shards judge with what is there, and never
//! wait. All that a judgement needs is one [`Access`], which is replaced as a whole.

mod fetch;
mod keeper;
pub(crate) mod limits;
mod load;
mod refresh;
#[cfg(test)]
mod tests;

use crate::cli::exit::{Exit, Failure};
use crate::clock;
use crate::config::auth::{AuthConfig, AuthMode, Place, SourceConfig};
use crate::config::origin::OriginConfig;
use crate::config::shared::{Cache, Shared};
use crate::denials::Denials;
use corecast::TooManyFailures;
use corecast_gate::{
    Credential, CredentialConfig, Denied, Identity, KeySet, OriginDenied, Origins, Permissions,
    Verifier,
};
pub(crate) use fetch::Fetcher;
pub(crate) use load::{load, read_key};
use refresh::Refresh;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Everything that is needed to judge who comes. It never changes: another takes its place.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Whether somebody must say who he is.
    pub(crate) mode: AuthMode,
    /// Whether a token may come in the first `auth`.
    pub(crate) first_message: bool,
    /// How long it may take to come.
    pub(crate) deadline: Duration,
    /// Rights of who has no token: with mode `off` all, with `required` none.
    pub(crate) anonymous: Permissions,
    credential: CredentialConfig,
    origins: Origins,
    verifier: Verifier,
    refreshes: Arc<[Arc<Refresh>]>,
}

impl Access {
    /// What these settings ask for, without keys.
    ///
    /// # Errors
    ///
    /// What the rules of the configuration tell as well.
    fn new(auth: &AuthConfig, origin: &OriginConfig) -> Result<Self, String> {
        let anonymous = match auth.mode {
            AuthMode::Off => Permissions::all(),
            AuthMode::Optional => auth.anonymous.permissions()?,
            AuthMode::Required => Permissions::none(),
        };
        let is_fetched = |it: &&SourceConfig| matches!(it.place(), Some(Place::JwksUrl(_)));
        let fetched = auth.sources.iter().filter(is_fetched);
        Ok(Self {
            mode: auth.mode,
            first_message: auth.first_message,
            deadline: Duration::from_millis(auth.deadline_ms),
            anonymous,
            credential: auth.credential(),
            origins: Origins::new(&origin.rules()).map_err(|error| error.to_string())?,
            verifier: auth.verifier().map_err(|error| error.to_string())?,
            refreshes: fetched.map(|source| Arc::new(Refresh::new(&source.name))).collect(),
        })
    }

    fn refresh_of(&self, source: &str) -> Option<&Arc<Refresh>> {
        self.refreshes.iter().find(|refresh| refresh.source() == source)
    }
}

/// The one place where access is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Auth {
    shared: Shared<Access>,
    /// The sources whose keys are fetched.
    fetched: watch::Sender<Arc<[SourceConfig]>>,
    pace: Pace,
    denials: Arc<Denials>,
}

/// How patiently, and how often, keys are fetched.
#[derive(Clone, Copy, Debug)]
struct Pace {
    fetch_within: Duration,
    ask_again_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { fetch_within: limits::FETCH_WITHIN, ask_again_after: limits::ASK_AGAIN_AFTER }
    }
}

impl Auth {
    /// Access by these settings; until [`load`](Self::load) was called, no token is good.
    ///
    /// # Errors
    ///
    /// When they are not in order.
    pub(crate) fn new(auth: &AuthConfig, origin: &OriginConfig) -> Result<Self, Failure> {
        let access = Access::new(auth, origin).map_err(wrong)?;
        let fetched = watch::Sender::new(fetched(auth));
        let (shared, pace, denials) = (Shared::new(access), Pace::default(), Arc::default());
        Ok(Self { shared, fetched, pace, denials })
    }

    /// Reads files and variables, takes what they hold, and lets key sets be fetched anew. Done
    /// again at each SIGHUP: what was fetched before stays until something newer is there.
    ///
    /// # Errors
    ///
    /// When a key cannot be read, or used. Then nothing changes.
    pub(crate) fn load(&self, auth: &AuthConfig, origin: &OriginConfig) -> Result<(), Failure> {
        let before = self.access();
        let mut access = Access::new(auth, origin).map_err(wrong)?;
        let mut refreshes = Vec::new();
        let known: HashMap<String, SourceConfig> =
            self.fetched.borrow().iter().map(|it| (it.name.clone(), it.clone())).collect();
        for source in &auth.sources {
            let name = &source.name;
            match load(source).map_err(wrong)? {
                Some(keys) => access.verifier = access.verifier.with_keys(name, Some(keys)),
                None if known.get(name) == Some(source) => {
                    let keys = before.verifier.keys(name);
                    access.verifier = access.verifier.with_keys(name, keys);
                    refreshes.extend(before.refresh_of(name).cloned());
                }
                None => refreshes.push(Arc::new(Refresh::new(name))),
            }
        }
        access.refreshes = refreshes.into();
        self.shared.set(access);
        self.fetched.send_replace(fetched(auth));
        Ok(())
    }

    /// Fetches key sets until the program ends: to be run on the control thread.
    pub(crate) async fn keep(self, stopping: watch::Receiver<bool>) {
        keeper::run(self, stopping).await;
    }

    /// What one shard asks.
    pub(crate) fn gatekeeper(&self) -> Gatekeeper {
        let denials = Arc::clone(&self.denials);
        Gatekeeper { shared: self.shared.clone(), cache: self.shared.cache(), denials }
    }

    /// Who was not let in, and why.
    pub(crate) fn denials(&self) -> Arc<Denials> {
        Arc::clone(&self.denials)
    }

    fn access(&self) -> Access {
        self.shared.cache().value().clone()
    }

    /// Puts fetched keys in their place; none: they are too old. On the control thread alone, as
    /// [`load`](Self::load).
    fn set_keys(&self, source: &str, keys: Option<Arc<KeySet>>) {
        let access = self.access();
        let verifier = access.verifier.with_keys(source, keys);
        self.shared.set(Access { verifier, ..access });
    }
}

/// What one shard asks. It costs one atomic load as long as nothing has changed.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    shared: Shared<Access>,
    cache: Cache<Access>,
    denials: Arc<Denials>,
}

impl Gatekeeper {
    /// The access of now.
    pub(crate) fn access(&mut self) -> &Access {
        self.shared.changed(&mut self.cache);
        self.cache.value()
    }

    /// Judges the page that wants to connect; see [`Origins::check`].
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub(crate) fn check_origin(
        &mut self,
        origin: Option<&str>,
        host: Option<&str>,
        is_secure: bool,
    ) -> Result<(), OriginDenied> {
        let checked = self.access().origins.check(origin, host, is_secure);
        checked.inspect_err(|_| self.denials.origin())
    }

    /// The token of a request, where it has one; see [`Credential::find`]. With mode `off` nobody
    /// looks.
    ///
    /// # Errors
    ///
    /// When what stands there is none, or there are two.
    pub(crate) fn credential<'h>(
        &mut self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        query: Option<&'h str>,
    ) -> Result<Option<Credential<'h>>, Denied> {
        let access = self.access();
        match access.mode {
            AuthMode::Off => Ok(None),
            _ => {
                let found = Credential::find(headers, query, &access.credential);
                found.inspect_err(|denied| self.denials.credential(denied))
            }
        }
    }

    /// Says who sent a token. Where its key is not known and its source can be asked, it is, and
    /// the answer is [`Denied::Unavailable`]: who comes again a little later meets the new keys.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub(crate) fn verify(&mut self, token: &str) -> Result<Identity, Denied> {
        self.look_at(token).inspect_err(|denied| self.denials.credential(denied))
    }

    /// As [`verify`](Self::verify), of a token that is verified again: a refusal is not counted.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub(crate) fn look_at(&mut self, token: &str) -> Result<Identity, Denied> {
        let access = self.access();
        let result = access.verifier.verify(token, clock::wall_s());
        if let Err(Denied::UnknownKey { source, .. }) = &result
            && let Some(refresh) = access.refresh_of(source)
            && refresh.ask()
        {
            return Err(Denied::Unavailable { source: Arc::clone(source) });
        }
        result
    }

    /// Counts somebody who shows no token, and has to.
    pub(crate) fn missing(&self) -> Denied {
        self.denials.credential(&Denied::Missing);
        Denied::Missing
    }

    /// What is answered to who was refused: what he tried was wrong, or, where that may be a guess
    /// and `may_try` says that there were too many from his address, that he is to wait. A good
    /// token is never held up by the guesses of others. `failed` counts for the address.
    pub(crate) fn bounded(
        &self,
        denied: Denied,
        may_try: Result<(), TooManyFailures>,
        failed: impl FnOnce(),
    ) -> Denied {
        match may_try {
            _ if !denied.is_guess() => denied,
            Ok(()) => {
                failed();
                denied
            }
            Err(error) => self.too_often(&error),
        }
    }

    /// Counts somebody whose credential is not looked at: too many of his address were refused.
    pub(crate) fn too_often(&self, error: &TooManyFailures) -> Denied {
        let seconds = error.retry_after.as_millis().div_ceil(1_000);
        let denied = Denied::TooOften(u32::try_from(seconds).unwrap_or(u32::MAX));
        self.denials.credential(&denied);
        denied
    }

    /// Counts somebody of whom the hook does not say yes.
    pub(crate) fn note_hook(&self, denied: &Denied) {
        self.denials.hook(denied);
    }
}

fn fetched(auth: &AuthConfig) -> Arc<[SourceConfig]> {
    let is_fetched = |it: &&SourceConfig| matches!(it.place(), Some(Place::JwksUrl(_)));
    match auth.mode {
        // Nobody would ask.
        AuthMode::Off => Arc::default(),
        _ => auth.sources.iter().filter(is_fetched).cloned().collect(),
    }
}

fn wrong(message: String) -> Failure {
    Failure::new(Exit::Config, message)
}
