//! What no key of `[auth]` and `[origin]` can tell alone.

use super::{AuthConfig, AuthMode, Place, SourceConfig};
use crate::config::ServerConfig;
use crate::config::feed::Identity;
use crate::config::hook::HookEvent;
use crate::config::limits::{AUTH_NAME_BYTES_MAX, SOURCE_NAME_BYTES_MAX};
use corecast_gate::origin::OriginRules;
use corecast_gate::{Algorithm, Origins};
use reqwest::Url;
use std::net::IpAddr;

/// Tells all rules that are broken, each with its key.
pub(in crate::config) fn check(config: &ServerConfig, say: &mut dyn FnMut(&str, String)) {
    let auth = &config.auth;
    for (key, name) in [("auth.cookie", &auth.cookie), ("auth.query", &auth.query)] {
        if let Some(message) = name_problem(name) {
            say(key, message);
        }
    }
    for (key, rights) in [("auth.anonymous", &auth.anonymous), ("auth.default", &auth.default)] {
        if let Err(message) = rights.permissions() {
            say(key, message);
        }
    }
    for (index, source) in auth.sources.iter().enumerate() {
        if let Some(message) = source_problem(source) {
            say(&format!("auth.sources[{index}]"), message);
        }
    }
    if let Some((key, message)) = hook_problem(config) {
        say(key, message.to_owned());
    }
    if let Err(error) = auth.verifier() {
        say("auth.sources", error.to_string());
    }
    if let Some((key, message)) = mode_problem(auth) {
        say(key, message.to_owned());
    }
    match Origins::new(&config.origin.rules()) {
        Err(error) => {
            let nameless = OriginRules { hosts: Vec::new(), ..config.origin.rules() };
            let is_host = Origins::new(&nameless).is_ok();
            say(if is_host { "origin.hosts" } else { "origin.allow" }, error.to_string());
        }
        Ok(origins) => {
            let keys = [
                ("auth.cookie", !auth.cookie.is_empty()),
                ("auth.hook.headers", tells_hook_what_browsers_add(config)),
            ];
            for (key, _) in keys.into_iter().filter(|(_, is_used)| *is_used) {
                if let Some(message) = cookie_problem(config, &origins) {
                    say(key, message.to_owned());
                }
            }
        }
    }
}

/// What is odd about them.
pub(in crate::config) fn warnings(config: &ServerConfig) -> Vec<String> {
    let auth = &config.auth;
    let mut warnings = Vec::new();
    let mut warn = |is_odd: bool, text: &str| {
        if is_odd {
            warnings.push(text.to_owned());
        }
    };
    let is_off = auth.mode == AuthMode::Off;
    warn(
        is_off && !auth.sources.is_empty(),
        "auth.mode = \"off\" with [[auth.sources]]: nobody is asked for a token",
    );
    warn(
        auth.mode != AuthMode::Optional && auth.anonymous != Default::default(),
        "[auth.anonymous] has a meaning with auth.mode = \"optional\" alone",
    );
    warn(
        !is_off && !auth.query.is_empty(),
        "auth.query: tokens in URLs stand in the logs of proxies and in browser histories; let \
         them be short-lived",
    );
    warn(
        !is_off && !auth.expiry_required,
        "auth.expiry_required = false: a token without `exp` holds until its key is changed",
    );
    warn(
        !config.origin.same && !config.origin.hosts.is_empty(),
        "origin.hosts has a meaning with origin.same = true alone",
    );
    warnings
}

