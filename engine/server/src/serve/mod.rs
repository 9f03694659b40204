//! `corecast serve`: topics for clients, nothing published by the server itself.

use crate::cli::common::{CommonArgs, ServingArgs};
use crate::cli::exit::Failure;
use crate::config::reload::Settings;
use crate::control::Control;
use crate::raw::{Audience, Inbound, RawHandler};
use crate::report;
use crate::route::Routes;
use clap::Args;
use corecast::Engine;
use std::sync::Arc;
use std::time::Duration;

/// Let clients publish to topics and subscribe to them
///
/// Who opens ws://ADDR/ws/TOPIC joins that topic; what one sends goes to the others, text as text
/// and binary as binary.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast serve
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
    let settings = Settings::read(common, &args.serving, &[])?;
    let routes = Routes { echo: args.echo };
    let audience = Audience::default();
    let engine = Engine::builder()
        .config(settings.engine())
        .socket_path(move |path| routes.is_socket_path(path))
        .spawn(move |_| RawHandler::new(routes, Inbound::Broadcast, audience.clone()))?;
    let engine = Arc::new(engine);
    let control = Control::start(Arc::clone(&engine), settings)?;
    report::say(format_args!("listening on http://{}/", engine.local_addr()));
    while !control.is_stopping() {
        control.wait(Duration::from_secs(60));
    }
    Ok(engine.shutdown_blocking(args.serving.drain)?)
}
