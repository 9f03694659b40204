//! `corecast health`: whether a running server serves, for containers that have no curl.

use crate::cli::exit::{Exit, Failure};
use crate::control::runtime;
use crate::publish::http::{Client, HttpError, Url};
use crate::report;
use clap::Args;
use std::time::Duration;
use tokio::time::timeout;

/// Ask a running server whether it serves
///
/// Asks /healthz of its admin port. A server that has been told to leave says no from then on.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Exit code: 0 where it serves, 69 where it leaves or cannot be reached.

Examples:
  corecast health
  corecast health --url http://127.0.0.1:9002 || echo 'not serving'")]
pub(crate) struct HealthArgs {
    /// The admin port of the server
    #[arg(long, env = "CORECAST_ADMIN_URL", value_name = "URL")]
    #[arg(default_value = "http://127.0.0.1:9002")]
    url: Url,
}

/// Who asks has a deadline of his own, mostly of some seconds.
const WITHIN: Duration = Duration::from_secs(3);

/// Prints what the server says.
///
/// # Errors
///
/// When it does not serve.
pub(crate) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let runtime = runtime()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        match timeout(WITHIN, ask(&args.url)).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = WITHIN.as_secs();
                Err(no(format!("{} gives no answer within {seconds} s", args.url)))
            }
        }
    })
}

async fn ask(url: &Url) -> Result<(), Failure> {
    let answer = Client::new(url.clone()).get("/healthz").await.map_err(|error| match error {
        HttpError::Connect(error) => no(format!(
            "cannot reach the admin port at {url}: {error}. Is the server running, with --admin?"
        )),
        HttpError::Broken(what) => no(format!("{url}: {what}")),
    })?;
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.lines().next().unwrap_or_default();
    if answer.status == 200 {
        report::say(text);
        return Ok(());
    }
    Err(no(format!("{url} answers {}: {text}", answer.status)))
}

fn no(why: String) -> Failure {
    Failure::new(Exit::Unavailable, why)
}
