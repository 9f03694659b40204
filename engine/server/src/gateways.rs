//! The ways in for publishers of other processes: admin port and ingest, as far as they are
//! configured.

use crate::admin::{self, Desk};
use crate::cli::exit::Failure;
use crate::config::ServerConfig;
use crate::control::Control;
use crate::ingest;
use crate::intake::Intake;
use crate::report;
use crate::secrets::Passes;
use crate::take_over::{Holdings, Listeners};
use corecast::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What runs beside the engine until the program ends.
#[derive(Debug)]
pub(crate) struct Gateways {
    tasks: Vec<JoinHandle<()>>,
    admin: Option<JoinHandle<()>>,
    lines: Vec<String>,
    /// Copies of the listeners.
    copies: Listeners,
    ending: watch::Sender<bool>,
    admin_ending: watch::Sender<bool>,
}

impl Gateways {
    /// Starts them on the control thread, on those listeners that were `inherited`.
    ///
    /// # Errors
    ///
    /// When an address or a path cannot be listened on.
    pub(crate) fn start(
        control: &Control,
        config: &ServerConfig,
        passes: &Passes,
        engine: &Arc<Engine>,
        holdings: Holdings<'_>,
    ) -> Result<Self, Failure> {
        let intake = Intake::new(engine.publisher(), holdings.bequeathed.clone());
        let (mut admin_task, mut admin_copy, mut lines) = (None, None, Vec::new());
        let (ending, admin_ending) = (watch::Sender::new(false), watch::Sender::new(false));
        if let Some(address) = config.admin.listen {
            let desk = Desk::new(passes, engine);
            let admin = admin::start(
                control,
                (&config.admin, desk),
                address,
                intake.clone(),
                holdings.listeners.take_admin(address),
                &admin_ending,
            )?;
            lines.push(format!("admin on http://{}/", admin.address));
            (admin_task, admin_copy) = (Some(admin.task), admin.copy);
        }
        let settings = (&config.ingest, passes.ingest.clone());
        let ingest = ingest::start(control, settings, intake, holdings, &ending)?;
        lines.extend(ingest.tcp.map(|address| format!("ingest on tcp {address}")));
        let unix = config.ingest.unix.as_ref();
        lines.extend(unix.map(|path| format!("ingest on unix {}", path.display())));
        let copies = Listeners { admin: admin_copy, ..ingest.copies };
        let (tasks, admin) = (ingest.tasks, admin_task);
        Ok(Self { tasks, admin, lines, copies, ending, admin_ending })
    }

    /// Says on stdout where they are.
    pub(crate) fn tell(&self) {
        for line in &self.lines {
            report::say(line);
        }
    }

    /// Copies of the listeners, which it has no more then.
    pub(crate) fn take_copies(&mut self) -> Listeners {
        std::mem::take(&mut self.copies)
    }

    /// Has copies again.
    pub(crate) fn put_copies(&mut self, copies: Listeners) {
        self.copies = copies;
    }

    /// Ends ingest: publishers get their last acknowledgement. The admin port goes on, so that it
    /// can tell that the program drains.
    pub(crate) fn end_publishers(mut self, control: &Control) -> Self {
        self.ending.send_replace(true);
        control.join(std::mem::take(&mut self.tasks), END_WITHIN);
        self
    }

    /// Ends the rest: requests get their answer.
    pub(crate) fn end(self, control: &Control) {
        self.ending.send_replace(true);
        self.admin_ending.send_replace(true);
        control.join(self.tasks.into_iter().chain(self.admin).collect(), END_WITHIN);
    }
}

const END_WITHIN: Duration = Duration::from_secs(3);
