//! `corecast-bench`: what the engine costs, printed by a command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use corecast_bench::command::{
    attack, churn, compare, connect, cost, echo, feed, flood, goals, idle, ingest, load, micro,
    replay, stalled, storm, symbols, tls,
};

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Measures WebSocket servers from outside: corecast, its peers, and others"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Servers side by side: tables, plots, curves
    Compare(compare::Options),
    /// The goals T1 to T13, each reached or not
    Goals(goals::Options),
    /// Latency and cost of a fan-out on any server, in an open or closed loop
    Load(load::Options),
    /// Round trips: latency, and how many a second
    Echo(echo::Options),
    /// Opening handshakes: latency, CPU, and how many a second
    Connect(connect::Options),
    /// W1: recorded ticks to clients that want everything
    Replay(replay::Options),
    /// W2: many symbols by Zipf's law, fifty of them for each client
    Symbols(symbols::Options),
    /// What stalled readers cost the healthy ones, with a steady load (W4 is `replay --stalled`)
    Stalled(stalled::Options),
    /// All clients drop and return: when has each got a message again
    Storm(storm::Options),
    /// CPU per delivery and latency of a fan-out, backends in turn
    Cost(cost::Options),
    /// CPU of a conflated variant beside a raw topic at the same rate
    Feed(feed::Options),
    /// W3: many records in, conflated to many clients: how old is what they get
    Ingest(ingest::Options),
    /// Attackers beside subscribers: what is lost, and how much later the rest comes
    Flood(flood::Options),
    /// The attackers of `flood` alone, against a server of yours
    Attack(attack::Options),
    /// wss:// beside ws://: CPU of a delivery and of a handshake, memory, head-of-line blocking
    Tls(tls::Options),
    /// User memory and CPU of idle connections
    Idle(idle::Options),
    /// Files and memory after many connections have come and gone
    Churn(churn::Options),
    /// What the micro-benchmarks measured, beside the peers (after `cargo bench`)
    Micro(micro::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Goals(options) => goals::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Symbols(options) => symbols::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Echo(options) => echo::run(&options),
        Command::Connect(options) => connect::run(&options),
        Command::Stalled(options) => stalled::run(&options),
        Command::Storm(options) => storm::run(&options),
        Command::Cost(options) => cost::run(&options),
        Command::Feed(options) => feed::run(&options),
        Command::Ingest(options) => ingest::run(&options),
        Command::Flood(options) => flood::run(&options),
        Command::Attack(options) => attack::run(&options),
        Command::Tls(options) => tls::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Churn(options) => churn::run(&options),
        Command::Micro(options) => micro::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corecast-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
