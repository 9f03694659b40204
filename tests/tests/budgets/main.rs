//! Budgets and proxies on real sockets: who takes more than his share, who lies about his address,
//! and what is left when he has gone.

#![forbid(unsafe_code)]

mod a_connection_sends_too_much;
mod a_proxy_is_not_one;
mod a_stranger_names_an_address;
mod limits_change;
mod one_address_takes_all;
mod who_has_gone_is_still_counted;

use std::net::{IpAddr, SocketAddr};

use corecast_tests::raw::{Head, KEY, RawClient};
use corecast_wire::client;
use eyre::{Result, ensure};

/// An address of this machine.
fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// A request for `/echo` with these further lines.
fn request(lines: &str) -> Result<Vec<u8>> {
    let mut request = client::request("a", "/echo", KEY, &[], &[])?;
    request.truncate(request.len() - 2);
    request.extend_from_slice(lines.as_bytes());
    request.extend_from_slice(b"\r\n");
    Ok(request)
}

/// Connects from an address, sends this in front of a request with these lines, and reads what
/// comes.
fn ask(from: &str, server: SocketAddr, front: &[u8], lines: &str) -> Result<(RawClient, Head)> {
    let mut client = RawClient::connect_from(ip(from), server)?;
    client.send(front)?;
    client.send(&request(lines)?)?;
    let head = client.read_head()?;
    Ok((client, head))
}

/// As above, and it must be let in.
fn let_in(from: &str, server: SocketAddr, front: &[u8], lines: &str) -> Result<RawClient> {
    let (client, head) = ask(from, server, front, lines)?;
    ensure!(head.status == 101, "{from} {lines:?}: {}", head.text);
    Ok(client)
}

/// As above, and it must be refused for its address's budget.
fn too_many(from: &str, server: SocketAddr, front: &[u8], lines: &str) -> Result<()> {
    let (mut client, head) = ask(from, server, front, lines)?;
    ensure!(head.status == 429, "{from} {lines:?}: {}", head.text);
    ensure!(head.header("retry-after").is_some(), "{}", head.text);
    let body = String::from_utf8(client.read_to_end()?)?;
    ensure!(body.starts_with("too many connections"), "{body:?}");
    Ok(())
}
