//! The PROXY protocol as a line of text.
//!
//! `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n` (proxy-protocol.txt §2.1)

use core::net::{IpAddr, SocketAddr};

use super::limits::V1_BYTES_MAX;
use super::{ProxyError, Spoken};

/// A line as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct Line {
    bytes: [u8; V1_BYTES_MAX],
    len: usize,
}

const BEGIN: &[u8] = b"PROXY ";

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; V1_BYTES_MAX], len: 0 }
    }
}

impl Line {
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<Spoken>, ProxyError> {
        if BEGIN.get(self.len).is_some_and(|&expected| byte != expected) {
            return Err(ProxyError::Signature);
        }
        let Some(place) = self.bytes.get_mut(self.len) else { return Err(ProxyError::TooLong) };
        *place = byte;
        self.len += 1;
        let line = &self.bytes[..self.len];
        match line {
            [line @ .., b'\r', b'\n'] => parse(line).map(Some),
            // Neither may stand alone.
            [.., b'\n'] | [.., b'\r', _] => Err(ProxyError::Malformed),
            _ if self.len == V1_BYTES_MAX => Err(ProxyError::TooLong),
            _ => Ok(None),
        }
    }
}

fn parse(line: &[u8]) -> Result<Spoken, ProxyError> {
    let line = core::str::from_utf8(line).map_err(|_| ProxyError::Malformed)?;
    let mut words = line.split(' ');
    let (_proxy, family) = (words.next(), words.next());
    let is_v4 = match family {
        // What follows is to be ignored.
        Some("UNKNOWN") => return Ok(Spoken::Itself),
        Some("TCP4") => true,
        Some("TCP6") => false,
        _ => return Err(ProxyError::Malformed),
    };
    let mut next = || words.next().ok_or(ProxyError::Malformed);
    let (source, destination) = (address(next()?, is_v4)?, address(next()?, is_v4)?);
    let (source_port, destination_port) = (port(next()?)?, port(next()?)?);
    if words.next().is_some() {
        return Err(ProxyError::Malformed);
    }
    let _ = (destination, destination_port);
    Ok(Spoken::For(SocketAddr::new(source, source_port)))
}

fn address(word: &str, is_v4: bool) -> Result<IpAddr, ProxyError> {
    let address: IpAddr = word.parse().map_err(|_| ProxyError::Malformed)?;
    if address.is_ipv4() == is_v4 { Ok(address) } else { Err(ProxyError::Malformed) }
}

/// A port without leading zeros and signs.
fn port(word: &str) -> Result<u16, ProxyError> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
    if !is_plain && word != "0" {
        return Err(ProxyError::Malformed);
    }
    word.parse().map_err(|_| ProxyError::Malformed)
}
