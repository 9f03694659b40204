//! Until its last client has left, the process before gets what is published here: its homes give
//! it the same numbers, so a client misses nothing before it is sent away, and goes on here.

use super::channel::Channel;
use super::wire::{Body, Kind, bytes, option};
use ::bytes::Bytes;
use corecast::{Engine, Leave, Now, PublishError, Publisher, Tap, Timestamp, Update, UpdateKind};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Hears what this process takes.
#[derive(Debug)]
pub(super) struct Relay {
    sender: SyncSender<(Timestamp, Update)>,
    /// Bytes of what waits.
    waiting_bytes: AtomicUsize,
    is_over: AtomicBool,
}

/// What the relay has heard, and when.
pub(super) type Heard = Receiver<(Timestamp, Update)>;

impl Relay {
    /// A relay, and what it hears.
    pub(super) fn new() -> (Arc<Self>, Heard) {
        let (sender, heard) = sync_channel(WAITING_MAX);
        let (waiting_bytes, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        (Arc::new(Self { sender, waiting_bytes, is_over }), heard)
    }
}

impl Tap for Relay {
    fn taken(&self, update: &Update, now: Now) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let update = Update { ts: update.ts.or(Some(now.wall_ns)), ..update.clone() };
        let bytes = bytes_of(&update);
        let waiting_bytes = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // A hole would be worse than an end: the other sends its clients here at once.
        if waiting_bytes > WAITING_BYTES_MAX || self.sender.try_send((now.mono, update)).is_err() {
            self.is_over.store(true, Ordering::Relaxed);
        }
    }
}

/// Tells the process before what is heard, until it is gone or falls behind.
pub(super) fn tell(mut channel: Channel, relay: Arc<Relay>, heard: Heard, engine: &Arc<Engine>) {
    let engine = Arc::clone(engine);
    let tell = move || {
        let mut body = Vec::new();
        while !relay.is_over.load(Ordering::Relaxed) {
            let Ok(first) = heard.recv_timeout(LOOK_EVERY) else {
                // Whether it is still there.
                if channel.say(Kind::Alive, &[]).is_err() {
                    break;
                }
                continue;
            };
            let taken_at = first.0;
            gather(&relay, first, &heard, &mut body);
            // Clients that are this late miss more with each second: here they resume by number.
            if engine.now().since(taken_at) > LAG_MAX {
                tracing::warn!("the process before does not follow: its clients come here now");
                break;
            }
            if channel.say(Kind::Updates, &body).is_err() {
                break;
            }
        }
        relay.is_over.store(true, Ordering::Relaxed);
    };
    let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(tell);
    if let Err(error) = thread {
        // With the channel it is the end of the relay: the other sends its clients here at once.
        tracing::error!(%error, "no thread to tell the process before what is published");
    }
}

/// Writes what is there, as much as the other publishes in one step: while that takes it, more
/// gathers here.
fn gather(relay: &Relay, first: (Timestamp, Update), heard: &Heard, body: &mut Vec<u8>) {
    body.clear();
    let (mut next, mut room) = (Some(first), RUN_MAX);
    while let Some((_, update)) = next {
        relay.waiting_bytes.fetch_sub(bytes_of(&update), Ordering::Relaxed);
        write(body, &update);
        room -= 1;
        let goes_on = room > 0 && body.len() < RUN_BYTES;
        next = goes_on.then(|| heard.try_recv().ok()).flatten();
    }
}

/// Publishes what the process after tells, until the engine ends. Where it tells no more, or tells
/// what does not fit here, clients are sent to it at once.
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
            let followed = match channel.hear() {
                Ok((Kind::Updates, body)) => read(&body).and_then(|run| follow(&publisher, run)),
                Ok((Kind::Alive, _)) => Ok(()),
                Ok((other, _)) => Err(io::Error::other(format!("it says {other:?}"))),
                Err(error) => Err(error),
            };
            if let Err(error) = followed {
                break error;
            }
        };
        // Then nobody is left.
        if error.kind() == HAS_ENDED {
            return;
        }
        tracing::warn!(%error, "the relay has ended: clients go to the other process now");
        let _ = engine.leave_blocking(Leave {
            code: corecast::CloseCode::SERVICE_RESTART,
            ..Leave::within(drain)
        });
    };
    std::thread::Builder::new().name("relay".to_owned()).spawn(listen).map(drop)
}

/// Publishes in this process what another has taken. An update that is not taken here would shift
/// the numbers of its topic: so nothing of its home follows it within the run, and no other run
/// before it is known that this one was taken.
fn follow(publisher: &Publisher, mut run: Vec<Update>) -> io::Result<()> {
    let topics: Vec<_> = run.iter().map(|update| update.topic.clone()).collect();
    let of = |place: usize| topics.get(place).map_or("", |topic| &**topic);
    let bytes = run.iter().map(Update::bytes).sum();
    loop {
        match publisher.update_run(&mut run) {
            Ok(reported) => {
                let report = reported.wait();
                if let Some((place, error)) = report.refused.first() {
                    return Err(refused(of(*place as usize), error));
                }
                let is_whole = report.dealt == topics.len();
                return is_whole.then_some(()).ok_or_else(|| HAS_ENDED.into());
            }
            Err(PublishError::Full) => publisher.wait_room_for(topics.len(), bytes),
            Err(PublishError::Stopped) => return Err(HAS_ENDED.into()),
            Err(error) => return Err(refused(of(0), &error)),
        }
    }
}

