//! One connection to the feed after the other, until there is an end.

use super::backoff::{Backoff, random, within};
use super::limits::{
    CLOSE_WITHIN, CONNECT_WITHIN, GOOD_AFTER, HEARTBEATS_MISSED, MESSAGE_BYTES_MAX,
};
use super::output::{Mode, Output};
use super::plan::Wish;
use super::track::Tracks;
use super::url::FeedUrl;
use crate::cli::exit::{Exit, Failure};
use crate::clock;
use crate::control::Signals;
use crate::credential::TokenPlace;
use crate::report::{complain, span};
use corecast_feed::event::{Subscribed, Welcome};
use corecast_feed::{Event, EventError, Reconnect};
use futures_util::{FutureExt, SinkExt, StreamExt};
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A subscriber, over all its connections.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) url: FeedUrl,
    /// Whom to trust over TLS; the machine's own authorities where nothing is said.
    pub(crate) trust: Option<Arc<ClientConfig>>,
    pub(crate) user: Option<String>,
    /// Where the token is, if there is one.
    pub(crate) token: Option<TokenPlace>,
    /// The token of the last connection.
    pub(crate) sent: Option<HeaderValue>,
    pub(crate) wish: Wish,
    pub(crate) mode: Mode,
    /// Messages and snapshots to go; none: no end.
    pub(crate) left: Option<u64>,
    pub(crate) output: Output,
    pub(crate) tracks: Tracks,
    /// The epoch of the numbers in `tracks`.
    pub(crate) epoch: Option<String>,
    /// Topics and patterns granted by the server, over all connections.
    pub(crate) granted: u64,
    pub(crate) shown_at: Instant,
}

/// Why a connection ended.
#[derive(Debug)]
enum Ended {
    /// As many messages have come as were wanted, or a signal has, or nobody reads the output.
    Done,
    /// It should not be tried again.
    Failed(Failure),
    /// The connection is gone.
    Lost { code: u16, why: String },
}

/// What holds for one connection.
#[derive(Debug)]
struct Life {
    /// Nothing at all came for so long: it is dead.
    silence_max: Duration,
    heard_at: Instant,
    /// When to come back, from `going_away`.
    reconnect_ms: Option<[u32; 2]>,
    /// Commands that are not wholly answered.
    unanswered: usize,
}

/// Whether TLS is what failed, and not the network.
fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

impl Client {
    /// Subscribes until there is an end. The first connection must succeed, later ones are tried
    /// again and again.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, refuses everything, or says that one must not come back.
    pub(crate) async fn run(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        let mut backoff = Backoff::new();
        let mut is_first = true;
        loop {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                _ = signals.next() => return Ok(()),
            };
            let pause = match connected {
                Err(failure) if is_first => return Err(failure),
                Err(failure) => {
                    let pause = backoff.next(random());
                    complain(&format!("corecast: {failure}; again in {}", span(pause)));
                    pause
                }
                Ok(mut socket) => {
                    is_first = false;
                    let since = Instant::now();
                    let (ended, life) = self.live(&mut socket, signals).await;
                    if since.elapsed() > GOOD_AFTER {
                        backoff.reset();
                    }
                    match ended {
                        Ended::Done => {
                            close(socket).await;
                            return Ok(());
                        }
                        Ended::Failed(failure) => {
                            close(socket).await;
                            return Err(failure);
                        }
                        Ended::Lost { code, why } if self.has_newer_token(code) => {
                            complain(&format!("corecast: {why}; again with a newer token"));
                            within([0, 1_000], random())
                        }
                        Ended::Lost { code, why } => pause(code, &why, &life, &mut backoff)?,
                    }
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                _ = signals.next() => return Ok(()),
            }
        }
    }

    async fn connect(&mut self) -> Result<Socket, Failure> {
        let url = &self.url;
        let mut request = self
            .url
            .request(self.user.as_deref())
            .map_err(|error| Failure::with_code(2, format!("{url}: {error}")))?;
        if let Some(place) = &self.token {
            let value = place.header()?;
            request.headers_mut().insert(AUTHORIZATION, value.clone());
            self.sent = Some(value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connector = self.trust.clone().map(Connector::Rustls);
        let connecting = connect_async_tls_with_config(request, Some(config), true, connector);
        let problem = match timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok((socket, _))) => return Ok(socket),
            Ok(Err(WsError::Http(response))) => {
                let status = response.status();
                let body = response.into_body().unwrap_or_default();
                let why = String::from_utf8_lossy(&body);
                match why.lines().next().filter(|line| !line.is_empty()) {
                    Some(why) => format!("{url} answered {status}: {why}"),
                    None => format!("{url} answered {status}: is it the path of a feed?"),
                }
            }
            Ok(Err(WsError::Io(error))) if is_tls(&error) => {
                format!("cannot reach {url}: {error}; --ca FILE names the authority to trust")
            }
            Ok(Err(WsError::Io(error))) => {
                format!("cannot reach {url}: {error}; start a server with corecast serve")
            }
            Ok(Err(error)) => format!("cannot reach {url}: {error}"),
            Err(_) => format!("cannot reach {url}: no answer in time"),
        };
        Err(Failure::new(Exit::Unavailable, problem))
    }

