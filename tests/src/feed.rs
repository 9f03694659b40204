//! A client of the feed that takes nothing for granted: it reads events as plain JSON.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde_json::{Value, json};

use crate::raw::{RawClient, Received};

/// What a client of the feed gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// An event.
    Event(Value),
    /// A frame of binary records.
    Records(Vec<u8>),
    /// The Close frame.
    Closed(u16, String),
}

/// One connection of the feed. Heartbeats are counted and passed over.
#[derive(Debug)]
pub struct FeedClient {
    client: RawClient,
    /// What the server said first.
    pub welcome: Value,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// Heartbeats so far.
    pub heartbeats: usize,
    kept: VecDeque<Value>,
    ids: u64,
}

impl FeedClient {
    /// Connects to `/feed`, and offers nothing.
    ///
    /// # Errors
    /// When the server does not accept, or does not say `welcome`.
    pub fn open(server: SocketAddr) -> Result<Self> {
        Self::open_at(server, "/feed", &[])
    }

    /// Connects to this target with these offers.
    ///
    /// # Errors
    /// As [`FeedClient::open`].
    pub fn open_at(server: SocketAddr, target: &str, protocols: &[&str]) -> Result<Self> {
        Self::on(RawClient::connect(server)?, target, protocols)
    }

    /// Does the handshake on a connection that is there.
    ///
    /// # Errors
    /// As [`FeedClient::open`].
    pub fn on(client: RawClient, target: &str, protocols: &[&str]) -> Result<Self> {
        Self::upgrade(client, target, protocols, &[])
    }

    /// Connects to `/feed` with these headers.
    ///
    /// # Errors
    /// As [`FeedClient::open`].
    pub fn open_with(server: SocketAddr, headers: &[(&str, &str)]) -> Result<Self> {
        Self::upgrade(RawClient::connect(server)?, "/feed", &[], headers)
    }

    fn upgrade(
        mut client: RawClient,
        target: &str,
        protocols: &[&str],
        headers: &[(&str, &str)],
    ) -> Result<Self> {
        let subprotocol = client.upgrade_with(target, protocols, headers)?;
        let (welcome, kept) = (Value::Null, VecDeque::new());
        let mut this = Self { client, welcome, subprotocol, heartbeats: 0, kept, ids: 0 };
        this.welcome = this.next()?;
        ensure!(this.welcome["type"] == "welcome", "{} instead of welcome", this.welcome);
        Ok(this)
    }

    /// The connection beneath.
    pub fn raw(&mut self) -> &mut RawClient {
        &mut self.client
    }

    /// This connection's public name.
    pub fn name(&self) -> &str {
        self.welcome["client"].as_str().unwrap_or_default()
    }

