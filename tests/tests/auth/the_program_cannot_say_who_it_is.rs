//! `corecast subscribe` with a token: from a file or a variable, never on its command line.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use corecast_bench::process::corecast_program;
use corecast_tests::feed::FeedClient;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};
use serde_json::json;

use crate::{bearer, now_s, serve, signed, token, token_for};

fn subscribe(server: &TestServer, arguments: &[&str], variable: Option<&str>) -> Result<Child> {
    let url = format!("ws://{}/feed", server.address());
    let mut command = Command::new(corecast_program()?);
    command.args(["subscribe", "trade.a", "--raw", "--count", "2", "--url", &url]);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(value) = variable {
        command.env("MY_TOKEN", value);
    }
    Ok(command.spawn()?)
}

/// Publishes until the program has seen two messages.
fn fed(server: &TestServer, mut child: Child) -> Result<Output> {
    let mine = bearer(&token("publisher")?);
    let mut client = FeedClient::open_with(server.address(), &[("Authorization", &mine)])?;
    for number in 0..200 {
        client.ask(json!({"type": "publish", "topic": "trade.a", "data": number}))?;
        std::thread::sleep(std::time::Duration::from_millis(50));
        if child.try_wait()?.is_some() {
            break;
        }
    }
    Ok(child.wait_with_output()?)
}

fn file(content: &str) -> Result<PathBuf> {
    let name = format!("corecast-client-token-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, content)?;
    Ok(path)
}

#[test]
fn a_token_from_a_file_or_a_variable_lets_it_in() -> Result<()> {
    let server = serve("mode = \"required\"\nfirst_message = false")?;
    let good = token("u1")?;
    let path = file(&format!("{good}\n"))?;
    let name = path.to_string_lossy().into_owned();
    let found = fed(&server, subscribe(&server, &["--token-file", &name], None)?)?;
    ensure!(found.status.success() && found.stdout.len() >= 4, "{found:?}");
    let found = fed(&server, subscribe(&server, &["--token-env", "MY_TOKEN"], Some(&good))?)?;
    ensure!(found.status.success() && found.stdout.len() >= 4, "{found:?}");

    let expired = signed(&json!({"sub": "u1", "exp": now_s() - 60}), crate::SECRET)?;
    let found = subscribe(&server, &["--token-env", "MY_TOKEN"], Some(&expired))?;
    let found = found.wait_with_output()?;
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    ensure!(!found.status.success() && said.contains("403") && said.contains("expired"), "{said}");
    ensure!(!said.contains(&expired), "{said}");
    let found = subscribe(&server, &[], None)?.wait_with_output()?;
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    ensure!(!found.status.success() && said.contains("401") && said.contains("token"), "{said}");
    std::fs::remove_file(path)?;
    server.stop()
}

#[test]
fn it_comes_back_when_its_file_has_a_newer_token() -> Result<()> {
    let server = serve("mode = \"required\"")?;
    let all = json!({"subscribe": [">"]});
    let path = std::env::temp_dir().join(format!("corecast-renewed-{}", std::process::id()));
    let name = path.to_string_lossy().into_owned();
    let mine = bearer(&token("witness")?);
    let mut witness = FeedClient::open_with(server.address(), &[("Authorization", &mine)])?;
    witness.subscribe(&["chat.a"])?;
    witness.forget();
    // It is there before the token in its file is renewed, however long that takes.
    std::fs::write(&path, token_for("u1", 3, &all)?)?;
    let child = subscribe(&server, &["--token-file", &name, "chat.a"], None)?;
    witness.skip_to("joined")?;
    std::fs::write(&path, token_for("u1", 60, &all)?)?;
    witness.skip_to("left")?;
    let found = fed(&server, child)?;
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    ensure!(found.status.success() && said.contains("newer token"), "{said}");
    std::fs::remove_file(path)?;
    server.stop()
}