/// What is wrong with the hook: what it is told may have secrets in it, what it says is believed.
fn hook_problem(config: &ServerConfig) -> Option<(&'static str, &'static str)> {
    let hook = &config.auth.hook;
    if hook.url.is_empty() {
        return None;
    }
    if config.feed.identity == Identity::Query {
        let message = "`query` believes any name, and auth.hook is asked about it: choose one";
        return Some(("feed.identity", message));
    }
    if hook.on.is_empty() {
        return Some(("auth.hook.on", "name what it is asked about, or leave auth.hook.url out"));
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = |name: &String| !name.is_empty() && name.bytes().all(is_letter);
    if !hook.headers.iter().all(is_name) {
        return Some(("auth.hook.headers", "a header's name has letters, digits and `-`"));
    }
    let Ok(url) = hook.url.parse::<Url>() else {
        return Some(("auth.hook.url", "it is no address, such as https://hook.example/corecast"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let message = "it has a user or a password in it: settings hold no secrets";
        return Some(("auth.hook.url", message));
    }
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    (!is_safe).then_some((
        "auth.hook.url",
        "it begins with https://, unless it is on loopback: what it says is believed",
    ))
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// A cookie's name (RFC 6265 §4.1.1), which is a fine name of a parameter, too.
fn name_problem(name: &str) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let is_name = name.len() <= AUTH_NAME_BYTES_MAX && name.bytes().all(is_letter);
    (!is_name).then(|| {
        format!("a name has at most {AUTH_NAME_BYTES_MAX} letters, digits, `_`, `-` and `.`")
    })
}

fn source_problem(source: &SourceConfig) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let name = &source.name;
    if name.is_empty() || name.len() > SOURCE_NAME_BYTES_MAX || !name.bytes().all(is_letter) {
        return Some(format!(
            "the name of a source has 1 to {SOURCE_NAME_BYTES_MAX} letters, digits, `_`, `-`, `.`"
        ));
    }
    let Some(place) = source.place() else {
        return Some(
            "a source has its keys in exactly one place: secret_file, secret_env, \
             public_key_file, jwks_file or jwks_url"
                .to_owned(),
        );
    };
    let is_secret = matches!(place, Place::SecretFile(_) | Place::SecretVariable(_));
    if is_secret && !source.algorithms.is_empty() && source.algorithms != [Algorithm::Hs256] {
        return Some("a shared secret is for HS256 alone".to_owned());
    }
    match place {
        Place::JwksUrl(_) if source.algorithms.contains(&Algorithm::Hs256) => {
            Some("a shared secret does not come from an address: HS256 needs a file".to_owned())
        }
        Place::JwksUrl(url) => url_problem(url).map(str::to_owned),
        _ => None,
    }
}

/// What is wrong with the address of a key set: whoever can change what it answers can sign.
fn url_problem(text: &str) -> Option<&'static str> {
    let Ok(url) = text.parse::<Url>() else {
        return Some("jwks_url is no address, such as https://idp.example/jwks.json");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("jwks_url has a user or a password in it: settings hold no secrets");
    }
    match url.scheme() {
        "https" => None,
        "http" if is_loopback(&url) => None,
        "http" => Some("jwks_url is https://, unless it is on loopback: what it says is trusted"),
        _ => Some("jwks_url begins with https://"),
    }
}

fn mode_problem(auth: &AuthConfig) -> Option<(&'static str, &'static str)> {
    if auth.mode == AuthMode::Off {
        return None;
    }
    if auth.sources.is_empty() {
        return Some(("auth.mode", "somebody must issue tokens: add [[auth.sources]]"));
    }
    let is_nowhere = !auth.bearer && auth.cookie.is_empty() && auth.query.is_empty();
    (is_nowhere && !auth.first_message).then_some((
        "auth.mode",
        "a token may stand nowhere: allow one of bearer, cookie, query \
                     and first_message",
    ))
}

/// Whether the hook judges by what browsers send for any page: cookies, and passwords that they
/// know.
fn tells_hook_what_browsers_add(config: &ServerConfig) -> bool {
    let hook = &config.auth.hook;
    let is_ambient = |name: &String| {
        ["cookie", "authorization"].iter().any(|ambient| name.eq_ignore_ascii_case(ambient))
    };
    !hook.url.is_empty() && hook.is_for(HookEvent::Connect) && hook.headers.iter().any(is_ambient)
}

/// A cookie is sent by browsers for any page that connects.
fn cookie_problem(config: &ServerConfig, origins: &Origins) -> Option<&'static str> {
    if origins.is_any() {
        return Some(
            "a cookie with origin.allow = [\"*\"] lets any page act for who visits it: name the \
             origins",
        );
    }
    (!config.origin.same && config.origin.allow.is_empty()).then_some(
        "a cookie needs a rule for origins: name them in origin.allow, or set origin.same",
    )
}
