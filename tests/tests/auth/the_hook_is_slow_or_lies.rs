//! The operator's hook: what it says holds, and when it says nothing, nobody gets in.

use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::feed::{FeedClient, add_part};
use corecast_tests::raw::RawClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::hook_server::{HookServer, ask_hook, http, knock, says};
use crate::{ensure_error, now_s, serve, token};

#[test]
fn whatever_goes_wrong_is_a_no() -> Result<()> {
    let hook = HookServer::start(|question| {
        let cookie = question["headers"]["cookie"][0].as_str().unwrap_or_default().to_owned();
        match cookie.as_str() {
            "yes" => says(&json!({"allow": true, "user": "u1"})),
            "no" => says(&json!({"allow": false, "reason": "banned"})),
            "slow" => {
                thread::sleep(Duration::from_secs(3));
                says(&json!({"allow": true}))
            }
            "dead" => String::new(),
            "500" => http(500, "{\"allow\":true}"),
            "204" => http(204, ""),
            "redirect" => {
                "HTTP/1.1 307 X\r\nLocation: /yes\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            "huge" => http(200, &format!("{{\"allow\":true,\"x\":\"{}\"}}", "x".repeat(1 << 20))),
            "cut" => "HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{\"allow\":true}".to_owned(),
            "text" => http(200, "yes"),
            "string" => says(&json!({"allow": "true"})),
            "expired" => says(&json!({"allow": true, "expires_at": now_s() - 1})),
            "pattern" => says(&json!({"allow": true, "topics": {"subscribe": ["a..b"]}})),
            _ => says(&json!({})),
        }
    })?;
    let more = "timeout_ms = 500\nheaders = [\"cookie\"]";
    let server = ask_hook(&hook, "\"connect\"", more)?;
    for target in ["/feed", "/ws/chat.a", "/echo"] {
        ensure!(knock(&server, target, "yes")?.0 == 101, "{target}");
        let (status, body) = knock(&server, target, "no")?;
        ensure!(status == 403 && body.contains("banned"), "{status} {body}");
        ensure!(knock(&server, target, "expired")?.0 == 403);
    }
    for cookie in
        ["dead", "500", "204", "redirect", "huge", "text", "string", "pattern", "nothing", ""]
    {
        let (status, body) = knock(&server, "/feed", cookie)?;
        ensure!(status == 503 && !body.is_empty(), "{cookie}: {status} {body}");
    }
    for cookie in ["slow", "cut"] {
        let begun = Instant::now();
        ensure!(knock(&server, "/feed", cookie)?.0 == 503, "{cookie}");
        ensure!(begun.elapsed() < Duration::from_secs(2), "{cookie}: {:?}", begun.elapsed());
    }
    let asked = hook.asked();
    ensure!(asked.iter().all(|it| it["event"] == "connect"), "{asked:?}");
    ensure!(asked[0]["path"] == "/feed" && asked[0]["address"] == "127.0.0.1", "{}", asked[0]);
    server.stop()
}

#[test]
fn who_the_hook_says_it_is_it_is_and_for_as_long() -> Result<()> {
    let hook = HookServer::start(|_| {
        says(&json!({
            "allow": true, "user": "u7", "expires_at": now_s() + 2,
            "topics": {"subscribe": ["chat.*"], "publish": ["chat.a"]},
        }))
    })?;
    let server = ask_hook(&hook, "\"connect\"", "")?;
    let mut client = FeedClient::open(server.address())?;
    let answer = client.subscribe(&["chat.a", "trade.a"])?;
    ensure!(answer["ok"][0]["topic"] == "chat.a" && answer["errors"][0]["code"] == 403, "{answer}");
    let sent = client.ask(json!({"type": "send", "to": {"user": "u7"}, "data": 1}))?;
    ensure!(sent["delivered"] == 1, "{sent}");
    ensure_error(&client.ask(json!({"type": "publish", "topic": "chat.b", "data": 1}))?, 403)?;
    crate::a_session_acts_before_it_is_known::closed(&mut client, 4401)?;
    server.stop()
}

#[test]
fn commands_are_asked_about_and_keep_their_order() -> Result<()> {
    let hook = HookServer::start(|question| {
        thread::sleep(Duration::from_millis(100));
        match question["topics"][0].as_str().unwrap_or_default() {
            "chat.no" => says(&json!({"allow": false, "reason": "not this one"})),
            "chat.some" => says(&json!({"allow": true, "topics": {"subscribe": ["chat.some"]}})),
            "chat.dead" => String::new(),
            _ => says(&json!({"allow": true})),
        }
    })?;
    let server = ask_hook(&hook, "\"subscribe\", \"publish\"", "timeout_ms = 1000")?;
    let mut client = FeedClient::open(server.address())?;
    let publish = |topic: &str| json!({"type": "publish", "topic": topic, "data": 1});
    let subscribe = |topics: &[&str]| json!({"type": "subscribe", "topics": topics});
    let commands = [
        subscribe(&["chat.a"]),
        publish("chat.a"),
        json!({"type": "ping"}),
        subscribe(&["chat.no"]),
        publish("chat.no"),
        subscribe(&["chat.some", "chat.other"]),
        publish("chat.dead"),
        json!({"type": "unsubscribe", "topics": ["chat.a"]}),
        publish("chat.a"),
    ];
    for (id, command) in commands.iter().enumerate() {
        let mut command = command.clone();
        command["id"] = id.into();
        client.send(&command)?;
    }
    let mut answers: Vec<Value> = Vec::new();
    let mut messages = 0;
    let whole = |answer: &&Value| answer["remaining"].as_u64().unwrap_or(0) == 0;
    while answers.iter().filter(whole).count() < commands.len() {
        let event = client.next()?;
        match event["type"].as_str().unwrap_or_default() {
            "message" => messages += 1,
            "snapshot" | "joined" | "left" => {}
            // What another shard says comes in a part of its own.
            _ => match answers.iter_mut().find(|answer| answer["id"] == event["id"]) {
                Some(before) => add_part(before, &event)?,
                None => answers.push(event),
            },
        }
    }
    // They are done in order; a number that comes from another shard is told when it comes.
    answers.sort_by_key(|answer| answer["id"].as_u64());
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_u64()).collect();
    ensure!(ids == (0..9).map(Some).collect::<Vec<_>>(), "{answers:?}");
    ensure!(messages == 1, "its own, as long as it was subscribed");
    let code = |place: usize| answers[place]["code"].as_u64();
    ensure!((code(3), code(4), code(6)) == (Some(403), Some(403), Some(503)), "{answers:?}");
    ensure!(answers[3]["message"].as_str().is_some_and(|text| text.contains("not this one")));
    ensure!(answers[5]["ok"][0]["topic"] == "chat.some", "{}", answers[5]);
    ensure!(answers[5]["errors"][0]["code"] == 403, "{}", answers[5]);
    // The raw doors: to join is asked about; to publish there is not possible.
    let (status, body) = knock(&server, "/ws/chat.no", "")?;
    ensure!(status == 403 && body.contains("not this one"), "{status} {body}");
    ensure!(knock(&server, "/ws/chat.dead", "")?.0 == 503);
    ensure!(knock(&server, "/ws/chat.a", "")?.0 == 101);
    server.stop()
}

