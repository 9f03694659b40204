//! Attackers: connections in a thread of their own that do what no honest client does, as often as
//! they can, and what became of them.

mod connection;
mod gang;
mod kind;
mod origin;
mod requests;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use eyre::{Result, ensure, eyre};
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::clock;
use crate::limits::EVENTS_MAX;
use crate::random::SplitMix64;
use connection::Connection;
pub use gang::{Gang, Orders};
pub use kind::{Kind, Targets};
pub use origin::Origin;
pub use tally::{Fate, Tally};

/// What one attacking connection does, from its first byte to its end.
#[derive(Debug, Clone)]
pub struct Script {
    /// What reports call it.
    pub name: &'static str,
    /// Where it connects.
    pub server: SocketAddr,
    /// What it sends once it is connected.
    pub bytes: Arc<[u8]>,
    /// How much of that it sends at once, and how often; all at once when absent.
    pub drip: Option<(usize, Duration)>,
    /// Whether it goes as soon as the server has said something. Otherwise it stays until the
    /// server ends it.
    pub goes_when_answered: bool,
    /// It goes when it has stayed this long, in any case.
    pub stays_at_most: Duration,
}

/// What attackers do together.
#[derive(Debug, Clone)]
pub struct Attack {
    /// In turn; each has as many of the connections as the others.
    pub scripts: Vec<Script>,
    /// Where they come from.
    pub origin: Origin,
    /// Connections at the same time.
    pub parallel: usize,
    /// Connections begun in a second, at most; without it as many as this CPU can.
    pub rate: Option<f64>,
}

/// Attackers at work, in a thread that runs only while nothing else wants its CPU.
#[derive(Debug)]
pub struct Attackers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Tally>>,
}

impl Attackers {
    /// Begins the attack.
    ///
    /// # Errors
    /// When there is nothing to do.
    pub fn start(attack: Attack) -> Result<Self> {
        ensure!(!attack.scripts.is_empty(), "an attack has at least one script");
        ensure!(
            attack.parallel >= attack.scripts.len(),
            "{} connections at a time are fewer than the {} things that attackers do",
            attack.parallel,
            attack.scripts.len()
        );
        ensure!(attack.rate.is_none_or(|rate| rate > 0.0), "a rate is above 0");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            // The control's thread comes first: it measures. To be less nice is always allowed.
            rustix::process::setpriority_process(None, LEAST_PRIORITY)?;
            Horde::new(attack)?.run(&seen)
        });
        Ok(Self { stop, thread })
    }

    /// Ends the attack: what is still open is reset.
    ///
    /// # Errors
    /// When the kernel had no descriptor or address for it.
    pub fn finish(self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| eyre!("the thread of the attackers panicked"))?
    }
}

/// All connections of an attack.
struct Horde {
    attack: Attack,
    epoll: OwnedFd,
    slots: Vec<Slot>,
    /// Slots without a connection, the one longest without it first.
    free: VecDeque<usize>,
    /// For each script when which of its connections has stayed long enough, and when it may send
    /// its next drop. Each queue is in order, since what is added comes after what is there.
    stays: Vec<VecDeque<Due>>,
    drips: Vec<VecDeque<Due>>,
    random: SplitMix64,
    tally: Tally,
}

#[derive(Default)]
struct Slot {
    /// Counts up with each connection, so that what was due for the one before is ignored.
    generation: u32,
    connection: Option<Connection>,
}

#[derive(Clone, Copy)]
struct Due {
    at_ns: u64,
    index: usize,
    generation: u32,
}

