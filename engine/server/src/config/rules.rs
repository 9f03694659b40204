//! What no key can tell alone: namespaces as wholes, patterns, the feed's path, the log level.

use super::auth::AuthMode;
use super::feed::Identity;
use super::limits::PATH_BYTES_MAX;
use super::problem::Problem;
use super::tree::Node;
use super::{FeedConfig, ServerConfig, edge};
use corecast::{Namespaces, Pattern};
use std::collections::HashMap;
use tracing_subscriber::EnvFilter;

/// All rules that are broken. `root` knows where keys stand.
pub(super) fn check(config: &ServerConfig, root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |key: &str, message: String| {
        problems.push(Problem::new(&root.origin_of(key), key, message));
    };
    for (index, rule) in config.engine.policies.iter().enumerate() {
        if let Err(error) = rule.pattern.parse::<Pattern>() {
            say(&format!("policies[{index}].pattern"), error.to_string());
        }
    }
    let mut seen = HashMap::new();
    for (index, namespace) in config.engine.namespaces.iter().enumerate() {
        let key = format!("namespaces[{index}]");
        if let Some(first) = seen.insert(&namespace.name, index) {
            let message = format!("namespaces[{first}] has the name `{}` already", namespace.name);
            say(&format!("{key}.name"), message);
        }
        if let Err(error) = Namespaces::new(vec![namespace.clone()]) {
            say(&key, error.to_string());
        }
    }
    for (key, message) in edge::problems(&config.engine) {
        say(key, message);
    }
    if let Some((key, message)) = config.engine.tls.problem() {
        say(key, message.to_owned());
    }
    if let Some(message) = path_problem(&config.feed) {
        say("feed.path", message);
    }
    super::auth::rules::check(config, &mut say);
    if config.auth.mode != AuthMode::Off && config.feed.identity == Identity::Query {
        let message = "`query` believes any name, and auth.mode asks for a proof: choose one";
        say("feed.identity", message.to_owned());
    }
    if let Err(error) = EnvFilter::try_new(&config.log.level) {
        let message = format!("{error}; use error, warn, info, debug or trace");
        say("log.level", message);
    }
    problems
}

fn path_problem(feed: &FeedConfig) -> Option<String> {
    let path = feed.path.as_str();
    let taken = ["/", "/ws", "/echo", "/healthz"];
    let is_taken = taken.contains(&path) || path.starts_with("/ws/");
    let is_path = path.starts_with('/')
        && path.len() <= PATH_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte));
    if !is_path {
        return Some(format!(
            "a path begins with a slash and has at most {PATH_BYTES_MAX} printable ASCII \
             characters, without ?, # and %"
        ));
    }
    is_taken.then(|| format!("{path} has another meaning already"))
}