    /// Sends a text as it is.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_text(&mut self, text: &str) -> Result<()> {
        self.client.send_frame(Opcode::Text, text.as_bytes())
    }

    /// Sends a command as it is.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, command: &Value) -> Result<()> {
        self.send_text(&command.to_string())
    }

    /// Sends a command with an id of its own, and returns the first answer; what comes before is
    /// kept for [`FeedClient::next`].
    ///
    /// # Errors
    /// When no answer comes.
    pub fn ask(&mut self, mut command: Value) -> Result<Value> {
        self.ids += 1;
        command["id"] = self.ids.into();
        self.send(&command)?;
        self.answer(self.ids).wrap_err_with(|| command.to_string())
    }

    /// The next event with this id; what comes before is kept for [`FeedClient::next`].
    ///
    /// # Errors
    /// When none comes.
    pub fn answer(&mut self, id: u64) -> Result<Value> {
        if let Some(place) = self.kept.iter().position(|event| event["id"] == id) {
            return self.kept.remove(place).ok_or_else(|| eyre!("it was there"));
        }
        loop {
            let event = self.read()?;
            if event["id"] == id {
                return Ok(event);
            }
            self.kept.push_back(event);
        }
    }

    /// Subscribes, and gathers all parts of the answer: `ok` and `errors`.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub fn subscribe(&mut self, topics: &[&str]) -> Result<Value> {
        self.subscribe_with(json!({ "topics": topics }))
    }

    /// As [`FeedClient::subscribe`], with the fields of the command.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub fn subscribe_with(&mut self, mut command: Value) -> Result<Value> {
        command["type"] = "subscribe".into();
        let mut whole = self.ask(command)?;
        let id = whole["id"].as_u64().unwrap_or_default();
        while whole["remaining"].as_u64().unwrap_or(0) > 0 {
            let part = self.answer(id)?;
            add_part(&mut whole, &part)?;
        }
        Ok(whole)
    }

    /// The next event.
    ///
    /// # Errors
    /// When none comes, or something else.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: it waits, and may fail")]
    pub fn next(&mut self) -> Result<Value> {
        match self.kept.pop_front() {
            Some(event) => Ok(event),
            None => self.read(),
        }
    }

    /// The next event, which must be of this type.
    ///
    /// # Errors
    /// When it is another.
    pub fn expect(&mut self, kind: &str) -> Result<Value> {
        let event = self.next()?;
        ensure!(event["type"] == kind, "{event} instead of {kind}");
        Ok(event)
    }

    /// Forgets what was kept.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// The next event of this type; others are passed over.
    ///
    /// # Errors
    /// When none comes.
    pub fn skip_to(&mut self, kind: &str) -> Result<Value> {
        loop {
            let event = self.next()?;
            if event["type"] == kind {
                return Ok(event);
            }
        }
    }

    /// Makes sure that nothing is on its way: the server answers a ping with nothing before it.
    ///
    /// # Errors
    /// When something is.
    pub fn expect_nothing(&mut self) -> Result<()> {
        ensure!(self.kept.is_empty(), "{:?} were kept", self.kept);
        self.ask(json!({"type": "ping"}))?;
        ensure!(self.kept.is_empty(), "{:?} came", self.kept);
        Ok(())
    }

    /// Makes sure that nothing comes for a while: what another shard may say takes some time.
    ///
    /// # Errors
    /// When something does.
    pub fn expect_silence(&mut self, time: Duration) -> Result<()> {
        std::thread::sleep(time);
        self.expect_nothing()
    }

    /// The next message, binary ones included.
    ///
    /// # Errors
    /// When none comes.
    pub fn hear(&mut self) -> Result<Heard> {
        match self.kept.pop_front() {
            Some(event) => Ok(Heard::Event(event)),
            None => self.receive(),
        }
    }

    fn read(&mut self) -> Result<Value> {
        match self.receive()? {
            Heard::Event(event) => Ok(event),
            other => bail!("{other:?} instead of an event"),
        }
    }

    /// From the connection, past what was kept.
    fn receive(&mut self) -> Result<Heard> {
        loop {
            match self.client.receive()? {
                Received::Text(text) => {
                    let event: Value = serde_json::from_str(&text).wrap_err(text)?;
                    if event["type"] != "heartbeat" {
                        return Ok(Heard::Event(event));
                    }
                    self.heartbeats += 1;
                }
                Received::Binary(records) => return Ok(Heard::Records(records)),
                Received::Close(Some((code, reason))) => return Ok(Heard::Closed(code, reason)),
                Received::Ping(payload) => self.client.send_frame(Opcode::Pong, &payload)?,
                other => bail!("{other:?} instead of a message"),
            }
        }
    }
}

/// Adds a part of an answer to `subscribe` to those that came before it.
///
/// # Errors
/// When either is no such answer.
pub fn add_part(whole: &mut Value, part: &Value) -> Result<()> {
    for list in ["ok", "errors"] {
        let more = part[list].as_array().cloned().unwrap_or_default();
        whole[list].as_array_mut().ok_or_else(|| eyre!("no {list} in {part}"))?.extend(more);
    }
    whole["remaining"] = part["remaining"].clone();
    Ok(())
}
