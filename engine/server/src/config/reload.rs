//! What SIGHUP does: the file and the environment are read again, what can be applied is, and of
//! the rest is said that it needs a restart.

use super::auth::AuthMode;
use super::diff::{Change, diff};
use super::env::Environment;
use super::feed::{FeedConfig, Identity};
use super::shared::Shared;
use super::{Read, ServerConfig};
use crate::auth::Auth;
use crate::cli::common::{CommonArgs, ServingArgs, override_with_options};
use crate::cli::exit::Failure;
use crate::cli::{self, logs};
use crate::hook::{Asker, Hook};
use crate::secrets::Passes;
use corecast::config::{ConnectionConfig, TlsConfig};
use corecast::{Config, Engine, Limits, Namespace, Namespaces, Policy};

/// The settings of a running program, and where they came from.
#[derive(Debug)]
pub(crate) struct Settings {
    running: ServerConfig,
    feed: Shared<FeedConfig>,
    auth: Auth,
    passes: Passes,
    hook: Hook,
    asker: Option<Asker>,
    source: Source,
}

/// Everything that settings come from, to read them again.
#[derive(Clone, Debug)]
struct Source {
    common: CommonArgs,
    serving: ServingArgs,
    environment: Environment,
    built_in: BuiltIn,
}

/// What a command has where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuiltIn {
    /// Policies; they come last, behind those of the command line and of the file.
    pub(crate) policies: &'static [(&'static str, Policy)],
    /// Adds the command's own namespaces to those of the file.
    pub(crate) namespaces: fn(&mut Vec<Namespace>),
    /// Who a client of the feed is, where nobody says it.
    pub(crate) identity: Identity,
}

impl Settings {
    /// Reads the file, lays the environment over it and the options over both, and says what is odd
    /// about them, and what the command has built in beneath. From here on the configuration's log
    /// level holds.
    ///
    /// # Errors
    ///
    /// All that is wrong, and where.
    pub(crate) fn read(
        common: &CommonArgs,
        serving: &ServingArgs,
        built_in: BuiltIn,
    ) -> Result<Self, Failure> {
        let environment = Environment::of_process(cli::option_variables());
        let (common, serving) = (common.clone(), serving.clone());
        let source = Source { common, serving, environment, built_in };
        let Read { config, warnings } = source.read()?;
        logs::set_level(&config.log.level)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let auth = Auth::new(&config.auth, &config.origin)?;
        let passes = Passes::read(&config, auth.denials())?;
        let (hook, asker) = Hook::new(&config.auth.hook);
        let (feed, asker) = (Shared::new(config.feed.clone()), Some(asker));
        Ok(Self { feed, auth, passes, hook, asker, running: config, source })
    }

    /// All settings, as they run.
    pub(crate) fn running(&self) -> &ServerConfig {
        &self.running
    }

    /// The engine's settings.
    pub(crate) fn engine(&self) -> Config {
        self.running.engine.clone()
    }

    /// The feed's settings, which may change.
    pub(crate) fn feed(&self) -> Shared<FeedConfig> {
        self.feed.clone()
    }

    /// Who may connect, which may change.
    pub(crate) fn auth(&self) -> Auth {
        self.auth.clone()
    }

    /// What operators and publishers must show.
    pub(crate) fn passes(&self) -> Passes {
        self.passes.clone()
    }

    /// The service that is asked who may do what.
    pub(crate) fn hook(&self) -> Hook {
        self.hook.clone()
    }

    /// What asks it, once.
    pub(crate) fn take_asker(&mut self) -> Option<Asker> {
        self.asker.take()
    }

    /// Reads the keys that tokens are verified with.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or used.
    pub(crate) fn load_keys(&self) -> Result<(), Failure> {
        self.auth.load(&self.running.auth, &self.running.origin)
    }

