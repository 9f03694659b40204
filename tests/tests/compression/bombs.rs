//! 64 MiB in 64 KiB, whole, in fragments, and before anybody has said who they are.

use corecast_tests::raw::{RawClient, Received, frame};
use corecast_tests::server::TestServer;
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, bail, ensure};

use crate::deflated;

const CONFIG: &str = "\
    shards = 2\n\
    [compression]\n\
    enabled = true\n\
    client_context = true\n\
    inflaters_max = 8\n\
    [connection]\n\
    message_bytes_max = 65_536\n";

/// What may be in use at once: eight inflaters of two shards, and a message each.
const GROWTH_BYTES_MAX: u64 = 24 << 20;

#[test]
fn a_bomb_ends_its_connection_with_1009_and_takes_no_memory() -> Result<()> {
    let siege = Siege::around(TestServer::start_with(CONFIG, [""; 0])?)?;
    let bomb = deflated(&vec![b'a'; 64 << 20]);
    ensure!(bomb.len() < 66_000, "{} bytes stand for 64 MiB", bomb.len());
    // The feed has heard nothing of its client yet, neither `auth` nor anything else.
    for target in ["/echo", "/feed"] {
        for parameters in ["", "; client_no_context_takeover"] {
            for fragment_bytes in [bomb.len(), 1000] {
                let mut client = RawClient::connect(siege.address())?;
                let agreed = client.upgrade_deflate(target, parameters)?;
                ensure!(agreed.is_some(), "nothing was agreed to");
                send(&mut client, &bomb, fragment_bytes);
                let (code, reason) = client.expect_close()?;
                ensure!(code == 1009, "{target}{parameters}: {code} {reason}");
                let grown = siege.grown_bytes()?;
                ensure!(grown < GROWTH_BYTES_MAX, "{grown} bytes for a bomb");
            }
        }
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_hundred_bombs_that_never_end_take_no_more_than_their_inflaters() -> Result<()> {
    let siege = Siege::around(TestServer::start_with(CONFIG, [""; 0])?)?;
    // Each stands for 60 KiB, which is allowed, and waits for its end.
    let bomb = deflated(&vec![b'a'; 60 << 10]);
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = RawClient::connect(siege.address())?;
        client.upgrade_deflate("/echo", "; client_no_context_takeover")?;
        client.send(&frame(0x41, &bomb))?;
        clients.push(client);
    }
    for client in &mut clients {
        client.send(&frame(0x89, b"there?"))?;
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let grown = siege.grown_bytes()?;
    ensure!(grown < GROWTH_BYTES_MAX, "{grown} bytes for a hundred begun messages");
    drop(clients);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_bomb_before_auth_stops_at_the_limit_where_a_token_is_required() -> Result<()> {
    let secret = std::env::temp_dir().join(format!("corecast-bomb-{}", std::process::id()));
    std::fs::write(&secret, "thirty-two bytes that nobody else has")?;
    let source = format!("[[auth.sources]]\nname = \"main\"\nsecret_file = {secret:?}\n");
    let config = [CONFIG, "[auth]\nmode = \"required\"\n", &source].concat();
    let server = TestServer::start_with(&config, [""; 0]);
    std::fs::remove_file(&secret)?;
    let server = server?;
    let bomb = deflated(&vec![b'a'; 64 << 20]);
    let at_rest = server.usage()?.rss_anon_bytes;
    for parameters in ["", "; client_no_context_takeover"] {
        for fragment_bytes in [bomb.len(), 1000] {
            let mut strangers = Vec::new();
            for _ in 0..20 {
                let mut stranger = RawClient::connect(server.address())?;
                let agreed = stranger.upgrade_deflate("/feed", parameters)?;
                ensure!(agreed.is_some(), "nothing was agreed to");
                send(&mut stranger, &bomb, fragment_bytes);
                strangers.push(stranger);
            }
            for stranger in &mut strangers {
                let (code, reason) = stranger.expect_close()?;
                ensure!(code == 1009, "{parameters}, {fragment_bytes}: {code} {reason}");
            }
            let grown = server.usage()?.rss_anon_bytes.saturating_sub(at_rest);
            ensure!(grown < GROWTH_BYTES_MAX, "{grown} bytes for twenty bombs");
        }
    }
    // A stranger who sends a little is still answered, and still has to say who he is.
    let mut stranger = RawClient::connect(server.address())?;
    stranger.upgrade_deflate("/feed", "")?;
    stranger.send(&frame(0xc1, &deflated(br#"{"type":"subscribe","topics":["a.b"]}"#)))?;
    loop {
        match stranger.receive()? {
            Received::Text(text) if text.contains("needs `auth` before it") => break,
            Received::Text(text) => ensure!(text.contains("welcome"), "{text}"),
            other => bail!("{other:?} instead of an answer"),
        }
    }
    drop(stranger);
    server.stop()
}

/// The first frame says that the message is compressed; the server may end it at any of them.
fn send(client: &mut RawClient, bomb: &[u8], fragment_bytes: usize) {
    let count = bomb.len().div_ceil(fragment_bytes);
    for (index, part) in bomb.chunks(fragment_bytes).enumerate() {
        let fin = if index + 1 == count { 0x80 } else { 0 };
        let first = if index == 0 { 0x41 } else { 0 };
        if client.send(&frame(fin | first, part)).is_err() {
            return;
        }
    }
}
