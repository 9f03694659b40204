//! The framed ways in for publishers of other processes, over TCP and a Unix socket. The frames are
//! those of [`corecast_feed::ingest`].
//!
//! A publisher says its name and its epoch, then sends records with rising numbers. By them the
//! server tells duplicates (acknowledged, not published again), gaps (counted, logged) and restarts
//! (a greater epoch). Nothing is dropped: where the engine has no room, nothing is read; and a
//! record is acknowledged once its topic's home has taken it, or the publisher is told why not.

mod connection;
mod gather;
mod greeting;
mod input;
mod limits;
mod listener;
mod progress;
mod publishers;
mod tally;
#[cfg(test)]
mod tests;
mod unsettled;

use crate::cli::exit::Failure;
use crate::config::ingest::IngestConfig;
use crate::control::{Control, stopped};
use crate::intake::{Intake, Sink};
use crate::secrets::Secrets;
use crate::take_over::{Bequeathed, Holdings, Listeners};
use corecast_feed::limits::IngestLimits;
use limits::STRANGERS_MAX;
pub(crate) use listener::SocketFile;
use listener::{Listener, Peer};
pub(crate) use publishers::{Known, Publishers};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// What all connections share.
#[derive(Debug)]
struct Shared<S> {
    intake: Intake<S>,
    pass: Secrets,
    limits: IngestLimits,
    publishers: Arc<Publishers>,
    /// Places for connections, whether they have said who they are or not.
    places: Arc<Semaphore>,
}

/// The running ways in.
#[derive(Debug, Default)]
pub(crate) struct Ingest {
    /// Where TCP listens.
    pub(crate) tcp: Option<SocketAddr>,
    /// Copies of the listeners.
    pub(crate) copies: Listeners,
    /// They end when they are told to.
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

/// The publishers that are known, before the first has connected.
pub(crate) fn publishers(config: &IngestConfig) -> Arc<Publishers> {
    Arc::new(Publishers::new(publishers_max(config)))
}

/// Listens where the configuration says, until `ending` turns true.
///
/// # Errors
///
/// When an address or a path cannot be listened on.
pub(crate) fn start<S: Sink>(
    control: &Control,
    (config, pass): (&IngestConfig, Secrets),
    intake: Intake<S>,
    Holdings { listeners: inherited, bequeathed, publishers }: Holdings<'_>,
    ending: &watch::Sender<bool>,
) -> Result<Ingest, Failure> {
    let publishers_max = publishers_max(config);
    let limits =
        IngestLimits { frame_bytes_max: config.record_bytes_max, ..IngestLimits::default() };
    let asks = pass.are_asked();
    let shared = Arc::new(Shared {
        intake,
        pass,
        limits,
        publishers: Arc::clone(publishers),
        places: Arc::new(Semaphore::new(publishers_max.saturating_add(STRANGERS_MAX))),
    });
    let mut ingest = Ingest::default();
    let mut listeners = Vec::new();
    let _entered = control.enter();
    if let Some(address) = config.tcp {
        let listener = Listener::tcp(address, inherited.take_ingest_tcp(address), asks)?;
        ingest.tcp = listener.local_addr();
        ingest.copies.ingest_tcp = listener.copy().ok().map(Into::into);
        listeners.push(listener);
    }
    if let Some(path) = &config.unix {
        let listener = Listener::unix(path, inherited.take_ingest_unix(path), bequeathed)?;
        ingest.copies.ingest_unix = listener.copy().ok().map(Into::into);
        listeners.push(listener);
    }
    for listener in listeners {
        let (shared, bequeathed) = (Arc::clone(&shared), bequeathed.clone());
        let task = accept(listener, shared, bequeathed, ending.subscribe());
        ingest.tasks.push(control.spawn(task));
    }
    Ok(ingest)
}

/// Publishers that may be connected.
fn publishers_max(config: &IngestConfig) -> usize {
    usize::try_from(config.publishers_max).unwrap_or(usize::MAX)
}

/// Accepts as long as this process has its place, then waits for the connections, which end, too.
async fn accept<S: Sink>(
    listener: Listener,
    shared: Arc<Shared<S>>,
    bequeathed: Bequeathed,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = bequeathed.ours() => {}
        () = stopped(&mut stopping) => return,
    }
    loop {
        let accepted = tokio::select! {
            accepted = place_and_peer(&listener, &shared.places) => accepted,
            // Ended connections give their memory back.
            _ = connections.join_next(), if !connections.is_empty() => continue,
            () = stopped(&mut stopping) => break,
        };
        let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
        connections.spawn(async move {
            let (_place, peer) = accepted;
            match peer {
                Peer::Tcp(stream, address) => {
                    connection::serve(stream, &address.to_string(), shared, stopping).await;
                }
                Peer::Unix(stream) => connection::serve(stream, "unix", shared, stopping).await,
            }
        });
    }
    while connections.join_next().await.is_some() {}
}

/// The next connection, as soon as there is a place for it: until then it waits in the kernel.
async fn place_and_peer(
    listener: &Listener,
    places: &Arc<Semaphore>,
) -> (Option<tokio::sync::OwnedSemaphorePermit>, Peer) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, listener.accept().await)
}
