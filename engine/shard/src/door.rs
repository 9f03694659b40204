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
    socket: Socket,
    secure: bool,
}

/// A shard's listener.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) socket: Rc<OwnedFd>,
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
        Door { socket: Rc::new(OwnedFd::from(self.socket)), secure: self.secure }
    }
}

/// To end listeners with when their tasks cannot: one that stays in its SO_REUSEPORT group gets its
/// share of the connections, and nobody accepts them.
pub(crate) struct Spare(Vec<Socket>);

impl Spare {
    pub(crate) fn of(listeners: &[Listener]) -> Self {
        Self(listeners.iter().filter_map(|listener| listener.socket.try_clone().ok()).collect())
    }

    pub(crate) fn end(&self) {
        for socket in &self.0 {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// The listening sockets of each shard.
pub(crate) fn open(
    config: &Config,
    shards: usize,
) -> Result<(Addresses, Vec<Vec<Listener>>), StartError> {
    let mut all: Vec<Vec<Listener>> = (0..shards).map(|_| Vec::new()).collect();
    let own = config.tls.listen.filter(|_| config.tls.is_on());
    let listen = open_all(config, config.listen, config.tls.is_on() && own.is_none(), &mut all)?;
    let secure = match own {
        Some(address) => Some(open_all(config, address, true, &mut all)?),
        None => config.tls.is_on().then_some(listen),
    };
    Ok((Addresses { listen, secure }, all))
}

/// One socket for each shard, on one address.
fn open_all(
    config: &Config,
    asked: SocketAddr,
    secure: bool,
    all: &mut [Vec<Listener>],
) -> Result<SocketAddr, StartError> {
    if asked.port() != 0 && socket::in_use(asked) {
        let source = std::io::ErrorKind::AddrInUse.into();
        return Err(StartError::Listen { address: asked, source });
    }
    let mut address = asked;
    for listeners in all {
        let socket = socket::listen(address, &config.socket)?;
        let local = socket.local_addr().ok().and_then(|address| address.as_socket());
        address = local.unwrap_or(address);
        listeners.push(Listener { socket, secure });
    }
    Ok(address)
}
