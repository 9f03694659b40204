//! A client over TLS of another make: rustls' own stream, and tungstenite upon it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eyre::{Result, WrapErr, bail, eyre};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Nothing here takes longer, or it hangs.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// An open WebSocket over TLS.
pub(crate) struct Client(pub(crate) WebSocketStream<TlsStream<TcpStream>>);

/// A TLS session on a connection of its own.
pub(crate) async fn secure(
    server: SocketAddr,
    host: &str,
    config: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(server).await?;
    let host = ServerName::try_from(host.to_owned())?;
    let connecting = TlsConnector::from(Arc::clone(config)).connect(host, socket);
    Ok(timeout(WITHIN, connecting).await.wrap_err("the handshake takes too long")??)
}

impl Client {
    pub(crate) async fn open(
        server: SocketAddr,
        host: &str,
        path: &str,
        config: &Arc<ClientConfig>,
    ) -> Result<Self> {
        let stream = secure(server, host, config).await?;
        Self::upgrade(stream, host, path).await
    }

    pub(crate) async fn upgrade(
        stream: TlsStream<TcpStream>,
        host: &str,
        path: &str,
    ) -> Result<Self> {
        let request = format!("wss://{host}{path}").into_client_request()?;
        let (socket, _) = timeout(WITHIN, client_async(request, stream)).await??;
        Ok(Self(socket))
    }

    /// The TLS session beneath.
    pub(crate) fn session(&self) -> &rustls::ClientConnection {
        self.0.get_ref().get_ref().1
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let message = Message::binary(bytes.to_vec());
        Ok(timeout(WITHIN, self.0.send(message)).await??)
    }

    /// The next message with a payload.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>> {
        loop {
            let next = timeout(WITHIN, self.0.next()).await.wrap_err("nothing comes")?;
            match next.ok_or_else(|| eyre!("the connection has ended"))?? {
                Message::Binary(bytes) => return Ok(bytes.to_vec()),
                Message::Text(text) => return Ok(text.as_bytes().to_vec()),
                Message::Close(close) => bail!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// Waits for the Close, and for the end behind it.
    pub(crate) async fn closed(&mut self) -> Result<Option<CloseFrame>> {
        let mut close = None;
        loop {
            match timeout(WITHIN, self.0.next()).await.wrap_err("no Close comes")? {
                Some(Ok(Message::Close(frame))) => close = frame,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(close),
            }
        }
    }

    /// Sends it there and back.
    pub(crate) async fn echo(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(bytes).await?;
        let back = self.receive().await?;
        if back != bytes {
            bail!("{} bytes came back as {} others", bytes.len(), back.len());
        }
        Ok(())
    }
}
