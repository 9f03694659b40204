//! What every attack has around it: a server, connections that must not notice, and a look at what
//! is left behind.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use corecast_bench::process::Usage;
use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, ensure};

use crate::control::{Control, ControlReport};
use crate::raw::{RawClient, Received};
use crate::server::TestServer;

/// A server with a control publisher and its subscribers, from before an attack to after it.
#[derive(Debug)]
pub struct Siege {
    server: TestServer,
    control: Control,
    at_rest: Usage,
}

/// What an allocator may keep of an attack that is over, in bytes, where a test says nothing else.
pub const KEPT_BYTES_MAX: u64 = 8 << 20;

impl Siege {
    /// Starts `corecast serve --echo` with these further arguments, and the control.
    ///
    /// # Errors
    /// When either does not start.
    pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::around(TestServer::start(arguments)?)
    }

    /// Starts the control on a server that has `/echo` and `/ws/`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn around(server: TestServer) -> Result<Self> {
        warm_up(server.address())?;
        wait_until_still(&server)?;
        let control = Control::start(server.address())?;
        thread::sleep(Duration::from_millis(300));
        let at_rest = server.usage()?;
        Ok(Self { server, control, at_rest })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The server, for signals and what it printed.
    pub fn server(&self) -> &TestServer {
        &self.server
    }

    /// What it used before the attack, the control included.
    pub fn at_rest(&self) -> Usage {
        self.at_rest
    }

    /// What it uses now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        self.server.usage()
    }

    /// Heap and stacks above those before the attack, in bytes.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn grown_bytes(&self) -> Result<u64> {
        Ok(self.usage()?.rss_anon_bytes.saturating_sub(self.at_rest.rss_anon_bytes))
    }

    /// Waits until no more connections are open than before the attack: each is one descriptor.
    ///
    /// # Errors
    /// When more are open after `within`.
    pub fn wait_until_rid(&self, within: Duration) -> Result<Duration> {
        let started = Instant::now();
        loop {
            let fds = self.usage()?.fds;
            if fds <= self.at_rest.fds {
                return Ok(started.elapsed());
            }
            ensure!(
                started.elapsed() < within,
                "{fds} files are open after {within:?}, {} before the attack",
                self.at_rest.fds
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The attack is over: the control has lost nothing, the descriptors are back, no more than
    /// `kept_bytes_max` of memory is kept, and SIGTERM ends the server in order.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn finish(self, kept_bytes_max: u64) -> Result<ControlReport> {
        self.wait_until_rid(SETTLE_WITHIN)?;
        let kept = self.grown_bytes()?;
        let report = self.control.finish()?;
        report.check_nothing_lost().wrap_err_with(|| self.server.process().output())?;
        let usual = report.latency_p99;
        ensure!(usual < UNHARMED, "the control's messages took {usual:?} (p99)");
        ensure!(kept <= kept_bytes_max, "{kept} bytes of memory are kept, {kept_bytes_max} may be");
        println!(
            "control: {} deliveries, p99 {:?}, longest {:?}; kept: {} KiB",
            report.delivered,
            report.latency_p99,
            report.latency_max,
            kept / 1024
        );
        self.server.stop()?;
        Ok(report)
    }
}

/// Makes the server allocate what it keeps in any case.
fn warm_up(server: SocketAddr) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = RawClient::open(server, "/echo")?;
        client.send_frame(Opcode::Binary, &[7; 30_000])?;
        ensure!(client.receive()? == Received::Binary(vec![7; 30_000]), "/echo returns messages");
        clients.push(client);
    }
    for mut client in clients {
        client.send_frame(Opcode::Close, &1000_u16.to_be_bytes())?;
        client.expect_close()?;
    }
    Ok(())
}

/// Waits until as many files are open as a moment ago: a server that is just starting opens some,
/// and one that is left by its clients closes some.
fn wait_until_still(server: &TestServer) -> Result<()> {
    let began = Instant::now();
    let mut before = 0;
    loop {
        let fds = server.usage()?.fds;
        if fds == before {
            return Ok(());
        }
        ensure!(began.elapsed() < SETTLE_WITHIN, "the number of open files keeps changing");
        before = fds;
        thread::sleep(Duration::from_millis(300));
    }
}

/// In peace a message takes well below a millisecond. What a busy machine adds is allowed; a shard
/// that stands still is not.
const UNHARMED: Duration = Duration::from_secs(3);
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
