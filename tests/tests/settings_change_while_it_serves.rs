//! SIGHUP: what can be reloaded is, the rest is told, and a broken file changes nothing.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::{TestServer, launch};
use corecast_wire::frame::Opcode;
use eyre::{Result, bail};
use rustix::process::Signal;

#[test]
fn sighup_applies_what_it_can_and_tells_of_the_rest() -> Result<()> {
    let file = File::new("applies", "[feed]\nheartbeat_ms = 5000\n[outbox]\nframes_max = 100\n")?;
    let server = serve(&file, &[])?;
    let mut client = RawClient::open(server.address(), "/echo")?;
    file.write(
        "shards = 7\n[feed]\nheartbeat_ms = 250\nsend = \"users\"\n[outbox]\nframes_max = 200\n\
         [log]\nlevel = \"debug\"\n[[namespaces]]\nname = \"quote\"\n",
    )?;
    let lines = hang_up(&server, "namespaces[quote].variants_max")?;
    // In the order of their keys, each on one line with both values.
    for (key, from, to, verdict) in [
        ("feed.heartbeat_ms", "5000", "250", "setting applied"),
        ("feed.send", "\"off\"", "\"users\"", "setting applied"),
        ("log.level", "\"info\"", "\"debug\"", "setting applied"),
        ("namespaces[quote].name", "none", "\"quote\"", "setting applied"),
        ("outbox.frames_max", "100", "200", "setting needs a restart"),
    ] {
        let values =
            [&format!("key={key} "), &format!("from={from} "), &format!("to={to}"), verdict];
        let told = lines.iter().filter(|line| values.iter().all(|word| line.contains(*word)));
        assert_eq!(told.count(), 1, "{key} in {lines:#?}");
    }
    // The command line says how many shards there are, before and after.
    assert!(!lines.iter().any(|line| line.contains("key=shards")), "{lines:#?}");

    // Only what needs a restart is told again.
    let lines = hang_up(&server, "outbox.frames_max")?;
    assert!(!lines.iter().any(|line| line.contains("feed.")), "{lines:#?}");

    client.send_frame(Opcode::Text, b"still here")?;
    assert_eq!(client.receive()?, Received::Text("still here".to_owned()));
    server.stop()
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_its_lines() -> Result<()> {
    let file = File::new("broken", "[feed]\nheartbeat_ms = 5000\n")?;
    let server = serve(&file, &[])?;
    file.write("[feed]\nheartbeat_ms = 250\nerors_max = 1\n[outbox]\nbytes_max = 0\n")?;
    let lines = hang_up(&server, "nothing changes")?;
    let told = lines.iter().find(|line| line.contains("nothing changes")).expect("found before");
    for word in [":3: in `feed.erors_max`: unknown key", "`feed.errors_max`", ":5: in `outbox.b"] {
        assert!(told.contains(word), "{told} without {word}");
    }
    assert!(!lines.iter().any(|line| line.contains("setting applied")), "{lines:#?}");

    file.write("[feed]\nheartbeat_ms = 5000\n")?;
    hang_up(&server, "nothing has changed")?;
    fs::remove_file(&file.0)?;
    hang_up(&server, "cannot read the configuration")?;
    server.stop()
}

#[test]
fn the_environment_wins_over_the_file_before_and_after() -> Result<()> {
    let file = File::new("environment", "[feed]\nheartbeat_ms = 5000\n")?;
    let variables = [
        ("CORECAST_FEED__HEARTBEAT_MS", "1000"),
        ("CORECAST_LOG__LEVEL", "warn"),
        ("CORECAST_OUTBOX__BYTE_MAX", "1"),
    ];
    let server = serve(&file, &variables)?;
    let output = server.process().output();
    assert!(output.contains("did you mean CORECAST_OUTBOX__BYTES_MAX?"), "{output}");
    file.write("[feed]\nheartbeat_ms = 250\n[log]\nlevel = \"debug\"\n[flush]\nbatch_max = 9\n")?;
    let lines = hang_up(&server, "flush.batch_max")?;
    assert!(
        !lines.iter().any(|line| line.contains("feed.") || line.contains("log.")),
        "{lines:#?}"
    );
    server.stop()
}

/// A configuration file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Result<Self> {
        let name = format!("corecast-reload-{name}-{}.toml", std::process::id());
        let file = Self(env::temp_dir().join(name));
        file.write(text)?;
        Ok(file)
    }

    fn write(&self, text: &str) -> Result<()> {
        Ok(fs::write(&self.0, text)?)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A test may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}

fn serve(file: &File, variables: &[(&str, &str)]) -> Result<TestServer> {
    let launch = launch()?.args(["serve", "--echo", "--listen", "127.0.0.1:0", "--shards", "1"]);
    let launch = launch.arg("--config").arg(&file.0);
    let launch = variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
    TestServer::launch(&launch)
}

/// Sends SIGHUP, and gives the lines that were logged since, when one of them has this word.
fn hang_up(server: &TestServer, word: &str) -> Result<Vec<String>> {
    let before = server.process().output().lines().count();
    server.process().signal(Signal::HUP)?;
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let output = server.process().output();
        let new: Vec<_> = output.lines().skip(before).map(str::to_owned).collect();
        if new.iter().any(|line| line.contains(word)) {
            // The rest of the reload is a matter of microseconds.
            thread::sleep(Duration::from_millis(100));
            let output = server.process().output();
            return Ok(output.lines().skip(before).map(str::to_owned).collect());
        }
        if Instant::now() > until {
            bail!("no {word:?} after SIGHUP in: {output}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}
