//! SIGHUP under a server that asks for tokens: modes, rights and origins of now hold.

use crate::issuer::{Folder, Key};
use crate::keys_change::{becomes, serve, upgrade};
use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};
use rustix::process::Signal;
use std::thread;
use std::time::{Duration, Instant};

/// The status for a page of this origin, with a token or without, at the door of a topic.
fn status(server: &TestServer, topic: &str, origin: &str, token: Option<&str>) -> Result<u16> {
    let mut client = RawClient::connect(server.address())?;
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Origin", origin)];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    Ok(client.ask(&format!("/ws/{topic}"), &[], &headers)?.status)
}

#[test]
fn modes_rights_and_origins_of_now_hold() -> Result<()> {
    let folder = Folder::new("auth-hangup")?;
    let key = Key::new("k1")?;
    let token = key.token()?;
    let path = folder.file("key.pem", &key.public_pem())?;
    let write = |auth: &str, origin: &str| {
        let source = format!("[[auth.sources]]\nname = \"own\"\npublic_key_file = \"{path}\"\n");
        let own = "[connection]\nclose_timeout_ms = 200\n";
        let origin = format!("[origin]\nallow = [{origin}]\n");
        folder.file("c.toml", &format!("{own}[auth]\n{auth}\n{source}{origin}"))
    };
    let optional =
        |topic: &str| format!("mode = \"optional\"\nanonymous = {{ subscribe = [\"{topic}\"] }}");
    let (a, b) = ("https://a.example", "https://b.example");
    let server = serve(&write(&optional("chat.*"), &format!("\"{a}\""))?)?;
    ensure!(status(&server, "chat.a", a, None)? == 101);
    ensure!(status(&server, "trade.a", a, None)? == 403);
    ensure!(status(&server, "chat.a", b, None)? == 403);

    // Who is in stays in.
    let mut inside = RawClient::connect(server.address())?;
    inside.upgrade("/ws/chat.a")?;
    write(&optional("trade.*"), &format!("\"{b}\""))?;
    server.process().signal(Signal::HUP)?;
    wait(|| Ok(status(&server, "trade.a", b, None)? == 101))?;
    ensure!(status(&server, "chat.a", b, None)? == 403, "rights of before");
    ensure!(status(&server, "trade.a", a, None)? == 403, "an origin of before");
    ensure!(status(&server, "chat.a", b, Some(&token))? == 101, "a token's own rights");

    write("mode = \"required\"\nbearer = true", &format!("\"{a}\", \"{b}\""))?;
    server.process().signal(Signal::HUP)?;
    wait(|| Ok(status(&server, "trade.a", b, None)? == 401))?;
    ensure!(status(&server, "chat.a", a, Some(&token))? == 101);

    // An audience that the token is not for, and then none again.
    write("mode = \"required\"\naudience = [\"else\"]", "")?;
    server.process().signal(Signal::HUP)?;
    becomes(&server, &token, 403)?;
    write("mode = \"required\"", "")?;
    server.process().signal(Signal::HUP)?;
    becomes(&server, &token, 101)?;

    // What is empty, or broken, or lets everybody in, changes nothing.
    for (bad, told) in [("", "needs a restart"), ("[auth]\nmode = \"requird\"\n", "requird")] {
        folder.file("c.toml", bad)?;
        server.process().signal(Signal::HUP)?;
        wait(|| Ok(server.process().output().contains(told)))?;
        ensure!(upgrade(&server, &token)?.status == 101 && upgrade(&server, "x")?.status == 403);
    }
    inside.send_frame(corecast_wire::frame::Opcode::Ping, b"?")?;
    ensure!(inside.receive()? == corecast_tests::raw::Received::Pong(b"?".to_vec()));
    server.stop()
}

fn wait(mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so()? {
        ensure!(Instant::now() < until, "it never comes to be");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
