//! Where connections come in: a shard's listeners, one that speaks plainly, one that speaks TLS, or
//! both.

use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use socket2::Socket;

use crate::config::Config;
use crate::error::StartError;
use crate::socket;

/// A listener on its way to its shard.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<Socket>,
    secure: bool,
    /// It is bound to an address of another process, and does not listen yet: else it would get a
    /// share of that one's connections.
    joins: bool,
}

/// A shard's listener: a socket, or several where another process had more shards.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) sockets: Rc<[OwnedFd]>,
    /// Whether those who come in speak TLS.
    pub(crate) secure: bool,
}

/// The addresses of an engine, with the ports that the kernel chose where 0 was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) listen: SocketAddr,
    /// The one that speaks TLS, which may be the same.
    pub(crate) secure: Option<SocketAddr>,
}

impl Listener {
    pub(crate) fn into_door(self) -> Door {
        let sockets = self.sockets.into_iter().map(OwnedFd::from).collect();
        Door { sockets, secure: self.secure }
    }

    /// Copies of its sockets, each with whether who comes in speaks TLS.
    pub(crate) fn copies(&self) -> impl Iterator<Item = (OwnedFd, bool)> {
        let copies = self.sockets.iter().filter_map(|socket| socket.try_clone().ok());
        copies.map(|copy| (OwnedFd::from(copy), self.secure))
    }

    /// Copies of those that do not listen yet.
    pub(crate) fn joining(&self) -> impl Iterator<Item = OwnedFd> {
        self.copies().filter(|_| self.joins).map(|(copy, _)| copy)
    }
}

/// To end listeners with when their tasks cannot: one that stays in its SO_REUSEPORT group gets its
/// share of the connections, and nobody accepts them.
pub(crate) struct Spare(Vec<Socket>);

impl Spare {
    pub(crate) fn of(listeners: &[Listener]) -> Self {
        let sockets = listeners.iter().flat_map(|listener| &listener.sockets);
        Self(sockets.filter_map(|socket| socket.try_clone().ok()).collect())
    }

    pub(crate) fn end(&self) {
        for socket in &self.0 {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// The listening sockets of each shard: new ones, or those of another process.
pub(crate) fn open(
    config: &Config,
    shards: usize,
    inherited: Vec<OwnedFd>,
    inherited_tls: Vec<OwnedFd>,
) -> Result<(Addresses, Vec<Vec<Listener>>), StartError> {
    let mut all: Vec<Vec<Listener>> = (0..shards).map(|_| Vec::new()).collect();
    let own = config.tls.listen.filter(|_| config.tls.is_on());
    let whole = config.tls.is_on() && own.is_none();
    let listen = open_all(config, config.listen, whole, inherited, &mut all)?;
    let secure = match own {
        Some(address) => Some(open_all(config, address, true, inherited_tls, &mut all)?),
        None => config.tls.is_on().then_some(listen),
    };
    Ok((Addresses { listen, secure }, all))
}

/// One socket for each shard, on one address. Of inherited ones nobody may be left in a queue: each
/// has a shard that accepts from it, and a shard for which there is none joins their group.
fn open_all(
    config: &Config,
    asked: SocketAddr,
    secure: bool,
    inherited: Vec<OwnedFd>,
    all: &mut [Vec<Listener>],
) -> Result<SocketAddr, StartError> {
    if !inherited.is_empty() {
        return inherit_all(config, asked, secure, inherited, all);
    }
    if asked.port() != 0 && socket::in_use(asked) {
        let source = std::io::ErrorKind::AddrInUse.into();
        return Err(StartError::Listen { address: asked, source });
    }
    let mut address = asked;
    for listeners in all {
        let socket = socket::listen(address, &config.socket)?;
        let local = socket.local_addr().ok().and_then(|address| address.as_socket());
        address = local.unwrap_or(address);
        listeners.push(Listener { sockets: vec![socket], secure, joins: false });
    }
    Ok(address)
}

fn inherit_all(
    config: &Config,
    asked: SocketAddr,
    secure: bool,
    inherited: Vec<OwnedFd>,
    all: &mut [Vec<Listener>],
) -> Result<SocketAddr, StartError> {
    let inherited: Vec<Socket> = inherited.into_iter().map(Socket::from).collect();
    let address = inherited[0].local_addr().ok().and_then(|address| address.as_socket());
    let address = address.unwrap_or(asked);
    if asked.port() != 0 && asked != address {
        let problem = format!("the process that is taken over listens on {address}, not {asked}");
        let name = if asked == config.listen { "listen" } else { "tls.listen" };
        return Err(StartError::Setting { name, problem });
    }
    let shards = all.len();
    let mut sockets: Vec<Vec<Socket>> = (0..shards).map(|_| Vec::new()).collect();
    for (index, socket) in inherited.into_iter().enumerate() {
        sockets[index % shards].push(socket);
    }
    for (listeners, mut sockets) in all.iter_mut().zip(sockets) {
        let joins = sockets.is_empty();
        if joins {
            sockets.push(socket::bind(address, &config.socket)?);
        }
        listeners.push(Listener { sockets, secure, joins });
    }
    Ok(address)
}
