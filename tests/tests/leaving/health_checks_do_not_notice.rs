//! A load balancer goes on sending clients to a server that leaves.

use std::time::{Duration, Instant};

use corecast_tests::feed::FeedClient;
use corecast_tests::gateway::{address_of, http};
use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};

#[test]
fn health_is_503_on_both_ports_while_everything_else_goes_on() -> Result<()> {
    let config = "[shutdown]\nlinger_ms = 3000";
    let mut server = TestServer::start_with(config, ["--shards", "2", "--admin", "127.0.0.1:0"])?;
    let admin = address_of(&server, "admin on http://")?;
    let health = |to| http(to, "GET", "/healthz", &[], b"");
    for port in [server.address(), admin] {
        ensure!(health(port)?.status == 200);
    }
    server.begin_stop()?;
    let begun = Instant::now();
    while health(server.address())?.status == 200 {
        ensure!(begun.elapsed() < Duration::from_secs(2), "it still says that it is well");
    }
    ensure!(health(admin)?.status == 503);
    let mut late = FeedClient::open(server.address())?;
    late.subscribe(&["room.a"])?;
    late.expect("going_away")?;
    drop(late);
    let address = server.address();
    server.ended()?;
    ensure!(RawClient::connect(address).is_err(), "nobody listens any longer");
    Ok(())
}

#[test]
fn the_admin_port_answers_until_the_last_client_has_left() -> Result<()> {
    let mut server = TestServer::start(["--shards", "2", "--admin", "127.0.0.1:0", "--drain=4s"])?;
    let admin = address_of(&server, "admin on http://")?;
    // It does not answer the Close.
    let silent = RawClient::open(server.address(), "/echo")?;
    server.begin_stop()?;
    while RawClient::connect(server.address()).is_ok() {}
    ensure!(http(admin, "GET", "/healthz", &[], b"")?.status == 503);
    let said = server.ended()?;
    ensure!(said.contains("did not take all") && said.contains("cut"), "{said}");
    drop(silent);
    Ok(())
}
