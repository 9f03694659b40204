//! Budgets of addresses, behind a proxy: whoever is greedy is refused, and nobody else, whatever he
//! says of himself.

use std::net::IpAddr;

use corecast_tests::raw::{Head, KEY, RawClient};
use corecast_tests::server::TestServer;
use corecast_wire::client;
use eyre::{Result, WrapErr, ensure};

use crate::frames_do_not_pass::in_front_of;
use crate::proxy::{Kind, Proxy};
use crate::tunnel::Tunnel;
use crate::with;

/// Two connections of each address, and no exception for loopback.
pub(crate) const BUDGET: &str = "[address]\nconnections_max = 2\nexempt = []\n";

/// Which of the proxy's ports is used.
#[derive(Debug, Clone, Copy)]
enum Way {
    EndsTls,
    PassesTls,
}

#[test]
fn nobody_hides_behind_nginx_that_ends_tls() -> Result<()> {
    with(Kind::Nginx, |kind| the_greedy_one_alone_is_refused(kind, Way::EndsTls))
}

#[test]
fn nobody_hides_behind_nginx_that_passes_bytes() -> Result<()> {
    with(Kind::Nginx, |kind| the_greedy_one_alone_is_refused(kind, Way::PassesTls))
}

#[test]
fn nobody_hides_behind_haproxy_that_ends_tls() -> Result<()> {
    with(Kind::HaProxy, |kind| the_greedy_one_alone_is_refused(kind, Way::EndsTls))
}

#[test]
fn nobody_hides_behind_haproxy_that_passes_bytes() -> Result<()> {
    with(Kind::HaProxy, |kind| the_greedy_one_alone_is_refused(kind, Way::PassesTls))
}

fn the_greedy_one_alone_is_refused(kind: Kind, way: Way) -> Result<()> {
    let trust = match way {
        Way::EndsTls => kind.ends_tls(),
        Way::PassesTls => kind.passes_tls(),
    };
    let config = format!("{trust}{BUDGET}");
    let server = TestServer::start_with(&config, ["--admin=127.0.0.1:0"])?;
    let proxy = Proxy::start(kind, &in_front_of(&server)?)?;
    let (greedy, modest) = ([127, 0, 0, 2].into(), [127, 0, 0, 3].into());
    let first = Site::open(&proxy, way, greedy)?;
    let other = Site::open(&proxy, way, modest)?;

    let kept = [first.enter(&[])?, first.enter(&[])?];
    ensure!(kept.iter().all(|(_, head)| head.status == 101), "two of an address are let in");
    let lie = "203.0.113.9";
    let lies = [
        vec![],
        vec![("X-Forwarded-For", lie)],
        vec![("Forwarded", "for=203.0.113.9")],
        vec![("X-Real-IP", lie), ("X-Forwarded-For", "203.0.113.9, 203.0.113.10")],
    ];
    for fields in &lies {
        let (_, head) = first.enter(fields)?;
        ensure!(head.status == 429, "{fields:?}: {}", head.text);
        ensure!(head.header("retry-after").is_some(), "{}", head.text);
    }
    // The other one may come twice, and no more either.
    let others = [other.enter(&[])?, other.enter(&[])?];
    ensure!(others.iter().all(|(_, head)| head.status == 101), "the other is let in");
    ensure!(other.enter(&[])?.1.status == 429, "but not for ever");

    // Nor is one believed who is no proxy: the port behind is open to him.
    let direct = |fields: &[(&str, &str)]| {
        ask(RawClient::connect_from([127, 0, 0, 4].into(), server.address())?, fields)
    };
    let direct_kept = [direct(&[])?, direct(&[])?];
    ensure!(direct_kept.iter().all(|(_, head)| head.status == 101), "two of an address");
    for fields in &lies {
        let (_, head) = direct(fields)?;
        ensure!(head.status == 429, "directly, {fields:?}: {}", head.text);
    }
    drop((kept, others, direct_kept));
    server.stop()
}

/// Where one client connects.
enum Site<'a> {
    Tls(Tunnel),
    Plain(&'a Proxy, IpAddr),
}

impl<'a> Site<'a> {
    fn open(proxy: &'a Proxy, way: Way, from: IpAddr) -> Result<Self> {
        Ok(match way {
            Way::EndsTls => Self::Tls(Tunnel::tls_from(from, proxy.wss, &proxy.certificate)?),
            Way::PassesTls => Self::Plain(proxy, from),
        })
    }

    /// Asks for /echo with these fields besides.
    fn enter(&self, fields: &[(&str, &str)]) -> Result<(RawClient, Head)> {
        let client = match self {
            Self::Tls(tunnel) => RawClient::connect(tunnel.address)?,
            Self::Plain(proxy, from) => RawClient::connect_from(*from, proxy.through)?,
        };
        ask(client, fields)
    }
}

fn ask(mut client: RawClient, fields: &[(&str, &str)]) -> Result<(RawClient, Head)> {
    client.send(&client::request("example.org", "/echo", KEY, &[], fields)?)?;
    let head = client.read_head().wrap_err_with(|| format!("{fields:?}"))?;
    Ok((client, head))
}
