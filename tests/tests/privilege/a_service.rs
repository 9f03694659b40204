//! All that a server does, under rules that may forbid it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use corecast_bench::process::{Launch, corecast_program};
use corecast_tests::feed::FeedClient;
use corecast_tests::gateway::{Framed, address_of, post};
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::{TestServer, launch};
use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, ensure};
use rustix::process::Signal;

/// A folder with a copy of the program that everybody may run, and its configuration.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Makes one.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn new() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-privilege-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        // Brings it up to date, where it is of this test's profile.
        launch()?;
        // Not by this process: another test's child might have the copy open while it is started
        // here, which the kernel refuses (ETXTBSY).
        let copied = Command::new("cp").arg(corecast_program()?).arg(&folder).status()?;
        ensure!(copied.success(), "cp: {copied}");
        std::fs::write(folder.join("corecast.toml"), CONFIG)?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The program.
    pub(crate) fn program(&self) -> PathBuf {
        self.0.join("corecast")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const CONFIG: &str = "[log]\nlevel = \"info\"\n\n[[namespaces]]\nname = \"trade\"\n";

/// An address that was free a moment ago.
///
/// # Errors
/// When the system gives none.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Starts a server behind these words, uses each way in, reloads its settings and lets it end; what
/// `look` sees while it runs must be right, too.
///
/// # Errors
/// When something does not work; with what the server printed.
pub(crate) fn works_behind(
    words: &[&str],
    place: &Place,
    look: impl Fn(&TestServer) -> Result<()>,
) -> Result<()> {
    for backend in ["ring", "sendmsg"] {
        let config = place.folder().join("corecast.toml");
        let launch = Launch::new(place.program())
            .args(["serve", "--echo", "--shards=2", "--backend", backend])
            .args(["--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--ingest-tcp=127.0.0.1:0"])
            .arg("--config")
            .arg(&config)
            .wrapped_by(words);
        let server = TestServer::launch(&launch)?;
        let used = look(&server).and_then(|()| use_all(&server, &config));
        used.wrap_err_with(|| format!("{backend}:\n{}", server.process().output()))?;
        server.stop()?;
    }
    Ok(())
}

fn use_all(server: &TestServer, config: &Path) -> Result<()> {
    let mut echo = RawClient::open(server.address(), "/echo")?;
    let long = vec![7; 60_000];
    echo.send_frame(Opcode::Binary, &long)?;
    ensure!(echo.receive()? == Received::Binary(long), "it echoes");

    let admin = address_of(server, "admin on http://")?;
    let ingest = address_of(server, "ingest on tcp ")?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.X"])?;
    ensure!(post(admin, "/publish?topic=trade.X", "1")?.status == 200, "it publishes");
    ensure!(client.expect("message")?["data"] == 1, "a message by the admin port");
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 1)?;
    publisher.publish(1, "trade.X", "2")?;
    publisher.wait_ack(1)?;
    ensure!(client.expect("message")?["data"] == 2, "a message by ingest");
    reloads(server, config, admin)
}

fn reloads(server: &TestServer, config: &Path, admin: SocketAddr) -> Result<()> {
    std::fs::write(config, CONFIG.replace("trade", "quote"))?;
    server.process().signal(Signal::HUP)?;
    let until = Instant::now() + Duration::from_secs(10);
    while post(admin, "/publish?topic=quote.X", "1")?.status != 200 {
        ensure!(Instant::now() < until, "SIGHUP changes nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(std::fs::write(config, CONFIG)?)
}
