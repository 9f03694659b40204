//! What the hook said holds for as long as it said, and for whom it said it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::feed::FeedClient;
use corecast_tests::raw::{KEY, RawClient};
use eyre::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::a_session_acts_before_it_is_known::closed;
use crate::hook_server::{HookServer, ask_hook, says};
use crate::{bearer, ensure_error, now_s, serve, token, token_for};

#[test]
fn a_subscription_ends_when_the_hook_has_said() -> Result<()> {
    let hook = HookServer::start(|question| {
        let topic = question["topics"][0].as_str().unwrap_or_default();
        says(&match topic.starts_with("chat.") {
            true => json!({"allow": true, "expires_at": now_s() + 2}),
            false => json!({"allow": true}),
        })
    })?;
    let server = ask_hook(&hook, "\"subscribe\"", "cache_ms = 60000")?;
    let mut client = FeedClient::open(server.address())?;
    let mut other = FeedClient::open(server.address())?;
    ensure!(client.subscribe(&["trade.a"])?["ok"][0]["topic"] == "trade.a");
    let granted = client.subscribe(&["chat.a", "chat.*"])?;
    ensure!(granted["ok"].as_array().is_some_and(|ok| ok.len() == 2), "{granted}");
    // At the raw door the topic is all that the connection has.
    let mut raw = RawClient::connect(server.address())?;
    raw.upgrade("/ws/chat.b")?;
    let before = hook.asked().len();
    client.forget();
    let ended = client.skip_to("unsubscribed")?;
    ensure!(ended["code"] == 401 && ended["ok"] == json!(["chat.*", "chat.a"]), "{ended}");
    ensure!(raw.expect_close()?.0 == 4401, "the raw door");
    for topic in ["chat.a", "chat.c", "trade.a"] {
        let answer = other.ask(json!({"type": "publish", "topic": topic, "data": 1}))?;
        ensure!(answer["type"] == "published", "{answer}");
    }
    ensure!(client.skip_to("message")?["topic"] == "trade.a", "what has no end goes on");
    // The yes that was remembered has ended as well: the hook is asked again, and is obeyed.
    let again = client.subscribe(&["chat.a", "chat.*"])?;
    ensure!(again["ok"].as_array().is_some_and(|ok| ok.len() == 2), "{again}");
    ensure!(hook.asked().len() == before + 1, "{:?}", hook.asked());
    server.stop()
}

#[test]
fn who_says_late_who_he_is_is_judged_by_where_he_came_from() -> Result<()> {
    let hook = HookServer::start(|question| {
        let came_well = question["path"] == "/feed"
            && question["address"] == "127.0.0.1"
            && question["origin"] == Value::Null
            && question["headers"]["x-device"][0] == "good";
        says(&json!({"allow": came_well, "reason": "not from there"}))
    })?;
    let server = serve(&format!(
        "mode = \"required\"\n[auth.hook]\nurl = \"http://{}/ask\"\nheaders = [\"x-device\"]\n",
        hook.address
    ))?;
    let command = json!({"type": "auth", "token": token("u1")?});
    for (device, code) in [(Some("good"), None), (Some("bad"), Some(403)), (None, Some(403))] {
        let headers: Vec<_> = device.into_iter().map(|value| ("X-Device", value)).collect();
        let mut client = FeedClient::open_with(server.address(), &headers)?;
        let answer = client.ask(command.clone())?;
        match code {
            Some(code) => {
                ensure_error(&answer, code)?;
                closed(&mut client, 4403)?;
            }
            None => {
                ensure!(answer["type"] == "authenticated", "{answer}");
                // A newer token is judged by the same.
                ensure!(client.ask(command.clone())?["type"] == "authenticated");
            }
        }
    }
    let asked = hook.asked();
    let is_whole = |it: &Value| it["address"] == "127.0.0.1" && it["client"].is_string();
    ensure!(asked.len() == 4 && asked.iter().all(is_whole), "{asked:?}");
    server.stop()
}

