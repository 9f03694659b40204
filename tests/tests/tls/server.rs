//! The real program, with a listener that speaks TLS beside the plain one.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use corecast_tests::server::{TestServer, launch};
use eyre::{Result, bail};

use crate::client::WITHIN;

/// Starts `corecast serve --echo` with this below `[tls]` and further tables.
pub(crate) fn start(tls: &str, rest: &str) -> Result<(TestServer, SocketAddr)> {
    let config = format!("[tls]\nlisten = \"127.0.0.1:0\"\n{tls}\n{rest}");
    let server = TestServer::start_with(&config, NO_ARGUMENTS)?;
    let secure = secure_address(&server)?;
    Ok((server, secure))
}

/// Starts it with this configuration, whatever it is.
pub(crate) fn start_with(config: &str) -> Result<TestServer> {
    TestServer::start_with(config, NO_ARGUMENTS)
}

pub(crate) const NO_ARGUMENTS: [&str; 0] = [];

/// Starts it with this whole configuration, which has a listener for TLS of its own.
pub(crate) fn start_whole(config: &str) -> Result<(TestServer, SocketAddr)> {
    let server = start_with(config)?;
    let secure = secure_address(&server)?;
    Ok((server, secure))
}

/// Starts it with a file that stays, to be read again, and these arguments.
pub(crate) fn start_from(file: &Path, more: &[&str]) -> Result<(TestServer, SocketAddr)> {
    let launch = launch()?.args(["serve", "--echo", "--listen", "127.0.0.1:0"]).args(more);
    let server = TestServer::launch(&launch.args([OsStr::new("--config"), file.as_os_str()]))?;
    let secure = secure_address(&server)?;
    Ok((server, secure))
}

/// What `corecast subscribe` says that trusts this authority and asks for what nobody grants.
pub(crate) fn start_subscribe(url: &str, authority: &Path) -> Result<String> {
    let program = corecast_bench::process::corecast_program()?;
    let output = Command::new(program)
        .args(["subscribe", "no topic", "--url", url, "--ca"])
        .arg(authority)
        .output()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Where it speaks TLS.
fn secure_address(server: &TestServer) -> Result<SocketAddr> {
    let until = Instant::now() + WITHIN;
    loop {
        let output = server.process().output();
        if let Some((_, rest)) = output.split_once("listening on https://") {
            let end = rest.find('/').unwrap_or(rest.len());
            return Ok(rest[..end].parse()?);
        }
        if Instant::now() > until {
            bail!("it does not say where it speaks TLS:\n{output}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the program has printed this.
pub(crate) fn wait_for_line(server: &TestServer, text: &str) -> Result<()> {
    let until = Instant::now() + WITHIN;
    while !server.process().output().contains(text) {
        if Instant::now() > until {
            bail!("it does not say {text:?}:\n{}", server.process().output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
