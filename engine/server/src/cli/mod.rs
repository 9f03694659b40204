//! The command line: what there is, and which part of the program does it.

pub(crate) mod common;
mod config;
pub(crate) mod exit;
pub(crate) mod logs;
pub(crate) mod values;

use crate::{demo, doctor, health, publish, replay, serve, subscribe, token};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use common::CommonArgs;
use exit::{EXIT_CODES_HELP, Failure};
use std::process::ExitCode;

/// A WebSocket broadcast engine: one shard per core, io_uring, messages encoded once
#[derive(Debug, Parser)]
#[command(name = "corecast", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  corecast demo                                     a made-up market, and a page that shows it
  corecast replay ticks.gz --speed 10               recorded messages, ten times as fast
  corecast serve --listen 0.0.0.0:9001              topics for clients to publish and subscribe
  corecast publish chat.lobby --as text hello       a message to a topic of a running server
  corecast subscribe 'trade.*' --stats              what a running server sends
  corecast health                                   does a running server serve?
  corecast doctor                                   is this machine set up well?
  corecast config --docs                            every key of the configuration file
  corecast token check --config FILE < token        who a token is, and what it may
  corecast completions bash > /etc/bash_completion.d/corecast")]
#[command(after_long_help = long_help())]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Replay(replay::ReplayArgs),
    Serve(serve::ServeArgs),
    Publish(publish::PublishArgs),
    Subscribe(subscribe::SubscribeArgs),
    Health(health::HealthArgs),
    Doctor(doctor::DoctorArgs),
    Config(config::ConfigArgs),
    Token(token::TokenArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let Cli { common, command } = Cli::parse();
    match dispatch(&common, &command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(common: &CommonArgs, command: &Command) -> Result<(), Failure> {
    logs::start(common)?;
    let serves = matches!(command, Command::Demo(_) | Command::Replay(_) | Command::Serve(_));
    if serves {
        // Each connection is an open file; to go up to the hard limit needs no privilege.
        if let Err(error) = corecast_tuning::raise_nofile() {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
    match command {
        Command::Demo(args) => demo::run(common, args),
        Command::Replay(args) => replay::run(common, args),
        Command::Serve(args) => serve::run(common, args),
        Command::Publish(args) => publish::run(args),
        Command::Subscribe(args) => subscribe::run(args),
        Command::Health(args) => health::run(args),
        Command::Doctor(args) => doctor::run(common, args),
        Command::Config(args) => config::run(common, args),
        Command::Token(args) => token::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "corecast", &mut script);
            crate::report::say(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}

/// The environment variables that options read.
pub(crate) fn option_variables() -> Vec<String> {
    fn collect(command: &clap::Command, names: &mut Vec<String>) {
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);
        names.extend(variables.map(|name| name.to_string_lossy().into_owned()));
        command.get_subcommands().for_each(|command| collect(command, names));
    }
    let mut names = Vec::new();
    collect(&Cli::command(), &mut names);
    names
}

fn long_help() -> String {
    format!(
        "\
Examples:
  corecast demo                                     a made-up market, and a page that shows it
  corecast replay ticks.gz --speed 10               recorded messages, ten times as fast
  corecast serve --listen 0.0.0.0:9001              topics for clients to publish and subscribe
  corecast publish chat.lobby --as text hello       a message to a topic of a running server
  corecast subscribe 'trade.*' --stats              what a running server sends
  corecast health                                   does a running server serve?
  corecast doctor                                   is this machine set up well?
  corecast config --docs                            every key of the configuration file
  corecast token check --config FILE < token        who a token is, and what it may
  corecast completions bash > /etc/bash_completion.d/corecast

{EXIT_CODES_HELP}

The first line on stdout is `listening on http://ADDR:PORT/`, logs go to stderr. The first SIGINT or
SIGTERM ends in order (/healthz says 503, clients are told, queued messages leave, then Close 1001),
the second at once. SIGUSR2 is SIGTERM of a server that comes back: Close 1012."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_after_the_command() {
        for line in [
            ["corecast", "--listen", "127.0.0.1:0", "demo", "--shards", "2"],
            ["corecast", "demo", "--listen", "127.0.0.1:0", "--shards", "2"],
        ] {
            let cli = Cli::try_parse_from(line).expect("a good line");
            assert_eq!(cli.common.shards, Some(2));
            assert_eq!(cli.common.listen, Some("127.0.0.1:0".parse().expect("an address")));
        }
    }

    #[test]
    fn policies_are_repeated_and_checked() {
        let line = |policy| Cli::try_parse_from(["corecast", "serve", "--policy", policy]);
        let cli = line("latest=quote.*").expect("a good policy");
        let Command::Serve(_) = cli.command else { panic!("serve") };
        for bad in ["latest", "newest=quote.*", "=quote.*", ""] {
            let error = line(bad).expect_err(bad);
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }

    #[test]
    fn wrong_lines_are_usage_errors() {
        for line in [
            &["corecast"][..],
            &["corecast", "replay"],
            &["corecast", "replay", "a b=file"],
            &["corecast", "replay", "f", "--speed", "fast"],
            &["corecast", "demo", "--cpus", "3-1"],
            &["corecast", "demo", "--rate", "0"],
            &["corecast", "serve", "--stall", "5"],
        ] {
            assert_eq!(Cli::try_parse_from(line).expect_err("wrong").exit_code(), 2, "{line:?}");
        }
    }
}
