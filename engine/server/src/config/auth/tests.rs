//! Settings that would let somebody in who should not be, and what is told of them.

use crate::config::{Environment, parse};

fn problems(text: &str) -> Vec<String> {
    let found = parse(text, &Environment::default()).err().unwrap_or_default();
    found.into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

fn warnings(text: &str) -> Vec<String> {
    parse(text, &Environment::default()).expect("good settings").warnings
}

const SOURCE: &str = "[[auth.sources]]\nname = \"own\"\nsecret_file = \"secret\"\n";

#[test]
fn what_would_let_anybody_in_is_refused_with_its_key() {
    let source = |rest: &str| format!("[[auth.sources]]\nname = \"own\"\n{rest}");
    let url = |url: &str| source(&format!("jwks_url = \"{url}\""));
    let cookie = |origin: &str| {
        format!("[auth]\nmode = \"required\"\ncookie = \"s\"\n{SOURCE}[origin]\n{origin}")
    };
    let hook = |hook: &str, origin: &str| {
        let url = "url = \"https://a.example/\"\non = [\"connect\"]";
        format!("[auth.hook]\n{url}\n{hook}\n[origin]\n{origin}")
    };
    for (text, key, word) in [
        ("[auth]\nmode = \"required\"".to_owned(), "auth.mode", "[[auth.sources]]"),
        ("[auth]\nmode = \"optional\"".to_owned(), "auth.mode", "[[auth.sources]]"),
        (
            format!("[auth]\nmode = \"required\"\nbearer = false\nfirst_message = false\n{SOURCE}"),
            "auth.mode",
            "stand nowhere",
        ),
        (cookie("allow = [\"*\"]"), "auth.cookie", "any page"),
        (hook("headers = [\"Cookie\"]", "allow = [\"*\"]"), "auth.hook.headers", "any page"),
        (hook("headers = [\"cookie\"]", "same = false"), "auth.hook.headers", "a rule for"),
        (cookie("same = false"), "auth.cookie", "a rule for origins"),
        ("[auth]\ncookie = \"a b\"".to_owned(), "auth.cookie", "letters"),
        ("[auth]\nquery = \"a=b\"".to_owned(), "auth.query", "letters"),
        (source(""), "auth.sources[0]", "exactly one place"),
        (source("secret_file = \"a\"\njwks_file = \"b\""), "auth.sources[0]", "exactly one place"),
        (source("secret_file = \"a\"\nalgorithms = [\"RS256\"]"), "auth.sources[0]", "HS256 alone"),
        (
            source("jwks_url = \"https://a.example\"\nalgorithms = [\"HS256\"]"),
            "auth.sources[0]",
            "needs a file",
        ),
        (url("http://idp.example/jwks"), "auth.sources[0]", "https://"),
        (url("http://localhost.evil.example/"), "auth.sources[0]", "https://"),
        (url("http://127.0.0.1.evil.example/"), "auth.sources[0]", "https://"),
        (url("ftp://idp.example/jwks"), "auth.sources[0]", "https://"),
        (url("file:///etc/passwd"), "auth.sources[0]", "https://"),
        (url("idp.example"), "auth.sources[0]", "no address"),
        (url("https://user:pw@idp.example/"), "auth.sources[0]", "no secrets"),
        (
            format!("{SOURCE}[[auth.sources]]\nname = \"b\"\nissuer = \"b\"\nsecret_file = \"b\""),
            "auth.sources",
            "needs an `issuer`",
        ),
        (format!("{SOURCE}issuer = \"a\"\n{SOURCE}issuer = \"b\""), "auth.sources", "already"),
        ("[auth.anonymous]\nsubscribe = [\"a.>.b\"]".to_owned(), "auth.anonymous", "last token"),
        ("[auth.default]\npublish = [\"quote.*@1s\"]".to_owned(), "auth.default", "interval"),
        ("[origin]\nallow = [\"https://*.a.example\"]".to_owned(), "origin.allow", "wildcards"),
        ("[origin]\nallow = [\"*\", \"https://a\"]".to_owned(), "origin.allow", "alone"),
        ("[origin]\nhosts = [\"https://a\"]".to_owned(), "origin.hosts", "no scheme"),
        ("[auth]\nleeway_s = 61".to_owned(), "auth.leeway_s", "0 to 60"),
        ("[auth]\ndeadline_ms = 0".to_owned(), "auth.deadline_ms", "100 to 300000"),
        (source("algorithms = [\"none\"]"), "auth.sources[0].algorithms", "HS256"),
        (source("secret = \"hunter2\""), "auth.sources[0].secret", "unknown key"),
        (
            "[[auth.sources]]\nsecret_file = \"a\"".to_owned(),
            "auth.sources[0]",
            "`name` is missing",
        ),
    ] {
        let found = problems(&text);
        let is_told = |line: &String| line.starts_with(&format!("{key}: ")) && line.contains(word);
        assert!(found.len() == 1 && is_told(&found[0]), "{text}\n{key} {word}: {found:?}");
        assert!(!found[0].contains("hunter2") && !found[0].contains("pw@"), "{found:?}");
    }
}

#[test]
fn settings_that_are_in_order_are_taken() {
    let two = "[auth]\nmode = \"optional\"\naudience = [\"corecast\"]\ncookie = \"session\"\n\
        [auth.anonymous]\nsubscribe = [\"quote.*\"]\n\
        [[auth.sources]]\nname = \"a\"\nissuer = \"https://a\"\njwks_url = \"https://a/jwks\"\n\
        [[auth.sources]]\nname = \"b\"\nissuer = \"b\"\nsecret_env = \"B\"\n\
        [origin]\nallow = [\"https://app.example\"]\nsame = false\n";
    assert_eq!(problems(two), [""; 0]);
    for url in ["http://127.0.0.1:1/a", "http://[::1]/a", "http://localhost/a", "https://a:8/b"] {
        let source = format!("[[auth.sources]]\nname = \"a\"\njwks_url = \"{url}\"");
        assert_eq!(problems(&source), [""; 0], "{url}");
    }
}

#[test]
fn what_is_odd_is_told() {
    let required = |rest: &str| format!("[auth]\nmode = \"required\"\n{rest}\n{SOURCE}");
    for (text, word) in [
        (SOURCE.to_owned(), "nobody is asked"),
        (required("query = \"token\""), "URLs"),
        (required("expiry_required = false"), "`exp`"),
        (format!("{}[auth.anonymous]\npublish = [\"a\"]", required("")), "optional"),
    ] {
        let found = warnings(&text);
        assert!(found.len() == 1 && found[0].contains(word), "{text}: {found:?}");
    }
    assert_eq!(warnings(&required("")), [""; 0]);
}

#[test]
fn a_source_comes_from_the_environment_too() {
    let variables = [
        ("CORECAST_AUTH__MODE", "required"),
        ("CORECAST_AUTH__SOURCES__0__NAME", "own"),
        ("CORECAST_AUTH__SOURCES__0__SECRET_ENV", "JWT_SECRET"),
        ("CORECAST_AUTH__AUDIENCE", "[\"corecast\"]"),
        ("CORECAST_AUTH__DEFAULT__SUBSCRIBE", "[\"quote.*\"]"),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
    let read = parse("", &Environment::new(variables, Vec::new())).expect("good settings");
    let auth = read.config.auth;
    assert_eq!(auth.sources[0].secret_env, "JWT_SECRET");
    assert_eq!((auth.audience, auth.default.subscribe.len()), (vec!["corecast".to_owned()], 1));
    assert_eq!(read.warnings, [""; 0]);
}
