//! Two servers that a proxy may choose from, as on two machines: the same ports, other addresses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

use corecast_tests::server::{TestServer, launch};
use eyre::{Result, eyre};

use crate::proxy::Behind;

/// Both servers.
#[derive(Debug)]
pub(crate) struct Two {
    pub(crate) one: TestServer,
    pub(crate) two: TestServer,
    /// How a proxy finds them.
    pub(crate) behind: Behind,
}

impl Two {
    /// Starts `corecast serve --echo` twice with this configuration.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(config: &str) -> Result<Self> {
        let file = std::env::temp_dir().join(format!("corecast-two-{}.toml", unique()));
        std::fs::write(&file, config)?;
        // No test connects from the other: what was a connection keeps its port for a minute.
        let addresses = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 77, 0, 2)];
        let [port, admin_port] = [free_on_both(addresses)?, free_on_both(addresses)?];
        let start = |address: Ipv4Addr| -> Result<TestServer> {
            let listen = SocketAddr::from((address, port));
            let admin = SocketAddr::from((address, admin_port));
            let at = [format!("--listen={listen}"), format!("--admin={admin}")];
            let launch = launch()?.args(["serve", "--echo"]).args(at).arg("--config").arg(&file);
            TestServer::launch(&launch.ready_when_accepting(listen))
        };
        let (one, two) = (start(addresses[0])?, start(addresses[1])?);
        std::fs::remove_file(&file)?;
        let (server, second) = (one.address(), Some(two.address()));
        let behind =
            Behind { server, second, tls: server, admin_port, idle_ms: None, many_sources: false };
        Ok(Self { one, two, behind })
    }
}

/// For a name that no other test has.
fn unique() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A port that is free on both.
fn free_on_both(addresses: [Ipv4Addr; 2]) -> Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind((addresses[0], 0))?;
        let port = first.local_addr()?.port();
        if TcpListener::bind((addresses[1], port)).is_ok() {
            return Ok(port);
        }
    }
    Err(eyre!("no port is free on both addresses"))
}
