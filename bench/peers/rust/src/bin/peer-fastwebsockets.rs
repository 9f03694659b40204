//! fastwebsockets: each message is framed once, by the library; a task for each connection writes
//! all frames that are queued with one call.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use corecast_peers::hub::{BATCH_MESSAGES_MAX, ECHO, Hub, Member, queue};
use corecast_peers::{arguments, handshake, serve};
use fastwebsockets::{
    FragmentCollectorRead, Frame, OpCode, Role, WebSocketError, after_handshake_split,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// A client that has said Close may take this long to take the rest.
const LINGER: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let address = arguments::listen_address("fastwebsockets");
    let hub = Hub::new();
    serve::run(address, move |id, stream| {
        let hub = Arc::clone(&hub);
        // An error ends its connection, and nobody wants to hear of it.
        async move { connection(id, stream, &hub).await.unwrap_or_default() }
    })
}

async fn connection(id: u64, mut stream: TcpStream, hub: &Arc<Hub<Bytes>>) -> io::Result<()> {
    let path = shake_hands(&mut stream).await?;
    let (sender, frames) = queue();
    let (input, output) = stream.into_split();
    let mut writer = tokio::spawn(write(output, frames));
    let control = sender.downgrade();
    let role =
        if path == ECHO { Duty::Echo(sender) } else { Duty::FanOut(hub.join(id, &path, sender)) };
    tokio::select! {
        // What ends it, an error or a Close, is the same to all others.
        _ = read(input, role, control) => drop(tokio::time::timeout(LINGER, writer).await),
        _ = &mut writer => {} // too far behind, or gone
    }
    Ok(())
}

/// What becomes of a message.
enum Duty {
    Echo(mpsc::Sender<Bytes>),
    FanOut(Member<Bytes>),
}

/// The library leaves this to hyper, whose stream behind the upgrade costs a dynamic call.
async fn shake_hands(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(accepted) = handshake::accept(&head).map_err(io::Error::other)? {
            if accepted.head_bytes < head.len() {
                return Err(io::Error::other("a client sends frames before it is answered"));
            }
            stream.write_all(&accepted.answer).await?;
            return Ok(accepted.path);
        }
    }
}

async fn read(
    input: OwnedReadHalf,
    duty: Duty,
    control: mpsc::WeakSender<Bytes>,
) -> Result<(), WebSocketError> {
    // The library's writing half writes frame by frame; ours is `write`.
    let (mut reader, _) = after_handshake_split(input, tokio::io::sink(), Role::Server);
    reader.set_max_message_size(MESSAGE_BYTES_MAX);
    let mut reader = FragmentCollectorRead::new(reader);
    let mut scratch = Vec::new();
    loop {
        let answer = &mut async |frame| answer(&control, frame).await;
        let frame = reader.read_frame(answer).await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => {}
            OpCode::Close => return Ok(()),
            _ => continue,
        }
        let frame = encode(frame, &mut scratch);
        match &duty {
            Duty::Echo(queue) => queue.send(frame).await.map_err(closed)?,
            Duty::FanOut(member) => member.publish(&frame),
        }
    }
}

/// A Close or a Pong that the library asks to be sent.
async fn answer(control: &mpsc::WeakSender<Bytes>, frame: Frame<'_>) -> Result<(), WebSocketError> {
    let queue = control.upgrade().ok_or(WebSocketError::ConnectionClosed)?;
    queue.send(encode(frame, &mut Vec::new())).await.map_err(closed)
}

fn closed<T>(_: mpsc::error::SendError<T>) -> WebSocketError {
    WebSocketError::ConnectionClosed
}

/// The bytes of a server's frame, as the library writes them.
fn encode(frame: Frame<'_>, scratch: &mut Vec<u8>) -> Bytes {
    let mut frame = Frame::new(true, frame.opcode, None, frame.payload);
    Bytes::copy_from_slice(frame.write(scratch))
}

async fn write(mut output: OwnedWriteHalf, mut frames: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut batch = Vec::new();
    while frames.recv_many(&mut batch, BATCH_MESSAGES_MAX).await > 0 {
        match batch.as_slice() {
            [frame] => output.write_all(frame).await?,
            _ => output.write_all_buf(&mut Batch(batch.drain(..).collect())).await?,
        }
        batch.clear();
    }
    output.shutdown().await
}

/// Frames that go out together.
struct Batch(VecDeque<Bytes>);

impl Buf for Batch {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |frame| frame)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [io::IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.0);
        filled.map(|(slice, frame)| *slice = io::IoSlice::new(frame)).count()
    }

    fn advance(&mut self, mut bytes: usize) {
        while let Some(front) = self.0.front_mut() {
            if bytes < front.len() {
                front.advance(bytes);
                return;
            }
            bytes -= front.len();
            self.0.pop_front();
        }
    }
}
