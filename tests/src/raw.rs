//! One blocking connection that sends any bytes, valid or not, and reads what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast_wire::client;
use corecast_wire::frame::Opcode;
use corecast_wire::{
    Event, HeadScanner, InflatePool, Inflation, Input, Receiver, ReceiverLimits, Role,
};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use socket2::{Domain, SockRef, Socket, Type};

use crate::hang_up;

/// A client without scruples.
#[derive(Debug)]
pub struct RawClient {
    stream: Arc<TcpStream>,
    receiver: Receiver,
    unread: Vec<u8>,
    within: Duration,
}

/// An event that owns what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A Ping.
    Ping(Vec<u8>),
    /// A Pong.
    Pong(Vec<u8>),
    /// A Close frame: code and reason, if it has them.
    Close(Option<(u16, String)>),
    /// The end of the connection by FIN.
    End,
    /// The end of the connection by RST.
    Reset,
}

/// An HTTP answer up to its empty line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The whole head as text.
    pub text: String,
}

impl Head {
    /// The value of the first header field with this name, without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.text.lines().filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }
}

/// The key of RFC 6455 §1.3: good enough where nobody guards against replays.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

impl RawClient {
    /// Connects, without a byte sent.
    ///
    /// # Errors
    /// When nobody accepts.
    pub fn connect(server: SocketAddr) -> Result<Self> {
        Self::on(TcpStream::connect_timeout(&server, Duration::from_secs(10))?)
    }

