//! corecast with a configuration and an ingest socket, for workloads that use its feed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, eyre};

use super::play::Watched;
use crate::process::{Usage, rss_bytes};
use crate::servers::{Folder, Server, ServerOptions, Site};
use crate::tls::Certificate;

/// A running corecast, and where it takes records. Its files are removed in the end.
#[derive(Debug)]
pub struct FeedSite {
    site: Site,
    folder: Folder,
}

impl FeedSite {
    /// Starts it with this configuration.
    ///
    /// # Errors
    /// When its files cannot be written, or it does not start.
    pub fn start(server: Server, options: &ServerOptions, configuration: &str) -> Result<Self> {
        Self::start_with(server, options, configuration, &[])
    }

    /// Starts it with further arguments.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        server: Server,
        options: &ServerOptions,
        configuration: &str,
        more: &[&str],
    ) -> Result<Self> {
        Self::start_in(Folder::new()?, server, options, configuration, more)
    }

    fn start_in(
        folder: Folder,
        server: Server,
        options: &ServerOptions,
        configuration: &str,
        more: &[&str],
    ) -> Result<Self> {
        let (file, socket) = (folder.path().join("corecast.toml"), ingest(&folder));
        std::fs::write(&file, configuration)?;
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| eyre!("{path:?}"));
        let (file, socket) = (text(&file)?, text(&socket)?);
        let arguments = [&["--config", &file, "--ingest-unix", &socket], more].concat();
        let site = server.start_with(options, &arguments)?;
        Ok(Self { site, folder })
    }

    /// Starts it with this configuration and a throw-away certificate: beside the address of the
    /// [`Site`] it has one that speaks TLS.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_tls(server: Server, options: &ServerOptions, configuration: &str) -> Result<Self> {
        let folder = Folder::new()?;
        let certificate = Certificate::write(folder.path())?;
        let configuration = [configuration, &certificate.settings(Some(ANY_PORT))?].concat();
        Self::start_in(folder, server, options, &configuration, &[])
    }

    /// Where it speaks TLS.
    ///
    /// # Errors
    /// When it does not say so within some seconds: it is the last that it prints.
    pub fn tls_address(&self) -> Result<SocketAddr> {
        for _ in 0..2_000 {
            if let Some(address) = tls_address(&self.site.output()) {
                return Ok(address);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let said = self.site.output();
        Err(eyre!("{} does not say where it speaks TLS:\n{said}", self.site.name))
    }

    /// The server.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Its ingest socket.
    #[must_use]
    pub fn ingest(&self) -> PathBuf {
        ingest(&self.folder)
    }

    /// Ends it.
    ///
    /// # Errors
    /// As [`Site::stop`].
    pub fn stop(self) -> Result<()> {
        self.site.stop()
    }
}

/// Where corecast speaks TLS, by what it has printed.
#[must_use]
pub fn tls_address(said: &str) -> Option<SocketAddr> {
    said.split("https://").nth(1)?.split(['/', '\n']).next()?.parse().ok()
}

/// What a server uses; an error where its process is not known.
///
/// # Errors
/// As [`Site::usage`].
pub fn usage(site: &Site) -> Result<Usage> {
    site.usage()?.ok_or_else(|| eyre!("the process of {} is not known", site.name))
}

/// Lets `run` watch a server.
///
/// # Errors
/// Those of `run`, with the server's last words.
pub fn watch<T>(name: &str, site: &Site, run: impl FnOnce(Watched<'_>) -> Result<T>) -> Result<T> {
    let usage = || usage(site);
    let unknown = || eyre!("the process of {name} is not known");
    let rss_bytes = || rss_bytes(site.pid().ok_or_else(unknown)?);
    let watched = Watched { name, address: site.address, usage: &usage, rss_bytes: &rss_bytes };
    run(watched).wrap_err_with(|| format!("{name}: {}", site.output()))
}

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn ingest(folder: &Folder) -> PathBuf {
    folder.path().join("ingest")
}
