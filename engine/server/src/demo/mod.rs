//! `corecast demo`: a synthetic market, served at once, with a page to watch it.

mod arrivals;
mod market;
mod page;
mod random;
mod symbols;

use crate::cli::common::{CommonArgs, ServingArgs};
use crate::cli::exit::Failure;
use crate::clock;
use crate::config::feed::Identity;
use crate::config::reload::{BuiltIn, Settings};
use crate::control::Control;
use crate::door::Door;
use crate::feed::Bodies;
use crate::gateways::Gateways;
use crate::ingest;
use crate::leave;
use crate::namespaces;
use crate::raw::{Audience, Inbound};
use crate::replay::pace::wait_until;
use crate::report::{self, Ticker};
use crate::take_over::{Bequeathed, Holdings, Listeners};
use bytes::Bytes;
use clap::Args;
use corecast::{Engine, Policy, PublishError, Publisher, Update};
use market::{Kind, Market};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Carries every message, so that a page needs one socket.
const ALL: &str = "market.all";

/// Screens want the newest quote, and each symbol's; trades come in full.
const POLICIES: [(&str, Policy); 2] = [("quote.*", Policy::Latest), (ALL, Policy::LatestByKey)];

/// Further behind than this the market's clock is set anew: a machine that slept for an hour does
/// not want an hour of messages at once.
const LAG_MAX: Duration = Duration::from_secs(1);

/// A trade that waits longer is dropped and told as a gap: within one's patience with a page that
/// pretends to be slow.
const TRADE_AGE_MAX: Duration = Duration::from_secs(3);
/// And the page may be slow for as long as one likes to watch, without being closed.
const STALL_MAX: Duration = Duration::from_secs(60);

const RATE_MAX: f64 = 1_000_000.0;

/// Serve a synthetic market, with a page that shows it
///
/// Quotes and trades of 48 made-up instruments come in bursts like those of a real feed. Each is
/// published to quote.SYMBOL or trade.SYMBOL and to market.all: subscribe to them at
/// ws://ADDR/feed, join one as mere bytes at ws://ADDR/ws/TOPIC, or open the printed address in a
/// browser. The topics under chat are for people; /feed?user=NAME says who one is.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast demo
  corecast demo --rate 20000 --shards 2
  corecast subscribe 'quote.*'
  websocat ws://127.0.0.1:9001/ws/quote.BTCUSD")]
pub(crate) struct DemoArgs {
    /// Messages a second, on average
    #[arg(long, env = "CORECAST_RATE", value_name = "N", default_value_t = 1_000.0)]
    #[arg(value_parser = rate)]
    rate: f64,

    /// Seed of the market: the same seed and rate give the same messages
    #[arg(long, env = "CORECAST_SEED", value_name = "N", default_value_t = 42)]
    seed: u64,

    #[command(flatten)]
    serving: ServingArgs,
}

/// Runs the demo until a signal ends it.
///
/// # Errors
///
/// When the engine does not start, or a shard panics.
pub(crate) fn run(common: &CommonArgs, args: &DemoArgs) -> Result<(), Failure> {
    // In the chat everybody is who they say they are.
    let (namespaces, identity) = (namespaces::market, Identity::Query);
    let built_in = BuiltIn { policies: &POLICIES, namespaces, identity };
    let settings = Settings::read(common, &patient(&args.serving), built_in)?;
    let door = Door {
        echo: false,
        inbound: Inbound::Refuse,
        audience: Audience::default(),
        bodies: Bodies::new(market::body),
        bequeathed: Bequeathed::default(),
    };
    let engine = door.open(&settings, page::add)?;
    let engine = Arc::new(engine);
    let config = settings.running().clone();
    let passes = settings.passes();
    let control = Control::start(Arc::clone(&engine), settings)?;
    let publishers = ingest::publishers(&config.ingest);
    let holdings = Holdings {
        listeners: &mut Listeners::default(),
        bequeathed: &Bequeathed::default(),
        publishers: &publishers,
    };
    let gateways = Gateways::start(&control, &config, &passes, &engine, holdings)?;
    report::say_addresses(&engine);
    gateways.tell();
    crate::service::start(&control, &engine);

    let published = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let market = Market::new(args.rate, args.seed);
        let (publisher, published, control) = (engine.publisher(), &published, &control);
        scope.spawn(move || run_market(market, &publisher, published, control));
        tell(&engine, published, control);
        leave::leave(&engine, Some(gateways), control, &config.shutdown)
    })
}

/// What is asked for, and where nothing is, what makes a slow reader worth watching.
fn patient(asked: &ServingArgs) -> ServingArgs {
    let mut serving = asked.clone();
    if serving.config.is_none() {
        serving.outbox_age_max.get_or_insert(TRADE_AGE_MAX);
        serving.stall.get_or_insert(STALL_MAX);
    }
    serving
}

/// One line a second, until the end.
fn tell(engine: &Engine, published: &AtomicU64, control: &Control) {
    let mut ticker = Ticker::default();
    let (mut told_at, mut told) = (clock::now(), 0);
    loop {
        let next = told_at + Duration::from_secs(1);
        while clock::now() < next {
            if control.is_stopping() {
                return;
            }
            control.wait(next.saturating_duration_since(clock::now()));
        }
        let (now, total) = (clock::now(), published.load(Ordering::Relaxed));
        let seconds = (now - told_at).as_secs_f64();
        report::say(ticker.line(engine.stats(), total - told, seconds));
        (told_at, told) = (now, total);
    }
}

fn run_market(mut market: Market, publisher: &Publisher, published: &AtomicU64, control: &Control) {
    let mut started = clock::now();
    let mut text = String::new();
    while !control.is_stopping() {
        let (at, tick) = market.next();
        let due = due(started, at);
        let lag = wait_until(due, || control.is_stopping());
        if lag > LAG_MAX {
            started += lag;
            let lag = report::span(lag);
            tracing::warn!(%lag, "the machine does not keep up: the market goes on from now");
        }
        text.clear();
        let wall_ns = clock::wall_ns();
        market::encode(&tick, wall_ns, &mut text);
        let data = Bytes::copy_from_slice(text.as_bytes());
        let symbol = symbols::INSTRUMENTS[tick.instrument].symbol;
        let topic = match tick.kind {
            Kind::Quote { .. } => format!("quote.{symbol}"),
            Kind::Trade { .. } => format!("trade.{symbol}"),
        };
        let binary = market::quote_bytes(&tick, wall_ns);
        let key = Some(Bytes::copy_from_slice(topic.as_bytes()));
        let all = Update { key, ..Update::new(ALL, data.clone()) };
        let one = Update { binary, ts: i64::try_from(wall_ns).ok(), ..Update::new(topic, data) };
        let sent = publish(publisher, &one).and_then(|()| publish(publisher, &all));
        if let Err(error) = sent {
            // The engine has ended; who waits for it says why.
            tracing::debug!(%error, "the market ends");
            return;
        }
        published.fetch_add(1, Ordering::Relaxed);
    }
}

fn due(started: Instant, at_seconds: f64) -> Instant {
    started + Duration::from_secs_f64(at_seconds)
}

/// Publishes, and waits for room as often as there is none.
fn publish(publisher: &Publisher, update: &Update) -> Result<(), PublishError> {
    loop {
        match publisher.update(update.clone()) {
            Err(PublishError::Full) => publisher.wait_room(),
            other => return other,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|rate| (1.0..=RATE_MAX).contains(rate));
    number.ok_or_else(|| format!("expected messages a second, from 1 to {RATE_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("1000"), Ok(1_000.0));
        for bad in ["", "0", "-5", "NaN", "1e7"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
