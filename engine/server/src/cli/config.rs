//! `corecast config`: the reference of all keys, and what a file says.

use super::common::{CommonArgs, ServingArgs};
use super::exit::{Exit, Failure};
use crate::config::env::Environment;
use crate::config::feed::Identity;
use crate::config::reload::{BuiltIn, Settings};
use crate::config::{self, ServerConfig, diff, docs};
use crate::namespaces;
use crate::report;
use clap::Args;
use std::path::{Path, PathBuf};

/// Explain, check or print the configuration
///
/// A file overrides the defaults, the environment overrides the file, and the command line
/// overrides both. Exit code 78 where the configuration is wrong.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast config --docs | less
  corecast config --check corecast.toml
  CORECAST_FEED__HEARTBEAT_MS=1000 corecast config --print --config corecast.toml")]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    what: What,

    #[command(flatten)]
    serving: ServingArgs,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// Print every key with its type, default, unit and bound, in Markdown
    #[arg(long)]
    docs: bool,

    /// Say what is wrong with a file, or how it differs from the defaults
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,

    /// Print the settings that `corecast serve` would take, in TOML
    #[arg(long)]
    print: bool,
}

/// Prints what was asked for.
///
/// # Errors
///
/// All that is wrong with the configuration.
pub(crate) fn run(common: &CommonArgs, args: &ConfigArgs) -> Result<(), Failure> {
    if args.what.docs {
        report::say(docs::markdown().trim_end());
        return Ok(());
    }
    if let Some(file) = &args.what.check {
        return check(file);
    }
    let built_in =
        BuiltIn { policies: &[], namespaces: namespaces::serve, identity: Identity::Anonymous };
    let settings = Settings::read(common, &args.serving, built_in)?;
    let text = toml::to_string(settings.running())
        .map_err(|error| Failure::new(Exit::Config, format!("a setting is no TOML: {error}")))?;
    report::say(text.trim_end());
    Ok(())
}

/// Looks at a file alone, without the environment.
fn check(file: &Path) -> Result<(), Failure> {
    let name = file.display();
    match config::read(Some(file), &Environment::default()) {
        Ok(read) => {
            report::say(format_args!("{name}: ok"));
            for warning in &read.warnings {
                report::complain(&format!("{name}: warning: {warning}"));
            }
            if let Some(table) = table(&read.config) {
                report::say(table.trim_end());
            }
            Ok(())
        }
        Err(problems) => {
            problems.lines().iter().for_each(|line| report::complain(line));
            let count = match problems.problems.len() {
                1 => "one problem".to_owned(),
                count => format!("{count} problems"),
            };
            Err(Failure::new(Exit::Config, format!("{name}: {count}, see above")))
        }
    }
}

/// What differs from the defaults, one key a line.
fn table(config: &ServerConfig) -> Option<String> {
    let rows: Vec<[String; 3]> = diff::differences(config)
        .iter()
        .map(|change| [change.key.clone(), change.after(), change.before()])
        .collect();
    let title = ["key", "value", "default"].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&title]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let (key, value) = (width(0), width(1));
    let line = |[a, b, c]: &[String; 3]| format!("{a:<key$}  {b:<value$}  {c}\n");
    let text = rows.iter().map(line).collect::<String>();
    (!text.is_empty()).then(|| line(&title) + &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_the_defaults_is_a_table() {
        assert_eq!(table(&ServerConfig::default()), None);
        let mut config = ServerConfig::default();
        config.engine.shards = 4;
        config.feed.heartbeat_ms = 0;
        let expected = "\
key                value  default
feed.heartbeat_ms  0      5000
shards             4      0
";
        assert_eq!(table(&config).as_deref(), Some(expected));
    }
}
