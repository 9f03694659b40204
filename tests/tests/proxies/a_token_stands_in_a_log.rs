//! Where a token comes in the query, a proxy's log must not keep it.

use std::time::{Duration, Instant};

use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};

use crate::frames_do_not_pass::in_front_of;
use crate::proxy::{Kind, Proxy};
use crate::tunnel::Tunnel;
use crate::with;

const TOKEN: &str = "s3cr3t-t0k3n";

#[test]
fn nginx_logs_no_query() -> Result<()> {
    with(Kind::Nginx, |kind| logs_no_query(kind, |proxy| proxy.log("corecast.log")))
}

#[test]
fn haproxy_logs_no_query() -> Result<()> {
    with(Kind::HaProxy, |kind| logs_no_query(kind, |proxy| Ok(proxy.output())))
}

fn logs_no_query(kind: Kind, log: impl Fn(&Proxy) -> Result<String>) -> Result<()> {
    let server = TestServer::start_with(kind.ends_tls(), ["--admin=127.0.0.1:0"])?;
    let proxy = Proxy::start(kind, &in_front_of(&server)?)?;
    let tunnel = Tunnel::tls(proxy.wss, &proxy.certificate)?;
    let mut client = RawClient::open(tunnel.address, &format!("/echo?access_token={TOKEN}"))?;
    client.send_frame(Opcode::Close, &1000_u16.to_be_bytes())?;
    client.expect_close()?;
    // And one that is refused.
    let refused = RawClient::open(tunnel.address, &format!("/nowhere?access_token={TOKEN}"));
    ensure!(refused.is_err(), "there is nothing at /nowhere");

    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let text = log(&proxy)?;
        ensure!(!text.contains(TOKEN), "{text}");
        if text.contains("/echo") && text.contains("/nowhere") && text.contains(" 101 ") {
            break;
        }
        ensure!(Instant::now() < until, "the log has no line of both: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.stop()
}
