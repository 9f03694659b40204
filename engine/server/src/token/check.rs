//! `corecast token check`.

use crate::auth::limits::FETCH_WITHIN;
use crate::auth::{Fetcher, load};
use crate::cli::exit::{Exit, Failure};
use crate::cli::option_variables;
use crate::clock;
use crate::config::auth::{AuthConfig, AuthMode};
use crate::config::env::Environment;
use crate::config::{self, Read as Settings};
use crate::control::runtime;
use crate::report;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use corecast_gate::limits::TOKEN_BYTES_MAX;
use corecast_gate::{Denied, Identity, Verb, Verifier};
use serde_json::Value;
use std::fmt::Write;
use std::io::{self, Read};
use std::path::PathBuf;

/// Say who a token is, what it may, or why it is refused
///
/// The token is judged as a server with this configuration would judge it now; a key set by address
/// is fetched. Give it on stdin: other users of the machine can see a command line.
#[derive(Args, Clone, Debug)]
pub(super) struct CheckArgs {
    /// The configuration whose `[auth]` is asked
    #[arg(long, env = "CORECAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The token; `-` reads it from stdin
    #[arg(value_name = "TOKEN", default_value = "-")]
    token: String,
}

/// Prints who it is and what it may.
pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let environment = Environment::of_process(option_variables());
    let Settings { config, .. } = config::read(args.config.as_deref(), &environment)?;
    let auth = &config.auth;
    if auth.sources.is_empty() {
        let why = "the configuration has no [[auth.sources]]: there is nobody who issues tokens";
        return Err(Failure::new(Exit::Config, why));
    }
    if auth.mode == AuthMode::Off {
        report::complain("warning: auth.mode is \"off\": the server asks nobody for a token");
    }
    let token = token(&args.token)?;
    let now_s = clock::wall_s();
    match judge(auth, &token, now_s)? {
        Ok(identity) => {
            report::say(told(&identity, now_s).trim_end());
            Ok(())
        }
        Err(denied) => {
            let hint = hint(&denied, &token, auth, now_s);
            let refused = format!("refused with {}: {denied}{hint}", denied.status());
            Err(Failure::new(Exit::BadData, refused))
        }
    }
}

fn token(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.trim().to_owned());
    }
    let mut text = String::new();
    let bound = TOKEN_BYTES_MAX as u64 * 2;
    let read = io::stdin().lock().take(bound).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Io, format!("cannot read the token: {error}")))?;
    Ok(text.trim().to_owned())
}

/// The judgement, with keys of now. Only a source whose token it says to be is fetched.
fn judge(auth: &AuthConfig, token: &str, now_s: i64) -> Result<Result<Identity, Denied>, Failure> {
    let wrong = |error: String| Failure::new(Exit::Config, error);
    let mut verifier: Verifier =
        auth.verifier().map_err(|error| Failure::new(Exit::Config, error))?;
    for source in &auth.sources {
        if let Some(keys) = load(source).map_err(wrong)? {
            verifier = verifier.with_keys(&source.name, Some(keys));
        }
    }
    let first = verifier.verify(token, now_s);
    let Err(Denied::Unavailable { source: name }) = &first else { return Ok(first) };
    let Some(source) = auth.sources.iter().find(|it| *it.name == **name) else {
        return Ok(first);
    };
    let unreachable =
        |error: String| Failure::new(Exit::Unavailable, format!("{}: {error}", source.jwks_url));
    let runtime = runtime().map_err(|error| unreachable(error.to_string()))?;
    let fetcher = Fetcher::new(FETCH_WITHIN).map_err(unreachable)?;
    let keys = runtime.block_on(fetcher.fetch(source)).map_err(unreachable)?;
    Ok(verifier.with_keys(name, Some(keys)).verify(token, now_s))
}

fn told(identity: &Identity, now_s: i64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line("user", identity.user.as_deref().unwrap_or("(no name)"));
    let ends = identity.expires_at_s.map(|end_s| format!("in {}", span(end_s - now_s)));
    line("expires", ends.as_deref().unwrap_or("never"));
    for verb in Verb::ALL {
        let patterns = identity.permissions.patterns(verb).join(" ");
        line(verb.name(), if patterns.is_empty() { "(nothing)" } else { &patterns });
    }
    text
}

/// What helps whoever set it up: what the token says, and what is asked for.
fn hint(denied: &Denied, token: &str, auth: &AuthConfig, now_s: i64) -> String {
    let says = |part: usize, member: &str| {
        let part = token.split('.').nth(part)?;
        let json = URL_SAFE_NO_PAD.decode(part).ok()?;
        let value = serde_json::from_slice::<Value>(&json).ok()?.get(member)?.clone();
        // As JSON: control characters are escaped.
        Some(value.to_string().chars().take(200).collect::<String>())
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let seconds = |member: &str| says(1, member)?.parse::<f64>().ok();
    match denied {
        Denied::Issuer => {
            let trusted: Vec<_> = auth.sources.iter().map(|it| it.issuer.as_str()).collect();
            format!("; its iss is {}, trusted: {}", or_none(says(1, "iss")), trusted.join(", "))
        }
        Denied::Audience => {
            let ours = auth.audience.join(", ");
            format!("; its aud is {}, auth.audience: [{ours}]", or_none(says(1, "aud")))
        }
        Denied::Algorithm => format!("; its alg is {}", or_none(says(0, "alg"))),
        Denied::UnknownKey { source, .. } => {
            format!("; its kid is {}, its source `{source}`", or_none(says(0, "kid")))
        }
        Denied::Expired => {
            let ago = seconds("exp").map(|end_s| span(now_s - end_s as i64));
            ago.map_or_else(String::new, |ago| format!(", {ago} ago"))
        }
        Denied::NotYet => {
            let until = seconds("nbf").map(|begin_s| span(begin_s as i64 - now_s));
            until.map_or_else(String::new, |until| format!("; it will be in {until}"))
        }
        _ => String::new(),
    }
}

fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
