//! What can be measured: corecast and its peers, each started, pinned and stopped here.

mod find;
mod folder;
mod options;
mod site;
pub mod softirq;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use eyre::{Result, WrapErr, bail, ensure, eyre};

use crate::outcome::Outcome;
use crate::process::Launch;
pub use folder::Folder;
pub use options::{ServerOptions, TlsOptions, raise_nofile};
pub use site::Site;
pub(crate) use site::stop;
use softirq::Softirq;

/// How corecast's frames reach the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// One io_uring submission for many sockets: the default.
    Ring,
    /// One system call for each socket.
    Sendmsg,
}

/// A server to measure. Its name (`FromStr`, `Display`) is what reports call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// `corecast serve`: `corecast`, `corecast:sendmsg`, `corecast:shards=2`,
    /// `corecast:sendmsg:shards=2`.
    Corecast {
        /// How frames reach the sockets.
        backend: Backend,
        /// Threads, each on a CPU of its own: at least 1, at most [`SHARDS_MAX`].
        shards: usize,
    },
    /// `bun`: Bun.serve, with uWebSockets inside.
    Bun,
    /// `ws`: the library of that name on Node.
    Ws,
    /// `tokio-tungstenite`.
    TokioTungstenite,
    /// `fastwebsockets`.
    Fastwebsockets,
    /// `tokio-websockets`.
    TokioWebsockets,
    /// `floor`: one raw io_uring ring without a protocol's work.
    Floor,
}

/// Shards that a server can be asked for.
pub const SHARDS_MAX: usize = 1024;

/// What the peers take in one message.
const MESSAGE_BYTES_MAX: &str = "16MiB";
/// What the peers queue for one connection.
const BACKLOG_BYTES_MAX: &str = "16MiB";

impl Server {
    /// corecast as it is by default, on one shard.
    pub const CORECAST: Self = Self::Corecast { backend: Backend::Ring, shards: 1 };

    /// Each server once.
    pub const ALL: [Self; 7] = [
        Self::CORECAST,
        Self::Bun,
        Self::Ws,
        Self::TokioTungstenite,
        Self::Fastwebsockets,
        Self::TokioWebsockets,
        Self::Floor,
    ];

    /// Starts it on the server's CPU. It then passes on what a connection sends on `/ws/TOPIC` to
    /// all others there, and sends back what comes on `/echo`; it takes messages of up to 16 MiB.
    ///
    /// # Errors
    /// When it is not installed (the message says how to do that) or does not start.
    pub fn start(&self, options: &ServerOptions) -> Result<Site> {
        self.start_with(options, &[])
    }

    /// Starts it, runs a round on it, and stops it; a round then knows what the kernel's own thread
    /// did on the server's CPUs ([`softirq::SHARE`]).
    ///
    /// # Errors
    /// When it does not start or does not end in order, and those of `run`.
    pub fn measure(
        &self,
        options: &ServerOptions,
        run: impl FnOnce(&Site) -> Result<Outcome>,
    ) -> Result<Outcome> {
        let shards = if let Self::Corecast { shards, .. } = self { *shards } else { 1 };
        let site = self.start(options)?;
        let softirq = Softirq::start(&cpus(options.server_cpu, shards)?, site.usage()?);
        let mut outcome = run(&site)?;
        softirq.note(site.usage()?, &mut outcome);
        site.stop()?;
        Ok(outcome)
    }

    /// Starts it with further arguments, which only corecast takes.
    ///
    /// # Errors
    /// As [`Server::start`]; and when a peer is given arguments.
    pub fn start_with(&self, options: &ServerOptions, arguments: &[&str]) -> Result<Site> {
        raise_nofile();
        let program = self.program(options)?;
        let version = program.version().wrap_err_with(|| self.absent())?;
        let launch = Launch::new(&program.path).args(&program.script);
        let launch = match *self {
            Self::Corecast { backend, shards } => {
                let cpus = cpus(options.server_cpu, shards)?;
                launch.args(corecast_arguments(backend, &cpus, arguments, options)).cpus(cpus)
            }
            _ => {
                ensure!(arguments.is_empty(), "{self} takes no arguments, not even {arguments:?}");
                let launch = launch.args(["--listen", "127.0.0.1:0"]).cpus([options.server_cpu]);
                // As Bun and Node programs are run where it counts.
                launch.env("NODE_ENV", "production")
            }
        };
        let (launch, folder) = match &options.tls {
            Some(tls) => {
                let corecast = matches!(self, Self::Corecast { .. });
                ensure!(corecast, "{self} is started without TLS: only corecast is with it");
                let folder = Folder::new()?;
                (launch.args(tls.arguments(&folder)?), Some((tls, folder)))
            }
            None => (launch, None),
        };
        let process = launch.start().wrap_err_with(|| format!("{self} does not start"))?;
        let site = Site::of_process(self.to_string(), version, process);
        Ok(match folder {
            Some((tls, folder)) => site.secured(tls.ours(&folder)?).with_folder(folder),
            None => site,
        })
    }

    /// The version that would be measured, such as `bun 1.4.5`.
    ///
    /// # Errors
    /// When it is not installed; the message says how to do that.
    pub fn version(&self, options: &ServerOptions) -> Result<String> {
        self.program(options)?.version().wrap_err_with(|| self.absent())
    }

    fn program(&self, options: &ServerOptions) -> Result<Program> {
        let rust_peer = |name| find::rust_peer(name).map(Program::alone);
        let program = match self {
            Self::Corecast { .. } => {
                return options.corecast().map(Program::alone);
            }
            Self::Bun => {
                find::bun().map(|(bun, script)| Program { path: bun, script: Some(script) })
            }
            Self::Ws => {
                find::ws().map(|script| Program { path: "node".into(), script: Some(script) })
            }
            Self::TokioTungstenite => rust_peer("peer-tokio-tungstenite"),
            Self::Fastwebsockets => rust_peer("peer-fastwebsockets"),
            Self::TokioWebsockets => rust_peer("peer-tokio-websockets"),
            Self::Floor => rust_peer("peer-floor"),
        };
        program.wrap_err_with(|| self.absent())
    }

