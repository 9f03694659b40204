//! Who may come in, and what he may do then, through real sockets: one file for each thing to fear.

#![forbid(unsafe_code)]

mod a_page_is_taken_for_our_own;
mod a_page_or_a_token_slips_in;
mod a_session_acts_before_it_is_known;
mod a_slow_reader_outlives_its_token;
mod a_token_is_in_a_log;
mod a_token_outlives_its_end;
mod hook_server;
mod one_user_takes_all;
mod rights_are_not_kept;
mod rights_shrink_on_the_way;
mod the_hook_forgets_what_it_said;
mod the_hook_is_slow_or_lies;
mod the_program_cannot_say_who_it_is;
mod tokens_are_guessed;
mod two_issuers_share_a_name;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use corecast_tests::server::TestServer;
use eyre::{Result, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// What signs all tokens of these tests.
const SECRET: &[u8] = b"thirty-two bytes that nobody else has";

/// Namespaces in which clients publish, and somebody is present.
const NAMESPACES: &str = r#"
[[namespaces]]
name = "chat"
publish = "clients"
presence = true
history_entries = 100

[[namespaces]]
name = "trade"
publish = "clients"
history_entries = 50
"#;

/// A server that asks for tokens as `auth` says, and a second of its own shard.
fn serve(auth: &str) -> Result<TestServer> {
    serve_with(auth, &["--shards", "2"])
}

fn serve_with(auth: &str, arguments: &[&str]) -> Result<TestServer> {
    let secret = Secret::new()?;
    let path = secret.0.display();
    let feed = "[feed]\nsend = \"users\"\ncommands_per_second_max = 0\nerrors_max = 100";
    let config = format!(
        "[connection]\nclose_timeout_ms = 200\n{NAMESPACES}\n{feed}\n[auth]\n{auth}\n\
         [[auth.sources]]\nname = \"main\"\nsecret_file = \"{path}\"\n"
    );
    TestServer::start_with(&config, arguments)
}

/// A file with the secret, for as long as the server needs to start.
struct Secret(PathBuf);

impl Secret {
    fn new() -> Result<Self> {
        Self::of(SECRET)
    }

    fn of(secret: &[u8]) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-secret-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, secret)?;
        Ok(Self(path))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A token with these claims, signed with this secret.
fn signed(claims: &Value, secret: &[u8]) -> Result<String> {
    let key = EncodingKey::from_secret(secret);
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)?)
}

/// A token of a user for so long, that allows these topics.
fn token_for(user: &str, seconds: i64, topics: &Value) -> Result<String> {
    token_until(user, now_s() + seconds, topics)
}

/// The same, with its end in seconds since 1970.
fn token_until(user: &str, end_s: i64, topics: &Value) -> Result<String> {
    signed(&json!({"sub": user, "exp": end_s, "topics": topics}), SECRET)
}

/// A token of a user who may do everything for an hour.
fn token(user: &str) -> Result<String> {
    token_for(user, 3_600, &json!({"subscribe": [">"], "publish": [">"]}))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn now_s() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// An error with this code.
fn ensure_error(event: &Value, code: u16) -> Result<()> {
    ensure!(event["type"] == "error" && event["code"] == code, "{event} instead of {code}");
    Ok(())
}
