//! `corecast token sign`.

use super::wrong_key;
use crate::auth::read_key;
use crate::cli::exit::{Exit, Failure};
use crate::cli::values;
use crate::clock;
use crate::report;
use clap::Args;
use corecast_gate::keys::SecretEncoding;
use corecast_gate::token::{Grant, SigningKey};
use corecast_gate::{Permissions, Rights};
use std::path::PathBuf;
use std::time::Duration;

/// Make a token: one line on stdout
///
/// With a shared secret it is signed with HS256; with a private key with what that key is for:
/// RS256, ES256 or EdDSA. Real tokens are made by who knows the users, an identity provider or
/// your own backend; this is for trying things out, and for scripts.
#[derive(Args, Clone, Debug)]
pub(super) struct SignArgs {
    #[command(flatten)]
    key: KeyArgs,

    /// How the secret is written: `raw` or `base64url`
    #[arg(long, value_name = "HOW", default_value = "raw", value_parser = encoding)]
    secret_encoding: SecretEncoding,

    /// Id of the key, for sources that have several
    #[arg(long, value_name = "KID")]
    kid: Option<String>,

    /// The user
    #[arg(long, value_name = "USER")]
    sub: Option<String>,

    /// Who issues it; must be the `issuer` of its source, where that names one
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,

    /// Whom it is for; must be among `auth.audience`
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,

    /// Topics that may be subscribed to: a topic or a pattern, many times
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,

    /// Topics that may be published to
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,

    /// Topics whose members may be asked for; those of --subscribe where it is not given
    #[arg(long, value_name = "PATTERN")]
    presence: Option<Vec<String>>,

    /// Topics whose history may be asked for; those of --subscribe where it is not given
    #[arg(long, value_name = "PATTERN")]
    history: Option<Vec<String>>,

    /// How long it holds: 30s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = values::duration)]
    ttl: Duration,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// File with the shared secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Environment variable with the shared secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,

    /// File with the private key, in PEM (PKCS #8)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Prints a token.
pub(super) fn run(args: &SignArgs) -> Result<(), Failure> {
    let grant = grant(args, clock::wall_s())?;
    let token = key(args)?.sign(args.kid.as_deref(), &grant).map_err(wrong_key)?;
    report::say(token);
    Ok(())
}

fn key(args: &SignArgs) -> Result<SigningKey, Failure> {
    let KeyArgs { secret_file, secret_env, key_file } = &args.key;
    let unreadable = |path: &PathBuf, why: String| {
        Failure::new(Exit::NoInput, format!("{}: {why}", path.display()))
    };
    if let Some(path) = key_file {
        let pem = read_key(path).map_err(|why| unreadable(path, why))?;
        return SigningKey::from_pem(&pem).map_err(wrong_key);
    }
    let secret = match (secret_file, secret_env) {
        (Some(path), _) => read_key(path).map_err(|why| unreadable(path, why))?,
        (None, Some(name)) => std::env::var_os(name)
            .ok_or_else(|| Failure::new(Exit::NoInput, format!("{name} is not set")))?
            .into_encoded_bytes(),
        (None, None) => Vec::new(),
    };
    SigningKey::from_secret(&secret, args.secret_encoding).map_err(wrong_key)
}

/// What the token says. Where no right is named, it says nothing of topics: the server's
/// `[auth.default]` holds.
fn grant(args: &SignArgs, now_s: i64) -> Result<Grant, Failure> {
    let rights = Rights {
        subscribe: args.subscribe.clone(),
        publish: args.publish.clone(),
        presence: args.presence.clone(),
        history: args.history.clone(),
    };
    Permissions::new(&rights).map_err(|error| Failure::with_code(2, error))?;
    let ttl_s = i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX);
    Ok(Grant {
        iss: args.issuer.clone(),
        sub: args.sub.clone(),
        aud: args.audience.clone(),
        iat: Some(now_s),
        exp: Some(now_s.saturating_add(ttl_s)),
        topics: (rights != Rights::default()).then_some(rights),
    })
}

fn encoding(text: &str) -> Result<SecretEncoding, String> {
    match text {
        "raw" => Ok(SecretEncoding::Raw),
        "base64url" => Ok(SecretEncoding::Base64url),
        _ => Err("expected raw or base64url".to_owned()),
    }
}
