//! All that a server does, under rules that may forbid it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use corecast_bench::process::{Launch, corecast_program};
use corecast_tests::feed::FeedClient;
use corecast_tests::gateway::{Framed, address_of, post};
use corecast_tests::raw::{KEY, RawClient, Received};
use corecast_tests::server::{TestServer, launch};
use corecast_wire::client;
use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// A folder with a copy of the program that everybody may run, and its configuration.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
}

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
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(folder.join("chain.pem"), cert.pem())?;
        std::fs::write(folder.join("key.pem"), signing_key.serialize_pem())?;
        let place = Self { folder, certificate: cert.der().clone() };
        place.configure("trade")?;
        Ok(place)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the configuration says of TLS.
    pub(crate) fn tls(&self) -> String {
        let here = self.folder.display();
        format!(
            "[tls]\nlisten = \"127.0.0.1:0\"\n[[tls.certificates]]\n\
             chain = \"{here}/chain.pem\"\nkey = \"{here}/key.pem\"\n"
        )
    }

    /// Writes a configuration whose topics begin with this.
    fn configure(&self, namespace: &str) -> Result<()> {
        let config = format!("[[namespaces]]\nname = \"{namespace}\"\n{}", self.tls());
        Ok(std::fs::write(self.folder.join("corecast.toml"), config)?)
    }

    /// The program.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("corecast")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

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
        let used = look(&server).and_then(|()| use_all(&server, place));
        used.wrap_err_with(|| format!("{backend}:\n{}", server.process().output()))?;
        server.stop()?;
    }
    Ok(())
}

fn use_all(server: &TestServer, place: &Place) -> Result<()> {
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
    echoes_over_tls(server, place)?;
    reloads(server, place, admin)
}

fn echoes_over_tls(server: &TestServer, place: &Place) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(place.certificate.clone())?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    let mut tls = ClientConnection::new(Arc::new(config), name)?;
    let mut socket = TcpStream::connect(address_of(server, "listening on https://")?)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    stream.write_all(&client::request("localhost", "/echo", KEY, &[], &[])?)?;
    stream.write_all(&client::mask_frame(Opcode::Text, b"over TLS", [1, 2, 3, 4]))?;
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\x81\x08over TLS") {
        let mut some = [0; 1_024];
        let read = stream.read(&mut some)?;
        ensure!(read > 0, "an end after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&some[..read]);
    }
    Ok(())
}

fn reloads(server: &TestServer, place: &Place, admin: SocketAddr) -> Result<()> {
    place.configure("quote")?;
    server.process().signal(Signal::HUP)?;
    let until = Instant::now() + Duration::from_secs(10);
    while post(admin, "/publish?topic=quote.X", "1")?.status != 200 {
        ensure!(Instant::now() < until, "SIGHUP changes nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    place.configure("trade")
}
