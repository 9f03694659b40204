//! The PROXY protocol in binary (proxy-protocol.txt §2.2): a signature of 12 bytes, version and
//! command, family, length; then the addresses, and behind them whatever the proxy likes to add.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::limits::V2_BYTES_MAX;
use super::{ProxyError, Spoken};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes in front of the addresses.
const FIXED: usize = 16;

/// The longest addresses of which anything is kept: two of IPv6, and two ports.
const ADDRESSES: usize = 36;

/// Of a Unix socket: two names, of which nothing is kept.
const UNIX_ADDRESSES: usize = 216;

/// A header as far as it has come: what is behind its addresses is only counted.
#[derive(Clone, Debug)]
pub(super) struct Header {
    bytes: [u8; FIXED + ADDRESSES],
    len: usize,
}

impl Default for Header {
    fn default() -> Self {
        Self { bytes: [0; FIXED + ADDRESSES], len: 0 }
    }
}

impl Header {
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<Spoken>, ProxyError> {
        if SIGNATURE.get(self.len).is_some_and(|&expected| byte != expected) {
            return Err(ProxyError::Signature);
        }
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
        match self.len {
            13 if !matches!(byte, 0x20 | 0x21) => Err(ProxyError::Malformed),
            14 => self.check_family(),
            FIXED => {
                self.check_length()?;
                self.whole()
            }
            len if len > FIXED => self.whole(),
            _ => Ok(None),
        }
    }

    /// What it says, once all of it is there.
    fn whole(&self) -> Result<Option<Spoken>, ProxyError> {
        Ok((self.len == FIXED + self.length()).then(|| self.spoken()))
    }

    fn length(&self) -> usize {
        usize::from(u16::from_be_bytes([self.bytes[14], self.bytes[15]]))
    }

    fn is_local(&self) -> bool {
        self.bytes[12] & 0x0f == 0
    }

    /// The family's bytes, if addresses of it are read: high nibble the family, low the transport.
    fn addresses(&self) -> usize {
        match self.bytes[13] >> 4 {
            1 => 12,
            2 => ADDRESSES,
            3 => UNIX_ADDRESSES,
            _ => 0,
        }
    }

    fn check_family(&self) -> Result<Option<Spoken>, ProxyError> {
        // A receiver of streams is told of streams: UNSPEC, or STREAM of a family there is.
        let is_known = matches!(self.bytes[13], 0x00 | 0x11 | 0x21 | 0x31);
        if is_known || self.is_local() { Ok(None) } else { Err(ProxyError::Malformed) }
    }

    fn check_length(&self) -> Result<(), ProxyError> {
        if FIXED + self.length() > V2_BYTES_MAX {
            return Err(ProxyError::TooLong);
        }
        // What a LOCAL carries is to be skipped, whatever it is.
        let is_whole = self.is_local() || self.length() >= self.addresses();
        if is_whole { Ok(()) } else { Err(ProxyError::Malformed) }
    }

    fn spoken(&self) -> Spoken {
        if self.is_local() {
            return Spoken::Itself;
        }
        let at = |index: usize| self.bytes[FIXED + index];
        let port = |index| u16::from_be_bytes([at(index), at(index + 1)]);
        match self.bytes[13] >> 4 {
            1 => {
                let address = Ipv4Addr::from(core::array::from_fn::<u8, 4, _>(at));
                Spoken::For(SocketAddr::new(address.into(), port(8)))
            }
            2 => {
                let address = Ipv6Addr::from(core::array::from_fn::<u8, 16, _>(at));
                Spoken::For(SocketAddr::new(address.into(), port(32)))
            }
            // UNSPEC, or a Unix socket: no address that anybody could be counted by.
            _ => Spoken::Itself,
        }
    }
}
