//! The first frame of a connection, and what has to be settled before it is answered.

use super::Shared;
use super::connection::{ENDING, End, TAKEN_OVER, malformed, read, refused};
use super::input::Input;
use super::limits::SETTLED_WITHIN;
use super::publishers::{OpenError, Session};
use crate::control::stopped;
use crate::intake::Sink;
use crate::secrets::Refused;
use corecast_feed::ingest::{self, Frame, Hello};
use tokio::io::AsyncRead;
use tokio::sync::watch;
use tokio::time::sleep;

/// Reads the first frame: who is it?
pub(super) async fn hello<S: Sink>(
    input: &mut Input,
    reader: &mut (impl AsyncRead + Unpin),
    shared: &Shared<S>,
) -> Result<(String, u64, Session), End> {
    loop {
        match input.frame() {
            Ok(Some((Frame::Hello(hello), bytes))) => {
                let opened = (hello.name.to_owned(), hello.epoch, open(&hello, shared)?);
                input.done(bytes);
                return Ok(opened);
            }
            Ok(Some(_)) => return Err(refused(401, "the first frame must be a hello")),
            Ok(None) => read(input, reader).await?,
            Err(error) => return Err(malformed(input, &error)),
        }
    }
}

fn open<S: Sink>(hello: &Hello<'_>, shared: &Shared<S>) -> Result<Session, End> {
    if hello.version != ingest::VERSION {
        let (spoken, known) = (hello.version, ingest::VERSION);
        return Err(refused(405, format!("version {spoken} of the protocol: this is {known}")));
    }
    shared.pass.check(hello.token).map_err(|error| match error {
        Refused::Missing => refused(401, "a token is needed: one of those of ingest.token_file"),
        Refused::Wrong => refused(403, "the token is none of those of ingest.token_file"),
    })?;
    shared.publishers.open(hello.name, hello.epoch).map_err(|error| match error {
        OpenError::Past(past) => {
            let (came, known) = (hello.epoch, past.known);
            refused(409, format!("epoch {came} is past: the last one of this name was {known}"))
        }
        OpenError::Lost => refused(503, LOST),
        OpenError::TooMany(max) => refused(429, format!("{max} publishers are connected already")),
    })
}

/// Waits until it is known what became of all that earlier connections of this publisher have
/// given: the answer to its hello counts that, and must not count what was lost with its home.
///
/// # Errors
///
/// When a home has ended, or the answer cannot be given in time.
pub(super) async fn settled_before(
    session: &Session,
    stopping: &mut watch::Receiver<bool>,
) -> Result<(), End> {
    tokio::select! {
        () = session.alone() => {}
        () = session.superseded() => return Err(refused(409, TAKEN_OVER)),
        () = stopped(stopping) => return Err(refused(503, ENDING)),
        () = sleep(SETTLED_WITHIN) => {
            let message = "what an earlier connection has sent is not settled yet: come again";
            return Err(refused(503, message));
        }
    }
    if session.has_lost() { Err(refused(503, LOST)) } else { Ok(()) }
}

const LOST: &str = "a shard of the server has ended: so does the server";
