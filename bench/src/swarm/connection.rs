//! One connection: from the socket's creation to its end.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use corecast_wire::frame::Opcode;
use corecast_wire::{
    Event, HeadScanner, InflatePool, Inflation, Input, Receiver, ReceiverLimits, Role as Side,
    client,
};
use eyre::{Result, WrapErr};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, Socket, Type};

use super::end::End;
use super::layer::Layer;
use super::plan::{Plan, Role};
use crate::clock;
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_PARTS_MAX, READS_PER_TURN_MAX};
use crate::tls::Secure;

/// A message on its way to the observer.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The connection that received it.
    pub connection: usize,
    /// Whether it is a text message.
    pub is_text: bool,
    /// The payload of the whole message.
    pub payload: &'a [u8],
    /// When the bytes that ended it were read, in nanoseconds of [`crate::clock::now_ns`].
    pub received_ns: u64,
}

/// Who takes what a connection reads.
pub(super) struct Taker<'a> {
    pub(super) connection: usize,
    /// Becomes the time of each read.
    pub(super) now_ns: &'a mut u64,
    pub(super) observe: &'a mut dyn FnMut(Delivery<'_>),
}

/// Where bytes are read to, for all connections.
pub(super) struct Scratch<'a> {
    pub(super) read: &'a mut [u8],
    /// What was decrypted.
    pub(super) plain: &'a mut [u8],
}

/// What a connection has received so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whole messages.
    pub messages: u64,
    /// Their payload bytes.
    pub payload_bytes: u64,
    /// Bytes read from the socket, handshake included.
    pub bytes: u64,
    /// Pings, each answered.
    pub pings: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Connecting,
    /// The request is sent as far as the plan wants, the answer not complete.
    Handshaking,
    Open,
    /// The server's Close has arrived; what is left is the end of the TCP connection.
    Closing,
}

pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) phase: Phase,
    pub(super) role: Role,
    pub(super) counts: Counts,
    /// Absent where it speaks `ws://`.
    layer: Option<Box<Layer>>,
    receiver: Receiver,
    scanner: HeadScanner,
    head: Vec<u8>,
    key: String,
    protocols: Vec<String>,
    deflate: Option<Arc<InflatePool>>,
    unsent: Vec<u8>,
    closed: Option<End>,
    close_sent: bool,
    /// Its turn ended before all was read.
    pub(super) unread: bool,
}

