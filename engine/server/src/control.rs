//! The control thread: an ordinary thread with a small tokio runtime that waits for signals and for
//! the engine's end, and wakes the main thread.

use crate::cli::exit::{Exit, Failure};
use corecast::Engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the main thread asks while it waits.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    main: Thread,
    stopping: AtomicBool,
    ended: AtomicBool,
}

impl Control {
    /// Starts the control thread; the calling thread is the one that [`wait`](Self::wait)s. From
    /// here on the first SIGINT or SIGTERM asks for an end in order, and the second ends the
    /// process.
    ///
    /// # Errors
    ///
    /// When the thread or its runtime cannot be made.
    pub(crate) fn start(engine: Arc<Engine>) -> Result<Self, Failure> {
        let failed = |error| {
            Failure::new(Exit::Software, format!("cannot start the control thread: {error}"))
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let signals = {
            let _entered = runtime.enter();
            Signals::new().map_err(failed)?
        };
        let state = Arc::new(State {
            main: thread::current(),
            stopping: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let control = Self { state: Arc::clone(&state) };
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(watch(signals, &engine, &state)))
            .map_err(failed)?;
        Ok(control)
    }

    /// Whether the program is to end: by a signal, or because the engine has ended by itself.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.stopping.load(Ordering::Relaxed) || self.is_ended()
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
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate })
    }

    /// The number of the next signal.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
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
                tracing::info!(signal = number, "ending in order; a second signal ends at once");
                state.stopping.store(true, Ordering::Relaxed);
            }
            // The main thread asks the engine itself how it ended.
            _ = engine.ended(), if !state.ended.load(Ordering::Relaxed) => {
                state.ended.store(true, Ordering::Relaxed);
            }
        }
        state.main.unpark();
    }
}
