//! `corecast replay`: recorded messages, merged by time and broadcast as they were.

mod book;
mod change;
mod feed;
mod limits;
mod line;
mod merge;
pub(crate) mod pace;
mod price;
mod progress;
mod source;
mod summary;
mod topic;

use crate::cli::common::{CommonArgs, ServingArgs};
use crate::cli::exit::{Exit, Failure};
use crate::clock;
use crate::config::feed::Identity;
use crate::config::reload::{BuiltIn, Settings};
use crate::config::shutdown::ShutdownConfig;
use crate::control::Control;
use crate::door::Door;
use crate::feed::Bodies;
use crate::leave;
use crate::namespaces;
use crate::raw::{Audience, Inbound};
use crate::report;
use crate::take_over::Bequeathed;
use clap::Args;
use corecast::{Engine, Stats};
use feed::{Fed, Feed};
use merge::Merge;
use pace::Speed;
use progress::{Bar, Progress};
use source::{OnBadLine, SourceError, Spec};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use summary::Summary;
use topic::Topics;

/// Broadcast recorded messages
///
/// Each line of a FILE is a receive time in nanoseconds, a blank, and the message as it was
/// received, JSON {"stream":"btcusdt@bookTicker","data":…}; files may be gzip. Several files are
/// merged by receive time. bookTicker goes to quote.BTCUSDT, trade to trade.BTCUSDT, depth to
/// book.BTCUSDT, and with NAME=FILE to quote.NAME.BTCUSDT; a whole book without a stream goes to
/// the book of its file. Join at ws://ADDR/ws/TOPIC, or subscribe at ws://ADDR/feed, where whoever
/// comes late gets the whole book first. The messages are not changed by a byte, and
/// topics are lossless unless --policy says otherwise.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast replay ticks.gz
  corecast replay spot=spot.gz usdm=futures.gz --speed 10 --policy latest=quote.>
  corecast replay *.gz --speed max --wait-clients 200")]
pub(crate) struct ReplayArgs {
    /// Recordings; NAME= before one puts a name into its topics
    #[arg(required = true, value_name = "[NAME=]FILE")]
    files: Vec<Spec>,

    /// So many times as fast as recorded, or max: as fast as the slowest lossless subscriber takes
    /// it
    #[arg(long, env = "CORECAST_SPEED", value_name = "X|max", default_value = "1")]
    speed: Speed,

    /// Begin again at the end, until a signal ends it. The numbers in a book begin again, too: who
    /// keeps one subscribes to it afresh
    #[arg(long = "loop", env = "CORECAST_LOOP")]
    looped: bool,

    /// Begin when so many clients have joined a topic
    #[arg(long, env = "CORECAST_WAIT_CLIENTS", value_name = "N", default_value_t = 0)]
    wait_clients: u64,

    /// Publish a book's snapshot after so many of its messages, for who joins late; 0: only where
    /// the recording has the whole book
    #[arg(long, env = "CORECAST_SNAPSHOT_EVERY", value_name = "N")]
    #[arg(default_value_t = limits::SNAPSHOT_EVERY)]
    snapshot_every: u32,

    /// Count bad lines and go on, instead of ending with exit code 65
    #[arg(long, env = "CORECAST_SKIP_BAD")]
    skip_bad: bool,

    #[command(flatten)]
    serving: ServingArgs,
}

