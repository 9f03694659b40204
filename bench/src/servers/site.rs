//! A server that runs.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use eyre::{Result, WrapErr, bail};

use crate::process::{Process, Usage};
use crate::swarm::Swarm;
use crate::tls::Secure;

use super::folder::Folder;

/// A running server, or somebody else's: cost is measured where the process is known.
#[derive(Debug)]
pub struct Site {
    /// What reports call it.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it says it is, such as `bun 1.4.5`; absent for somebody else's.
    pub version: Option<String>,
    owner: Owner,
    secure: Option<Secure>,
    /// What it was started with, removed when it has ended.
    _folder: Option<Folder>,
}

#[derive(Debug)]
enum Owner {
    Ours(Process),
    /// Somebody else's, with the process id where it is known.
    Theirs(Option<u32>),
}

impl Site {
    /// Somebody else's server. With the id of its process, on this machine, its cost is measured.
    #[must_use]
    pub fn elsewhere(name: impl Into<String>, address: SocketAddr, pid: Option<u32>) -> Self {
        let (secure, folder) = (None, None);
        Self {
            name: name.into(),
            address,
            version: None,
            owner: Owner::Theirs(pid),
            secure,
            _folder: folder,
        }
    }

    pub(super) fn of_process(name: String, version: String, process: Process) -> Self {
        let address = process.address();
        let (secure, folder) = (None, None);
        Self {
            name,
            address,
            version: Some(version),
            owner: Owner::Ours(process),
            secure,
            _folder: folder,
        }
    }

    /// The same server, to which clients speak TLS.
    #[must_use]
    pub fn secured(self, secure: Secure) -> Self {
        Self { secure: Some(secure), ..self }
    }

    /// The same server, whose files are removed with it.
    pub(super) fn with_folder(self, folder: Folder) -> Self {
        Self { _folder: Some(folder), ..self }
    }

    /// Clients of it, none of which is connected yet.
    ///
    /// # Errors
    /// As [`Swarm::new`].
    pub fn swarm(&self) -> Result<Swarm> {
        Swarm::to(self.address, self.secure.clone())
    }

    /// The id of its process, where it is known.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.owner {
            Owner::Ours(process) => Some(process.pid()),
            Owner::Theirs(pid) => *pid,
        }
    }

    /// What it uses at this moment, where its process is known.
    ///
    /// # Errors
    /// When the process has ended, or belongs to another user.
    pub fn usage(&self) -> Result<Option<Usage>> {
        let usage = self.pid().map(Usage::of).transpose();
        usage.wrap_err_with(|| format!("cannot read what {} uses:\n{}", self.name, self.output()))
    }

    /// The last lines that it printed; nothing for somebody else's.
    #[must_use]
    pub fn output(&self) -> String {
        match &self.owner {
            Owner::Ours(process) => process.output(),
            Owner::Theirs(_) => String::new(),
        }
    }

    /// Ends it; somebody else's goes on.
    ///
    /// # Errors
    /// When it has ended already, or does not end on SIGTERM within 35 seconds: longer than
    /// corecast takes to drain. It is gone all the same.
    pub fn stop(self) -> Result<()> {
        match self.owner {
            Owner::Ours(process) => stop(process).wrap_err(self.name),
            Owner::Theirs(_) => Ok(()),
        }
    }
}

/// Ends a server, which must obey SIGTERM: end with success, or by the signal as programs do
/// that have nothing to put in order.
pub(crate) fn stop(mut server: Process) -> Result<()> {
    if let Some(status) = server.ended()? {
        bail!("the server had ended with {status}:\n{}", server.output());
    }
    let stopped = server.stop(STOP_WITHIN)?;
    let obeyed = stopped.status.success() || stopped.status.signal() == Some(SIGTERM);
    if stopped.killed || !obeyed {
        bail!("the server ended with {} (killed: {})", stopped.status, stopped.killed);
    }
    Ok(())
}

const SIGTERM: i32 = rustix::process::Signal::TERM.as_raw();
const STOP_WITHIN: Duration = Duration::from_secs(35);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Launch;

    fn shell(script: &str) -> Process {
        Launch::new("/bin/sh").args(["-c", script]).start().unwrap()
    }

    #[test]
    fn somebody_elses_server_is_measured_by_its_process_and_left_alone() {
        let mut theirs = shell("echo 127.0.0.1:1; exec sleep 60");
        let site = Site::elsewhere("theirs", theirs.address(), Some(theirs.pid()));
        assert!(site.usage().unwrap().is_some_and(|usage| usage.fds > 0));
        site.stop().unwrap();
        assert!(theirs.ended().unwrap().is_none());
        let unknown = Site::elsewhere("unknown", theirs.address(), None);
        assert!(unknown.usage().unwrap().is_none() && unknown.pid().is_none());
    }

    #[test]
    fn a_server_that_ended_by_itself_is_reported_with_its_words() {
        let process = shell("echo 127.0.0.1:1; sleep 0.1; echo out of luck; exit 3");
        let site = Site::of_process("ours".into(), "1".into(), process);
        std::thread::sleep(Duration::from_millis(500));
        let error = format!("{:#}", site.stop().unwrap_err());
        assert!(error.contains("ours") && error.contains("out of luck"), "{error}");
    }
}
