//! The side of the process that starts: it asks for the place of the one that runs.

use super::channel::Channel;
use super::image;
use super::relay::{self, Heard, Relay};
use super::wire::{Body, GREETING, Kind, VERSION};
use super::{Bequeathed, Listeners, offer::Use};
use crate::cli::exit::{Exit, Failure};
use crate::ingest::Known;
use corecast::{Engine, Estate, Heritage, Timestamp, TopicImage};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

/// What the other process leaves, as long as it waits for this one to serve.
#[derive(Debug)]
pub(crate) struct Heir {
    channel: Channel,
    /// Its listeners.
    pub(crate) listeners: Listeners,
    /// Its topics; none: a new epoch begins.
    estate: Option<Estate>,
    epoch: Option<u64>,
    /// How far its publishers have come.
    pub(crate) publishers: Vec<Known>,
    relay: Option<(Arc<Relay>, Heard)>,
}

/// Takes the place of the process that offers it at `path`. None: nobody is there.
///
/// # Errors
///
/// When there is one, and it does not leave its place.
pub(crate) fn take_over(path: &Path, state_bytes_max: u64) -> Result<Option<Heir>, Failure> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            tracing::info!(path = %path.display(), "nobody is there to take over from");
            return Ok(None);
        }
        Err(error) => return Err(failed(path, &error)),
    };
    ask(stream, state_bytes_max).map(Some).map_err(|error| failed(path, &error))
}

fn ask(stream: UnixStream, state_bytes_max: u64) -> io::Result<Heir> {
    let mut channel = Channel::new(stream)?;
    let said = channel.say(Kind::Hello, &[GREETING, &VERSION.to_le_bytes()].concat());
    // One that leaves has refused before it was asked.
    let (kind, uses) = channel.hear().map_err(|error| said.err().unwrap_or(error))?;
    if kind != Kind::Listeners {
        return Err(unexpected(kind, &uses));
    }
    let listeners = sort(&uses, channel.take(uses.len())?)?;
    channel.say(Kind::Take, &[])?;
    let (estate, publishers) = receive(&mut channel, state_bytes_max)?;
    let epoch = estate.as_ref().map(|estate| estate.epoch);
    Ok(Heir { channel, listeners, estate, epoch, publishers, relay: None })
}

/// Takes all topics, and how far publishers have come. Too much is heard to its end, and nothing is
/// taken.
fn receive(
    channel: &mut Channel,
    state_bytes_max: u64,
) -> io::Result<(Option<Estate>, Vec<Known>)> {
    let (mut epoch, mut topics, mut bytes) = (None, Vec::<TopicImage>::new(), 0_u64);
    let mut publishers = Vec::new();
    let mut problem = None;
    loop {
        let (kind, body) = channel.hear()?;
        bytes += body.len() as u64;
        if bytes > state_bytes_max && problem.is_none() {
            problem = Some(format!("more than take_over.state_bytes_max = {state_bytes_max}"));
            (topics, publishers) = (Vec::new(), Vec::new());
        }
        match kind {
            Kind::Epoch => {
                let mut body = Body(&body);
                epoch = Some((body.u64()?, body.u32()?));
            }
            Kind::Topic | Kind::Publisher if problem.is_some() => {}
            Kind::Publisher => publishers.push(image::read_publisher(&body)?),
            Kind::Topic => match image::read(&body) {
                Ok(topic) => topics.push(topic),
                Err(error) => problem = Some(format!("a topic cannot be read: {error}")),
            },
            Kind::End => {
                let mut body = Body(&body);
                let (now, count) = (Timestamp(body.u64()?), [body.u64()?, body.u64()?]);
                let came = [topics.len() as u64, publishers.len() as u64];
                if problem.is_none() && count != came {
                    problem = Some(format!("{came:?} of {count:?} topics and publishers came"));
                }
                if let Some(problem) = problem {
                    tracing::warn!(problem, "the topics are not taken over: a new epoch begins");
                    return Ok((None, publishers));
                }
                let estate = epoch.map(|(epoch, generation)| Estate {
                    epoch,
                    generation,
                    now,
                    topics,
                    tap: None,
                });
                return Ok((estate, publishers));
            }
            other => return Err(unexpected(other, &body)),
        }
    }
}

impl Heir {
    /// What an engine is to be started with. Asked again, it has no topics any more: a start with
    /// them has failed.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub(crate) fn heritage(&mut self) -> io::Result<Heritage> {
        let copies = |fds: &[OwnedFd]| fds.iter().map(OwnedFd::try_clone).collect();
        let listeners: io::Result<_> = copies(&self.listeners.engine);
        let tls_listeners: io::Result<_> = copies(&self.listeners.engine_tls);
        let estate = self.estate.take().map(|estate| {
            let (relay, heard) = Relay::new();
            self.relay = Some((Arc::clone(&relay), heard));
            Estate { tap: Some(relay), ..estate }
        });
        Ok(Heritage { listeners: listeners?, tls_listeners: tls_listeners?, estate })
    }

    /// This process serves: the other may leave. Once it has agreed, who waits is accepted here.
    ///
    /// # Errors
    ///
    /// When the other has given it up, and goes on.
    pub(crate) fn serve(
        mut self,
        engine: &Arc<Engine>,
        bequeathed: &Bequeathed,
    ) -> Result<(), Failure> {
        let goes_on = self.epoch == Some(engine.epoch());
        let said = self.channel.say(Kind::Serving, &[u8::from(goes_on)]);
        let is_there = match self.channel.hear() {
            Ok((Kind::Yours, _)) => true,
            Ok((kind, body)) => return Err(given_up(&unexpected(kind, &body))),
            // It goes on only where it says so: it has died, and there is no other.
            Err(error) if is_end(&error) => {
                tracing::warn!("the process before has died");
                false
            }
            Err(error) => return Err(given_up(&said.err().unwrap_or(error))),
        };
        bequeathed.set(false);
        engine.hold_listeners(false);
        tracing::info!(goes_on, "took over");
        if let Some((relay, heard)) = self.relay.filter(|_| goes_on && is_there) {
            relay::tell(self.channel, relay, heard, engine);
        }
        Ok(())
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

fn given_up(error: &io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("the process before does not leave its place: {error}"))
}

fn sort(uses: &[u8], fds: Vec<OwnedFd>) -> io::Result<Listeners> {
    let mut listeners = Listeners::default();
    for (of, fd) in uses.iter().zip(fds) {
        match Use::of(*of).ok_or(io::ErrorKind::InvalidData)? {
            Use::Engine => listeners.engine.push(fd),
            Use::EngineTls => listeners.engine_tls.push(fd),
            Use::Admin => listeners.admin = Some(fd.into()),
            Use::IngestTcp => listeners.ingest_tcp = Some(fd.into()),
            Use::IngestUnix => listeners.ingest_unix = Some(fd.into()),
            Use::Offer => listeners.offer = Some(fd.into()),
        }
    }
    if listeners.engine.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(listeners)
}

fn unexpected(kind: Kind, body: &[u8]) -> io::Error {
    match kind {
        Kind::Refused => io::Error::other(String::from_utf8_lossy(body).into_owned()),
        _ => io::Error::other(format!("it says {kind:?} where something else was expected")),
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    let message = format!("cannot take over from the process at {path}: {error}");
    Failure::new(Exit::Unavailable, message)
}
