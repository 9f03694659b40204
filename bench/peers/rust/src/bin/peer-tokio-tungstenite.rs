//! tokio-tungstenite: a task for each connection, which sends all that is queued, then flushes.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use corecast_peers::hub::{BATCH_MESSAGES_MAX, ECHO, Hub, queue};
use corecast_peers::{arguments, serve};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// The library reserves it for each connection; its default of 128 KiB is for few and busy ones.
const READ_BUFFER_BYTES: usize = 16 << 10;

fn main() -> ExitCode {
    let address = arguments::listen_address("tokio-tungstenite");
    let hub = Hub::new();
    serve::run(address, move |id, stream| {
        let hub = Arc::clone(&hub);
        // An error ends its connection, and nobody wants to hear of it.
        async move { connection(id, stream, &hub).await.unwrap_or_default() }
    })
}

async fn connection(id: u64, stream: TcpStream, hub: &Arc<Hub<Message>>) -> Result<(), Error> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library's callback is like that")]
    let callback = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let mut socket = accept_hdr_async_with_config(stream, callback, Some(config)).await?;
    if path == ECHO { echo(&mut socket).await } else { fan_out(id, &path, &mut socket, hub).await }
}

async fn echo(socket: &mut WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        feed(socket, message?).await?;
        while let Some(Some(message)) = socket.next().now_or_never() {
            feed(socket, message?).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn feed(socket: &mut WebSocketStream<TcpStream>, message: Message) -> Result<(), Error> {
    if is_data(&message) { socket.feed(message).await } else { Ok(()) }
}

async fn fan_out(
    id: u64,
    topic: &str,
    socket: &mut WebSocketStream<TcpStream>,
    hub: &Arc<Hub<Message>>,
) -> Result<(), Error> {
    let (sender, mut queue) = queue();
    let member = hub.join(id, topic, sender);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(message) => {
                    let message = message?;
                    if is_data(&message) {
                        member.publish(&message);
                    }
                }
                None => return Ok(()),
            },
            count = queue.recv_many(&mut batch, BATCH_MESSAGES_MAX) => {
                if count == 0 {
                    return Ok(()); // too far behind
                }
                for message in batch.drain(..) {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
