//! The floor of a protocol's work: one io_uring ring, a handshake, frames found and passed on.
//!
//! Each message is encoded once and sent to all sockets of its path, hundreds of them in one
//! `io_uring_enter`. Nothing is checked beyond what is needed to find a frame: no UTF-8, no order
//! of fragments, no reserved bits.

#![deny(unsafe_code)]

mod frames;
mod ring;
mod session;

use std::collections::HashMap;
use std::process::ExitCode;
use std::rc::Rc;

use corecast_peers::{arguments, handshake, hub};
use ring::{Event, Id, Ring};
use session::{Session, Step};

fn main() -> ExitCode {
    let address = arguments::listen_address("io-uring");
    let error = match Ring::new(address).and_then(serve) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("cannot serve on {address}: {error}");
    ExitCode::FAILURE
}

/// Runs until the process is told to end.
fn serve(ring: &'static mut Ring) -> std::io::Result<std::convert::Infallible> {
    println!("listening on {}", ring.address()?);
    let mut floor = Floor::default();
    let mut events = Vec::new();
    loop {
        ring.turn(&mut events)?;
        for event in events.drain(..) {
            floor.on_event(ring, event);
        }
    }
}

/// Who listens where.
#[derive(Default)]
struct Floor {
    sessions: HashMap<Id, Session>,
    topics: HashMap<String, Vec<Id>>,
}

impl Floor {
    fn on_event(&mut self, ring: &mut Ring, event: Event) {
        match event {
            Event::Opened(id) => drop(self.sessions.insert(id, Session::default())),
            Event::Received(id, lease) => {
                let session = self.sessions.entry(id).or_default();
                ring.read(lease, &mut session.input);
                self.advance(ring, id);
            }
            Event::Ended(id) => self.leave(id),
        }
    }

    /// Does all that the bytes that have come so far ask for.
    fn advance(&mut self, ring: &mut Ring, id: Id) {
        loop {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            match session.step() {
                Step::Wait => return,
                Step::Skip => {}
                Step::Open(accepted) => self.join(ring, id, accepted),
                Step::Pass(frame) => self.pass(ring, id, frame),
                Step::Answer(frame) => ring.queue(id, Rc::new(frame)),
                Step::Close(frame) => {
                    ring.queue(id, Rc::new(frame));
                    ring.finish(id);
                    return;
                }
                Step::Refuse(why) => {
                    eprintln!("a connection is refused: {why}");
                    ring.finish(id);
                    return;
                }
            }
        }
    }

    fn join(&mut self, ring: &mut Ring, id: Id, accepted: handshake::Accepted) {
        ring.queue(id, Rc::new(accepted.answer));
        if accepted.path != hub::ECHO {
            self.topics.entry(accepted.path).or_default().push(id);
        }
    }

    fn pass(&mut self, ring: &mut Ring, id: Id, frame: Vec<u8>) {
        let frame = Rc::new(frame);
        let path = self.sessions.get(&id).and_then(|session| session.path.as_deref());
        match path.and_then(|path| self.topics.get(path)) {
            None => ring.queue(id, frame),
            Some(members) => {
                for &member in members.iter().filter(|&&member| member != id) {
                    ring.queue(member, Rc::clone(&frame));
                }
            }
        }
    }

    fn leave(&mut self, id: Id) {
        let Some(path) = self.sessions.remove(&id).and_then(|session| session.path) else { return };
        if let Some(members) = self.topics.get_mut(&path) {
            if let Some(place) = members.iter().position(|&member| member == id) {
                members.swap_remove(place);
            }
            if members.is_empty() {
                self.topics.remove(&path);
            }
        }
    }
}
