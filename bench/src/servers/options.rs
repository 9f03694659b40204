//! What all commands ask about the server and the CPUs.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use eyre::{Result, WrapErr, bail, eyre};

use super::Folder;
use crate::process::{Launch, Process, corecast_program, pin_this_thread, set_timer_slack};
use crate::tls::{CHAIN, Certificate, Secure, Tls, Trust};

/// Which server to measure, and where it runs.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// The program to measure: CORECAST_BIN, or `corecast` beside this one, when not given
    #[arg(long, value_name = "PATH")]
    pub program: Option<PathBuf>,
    /// CPU that the server has to itself
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    pub server_cpu: usize,
    /// CPU that the load client runs on
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    pub client_cpu: usize,
    /// Further argument for `corecast serve` (may be given several times)
    #[arg(long = "server-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub server_args: Vec<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// How servers and clients speak TLS, in commands that can
    #[arg(skip)]
    pub tls: Option<TlsOptions>,
}

/// How the load client speaks TLS.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsOptions {
    /// Start corecast with a throw-away certificate, and speak wss:// to it
    #[arg(long)]
    pub tls: bool,
    /// PEM file of the authorities whose certificates are taken, for --target wss://…
    #[arg(long, value_name = "FILE", requires = "target", conflicts_with = "any_certificate")]
    pub ca: Option<PathBuf>,
    /// Take any certificate, for --target wss://…
    #[arg(long, requires = "target")]
    pub any_certificate: bool,
    /// Resume TLS sessions: each connection uses a ticket that one before has got
    #[arg(long)]
    pub resume: bool,
}

impl Default for ServerOptions {
    /// What the command line says by default.
    fn default() -> Self {
        let (server_cpu, client_cpu) = (0, 1);
        Self {
            program: None,
            server_cpu,
            client_cpu,
            server_args: Vec::new(),
            json: false,
            tls: None,
        }
    }
}

impl ServerOptions {
    /// The program to measure.
    ///
    /// # Errors
    /// As [`corecast_program`], when none was given.
    pub fn corecast(&self) -> Result<PathBuf> {
        self.program.clone().map_or_else(corecast_program, Ok)
    }

    /// Starts `corecast serve` with one shard on the server's CPU.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Process> {
        let program = self.corecast()?;
        let cpu = self.server_cpu.to_string();
        Launch::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--shards", "1", "--cpus", &cpu])
            .args(arguments)
            .args(&self.server_args)
            .cpus([self.server_cpu])
            .start()
    }

    /// Moves this process to its own CPU, and raises its limit of open files.
    pub(crate) fn prepare_client(&self) -> Result<()> {
        raise_nofile();
        let cpus = std::thread::available_parallelism()?.get();
        if self.client_cpu == self.server_cpu || cpus < 2 {
            eprintln!("server and client share CPU {}: the figures mix both", self.server_cpu);
        }
        // With the kernel's 50 µs each message would leave that late, and the server be blamed.
        set_timer_slack(NonZeroU64::MIN)?;
        pin_this_thread(&[self.client_cpu]).wrap_err("cannot pin the load client (--client-cpu)")
    }
}

impl TlsOptions {
    /// The client's side of a server that `--target` names.
    ///
    /// # Errors
    /// When neither `--ca` nor `--any-certificate` is given, or the file cannot be used.
    pub fn theirs(&self, host: &str) -> Result<Secure> {
        let trust = match &self.ca {
            Some(file) => Trust::Authority(file.clone()),
            None if self.any_certificate => Trust::Anybody,
            None => bail!("whose certificates are taken? Give --ca FILE or --any-certificate"),
        };
        Secure::new(host, &Tls { trust, resumes: self.resume })
    }

    /// Puts a certificate into `folder`; gives the arguments with which corecast uses it.
    pub(super) fn arguments(&self, folder: &Folder) -> Result<Vec<String>> {
        let settings = Certificate::write(folder.path())?.settings(None)?;
        let file = folder.path().join("tls.toml");
        std::fs::write(&file, settings)?;
        let file = file.to_str().ok_or_else(|| eyre!("{}", file.display()))?;
        Ok(vec!["--config".to_owned(), file.to_owned()])
    }

    /// The client's side of a server that uses the certificate in `folder`.
    pub(super) fn ours(&self, folder: &Folder) -> Result<Secure> {
        let trust = Trust::Authority(folder.path().join(CHAIN));
        Secure::new("localhost", &Tls { trust, resumes: self.resume })
    }
}

/// Raises the soft limit of open files to the hard one, for this process and its children.
pub fn raise_nofile() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Cannot fail: the hard limit stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
