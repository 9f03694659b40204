//! Connections that come and go, in four kinds, and what they leave behind in the server.

use std::time::{Duration, Instant};

use clap::Args;
use corecast_wire::client::mask_frame;
use corecast_wire::frame::Opcode;
use eyre::{Result, bail};
use serde::Serialize;

use super::{ServerOptions, kib, show, stop};
use crate::measure::{CLIENT_BUSY_SHARE, OwnLoad, table};
use crate::process::{Process, Usage};
use crate::swarm::{Change, End, Plan, Swarm};

/// `corecast-bench churn`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Connections to make and end
    #[arg(long, default_value_t = 200_000)]
    cycles: u64,
    /// Of these, how many belong to the warm-up
    #[arg(long, default_value_t = 20_000)]
    warm_up: u64,
    /// Connections at the same time
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
}

/// How a cycle ends. One after the other in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Opening handshake, closing handshake.
    Clean,
    /// Opening handshake, then RST.
    Reset,
    /// Some bytes of the request, then FIN or RST in turn.
    HalfHandshake,
    /// Opening handshake, some bytes of a frame, then FIN or RST in turn.
    HalfFrame,
}

/// What the cycles came to.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Tally {
    /// Ended by a closing handshake with the code sent.
    pub clean: u64,
    /// Ended by RST after the handshake.
    pub reset: u64,
    /// Ended within the opening handshake.
    pub half_handshake: u64,
    /// Ended within a frame.
    pub half_frame: u64,
}

impl Tally {
    /// Cycles of all kinds.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        self.clean + self.reset + self.half_handshake + self.half_frame
    }
}

#[derive(Debug, Serialize)]
struct Report {
    tally: Tally,
    seconds: f64,
    client_cpu_share: f64,
    start: Usage,
    warm: Usage,
    end: Usage,
}

/// Measures and prints.
///
/// # Errors
/// When the server or the load client fails, a clean close is not answered, or the server keeps
/// files, threads or memory.
pub fn run(options: &Options) -> Result<()> {
    options.server.prepare_client()?;
    let server = options.server.start(&["--echo"])?;
    let mut swarm = Swarm::new(server.address())?;
    let start = server.usage()?;
    let load = OwnLoad::start();
    let warm_up = options.warm_up.min(options.cycles);
    cycle(&mut swarm, "/echo", warm_up, options.concurrency)?;
    let warm = settle(&mut swarm, &server, start.fds)?;
    let rest = options.cycles - warm_up;
    let tally = cycle(&mut swarm, "/echo", rest, options.concurrency)?;
    let (seconds, client_cpu_share) = (load.elapsed().as_secs_f64(), load.share());
    let end = settle(&mut swarm, &server, start.fds)?;
    stop(server)?;

    let report = Report { tally, seconds, client_cpu_share, start, warm, end };
    show(options.server.json, &report, describe)?;
    check_nothing_kept(&start, &warm, &end)
}

/// Makes and ends `cycles` connections, `concurrency` at a time, a quarter of each kind.
///
/// # Errors
/// When a connection ends in another way than its kind, or nothing happens for ten seconds.
pub fn cycle(swarm: &mut Swarm, target: &str, cycles: u64, concurrency: usize) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut kinds: Vec<Option<(Kind, u64)>> = Vec::new();
    let (mut begun, mut live) = (0, 0);
    let mut last_change = Instant::now();
    while tally.cycles() < cycles {
        while begun < cycles && live < concurrency {
            let kind = KINDS[(begun % 4) as usize];
            let index = swarm.open(&plan(kind, target, begun))?;
            if kinds.len() <= index {
                kinds.resize(index + 1, None);
            }
            kinds[index] = Some((kind, begun));
            begun += 1;
            live += 1;
        }
        swarm.poll(Duration::from_millis(100), &mut |_| {})?;
        loop {
            let changes = swarm.take_changes();
            if changes.is_empty() {
                break;
            }
            last_change = Instant::now();
            for change in changes {
                live -= usize::from(on_change(swarm, change, &mut kinds, &mut tally)?);
            }
        }
        if last_change.elapsed() > STUCK_AFTER {
            bail!("nothing has happened for {STUCK_AFTER:?}: {live} cycles hang, {tally:?}");
        }
    }
    Ok(tally)
}

const KINDS: [Kind; 4] = [Kind::Clean, Kind::Reset, Kind::HalfHandshake, Kind::HalfFrame];

fn plan(kind: Kind, target: &str, number: u64) -> Plan {
    match kind {
        // Every length from a connection without a byte to a request that is nearly whole.
        Kind::HalfHandshake => Plan::half_handshake(target, (number / 4 % 120) as usize),
        _ => Plan::reader(target),
    }
}