impl Horde {
    fn new(attack: Attack) -> Result<Self> {
        let scripts = attack.scripts.len();
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            slots: (0..attack.parallel).map(|_| Slot::default()).collect(),
            free: (0..attack.parallel).collect(),
            stays: vec![VecDeque::new(); scripts],
            drips: vec![VecDeque::new(); scripts],
            random: SplitMix64::new(clock::now_ns()),
            tally: Tally::new(&attack.scripts),
            attack,
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<Tally> {
        let started_ns = clock::now_ns();
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while !stop.load(Ordering::Relaxed) {
            let now_ns = clock::now_ns();
            self.begin_due(started_ns, now_ns)?;
            self.end_due(now_ns);
            self.drip_due(now_ns);
            events.clear();
            let wait = Timespec { tv_sec: 0, tv_nsec: WAIT_NS };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait))
            {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                let data = data.u64();
                self.on_event(data as u32 as usize, (data >> 32) as u32, flags);
            }
        }
        self.tally.seconds = (clock::now_ns() - started_ns) as f64 / 1e9;
        for index in 0..self.slots.len() {
            if let Some(connection) = self.slots[index].connection.take() {
                self.tally.note(connection.script, &Fate::Open);
                connection.reset();
            }
        }
        Ok(self.tally)
    }

    /// Begins as many connections as there is room and time for, a few before others are looked at.
    fn begin_due(&mut self, started_ns: u64, now_ns: u64) -> Result<()> {
        let due = self
            .attack
            .rate
            .map_or(u64::MAX, |rate| ((now_ns - started_ns) as f64 * rate / 1e9) as u64 + 1);
        for _ in 0..BEGUN_PER_TURN_MAX {
            if self.tally.begun >= due {
                break;
            }
            let Some(index) = self.free.pop_front() else { break };
            self.begin(index)?;
        }
        Ok(())
    }

    fn begin(&mut self, index: usize) -> Result<()> {
        let place = index % self.attack.scripts.len();
        let script = &self.attack.scripts[place];
        self.tally.begun += 1;
        let source = self.attack.origin.address(&mut self.random);
        let connection = match Connection::begin(place, script, source) {
            Ok(connection) => connection,
            Err(Errno::MFILE | Errno::NFILE) => {
                eyre::bail!("no file is left for an attacker: lower --parallel, or raise ulimit -n")
            }
            Err(error) => {
                self.tally.note(place, &Fate::Refused(std::io::Error::from(error).to_string()));
                self.free.push_back(index);
                return Ok(());
            }
        };
        let now_ns = clock::now_ns();
        let slot = &mut self.slots[index];
        slot.generation = slot.generation.wrapping_add(1);
        let generation = slot.generation;
        let data = epoll::EventData::new_u64(u64::from(generation) << 32 | index as u64);
        let flags = epoll::EventFlags::ET | READABLE | epoll::EventFlags::OUT;
        epoll::add(&self.epoll, connection.socket(), data, flags)?;
        slot.connection = Some(connection);
        let stays_ns = script.stays_at_most.as_nanos() as u64;
        self.stays[place].push_back(Due { at_ns: now_ns + stays_ns, index, generation });
        if let Some((_, every)) = script.drip {
            let at_ns = now_ns + every.as_nanos() as u64;
            self.drips[place].push_back(Due { at_ns, index, generation });
        }
        Ok(())
    }

    fn on_event(&mut self, index: usize, generation: u32, flags: epoll::EventFlags) {
        let slot = &mut self.slots[index];
        let Some(connection) = slot.connection.as_mut().filter(|_| slot.generation == generation)
        else {
            return;
        };
        let script = &self.attack.scripts[connection.script];
        let mut fate = None;
        if flags.contains(epoll::EventFlags::OUT) {
            fate = connection.on_writable(script);
        }
        if fate.is_none() && flags.intersects(READABLE | ENDED) {
            fate = connection.on_readable(script);
        }
        if let Some(fate) = fate {
            self.finish(index, &fate);
        }
    }

    /// Ends those that have stayed as long as they may.
    fn end_due(&mut self, now_ns: u64) {
        for script in 0..self.stays.len() {
            while let Some(due) = self.stays[script].pop_front_if(|due| due.at_ns <= now_ns) {
                if self.is_there(&due) {
                    let answered = self.slots[due.index].connection.as_ref().map(Connection::fate);
                    self.finish(due.index, &answered.unwrap_or(Fate::Silence));
                }
            }
        }
    }

    fn drip_due(&mut self, now_ns: u64) {
        for place in 0..self.drips.len() {
            let Some((bytes, every)) = self.attack.scripts[place].drip else { continue };
            while let Some(due) = self.drips[place].pop_front_if(|due| due.at_ns <= now_ns) {
                if !self.is_there(&due) {
                    continue;
                }
                let script = &self.attack.scripts[place];
                if let Some(connection) = &mut self.slots[due.index].connection {
                    connection.drip(script, bytes);
                }
                let at_ns = due.at_ns + every.as_nanos() as u64;
                self.drips[place].push_back(Due { at_ns, ..due });
            }
        }
    }

    fn is_there(&self, due: &Due) -> bool {
        let slot = &self.slots[due.index];
        slot.generation == due.generation && slot.connection.is_some()
    }

    fn finish(&mut self, index: usize, fate: &Fate) {
        if let Some(connection) = self.slots[index].connection.take() {
            self.tally.note(connection.script, fate);
            connection.reset();
            self.free.push_back(index);
        }
    }
}

/// As the kernel counts niceness: the most there is.
const LEAST_PRIORITY: i32 = 19;
/// Long enough to sleep, short enough to notice the end and what drips.
const WAIT_NS: i64 = 1_000_000;
/// Connections begun before those are looked at that have an answer.
const BEGUN_PER_TURN_MAX: usize = 64;

const READABLE: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP);
const ENDED: epoll::EventFlags = epoll::EventFlags::HUP.union(epoll::EventFlags::ERR);
