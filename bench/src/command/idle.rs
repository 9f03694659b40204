//! What an idle connection costs in user memory.

use std::time::Duration;

use clap::Args;
use eyre::{Result, bail};
use serde::Serialize;

use super::{ServerOptions, kib, show, stop};
use crate::measure::table;
use crate::process::{Process, Usage, sockets_bytes};
use crate::swarm::{Delivery, Plan, Swarm};

/// `corecast-bench idle`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Connections to hold; each takes one open file here and one in the server
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Connections made and closed before, so that what is allocated once is not counted
    #[arg(long, default_value_t = 50)]
    warm_up: usize,
    /// Fail when a connection takes more bytes than this
    #[arg(long, value_name = "BYTES")]
    bytes_max: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Report {
    connections: usize,
    before: Usage,
    connected: Usage,
    after_close: Usage,
    rss_anon_bytes_per_connection: f64,
    rss_anon_bytes_kept_after_close: i64,
    kernel_socket_bytes: u64,
}

/// Measures and prints.
///
/// # Errors
/// When the server or the load client fails, connections are lost, or cost more than allowed.
pub fn run(options: &Options) -> Result<()> {
    options.server.prepare_client()?;
    let server = options.server.start(&[])?;
    let mut swarm = Swarm::new(server.address())?;
    let empty_fds = server.usage()?.fds;
    hold(&mut swarm, options.warm_up)?;
    close_all(&mut swarm, &server, empty_fds)?;

    let kernel_before = sockets_bytes()?;
    let before = server.usage()?;
    hold(&mut swarm, options.connections)?;
    let connected = server.usage()?;
    let kernel_socket_bytes = sockets_bytes()?.saturating_sub(kernel_before);
    if swarm.live() != options.connections {
        bail!("{} of {} connections are left", swarm.live(), options.connections);
    }
    close_all(&mut swarm, &server, empty_fds)?;
    let after_close = server.usage()?;
    stop(server)?;

    let grown = connected.rss_anon_bytes.saturating_sub(before.rss_anon_bytes);
    let report = Report {
        connections: options.connections,
        before,
        connected,
        after_close,
        rss_anon_bytes_per_connection: grown as f64 / options.connections as f64,
        rss_anon_bytes_kept_after_close: after_close.rss_anon_bytes as i64
            - before.rss_anon_bytes as i64,
        kernel_socket_bytes,
    };
    show(options.server.json, &report, describe)?;
    match options.bytes_max {
        Some(max) if report.rss_anon_bytes_per_connection > max as f64 => {
            bail!("a connection takes more than {max} bytes")
        }
        _ => Ok(()),
    }
}

/// Opens connections and leaves them alone for a moment.
fn hold(swarm: &mut Swarm, count: usize) -> Result<()> {
    let mut nothing = |_: Delivery<'_>| {};
    swarm.open_all(&Plan::reader("/ws/idle"), count, Duration::from_secs(60), &mut nothing)?;
    swarm.poll_for(Duration::from_secs(2), &mut nothing)
}

/// Ends all connections with a closing handshake and waits until the server has let go of them.
fn close_all(swarm: &mut Swarm, server: &Process, empty_fds: u64) -> Result<()> {
    swarm.close_all(1000);
    for _ in 0..200 {
        swarm.poll_for(Duration::from_millis(50), &mut |_| {})?;
        if swarm.live() == 0 && server.usage()?.fds <= empty_fds {
            return swarm.poll_for(Duration::from_millis(500), &mut |_| {});
        }
    }
    let fds = server.usage()?.fds;
    bail!("after closing all, {} connections live, {fds} server files are open", swarm.live())
}

fn describe(report: &Report) -> String {
    let row = |name: &str, usage: &Usage| {
        vec![
            name.to_owned(),
            kib(usage.rss_anon_bytes),
            kib(usage.rss_bytes),
            usage.fds.to_string(),
        ]
    };
    let mut text = table(&[
        ["", "RssAnon", "RSS", "files"].map(str::to_owned).to_vec(),
        row("before", &report.before),
        row("connected", &report.connected),
        row("after close", &report.after_close),
    ]);
    text += &format!(
        "{} idle connections: {:.0} bytes of user memory each; {:.1} KiB kept after close; \
         kernel socket memory {}\n",
        report.connections,
        report.rss_anon_bytes_per_connection,
        report.rss_anon_bytes_kept_after_close as f64 / 1024.0,
        kib(report.kernel_socket_bytes),
    );
    text
}
