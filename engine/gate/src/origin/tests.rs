//! The matrix: what a page's address may look like, and is not.

use super::*;
use proptest::prelude::*;

fn origins(allow: &[&str], same: bool) -> Origins {
    let allow = allow.iter().map(|&text| text.to_owned()).collect();
    let hosts = ["a.test", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
    Origins::new(&OriginRules { allow, same, hosts, absent: true }).expect("rules")
}

fn named(hosts: &[&str]) -> Result<Origins, OriginRuleError> {
    let hosts = hosts.iter().map(|&text| text.to_owned()).collect();
    Origins::new(&OriginRules { hosts, ..OriginRules::default() })
}

#[test]
fn only_the_same_scheme_host_and_port_is_the_same_origin() {
    let origins = origins(&["https://app.example.com", "http://localhost:8080"], false);
    for origin in [
        "https://app.example.com",
        "https://app.example.com:443",
        "HTTPS://APP.Example.COM",
        "http://localhost:8080",
        "http://LOCALHOST:8080",
    ] {
        assert_eq!(origins.check(Some(origin), None, true), Ok(()), "{origin}");
    }
    for origin in [
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com:80",
        "https://example.com",
        "https://evil.app.example.com",
        "https://app.example.com.evil.test",
        "https://app.example.community",
        "https://evilapp.example.com",
        "https://app-example.com",
        "https://appXexample.com",
        "https://app.example.com.",
        "https://xn--app-example.com",
        "wss://app.example.com",
        "chrome-extension://app.example.com",
        "http://localhost",
        "http://localhost:80800",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ] {
        let denied = origins.check(Some(origin), Some("app.example.com"), true);
        assert!(denied.is_err(), "{origin}");
    }
}

#[test]
fn what_is_no_origin_is_refused() {
    let origins = origins(&["https://a.test"], true);
    let long = format!("https://{}", "a".repeat(ORIGIN_BYTES_MAX));
    for origin in [
        "",
        "null",
        "NULL",
        "*",
        "a.test",
        "//a.test",
        "https:a.test",
        "https:/a.test",
        "https://",
        "https://:443",
        "://a.test",
        "1https://a.test",
        "ht tps://a.test",
        "https://a.test/",
        "https://a.test/x",
        "https://a.test?x",
        "https://a.test#x",
        "https://a.test\\",
        "https://user@a.test",
        "https://user:pass@a.test",
        "https://a.test@evil.test",
        "https://evil.test@a.test",
        "https://a.test:443@evil.test",
        "https://a.test:",
        "https://a.test:0",
        "https://a.test:0443",
        "https://a.test:+443",
        "https://a.test:65536",
        "https://a.test:4430000000000000000443",
        "https://a.test:443:443",
        "https://a.test,https://a.test",
        "https://a.test, https://evil.test",
        "https://a.test https://a.test",
        " https://a.test",
        "https://a.test ",
        "https://a%2etest",
        "https://ä.test",
        "https://a.test\0",
        "https://a.test\t",
        "https://[::1",
        "https://::1",
        "https://[::1]x",
        "https://[::1]:",
        "https://[1.2.3.4]",
        "https://[fe80::1%25eth0]",
        "data:text/html,x",
        "about:blank",
        &long,
    ] {
        let denied = origins.check(Some(origin), Some("a.test"), true);
        assert_eq!(denied, Err(OriginDenied::Opaque), "{origin:?}");
    }
}

#[test]
fn hosts_of_any_kind_are_compared_as_a_whole() {
    for (rule, same, other) in [
        ("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080", "http://[::2]:8080"),
        ("http://[2001:DB8::1]", "http://[2001:db8::1]:80", "http://[2001:db8::1]:443"),
        ("http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]", "http://1.2.3.4"),
        ("http://127.0.0.1", "http://127.0.0.1:80", "http://127.1"),
        ("https://xn--bcher-kva.example", "https://XN--BCHER-KVA.example", "https://bcher.example"),
        ("chrome-extension://abc", "chrome-extension://abc", "chrome-extension://abd"),
        ("capacitor://localhost", "capacitor://localhost", "ionic://localhost"),
        ("https://a_b.test", "https://a_b.test", "https://ab.test"),
    ] {
        let origins = origins(&[rule], false);
        assert_eq!(origins.check(Some(same), None, false), Ok(()), "{rule} {same}");
        let denied = origins.check(Some(other), None, false);
        assert_eq!(denied, Err(OriginDenied::Foreign), "{rule} {other}");
    }
}

#[test]
fn a_page_of_the_server_itself_may_connect() {
    let same = origins(&[], true);
    for (origin, host, is_secure) in [
        ("http://a.test", "a.test", false),
        ("http://a.test", "A.TEST:80", false),
        ("https://a.test", "a.test:443", true),
        ("https://a.test:8443", "a.test:8443", true),
        ("http://127.0.0.1:9001", "127.0.0.1:9001", false),
        ("http://[::1]:9001", "[::1]:9001", false),
    ] {
        assert_eq!(same.check(Some(origin), Some(host), is_secure), Ok(()), "{origin} {host}");
        let off = origins(&[], false).check(Some(origin), Some(host), is_secure);
        assert_eq!(off, Err(OriginDenied::Foreign), "{origin} {host}");
    }
    for (origin, host, is_secure) in [
        ("https://a.test", "a.test", false),
        ("http://a.test", "a.test", true),
        ("http://a.test:8080", "a.test", false),
        ("http://a.test", "a.test:8080", false),
        ("https://a.test", "a.test:80", true),
        ("http://b.test", "a.test", false),
        ("http://a.test", "user@a.test", false),
        ("http://a.test", "a.test, b.test", false),
        ("http://a.test", "a.test/", false),
        ("http://a.test", "a.test.", false),
        ("http://a.test", "", false),
        ("ws://a.test", "a.test", false),
    ] {
        let denied = same.check(Some(origin), Some(host), is_secure);
        assert_eq!(denied, Err(OriginDenied::Foreign), "{origin} {host} {is_secure}");
    }
    let denied = same.check(Some("http://a.test"), None, false);
    assert_eq!(denied, Err(OriginDenied::Foreign), "no Host");
}

#[test]
fn programs_send_no_origin() {
    assert_eq!(origins(&[], false).check(None, None, false), Ok(()));
    let rules = OriginRules { absent: false, ..OriginRules::default() };
    let strict = Origins::new(&rules).expect("rules");
    assert_eq!(strict.check(None, Some("a.test"), false), Err(OriginDenied::Absent));
    assert_eq!(strict.check(Some("http://localhost"), Some("localhost"), false), Ok(()));
}

#[test]
fn a_name_that_somebody_else_lets_lead_here_is_not_ours() {
    // The page of whoever has the name asks for that name, as a page of ours would for ours.
    let judge = |origins: &Origins, authority: &str| {
        origins.check(Some(&format!("http://{authority}")), Some(authority), false)
    };
    let by_address = named(&[]).expect("no hosts");
    for ours in ["127.0.0.1:9001", "192.0.2.7", "[::1]:9001", "localhost", "LOCALHOST:9001"] {
        assert_eq!(judge(&by_address, ours), Ok(()), "{ours}");
    }
    for foreign in
        ["evil.test", "evil.test:9001", "localhost.evil.test", "127.0.0.1.evil.test", "1.2.3", "7"]
    {
        assert_eq!(judge(&by_address, foreign), Err(OriginDenied::Unnamed), "{foreign}");
    }
    let by_name = named(&["app.example", "B.example:8443", "[2001:DB8::1]"]).expect("hosts");
    for ours in ["app.example", "APP.example:9001", "b.example:8443", "[2001:db8:0::1]:9001"] {
        assert_eq!(judge(&by_name, ours), Ok(()), "{ours}");
    }
    for foreign in ["b.example", "b.example:8444", "x.app.example", "127.0.0.1", "localhost"] {
        assert_eq!(judge(&by_name, foreign), Err(OriginDenied::Unnamed), "{foreign}");
    }
}

#[test]
fn a_host_that_can_never_be_meant_is_refused() {
    for (host, word) in [
        ("https://a.test", "no scheme"),
        ("a.test.", "dot"),
        ("*.a.test", "a name or an address"),
        ("a.test/x", "a name or an address"),
        ("a.test:0", "a name or an address"),
        ("", "a name or an address"),
    ] {
        let told = named(&[host]).expect_err("no host").to_string();
        assert!(told.contains(word) && told.contains(host), "{host}: {told}");
    }
    assert_eq!(named(&["a"; ORIGINS_MAX + 1]).expect_err("many"), OriginRuleError::TooMany);
}

#[test]
fn any_page_may_connect_only_where_that_is_said() {
    let any = origins(&["*"], false);
    assert!(any.is_any() && !origins(&["https://a.test"], true).is_any());
    for origin in ["https://a.test", "null", "nonsense"] {
        assert_eq!(any.check(Some(origin), None, false), Ok(()), "{origin}");
    }
}

#[test]
fn a_rule_that_can_never_be_meant_is_refused() {
    let error = |allow: &[&str]| {
        let allow = allow.iter().map(|&text| text.to_owned()).collect();
        Origins::new(&OriginRules { allow, ..OriginRules::default() }).expect_err("no rule")
    };
    for (rule, word) in [
        ("null", "sandboxed"),
        ("https://*.example.com", "wildcards"),
        ("*.example.com", "wildcards"),
        ("https://a.test/", "slash"),
        ("wss://a.test", "http://"),
        ("https://bücher.example", "punycode"),
        ("https://a.test.", "dot"),
        ("a.test", "scheme://host"),
        ("https://a.test/path", "scheme://host"),
        ("https://user@a.test", "scheme://host"),
        ("", "scheme://host"),
    ] {
        let told = error(&[rule]).to_string();
        assert!(told.contains(word) && told.contains(rule), "{rule}: {told}");
    }
    assert_eq!(error(&["*", "https://a.test"]), OriginRuleError::AnyBesideOthers);
    assert_eq!(error(&["https://a.test"; ORIGINS_MAX + 1]), OriginRuleError::TooMany);
}

proptest! {
    #[test]
    fn nothing_but_its_own_spellings_is_allowed(
        text in "(https?://)?[A-Za-z.:@/ 0-9\\[\\]*-]{0,30}|https://a\\.test.{0,6}|.{0,40}",
    ) {
        let is_same = text.eq_ignore_ascii_case("https://a.test")
            || text.eq_ignore_ascii_case("https://a.test:443");
        let allowed = origins(&["https://a.test"], false).check(Some(&text), None, true);
        prop_assert_eq!(allowed.is_ok(), is_same);
    }

    #[test]
    fn an_origin_that_is_read_is_read_again_the_same(
        scheme in "[a-z][a-z0-9+.-]{0,8}", host in "[a-z0-9._-]{1,30}", port in 1_u16..,
    ) {
        let text = format!("{scheme}://{host}:{port}");
        let origin = Origin::parse(&text).expect("an origin");
        prop_assert_eq!((&*origin.scheme, &*origin.host, origin.port), (&*scheme, &*host, port));
        let louder = Origin::parse(&text.to_ascii_uppercase());
        prop_assert_eq!(louder, Some(origin));
    }

    #[test]
    fn any_host_is_judged_without_a_panic(origin in ".{0,60}", host in ".{0,60}") {
        let denied = origins(&[], true).check(Some(&origin), Some(&host), false);
        if denied.is_ok() {
            prop_assert!(origin.to_ascii_lowercase().starts_with("http://"));
        }
    }
}