    /// Reads everything again, applies what can be, and logs one line for each changed key. What is
    /// wrong changes nothing.
    pub(crate) fn reload(&mut self, engine: &Engine) {
        let new = match self.source.read() {
            Ok(Read { config, .. }) => config,
            Err(failure) => {
                tracing::error!("the configuration was not reloaded, nothing changes: {failure}");
                return;
            }
        };
        // A file that is just being written is empty, and empty means: nobody is asked.
        if self.running.auth.mode != AuthMode::Off && new.auth.mode == AuthMode::Off {
            tracing::error!("auth.mode = \"off\" needs a restart: nothing changes");
            return;
        }
        let changes = diff(&self.running, &new);
        if changes.is_empty() {
            tracing::info!("configuration reloaded: nothing has changed");
        }
        // Keys are read again in any case: they change without their names.
        if let Err(failure) = self.auth.load(&new.auth, &new.origin) {
            tracing::error!("the configuration was not reloaded, nothing changes: {failure}");
            return;
        }
        let tls_applies = apply_tls(engine, &self.running.engine.tls, &new.engine.tls);
        self.passes.reload();
        (self.running.auth, self.running.origin) = (new.auth.clone(), new.origin.clone());
        let namespaces_change = changes.iter().any(Change::is_namespace);
        let namespaces_apply =
            namespaces_change && apply_namespaces(engine, &new.engine.namespaces);
        // These lines are wanted in the old level or in the new one.
        if !tracing::enabled!(tracing::Level::INFO) {
            self.apply_level(&new);
        }
        for change in &changes {
            let is_applied = match change.is_namespace() {
                true => namespaces_apply,
                false => change.is_reloadable() && (tls_applies || !change.is_tls()),
            };
            tell(change, is_applied);
        }
        self.apply_level(&new);
        self.apply_feed(&new.feed);
        self.apply_limits(&new.engine, engine);
        if namespaces_apply {
            self.running.engine.namespaces = new.engine.namespaces;
        }
        if tls_applies {
            let TlsConfig { listen, handshakes_max, handshake_timeout_ms, .. } =
                self.running.engine.tls;
            let new = new.engine.tls;
            self.running.engine.tls =
                TlsConfig { listen, handshakes_max, handshake_timeout_ms, ..new };
        }
    }

    fn apply_level(&mut self, new: &ServerConfig) {
        if let Err(failure) = logs::set_level(&new.log.level) {
            tracing::error!("{failure}");
            return;
        }
        self.running.log = new.log.clone();
    }

    /// Bounds of addresses, users and connections, and whose word on an address is believed.
    fn apply_limits(&mut self, new: &Config, engine: &Engine) {
        let limits = Limits::of(new);
        if limits == Limits::of(&self.running.engine) {
            return;
        }
        engine.set_limits(limits);
        let running = &mut self.running.engine;
        running.address = new.address.clone();
        running.user = new.user.clone();
        running.proxy = new.proxy.clone();
        let before = std::mem::take(&mut running.connection);
        // The others of this table need a restart, and are told again until then.
        running.connection = ConnectionConfig {
            messages_per_second_max: new.connection.messages_per_second_max,
            messages_burst: new.connection.messages_burst,
            bytes_per_second_max: new.connection.bytes_per_second_max,
            bytes_burst: new.connection.bytes_burst,
            over: new.connection.over,
            ..before
        };
    }

    /// Where the feed is, and whether there is one, stays as it was at the start.
    fn apply_feed(&mut self, new: &FeedConfig) {
        let FeedConfig { enabled, ref path, .. } = self.running.feed;
        let new = FeedConfig { enabled, path: path.clone(), ..new.clone() };
        if new != self.running.feed {
            self.feed.set(new.clone());
            self.running.feed = new;
        }
    }
}

impl Source {
    fn read(&self) -> Result<Read, Failure> {
        let mut read = super::read(self.serving.config.as_deref(), &self.environment)?;
        override_with_options(
            &mut read.config,
            &self.common,
            &self.serving,
            self.built_in.policies,
        );
        (self.built_in.namespaces)(&mut read.config.engine.namespaces);
        let identity = &mut read.config.feed.identity;
        // Where somebody proves who clients are, no name is believed without proof.
        let auth = &read.config.auth;
        let is_open = auth.mode == AuthMode::Off && auth.hook.url.is_empty();
        if is_open && *identity == Identity::default() {
            *identity = self.built_in.identity;
        }
        Ok(read)
    }
}

/// The one place where namespaces reach a running engine: topics made later follow the new ones, a
/// topic that is there keeps its own. Gives whether they were taken.
fn apply_namespaces(engine: &Engine, namespaces: &[Namespace]) -> bool {
    // They were checked as the file was read.
    let Ok(namespaces) = Namespaces::new(namespaces.to_vec()) else { return false };
    engine.set_namespaces(namespaces);
    true
}

/// Reads the files of TLS again, where it is spoken. Gives whether they were taken: if anything is
/// wrong with them, those before stay in use.
fn apply_tls(engine: &Engine, running: &TlsConfig, new: &TlsConfig) -> bool {
    if !running.is_on() {
        return false;
    }
    match engine.set_tls(new) {
        Ok(warnings) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            tracing::info!("certificates read again: new connections get them");
            true
        }
        Err(error) => {
            tracing::error!("the certificates before stay in use: {error}");
            false
        }
    }
}

fn tell(change: &Change, is_applied: bool) {
    let (key, from, to) = (&change.key, change.before(), change.after());
    match is_applied {
        true => tracing::info!(%key, %from, %to, "setting applied"),
        false => tracing::warn!(%key, %from, %to, "setting needs a restart"),
    }
}
