//! The program under test as a child process.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use corecast_bench::command::raise_nofile;
use corecast_bench::process::{Launch, Process, Usage, corecast_program};
use eyre::{Result, WrapErr, ensure, eyre};
use rustix::process::Signal;

use crate::hang_up;

/// A running `corecast`, stopped and checked at the end of the test.
#[derive(Debug)]
pub struct TestServer {
    process: Option<Process>,
    address: SocketAddr,
    stopping: bool,
    /// What it used before the first connection.
    pub baseline: Usage,
}

impl TestServer {
    /// Starts `corecast serve --echo` with these further arguments, on a port of its own.
    ///
    /// # Errors
    /// When it does not start; with what it printed.
    pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::launch(&launch()?.args(["serve", "--echo"]).args(LISTEN).args(arguments))
    }

    /// Starts `corecast serve --echo` with this configuration file and these further arguments.
    ///
    /// # Errors
    /// When it does not start; with what it printed.
    pub fn start_with<S: AsRef<OsStr>>(
        config: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-{}-{count}.toml", std::process::id());
        let path = env::temp_dir().join(name);
        std::fs::write(&path, config)?;
        let file = [OsStr::new("--config"), path.as_os_str()];
        let launch = launch()?.args(["serve", "--echo"]).args(LISTEN).args(file);
        let server = Self::launch(&launch.args(arguments));
        // It reads the file once, before it says where it listens.
        std::fs::remove_file(&path)?;
        server
    }

    /// Starts any other command; its arguments must make it print an address.
    ///
    /// # Errors
    /// When it does not start; with what it printed.
    pub fn launch(launch: &Launch) -> Result<Self> {
        raise_nofile();
        let process = launch.start()?;
        let (address, baseline) = (process.address(), process.usage()?);
        Ok(Self { process: Some(process), address, stopping: false, baseline })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process, for signals and what it prints.
    ///
    /// # Panics
    /// Never: only [`TestServer::stop`] takes it, and the server with it.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the process lives as long as the server")
    }

    /// What it uses now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        self.process().usage()
    }

    /// Waits until as few files are open as before the first connection.
    ///
    /// # Errors
    /// When more are open after `within`.
    pub fn wait_until_idle(&self, within: Duration) -> Result<Usage> {
        let until = Instant::now() + within;
        loop {
            let usage = self.usage()?;
            if usage.fds <= self.baseline.fds {
                return Ok(usage);
            }
            ensure!(
                Instant::now() < until,
                "{} files are open after {within:?}, {} were at the start",
                usage.fds,
                self.baseline.fds
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells it to end; [`TestServer::stop`] then waits for that.
    ///
    /// # Errors
    /// When it has ended.
    pub fn begin_stop(&mut self) -> Result<()> {
        self.stopping = true;
        self.process().signal(Signal::TERM)
    }

    /// Waits for the end of a program that ends by itself: in time, and with success.
    ///
    /// # Errors
    /// When it does not; with what it printed.
    pub fn ended(&mut self) -> Result<String> {
        let mut process = self.process.take().ok_or_else(|| eyre!("ended twice"))?;
        let status = process.wait(STOP_WITHIN).wrap_err_with(|| process.output())?;
        ensure!(status.success(), "ended with {status}:\n{}", process.output());
        Ok(process.output())
    }

    /// Stops it with one SIGTERM: it must end by itself, in time and with success. Clients of this
    /// thread that are still there hang up first.
    ///
    /// # Errors
    /// When it does not; with what it printed.
    pub fn stop(mut self) -> Result<()> {
        hang_up::all(self.address);
        if !self.stopping {
            self.begin_stop()?;
        }
        let mut process = self.process.take().ok_or_else(|| eyre!("stopped twice"))?;
        let status = process.wait(STOP_WITHIN).wrap_err_with(|| process.output())?;
        ensure!(status.success(), "ended with {status} after SIGTERM:\n{}", process.output());
        Ok(())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|_| thread::panicking()) {
            eprintln!("the server printed:\n{}", process.output());
        }
    }
}

/// The program, ready to be given a command and its arguments.
///
/// # Errors
/// When it is missing and cannot be built.
pub fn launch() -> Result<Launch> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| program().map_err(|error| format!("{error:#}")));
    match found {
        Ok(program) => Ok(Launch::new(program)),
        Err(error) => Err(eyre!("{error}")),
    }
}

/// `CORECAST_BIN`, or the program of this test's own profile, brought up to date by cargo.
fn program() -> Result<PathBuf> {
    if env::var_os("CORECAST_BIN").is_some() {
        return corecast_program();
    }
    let this = env::current_exe()?;
    // A test lies in target/PROFILE/deps.
    let profile = this.ancestors().nth(2).ok_or_else(|| eyre!("no profile folder"))?;
    let target = profile.parent().ok_or_else(|| eyre!("no target folder"))?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--workspace", "--bin", "corecast"]);
    build.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().wrap_err("cannot run cargo to build the program")?;
    ensure!(status.success(), "cargo could not build the program: {status}");
    corecast_program()
}

const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];
/// The program's own deadline for draining is 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(30);
