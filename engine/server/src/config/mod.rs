//! What can be set, by file, environment and command line: the engine's settings, and the
//! program's own beside them.
//!
//! The file is read into a [`tree`], the environment is laid over it, every key is checked where it
//! stands ([`check`]), and only then are the structs made of it. [`keys`] is the reference.

pub(crate) mod admin;
pub(crate) mod auth;
mod bounds;
mod check;
pub(crate) mod diff;
pub(crate) mod docs;
mod edge;
pub(crate) mod env;
pub(crate) mod feed;
pub(crate) mod hook;
pub(crate) mod ingest;
mod keys;
pub(crate) mod limits;
pub(crate) mod log;
mod make;
pub(crate) mod origin;
pub(crate) mod problem;
mod reference;
pub(crate) mod reload;
mod rules;
pub(crate) mod shared;
pub(crate) mod shutdown;
mod source;
pub(crate) mod take_over;
mod text;
mod tls;
mod tree;
mod warnings;

use admin::AdminConfig;
use auth::AuthConfig;
use corecast::Config;
use env::Environment;
use feed::FeedConfig;
use ingest::IngestConfig;
use log::LogConfig;
use origin::OriginConfig;
use problem::{Origin, Problem, Problems};
use serde::Serialize;
use shutdown::ShutdownConfig;
use std::path::Path;
use take_over::TakeOverConfig;
use tree::Node;

/// All settings of the program. In the file the engine's keys stand at the top, each other field is
/// a table of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ServerConfig {
    /// The engine's: the struct of its builder.
    #[serde(flatten)]
    pub(crate) engine: Config,
    /// What clients of the feed may do.
    pub(crate) feed: FeedConfig,
    /// Who may connect, and with which rights.
    pub(crate) auth: AuthConfig,
    /// Which pages may connect.
    pub(crate) origin: OriginConfig,
    /// Where publishers of other processes connect.
    pub(crate) ingest: IngestConfig,
    /// The port for operators.
    pub(crate) admin: AdminConfig,
    /// How it ends.
    pub(crate) shutdown: ShutdownConfig,
    /// How another process takes its place.
    pub(crate) take_over: TakeOverConfig,
    /// What is logged.
    pub(crate) log: LogConfig,
}

/// Settings that are in order, and what is odd about where they come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Read {
    /// The settings.
    pub(crate) config: ServerConfig,
    /// What should be said and is no error: variables that mean nothing, and what is odd.
    pub(crate) warnings: Vec<String>,
}

/// Reads the file, if there is one, and lays the environment over it. Absent keys have their
/// defaults.
///
/// # Errors
///
/// All that is wrong, and where.
pub(crate) fn read(file: Option<&Path>, environment: &Environment) -> Result<Read, Problems> {
    let name = file.map_or_else(String::new, |path| path.display().to_string());
    let result = match file {
        None => parse("", environment),
        Some(path) => source::read(path)
            .map_err(|problem| vec![problem])
            .and_then(|text| parse(&text, environment)),
    };
    result.map_err(|problems| Problems { file: name, problems })
}

fn parse(text: &str, environment: &Environment) -> Result<Read, Vec<Problem>> {
    let mut root = Node::parse(text)?;
    let (mut problems, mut warnings) = environment.overlay(&mut root);
    problems.extend(check::check(&root));
    if !problems.is_empty() {
        return Err(problems);
    }
    let table = root.content.value().try_into().unwrap_or_default();
    // Every key was made alone before: together they make a whole.
    let config = make::config(table)
        .map_err(|message| vec![Problem::new(&Origin::Elsewhere, "", message)])?;
    let broken = rules::check(&config, &root);
    if !broken.is_empty() {
        return Err(broken);
    }
    warnings.extend(warnings::of(&config));
    Ok(Read { config, warnings })
}

#[cfg(test)]
mod tests;