#[test]
fn who_may_not_subscribe_reads_neither_the_past_nor_the_members() -> Result<()> {
    let hook = HookServer::start(|question| {
        let topic = question["topics"][0].as_str().unwrap_or_default();
        says(&json!({"allow": topic != "chat.secret"}))
    })?;
    let server = ask_hook(&hook, "\"subscribe\"", "")?;
    let mut client = FeedClient::open(server.address())?;
    for topic in ["chat.open", "chat.secret"] {
        client.ask(json!({"type": "publish", "topic": topic, "data": 1}))?;
    }
    for command in ["history", "presence"] {
        let ask = |topic: &str| json!({"type": command, "topic": topic});
        ensure!(client.ask(ask("chat.open"))?["type"] == command);
        ensure_error(&client.ask(ask("chat.secret"))?, 403)?;
    }
    let asked = hook.asked();
    ensure!(asked.len() == 4 && asked.iter().all(|it| it["event"] == "subscribe"), "{asked:?}");
    server.stop()
}

#[test]
fn an_answer_is_remembered_for_its_question_alone() -> Result<()> {
    let hook = HookServer::start(|question| {
        let user = question["headers"]["cookie"][0].as_str().unwrap_or_default().to_owned();
        match question["event"] == "connect" {
            true => says(&json!({"allow": true, "user": user})),
            false => says(&json!({"allow": question["user"] == "u1"})),
        }
    })?;
    let more = "cache_ms = 60000\nheaders = [\"cookie\"]";
    let server = ask_hook(&hook, "\"connect\", \"subscribe\"", more)?;
    let connect = |user: &str| FeedClient::open_with(server.address(), &[("Cookie", user)]);
    for _ in 0..3 {
        let answer = connect("u1")?.subscribe(&["chat.a"])?;
        ensure!(answer["ok"][0]["topic"] == "chat.a", "{answer}");
        let refused = connect("u2")?.ask(json!({"type": "subscribe", "topics": ["chat.a"]}))?;
        ensure_error(&refused, 403)?;
    }
    let count = hook.asked().len();
    // Two users, two questions each; each of two shards asks for itself.
    ensure!((4..=8).contains(&count), "asked {count} times: {:?}", hook.asked());
    server.stop()
}

