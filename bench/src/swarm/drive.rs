//! The loop: readiness, deadlines, ends.

use std::cmp::Reverse;
use std::time::Duration;

use eyre::Result;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::connection::{Connection, Delivery, Phase, Scratch, Taker};
use super::driver::Observer;
use super::publish::Schedule;
use super::{Change, Driver, Due, End, Role, Swarm};
use crate::clock;
use crate::limits::{READ_BYTES_MAX, UNSENT_BYTES_MAX};

impl Swarm {
    /// Handles what is ready, waiting for it at most `timeout`; hands each message to `observe`.
    ///
    /// # Errors
    /// When epoll fails.
    pub fn poll(&mut self, timeout: Duration, observe: &mut dyn FnMut(Delivery<'_>)) -> Result<()> {
        self.drive(timeout, &mut Observer(observe))
    }

    /// As [`Swarm::poll`], and sends what `driver` says, when it says.
    ///
    /// # Errors
    /// When epoll fails.
    pub fn drive(&mut self, timeout: Duration, driver: &mut dyn Driver) -> Result<()> {
        self.now_ns = clock::now_ns();
        let started_ns = self.now_ns;
        let sent = self.send_due(driver);
        let mut events = std::mem::take(&mut self.events);
        self.look(&mut events, timeout, driver)?;
        let idle = events.is_empty() && self.unread.is_empty() && !sent;
        for event in &events {
            let (data, flags) = (event.data, event.flags);
            let data = data.u64();
            self.on_event(data as u32 as usize, (data >> 32) as u32, flags, driver);
            self.send_due(driver);
        }
        self.events = events;
        self.read_on(driver);
        if self.busy && idle {
            self.idle_ns += clock::now_ns() - started_ns;
        }
        self.read_trickle(&mut |delivery| driver.take(delivery));
        Ok(())
    }

    /// Asks the kernel what is ready.
    fn look(
        &mut self,
        events: &mut Vec<epoll::Event>,
        timeout: Duration,
        driver: &dyn Driver,
    ) -> Result<()> {
        let asked_ns = clock::now_ns();
        let at_once = self.busy || !self.unread.is_empty();
        let wait =
            if at_once { Duration::ZERO } else { self.wait_at_most(timeout, asked_ns, driver) };
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.now_ns = clock::now_ns();
        let all = events.len() < events.capacity() && self.unread.is_empty();
        self.lag.look(asked_ns, self.now_ns, events.len(), all);
        Ok(())
    }

    /// Gives those their next turn that had not read all in their last: of what they have the
    /// kernel has told already.
    fn read_on(&mut self, driver: &mut dyn Driver) {
        // Who has not read all in this turn either comes behind the others.
        for _ in 0..self.unread.len() {
            let Some((index, generation)) = self.unread.pop_front() else { break };
            let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
            if let Some(connection) = &mut self.slots[index].connection {
                connection.unread = false;
            }
            self.on_event(index, generation, flags, driver);
            self.send_due(driver);
        }
    }

    /// Sends what is due; says whether anything was. What is due on one connection at once leaves
    /// in one write.
    fn send_due(&mut self, driver: &mut dyn Driver) -> bool {
        self.publish_due();
        let mut last = None;
        while let Some(Due { at_ns, connection }) = driver.due() {
            if at_ns > self.now_ns {
                break;
            }
            self.now_ns = clock::now_ns();
            if self.unsent_bytes(connection) > UNSENT_BYTES_MAX {
                self.act(connection, Connection::flush);
                if self.unsent_bytes(connection) > UNSENT_BYTES_MAX {
                    driver.held();
                    break;
                }
            }
            if let Some(last) = last.replace(connection).filter(|last| *last != connection) {
                self.act(last, Connection::flush);
            }
            let Some((opcode, payload)) = driver.message(self.now_ns) else { break };
            self.append(connection, opcode, payload);
        }
        if let Some(last) = last {
            self.act(last, Connection::flush);
        }
        last.is_some()
    }

    /// Polls for this long.
    ///
    /// # Errors
    /// As [`Swarm::poll`].
    pub fn poll_for(
        &mut self,
        time: Duration,
        observe: &mut dyn FnMut(Delivery<'_>),
    ) -> Result<()> {
        let until = clock::now_ns() + time.as_nanos() as u64;
        while let Some(left) = until.checked_sub(clock::now_ns()).filter(|&left| left > 0) {
            self.poll(Duration::from_nanos(left), observe)?;
        }
        Ok(())
    }

    fn on_event(
        &mut self,
        index: usize,
        generation: u32,
        flags: epoll::EventFlags,
        driver: &mut dyn Driver,
    ) {
        let slot = &mut self.slots[index];
        let Some(connection) = slot.connection.as_mut().filter(|_| slot.generation == generation)
        else {
            return;
        };
        let (before, messages) = (connection.phase, connection.counts.messages);
        let mut result = Ok(());
        if flags.contains(epoll::EventFlags::OUT) || before == Phase::Connecting {
            result = connection.on_writable();
            if result.is_ok() && !connection.wants_write() && before == Phase::Connecting {
                self.changes.push(Change::Halted(index));
            }
        }
        if result.is_ok() && connection.wants_read() && flags.intersects(READABLE | HUNG_UP) {
            let observe = &mut |delivery: Delivery<'_>| driver.take(delivery);
            let taker = &mut Taker { connection: index, now_ns: &mut self.now_ns, observe };
            let scratch = &mut Scratch { read: &mut self.scratch, plain: &mut self.plain };
            let read = connection.on_readable(scratch, flags.intersects(HUNG_UP), taker);
            if matches!(read, Ok(true)) && !std::mem::replace(&mut connection.unread, true) {
                self.unread.push_back((index, generation));
            }
            result = read.map(drop);
        } else if result.is_ok() && flags.intersects(ENDED) {
            // Only an end is reported to a connection that does not read.
            result = Err(end_of_unread(connection));
        }
        let (phase, messages) = (connection.phase, connection.counts.messages - messages);
        let resumed = before < Phase::Open && connection.is_resumed();
        if messages > 0 {
            self.lag.note(self.now_ns, messages);
        }
        if before < Phase::Open && phase >= Phase::Open {
            self.resumed += u64::from(resumed);
            self.slots[index].opened_ns = Some(clock::now_ns());
            self.changes.push(Change::Opened(index));
            self.schedule_trickle(index);
        }
        match result {
            Ok(()) => self.update_interest(index),
            Err(end) => self.finish(index, end),
        }
    }

    pub(super) fn finish(&mut self, index: usize, end: End) {
        let slot = &mut self.slots[index];
        if let Some(connection) = slot.connection.take() {
            slot.counts = connection.counts;
            slot.end = Some(end);
            self.live -= 1;
            self.changes.push(Change::Ended(index));
        }
    }

    pub(super) fn update_interest(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let Some(connection) = &slot.connection else { return };
        let wanted = interest(connection);
        if wanted.bits() != slot.interest {
            slot.interest = wanted.bits();
            let data = u64::from(slot.generation) << 32 | index as u64;
            let data = epoll::EventData::new_u64(data);
            if let Err(error) = epoll::modify(&self.epoll, &connection.socket, data, wanted) {
                self.finish(index, End::Failed(error.to_string()));
            }
        }
    }

    pub(super) fn schedule_trickle(&mut self, index: usize) {
        let slot = &self.slots[index];
        if let Some(Connection { role: Role::Trickle { every, .. }, .. }) = &slot.connection {
            let due = clock::now_ns() + every.as_nanos() as u64;
            self.trickle.push(Reverse((due, index, slot.generation)));
        }
    }

    fn read_trickle(&mut self, observe: &mut dyn FnMut(Delivery<'_>)) {
        if self.trickle.is_empty() {
            return;
        }
        let now = clock::now_ns();
        while let Some(&Reverse((due, index, generation))) = self.trickle.peek() {
            if due > now {
                break;
            }
            self.trickle.pop();
            let slot = &mut self.slots[index];
            if slot.generation != generation {
                continue;
            }
            let Some(connection) = &mut slot.connection else { continue };
            let Role::Trickle { bytes, .. } = connection.role else { continue };
            let read = &mut self.scratch[..bytes.clamp(1, READ_BYTES_MAX)];
            let scratch = &mut Scratch { read, plain: &mut self.plain };
            let taker =
                &mut Taker { connection: index, now_ns: &mut self.now_ns, observe: &mut *observe };
            match connection.on_readable(scratch, false, taker) {
                Ok(_) => self.schedule_trickle(index),
                Err(end) => self.finish(index, end),
            }
            self.update_interest(index);
        }
    }

    fn wait_at_most(&self, timeout: Duration, now_ns: u64, driver: &dyn Driver) -> Duration {
        let next_read = self.trickle.peek().map(|Reverse((due, ..))| *due);
        let next_publish = self.schedules.iter().map(Schedule::due_ns).min();
        // What is held back is sent when its socket takes more, which wakes us.
        let held = |due: &Due| self.unsent_bytes(due.connection) > UNSENT_BYTES_MAX;
        let next_due = driver.due().filter(|due| !held(due)).map(|due| due.at_ns);
        let due = [next_read, next_publish, next_due].into_iter().flatten().min();
        let until_due = due.map(|due| Duration::from_nanos(due.saturating_sub(now_ns)));
        until_due.map_or(timeout, |until_due| until_due.min(timeout))
    }
}

pub(super) fn interest(connection: &Connection) -> epoll::EventFlags {
    let mut flags = epoll::EventFlags::ET;
    flags.set(READABLE | epoll::EventFlags::RDHUP, connection.wants_read());
    flags.set(epoll::EventFlags::OUT, connection.wants_write());
    flags
}

const READABLE: epoll::EventFlags = epoll::EventFlags::IN;
/// Both sides have ended, or the connection has failed.
const ENDED: epoll::EventFlags = epoll::EventFlags::HUP.union(epoll::EventFlags::ERR);
/// The end is to be read, behind whatever came before it.
const HUNG_UP: epoll::EventFlags = ENDED.union(epoll::EventFlags::RDHUP);

fn end_of_unread(connection: &Connection) -> End {
    match connection.socket.take_error() {
        Ok(Some(error)) | Err(error) => End::Failed(error.to_string()),
        Ok(None) => End::WithoutClose,
    }
}
