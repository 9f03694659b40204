//! Which crate may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::files::{read, root};
use crate::none;

/// The arrows of the house. They point one way; what is not here is not allowed.
const ARROWS: &[(&str, &[&str])] = &[
    ("corecast-wire", &[]),
    ("corecast-hub", &["corecast-wire"]),
    ("corecast-feed", &[]),
    ("corecast-gate", &[]),
    ("corecast-tuning", &[]),
    ("corecast-shard", &["corecast-gate", "corecast-hub", "corecast-tuning", "corecast-wire"]),
    ("corecast", &["corecast-gate", "corecast-hub", "corecast-shard", "corecast-wire"]),
    ("corecast-server", &["corecast", "corecast-feed", "corecast-gate", "corecast-tuning"]),
    ("corecast-bench", &["corecast-feed", "corecast-hub", "corecast-wire"]),
    (
        "corecast-tests",
        &["corecast", "corecast-bench", "corecast-feed", "corecast-gate", "corecast-wire"],
    ),
];

/// Packages that only some crates may use.
const RESERVED: &[(&str, &[&str])] = &[
    ("glommio", &["corecast-shard"]),
    ("io-uring", &["corecast-shard", "corecast-tuning"]),
    ("mimalloc", &["corecast-server"]),
    ("axum", &["corecast-server"]),
    ("tokio", &["corecast-server"]),
    ("eyre", &["corecast-server", "corecast-bench", "corecast-tests"]),
];

/// Crates whose root may leave out `#![forbid(unsafe_code)]`.
const MAY_BE_UNSAFE: &[&str] = &["corecast-shard", "corecast-wire"];

/// `cargo metadata` for the platform that the engine is for.
pub(crate) static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
});

/// All packages that cargo knows of here, those of other people included.
pub(crate) fn packages() -> impl Iterator<Item = &'static Value> {
    METADATA["packages"].as_array().expect("metadata lists packages").iter()
}

/// The packages of this workspace.
fn members() -> impl Iterator<Item = &'static Value> {
    packages().filter(|package| package["source"].is_null())
}

/// A string field that cargo always gives.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("metadata without {name}: {value}"))
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().into_iter().flatten()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let allowed = BTreeMap::from_iter(ARROWS.iter().copied());
    let problems = members().flat_map(|package| {
        let name = field(package, "name");
        let Some(allowed) = allowed.get(name) else {
            return vec![format!("{name} has no line in ARROWS")];
        };
        let own = dependencies(package).filter(|dependency| dependency["path"].is_string());
        let wrong = own.map(|own| field(own, "name")).filter(|own| !allowed.contains(own));
        Vec::from_iter(wrong.map(|own| format!("{name} uses {own}")))
    });
    none("crates know only those below them", problems);
}

#[test]
fn reserved_packages_stay_where_they_belong() {
    let problems = members().flat_map(|package| {
        let name = field(package, "name");
        let used = dependencies(package).filter(|used| used["kind"].is_null());
        let wrong = used.map(|used| field(used, "name")).filter(|used| {
            let reserved = RESERVED.iter().find(|(package, _)| package == used);
            reserved.is_some_and(|(_, users)| !users.contains(&name))
        });
        Vec::from_iter(wrong.map(|used| format!("{name} uses {used}")))
    });
    none("runtimes, rings and allocators are chosen in one place", problems);
}

#[test]
fn crate_roots_forbid_unsafe_code() {
    let problems = members().flat_map(|package| {
        let targets = package["targets"].as_array().into_iter().flatten();
        let roots = targets.filter(|target| {
            let kinds = target["kind"].as_array().into_iter().flatten();
            kinds.filter_map(Value::as_str).any(|kind| kind == "lib" || kind == "bin")
        });
        let bare = roots.map(|target| field(target, "src_path")).filter(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            !text.contains("#![forbid(unsafe_code)]")
        });
        let exempt = MAY_BE_UNSAFE.contains(&field(package, "name"));
        Vec::from_iter(bare.filter(|_| !exempt).map(short))
    });
    none("a crate root says #![forbid(unsafe_code)]", problems);
}

fn short(path: &str) -> String {
    Path::new(path).strip_prefix(root()).unwrap_or(Path::new(path)).display().to_string()
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let architecture = read("ARCHITECTURE.md");
    let direct = BTreeSet::from_iter(members().flat_map(|package| {
        let foreign = dependencies(package).filter(|dependency| dependency["path"].is_null());
        Vec::from_iter(foreign.map(|dependency| field(dependency, "name")))
    }));
    let without = direct.into_iter().filter(|name| {
        let named = format!("`{name}`");
        !architecture.lines().any(|line| {
            let reason_chars = line.len() - line.matches(&named).map(str::len).sum::<usize>();
            line.contains(&named) && reason_chars > 20
        })
    });
    none("ARCHITECTURE.md says why each package is used", without.map(str::to_owned));
}