#[test]
fn a_newer_token_is_asked_about_too() -> Result<()> {
    // Yes; yes, but less; no; nothing.
    let count = AtomicUsize::new(0);
    let hook = HookServer::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => says(&json!({"allow": true})),
        1 => says(&json!({"allow": true, "topics": {"subscribe": ["trade.*"]}})),
        2 => says(&json!({"allow": false, "reason": "banned"})),
        _ => String::new(),
    })?;
    let server =
        serve(&format!("mode = \"required\"\n[auth.hook]\nurl = \"http://{}/\"\n", hook.address))?;
    let mine = token("u1")?;
    let mut client = FeedClient::open_with(server.address(), &[("Authorization", &bearer(&mine))])?;
    client.subscribe(&["chat.a", "trade.a"])?;
    client.forget();
    let renew = json!({"type": "auth", "token": mine});
    ensure!(client.ask(renew.clone())?["type"] == "authenticated");
    let ended = client.skip_to("unsubscribed")?;
    ensure!(ended["ok"] == json!(["chat.a"]) && ended["code"] == 403, "{ended}");
    let banned = client.ask(renew.clone())?;
    ensure_error(&banned, 403)?;
    ensure!(banned["message"].as_str().is_some_and(|it| it.contains("banned")), "{banned}");
    ensure_error(&client.ask(renew)?, 503)?;
    // What is refused changes nothing.
    ensure!(client.ask(json!({"type": "history", "topic": "trade.a"}))?["type"] == "history");
    ensure_error(&client.ask(json!({"type": "history", "topic": "chat.a"}))?, 403)?;
    server.stop()
}

/// Holds answers back until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        if let Ok(mut is_open) = self.0.0.lock() {
            *is_open = true;
            self.0.1.notify_all();
        }
    }

    fn wait(&self) {
        if let Ok(is_open) = self.0.0.lock() {
            let patience = Duration::from_secs(30);
            drop(self.0.1.wait_timeout_while(is_open, patience, |is_open| !*is_open));
        }
    }
}

#[test]
fn who_finds_the_queue_full_is_refused_at_once_and_the_others_are_not() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let hook = HookServer::start(move |_| {
        held.wait();
        says(&json!({"allow": true}))
    })?;
    let more = "timeout_ms = 20000\nconcurrency_max = 1\nqueue_max = 2";
    let server = ask_hook(&hook, "\"connect\"", more)?;
    let request = corecast_wire::client::request("a", "/echo", KEY, &[], &[])?;
    // One is asked about, one waits for that, and two are in the queue; where all come before the
    // first is taken out of it, two are all.
    let refused = AtomicUsize::new(0);
    let statuses = thread::scope(|scope| {
        let knock = || -> Result<u16> {
            let mut client = RawClient::connect(server.address())?;
            client.set_patience(Duration::from_secs(30));
            client.send(&request)?;
            let head = client.read_head()?;
            if head.status != 101 {
                ensure!(head.header("retry-after").is_some(), "{}", head.text);
                refused.fetch_add(1, Ordering::SeqCst);
            }
            Ok(head.status)
        };
        let clients: Vec<_> = (0..10).map(|_| scope.spawn(knock)).collect();
        let until = Instant::now() + Duration::from_secs(20);
        while refused.load(Ordering::SeqCst) < 6 && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let count = refused.load(Ordering::SeqCst);
        let is_asked = hook.wait_for(1);
        let asked = hook.asked().len();
        gate.open();
        is_asked?;
        ensure!(count >= 6 && asked == 1, "{count} refused while {asked} were asked about");
        let statuses = clients.into_iter().map(|client| match client.join() {
            Ok(status) => status,
            Err(_) => bail!("a client panicked"),
        });
        statuses.collect::<Result<Vec<u16>>>()
    })?;
    let let_in = statuses.iter().filter(|status| **status == 101).count();
    ensure!((2..=4).contains(&let_in), "{statuses:?}");
    ensure!(statuses.iter().all(|status| matches!(status, 101 | 503)), "{statuses:?}");
    server.stop()
}

#[test]
fn a_token_ends_while_the_hook_is_silent() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let hook = HookServer::start(move |_| {
        held.wait();
        says(&json!({"allow": true}))
    })?;
    let server = serve(&format!(
        "mode = \"required\"\n[auth.hook]\nurl = \"http://{}/\"\non = [\"publish\"]\n\
         timeout_ms = 20000\n",
        hook.address
    ))?;
    let all = json!({"subscribe": [">"], "publish": [">"]});
    let mut witness =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token("u2")?))])?;
    witness.subscribe(&["trade.a"])?;
    let mut client = FeedClient::open(server.address())?;
    let known = client.ask(json!({"type": "auth", "token": token_for("u1", 3, &all)?}))?;
    ensure!(known["type"] == "authenticated", "{known}");
    for number in 0..3 {
        client.send(&json!({"type": "publish", "topic": "trade.a", "data": number}))?;
    }
    hook.wait_for(1)?;
    closed(&mut client, 4401)?;
    ensure!(hook.asked().len() == 1, "{:?}", hook.asked());
    gate.open();
    // Nothing that waited is done afterwards.
    thread::sleep(Duration::from_millis(300));
    witness.forget();
    witness.expect_nothing()?;
    server.stop()
}
