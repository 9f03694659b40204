//! Licences and doubled packages, by the lists in `deny.toml`, without cargo-deny.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::{field, packages};
use crate::files::read;
use crate::none;

/// Packages that come in two versions because other people's packages want them so.
const DOUBLED: &[(&str, &str)] = &[
    ("base64", "tokio-websockets' is older than ours"),
    ("getrandom", "fastwebsockets' rand is older than tungstenite's"),
    ("pem", "jsonwebtoken's is older than rcgen's"),
    ("rand", "fastwebsockets' is older than tungstenite's"),
    ("rand_core", "comes with rand"),
    ("socket2", "glommio's is older than tokio's"),
    ("syn", "derive macros are moving from 2 to 3"),
    ("synstructure", "derive macros are moving from syn 2 to 3"),
    ("thiserror", "fastwebsockets' is older than ours"),
    ("thiserror-impl", "comes with thiserror"),
    ("untrusted", "aws-lc-rs' is older than rustls-webpki's"),
];

#[test]
fn licences_are_on_the_list() {
    let deny = read("deny.toml");
    let allowed = allowed(&deny);
    assert!(allowed.len() > 3, "deny.toml allows {allowed:?}");
    let problems = packages().filter_map(|package| {
        let (name, licence) = (field(package, "name"), package["license"].as_str());
        let fine = licence.is_some_and(|licence| is_allowed(licence, &allowed));
        (!fine && !is_exempt(&deny, name, licence))
            .then(|| format!("{name}: {}", licence.unwrap_or("none named")))
    });
    none("deny.toml lists the licences that we accept", problems);
}

#[test]
fn no_package_comes_in_two_versions_unnoticed() {
    let mut versions = BTreeMap::<_, BTreeSet<_>>::new();
    for package in packages() {
        versions.entry(field(package, "name")).or_default().insert(field(package, "version"));
    }
    let doubled = versions.into_iter().filter(|(name, versions)| {
        versions.len() > 1 && !DOUBLED.iter().any(|(known, _)| known == name)
    });
    let problems = doubled.map(|(name, versions)| format!("{name}: {versions:?}"));
    none("two versions of a package have a reason in DOUBLED", problems);
}

/// The strings of the `allow` list in the section on licences.
fn allowed(deny: &str) -> Vec<&str> {
    let section = deny.split("[licenses]").nth(1).expect("deny.toml has a section on licences");
    let list = section.split("allow = [").nth(1).and_then(|rest| rest.split(']').next());
    let list = list.expect("deny.toml has a list of licences");
    Vec::from_iter(list.split('"').skip(1).step_by(2))
}

/// Whether deny.toml makes an exception of this package and this licence.
fn is_exempt(deny: &str, name: &str, licence: Option<&str>) -> bool {
    // A trailing plus means: or a later version.
    let licence = licence.unwrap_or_default().trim_end_matches('+');
    deny.lines().any(|line| {
        line.contains(&format!("crate = \"{name}\"")) && line.contains(&format!("\"{licence}\""))
    })
}

/// Whether an SPDX expression can be met by allowed licences alone. `/` is an old way to say OR.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    if let Some((left, right)) = split_outside_parentheses(expression, " OR ") {
        return is_allowed(left, allowed) || is_allowed(right, allowed);
    }
    if let Some((left, right)) = split_outside_parentheses(expression, " AND ") {
        return is_allowed(left, allowed) && is_allowed(right, allowed);
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => is_allowed(inner, allowed),
        None => allowed.contains(&expression),
    }
}

fn split_outside_parentheses<'a>(text: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    text.match_indices(operator).map(|(at, _)| text.split_at(at)).find_map(|(left, right)| {
        let outside = left.matches('(').count() == left.matches(')').count();
        outside.then(|| (left, &right[operator.len()..]))
    })
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
    for (expression, fine) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT/GPL-3.0-only", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND OpenSSL", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), fine, "{expression}");
    }
}