/// Replays, and ends when everything has left.
///
/// # Errors
///
/// When a file is bad, the engine does not start, or a shard panics.
pub(crate) fn run(common: &CommonArgs, args: &ReplayArgs) -> Result<(), Failure> {
    if args.files.len() > limits::FILES_MAX {
        let message =
            format!("{} files are too many: at most {}", args.files.len(), limits::FILES_MAX);
        return Err(Failure::with_code(2, message));
    }
    let on_bad = if args.skip_bad { OnBadLine::Skip } else { OnBadLine::Stop };
    // Bad files are told before anything is served.
    let merge = Merge::open(&args.files, on_bad, Topics::default()).map_err(bad_source)?;
    let built_in =
        BuiltIn { policies: &[], namespaces: namespaces::market, identity: Identity::Anonymous };
    let settings = Settings::read(common, &args.serving, built_in)?;
    let audience = Audience::default();
    let door = Door {
        echo: false,
        inbound: Inbound::Refuse,
        audience: audience.clone(),
        bodies: Bodies::default(),
        bequeathed: Bequeathed::default(),
    };
    let engine = door.open(&settings, Ok::<_, Failure>)?;
    let engine = Arc::new(engine);
    let shutdown = settings.running().shutdown.clone();
    let control = Control::start(Arc::clone(&engine), settings)?;
    report::say_addresses(&engine);
    crate::service::start(&control, &engine);
    wait_for_clients(args.wait_clients, &audience, &control);

    let started = clock::now();
    let feed = Feed {
        specs: &args.files,
        on_bad,
        speed: args.speed,
        looped: args.looped,
        snapshot_every: args.snapshot_every,
        publisher: engine.publisher(),
        control: &control,
    };
    let (fed, stats, wall) = feed_and_drain(&feed, merge, &engine, args, (started, &shutdown));
    let ended = engine.shutdown_blocking(shutdown.drain());
    report::say(Summary { fed: &fed, stats, wall });
    ended?;
    if let Some((topic, error)) = fed.refused {
        return Err(Failure::new(Exit::BadData, format!("a message of {topic}: {error}")));
    }
    match fed.error {
        Some(error) => Err(bad_source(error)),
        None => Ok(()),
    }
}

/// Feeds on a thread of its own while this one shows the progress, then waits until everything has
/// left.
fn feed_and_drain(
    feed: &Feed<'_>,
    merge: Merge,
    engine: &Engine,
    args: &ReplayArgs,
    (started, shutdown): (Instant, &ShutdownConfig),
) -> (Fed, Stats, Duration) {
    let progress = Progress::default();
    // Said before this thread is woken: the other's own end comes a little later.
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            let fed = feed.run(merge, &progress);
            finished.store(true, Ordering::Relaxed);
            feed.control.wake();
            fed
        });
        let mut bar = Bar::new(args.speed);
        while !finished.load(Ordering::Relaxed) && !feed.control.is_stopping() {
            bar.show(&progress, engine);
            feed.control.wait(bar.interval());
        }
        if feed.control.is_stopping() {
            // A feeder that waits for room is let go by the engine's end.
            // How it ended is asked below.
            let _ = leave::leave(engine, None, feed.control, shutdown);
        } else {
            drain(engine, feed.control, shutdown.drain());
        }
        bar.show(&progress, engine);
        bar.finish();
        let wall = started.elapsed();
        let fed = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (fed, engine.stats(), wall)
    })
}

/// Waits until nothing is pending and every queue is empty: at most `time` without any progress.
fn drain(engine: &Engine, control: &Control, time: Duration) {
    let publisher = engine.publisher();
    let left = || (publisher.pending(), engine.stats().queued_bytes);
    let (mut last, mut progressed_at) = (left(), clock::now());
    while last != (0, 0) && !control.is_stopping() {
        if clock::now() - progressed_at > time {
            let (pending, bytes) = last;
            tracing::warn!(pending, bytes, "some clients have not taken all in time");
            return;
        }
        control.wait(Duration::from_millis(2));
        let now = left();
        if now != last {
            (last, progressed_at) = (now, clock::now());
        }
    }
}

fn wait_for_clients(wanted: u64, audience: &Audience, control: &Control) {
    if wanted == 0 {
        return;
    }
    tracing::info!(wanted, "waiting for clients to join a topic");
    while audience.joined() < wanted && !control.is_stopping() {
        control.wait(Duration::from_millis(5));
    }
}

fn bad_source(error: SourceError) -> Failure {
    let exit = match &error {
        SourceError::Open { .. } => Exit::NoInput,
        _ if error.is_bad_data() => Exit::BadData,
        _ => Exit::Io,
    };
    match error {
        SourceError::Line { .. } => Failure::new(exit, format!("{error} (--skip-bad goes on)")),
        _ => Failure::new(exit, error),
    }
}
