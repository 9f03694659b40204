//! tokio-websockets: a task for each connection, which sends all that is queued, then flushes.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use corecast_peers::hub::{BATCH_MESSAGES_MAX, ECHO, Hub, queue};
use corecast_peers::{arguments, serve};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_websockets::{Config, Error, Message, ServerBuilder, WebSocketStream};

/// What is gathered before it is written; the default of 8 KiB would cut batches short.
const FLUSH_THRESHOLD_BYTES: usize = 64 << 10;

fn main() -> ExitCode {
    let address = arguments::listen_address("tokio-websockets");
    let hub = Hub::new();
    serve::run(address, move |id, stream| {
        let hub = Arc::clone(&hub);
        // An error ends its connection, and nobody wants to hear of it.
        async move { connection(id, stream, &hub).await.unwrap_or_default() }
    })
}

async fn connection(id: u64, stream: TcpStream, hub: &Arc<Hub<Message>>) -> Result<(), Error> {
    let config = Config::default().flush_threshold(FLUSH_THRESHOLD_BYTES);
    let (request, mut socket) = ServerBuilder::new().config(config).accept(stream).await?;
    match request.uri().path() {
        ECHO => echo(&mut socket).await,
        topic => fan_out(id, topic, &mut socket, hub).await,
    }
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
    message.is_text() || message.is_binary()
}