    /// Whether the connection has ended with its token, and there is another one by now.
    fn has_newer_token(&self, code: u16) -> bool {
        let now = self.token.as_ref().and_then(|place| place.header().ok());
        Reconnect::after(code) == Reconnect::NewToken && now.is_some() && now != self.sent
    }

    /// Reads one connection to its end.
    async fn live(&mut self, socket: &mut Socket, signals: &mut Signals) -> (Ended, Life) {
        let mut life = Life {
            silence_max: CONNECT_WITHIN,
            heard_at: Instant::now(),
            reconnect_ms: None,
            unanswered: 0,
        };
        let stats = self.mode == Mode::Stats;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = signals.next() => return (self.done(), life),
                () = sleep_until(life.heard_at + life.silence_max) => {
                    let why = format!("nothing came for {}", span(life.silence_max));
                    return (Ended::Lost { code: 1006, why }, life);
                }
                () = sleep_until(self.shown_at + SECOND), if stats => {
                    if self.show_table().is_err() {
                        return (Ended::Done, life);
                    }
                    continue;
                }
            };
            life.heard_at = Instant::now();
            if let Err(ended) = self.take_all(message, socket, &mut life).await {
                let _ = self.output.flush();
                return (ended, life);
            }
        }
    }

    /// Takes one message, and those that are there already; then writes them.
    async fn take_all(
        &mut self,
        first: Option<Result<Message, WsError>>,
        socket: &mut Socket,
        life: &mut Life,
    ) -> Result<(), Ended> {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Some(Ok(Message::Text(text))) => self.take(&text, socket, life).await?,
                Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                // Pings are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    return Err(Ended::Lost { code: 1006, why: error.to_string() });
                }
                None => return Err(closed(None)),
            }
            let table_due = self.mode == Mode::Stats && self.shown_at.elapsed() >= SECOND;
            let pause = self.output.is_full() || table_due;
            next = if pause { None } else { socket.next().now_or_never() };
        }
        // Nobody reads any more: that is an end like another.
        self.output.flush().map_err(|_| Ended::Done)
    }

    async fn take(
        &mut self,
        text: &str,
        socket: &mut Socket,
        life: &mut Life,
    ) -> Result<(), Ended> {
        let event = match Event::parse(text) {
            Ok(event) => event,
            // A later version of the server says more than this one knows.
            Err(EventError::Unknown(kind)) => {
                tracing::debug!(kind, "an unknown event is passed over");
                return Ok(());
            }
            Err(error) => {
                let message = format!("{}: {error}: is it corecast's feed?", self.url);
                return Err(Ended::Failed(Failure::new(Exit::Unavailable, message)));
            }
        };
        self.output.event(text, &event, clock::wall_ns());
        match &event {
            Event::Welcome(welcome) => self.welcomed(welcome, socket, life).await?,
            Event::Subscribed(subscribed) => self.subscribed(subscribed, life)?,
            Event::Message(message) => {
                self.tracks.message(&message.topic, message.seq);
                self.count()?;
            }
            Event::Snapshot(snapshot) => {
                self.tracks.snapshot(&snapshot.topic, snapshot.seq);
                self.count()?;
            }
            Event::Gap(gap) => self.tracks.gap(&gap.topic, gap.from, gap.to),
            Event::GoingAway(going) => life.reconnect_ms = Some(going.reconnect_ms),
            // The whole of a subscribe was refused: nothing of it will come.
            Event::Error(error) if error.id.is_some() => {
                life.unanswered = life.unanswered.saturating_sub(1);
                let message = format!("{} ({})", error.message, error.code);
                self.fail_if_nothing(life, message)?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn welcomed(
        &mut self,
        welcome: &Welcome<'_>,
        socket: &mut Socket,
        life: &mut Life,
    ) -> Result<(), Ended> {
        let beat = Duration::from_millis(welcome.heartbeat_ms.into());
        life.silence_max =
            if beat.is_zero() { FOREVER } else { (beat * HEARTBEATS_MISSED).max(SECOND) };
        let topics_max = usize::try_from(welcome.limits.topics).unwrap_or(usize::MAX);
        let commands = self.wish.commands(&self.tracks, self.epoch.as_deref(), topics_max);
        let before = self.epoch.replace(welcome.epoch.clone().into_owned());
        if before.is_some_and(|before| before != welcome.epoch) {
            complain(
                "corecast: the server has restarted, and numbers its messages anew: what came in \
                 between is not known",
            );
        }
        life.unanswered = commands.len();
        for command in commands {
            if let Err(error) = socket.send(Message::text(command)).await {
                return Err(Ended::Lost { code: 1006, why: error.to_string() });
            }
        }
        Ok(())
    }

    fn subscribed(&mut self, subscribed: &Subscribed<'_>, life: &mut Life) -> Result<(), Ended> {
        let answers = subscribed.pattern.is_none();
        for granted in &subscribed.ok {
            self.granted += 1;
            if granted.pattern {
                continue;
            }
            let asked = answers.then(|| granted.requested.as_ref().unwrap_or(&granted.topic));
            let seq = granted.seq.unwrap_or(0);
            let asked = asked.map(|asked| &**asked);
            let lost = self.tracks.granted(&granted.topic, asked, seq, granted.resumed);
            if let Some((from, to)) = lost {
                let topic = &granted.topic;
                complain(&format!("corecast: {topic} is not resumed: {from} to {to} are missing"));
            }
            if let Some(wanted) = &granted.not_granted {
                complain(&format!("corecast: {} is not granted: {wanted:?}", granted.topic));
            }
        }
        let mut refusals = Vec::new();
        for refused in &subscribed.errors {
            let refusal = format!("{}: {} ({})", refused.topic, refused.message, refused.code);
            complain(&format!("corecast: {refusal}"));
            refusals.push(refusal);
        }
        if answers && subscribed.remaining == 0 {
            life.unanswered = life.unanswered.saturating_sub(1);
            self.fail_if_nothing(life, "every topic was refused".to_owned())?;
        }
        Ok(())
    }

    /// When all is answered and nothing was granted there is nothing to wait for.
    fn fail_if_nothing(&self, life: &Life, why: String) -> Result<(), Ended> {
        if life.unanswered == 0 && self.granted == 0 {
            return Err(Ended::Failed(Failure::new(Exit::BadData, why)));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Ended> {
        let Some(left) = &mut self.left else { return Ok(()) };
        *left = left.saturating_sub(1);
        if *left == 0 { Err(self.done()) } else { Ok(()) }
    }

    /// The end, with a last table.
    fn done(&mut self) -> Ended {
        if self.mode == Mode::Stats {
            let _ = self.show_table();
        }
        Ended::Done
    }

    fn show_table(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.output.second(&self.tracks, now - self.shown_at);
        self.shown_at = now;
        self.output.flush()
    }
}

/// The pause before the next connection, if there should be one.
fn pause(code: u16, why: &str, life: &Life, backoff: &mut Backoff) -> Result<Duration, Failure> {
    let pause = match (Reconnect::after(code), life.reconnect_ms) {
        (Reconnect::No | Reconnect::NewToken, _) => {
            let message = format!("the server has closed the connection for good: {why}");
            return Err(Failure::new(Exit::Unavailable, message));
        }
        (_, Some(window)) => within(window, random()),
        (Reconnect::Yes, None) => within([0, 1_000], random()),
        (Reconnect::Backoff, None) => backoff.next(random()),
    };
    complain(&format!("corecast: disconnected: {why}; again in {}", span(pause)));
    Ok(pause)
}

fn closed(frame: Option<CloseFrame>) -> Ended {
    match frame {
        Some(frame) => {
            let code = u16::from(frame.code);
            let why = format!("{code} {}", frame.reason).trim_end().to_owned();
            Ended::Lost { code, why }
        }
        None => Ended::Lost { code: 1005, why: "closed without a reason".to_owned() },
    }
}

/// Says goodbye, and gives the server a moment for its own.
async fn close(mut socket: Socket) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let goodbye = async {
        socket.close(Some(frame)).await?;
        while socket.next().await.transpose()?.is_some() {}
        Ok::<_, WsError>(())
    };
    let _ = timeout(CLOSE_WITHIN, goodbye).await;
}

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any connection lives.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
