//! The side of the process that runs: it offers its place at a Unix socket.

use super::channel::{Channel, PATIENCE};
use super::image;
use super::relay;
use super::wire::{Body, GREETING, Kind, VERSION};
use super::{Bequeathed, Listeners};
use crate::cli::exit::{Exit, Failure};
use crate::control::Control;
use crate::ingest::{Known, SocketFile};
use corecast::Engine;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Use {
    Engine = 1,
    Admin,
    IngestTcp,
    IngestUnix,
    Offer,
    EngineTls,
}

impl Use {
    pub(super) fn of(number: u8) -> Option<Self> {
        use Use::*;
        let all = [Engine, Admin, IngestTcp, IngestUnix, Offer, EngineTls];
        all.into_iter().find(|it| *it as u8 == number)
    }
}

/// A place that may be taken.
#[derive(Debug)]
pub(crate) struct Offer {
    listener: UnixListener,
    heirs: Receiver<UnixStream>,
    task: JoinHandle<()>,
    leaving: Arc<AtomicBool>,
    _file: SocketFile,
}

impl Offer {
    /// Offers it at `path`, on a listener that another process had, or on a new one.
    ///
    /// # Errors
    ///
    /// When the path cannot be listened on.
    pub(crate) fn open(
        path: &Path,
        inherited: Option<UnixListener>,
        bequeathed: &Bequeathed,
        control: &Control,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let path = path.display();
            let message = format!("cannot listen on {path} for who takes over: {error}");
            Failure::new(Exit::Unavailable, message)
        };
        let (listener, file) =
            SocketFile::listen(path, inherited, OWNER_ONLY, bequeathed).map_err(failed)?;
        let (sender, heirs) = channel();
        let accepting = {
            let _entered = control.enter();
            let copy = listener.try_clone().map_err(failed)?;
            tokio::net::UnixListener::from_std(copy).map_err(failed)?
        };
        let waking = control.clone();
        let leaving = Arc::<AtomicBool>::default();
        let is_leaving = Arc::clone(&leaving);
        let bequeathed = bequeathed.clone();
        let task = control.spawn(async move {
            bequeathed.ours().await;
            loop {
                match accepting.accept().await.and_then(|(stream, _)| stream.into_std()) {
                    Ok(stream) if is_leaving.load(Ordering::SeqCst) => refuse(stream),
                    Ok(stream) => {
                        if sender.send(stream).is_err() {
                            return;
                        }
                        waking.wake();
                    }
                    Err(error) => {
                        tracing::warn!(%error, "who takes over cannot be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        Ok(Self { listener, heirs, task, leaving, _file: file })
    }

    /// The program leaves: whoever wants the place now is told so.
    pub(crate) fn refuse_all(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        self.heirs.try_iter().for_each(refuse);
    }

    /// Accepts nobody any more: who comes now is the heir's.
    pub(crate) fn close(&self) {
        self.task.abort();
    }

    /// Who wants the place, if there is somebody.
    pub(crate) fn heir(&self) -> Option<UnixStream> {
        self.heirs.try_recv().ok()
    }

    /// A copy of the listener.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        // One may have come just before the leave.
        self.refuse_all();
    }
}

fn refuse(stream: UnixStream) {
    let why = b"it is leaving: start again when it has ended";
    let said = Channel::new(stream).and_then(|mut channel| channel.say(Kind::Refused, why));
    if let Err(error) = said {
        tracing::debug!(%error, "who wanted to take over is gone");
    }
}

/// Somebody who wants the place, and has the listeners.
#[derive(Debug)]
pub(crate) struct Candidate {
    channel: Channel,
}

impl Candidate {
    /// Hears who it is, and gives it the listeners. It may begin to accept once the topics have
    /// come.
    ///
    /// # Errors
    ///
    /// When it is not one of ours, or breaks off.
    pub(crate) fn meet(stream: UnixStream, engine: &Engine, all: &Listeners) -> io::Result<Self> {
        let mut channel = Channel::new(stream)?;
        // An heir says these two words at once; meanwhile nobody here hears a signal.
        channel.wait_at_most(GREETING_PATIENCE)?;
        let (kind, body) = channel.hear()?;
        let mut body = Body(&body);
        if kind != Kind::Hello || body.take(GREETING.len())? != GREETING {
            return Err(io::Error::other("it is no corecast"));
        }
        let version = body.u16()?;
        if version != VERSION {
            let why = format!("it speaks version {version}, this process version {VERSION}");
            channel.say(Kind::Refused, why.as_bytes())?;
            return Err(io::Error::other(why));
        }
        let others: [(Use, Option<BorrowedFd<'_>>); 4] = [
            (Use::Admin, all.admin.as_ref().map(AsFd::as_fd)),
            (Use::IngestTcp, all.ingest_tcp.as_ref().map(AsFd::as_fd)),
            (Use::IngestUnix, all.ingest_unix.as_ref().map(AsFd::as_fd)),
            (Use::Offer, all.offer.as_ref().map(AsFd::as_fd)),
        ];
        let plain = engine.listeners(false).map(|it| (Use::Engine, it.as_fd()));
        let own = plain.chain(engine.listeners(true).map(|it| (Use::EngineTls, it.as_fd())));
        let others = others.into_iter().filter_map(|(of, fd)| Some((of, fd?)));
        let (uses, fds): (Vec<Use>, Vec<_>) = own.chain(others).unzip();
        let uses: Vec<u8> = uses.into_iter().map(|of| of as u8).collect();
        channel.say(Kind::Listeners, &uses)?;
        channel.pass(&fds)?;
        match channel.hear()? {
            (Kind::Take, _) => {}
            (other, _) => return Err(io::Error::other(format!("it says {other:?}"))),
        }
        channel.wait_at_most(PATIENCE)?;
        Ok(Self { channel })
    }

    /// Gives it the topics, and how far publishers have come, and waits until it serves. Nothing
    /// may be published meanwhile. True where it goes on in the epoch.
    ///
    /// # Errors
    ///
    /// When it breaks off: then it has not accepted anybody, and does not.
    pub(crate) fn bequeath(
        mut self,
        engine: &Arc<Engine>,
        publishers: &[Known],
        drain: Duration,
    ) -> io::Result<bool> {
        let given = self.give(engine, publishers);
        let goes_on = given.inspect_err(|error| {
            // It may wait for the last word.
            let _ = self.channel.say(Kind::Refused, error.to_string().as_bytes());
        })?;
        // From here on there is no way back: a relay that fails sends the clients away.
        if goes_on && let Err(error) = relay::listen(self.channel, engine, drain) {
            tracing::warn!(%error, "no thread for what the process after publishes");
        }
        Ok(goes_on)
    }

    fn give(&mut self, engine: &Engine, publishers: &[Known]) -> io::Result<bool> {
        // Each shard has ended the turn in which it may still have published; and what it gave to
        // another's inbox lies there before the questions that follow.
        engine.images(0, &mut |_| Ok(()))?;
        let channel = &mut self.channel;
        let (epoch, generation) = (engine.epoch(), engine.generation());
        channel
            .say(Kind::Epoch, &[&epoch.to_le_bytes()[..], &generation.to_le_bytes()].concat())?;
        let (mut count, mut body) = (0_u64, Vec::new());
        engine.images(IMAGES_BYTES, &mut |topics| {
            for topic in topics {
                body.clear();
                image::write(&mut body, &topic);
                channel.say(Kind::Topic, &body)?;
                count += 1;
            }
            Ok(())
        })?;
        for publisher in publishers {
            body.clear();
            image::write_publisher(&mut body, publisher);
            channel.say(Kind::Publisher, &body)?;
        }
        let end = [engine.now().0, count, publishers.len() as u64].map(u64::to_le_bytes);
        channel.say(Kind::End, end.as_flattened())?;
        let goes_on = match channel.hear()? {
            (Kind::Serving, body) => body == [1],
            (other, _) => return Err(io::Error::other(format!("it says {other:?}"))),
        };
        channel.say(Kind::Yours, &[])?;
        Ok(goes_on)
    }
}

/// Bytes of topics that a shard gives in one turn.
const IMAGES_BYTES: usize = 1 << 20;
const OWNER_ONLY: u32 = 0o600;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long somebody is waited for who may be no heir at all.
const GREETING_PATIENCE: Duration = Duration::from_secs(2);