impl Connection {
    /// Begins to connect, from `source` when given.
    pub(super) fn begin(
        server: SocketAddr,
        source: Option<Ipv4Addr>,
        plan: &Plan,
        secure: Option<&Secure>,
        nonce: [u8; 16],
    ) -> Result<Self> {
        let key = client::key(nonce);
        let headers = plan.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let offer = plan.deflate.as_ref().map(|_| (EXTENSIONS, OFFER));
        let headers = Vec::from_iter(headers.chain(offer));
        let host = plan.host.clone().unwrap_or_else(|| server.to_string());
        let offered = Vec::from_iter(plan.protocols.iter().map(String::as_str));
        let mut request = client::request(&host, &plan.target, &key, &offered, &headers)?;
        request.truncate(plan.request_bytes_max.unwrap_or(usize::MAX));
        let limits = ReceiverLimits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            message_parts_max: MESSAGE_PARTS_MAX,
        };
        let layer = secure.map(|secure| Layer::new(secure).map(Box::new)).transpose()?;
        Ok(Self {
            layer,
            socket: connect(server, source, plan.receive_buffer_bytes)?,
            phase: Phase::Connecting,
            role: plan.role,
            counts: Counts::default(),
            receiver: Receiver::new(Side::Client, limits),
            scanner: HeadScanner::new(),
            head: Vec::new(),
            key,
            protocols: plan.protocols.clone(),
            deflate: plan.deflate.clone(),
            unsent: request,
            closed: None,
            close_sent: false,
            unread: false,
        })
    }

    /// Whether bytes wait for room in the socket (or for the connection to be made).
    pub(super) fn wants_write(&self) -> bool {
        let encrypted = self.layer.as_ref().is_some_and(|layer| layer.wants_write());
        self.phase == Phase::Connecting || !self.unsent.is_empty() || encrypted
    }

    /// Whether readiness to read matters to it now.
    pub(super) fn wants_read(&self) -> bool {
        match self.phase {
            Phase::Connecting => false,
            Phase::Handshaking | Phase::Closing => true,
            Phase::Open => self.role == Role::Reader,
        }
    }

    /// Puts one masked message behind what is not sent yet; [`Connection::flush`] sends it.
    pub(super) fn append(&mut self, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
        client::append_frame(&mut self.unsent, opcode, true, payload, key);
    }

    /// Bytes that the socket has not taken yet.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.unsent.len()
    }

    /// Sends bytes, or keeps what the socket does not take yet.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        self.flush();
    }

    /// The socket has become writable.
    pub(super) fn on_writable(&mut self) -> Result<(), End> {
        if self.phase == Phase::Connecting {
            match self.socket.take_error() {
                Ok(None) => self.phase = Phase::Handshaking,
                Ok(Some(error)) | Err(error) => return Err(End::Failed(error.to_string())),
            }
        }
        self.flush();
        Ok(())
    }

    /// Reads what there is; the kernel says so once for each change. A read that does not fill
    /// `scratch` was the last, unless the server has `hung_up`: then the end is still to be read.
    /// Says whether something may be left because its turn is over.
    pub(super) fn on_readable(
        &mut self,
        scratch: &mut Scratch<'_>,
        hung_up: bool,
        taker: &mut Taker<'_>,
    ) -> Result<bool, End> {
        for _ in 0..READS_PER_TURN_MAX {
            let read = match recv(&self.socket, &mut *scratch.read, RecvFlags::empty()) {
                Ok((0, _)) => return Err(self.closed.take().unwrap_or(End::WithoutClose)),
                Ok((read, _)) => read,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => continue,
                Err(error) => {
                    // What the server said before a reset counts more than the reset.
                    let failed = || End::Failed(std::io::Error::from(error).to_string());
                    return Err(self.closed.take().unwrap_or_else(failed));
                }
            };
            *taker.now_ns = clock::now_ns();
            self.counts.bytes += read as u64;
            let last = read < scratch.read.len() && !hung_up;
            if self.layer.is_none() {
                self.take(&mut scratch.read[..read], taker)?;
            } else {
                self.take_records(&scratch.read[..read], scratch.plain, taker)?;
            }
            if last || !self.wants_read() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether its TLS session is the continuation of another.
    pub(super) fn is_resumed(&self) -> bool {
        self.layer.as_ref().is_some_and(|layer| layer.is_resumed())
    }

    /// Decrypts what came, and sends what the handshake wants to say.
    fn take_records(
        &mut self,
        mut bytes: &[u8],
        plain: &mut [u8],
        taker: &mut Taker<'_>,
    ) -> Result<(), End> {
        while !bytes.is_empty() {
            let Some(layer) = &mut self.layer else { break };
            layer.receive(&mut bytes)?;
            while let Some(layer) = &mut self.layer {
                let read = layer.read(plain);
                if read == 0 {
                    break;
                }
                self.take(&mut plain[..read], taker)?;
            }
        }
        self.flush();
        Ok(())
    }

    fn take(&mut self, bytes: &mut [u8], taker: &mut Taker<'_>) -> Result<(), End> {
        match self.phase {
            Phase::Connecting | Phase::Closing => Ok(()),
            Phase::Open => self.take_frames(bytes, taker),
            Phase::Handshaking => {
                let Some(head_bytes) = self.take_head(bytes)? else { return Ok(()) };
                self.phase = Phase::Open;
                self.take_frames(&mut bytes[head_bytes..], taker)
            }
        }
    }

    /// Collects the answer's head; says how many of `bytes` belong to it once it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, End> {
        let scanned = self.scanner.feed(bytes);
        let end = scanned.map_err(|error| End::Rejected(error.to_string()))?;
        self.head.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
        if end.is_some() {
            let mut head = std::mem::take(&mut self.head);
            if let Some(pool) = &self.deflate {
                head = without_extensions(&head).ok_or_else(|| {
                    End::Rejected("it does not agree to permessage-deflate".into())
                })?;
                self.receiver.inflate(Inflation::new(pool));
            }
            let offered = Vec::from_iter(self.protocols.iter().map(String::as_str));
            client::verify(&head, &self.key, &offered)
                .map_err(|error| End::Rejected(error.to_string()))?;
        }
        Ok(end)
    }

    fn take_frames(&mut self, bytes: &mut [u8], taker: &mut Taker<'_>) -> Result<(), End> {
        let (connection, received_ns) = (taker.connection, *taker.now_ns);
        let mut input = Input::new(bytes);
        let mut answer = Vec::new();
        loop {
            let event = self.receiver.receive(&mut input);
            let event = event.map_err(|error| End::Violated(error.to_string()))?;
            let (is_text, payload) = match event {
                None => break,
                Some(Event::Text(text)) => (true, text.as_bytes()),
                Some(Event::Binary(payload)) => (false, payload),
                Some(Event::Ping(payload)) => {
                    self.counts.pings += 1;
                    answer.extend(client::mask_frame(Opcode::Pong, payload, PONG_KEY));
                    continue;
                }
                Some(Event::Pong(_)) => continue,
                Some(Event::Close(frame)) => {
                    let (code, reason) = match frame {
                        Some(frame) => (Some(frame.code.0), frame.reason.to_owned()),
                        None => (None, String::new()),
                    };
                    self.phase = Phase::Closing;
                    self.closed = Some(End::Closed { code, reason });
                    if !self.close_sent {
                        let body = code.map(u16::to_be_bytes).unwrap_or_default();
                        let body = &body[..if code.is_some() { 2 } else { 0 }];
                        answer.extend(client::mask_frame(Opcode::Close, body, PONG_KEY));
                        self.close_sent = true;
                    }
                    continue;
                }
            };
            self.counts.messages += 1;
            self.counts.payload_bytes += payload.len() as u64;
            (taker.observe)(Delivery { connection, is_text, payload, received_ns });
        }
        if !answer.is_empty() {
            self.send(&answer);
        }
        Ok(())
    }

    /// Sends a Close frame, once.
    pub(super) fn close(&mut self, code: u16) {
        if !std::mem::replace(&mut self.close_sent, true) {
            self.send(&client::mask_frame(Opcode::Close, &code.to_be_bytes(), PONG_KEY));
        }
    }

    /// Sends what is not sent yet, as far as the socket takes it.
    pub(super) fn flush(&mut self) {
        if self.phase == Phase::Connecting {
            return;
        }
        if let Some(layer) = &mut self.layer {
            return layer.flush(&mut self.unsent, &self.socket);
        }
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The server may have closed first; what it said still waits to be read.
                Err(_) => self.unsent.clear(),
            }
        }
    }
}

