//! One element of a list of hops, and the walk along them.

use core::net::{IpAddr, SocketAddr};

use super::limits::HOPS_MAX;
use crate::network::{Network, any_contains};

/// Who a request comes from, as far as those who are believed know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// This address; port 0 where none is said.
    Known(SocketAddr),
    /// The last proxy that is believed does not say (`unknown`, an obfuscated name, no header at
    /// all): for all that is known, it is that proxy.
    Unsaid,
}

/// What a believed proxy says that cannot be understood: then nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HopError {
    /// An element is no address and no name that stands for one.
    #[error("a forwarding header that names no address")]
    Malformed,
    /// More proxies in a row than are followed.
    #[error("more than {HOPS_MAX} proxies in a row")]
    TooMany,
}

/// What one hop says of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    Address(SocketAddr),
    /// It does not want to say, or does not know.
    Hidden,
}

/// Walks from the nearest hop outwards, as long as each is believed: who is said by one that is and
/// is not himself is the client. All are believed: the farthest is.
pub(super) fn walk(
    nearest_first: impl Iterator<Item = Result<Hop, HopError>>,
    trusted: &[Network],
) -> Result<Client, HopError> {
    let mut client = Client::Unsaid;
    for (index, hop) in nearest_first.enumerate() {
        if index == HOPS_MAX {
            return Err(HopError::TooMany);
        }
        match hop? {
            Hop::Hidden => return Ok(client),
            Hop::Address(address) => {
                client = Client::Known(address);
                if !any_contains(trusted, address.ip()) {
                    return Ok(client);
                }
            }
        }
    }
    Ok(client)
}

/// An address as proxies write it: with or without a port, IPv6 in brackets or bare.
pub(super) fn address(text: &str) -> Result<Hop, HopError> {
    if text.eq_ignore_ascii_case("unknown") {
        return Ok(Hop::Hidden);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Hop::Address(SocketAddr::new(ip, 0)));
    }
    node(text)
}

/// A node of RFC 7239 §6, out of its quotes.
pub(super) fn node(text: &str) -> Result<Hop, HopError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once(']').ok_or(HopError::Malformed)?;
            let ip: core::net::Ipv6Addr = ip.parse().map_err(|_| HopError::Malformed)?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':').ok_or(HopError::Malformed)?),
            };
            return Ok(Hop::Address(SocketAddr::new(ip.into(), port.map_or(Ok(0), number)?)));
        }
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let port = port.map_or(Ok(0), number)?;
    //= RFC 7239 §6.3
    //# To distinguish the obfuscated identifier from
    //# other identifiers, it MUST have a leading underscore "_".
    let is_hidden = name.eq_ignore_ascii_case("unknown")
        || name.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_name));
    if is_hidden {
        return Ok(Hop::Hidden);
    }
    let ip: core::net::Ipv4Addr = name.parse().map_err(|_| HopError::Malformed)?;
    Ok(Hop::Address(SocketAddr::new(ip.into(), port)))
}

/// A port: of an obfuscated one the number is not known.
fn number(text: &str) -> Result<u16, HopError> {
    if let Some(name) = text.strip_prefix('_') {
        let is_name = !name.is_empty() && name.bytes().all(is_name);
        return if is_name { Ok(0) } else { Err(HopError::Malformed) };
    }
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(HopError::Malformed);
    }
    text.parse().map_err(|_| HopError::Malformed)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}
