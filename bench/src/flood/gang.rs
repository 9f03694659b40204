//! Attackers in a process of their own, for measurements on the CPU of the load client.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use eyre::{Result, WrapErr, ensure};

use super::{Kind, Origin, Tally, Targets};

/// Attackers in another process. It runs only while nothing else wants its CPU (`SCHED_IDLE`): who
/// is woken to take a message does not wait for the end of an attacker's slice of time, as he would
/// beside a thread that is merely nice.
#[derive(Debug)]
pub struct Gang {
    child: Child,
}

/// What they do.
#[derive(Debug, Clone)]
pub struct Orders {
    /// What is attacked.
    pub targets: Targets,
    /// In which way.
    pub kind: Kind,
    /// Where they come from.
    pub origin: Origin,
    /// Connections at the same time.
    pub parallel: usize,
    /// Connections begun in a second, at most.
    pub rate: Option<f64>,
}

impl Gang {
    /// Starts `corecast-bench attack`, which is this program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(orders: &Orders) -> Result<Self> {
        let this = std::env::current_exe().wrap_err("cannot find this executable's own path")?;
        let Orders { targets, kind, origin, parallel, rate } = orders;
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(this).args(["attack", &kind.to_string()]);
        command.args(["--plain", &targets.plain.to_string(), "--path", &targets.path]);
        command.args(["--from", &origin.to_string(), "--parallel", &parallel.to_string()]);
        if let Some(tls) = targets.tls {
            command.args(["--tls", &tls.to_string()]);
        }
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().wrap_err("cannot start chrt (Debian: util-linux)")?;
        Ok(Self { child })
    }

    /// Ends the attack, and says what became of it.
    ///
    /// # Errors
    /// When it had failed.
    pub fn finish(mut self) -> Result<Tally> {
        // It attacks until its input ends.
        drop(self.child.stdin.take());
        let mut said = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            output.read_to_string(&mut said)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the attackers ended with {status}");
        serde_json::from_str(&said).wrap_err("the attackers said something else")
    }
}

impl Drop for Gang {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
