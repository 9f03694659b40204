//! Where servers run, for commands whose `--json` names a file.

use std::path::PathBuf;

use clap::Args;

use crate::servers::ServerOptions;

/// Which corecast to measure, and the CPUs.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The corecast to measure: CORECAST_BIN, or `corecast` beside this program, when not given
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// CPU that the server has to itself
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    server_cpu: usize,
    /// CPU that the load client runs on
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    client_cpu: usize,
    /// Further argument for `corecast serve` (may be given several times)
    #[arg(long = "server-arg", value_name = "ARG", allow_hyphen_values = true)]
    server_args: Vec<String>,
}

impl Place {
    /// As the servers take it.
    #[must_use]
    pub fn options(&self) -> ServerOptions {
        ServerOptions {
            program: self.program.clone(),
            server_cpu: self.server_cpu,
            client_cpu: self.client_cpu,
            server_args: self.server_args.clone(),
            json: false,
            tls: None,
        }
    }
}
