//! What a proxy says: a PROXY header is the same however it is cut, and reads back; and nothing
//! that a client writes into a forwarding header comes before what its proxy added.
//!
//! The first byte says what follows, and where it is cut.

#![no_main]

use std::net::SocketAddr;

use corecast_gate::network::Network;
use corecast_gate::proxy::limits::{V1_BYTES_MAX, V2_BYTES_MAX};
use corecast_gate::proxy::{
    Client, HopError, ProxyError, ProxyHeader, Spoken, Versions, client_by_forwarded,
    client_by_x_forwarded_for,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&how, rest)) = input.split_first() else { return };
    match how & 3 {
        0 => header(rest, usize::from(how >> 2).max(1)),
        1 => forwarding(rest, client_by_x_forwarded, "203.0.113.7"),
        _ => forwarding(rest, client_by, "for=203.0.113.7"),
    }
});

fn header(bytes: &[u8], step: usize) {
    let any = read(Versions::Any, bytes, bytes.len().max(1));
    assert_eq!(read(Versions::Any, bytes, step), any, "however it is cut");
    let alone = [Versions::V1, Versions::V2].map(|it| read(it, bytes, step));
    if !bytes.is_empty() {
        // Whichever version it is, the other refuses it.
        let refused = Err(ProxyError::Signature);
        assert!(alone == [any, refused] || alone == [refused, any], "{alone:?} {any:?}");
    }
    let Ok(Some((end, spoken))) = any else {
        assert!(any.is_err() || bytes.len() < V2_BYTES_MAX, "it waits for more without end");
        return;
    };
    assert!(end <= V2_BYTES_MAX, "{end} bytes");
    if let Spoken::For(client) = spoken {
        let line = line(client);
        assert!(line.len() <= V1_BYTES_MAX);
        let back = read(Versions::V1, line.as_bytes(), step);
        assert_eq!(back, Ok(Some((line.len(), spoken))), "{line}");
    }
}

/// Where the header ended, and what it said.
fn read(
    versions: Versions,
    bytes: &[u8],
    step: usize,
) -> Result<Option<(usize, Spoken)>, ProxyError> {
    let mut header = ProxyHeader::new(versions);
    for (index, piece) in bytes.chunks(step).enumerate() {
        if let Some((end, spoken)) = header.feed(piece)? {
            return Ok(Some((index * step + end, spoken)));
        }
    }
    Ok(None)
}

fn line(client: SocketAddr) -> String {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (ip, port) = (client.ip(), client.port());
    format!("PROXY {family} {ip} {ip} {port} 443\r\n")
}

type Read = fn(&[&str]) -> Result<Client, HopError>;

/// `added` is what the one proxy that is believed says of who came to it.
fn forwarding(bytes: &[u8], read: Read, added: &str) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let said = Client::Known("203.0.113.7:0".parse().expect("an address"));
    let lines: Vec<&str> = text.split('\n').collect();
    let alone = read(&lines);
    assert_eq!(read(&lines), alone);
    assert_eq!(read(&[lines, vec![added]].concat()), Ok(said), "a line of its own");
    // In one line, what a client left open may spoil all of it, but never speak for somebody else.
    let joined = read(&[format!("{text}, {added}").as_str()]);
    assert!(joined == Ok(said) || joined == Err(HopError::Malformed), "{joined:?}");
}

fn client_by_x_forwarded(lines: &[&str]) -> Result<Client, HopError> {
    client_by_x_forwarded_for(lines.iter().copied(), &trusted())
}

fn client_by(lines: &[&str]) -> Result<Client, HopError> {
    client_by_forwarded(lines.iter().copied(), &trusted())
}

fn trusted() -> [Network; 1] {
    ["10.0.0.0/8".parse().expect("a network")]
}
