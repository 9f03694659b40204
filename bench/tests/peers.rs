//! Each server that can be measured does what the harness takes for granted. Those that are not
//! installed are left out with a word; with CI=true that is a failure.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};
use std::{env, thread};

use corecast_bench::servers::{Server, ServerOptions, Site};
use corecast_bench::swarm::{Delivery, End, Plan, Swarm};
use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, ensure, eyre};

const OTHERS: usize = 20;
const SIZES: [usize; 6] = [0, 125, 126, 65_535, 65_536, 300 << 10];
const WITHIN: Duration = Duration::from_secs(30);
/// How long to look out for what should not come.
const AFTERWARDS: Duration = Duration::from_millis(100);

/// A message: whether it is text, and its payload.
type Message = (bool, Vec<u8>);

#[test]
fn messages_of_every_size_reach_the_others_unchanged_and_not_their_sender() {
    for_each_server(|site| {
        let mut room = Room::open(site, "/ws/sizes", OTHERS)?;
        let sent = of_every_size();
        sent.iter().for_each(|message| room.send(message));
        room.expect(&sent)
    });
}

#[test]
fn a_burst_reaches_all_in_order() {
    for_each_server(|site| {
        let mut room = Room::open(site, "/ws/burst", OTHERS)?;
        let sent = Vec::from_iter((0..2_000).map(|number| {
            let mut message = binary(64);
            message.1[..4].copy_from_slice(&u32::to_be_bytes(number));
            message
        }));
        sent.iter().for_each(|message| room.send(message));
        room.expect(&sent)
    });
}

#[test]
fn topics_are_apart() {
    for_each_server(|site| {
        let mut one = Room::open(site, "/ws/one", 2)?;
        let mut other = Room::open(site, "/ws/other", 2)?;
        let (first, second) = (text(10), text(20));
        one.send(&first);
        other.send(&second);
        one.expect(&[first])?;
        other.expect(&[second])
    });
}

#[test]
fn an_echo_comes_back_as_it_was() {
    for_each_server(|site| {
        let mut room = Room::open(site, "/echo", 0)?;
        let sent = of_every_size();
        sent.iter().for_each(|message| room.send(message));
        room.others = room.sender..room.sender + 1;
        room.expect(&sent)
    });
}

#[test]
fn a_close_is_answered() {
    for_each_server(|site| {
        let mut room = Room::open(site, "/ws/close", 1)?;
        room.swarm.close(room.sender, 1000);
        let until = Instant::now() + WITHIN;
        while room.swarm.end(room.sender).is_none() && Instant::now() < until {
            room.swarm.poll(Duration::from_millis(10), &mut |_| {})?;
        }
        let end = room.swarm.end(room.sender);
        let clean = matches!(end, Some(End::Closed { code: Some(1000), .. }));
        ensure!(clean, "a Close with 1000 was answered so: {end:?}");
        ensure!(room.swarm.live() == 1, "the other connection ended, too");
        Ok(())
    });
}

#[test]
fn sigterm_ends_it_with_connections_open() {
    for site in servers() {
        let name = site.name.clone();
        let mut room = Room::open(&site, "/ws/end", 3).expect(&name);
        let (begun, stopping) = (Instant::now(), thread::spawn(|| site.stop()));
        while !stopping.is_finished() {
            room.swarm.poll_for(Duration::from_millis(10), &mut |_| {}).expect(&name);
        }
        stopping.join().expect("no panic").expect(&name);
        assert!(begun.elapsed() < Duration::from_secs(5), "{name} took {:?}", begun.elapsed());
    }
}

#[test]
fn what_it_uses_and_which_version_it_is_are_known() {
    for_each_server(|site| {
        let usage = site.usage()?.ok_or_else(|| eyre!("its process is not known"))?;
        ensure!(usage.rss_anon_bytes > 0 && usage.fds > 3, "{usage:?}");
        let version = site.version.as_deref().unwrap_or_default();
        ensure!(version.contains(|c: char| c.is_ascii_digit()), "version {version:?}");
        Ok(())
    });
}

