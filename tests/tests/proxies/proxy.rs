//! nginx or HAProxy as a child process, on ports of its own, with the shipped configuration.

use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corecast_bench::process::{Launch, Process};
use corecast_tests::{absent, skip};
use eyre::{Result, WrapErr, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;

use crate::shipped::Shipped;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    HaProxy,
}

/// What stands behind the proxy, and how its configuration is changed for a test.
#[derive(Debug, Clone)]
pub(crate) struct Behind {
    /// Where corecast listens.
    pub(crate) server: SocketAddr,
    /// A second one, at the place that the configuration has for it as a comment.
    pub(crate) second: Option<SocketAddr>,
    /// Where corecast listens with TLS.
    pub(crate) tls: SocketAddr,
    /// The port of the admin port of each.
    pub(crate) admin_port: u16,
    /// The time after which a silent connection is cut, in milliseconds; the shipped one where
    /// there is none.
    pub(crate) idle_ms: Option<u32>,
    /// Whether the proxy connects from several addresses: what it has as comments for that.
    pub(crate) many_sources: bool,
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Proxy {
    process: Option<Process>,
    folder: PathBuf,
    /// Where it ends TLS: 443 in the shipped file.
    pub(crate) wss: SocketAddr,
    /// Where it redirects: 80.
    pub(crate) plain: SocketAddr,
    /// Where TLS goes through: 8443.
    pub(crate) through: SocketAddr,
    /// What its TLS shows.
    pub(crate) certificate: CertificateDer<'static>,
}

impl Kind {
    /// Whether it can be run here.
    ///
    /// # Errors
    /// In CI, where nothing may be skipped, when it cannot.
    pub(crate) fn is_installed(self) -> Result<bool> {
        if Command::new(self.program()).arg("-v").output().is_err() {
            return absent(self.program()).map(|()| false);
        }
        if !rustix::process::getuid().is_root() {
            return skip("the shipped configurations start as root").map(|()| false);
        }
        Ok(true)
    }

    /// What corecast is told where the proxy ends TLS, as the shipped files say.
    pub(crate) fn ends_tls(self) -> &'static str {
        match self {
            Self::Nginx => "[proxy]\ntrusted = [\"127.0.0.1/32\"]\nheader = \"x-forwarded-for\"\n",
            Self::HaProxy => "[proxy]\ntrusted = [\"127.0.0.1/32\"]\nprotocol = \"v2\"\n",
        }
    }

    /// What corecast is told where TLS goes through the proxy.
    pub(crate) fn passes_tls(self) -> &'static str {
        match self {
            Self::Nginx => "[proxy]\ntrusted = [\"127.0.0.1/32\"]\nprotocol = \"v1\"\n",
            Self::HaProxy => self.ends_tls(),
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
        }
    }
}

impl Proxy {
    /// Starts it in front of these servers.
    ///
    /// # Errors
    /// When it does not start; with what it printed.
    pub(crate) fn start(kind: Kind, behind: &Behind) -> Result<Self> {
        let folder = folder()?;
        let certificate = make_certificate(&folder)?;
        let [wss, plain, through] = [free_port()?, free_port()?, free_port()?];
        let mut file = match kind {
            Kind::Nginx => nginx(behind, &folder)?,
            Kind::HaProxy => haproxy(behind, &folder)?,
        };
        for (shipped, address) in [("443", wss), ("80", plain), ("8443", through)] {
            listen_at(kind, &mut file, shipped, address)?;
        }
        let here = folder.to_str().unwrap_or_default();
        let times = if kind == Kind::Nginx { 2 } else { 1 };
        file.put_all("/etc/corecast/tls", here, times)?;
        let path = file.write_to(&folder)?;
        let launch = match kind {
            Kind::Nginx => {
                let global = format!("daemon off; pid {here}/pid; error_log stderr warn;");
                Launch::new("nginx").arg("-c").arg(&path).args(["-e", "stderr", "-g", &global])
            }
            Kind::HaProxy => Launch::new("haproxy").arg("-db").arg("-f").arg(&path),
        };
        let process = launch.ready_when_accepting(plain).start();
        let process = process.wrap_err_with(|| format!("{kind:?}, {}", path.display()))?;
        Ok(Self { process: Some(process), folder, wss, plain, through, certificate })
    }