#[test]
fn a_token_and_the_hook_must_both_say_yes() -> Result<()> {
    let hook = HookServer::start(|question| match question["user"].as_str() {
        Some("u1") => says(&json!({"allow": true})),
        Some("u2") => says(&json!({"allow": true, "user": "somebody else"})),
        _ => says(&json!({"allow": false, "reason": "unknown"})),
    })?;
    let auth = format!(
        "mode = \"required\"\n[auth.hook]\nurl = \"http://{}/ask\"\non = [\"connect\"]\n",
        hook.address
    );
    let server = serve(&auth)?;
    for (user, is_in) in [("u1", true), ("u2", false), ("u3", false)] {
        let mut client = RawClient::connect(server.address())?;
        let bearer = crate::bearer(&token(user)?);
        let head = client.ask("/feed", &[], &[("Authorization", &bearer)])?;
        ensure!((head.status == 101) == is_in, "{user}: {}", head.text);
        let mut client = FeedClient::open(server.address())?;
        let answer = client.ask(json!({"type": "auth", "token": token(user)?}))?;
        ensure!((answer["type"] == "authenticated") == is_in, "{user}: {answer}");
        ensure!(is_in || answer["code"] == 403, "{user}: {answer}");
    }
    let before = hook.asked().len();
    let mut client = FeedClient::open(server.address())?;
    ensure_error(&client.ask(json!({"type": "auth", "token": "x"}))?, 401)?;
    ensure!(hook.asked().len() == before, "a bad token is no question");
    server.stop()
}

#[test]
fn a_hook_that_answers_nobody_holds_up_nobody_who_is_in() -> Result<()> {
    let hook = HookServer::start(|question| {
        if question["headers"]["cookie"][0] == "slow" {
            thread::sleep(Duration::from_secs(30));
        }
        says(&json!({"allow": true}))
    })?;
    let more = "timeout_ms = 3000\nconcurrency_max = 2\nqueue_max = 4\nheaders = [\"cookie\"]";
    let server = ask_hook(&hook, "\"connect\"", more)?;
    let mut inside = FeedClient::open(server.address())?;
    inside.subscribe(&["trade.a"])?;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut client = RawClient::connect(server.address())?;
        let request = corecast_wire::client::request(
            "a",
            "/feed",
            corecast_tests::raw::KEY,
            &[],
            &[("Cookie", "slow")],
        )?;
        client.send(&request)?;
        waiting.push(client);
    }
    let begun = Instant::now();
    for _ in 0..50 {
        let answer = inside.ask(json!({"type": "publish", "topic": "trade.a", "data": 1}))?;
        ensure!(answer["type"] == "published", "{answer}");
    }
    ensure!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for client in &mut waiting {
        let head = client.read_head()?;
        ensure!(head.status == 503, "{}", head.text);
    }
    ensure!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    server.stop()
}
