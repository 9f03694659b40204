//! The two listening sockets.

use crate::cli::exit::{Exit, Failure};
use crate::take_over::Bequeathed;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Where publishers connect. Dropping it takes the Unix socket's file away.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Only for its end.
        _file: SocketFile,
    },
}

/// Who has connected.
#[derive(Debug)]
pub(super) enum Peer {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Listens on an address; `asks`: publishers must show a token. Needs a runtime.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub(super) fn tcp(
        address: SocketAddr,
        inherited: Option<std::net::TcpListener>,
        asks: bool,
    ) -> Result<Self, Failure> {
        if !address.ip().is_loopback() && !asks {
            tracing::warn!(
                %address,
                "ingest is open to other machines, and asks nobody who he is: whoever reaches it \
                 can publish to every topic. Set ingest.token_file, or put it on 127.0.0.1"
            );
        }
        let bound = inherited.map_or_else(|| std::net::TcpListener::bind(address), Ok);
        let bound = bound.and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        bound.map(Self::Tcp).map_err(|error| unavailable(&address, &error))
    }

    /// Listens on a path, with a file that its owner and its group may use. The file of a server
    /// that has died is replaced. Needs a runtime.
    ///
    /// # Errors
    ///
    /// When it cannot, another server listens there, or the path is something else.
    pub(super) fn unix(
        path: &Path,
        inherited: Option<StdUnixListener>,
        bequeathed: &Bequeathed,
    ) -> Result<Self, Failure> {
        let listening = SocketFile::listen(path, inherited, SOCKET_MODE, bequeathed);
        let made = listening.and_then(|(listener, file)| {
            Ok(Self::Unix { listener: UnixListener::from_std(listener)?, _file: file })
        });
        made.map_err(|error| unavailable(&path.display(), &error))
    }

    /// A copy of a listener, for another process.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Self::Unix { listener, .. } => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// The address, of TCP.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> Peer {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, address)| {
                    // Acknowledgements are short and should not wait for company.
                    let _ = stream.set_nodelay(true);
                    Peer::Tcp(stream, address)
                }),
                Self::Unix { listener, .. } => {
                    listener.accept().await.map(|(stream, _)| Peer::Unix(stream))
                }
            };
            match accepted {
                Ok(peer) => return peer,
                Err(error) => {
                    // Out of descriptors, most likely: others have to close some first.
                    tracing::warn!(%error, "ingest cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The file of a Unix socket, which lives as long as this, unless another process has it then.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    bequeathed: Bequeathed,
    device_and_inode: (u64, u64),
}

impl SocketFile {
    /// Listens on a path, with a file of this mode; or goes on with a listener that another process
    /// had there, if its file still is. It does not block.
    ///
    /// # Errors
    ///
    /// When it cannot, another server listens there, or the path is something else.
    pub(crate) fn listen(
        path: &Path,
        inherited: Option<StdUnixListener>,
        mode: u32,
        bequeathed: &Bequeathed,
    ) -> io::Result<(StdUnixListener, Self)> {
        // Where somebody has taken the file away, nobody would find what was inherited.
        let listener = match inherited.filter(|_| fs::symlink_metadata(path).is_ok()) {
            Some(listener) => listener,
            None => {
                remove_stale(path)?;
                let listener = StdUnixListener::bind(path)?;
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
                listener
            }
        };
        listener.set_nonblocking(true)?;
        let (path, bequeathed) = (path.to_owned(), bequeathed.clone());
        let device_and_inode = device_and_inode(&path)?;
        Ok((listener, Self { path, bequeathed, device_and_inode }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Not another's that has come in its place.
        let is_ours = !self.bequeathed.is_set();
        if is_ours && device_and_inode(&self.path).is_ok_and(|found| found == self.device_and_inode)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn device_and_inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Takes away a socket's file on which nobody listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file_type = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file_type.is_socket() {
        let message = "a file is there that is no socket: remove it, or choose another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match StdUnixStream::connect(path) {
        Ok(_) => {
            let message = "another server listens there: stop it, or choose another path";
            Err(io::Error::new(io::ErrorKind::AddrInUse, message))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

fn unavailable(place: &dyn std::fmt::Display, error: &io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("cannot listen on {place} for publishers: {error}"))
}

/// Read and write for owner and group, nothing for others.
const SOCKET_MODE: u32 = 0o660;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let name = format!("corecast-ingest-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        // A dropped std listener leaves its file behind, like a server that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let listener = Listener::unix(&path, None, &Bequeathed::default())
            .expect("the stale file is replaced");
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let failure = Listener::unix(&path, None, &Bequeathed::default())
            .expect_err("somebody listens")
            .to_string();
        assert!(failure.contains("another server listens"), "{failure}");
        // Who inherits a listener whose file is gone listens anew.
        let inherited = || listener.copy().expect("a descriptor").into();
        let heir = Listener::unix(&path, Some(inherited()), &Bequeathed::default());
        fs::remove_file(&path).expect("there");
        let other = Listener::unix(&path, Some(inherited()), &Bequeathed::default());
        assert!(heir.is_ok() && other.is_ok() && path.exists(), "{heir:?} {other:?}");
        drop((heir, other));
        drop(listener);
        assert!(!path.exists(), "removed at the end");
        fs::write(&path, "text").expect("a file");
        let failure =
            Listener::unix(&path, None, &Bequeathed::default()).expect_err("no socket").to_string();
        fs::remove_file(&path).expect("still there");
        assert!(failure.contains("is no socket"), "{failure}");
    }
}
