//! Until its last client has left, the process before gets what is published here: its homes give
//! it the same numbers, so a client misses nothing before it is sent away, and goes on here.

use super::channel::Channel;
use super::wire::{Body, Kind, bytes, option};
use crate::cli::exit::{Exit, Failure};
use ::bytes::Bytes;
use corecast::{Engine, Leave, Now, PublishError, Tap, Update, UpdateKind};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Hears what this process takes.
#[derive(Debug)]
pub(super) struct Relay {
    sender: SyncSender<Update>,
    is_over: AtomicBool,
}

/// What the relay has heard.
pub(super) type Heard = Receiver<Update>;

impl Relay {
    /// A relay, and what it hears.
    pub(super) fn new() -> (Arc<Self>, Heard) {
        let (sender, heard) = sync_channel(WAITING_MAX);
        (Arc::new(Self { sender, is_over: AtomicBool::new(false) }), heard)
    }
}

impl Tap for Relay {
    fn taken(&self, update: &Update, now: Now) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let update = Update { ts: update.ts.or(Some(now.wall_ns)), ..update.clone() };
        // A hole would be worse than an end: the other sends its clients here at once.
        if self.sender.try_send(update).is_err() {
            self.is_over.store(true, Ordering::Relaxed);
        }
    }
}

/// Tells the process before what is heard, until it is gone or falls behind.
///
/// # Errors
///
/// When there is no thread for it.
pub(super) fn tell(mut channel: Channel, relay: Arc<Relay>, heard: Heard) -> Result<(), Failure> {
    let tell = move || {
        let mut body = Vec::new();
        while !relay.is_over.load(Ordering::Relaxed) {
            let Ok(update) = heard.recv_timeout(LOOK_EVERY) else {
                // Whether it is still there.
                if channel.say(Kind::Alive, &[]).is_err() {
                    break;
                }
                continue;
            };
            body.clear();
            write(&mut body, &update);
            if channel.say(Kind::Update, &body).is_err() {
                break;
            }
        }
        relay.is_over.store(true, Ordering::Relaxed);
    };
    let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(tell);
    thread.map(drop).map_err(|error| Failure::new(Exit::Software, format!("no thread: {error}")))
}

/// Publishes what the process after tells, until the engine ends. Where it tells no more, clients
/// are sent to it at once.
///
/// # Errors
///
/// When there is no thread for it.
pub(super) fn listen(
    mut channel: Channel,
    engine: &Arc<Engine>,
    drain: Duration,
) -> io::Result<()> {
    let engine = Arc::clone(engine);
    let listen = move || {
        let publisher = engine.publisher();
        let error = loop {
            let update = match channel.hear() {
                Ok((Kind::Update, body)) => read(&body),
                Ok((Kind::Alive, _)) => continue,
                Ok((other, _)) => Err(io::Error::other(format!("it says {other:?}"))),
                Err(error) => Err(error),
            };
            let update = match update {
                Ok(update) => update,
                Err(error) => break error,
            };
            loop {
                match publisher.update(update.clone()) {
                    Err(PublishError::Full) => publisher.wait_room(),
                    // The engine has ended: nobody is left.
                    Err(PublishError::Stopped) => return,
                    // What does not fit here does not reach those who are about to go.
                    Ok(()) | Err(_) => break,
                }
            }
        };
        tracing::warn!(%error, "the process that took over tells no more: clients go there now");
        let _ = engine.leave_blocking(Leave {
            code: corecast::CloseCode::SERVICE_RESTART,
            ..Leave::within(drain)
        });
    };
    std::thread::Builder::new().name("relay".to_owned()).spawn(listen).map(drop)
}

fn write(out: &mut Vec<u8>, update: &Update) {
    let Update { topic, kind, data, binary, key, ts } = update;
    bytes(out, topic.as_bytes());
    out.push(u8::from(*kind == UpdateKind::Snapshot));
    bytes(out, data);
    option(out, binary.as_ref(), |out, binary| bytes(out, binary));
    option(out, key.as_ref(), |out, key| bytes(out, key));
    option(out, *ts, |out, ts| out.extend(ts.to_le_bytes()));
}

fn read(body: &[u8]) -> io::Result<Update> {
    let own = |body: &mut Body<'_>| body.bytes().map(Bytes::copy_from_slice);
    let mut body = Body(body);
    let topic = std::str::from_utf8(body.bytes()?).map_err(io::Error::other)?.into();
    let kind = if body.bool()? { UpdateKind::Snapshot } else { UpdateKind::Message };
    let (data, binary) = (own(&mut body)?, body.option(own)?);
    let (key, ts) = (body.option(own)?, body.option(Body::i64)?);
    body.end()?;
    Ok(Update { topic, kind, data, binary, key, ts })
}

/// Updates that wait for the other process at most.
const WAITING_MAX: usize = 65_536;
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_arrives_as_it_was() {
        let whole = Update {
            topic: "book.X".into(),
            kind: UpdateKind::Snapshot,
            data: "[1]".into(),
            binary: Some("b".into()),
            key: Some("k".into()),
            ts: Some(-7),
        };
        for update in [whole, Update::new("a", "1")] {
            let mut body = Vec::new();
            write(&mut body, &update);
            assert_eq!(read(&body).expect("whole"), update);
            for length in 0..body.len() {
                assert!(read(&body[..length]).is_err(), "{length} bytes");
            }
        }
    }

    #[test]
    fn who_falls_behind_is_told_nothing_rather_than_a_part() {
        let (relay, heard) = Relay::new();
        for number in 0..WAITING_MAX + 2 {
            relay.taken(&Update::new("a", number.to_string()), Now::default());
        }
        assert!(relay.is_over.load(Ordering::Relaxed));
        assert_eq!(heard.try_iter().count(), WAITING_MAX, "those before it are whole");
        relay.taken(&Update::new("a", "late"), Now::default());
        assert!(heard.try_recv().is_err());
    }
}