    fn on(stream: TcpStream) -> Result<Self> {
        let within = Duration::from_secs(10);
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(within))?;
        let limits = ReceiverLimits { message_bytes_max: 64 << 20, message_parts_max: 1 << 20 };
        let receiver = Receiver::new(Role::Client, limits);
        let stream = Arc::new(stream);
        hang_up::note(&stream);
        Ok(Self { stream, receiver, unread: Vec::new(), within })
    }

    /// Connects with a receive buffer of about this many bytes, so that a backlog is the server's.
    ///
    /// # Errors
    /// When nobody accepts.
    pub fn connect_small(server: SocketAddr, receive_buffer_bytes: usize) -> Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.set_recv_buffer_size(receive_buffer_bytes)?;
        socket.connect_timeout(&server.into(), Duration::from_secs(10))?;
        Self::on(socket.into())
    }

    /// Connects from this address, without a byte sent.
    ///
    /// # Errors
    /// When nobody accepts, or the address is none of this machine's.
    pub fn connect_from(from: IpAddr, server: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect_timeout(&server.into(), Duration::from_secs(10))?;
        Self::on(socket.into())
    }

    /// Connects and does the opening handshake.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub fn open(server: SocketAddr, target: &str) -> Result<Self> {
        let mut this = Self::connect(server)?;
        this.upgrade(target)?;
        Ok(this)
    }

    /// As [`RawClient::open`], with a small receive buffer.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub fn open_small(server: SocketAddr, target: &str, buffer_bytes: usize) -> Result<Self> {
        let mut this = Self::connect_small(server, buffer_bytes)?;
        this.upgrade(target)?;
        Ok(this)
    }

    /// Does the opening handshake.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub fn upgrade(&mut self, target: &str) -> Result<()> {
        self.upgrade_to(target, &[]).map(drop)
    }

    /// Does the opening handshake, offering these subprotocols; gives the one that was chosen.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub fn upgrade_to(&mut self, target: &str, protocols: &[&str]) -> Result<Option<String>> {
        self.upgrade_with(target, protocols, &[])
    }

    /// As [`RawClient::upgrade_to`], with these further headers.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub fn upgrade_with(
        &mut self,
        target: &str,
        protocols: &[&str],
        headers: &[(&str, &str)],
    ) -> Result<Option<String>> {
        let head = self.ask(target, protocols, headers)?;
        let verified = client::verify(head.text.as_bytes(), KEY, protocols);
        verified.wrap_err_with(|| head.text.clone())?;
        Ok(head.header("sec-websocket-protocol").map(ToOwned::to_owned))
    }

    /// Asks for a WebSocket, and gives the head of the answer, whatever it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask(
        &mut self,
        target: &str,
        protocols: &[&str],
        headers: &[(&str, &str)],
    ) -> Result<Head> {
        let host = self.stream.peer_addr()?.to_string();
        self.send(&client::request(&host, target, KEY, protocols, headers)?)?;
        self.read_head()
    }

    /// Does the opening handshake, offering permessage-deflate with these parameters; gives what
    /// the server says of extensions. What it compresses is inflated from then on.
    ///
    /// # Errors
    /// When the server does not accept the handshake.
    pub fn upgrade_deflate(&mut self, target: &str, parameters: &str) -> Result<Option<String>> {
        let offer = format!("permessage-deflate{parameters}");
        let offer = [("Sec-WebSocket-Extensions", offer.as_str())];
        let head = self.ask(target, &[], &offer)?;
        ensure!(head.status == 101, "{}", head.text);
        let agreed = head.header("sec-websocket-extensions").map(ToOwned::to_owned);
        if agreed.is_some() {
            self.receiver.inflate(Inflation::new(&InflatePool::new(0)));
        }
        Ok(agreed)
    }

    /// Ends the connection with RST.
    ///
    /// # Errors
    /// When the socket does not take the option.
    pub fn reset(self) -> Result<()> {
        Ok(SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO))?)
    }

    /// How long a read may take from now on; 10 s at first.
    pub fn set_patience(&mut self, within: Duration) {
        self.within = within;
    }

    /// The socket, for options and half closes.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone or takes no byte for 10 s.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        (&*self.stream).write_all(bytes).wrap_err("cannot send")
    }

    /// Sends bytes one at a time, each in a packet of its own.
    ///
    /// # Errors
    /// As [`RawClient::send`].
    pub fn send_bytewise(&mut self, bytes: &[u8]) -> Result<()> {
        bytes.iter().try_for_each(|byte| self.send(&[*byte]))
    }

    /// Sends one masked, final frame.
    ///
    /// # Errors
    /// As [`RawClient::send`].
    pub fn send_frame(&mut self, opcode: Opcode, payload: &[u8]) -> Result<()> {
        self.send(&client::mask_frame(opcode, payload, [0x12, 0x34, 0x56, 0x78]))
    }

    /// Reads an HTTP answer; what follows it is kept for the next read.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn read_head(&mut self) -> Result<Head> {
        let (mut scanner, mut head) = (HeadScanner::new(), Vec::new());
        let until = Instant::now() + self.within;
        loop {
            let mut bytes = std::mem::take(&mut self.unread);
            if bytes.is_empty() {
                bytes = self.read_some(until)?.ok_or_else(|| {
                    eyre!("an end instead of an answer: {:?}", String::from_utf8_lossy(&head))
                })?;
            }
            let end = scanner.feed(&bytes)?;
            head.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            if let Some(end) = end {
                self.unread = bytes.split_off(end);
                let text = String::from_utf8(head)?;
                let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
                let status = status.ok_or_else(|| eyre!("no status in {text:?}"))?;
                return Ok(Head { status, text });
            }
        }
    }

    /// The next message, control frame or end.
    ///
    /// # Errors
    /// When nothing comes in time, or the server breaks the protocol.
    pub fn receive(&mut self) -> Result<Received> {
        let until = Instant::now() + self.within;
        loop {
            let mut bytes = std::mem::take(&mut self.unread);
            let mut input = Input::new(&mut bytes);
            let event = self.receiver.receive(&mut input)?.map(own);
            let left = input.remaining();
            if let Some(event) = event {
                self.unread = bytes.split_off(bytes.len() - left);
                return Ok(event);
            }
            match self.read_some(until) {
                Ok(Some(bytes)) => self.unread = bytes,
                Ok(None) => return Ok(Received::End),
                Err(error) if is_reset(&error) => return Ok(Received::Reset),
                Err(error) => return Err(error),
            }
        }
    }

    /// Expects a Close frame, after any messages, and then the end of the connection. Answers the
    /// Close, as a client should.
    ///
    /// # Errors
    /// When something else comes, or nothing.
    pub fn expect_close(&mut self) -> Result<(u16, String)> {
        let closed = loop {
            match self.receive()? {
                Received::Close(Some(closed)) => break closed,
                Received::Text(_) | Received::Binary(_) | Received::Pong(_) => {}
                other => bail!("{other:?} instead of a Close frame"),
            }
        };
        // The server may have ended the connection with its Close.
        let _ = self.send_frame(Opcode::Close, &closed.0.to_be_bytes());
        let end = self.receive()?;
        ensure!(end == Received::End, "{end:?} instead of the end, after {closed:?}");
        Ok(closed)
    }

    /// Reads this many bytes for later.
    ///
    /// # Errors
    /// When they do not come in time.
    pub fn read_bytes(&mut self, count: usize) -> Result<()> {
        self.stream.set_read_timeout(Some(self.within))?;
        let start = self.unread.len();
        self.unread.resize(start + count, 0);
        Ok((&*self.stream).read_exact(&mut self.unread[start..])?)
    }

    /// Everything up to the end of the connection, as bytes.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>> {
        let until = Instant::now() + self.within;
        let mut all = std::mem::take(&mut self.unread);
        loop {
            match self.read_some(until) {
                Ok(Some(bytes)) => all.extend(bytes),
                Ok(None) => return Ok(all),
                Err(error) if is_reset(&error) => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }

    /// Expects the end of the connection, by FIN or RST, before anything else.
    ///
    /// # Errors
    /// When something else comes, or nothing.
    pub fn expect_end(&mut self) -> Result<()> {
        match self.receive()? {
            Received::End | Received::Reset => Ok(()),
            other => bail!("{other:?} instead of the end"),
        }
    }

    /// Nothing at the end of the connection.
    fn read_some(&mut self, until: Instant) -> Result<Option<Vec<u8>>> {
        let left = until.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "nothing within {:?}", self.within);
        self.stream.set_read_timeout(Some(left))?;
        let mut bytes = vec![0; 64 << 10];
        let read = loop {
            match (&*self.stream).read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => Ok(None),
            Ok(read) => {
                bytes.truncate(read);
                Ok(Some(bytes))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("nothing within {:?}", self.within)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The head of a frame from a client, its length in the shortest form, its masking key zero: the
/// payload stands behind it as it is.
pub fn frame_head(first: u8, payload_bytes: u64) -> Vec<u8> {
    let mut head = vec![first];
    match payload_bytes {
        0..=125 => head.push(0x80 | payload_bytes as u8),
        126..=0xffff => {
            head.push(0x80 | 126);
            head.extend((payload_bytes as u16).to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend(payload_bytes.to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}

/// A whole frame from a client, its masking key zero.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [frame_head(first, payload.len() as u64), payload.to_vec()].concat()
}

fn own(event: Event<'_>) -> Received {
    match event {
        Event::Text(text) => Received::Text(text.to_owned()),
        Event::Binary(payload) => Received::Binary(payload.to_vec()),
        Event::Ping(payload) => Received::Ping(payload.to_vec()),
        Event::Pong(payload) => Received::Pong(payload.to_vec()),
        Event::Close(frame) => {
            Received::Close(frame.map(|frame| (frame.code.0, frame.reason.to_owned())))
        }
    }
}

fn is_reset(error: &eyre::Report) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
