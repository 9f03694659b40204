//! `corecast serve`: topics for clients, nothing published by the server itself.

use crate::cli::common::{CommonArgs, ServingArgs};
use crate::cli::exit::Failure;
use crate::config::feed::Identity;
use crate::config::reload::{BuiltIn, Settings};
use crate::control::Control;
use crate::door::Door;
use crate::feed::Bodies;
use crate::gateways::Gateways;
use crate::leave;
use crate::namespaces;
use crate::raw::{Audience, Inbound};
use crate::refusals::Refusals;
use crate::report;
use crate::service;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

/// Let clients publish to topics and subscribe to them
///
/// At ws://ADDR/feed clients speak the feed protocol: they subscribe to topics and patterns, get
/// numbered messages, snapshots and history, and publish where a namespace allows it. Publishers of
/// other programs come by --admin (HTTP) or --ingest-tcp and --ingest-unix (framed).
///
/// At ws://ADDR/ws/TOPIC there is no protocol: who opens it joins that topic, and what one sends
/// goes to the others, text as text and binary as binary.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast serve
  corecast serve --admin 127.0.0.1:9002    # then: corecast publish quote.X 1
  corecast serve --config corecast.toml --shards 4 --cpus 2-5
  corecast serve --listen 0.0.0.0:9001 --policy latest=quote.* --policy drop_oldest=log.>

Every setting can stand in a file and in the environment: corecast config --docs tells all keys,
corecast config --check FILE looks at a file. SIGHUP reads both again, applies what can change at
run time, and logs what needs a restart.")]
pub(crate) struct ServeArgs {
    /// Add /echo, which returns each message to its sender
    #[arg(long, env = "CORECAST_ECHO")]
    echo: bool,

    #[command(flatten)]
    serving: ServingArgs,
}

/// Serves until a signal ends it.
///
/// # Errors
///
/// When the engine does not start, or a shard panics.
pub(crate) fn run(common: &CommonArgs, args: &ServeArgs) -> Result<(), Failure> {
    let built_in =
        BuiltIn { policies: &[], namespaces: namespaces::serve, identity: Identity::Anonymous };
    let settings = Settings::read(common, &args.serving, built_in)?;
    let door = Door {
        echo: args.echo,
        inbound: Inbound::Broadcast,
        audience: Audience::default(),
        bodies: Bodies::default(),
    };
    let engine = door.open(&settings, Ok::<_, Failure>)?;
    let engine = Arc::new(engine);
    let config = settings.running().clone();
    let control = Control::start(Arc::clone(&engine), settings)?;
    let gateways = Gateways::start(&control, &config, engine.publisher())?;
    report::say_addresses(&engine);
    gateways.tell();
    service::start(&control, &engine);
    if namespaces::are_built_in(&config.engine.namespaces) {
        tracing::info!(
            "no [[namespaces]] are configured: clients of the feed subscribe to any topic, with \
             its last message as snapshot and 100 messages of history; the server alone publishes"
        );
    }
    let mut refusals = Refusals::default();
    while !control.is_stopping() {
        control.wait(Duration::from_secs(60));
        refusals.tell(engine.stats());
    }
    leave::leave(&engine, Some(gateways), &control, &config.shutdown)
}
