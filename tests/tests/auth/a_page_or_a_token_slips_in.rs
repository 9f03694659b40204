//! The matrix of what comes with an upgrade: page, token, door. Nothing is let in that should not
//! be, and who is not let in is told why.

use corecast_tests::raw::RawClient;
use eyre::{Result, ensure};
use serde_json::json;

use crate::{SECRET, bearer, now_s, serve, signed, token};

/// Header fields with a token.
type Headers = Vec<(&'static str, String)>;

/// Pages, and whether they may connect where `https://app.example` is named, and the server's own.
fn pages(own: &str) -> Vec<(Option<String>, bool)> {
    let named = |origin: &str| Some(origin.to_owned());
    vec![
        (None, true),
        (named("https://app.example"), true),
        (named("https://app.example:443"), true),
        (named("HTTPS://APP.example"), true),
        (Some(format!("http://{own}")), true),
        (Some(format!("https://{own}")), false),
        (named("http://app.example"), false),
        (named("https://app.example:8443"), false),
        (named("https://app.example.evil.example"), false),
        (named("https://evil-app.example"), false),
        (named("https://app.example@evil.example"), false),
        (named("https://evil.example/https://app.example"), false),
        (named("null"), false),
        (named("https://app.example, https://evil.example"), false),
    ]
}

#[test]
fn every_page_with_every_token_at_every_door() -> Result<()> {
    let server = serve(
        "mode = \"required\"\ncookie = \"session\"\n\
         [origin]\nallow = [\"https://app.example\"]\n",
    )?;
    let (good, hour) = (token("u1")?, now_s() + 3_600);
    let own = server.address().to_string();
    let forged = signed(&json!({"sub": "u1", "exp": hour}), b"somebody else's thirty-two bytes")?;
    let expired = signed(&json!({"sub": "u1", "exp": hour - 7_200}), SECRET)?;
    let early = signed(&json!({"sub": "u1", "exp": hour, "nbf": hour - 60}), SECRET)?;
    let elsewhere = signed(&json!({"sub": "u1", "exp": hour, "aud": "x"}), SECRET)?;
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSIsImV4cCI6OTk5OTk5OTk5OX0.";
    let tokens: Vec<(Headers, [u16; 3])> = vec![
        // What each door answers: the feed, a topic, the echo.
        (vec![], [101, 401, 401]),
        (vec![("Authorization", "Basic dTpw".into())], [101, 401, 401]),
        (vec![("Authorization", bearer(&good))], [101; 3]),
        (vec![("Cookie", format!("session={good}"))], [101; 3]),
        (vec![("Cookie", format!("other={good}"))], [101, 401, 401]),
        (vec![("Authorization", bearer(&good)), ("Cookie", format!("session={good}"))], [101; 3]),
        (vec![("Authorization", bearer(&good)), ("Cookie", "session=x".into())], [400; 3]),
        (vec![("Authorization", bearer(&forged))], [403; 3]),
        (vec![("Authorization", bearer(&expired))], [403; 3]),
        (vec![("Authorization", bearer(&early))], [403; 3]),
        (vec![("Authorization", bearer(&elsewhere))], [403; 3]),
        (vec![("Authorization", bearer(none))], [403; 3]),
        (vec![("Authorization", "Bearer x".into())], [403; 3]),
    ];
    let mut cases = 0;
    for (page, may) in pages(&own) {
        for (token, expected) in &tokens {
            for (door, target) in ["/feed", "/ws/chat.a", "/echo"].into_iter().enumerate() {
                let mut headers: Vec<_> =
                    token.iter().map(|(name, value)| (*name, value.as_str())).collect();
                headers.extend(page.as_deref().map(|page| ("Origin", page)));
                let mut client = RawClient::connect(server.address())?;
                let head = client.ask(target, &[], &headers)?;
                let wanted = if may { expected[door] } else { 403 };
                ensure!(head.status == wanted, "{target} {headers:?}: {}", head.text);
                cases += 1;
                if head.status == 101 {
                    continue;
                }
                let body = String::from_utf8_lossy(&client.read_to_end()?).into_owned();
                ensure!(body.len() > 10 && !body.contains(&good), "{target}: {body}");
                let challenge = head.header("www-authenticate");
                let is_asked = may && wanted != 101;
                ensure!(challenge.is_some() == is_asked, "{headers:?}: {}", head.text);
                if wanted == 401 {
                    ensure!(challenge == Some("Bearer realm=\"corecast\""), "{}", head.text);
                }
            }
        }
    }
    println!("{cases} cases");
    server.stop()
}

#[test]
fn without_a_first_message_the_feed_asks_at_once() -> Result<()> {
    let server = serve("mode = \"required\"\nfirst_message = false")?;
    let mut client = RawClient::connect(server.address())?;
    let head = client.ask("/feed", &[], &[])?;
    ensure!(head.status == 401 && head.header("www-authenticate").is_some(), "{}", head.text);
    let body = String::from_utf8_lossy(&client.read_to_end()?).into_owned();
    ensure!(body.contains("token"), "{body}");
    server.stop()
}

#[test]
fn a_query_is_looked_at_only_where_it_is_named() -> Result<()> {
    let server = serve("mode = \"required\"\nfirst_message = false")?;
    let good = token("u1")?;
    for name in ["token", "access_token", "user", "session"] {
        let mut client = RawClient::connect(server.address())?;
        let head = client.ask(&format!("/feed?{name}={good}"), &[], &[])?;
        ensure!(head.status == 401, "{}", head.text);
    }
    server.stop()
}

#[test]
fn settings_that_believe_anybody_do_not_start() -> Result<()> {
    for (auth, key) in [
        ("mode = \"required\"\n[feed]\nidentity = \"query\"", "feed.identity"),
        ("mode = \"required\"\ncookie = \"s\"\n[origin]\nallow = [\"*\"]", "auth.cookie"),
    ] {
        let config = format!(
            "[auth]\n{auth}\n[[auth.sources]]\nname = \"main\"\nsecret_env = \"CORECAST_NONE\"\n"
        );
        let started = corecast_tests::server::TestServer::start_with(&config, [""; 0]);
        let error = format!("{:#}", started.err().ok_or_else(|| eyre::eyre!("{auth} started"))?);
        ensure!(error.contains(key), "{auth}: {error}");
    }
    Ok(())
}