/// Takes the next step of a cycle; says whether it has ended.
fn on_change(
    swarm: &mut Swarm,
    change: Change,
    kinds: &mut [Option<(Kind, u64)>],
    tally: &mut Tally,
) -> Result<bool> {
    let (Change::Opened(index) | Change::Halted(index) | Change::Ended(index)) = change;
    let Some((kind, number)) = kinds.get(index).copied().flatten() else { return Ok(false) };
    match (change, kind) {
        (Change::Opened(_), Kind::Clean) => swarm.close(index, 1000),
        (Change::Opened(_), Kind::Reset) => swarm.abandon(index, true),
        (Change::Opened(_), Kind::HalfFrame) => {
            let frame = mask_frame(Opcode::Binary, &[0; 300], [1, 2, 3, 4]);
            let cut = 1 + (number / 4) as usize % (frame.len() - 1);
            swarm.send_bytes(index, &frame[..cut]);
            swarm.abandon(index, number / 4 % 2 == 0);
        }
        (Change::Halted(_), Kind::HalfHandshake) => swarm.abandon(index, number / 4 % 2 == 0),
        (Change::Ended(_), _) => {
            kinds[index] = None;
            count(kind, swarm.end(index), tally)?;
            swarm.release(index);
            return Ok(true);
        }
        _ => {}
    }
    Ok(false)
}

fn count(kind: Kind, end: Option<&End>, tally: &mut Tally) -> Result<()> {
    let (counter, as_meant) = match kind {
        Kind::Clean => {
            (&mut tally.clean, matches!(end, Some(End::Closed { code: Some(1000), .. })))
        }
        Kind::Reset => (&mut tally.reset, end == Some(&End::Dropped)),
        Kind::HalfHandshake => (&mut tally.half_handshake, end == Some(&End::Dropped)),
        Kind::HalfFrame => (&mut tally.half_frame, end == Some(&End::Dropped)),
    };
    *counter += 1;
    match end {
        _ if as_meant => Ok(()),
        Some(end) => bail!("a cycle of kind {kind:?} ended otherwise: {end}"),
        None => bail!("a cycle of kind {kind:?} has no end"),
    }
}

/// Waits until the server has let go of all connections, or for as long as its deadlines allow.
fn settle(swarm: &mut Swarm, server: &Process, fds: u64) -> Result<Usage> {
    let until = Instant::now() + SETTLE_WITHIN;
    loop {
        swarm.poll_for(Duration::from_millis(200), &mut |_| {})?;
        let usage = server.usage()?;
        if usage.fds <= fds || Instant::now() > until {
            swarm.poll_for(Duration::from_millis(500), &mut |_| {})?;
            return server.usage();
        }
    }
}

fn check_nothing_kept(start: &Usage, warm: &Usage, end: &Usage) -> Result<()> {
    if end.fds > start.fds {
        bail!("{} files were open at the start, {} at the end", start.fds, end.fds);
    }
    if end.threads > start.threads {
        bail!("{} threads at the start, {} at the end", start.threads, end.threads);
    }
    let grown = end.rss_anon_bytes.saturating_sub(warm.rss_anon_bytes);
    if grown > GROWTH_BYTES_MAX {
        bail!("memory grew by {} after the warm-up", kib(grown));
    }
    Ok(())
}

fn describe(report: &Report) -> String {
    let row = |name: &str, usage: &Usage| {
        vec![
            name.to_owned(),
            usage.fds.to_string(),
            usage.threads.to_string(),
            kib(usage.rss_anon_bytes),
            kib(usage.rss_bytes),
        ]
    };
    let mut text = table(&[
        ["", "files", "threads", "RssAnon", "RSS"].map(str::to_owned).to_vec(),
        row("start", &report.start),
        row("after the warm-up", &report.warm),
        row("end", &report.end),
    ]);
    let Tally { clean, reset, half_handshake, half_frame } = report.tally;
    text += &format!(
        "{} cycles after the warm-up ({clean} clean, {reset} reset, {half_handshake} within the \
         handshake, {half_frame} within a frame), {:.1} s with it\n",
        report.tally.cycles(),
        report.seconds,
    );
    if report.client_cpu_share >= CLIENT_BUSY_SHARE {
        text += "The load client was the bottleneck (CPU of 95 % and more).\n";
    }
    text
}

const STUCK_AFTER: Duration = Duration::from_secs(10);
/// Longer than the server's handshake and close deadlines of 5 s.
const SETTLE_WITHIN: Duration = Duration::from_secs(12);
/// Noise of the allocator: 12 bytes for each of 180,000 cycles would be more.
const GROWTH_BYTES_MAX: u64 = 2 << 20;