    fn absent(&self) -> String {
        match self {
            Self::Corecast { .. } => "corecast does not run".to_owned(),
            _ => format!("{self} is not installed: run bench/peers/install"),
        }
    }
}

/// What to execute, before the arguments that all peers take.
struct Program {
    path: PathBuf,
    script: Option<PathBuf>,
}

impl Program {
    fn alone(path: PathBuf) -> Self {
        Self { path, script: None }
    }

    /// What it says of itself.
    fn version(&self) -> Result<String> {
        let output = Command::new(&self.path).args(&self.script).arg("--version").output();
        let output = output.wrap_err_with(|| format!("cannot run {}", self.path.display()))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || said.is_empty() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{} --version: {} {complaint}", self.path.display(), output.status);
        }
        Ok(said)
    }
}

/// The command line of corecast: a shard for each CPU, then the caller's words, then the user's.
fn corecast_arguments(
    backend: Backend,
    cpus: &[usize],
    arguments: &[&str],
    options: &ServerOptions,
) -> Vec<String> {
    let given = Vec::from_iter(
        arguments.iter().copied().chain(options.server_args.iter().map(String::as_str)),
    );
    let (shards, cpus) = (cpus.len().to_string(), list(cpus));
    let mut words = vec!["serve", "--listen", "127.0.0.1:0"];
    words.extend(["--shards", &shards, "--cpus", &cpus]);
    if backend == Backend::Sendmsg {
        words.extend(["--backend", "sendmsg"]);
    }
    let like_the_peers: [&[&str]; 3] = [
        &["--echo"],
        &["--message-bytes-max", MESSAGE_BYTES_MAX],
        &["--outbox-bytes-max", BACKLOG_BYTES_MAX],
    ];
    // What the user says himself may not be said twice.
    let unsaid = |words: &&&[&str]| !given.iter().any(|word| word.starts_with(words[0]));
    words.extend(like_the_peers.iter().filter(unsaid).copied().flatten());
    words.extend(given);
    Vec::from_iter(words.into_iter().map(str::to_owned))
}

/// One CPU for each shard, from the server's on; those past the last are counted from 0.
fn cpus(first: usize, shards: usize) -> Result<Vec<usize>> {
    let count = find::cpus_of_machine()?;
    ensure!(shards <= count, "{shards} shards need as many CPUs, and there are {count}");
    ensure!(first < count, "there is no CPU {first}: they are 0 to {}", count - 1);
    Ok(Vec::from_iter((first..first + shards).map(|cpu| cpu % count)))
}

fn list(cpus: &[usize]) -> String {
    Vec::from_iter(cpus.iter().map(usize::to_string)).join(",")
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corecast { backend, shards } => {
                f.write_str("corecast")?;
                if *backend == Backend::Sendmsg {
                    f.write_str(":sendmsg")?;
                }
                return if *shards == 1 { Ok(()) } else { write!(f, ":shards={shards}") };
            }
            Self::Bun => "bun",
            Self::Ws => "ws",
            Self::TokioTungstenite => "tokio-tungstenite",
            Self::Fastwebsockets => "fastwebsockets",
            Self::TokioWebsockets => "tokio-websockets",
            Self::Floor => "floor",
        })
    }
}

impl FromStr for Server {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(server) = Self::ALL.into_iter().find(|server| server.to_string() == text) {
            return Ok(server);
        }
        let wrong = || {
            let names = Vec::from_iter(Self::ALL.iter().map(Self::to_string)).join(", ");
            eyre!("{text:?} is no server: {names}; corecast:sendmsg, corecast:shards=N")
        };
        let mut words = text.split(':');
        if words.next() != Some("corecast") {
            return Err(wrong());
        }
        let (mut backend, mut shards) = (Backend::Ring, 1);
        for word in words {
            match word.strip_prefix("shards=").map(str::parse) {
                Some(Ok(count)) if (1..=SHARDS_MAX).contains(&count) => shards = count,
                None if word == "ring" => backend = Backend::Ring,
                None if word == "sendmsg" => backend = Backend::Sendmsg,
                _ => return Err(wrong()),
            }
        }
        Ok(Self::Corecast { backend, shards })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed() {
        let two = Server::Corecast { backend: Backend::Sendmsg, shards: 2 };
        for server in Server::ALL.into_iter().chain([two]) {
            assert_eq!(server.to_string().parse::<Server>().unwrap(), server);
        }
        assert_eq!(two.to_string(), "corecast:sendmsg:shards=2");
        assert_eq!("corecast:ring:shards=1".parse::<Server>().unwrap(), Server::CORECAST);
    }

    #[test]
    fn wrong_names_are_refused_with_the_right_ones() {
        for wrong in
            ["", "Bun", "bun:sendmsg", "corecast:", "corecast:shards=0", "corecast:shards=x"]
        {
            let error = wrong.parse::<Server>().unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("tokio-websockets"), "{error}");
        }
    }

    #[test]
    fn shards_have_cpus_of_their_own() {
        let count = find::cpus_of_machine().unwrap();
        assert_eq!(cpus(0, 1).unwrap(), [0]);
        assert_eq!(cpus(count - 1, 1).unwrap(), [count - 1]);
        let mut all = cpus(count - 1, count).unwrap();
        all.sort_unstable();
        assert_eq!(all, Vec::from_iter(0..count));
        assert!(cpus(0, count + 1).is_err() && cpus(count, 1).is_err());
    }
}
