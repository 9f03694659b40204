//! Keys from a real server on loopback, and from files.

mod files;
mod idp;

use super::{Auth, Gatekeeper, Pace};
use crate::config::auth::{AuthConfig, AuthMode, SourceConfig};
use crate::config::origin::OriginConfig;
use corecast_gate::limits::JWKS_BYTES_MAX;
use corecast_gate::{Denied, Identity};
use idp::{Answer, Idp, Key};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Settings with one source that is fetched.
fn settings(url: &str) -> AuthConfig {
    let source = SourceConfig {
        name: "idp".to_owned(),
        jwks_url: url.to_owned(),
        refresh_ms: 60_000,
        ..SourceConfig::default()
    };
    AuthConfig { mode: AuthMode::Required, sources: vec![source], ..AuthConfig::default() }
}

/// Access that is kept by the test's runtime, as the control thread keeps it.
struct Kept {
    auth: Auth,
    gatekeeper: Gatekeeper,
    /// Ends the keeper where it is dropped.
    _stopping: watch::Sender<bool>,
}

fn keep(config: &AuthConfig) -> Kept {
    let mut auth = Auth::new(config, &OriginConfig::default()).expect("settings");
    let (fetch_within, ask_again_after) = (Duration::from_millis(500), Duration::from_millis(300));
    auth.pace = Pace { fetch_within, ask_again_after };
    auth.load(config, &OriginConfig::default()).expect("keys");
    let stopping = watch::Sender::new(false);
    tokio::spawn(auth.clone().keep(stopping.subscribe()));
    Kept { gatekeeper: auth.gatekeeper(), auth, _stopping: stopping }
}

