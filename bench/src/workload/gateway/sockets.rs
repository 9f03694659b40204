//! Messages over WebSocket, each with its stamp in front.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use corecast_wire::client::mask_frame;
use corecast_wire::frame::Opcode;
use corecast_wire::{HeadScanner, client};
use eyre::{Result, WrapErr};

use super::{Line, WRITE_BYTES};
use crate::clock;
use crate::stamp::{STAMP_BYTES, Stamp};

/// Connections to plain fan-out, one for each target.
pub(super) struct SocketLines {
    streams: Vec<TcpStream>,
    out: Vec<Vec<u8>>,
    bytes: usize,
    payload: Vec<u8>,
}

impl SocketLines {
    pub(super) fn open(server: SocketAddr, targets: &[String]) -> Result<Self> {
        let streams = targets.iter().map(|target| connect(server, target));
        let streams = streams.collect::<Result<Vec<_>>>()?;
        let out = vec![Vec::new(); streams.len()];
        Ok(Self { streams, out, bytes: 0, payload: Vec::new() })
    }
}

impl Line for SocketLines {
    fn put(&mut self, stamp: Stamp, place: usize, _: Option<&[u8]>, data: &[u8]) -> Result<()> {
        self.payload.clear();
        self.payload.resize(STAMP_BYTES, 0);
        stamp.write(&mut self.payload);
        self.payload.extend_from_slice(data);
        // Any key will do where nobody but the server reads what is masked.
        let key = (stamp.sequence as u32 ^ 0x5bd1_e995).to_le_bytes();
        let frame = mask_frame(Opcode::Binary, &self.payload, key);
        self.bytes += frame.len();
        self.out[place].extend_from_slice(&frame);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.bytes < WRITE_BYTES
    }

    fn write(&mut self) -> Result<()> {
        for (stream, out) in self.streams.iter_mut().zip(&mut self.out) {
            if !out.is_empty() {
                stream.write_all(out)?;
                out.clear();
            }
        }
        self.bytes = 0;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// The opening handshake, waiting for it.
fn connect(server: SocketAddr, target: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(server).wrap_err("cannot connect to the server")?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STUCK_AFTER))?;
    stream.set_read_timeout(Some(STUCK_AFTER))?;
    let key = client::key(u128::from(clock::now_ns()).to_le_bytes());
    stream.write_all(&client::request(&server.to_string(), target, &key, &[], &[])?)?;
    let (mut scanner, mut head, mut byte) = (HeadScanner::new(), Vec::new(), [0]);
    loop {
        // One by one: what follows the head is none of ours.
        stream.read_exact(&mut byte).wrap_err("the server does not answer the handshake")?;
        head.push(byte[0]);
        if scanner.feed(&byte)?.is_some() {
            client::verify(&head, &key, &[])?;
            return Ok(stream);
        }
    }
}

/// A server that reads nothing for so long has failed.
const STUCK_AFTER: Duration = Duration::from_secs(30);
