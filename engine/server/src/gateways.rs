//! The ways in for publishers of other processes: admin port and ingest, as far as they are
//! configured.

use crate::admin;
use crate::cli::exit::Failure;
use crate::config::ServerConfig;
use crate::control::Control;
use crate::ingest;
use crate::intake::Intake;
use crate::report;
use corecast::Publisher;
use std::time::Duration;
use tokio::task::JoinHandle;

/// What runs beside the engine until the program ends.
#[derive(Debug)]
pub(crate) struct Gateways {
    tasks: Vec<JoinHandle<()>>,
    admin: Option<JoinHandle<()>>,
    lines: Vec<String>,
}

impl Gateways {
    /// Starts them on the control thread.
    ///
    /// # Errors
    ///
    /// When an address or a path cannot be listened on.
    pub(crate) fn start(
        control: &Control,
        config: &ServerConfig,
        publisher: Publisher,
    ) -> Result<Self, Failure> {
        let intake = Intake::new(publisher);
        let (mut tasks, mut admin_task, mut lines) = (Vec::new(), None, Vec::new());
        if let Some(address) = config.admin.listen {
            let admin = admin::start(control, &config.admin, address, intake.clone())?;
            lines.push(format!("admin on http://{}/", admin.address));
            admin_task = Some(admin.task);
        }
        let ingest = ingest::start(control, &config.ingest, intake)?;
        lines.extend(ingest.tcp.map(|address| format!("ingest on tcp {address}")));
        let unix = config.ingest.unix.as_ref();
        lines.extend(unix.map(|path| format!("ingest on unix {}", path.display())));
        tasks.extend(ingest.tasks);
        Ok(Self { tasks, admin: admin_task, lines })
    }

    /// Says on stdout where they are.
    pub(crate) fn tell(&self) {
        for line in &self.lines {
            report::say(line);
        }
    }

    /// Ends ingest: publishers get their last acknowledgement. The admin port goes on, so that it
    /// can tell that the program drains.
    pub(crate) fn end_publishers(mut self, control: &Control) -> Self {
        control.join(std::mem::take(&mut self.tasks), END_WITHIN);
        self
    }

    /// Ends the rest: requests get their answer.
    pub(crate) fn end(self, control: &Control) {
        control.join_last(self.admin.into_iter().collect(), END_WITHIN);
    }
}

const END_WITHIN: Duration = Duration::from_secs(3);