impl Kept {
    fn verify(&mut self, key: &Key) -> Result<Identity, &'static str> {
        self.gatekeeper.verify(&key.token()).map_err(|denied| denied.name())
    }

    /// Verifies again and again until it says this.
    async fn becomes(&mut self, key: &Key, expected: Result<(), &'static str>) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.verify(key).map(drop);
            if found == expected {
                return;
            }
            assert!(Instant::now() < until, "it says {found:?}, not {expected:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn until_the_first_keys_are_there_tokens_are_unavailable() {
    let key = Key::new("k1");
    let idp = Idp::start(Answer::Set(vec![key.jwk()])).await;
    let mut kept = keep(&settings(&idp.url("/jwks")));
    assert_eq!(kept.verify(&key), Err("unavailable"), "nothing was fetched yet");
    kept.becomes(&key, Ok(())).await;
    assert_eq!(kept.verify(&key).expect("a user").user.as_deref(), Some("u1"));
    assert_eq!(idp.hits(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_when_it_is_first_used_and_an_old_one_is_gone() {
    let (old, new) = (Key::new("k1"), Key::new("k2"));
    let idp = Idp::start(Answer::Set(vec![old.jwk()])).await;
    let mut kept = keep(&settings(&idp.url("/jwks")));
    kept.becomes(&old, Ok(())).await;
    idp.set(Answer::Set(vec![new.jwk()]));
    // Just now it was fetched: nobody can ask.
    assert_eq!(kept.verify(&new), Err("unknown_key"));
    kept.becomes(&new, Err("unavailable")).await;
    kept.becomes(&new, Ok(())).await;
    assert_eq!(idp.hits(), 2);
    assert_eq!(kept.verify(&old), Err("unknown_key"));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_fetches_once_in_its_time() {
    let key = Key::new("k1");
    let idp = Idp::start(Answer::Set(vec![key.jwk()])).await;
    let mut kept = keep(&settings(&idp.url("/jwks")));
    kept.becomes(&key, Ok(())).await;
    let strangers: Vec<_> = (0..8).map(|n| Key::new(&format!("x{n}"))).collect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        for stranger in &strangers {
            assert!(kept.verify(stranger).is_err());
        }
        assert!(kept.verify(&key).is_ok(), "others go on");
        sleep(Duration::from_millis(1)).await;
    }
    // The first, and one in 300 ms at most.
    assert!((2..=5).contains(&idp.hits()), "{} fetches in a second", idp.hits());
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_found_when_it_is_up() {
    let key = Key::new("k1");
    let (address, listener) = idp::reserve().await;
    drop(listener);
    let mut kept = keep(&settings(&format!("http://{address}/jwks")));
    sleep(Duration::from_millis(300)).await;
    let denied = kept.gatekeeper.verify(&key.token()).expect_err("no keys");
    assert_eq!((denied.status(), denied.name()), (503, "unavailable"));
    let _idp = Idp::start_at(address, Answer::Set(vec![key.jwk()])).await;
    kept.becomes(&key, Ok(())).await;
}

#[tokio::test]
async fn a_bad_answer_changes_nothing() {
    let key = Key::new("k1");
    let idp = Idp::start(Answer::Set(vec![key.jwk()])).await;
    let mut config = settings(&idp.url("/jwks"));
    config.sources[0].refresh_ms = 1_000;
    let mut kept = keep(&config);
    kept.becomes(&key, Ok(())).await;
    for bad in [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Text("<html>".to_owned()),
        Answer::Set(Vec::new()),
        Answer::Set(vec![key.jwk(), key.jwk()]),
        Answer::Silence,
    ] {
        idp.set(bad.clone());
        let hits = idp.hits();
        while idp.hits() == hits {
            assert!(kept.verify(&key).is_ok(), "{bad:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
    sleep(Duration::from_millis(600)).await;
    assert!(kept.verify(&key).is_ok());
}

#[tokio::test]
async fn keys_that_nobody_confirms_are_let_go_after_their_age() {
    let key = Key::new("k1");
    let idp = Idp::start(Answer::Set(vec![key.jwk()])).await;
    let mut config = settings(&idp.url("/jwks"));
    (config.sources[0].refresh_ms, config.sources[0].age_max_ms) = (1_000, 1_500);
    let mut kept = keep(&config);
    kept.becomes(&key, Ok(())).await;
    let began = Instant::now();
    idp.set(Answer::Status(503));
    kept.becomes(&key, Err("unavailable")).await;
    assert!(began.elapsed() > Duration::from_millis(1_300), "{:?}", began.elapsed());
    idp.set(Answer::Set(vec![key.jwk()]));
    kept.becomes(&key, Ok(())).await;
}

#[tokio::test]
async fn a_slow_or_endless_answer_is_cut_off() {
    for (answer, word) in [
        (Answer::Silence, "timed out"),
        (Answer::Endless, "more than"),
        (Answer::Text("x".repeat(JWKS_BYTES_MAX + 1)), "more than"),
        (Answer::Trickle, "timed out"),
    ] {
        let idp = Idp::start(answer).await;
        let began = Instant::now();
        let error = fetch(&idp.url("/jwks")).await.expect_err(word);
        assert!(error.contains(word), "{word}: {error}");
        assert!(began.elapsed() < Duration::from_secs(3), "{word}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_redirect_leads_to_no_other_host() {
    let key = Key::new("k1");
    let other = Idp::start(Answer::Set(vec![key.jwk()])).await;
    let (port, url) = (other.address.port(), other.url("/jwks"));
    let named = format!("http://localhost:{port}/jwks");
    for to in [url.as_str(), &named, "https://127.0.0.1/jwks", "file:///etc/passwd"] {
        let idp = Idp::start(Answer::Redirect(to.to_owned())).await;
        let error = fetch(&idp.url("/jwks")).await.expect_err(to);
        assert!(!error.is_empty());
    }
    assert_eq!(other.hits(), 0, "nobody came");
    // The same host may move it, and not in a circle.
    let idp = Idp::start(Answer::Redirect("/moved".to_owned())).await;
    idp.set_at("/moved", Answer::Set(vec![key.jwk()]));
    assert_eq!(fetch(&idp.url("/jwks")).await.map(|keys| keys.len()), Ok(1));
    idp.set_at("/moved", Answer::Redirect("/moved".to_owned()));
    let error = fetch(&idp.url("/jwks")).await.expect_err("a circle");
    assert!(error.contains("too often"), "{error}");
}

#[tokio::test]
async fn nothing_that_a_token_says_is_asked() {
    let (good, evil) = (Key::new("k1"), Key::new("k1"));
    let idp = Idp::start(Answer::Set(vec![good.jwk()])).await;
    let trap = Idp::start(Answer::Set(vec![evil.jwk()])).await;
    let mut config = settings(&idp.url("/jwks"));
    config.sources[0].issuer = idp.url("");
    let second = Idp::start(Answer::Set(vec![good.jwk()])).await;
    config.sources.push(SourceConfig {
        name: "second".to_owned(),
        issuer: second.url(""),
        jwks_url: second.url("/jwks"),
        ..SourceConfig::default()
    });
    let mut kept = keep(&config);
    let url = trap.url("/jwks");
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        for token in [
            evil.token_with(&[("jku", &url), ("x5u", &url)], &trap.url("")),
            evil.token_with(&[("kid", &url)], &idp.url("")),
            evil.token_with(&[("jku", &url)], &idp.url("")),
            evil.token_with(&[], &trap.url("/../")),
            evil.token_with(&[], &url),
        ] {
            let denied = kept.gatekeeper.verify(&token).expect_err("forged");
            let reasons = ["issuer", "signature", "unknown_key", "unavailable", "malformed"];
            assert!(reasons.contains(&denied.name()), "{denied:?}");
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(trap.hits(), 0, "a token made us ask somebody");
    assert!(idp.hits() >= 2, "the configured source was asked for the unknown key");
    assert_eq!(second.hits(), 1, "and the other one was not");
    let denied = kept.gatekeeper.verify(&good.token_with(&[], &second.url("")));
    assert!(denied.is_ok(), "{denied:?}");
}

#[tokio::test]
async fn with_mode_off_nobody_is_asked_for_keys() {
    let key = Key::new("k1");
    let idp = Idp::start(Answer::Set(vec![key.jwk()])).await;
    let config = AuthConfig { mode: AuthMode::Off, ..settings(&idp.url("/jwks")) };
    let mut kept = keep(&config);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(idp.hits(), 0);
    let headers = [("Authorization", "Bearer a b c")];
    assert_eq!(kept.gatekeeper.credential(headers, None), Ok(None), "nobody looks");
    assert!(kept.gatekeeper.access().anonymous.may_publish("any.topic"));
}

#[tokio::test]
async fn fetched_keys_stay_while_the_settings_are_read_again() {
    let key = Key::new("k1");
    let idp = Idp::start(Answer::Set(vec![key.jwk()])).await;
    let config = settings(&idp.url("/jwks"));
    let mut kept = keep(&config);
    kept.becomes(&key, Ok(())).await;
    idp.set(Answer::Status(500));
    kept.auth.load(&config, &OriginConfig::default()).expect("the same");
    assert!(kept.verify(&key).is_ok(), "they were good a moment ago");
    // Another address is another source: what the old one said counts no more.
    let moved = settings(&idp.url("/elsewhere"));
    kept.auth.load(&moved, &OriginConfig::default()).expect("settings");
    assert_eq!(kept.verify(&key), Err("unavailable"));
    idp.set_at("/elsewhere", Answer::Set(vec![key.jwk()]));
    kept.becomes(&key, Ok(())).await;
}

async fn fetch(url: &str) -> Result<std::sync::Arc<corecast_gate::KeySet>, String> {
    let fetcher = super::Fetcher::new(Duration::from_millis(500)).expect("a client");
    fetcher.fetch(&settings(url).sources[0]).await
}

#[test]
fn the_reason_never_names_what_is_configured() {
    let denied = Denied::Unavailable { source: "internal-idp".into() };
    assert!(!denied.to_string().contains("internal-idp"));
}
