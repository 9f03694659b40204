//! What a blocking client connects through: from an address of its choice, and with TLS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use eyre::{Result, WrapErr, eyre};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

/// A port on loopback; who connects there is connected to somewhere else. Dropping it ends all
/// connections.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a tunnel leads, and how.
#[derive(Debug, Clone)]
struct Way {
    from: IpAddr,
    to: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Tunnel {
    /// Leads to `to` over TLS, where this certificate is believed.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn tls(to: SocketAddr, certificate: &CertificateDer<'static>) -> Result<Self> {
        Self::tls_from(Ipv4Addr::LOCALHOST.into(), to, certificate)
    }

    /// As [`Tunnel::tls`], from this address.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn tls_from(
        from: IpAddr,
        to: SocketAddr,
        certificate: &CertificateDer<'static>,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone())?;
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self::open(Way { from, to, tls: Arc::new(config) })
    }

    fn open(way: Way) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    result = accept(listener, way) => eprintln!("a tunnel ended: {result:?}"),
                }
            });
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, way: Way) -> Result<()> {
    loop {
        let (near, _) = listener.accept().await?;
        let way = way.clone();
        tokio::spawn(async move {
            // The client sees an end; a failure says more to who reads the test's output.
            if let Err(error) = connect(near, &way).await {
                eprintln!("a tunnel's connection ended: {error:#}");
            }
        });
    }
}

async fn connect(mut near: TcpStream, way: &Way) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((way.from, 0).into())?;
    let far = socket.connect(way.to).await.wrap_err("cannot connect")?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(|_| eyre!("no name"))?;
    let mut far = TlsConnector::from(Arc::clone(&way.tls)).connect(name, far).await?;
    // How the connection ended is seen at the near end.
    let _ = copy_bidirectional(&mut near, &mut far).await;
    Ok(())
}