    /// What it printed.
    pub(crate) fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }

    /// What it logged, where that is a file.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn log(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.join(name))?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the proxy printed:\n{}", self.output());
        }
        if let Some(mut process) = self.process.take() {
            // nginx's workers outlive a master that is killed: so it is told, and waited for.
            let _ = process.signal(Signal::TERM);
            let _ = process.wait(Duration::from_secs(10));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn nginx(behind: &Behind, folder: &Path) -> Result<Shipped> {
    let mut file = Shipped::read("nginx.conf")?;
    file.put("127.0.0.1:9001", &behind.server.to_string())?;
    file.put("127.0.0.1:9443", &behind.tls.to_string())?;
    if let Some(second) = behind.second {
        file.put("# server 10.0.0.2:9001", &format!("server {second}"))?;
    }
    if let Some(ms) = behind.idle_ms {
        for time in ["proxy_read_timeout 60s", "proxy_timeout 60s"] {
            file.put(time, &time.replace("60s", &format!("{ms}ms")))?;
        }
    }
    if behind.many_sources {
        for line in SPLIT_CLIENTS.lines() {
            file.put(&format!("    # {line}\n"), &format!("    {line}\n"))?;
        }
        file.put("# proxy_bind $source;", "proxy_bind $source;")?;
    }
    let log = folder.join("corecast.log");
    file.put("/var/log/nginx/corecast.log", log.to_str().unwrap_or_default())?;
    let log = folder.join("corecast-tls.log");
    file.put("/var/log/nginx/corecast-tls.log", log.to_str().unwrap_or_default())?;
    // These are said on the command line.
    file.put("pid /run/nginx.pid;", "")?;
    file.put("error_log /var/log/nginx/error.log warn;", "")?;
    Ok(file)
}

/// What stands as comments in nginx.conf.
const SPLIT_CLIENTS: &str = "\
split_clients $remote_addr$remote_port $source {
    25% 127.0.1.1;
    25% 127.0.1.2;
    25% 127.0.1.3;
    *   127.0.1.4;
}";

fn haproxy(behind: &Behind, folder: &Path) -> Result<Shipped> {
    let mut file = Shipped::read("haproxy.cfg")?;
    file.put("server one 127.0.0.1:9001", &format!("server one {}", behind.server))?;
    file.put("127.0.0.1:9443", &behind.tls.to_string())?;
    file.put("check port 9002", &format!("check port {}", behind.admin_port))?;
    if let Some(second) = behind.second {
        file.put("# server two 10.0.0.2:9001", &format!("server two {second}"))?;
    }
    if let Some(ms) = behind.idle_ms {
        file.put("timeout tunnel 60s", &format!("timeout tunnel {ms}ms"))?;
    }
    if behind.many_sources {
        let server = format!("server one-b {}", behind.server);
        file.put("# server one-b 127.0.0.1:9001", &server)?;
    }
    // Where fewer files may be open, it does not start; nginx only complains.
    file.put("maxconn 65000", "maxconn 1000")?;
    file.put("log /dev/log local0", "log stdout format raw local0")?;
    let socket = folder.join("admin.sock");
    file.put("/run/haproxy/admin.sock", socket.to_str().unwrap_or_default())?;
    Ok(file)
}

/// Moves a listener from its shipped port to this address.
fn listen_at(kind: Kind, file: &mut Shipped, shipped: &str, address: SocketAddr) -> Result<()> {
    let end = if shipped == "80" && kind == Kind::Nginx { ";" } else { "" };
    match kind {
        Kind::Nginx => {
            let port = address.port();
            file.put(&format!("listen {shipped}{end}"), &format!("listen {address}{end}"))?;
            let v6 = format!("listen [::]:{shipped}");
            // Where there is no IPv6 the other address must do.
            match TcpListener::bind("[::1]:0") {
                Ok(_) => file.put(&v6, &format!("listen [::1]:{port}")),
                Err(_) => file.put(&v6, &format!("listen 127.0.0.9:{port}")),
            }
        }
        Kind::HaProxy => file.put(&format!("bind :{shipped}"), &format!("bind {address}")),
    }
}

/// An address that was free a moment ago.
///
/// # Errors
/// When the system gives none.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A folder that no other test has.
///
/// # Errors
/// When the system refuses.
pub(crate) fn folder() -> Result<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("corecast-proxy-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Writes a certificate and its key, as either program wants them.
///
/// # Errors
/// When the system refuses.
pub(crate) fn make_certificate(folder: &Path) -> Result<CertificateDer<'static>> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let (chain, key) = (cert.pem(), signing_key.serialize_pem());
    ensure!(chain.ends_with('\n'), "two PEM files make one");
    std::fs::write(folder.join("corecast.pem"), format!("{chain}{key}"))?;
    std::fs::write(folder.join("fullchain.pem"), chain)?;
    std::fs::write(folder.join("key.pem"), key)?;
    Ok(cert.der().clone())
}
