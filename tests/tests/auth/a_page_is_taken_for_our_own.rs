//! Pages of the server itself, and pages that only look so: by a name that leads here, or by what
//! somebody says who is no proxy of ours.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use corecast_tests::raw::{KEY, RawClient};
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};

fn serve(config: &str) -> Result<TestServer> {
    TestServer::start_with(config, ["--shards", "1"])
}

/// The status for a request with this `Host` and these headers, and what is said of a refusal.
fn knock(
    server: &TestServer,
    last: u8,
    host: &str,
    headers: &[(&str, &str)],
) -> Result<(u16, String)> {
    let from = IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
    let mut client = RawClient::connect_from(from, server.address())?;
    client.send(&corecast_wire::client::request(host, "/echo", KEY, &[], headers)?)?;
    let head = client.read_head()?;
    if head.status == 101 {
        return Ok((101, String::new()));
    }
    Ok((head.status, String::from_utf8_lossy(&client.read_to_end()?).into_owned()))
}

#[test]
fn a_name_that_leads_here_is_not_ours() -> Result<()> {
    let server = serve("")?;
    let own = server.address().to_string();
    let port = server.address().port();
    let page = |host: &str| knock(&server, 1, host, &[("Origin", &format!("http://{host}"))]);
    ensure!(page(&own)?.0 == 101 && page(&format!("localhost:{port}"))?.0 == 101);
    let (status, why) = page(&format!("evil.example:{port}"))?;
    ensure!(status == 403 && why.contains("origin.hosts"), "{status} {why}");
    let until = Instant::now() + Duration::from_secs(10);
    while !server.process().output().contains("origin.hosts") {
        ensure!(Instant::now() < until, "the operator is not told");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.stop()?;
    let server = serve("[origin]\nhosts = [\"app.example\"]\n")?;
    let page = |host: &str| knock(&server, 1, host, &[("Origin", &format!("http://{host}"))]);
    ensure!(page("app.example")?.0 == 101 && page("app.example:9001")?.0 == 101);
    ensure!(page("evil.example")?.0 == 403 && page(&own)?.0 == 403, "only what is named");
    server.stop()
}

#[test]
fn a_proxy_is_believed_how_a_page_came_to_it_and_nobody_else_is() -> Result<()> {
    for (header, name, https, http) in [
        ("x-forwarded-for", "X-Forwarded-Proto", "https", "http"),
        ("forwarded", "Forwarded", "for=192.0.2.1;proto=https", "for=192.0.2.1;proto=http"),
    ] {
        let server = serve(&format!(
            "[origin]\nhosts = [\"app.example\"]\n\
             [proxy]\ntrusted = [\"127.0.0.1/32\"]\nheader = \"{header}\"\n"
        ))?;
        let page = |last: u8, origin: &str, said: Option<&str>| {
            let mut headers = vec![("Origin", origin)];
            headers.extend(said.map(|said| (name, said)));
            Ok::<_, eyre::Report>(knock(&server, last, "app.example", &headers)?.0)
        };
        for (last, origin, said, status) in [
            (1, "https://app.example", Some(https), 101),
            (1, "http://app.example", Some(https), 403),
            (1, "http://app.example", Some(http), 101),
            (1, "https://app.example", Some(http), 403),
            (1, "https://app.example", None, 403),
            (1, "http://app.example", None, 101),
            (1, "https://app.example:8443", Some(https), 403),
            // Not the proxy.
            (2, "https://app.example", Some(https), 403),
            (2, "http://app.example", Some(https), 101),
        ] {
            let found = page(last, origin, said)?;
            ensure!(found == status, "{header} {last} {origin} {said:?}: {found}");
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn absent_same_and_any_mean_what_they_say() -> Result<()> {
    for (origin, statuses) in [
        // None, the server's own, another's, a sandbox's.
        ("", [101, 101, 403, 403]),
        ("absent = false", [403, 101, 403, 403]),
        ("same = false", [101, 403, 403, 403]),
        ("allow = [\"*\"]", [101; 4]),
        ("allow = [\"*\"]\nabsent = false\nsame = false", [403, 101, 101, 101]),
        ("allow = [\"https://a.example\"]\nsame = false", [101, 403, 101, 403]),
    ] {
        let server = serve(&format!("[origin]\n{origin}\n"))?;
        let host = server.address().to_string();
        let own = format!("http://{host}");
        let pages = [None, Some(&*own), Some("https://a.example"), Some("null")];
        for (page, status) in pages.into_iter().zip(statuses) {
            let headers: Vec<_> = page.into_iter().map(|page| ("Origin", page)).collect();
            let found = knock(&server, 1, &host, &headers)?.0;
            ensure!(found == status, "{origin:?} {page:?}: {found}");
        }
        server.stop()?;
    }
    Ok(())
}