/// Does this to each server in turn; whatever is wrong names the server.
fn for_each_server(check: impl Fn(&Site) -> Result<()>) {
    for site in servers() {
        let checked = check(&site).wrap_err_with(|| format!("{}:\n{}", site.name, site.output()));
        checked.and_then(|()| site.stop()).expect("what the harness takes for granted");
    }
}

/// The servers that are installed, each started when its turn comes.
fn servers() -> impl Iterator<Item = Site> {
    let options = ServerOptions::default();
    // The step `rust` runs before `peers`, which installs them.
    let optional = env::var_os("CORECAST_PEERS_OPTIONAL").is_some();
    let required = env::var("CI").is_ok_and(|ci| ci == "true") && !optional;
    Server::ALL.into_iter().filter_map(move |server| match server.version(&options) {
        Ok(_) => Some(server.start(&options).expect("an installed server starts")),
        Err(absent) => {
            assert!(!required, "{absent:#}");
            eprintln!("left out: {absent:#}");
            None
        }
    })
}

/// One connection that sends, and others that receive.
struct Room {
    swarm: Swarm,
    sender: usize,
    others: Range<usize>,
}

impl Room {
    fn open(site: &Site, path: &str, others: usize) -> Result<Self> {
        let mut swarm = Swarm::new(site.address)?;
        let plan = Plan::reader(path);
        let sender = swarm.open_all(&plan, 1, WITHIN, &mut |_| {})?.start;
        let others = swarm.open_all(&plan, others, WITHIN, &mut |_| {})?;
        // A server may answer a handshake a moment before it has noted who joins.
        swarm.poll_for(AFTERWARDS, &mut |_| {})?;
        Ok(Self { swarm, sender, others })
    }

    fn send(&mut self, (is_text, payload): &Message) {
        let opcode = if *is_text { Opcode::Text } else { Opcode::Binary };
        self.swarm.send(self.sender, opcode, payload);
    }

    /// Waits until the others have received exactly these, and nobody anything else.
    fn expect(&mut self, sent: &[Message]) -> Result<()> {
        let count = self.others.len() * sent.len();
        let mut left = vec![VecDeque::new(); self.sender + 1 + self.others.end];
        for other in self.others.clone() {
            left[other].extend(sent);
        }
        let (mut received, mut wrong) = (0, None);
        let mut observe = |delivery: Delivery<'_>| {
            received += 1;
            let got = (delivery.is_text, delivery.payload);
            let expected = left[delivery.connection].pop_front();
            if expected.is_none_or(|(is_text, payload)| (*is_text, payload.as_slice()) != got) {
                let (to, bytes) = (delivery.connection, delivery.payload.len());
                wrong.get_or_insert_with(|| format!("{bytes} bytes to connection {to}"));
            }
        };
        let until = Instant::now() + WITHIN;
        while !self.has_come(sent.len()) && Instant::now() < until {
            self.swarm.poll(Duration::from_millis(10), &mut observe)?;
        }
        self.swarm.poll_for(AFTERWARDS, &mut observe)?;
        ensure!(wrong.is_none(), "received what was not to come: {wrong:?}");
        ensure!(received == count, "{received} of {count} messages have come");
        Ok(())
    }

    fn has_come(&self, messages: usize) -> bool {
        self.others.clone().all(|one| self.swarm.counts(one).messages >= messages as u64)
    }
}

fn of_every_size() -> Vec<Message> {
    Vec::from_iter(SIZES.iter().flat_map(|&bytes| [text(bytes), binary(bytes)]))
}

/// A text of that many bytes, most of them of characters of two.
fn text(bytes: usize) -> Message {
    let mut text = "é".repeat(bytes / 2);
    text.push_str(&"x"[..bytes % 2]);
    (true, text.into_bytes())
}

fn binary(bytes: usize) -> Message {
    (false, Vec::from_iter((0..bytes).map(|at| (at * 7 + at / 256) as u8)))
}