fn refused(topic: &str, error: &dyn std::error::Error) -> io::Error {
    io::Error::other(format!("an update of {topic} does not fit here: {error}"))
}

/// Bytes of an update's own.
fn bytes_of(update: &Update) -> usize {
    let Update { topic, data, binary, key, .. } = update;
    let others = [binary, key].into_iter().flatten().map(Bytes::len).sum::<usize>();
    topic.len() + data.len() + others
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

fn read(body: &[u8]) -> io::Result<Vec<Update>> {
    let mut body = Body(body);
    let mut run = Vec::new();
    while body.end().is_err() {
        run.push(read_one(&mut body)?);
    }
    Ok(run)
}

fn read_one(body: &mut Body<'_>) -> io::Result<Update> {
    let own = |body: &mut Body<'_>| body.bytes().map(Bytes::copy_from_slice);
    let topic = std::str::from_utf8(body.bytes()?).map_err(io::Error::other)?.into();
    let kind = if body.bool()? { UpdateKind::Snapshot } else { UpdateKind::Message };
    let (data, binary) = (own(body)?, body.option(own)?);
    let (key, ts) = (body.option(own)?, body.option(Body::i64)?);
    Ok(Update { topic, kind, data, binary, key, ts })
}

/// Updates that wait for the other process at most.
const WAITING_MAX: usize = 65_536;
/// Their bytes.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How late the other process may hear of an update.
const LAG_MAX: Duration = Duration::from_secs(2);
/// The engine here has ended: no socket gives that.
const HAS_ENDED: io::ErrorKind = io::ErrorKind::Unsupported;
/// Updates that are told at once.
const RUN_MAX: usize = 256;
/// With so many bytes of them it is enough.
const RUN_BYTES: usize = 64 << 10;
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::{Accept, Arrival, Context, Handler, Message, Namespace, Reject, Upgrade};

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
            let whole = body.len();
            write(&mut body, &Update::new("b", "2"));
            assert_eq!(read(&body).expect("two"), [update.clone(), Update::new("b", "2")]);
            assert_eq!(read(&body[..whole]).expect("whole"), [update]);
            for length in 1..whole {
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
        let (relay, heard) = Relay::new();
        let data = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..WAITING_BYTES_MAX >> 20 {
            relay.taken(&Update::new("a", data.clone()), Now::default());
        }
        assert!(relay.is_over.load(Ordering::Relaxed), "their topics count, too");
        assert_eq!(heard.try_iter().count(), (WAITING_BYTES_MAX >> 20) - 1);
    }

    /// Lets nobody in.
    struct Closed;

    impl Handler for Closed {
        type Data = ();

        fn on_upgrade(&mut self, _: &Upgrade<'_>, _: &Arrival<'_>) -> Result<Accept<()>, Reject> {
            Err(Reject::new(403, "nobody"))
        }

        fn on_message(&mut self, (): &mut (), _: Message<'_>, _: &mut Context<'_>) {}
    }

    /// An engine with room for one topic.
    fn engine() -> Arc<Engine> {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let one = Namespace { name: "trade".into(), topics_max: 1, ..Namespace::default() };
        let builder = Engine::builder().listen(listen).shards(1).namespace(one);
        Arc::new(builder.spawn(|_| Closed).expect("it starts"))
    }

    #[test]
    fn behind_an_update_that_does_not_fit_here_nothing_of_its_topic_is_numbered() {
        let engine = engine();
        let publisher = engine.publisher();
        let run = |topics: &[&str]| topics.iter().map(|topic| Update::new(*topic, "1")).collect();
        follow(&publisher, run(&["trade.A", "trade.A"])).expect("taken");
        let unknown = follow(&publisher, run(&["trade.A", "book.A"])).expect_err("no namespace");
        assert!(unknown.to_string().contains("book.A"), "{unknown}");
        // Only its home knows that there is no room.
        let full = follow(&publisher, run(&["trade.B", "trade.A"])).expect_err("no room");
        assert!(full.to_string().contains("trade.B"), "{full}");
        let next = engine.publisher().update_reported(Update::new("trade.A", "3"));
        assert_eq!(next.expect("taken").wait().seq, Some(3));
    }

    #[test]
    fn a_relay_that_brings_what_does_not_fit_sends_the_clients_away() {
        for topic in ["book.A", "trade.B"] {
            let engine = engine();
            let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
            let near = Channel::new(near).expect("ours");
            let mut far = Channel::new(far).expect("ours");
            listen(near, &engine, Duration::from_secs(20)).expect("a thread");
            for topic in ["trade.A", topic] {
                let mut body = Vec::new();
                write(&mut body, &Update::new(topic, "1"));
                far.say(Kind::Updates, &body).expect("said");
            }
            engine.wait().expect("it has left, and no shard panicked");
        }
    }
}
