//! `corecast publish`: messages to one topic of a running server, for people and scripts.

mod admin;
mod framed;
pub(crate) mod http;
mod limits;
mod pace;
mod progress;
mod source;

use crate::cli::exit::{Exit, Failure};
use crate::cli::values;
use crate::control::runtime;
use crate::credential::TokenPlace;
use crate::report;
use admin::{AdminSender, Report};
use clap::Args;
use framed::{FramedSender, Place};
use http::Url;
use limits::{BATCH_BYTES_MAX, BATCH_MAX};
use pace::Pace;
use progress::Progress;
use source::{Form, Line, Source};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Publish messages to a topic of a running server
///
/// One message from the command line, or standard input, one to a line. Goes through the server's
/// admin port unless --tcp or --unix name one of its framed ways in, which are faster.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast publish quote.BTCUSD '{\"bid\":61000.5}'
  corecast publish chat.lobby --as text 'hello'
  tail -f ticks.ndjson | corecast publish trade.BTCUSD
  corecast publish trade.BTCUSD --tcp 127.0.0.1:9003 --rate 1000 < ticks.ndjson
  corecast publish chat.lobby 1 --token-file /etc/corecast/admin.token")]
pub(crate) struct PublishArgs {
    /// The topic, such as quote.BTCUSD
    #[arg(value_name = "TOPIC")]
    topic: String,

    /// The message; - or none: read standard input, one message to a line
    #[arg(value_name = "MESSAGE")]
    message: Option<String>,

    /// What the messages are
    #[arg(long = "as", value_enum, value_name = "FORM", default_value_t = Form::Json)]
    form: Form,

    /// Key of the messages: under latest_by_key a newer one replaces an unsent one of its key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Each message is the whole state of the topic, for those who join; it gets no number
    #[arg(long)]
    snapshot: bool,

    /// Messages a second at most [default: as fast as the server takes them]
    #[arg(long, value_name = "N", value_parser = pace::rate)]
    rate: Option<f64>,

    /// The admin port of the server
    #[arg(long, env = "CORECAST_ADMIN_URL", value_name = "URL")]
    #[arg(default_value = "http://127.0.0.1:9002")]
    url: Url,

    /// Publish through the framed protocol over TCP
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::listen, conflicts_with = "unix")]
    tcp: Option<SocketAddr>,

    /// Publish through the framed protocol over this Unix socket
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,

    /// Name of this publisher with --tcp and --unix [default: corecast-publish- and the process id]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// File with a token, where the server asks for one (admin.token_file, ingest.token_file)
    #[arg(long, value_name = "PATH", conflicts_with = "token_env")]
    token_file: Option<PathBuf>,

    /// Environment variable with that token
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
}

impl PublishArgs {
    fn token(&self) -> Option<TokenPlace> {
        TokenPlace::of(self.token_file.as_ref(), self.token_env.as_ref())
    }
}

/// Publishes, and ends when everything is taken.
///
/// # Errors
///
/// When a message is no payload or is refused, or the server cannot be reached.
pub(crate) fn run(args: &PublishArgs) -> Result<(), Failure> {
    let runtime = runtime()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(publish(args));
    // A thread that waits for standard input need not end.
    runtime.shutdown_background();
    ended
}

async fn publish(args: &PublishArgs) -> Result<(), Failure> {
    let one = args.message.as_deref().filter(|message| *message != "-");
    let mut source = match one {
        Some(message) => Source::one(message, args.form),
        None => Source::stdin(args.form)?,
    };
    let mut sender = Sender::open(args).await?;
    let mut pace = Pace::new(args.rate);
    let mut progress = Progress::new();
    while let Some(first) = source.next().await? {
        let mut bad = None;
        let lines = match batch(first, &mut source, pace.batch_max(BATCH_MAX)) {
            Ok(lines) => lines,
            // What came before the bad one is sent all the same.
            Err((lines, failure)) => {
                bad = Some(failure);
                lines
            }
        };
        sender.send(&lines).await?;
        progress.sent(lines.len());
        if let Some(failure) = bad {
            sender.finish().await?;
            return Err(failure);
        }
        pace.sent(lines.len()).await;
    }
    sender.finish().await?;
    progress.finish();
    match (one, sender.last()) {
        (Some(_), Some(last)) => report::say(one_line(&args.topic, last)),
        (Some(_), None) => report::say(format_args!("published to {}", args.topic)),
        (None, _) => report::complain(&progress.summary(&args.topic)),
    }
    Ok(())
}

/// This message and those that are there already.
fn batch(first: Line, source: &mut Source, max: usize) -> Result<Vec<Line>, (Vec<Line>, Failure)> {
    let mut bytes = first.data.len();
    let mut lines = vec![first];
    while lines.len() < max && bytes < BATCH_BYTES_MAX {
        match source.ready() {
            Ok(Some(line)) => {
                bytes += line.data.len();
                lines.push(line);
            }
            Ok(None) => break,
            Err(failure) => return Err((lines, failure)),
        }
    }
    Ok(lines)
}

/// One of the ways to the server.
enum Sender {
    Admin(Box<AdminSender>),
    Framed(Box<FramedSender>),
}

impl Sender {
    async fn open(args: &PublishArgs) -> Result<Self, Failure> {
        let place = match (&args.tcp, &args.unix) {
            (Some(address), _) => Place::Tcp(*address),
            (None, Some(path)) => Place::Unix(path.clone()),
            (None, None) => {
                let sender = AdminSender::new(args.url.clone(), args)?;
                return Ok(Self::Admin(Box::new(sender)));
            }
        };
        Ok(Self::Framed(Box::new(FramedSender::open(place, args).await?)))
    }

    async fn send(&mut self, lines: &[Line]) -> Result<(), Failure> {
        match self {
            Self::Admin(sender) => sender.send(lines).await,
            Self::Framed(sender) => sender.send(lines).await,
        }
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::Admin(_) => Ok(()),
            Self::Framed(sender) => sender.finish().await,
        }
    }

    fn last(&self) -> Option<&Report> {
        match self {
            Self::Admin(sender) => sender.last(),
            Self::Framed(_) => None,
        }
    }
}

fn one_line(topic: &str, report: &Report) -> String {
    let Report { seq, delivered, conflated, dropped, .. } = report;
    let seq = seq.map_or_else(|| "snapshot".to_owned(), |seq| format!("seq {seq}"));
    format!("{topic} {seq}: delivered {delivered}, conflated {conflated}, dropped {dropped}")
}
