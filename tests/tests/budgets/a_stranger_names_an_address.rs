//! `X-Forwarded-For` and `Forwarded` from whoever likes to write them.

use corecast_tests::server::TestServer;
use eyre::{Result, ensure};

use crate::{ask, let_in, too_many};

const PROXY: &str = "127.0.0.9";

fn server(header: &str) -> Result<TestServer> {
    server_with(header, "127.0.0.1")
}

fn server_with(header: &str, exempt: &str) -> Result<TestServer> {
    let config = format!(
        "[address]\nexempt = [\"{exempt}\"]\nconnections_max = 2\n[proxy]\n\
         trusted = [\"{PROXY}\"]\nheader = \"{header}\"\n"
    );
    TestServer::start_with(&config, ["--shards", "2"])
}

#[test]
fn fields_of_a_stranger_are_ignored() -> Result<()> {
    for (header, field) in
        [("x-forwarded-for", "X-Forwarded-For: 192.0.2."), ("forwarded", "Forwarded: for=192.0.2.")]
    {
        let server = server(header)?;
        let line = |n: u8| format!("{field}{n}\r\n");
        let mut held = Vec::new();
        for n in 0..2 {
            held.push(let_in("127.0.0.10", server.address(), b"", &line(n))?);
        }
        for n in 2..10 {
            too_many("127.0.0.10", server.address(), b"", &line(n))?;
        }
        // None of those whom he named has anything on his account.
        for n in 0..2 {
            held.push(let_in(PROXY, server.address(), b"", &line(n))?);
            held.push(let_in(PROXY, server.address(), b"", &line(n))?);
            too_many(PROXY, server.address(), b"", &line(n))?;
        }
        drop(held);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn what_a_client_writes_does_not_hide_what_the_proxy_adds() -> Result<()> {
    let server = server("x-forwarded-for")?;
    let line = |n: u8| format!("X-Forwarded-For: 6.6.6.{n}, unknown,,, 192.0.2.1\r\n");
    let mut held = Vec::new();
    for n in 0..2 {
        held.push(let_in(PROXY, server.address(), b"", &line(n))?);
    }
    too_many(PROXY, server.address(), b"", &line(2))?;
    too_many(
        PROXY,
        server.address(),
        b"",
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n",
    )?;
    drop(held);
    server.stop()
}

#[test]
fn a_proxy_that_does_not_say_is_charged_itself_and_told_of() -> Result<()> {
    // That its own address is exempt does not make its clients so.
    for exempt in ["127.0.0.1", "127.0.0.0/8"] {
        let server = server_with("x-forwarded-for", exempt)?;
        let mut held = Vec::new();
        for lines in ["", "X-Forwarded-For: unknown\r\n"] {
            held.push(let_in(PROXY, server.address(), b"", lines)?);
        }
        too_many(PROXY, server.address(), b"", "")?;
        let (_, head) = ask(PROXY, server.address(), b"", "X-Forwarded-For: nonsense\r\n")?;
        ensure!(head.status == 400, "{}", head.text);
        held.push(let_in(PROXY, server.address(), b"", "X-Forwarded-For: 192.0.2.1\r\n")?);
        drop(held);
        let said = server.process().output();
        let lines = said.lines().filter(|line| line.contains("names no client")).count();
        ensure!((1..=2).contains(&lines), "once for each shard: {lines}\n{said}");
        server.stop()?;
    }
    Ok(())
}
