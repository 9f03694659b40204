//! A server as a child process: pinned to CPUs, watched through `/proc`, stopped in order.

mod output;
mod usage;

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyre::{Result, WrapErr, bail, eyre};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use output::Output;
pub use usage::{Usage, rss_bytes, sockets_bytes};

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    wrapper: Vec<OsString>,
    cpus: Vec<usize>,
    ready: Ready,
    ready_within: Duration,
}

/// How to learn that the server accepts connections, and where.
#[derive(Debug, Clone)]
enum Ready {
    /// Its output names an address with a port other than 0.
    Printed,
    /// This address accepts a connection.
    Accepts(SocketAddr),
    /// It need not listen: ready at once.
    AtOnce,
}

impl Launch {
    /// Starts `program` and takes the address from its output: the first `127.0.0.1:PORT` or
    /// `[::1]:PORT` with a port other than 0. Waits at most 20 seconds for it.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            cpus: Vec::new(),
            ready: Ready::Printed,
            ready_within: Duration::from_secs(20),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|one| one.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the child's environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Puts a command before the program that changes something and then executes it, such as
    /// `prlimit --nofile=64 --`. It must keep the process id, as `exec` does.
    #[must_use]
    pub fn wrapped_by<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = words.into_iter().map(|one| one.as_ref().to_owned()).collect();
        self
    }

    /// Lets the child run on these CPUs only; none means wherever the parent may run.
    #[must_use]
    pub fn cpus(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.cpus = cpus.into_iter().collect();
        self
    }

    /// Ready when `address` accepts a connection, for servers that print no address.
    #[must_use]
    pub fn ready_when_accepting(mut self, address: SocketAddr) -> Self {
        self.ready = Ready::Accepts(address);
        self
    }

    /// Ready at once: for programs that do not listen, or are expected to fail.
    #[must_use]
    pub fn ready_at_once(mut self) -> Self {
        self.ready = Ready::AtOnce;
        self
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// When the program cannot be started, ends early, or is not ready in time; what it printed
    /// is part of the message.
    pub fn start(&self) -> Result<Process> {
        let mut child = self.spawn()?;
        let output = Output::read_from(&mut child);
        let mut process = Process { child, output, address: None, name: self.name() };
        process.wait_ready(&self.ready, self.ready_within)?;
        Ok(process)
    }

    /// Spawns from a thread of its own, whose CPU mask the child inherits.
    fn spawn(&self) -> Result<Child> {
        let launch = self.clone();
        let spawned = thread::spawn(move || -> Result<Child> {
            set_timer_slack(KERNEL_TIMER_SLACK_NS)?; // else it inherits the load client's
            if !launch.cpus.is_empty() {
                pin_this_thread(&launch.cpus)?;
            }
            let mut words = launch.wrapper.clone();
            words.push(launch.program.clone().into_os_string());
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).args(&launch.arguments);
            command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().wrap_err_with(|| format!("cannot start {}", words[0].display()))
        });
        spawned.join().map_err(|_| eyre!("the thread that starts the child panicked"))?
    }

    fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// Restricts the calling thread, and what it starts from now on, to these CPUs.
///
/// # Errors
/// When the kernel refuses, for example because no such CPU exists.
pub fn pin_this_thread(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            bail!("CPU {cpu} is out of range");
        }
        set.set(cpu);
    }
    sched_setaffinity(None, &set).wrap_err_with(|| format!("cannot run on CPUs {cpus:?}"))
}

/// Lets timers of the calling thread, and of what it starts from now on, fire this late.
///
/// # Errors
/// When the kernel refuses.
pub fn set_timer_slack(slack_ns: NonZeroU64) -> Result<()> {
    rustix::thread::set_current_timer_slack(Some(slack_ns)).wrap_err("cannot set the timer slack")
}

/// What the kernel gives to every process.
const KERNEL_TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::new(50_000).unwrap();

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Output,
    address: Option<SocketAddr>,
    name: String,
}

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub struct Stopped {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether it had to be killed because the deadline passed.
    pub killed: bool,
    /// From the signal to the end.
    pub took: Duration,
}

