//! What the server says, in either encoding, with the publisher's bytes as they came.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use corecast_feed::binary::{Record, Records};
use corecast_feed::{Event, Subprotocol};
use corecast_tests::feed::FeedClient;
use corecast_tests::raw::{RawClient, Received};
use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, ensure, eyre};
use serde_json::Value;
use socket2::SockRef;

/// A connection that is welcome.
#[derive(Debug)]
pub(crate) struct Connection {
    feed: FeedClient,
    topics: HashMap<u32, Arc<str>>,
    told: VecDeque<Told>,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    /// A message of a topic.
    Message(Data),
    /// The state of a topic.
    Snapshot(Data),
    /// Numbers of a topic that will not come.
    Gap { topic: Arc<str>, from: u64, to: u64 },
    /// Any other event.
    Event(Value),
    /// The end of the connection, with the code and the reason of its Close frame if it had one.
    Closed(Option<(u16, String)>),
}

/// What a message or a snapshot carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) topic: Arc<str>,
    /// Its number; of a snapshot, the last number that it stands for.
    pub(crate) seq: u64,
    pub(crate) data: Vec<u8>,
}

impl Connection {
    /// Connects, with a receive buffer of about so many bytes, and reads the welcome.
    pub(crate) fn open(
        server: SocketAddr,
        protocol: Subprotocol,
        receive_buffer_bytes: Option<usize>,
    ) -> Result<Self> {
        let raw = match receive_buffer_bytes {
            Some(bytes) => RawClient::connect_small(server, bytes)?,
            None => RawClient::connect(server)?,
        };
        let feed = FeedClient::on(raw, "/feed", &[protocol.name()])?;
        let chosen = feed.subprotocol.as_deref();
        ensure!(chosen == Some(protocol.name()), "{chosen:?} was not offered");
        Ok(Self { feed, topics: HashMap::new(), told: VecDeque::new() })
    }

    /// The epoch of the server's numbers.
    pub(crate) fn epoch(&self) -> &str {
        self.feed.welcome["epoch"].as_str().unwrap_or_default()
    }

    /// Sends a command.
    pub(crate) fn send(&mut self, command: &Value) -> Result<()> {
        self.feed.send(command)
    }

    /// Ends the connection without a word, perhaps with RST.
    pub(crate) fn cut(mut self, with_reset: bool) -> Result<()> {
        if with_reset {
            SockRef::from(self.feed.raw().stream()).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// The next thing that the client is told. Pings are answered.
    pub(crate) fn told(&mut self) -> Result<Told> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Ok(told);
            }
            let raw = self.feed.raw();
            match raw.receive()? {
                Received::Text(text) => {
                    let told = self.event(&text).wrap_err(text)?;
                    self.told.push_back(told);
                }
                Received::Binary(frame) => self.records(&frame)?,
                Received::Ping(payload) => raw.send_frame(Opcode::Pong, &payload)?,
                Received::Pong(_) => {}
                Received::Close(close) => return Ok(Told::Closed(close)),
                Received::End | Received::Reset => return Ok(Told::Closed(None)),
            }
        }
    }

    fn event(&mut self, text: &str) -> Result<Told> {
        let data = |topic: &str, seq, bytes: &[u8]| Data {
            topic: topic.into(),
            seq,
            data: bytes.to_vec(),
        };
        Ok(match Event::parse(text)? {
            Event::Message(event) => Told::Message(data(&event.topic, event.seq, &event.bytes()?)),
            Event::Snapshot(event) => {
                Told::Snapshot(data(&event.topic, event.seq, &event.bytes()?))
            }
            Event::Gap(gap) => {
                Told::Gap { topic: (&*gap.topic).into(), from: gap.from, to: gap.to }
            }
            other => {
                if let Event::Subscribed(subscribed) = &other {
                    for granted in &subscribed.ok {
                        let Some(sid) = granted.sid else { continue };
                        self.topics.insert(sid, (&*granted.topic).into());
                    }
                }
                Told::Event(serde_json::from_str(text)?)
            }
        })
    }

    fn records(&mut self, frame: &[u8]) -> Result<()> {
        for record in Records::new(frame) {
            let told = match record? {
                Record::Message { sid, seq, data, .. } => {
                    Told::Message(Data { topic: self.topic(sid)?, seq, data: data.into() })
                }
                Record::Snapshot { sid, seq, data, .. } => {
                    Told::Snapshot(Data { topic: self.topic(sid)?, seq, data: data.into() })
                }
                Record::Gap { sid, from, to } => Told::Gap { topic: self.topic(sid)?, from, to },
            };
            self.told.push_back(told);
        }
        Ok(())
    }

    fn topic(&self, sid: u32) -> Result<Arc<str>> {
        let topic = self.topics.get(&sid).cloned();
        topic.ok_or_else(|| eyre!("sid {sid} was never told of: {:?}", self.topics))
    }
}
