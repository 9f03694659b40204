//! Whatever the server writes, tokens and secrets are not in it.

use std::process::{Command, Stdio};

use std::time::Duration;

use corecast_bench::process::corecast_program;
use corecast_tests::feed::FeedClient;
use corecast_tests::raw::RawClient;
use eyre::{Result, ensure};
use serde_json::json;

use crate::{SECRET, bearer, now_s, serve, serve_with, signed, token, token_for};

#[test]
fn no_line_at_any_level_has_a_token_in_it() -> Result<()> {
    let auth = "mode = \"required\"\ncookie = \"session\"\nquery = \"token\"";
    let log = "[log]\nlevel = \"trace\"\n";
    let mut server = serve_with(&format!("{auth}\n{log}"), &["--shards", "1"])?;
    let good = token("u1")?;
    let short = token_for("u1", 1, &json!({"subscribe": [">"]}))?;
    let forged = signed(&json!({"sub": "u1", "exp": now_s() + 60}), &[b'x'; 32])?;
    let expired = signed(&json!({"sub": "u1", "exp": now_s() - 60}), SECRET)?;
    for token in [&good, &forged, &expired, &"not-a-token".to_owned()] {
        for (target, name, value) in [
            ("/feed".to_owned(), "Authorization", bearer(token)),
            ("/ws/chat.a".to_owned(), "Cookie", format!("session={token}")),
            (format!("/feed?token={token}"), "X-Nothing", "none".to_owned()),
            (format!("/nowhere?token={token}"), "X-Nothing", "none".to_owned()),
            (format!("/ws/%zz?token={token}"), "Authorization", bearer(token)),
        ] {
            let mut client = RawClient::connect(server.address())?;
            client.ask(&target, &[], &[(name, &value)])?;
        }
        let mut client = FeedClient::open(server.address())?;
        client.ask(json!({"type": "auth", "token": token}))?;
        // A command that is none, with a token in it.
        client.send_text(&format!("{{\"type\":\"auth\",\"token\":\"{token}\",}}"))?;
        client.expect("error")?;
    }
    let mut client = FeedClient::open(server.address())?;
    client.ask(json!({"type": "auth", "token": short}))?;
    std::thread::sleep(Duration::from_millis(2_200));
    server.begin_stop()?;
    let printed = server.ended()?;
    ensure!(printed.lines().count() > 20, "little was logged: {printed}");
    let secret = String::from_utf8_lossy(SECRET);
    for token in [&*good, &short, &forged, &expired, "not-a-token", &secret] {
        let signature = token.rsplit('.').next().unwrap_or(token);
        for part in [token, signature] {
            let line = printed.lines().find(|line| line.contains(part));
            ensure!(line.is_none(), "a token is in the log: {line:?}");
        }
    }
    Ok(())
}

#[test]
fn the_client_tells_no_token_at_any_level() -> Result<()> {
    let server = serve("mode = \"required\"\nfirst_message = false")?;
    let url = format!("ws://{}/feed", server.address());
    let good = token_for("u1", 60, &json!({"subscribe": ["chat.a"]}))?;
    let forged = signed(&json!({"sub": "u1", "exp": now_s() + 60}), &[b'x'; 32])?;
    for (token, level) in
        [(&good, "trace"), (&forged, "trace"), (&good, "trace,tungstenite::handshake=trace")]
    {
        // Nothing of it is granted: it ends by itself.
        let mut command = Command::new(corecast_program()?);
        command.args(["--log-level", level, "subscribe", "trade.a", "--url", &url]);
        command.args(["--token-env", "MY_TOKEN"]).env("MY_TOKEN", token);
        let output = command.stdin(Stdio::null()).output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(!output.status.success() && said.contains("403"), "{said}");
        let signature = token.rsplit('.').next().unwrap_or(token);
        ensure!(!said.contains(&**token) && !said.contains(signature), "{said}");
    }
    server.stop()
}