impl Process {
    /// Where the server listens.
    ///
    /// # Panics
    /// When it was started with [`Launch::ready_at_once`].
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a process that is ready at once has no known address")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process uses at this moment.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid()).wrap_err_with(|| format!("cannot read the usage of {}", self.name))
    }

    /// The last lines it printed, standard output and error together.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).wrap_err_with(|| format!("cannot signal {}", self.name))
    }

    /// Whether it has ended, and how. Then its output is complete.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let ended = self.child.try_wait()?;
        if ended.is_some() {
            self.output.wait_until_read();
        }
        Ok(ended)
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// When it still runs after `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + deadline;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= until {
                bail!("{} still runs after {deadline:?}", self.name);
            }
            thread::sleep(POLL_EVERY);
        }
    }

    /// Sends SIGTERM, and SIGKILL when the process still runs after `deadline`.
    ///
    /// # Errors
    /// When the process can be neither signalled nor waited for.
    pub fn stop(mut self, deadline: Duration) -> Result<Stopped> {
        let started = Instant::now();
        if self.child.try_wait()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        let (status, killed) = match self.wait(deadline) {
            Ok(status) => (status, false),
            Err(_) => {
                self.child.kill()?;
                (self.child.wait()?, true)
            }
        };
        Ok(Stopped { status, killed, took: started.elapsed() })
    }

    fn wait_ready(&mut self, ready: &Ready, within: Duration) -> Result<()> {
        let until = Instant::now() + within;
        loop {
            let found = match ready {
                Ready::AtOnce => return Ok(()),
                Ready::Printed => self.output.address(),
                Ready::Accepts(address) => accepts(*address).then_some(*address),
            };
            if found.is_some() {
                self.address = found;
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status}:\n{}", self.name, self.output());
            }
            if Instant::now() >= until {
                bail!("{} is not ready after {within:?}:\n{}", self.name, self.output());
            }
            thread::sleep(POLL_EVERY);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const POLL_EVERY: Duration = Duration::from_millis(10);

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, POLL_EVERY).is_ok()
}

/// The `corecast` program: `CORECAST_BIN`, or the one beside this executable's target folder.
///
/// # Errors
/// When neither exists; the message says how to build it.
pub fn corecast_program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CORECAST_BIN") {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        bail!("CORECAST_BIN is {}, where no file is", path.display());
    }
    let this = std::env::current_exe().wrap_err("cannot find this executable's own path")?;
    // A binary lies in target/PROFILE, a test in target/PROFILE/deps.
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("corecast"));
    beside.into_iter().find(|path| is_program(path)).ok_or_else(|| {
        eyre!(
            "no corecast program beside {}: build it (cargo build -p corecast-server) \
             or set CORECAST_BIN",
            this.display()
        )
    })
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Launch {
        Launch::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn the_address_is_read_from_the_output() {
        let script = "echo 'asked for 127.0.0.1:0'; echo 'now 127.0.0.1:4711, go' >&2; sleep 60";
        let process = shell(script).start().unwrap();
        assert_eq!(process.address(), "127.0.0.1:4711".parse().unwrap());
    }

    #[test]
    fn a_child_that_fails_is_reported_with_its_words() {
        let error = shell("echo cannot do this >&2; exit 3").start().unwrap_err().to_string();
        assert!(error.contains("cannot do this") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_child_that_ignores_sigterm_is_killed() {
        let script = "trap '' TERM; echo 127.0.0.1:1; while :; do sleep 0.1; done";
        let process = shell(script).start().unwrap();
        let stopped = process.stop(Duration::from_millis(200)).unwrap();
        assert!(stopped.killed && stopped.took >= Duration::from_millis(200));
    }

    #[test]
    fn a_child_that_obeys_sigterm_is_not_killed() {
        let process = shell("echo 127.0.0.1:1; exec sleep 60").start().unwrap();
        assert!(!process.stop(Duration::from_secs(10)).unwrap().killed);
    }

    #[test]
    fn the_child_runs_on_the_given_cpu_and_inside_its_wrapper() {
        let process = shell("grep Cpus_allowed_list /proc/self/status; ulimit -n; echo [::1]:80")
            .cpus([0])
            .wrapped_by(["prlimit", "--nofile=77", "--"])
            .start()
            .unwrap();
        let said = process.output();
        assert!(said.contains("Cpus_allowed_list:\t0") && said.contains("77"), "{said}");
    }

    #[test]
    fn usage_counts_the_work_of_the_child() {
        let script = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; echo 127.0.0.1:1; sleep 9";
        let process = shell(script).start().unwrap();
        let usage = process.usage().unwrap();
        let alone = rss_bytes(process.pid()).unwrap();
        assert!(alone.abs_diff(usage.rss_bytes) <= usage.rss_bytes / 4, "{alone}: {usage:?}");
        assert!(usage.cpu >= Duration::from_millis(20), "{usage:?}");
        assert!(usage.rss_bytes > usage.rss_anon_bytes && usage.rss_anon_bytes > 0);
        assert!(usage.fds >= 3 && usage.threads == 1, "{usage:?}");
    }
}
