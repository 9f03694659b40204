//! `corecast-bench`: what the engine costs, printed by a command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use corecast_bench::command::{churn, cost, feed, idle, micro};

#[derive(Debug, Parser)]
#[command(version, about = "Measures a corecast server from outside, over loopback")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// CPU per delivery and latency of a fan-out, backends in turn
    Cost(cost::Options),
    /// CPU of a conflated variant beside a raw topic at the same rate
    Feed(feed::Options),
    /// User memory of an idle connection
    Idle(idle::Options),
    /// Files and memory after many connections have come and gone
    Churn(churn::Options),
    /// What the micro-benchmarks measured, beside the peers (after `cargo bench`)
    Micro(micro::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Cost(options) => cost::run(&options),
        Command::Feed(options) => feed::run(&options),
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
