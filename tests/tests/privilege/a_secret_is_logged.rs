//! Secrets come from files and variables, and are never told again: not in the log at its most
//! talkative, not by `corecast config`, not in an error.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use corecast_bench::process::Launch;
use corecast_tests::raw::{KEY, RawClient};
use corecast_tests::server::TestServer;
use corecast_wire::client;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure, eyre};
use jsonwebtoken::{EncodingKey, Header, encode};
use rustix::process::Signal;
use serde_json::json;

use crate::a_service::Place;

const OF_FILE: &str = "f1le-s3cret-0123456789-0123456789-0123456789";
const OF_VARIABLE: &str = "var1able-s3cret-0123456789-0123456789-01234";
const GARBAGE: &str = "n0-t0ken-at-all.0123456789.abcdefghij";

/// A place with both kinds of secrets, and the configuration that names them.
fn with_secrets() -> Result<Place> {
    let place = Place::new()?;
    let file = place.folder().join("secret");
    std::fs::write(&file, OF_FILE)?;
    let config = format!(
        "[auth]\nmode = \"required\"\nquery = \"access_token\"\ncookie = \"session\"\n\n\
         [origin]\nallow = [\"https://example.org\"]\n\n\
         [[auth.sources]]\nname = \"a\"\nissuer = \"https://file.example\"\n\
         secret_file = {file:?}\n\n\
         [[auth.sources]]\nname = \"b\"\nissuer = \"https://var.example\"\n\
         secret_env = \"TOKEN_SECRET\"\n\n{}",
        place.tls()
    );
    std::fs::write(place.folder().join("corecast.toml"), config)?;
    Ok(place)
}

/// A token that is good, or was signed with another secret.
fn token(issuer: &str, secret: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let claims = json!({"iss": issuer, "sub": "u1", "exp": now + 600, "topics": {}});
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))?)
}

#[test]
fn the_log_at_level_trace_has_no_secret_and_no_token() -> Result<()> {
    let place = with_secrets()?;
    let log = place.folder().join("log");
    let to_file = format!("exec \"$@\" 2>{}", log.display());
    let server = TestServer::launch(
        &Launch::new(place.program())
            .args(["serve", "--echo", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"])
            .args(["--log-level=trace", "--config"])
            .arg(place.folder().join("corecast.toml"))
            .env("TOKEN_SECRET", OF_VARIABLE)
            .wrapped_by(["sh", "-c", &to_file, "sh"]),
    )?;
    let tokens = [
        token("https://file.example", OF_FILE)?,
        token("https://var.example", OF_VARIABLE)?,
        token("https://file.example", "an0ther-s3cret-0123456789-0123456789-012")?,
        token("https://else.example", OF_FILE)?,
        GARBAGE.to_owned(),
    ];
    let mut statuses = Vec::new();
    for token in &tokens {
        statuses.push(show(&server, token)?);
    }
    // In the query, as bearer, in a cookie; and after the upgrade, where it is refused later.
    ensure!(statuses[..2].iter().flatten().all(|status| *status == 101), "good: {statuses:?}");
    ensure!(statuses[2..].iter().all(|each| *each == [403, 403, 403, 101]), "bad: {statuses:?}");
    server.process().signal(Signal::HUP)?;
    std::thread::sleep(Duration::from_millis(300));
    server.stop()?;

    let said = std::fs::read_to_string(&log)?;
    for level in ["TRACE", "DEBUG"] {
        ensure!(said.contains(level), "the log says everything: {said}");
    }
    holds_no_secret(&said)?;
    let key = std::fs::read_to_string(place.folder().join("key.pem"))?;
    let lines = Vec::from_iter(key.lines().filter(|line| !line.starts_with("-----")));
    ensure!(!lines.is_empty() && lines.iter().all(|line| !said.contains(line)), "the key of TLS");
    for token in &tokens {
        let signature = token.rsplit('.').next().unwrap_or_default();
        ensure!(signature.len() >= 10 && !said.contains(signature), "{token} is in the log");
    }
    Ok(())
}

/// Shows a token in each place where one may be; gives the status of each answer.
fn show(server: &TestServer, token: &str) -> Result<Vec<u16>> {
    let target = format!("/feed?access_token={token}&a=1");
    let (bearer, cookie) = (format!("Bearer {token}"), format!("session={token}"));
    let origin = ("Origin", "https://example.org");
    let mut statuses = Vec::new();
    for (target, fields) in [
        (target.as_str(), vec![]),
        ("/feed", vec![("Authorization", bearer.as_str())]),
        ("/feed", vec![("Cookie", cookie.as_str()), origin]),
        ("/feed", vec![]),
    ] {
        let mut client = RawClient::connect(server.address())?;
        client.send(&client::request("example.org", target, KEY, &[], &fields)?)?;
        let head = client.read_head()?;
        ensure!(!head.text.contains(token), "the answer repeats the token: {}", head.text);
        statuses.push(head.status);
        if head.status == 101 {
            let auth = json!({"type": "auth", "id": 1, "token": token}).to_string();
            client.send_frame(Opcode::Text, auth.as_bytes())?;
            let _ = client.receive()?;
        }
    }
    Ok(statuses)
}

#[test]
fn the_configuration_is_printed_without_secrets() -> Result<()> {
    let place = with_secrets()?;
    let config = place.folder().join("corecast.toml");
    let printed = corecast(&place, &["config", "--print", "--config"], &config)?;
    ensure!(printed.0 == Some(0), "{}", printed.1);
    ensure!(printed.1.contains("TOKEN_SECRET"), "it names the variable: {}", printed.1);
    holds_no_secret(&printed.1)?;
    let checked = corecast(&place, &["config", "--check"], &config)?;
    ensure!(checked.0 == Some(0), "{}", checked.1);
    holds_no_secret(&checked.1)
}

#[test]
fn a_secret_that_is_refused_is_not_told() -> Result<()> {
    let place = with_secrets()?;
    let short = "sh0rt-s3cret";
    std::fs::write(place.folder().join("secret"), short)?;
    let config = place.folder().join("corecast.toml");
    let refused = corecast(&place, &["serve", "--listen=127.0.0.1:0", "--config"], &config)?;
    ensure!(refused.0 == Some(78), "{refused:?}");
    ensure!(!refused.1.contains(short), "{}", refused.1);
    ensure!(refused.1.contains("secret"), "it says which file: {}", refused.1);
    holds_no_secret(&refused.1)
}

/// Runs the program with a configuration; its exit code and all that it said.
fn corecast(place: &Place, words: &[&str], config: &Path) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(place.program());
    command.args(words).arg(config).env("TOKEN_SECRET", OF_VARIABLE);
    let output = command.output()?;
    let text = [&output.stdout[..], &output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
}

fn holds_no_secret(text: &str) -> Result<()> {
    for secret in [OF_FILE, OF_VARIABLE] {
        ensure!(!text.contains(secret), "a secret stands in: {text}");
    }
    // Nor as bytes in a list, or base64 of them.
    let first = OF_FILE.bytes().map(|byte| byte.to_string()).take(6);
    let bytes = Vec::from_iter(first).join(", ");
    ensure!(!text.contains(&bytes), "a secret stands there as bytes: {text}");
    let encoded = "ZjFsZS1zM2NyZXQ";
    (!text.contains(encoded)).then_some(()).ok_or_else(|| eyre!("in base64: {text}"))
}
