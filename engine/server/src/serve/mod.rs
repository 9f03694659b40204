//! `corecast serve`: topics for clients, nothing published by the server itself.

use crate::cli::common::{CommonArgs, ServingArgs};
use crate::cli::exit::{Exit, Failure};
use crate::config::feed::Identity;
use crate::config::reload::{BuiltIn, Settings};
use crate::config::take_over::TakeOverConfig;
use crate::control::Control;
use crate::door::{Door, DoorError};
use crate::feed::Bodies;
use crate::ingest;
use crate::leave;
use crate::namespaces;
use crate::raw::{Audience, Inbound};
use crate::refusals::Refusals;
use crate::report;
use crate::service;
use crate::take_over::Bequeathed;
use crate::take_over::heir::{self, Heir};
use crate::take_over::place::Place;
use clap::Args;
use corecast::{Engine, StartError};
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
  corecast serve --config corecast.toml --take-over   # an upgrade: nobody is refused

Every setting can stand in a file and in the environment: corecast config --docs tells all keys,
corecast config --check FILE looks at a file. SIGHUP reads both again, applies what can change at
run time, and logs what needs a restart.")]
pub(crate) struct ServeArgs {
    /// Add /echo, which returns each message to its sender
    #[arg(long, env = "CORECAST_ECHO")]
    echo: bool,

    /// Take the place of the process that runs: its listeners, its topics and their numbers. It
    /// must have been started with the same take_over.unix, which both offer; where none is, this
    /// one starts afresh
    #[arg(long)]
    take_over: bool,

    #[command(flatten)]
    serving: ServingArgs,
}

/// Serves until a signal ends it, or another process takes its place.
///
/// # Errors
///
/// When the engine does not start, or a shard panics.
pub(crate) fn run(common: &CommonArgs, args: &ServeArgs) -> Result<(), Failure> {
    let built_in =
        BuiltIn { policies: &[], namespaces: namespaces::serve, identity: Identity::Anonymous };
    let settings = Settings::read(common, &args.serving, built_in)?;
    let config = settings.running().clone();
    let mut heir = if args.take_over { take_over(&config.take_over)? } else { None };
    let bequeathed = Bequeathed::default();
    // Until the process before has agreed.
    bequeathed.set(heir.is_some());
    let publishers = ingest::publishers(&config.ingest);
    let door = Door {
        echo: args.echo,
        inbound: Inbound::Broadcast,
        audience: Audience::default(),
        bodies: Bodies::default(),
        bequeathed: bequeathed.clone(),
    };
    let engine = Arc::new(start(&door, &settings, heir.as_mut())?);
    let passes = settings.passes();
    let control = Control::start(Arc::clone(&engine), settings)?;
    let mut inherited = heir.as_mut().map(|heir| std::mem::take(&mut heir.listeners));
    let inherited = inherited.get_or_insert_default();
    let place = Place {
        engine: &engine,
        control: &control,
        config: &config,
        passes,
        bequeathed,
        publishers,
    };
    let mut gateways = place.open_gateways(inherited)?;
    let offer = place.open_offer(inherited.offer.take())?;
    if let Some(mut heir) = heir {
        place.publishers.import(std::mem::take(&mut heir.publishers));
        heir.serve(&engine, &place.bequeathed)?;
    }
    inherited.close_unused();
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
        if let Some(offer) = &offer
            && let Some(stream) = offer.heir()
        {
            gateways = place.leave_to(stream, offer, gateways)?;
            continue;
        }
        control.wait(Duration::from_secs(60));
        refusals.tell(engine.stats());
    }
    if let Some(offer) = &offer {
        offer.refuse_all();
    }
    leave::leave(&engine, Some(gateways), &control, &config.shutdown)
}

fn take_over(config: &TakeOverConfig) -> Result<Option<Heir>, Failure> {
    let Some(path) = &config.unix else {
        let message = "--take-over needs take_over.unix in the configuration, of both processes";
        return Err(Failure::new(Exit::Config, message));
    };
    heir::take_over(path, config.state_bytes_max)
}

/// Starts the engine on what another process leaves: without its topics where they do not fit.
fn start(door: &Door, settings: &Settings, heir: Option<&mut Heir>) -> Result<Engine, Failure> {
    let Some(heir) = heir else { return door.clone().open(settings, Ok::<_, Failure>) };
    let failed = |error| Failure::new(Exit::Software, format!("cannot take over: {error}"));
    let first = heir.heritage().map_err(failed)?;
    match door.clone().open(settings, |it| Ok::<_, DoorError>(it.heritage(first))) {
        Err(DoorError::Start(error @ StartError::Heritage { .. })) => {
            tracing::warn!(%error, "the topics are not taken over: a new epoch begins");
            let bare = heir.heritage().map_err(failed)?;
            door.clone().open(settings, |it| Ok::<_, Failure>(it.heritage(bare)))
        }
        other => Ok(other?),
    }
}