/// The head without the line that grants permessage-deflate: the check of an answer knows of no
/// extension. None when there is no such line.
fn without_extensions(head: &[u8]) -> Option<Vec<u8>> {
    let head = str::from_utf8(head).ok()?;
    let grants = |line: &&str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case(EXTENSIONS) && value.contains("permessage-deflate")
    };
    let granted = head.split_inclusive("\r\n").any(|line| grants(&line));
    let rest = head.split_inclusive("\r\n").filter(|line| !grants(line)).collect::<String>();
    granted.then(|| rest.into_bytes())
}

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const OFFER: &str = "permessage-deflate; client_no_context_takeover";

/// Any key will do where nobody but the server reads what is masked.
const PONG_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn connect(
    server: SocketAddr,
    source: Option<Ipv4Addr>,
    receive_buffer_bytes: Option<usize>,
) -> Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(server), kind, Some(Protocol::TCP))
        .wrap_err("cannot open a socket (see the limit of open files, ulimit -n)")?;
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = source {
        let address = SocketAddr::new(IpAddr::V4(source), 0);
        socket.bind(&address.into()).wrap_err_with(|| format!("no free port on {source}"))?;
    }
    match socket.connect(&server.into()) {
        Ok(()) => Ok(socket),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error).wrap_err_with(|| format!("cannot connect to {server}")),
    }
}
