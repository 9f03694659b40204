//! The control thread: an ordinary thread with a small tokio runtime. It waits for signals and for
//! the engine's end, wakes the main thread, and runs the tasks of the control plane (ingest, the
//! admin port).

use crate::cli::exit::{Exit, Failure};
use crate::config::reload::Settings;
use crate::service;
use corecast::Engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the main thread asks while it waits.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    state: Arc<State>,
    runtime: Handle,
}

#[derive(Debug)]
struct State {
    main: Thread,
    stopping: watch::Sender<bool>,
    over: watch::Sender<bool>,
    restarting: AtomicBool,
    has_heir: AtomicBool,
    ended: AtomicBool,
}

impl Control {
    /// Starts the control thread; the calling thread is the one that [`wait`](Self::wait)s. From
    /// here on the first SIGINT, SIGTERM or SIGUSR2 (of a program that comes back) asks for an end
    /// in order, and the second ends the process; SIGHUP reloads the settings.
    ///
    /// # Errors
    ///
    /// When the thread or its runtime cannot be made.
    pub(crate) fn start(engine: Arc<Engine>, mut settings: Settings) -> Result<Self, Failure> {
        let failed = |error| {
            Failure::new(Exit::Software, format!("cannot start the control thread: {error}"))
        };
        let runtime = runtime().map_err(failed)?;
        let (signals, hangup) = {
            let _entered = runtime.enter();
            (Signals::new().map_err(failed)?, signal(SignalKind::hangup()).map_err(failed)?)
        };
        let state = Arc::new(State {
            main: thread::current(),
            stopping: watch::Sender::new(false),
            over: watch::Sender::new(false),
            restarting: AtomicBool::new(false),
            has_heir: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let control = Self { state: Arc::clone(&state), runtime: runtime.handle().clone() };
        control.spawn(settings.auth().keep(control.stopping()));
        if let Some(asker) = settings.take_asker() {
            control.spawn(asker.run(control.stopping()));
        }
        control.spawn(reload(hangup, Arc::clone(&engine), settings));
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                let _guard = EndsTheProcess;
                runtime.block_on(watch(signals, &engine, &state));
            })
            .map_err(failed)?;
        Ok(control)
    }

    /// Whether the program is to end: by a signal, or because the engine has ended by itself.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.state.stopping.borrow() || self.is_ended()
    }

    /// Whether the signal that asked for the end says that the program comes back (SIGUSR2).
    pub(crate) fn is_restarting(&self) -> bool {
        self.state.restarting.load(Ordering::Relaxed)
    }

    /// Whether another process has its place.
    pub(crate) fn has_heir(&self) -> bool {
        self.state.has_heir.load(Ordering::Relaxed)
    }

    /// Whether the engine has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.state.ended.load(Ordering::Relaxed)
    }

    /// Waits at most `time` on the main thread; less when the program is to end or somebody
    /// [`wake`](Self::wake)s it.
    pub(crate) fn wait(&self, time: Duration) {
        if !self.is_stopping() {
            thread::park_timeout(time);
        }
    }

    /// Wakes the main thread.
    pub(crate) fn wake(&self) {
        self.state.main.unpark();
    }

    /// Runs a task on the control thread. It should end soon after [`stopping`](Self::stopping)
    /// becomes true, if nothing else tells it to; its handle may be given to [`join`](Self::join).
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.spawn(task)
    }

    /// Turns true, once and for all, when the program is to end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.state.stopping.subscribe()
    }

    /// Turns true, once and for all, when clients have left.
    pub(crate) fn over(&self) -> watch::Receiver<bool> {
        self.state.over.subscribe()
    }

    /// Lets what makes sockets or timers run on the main thread as if on the control thread.
    pub(crate) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Clients have left.
    pub(crate) fn set_over(&self) {
        self.state.over.send_replace(true);
    }

    /// The program is to end, as by SIGUSR2: another process has its place.
    pub(crate) fn stop_for_heir(&self) {
        self.state.restarting.store(true, Ordering::Relaxed);
        self.state.has_heir.store(true, Ordering::Relaxed);
        self.state.stopping.send_replace(true);
    }

    /// Waits on the main thread until the control thread has ended what it is at.
    pub(crate) fn pass(&self) {
        self.join(vec![self.spawn(async {})], PASS_WITHIN);
    }

    /// Waits on the main thread until these tasks have ended, at most `time`. They were told to.
    pub(crate) fn join(&self, tasks: Vec<JoinHandle<()>>, time: Duration) {
        let all = async {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a task of the control thread failed");
                }
            }
        };
        let in_time = self.runtime.block_on(async { tokio::time::timeout(time, all).await });
        if in_time.is_err() {
            tracing::warn!("publishers or admin requests have not ended in time");
        }
    }
}

/// A runtime for one thread, as the control plane and the client commands use it.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

/// Waits until `stopping` is true, or nobody can make it true any more.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// SIGINT, SIGTERM and SIGUSR2.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    restart: Signal,
}

/// A turn of the control thread is far shorter.
const PASS_WITHIN: Duration = Duration::from_secs(3);
/// SIGUSR2: the end of a program that comes back.
const RESTART: u8 = 12;

impl Signals {
    /// From here on these signals do not end the process by themselves. Needs a runtime.
    ///
    /// # Errors
    ///
    /// When the system refuses the handlers.
    pub(crate) fn new() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let restart = signal(SignalKind::user_defined2())?;
        Ok(Self { interrupt, terminate, restart })
    }

    /// The number of the next signal.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.restart.recv() => RESTART,
        }
    }
}

/// Reloads the settings at each SIGHUP.
async fn reload(mut hangup: Signal, engine: Arc<Engine>, mut settings: Settings) {
    while hangup.recv().await.is_some() {
        service::reloading();
        settings.reload(&engine);
        service::ready();
    }
}

/// Without the control thread nobody would hear of signals, and nothing would end the program.
/// What it does never ends: this is dropped by a panic alone.
struct EndsTheProcess;

impl Drop for EndsTheProcess {
    fn drop(&mut self) {
        std::process::exit(Exit::Software as i32);
    }
}

async fn watch(mut signals: Signals, engine: &Engine, state: &State) {
    let mut seen = 0;
    loop {
        tokio::select! {
            number = signals.next() => {
                seen += 1;
                if seen > 1 {
                    // 128 + signal, as shells report it.
                    std::process::exit(128 + i32::from(number));
                }
                if number == RESTART {
                    state.restarting.store(true, Ordering::Relaxed);
                }
                tracing::info!(signal = number, "ending in order; a second signal ends at once");
            }
            // The main thread asks the engine itself how it ended.
            _ = engine.ended(), if !state.ended.load(Ordering::Relaxed) => {
                state.ended.store(true, Ordering::Relaxed);
            }
        }
        state.stopping.send_replace(true);
        state.main.unpark();
    }
}
