//! `corecast token`: makes tokens for trying things out, and says what one is good for.

mod check;
mod sign;

use crate::cli::exit::{Exit, Failure};
use clap::{Args, Subcommand};

/// Sign a token, or see what a token is good for
///
/// Tokens are JSON Web Tokens, as `[auth]` asks for them: `sub` is the user, `exp` the end, and
/// `topics` says which topics may be subscribed to and published to.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  openssl rand -hex 32 > secret && chmod 600 secret
  corecast token sign --secret-file secret --sub u1 --subscribe 'quote.*' --ttl 1h
  corecast token sign --key-file ed25519.pem --sub u1 --publish chat.lobby --kid 2026-11
  corecast token check --config corecast.toml < token")]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum TokenCommand {
    Sign(Box<sign::SignArgs>),
    Check(check::CheckArgs),
}

/// Does what was asked for.
///
/// # Errors
///
/// When a key or the configuration is not in order, or the token is refused.
pub(crate) fn run(args: &TokenArgs) -> Result<(), Failure> {
    match &args.command {
        TokenCommand::Sign(args) => sign::run(args),
        TokenCommand::Check(args) => check::run(args),
    }
}

fn wrong_key(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::BadData, error)
}
