//! The systemd unit: as systemd reads it, and beside what the program needs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use corecast_tests::absent;
use eyre::{Result, WrapErr, ensure, eyre};
use serde_json::{Value, json};

use crate::a_service::{Place, works_behind};
use crate::a_system_call_is_missing::{can_filter, under};
use crate::text_of;

const UNIT: &str = "tuning/corecast.service";
/// Of 10: systemd calls less than 2 `OK`. What is left is the network, and /proc for the probe.
const EXPOSURE_MAX: &str = "1.5";

#[test]
fn systemd_has_nothing_against_the_unit() -> Result<()> {
    if !has_systemd()? {
        return Ok(());
    }
    let place = Place::new()?;
    let program = place.program();
    let shipped_path = "ExecStart=/usr/local/bin/corecast ";
    let text = text_of(UNIT)?;
    ensure!(text.matches(shipped_path).count() == 1, "{shipped_path} stands there once");
    let here = format!("ExecStart={} ", program.display());
    let unit = place.folder().join("corecast.service");
    std::fs::write(&unit, text.replace(shipped_path, &here))?;

    let verified = analyze(&["verify", "--man=no"], &unit)?;
    let said = String::from_utf8_lossy(&verified.stderr);
    ensure!(verified.status.success() && said.trim().is_empty(), "{said}");

    let threshold = format!("--threshold={}", EXPOSURE_MAX.replace('.', ""));
    let judged = analyze(&["security", "--offline=true", "--no-pager", &threshold], &unit)?;
    let said = String::from_utf8_lossy(&judged.stdout);
    let overall = said.lines().last().unwrap_or_default();
    ensure!(judged.status.success(), "more than {EXPOSURE_MAX}: {overall}");
    ensure!(overall.contains("Overall exposure level"), "{said}");

    // Which it does not say of any unit.
    std::fs::write(&unit, "[Service]\nExecStart=/bin/true\nNoSuchThing=1\n")?;
    let verified = analyze(&["verify", "--man=no"], &unit)?;
    ensure!(!verified.stderr.is_empty(), "an unknown directive is told");
    let judged = analyze(&["security", "--offline=true", "--no-pager", &threshold], &unit)?;
    ensure!(!judged.status.success(), "a unit without any rule is above the threshold");
    Ok(())
}

#[test]
fn the_system_calls_of_the_unit_carry_a_server() -> Result<()> {
    if !has_systemd()? || !can_filter()? {
        return Ok(());
    }
    let mut allowed = BTreeSet::new();
    for value in values(&text_of(UNIT)?, "SystemCallFilter") {
        let (remove, names) = match value.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, value.as_str()),
        };
        for name in names.split_whitespace() {
            let calls = BTreeSet::from_iter(expand(name)?);
            match remove {
                true => allowed.retain(|call| !calls.contains(call)),
                false => allowed.extend(calls),
            }
        }
    }
    for call in ["io_uring_setup", "io_uring_enter", "io_uring_register", "sched_setaffinity"] {
        ensure!(allowed.contains(call), "{call}");
    }
    for call in ["ptrace", "mount", "bpf", "setuid", "keyctl", "reboot"] {
        ensure!(!allowed.contains(call), "{call}");
    }
    // libseccomp knows them by these names, and refuses the others: each of ours is among them.
    let known = known(&allowed)?;
    let profile: Value = serde_json::from_str(&text_of("tuning/seccomp.json")?)?;
    let groups = profile["syscalls"].as_array().cloned().unwrap_or_default();
    let of_container = |group: &&Value| {
        let comment = group["comment"].as_str().unwrap_or_default();
        !comment.starts_with("What a container's runtime")
    };
    for group in groups.iter().filter(of_container) {
        for name in group["names"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            ensure!(known.contains(name), "{name} is in seccomp.json alone");
        }
    }
    let place = Place::new()?;
    let path = place.folder().join("unit.json");
    let unit = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": profile["architectures"],
        "syscalls": [{"names": known, "action": "SCMP_ACT_ALLOW"}],
    });
    std::fs::write(&path, unit.to_string())?;
    let words = under(&path)?;
    works_behind(&Vec::from_iter(words.iter().map(String::as_str)), &place, |_| Ok(()))
}

#[test]
fn the_readme_names_only_what_the_unit_has() -> Result<()> {
    let unit = text_of(UNIT)?;
    let readme = text_of("tuning/README.md")?;
    let section = readme.split("\n## ").find(|section| section.starts_with("As a service"));
    let section = section.ok_or_else(|| eyre!("no section \"As a service\""))?;
    let code = section.split('`').skip(1).step_by(2);
    let named = Vec::from_iter(code.filter(|code| {
        code.split_once('=').is_some_and(|(key, _)| key.chars().all(char::is_alphabetic))
    }));
    ensure!(named.len() >= 8, "only {named:?}");
    for directive in named {
        let there = unit.lines().any(|line| line.trim_start_matches("# ").starts_with(directive));
        ensure!(there, "{directive} is not in {UNIT}");
    }
    Ok(())
}

#[test]
fn systemd_waits_longer_than_the_server_takes_to_leave() -> Result<()> {
    let place = Place::new()?;
    let printed = Command::new(place.program()).args(["config", "--print"]).output()?;
    let text = String::from_utf8(printed.stdout)?;
    let section = text.split("[shutdown]").nth(1).ok_or_else(|| eyre!("no [shutdown]: {text}"))?;
    let ms = |key: &str| -> Result<u64> {
        let value = section.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        Ok(value.ok_or_else(|| eyre!("no {key}: {section}"))?.parse()?)
    };
    let needed = ms("linger_ms")? + ms("drain_ms")?;
    let stop = values(&text_of(UNIT)?, "TimeoutStopSec");
    ensure!(stop.len() == 1, "{stop:?}");
    let stop = stop[0].parse::<u64>()? * 1_000;
    ensure!(stop >= needed + 10_000, "{stop} ms for {needed}");
    Ok(())
}

/// What systemd-analyze says of a file.
fn analyze(words: &[&str], unit: &Path) -> Result<Output> {
    let mut command = Command::new("systemd-analyze");
    // It would look for the user's own manager.
    command.env("SYSTEMD_COLORS", "0").env("LC_ALL", "C.UTF-8");
    command.args(words).arg(unit).output().wrap_err("systemd-analyze")
}

fn has_systemd() -> Result<bool> {
    match Command::new("systemd-analyze").arg("--version").output() {
        Ok(_) => Ok(true),
        Err(_) => absent("systemd-analyze (Debian package systemd)").map(|()| false),
    }
}

/// The values of a key, in their order.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

/// The system calls behind a name or `@group`.
fn expand(name: &str) -> Result<Vec<String>> {
    if !name.starts_with('@') {
        return Ok(vec![name.to_owned()]);
    }
    let output = Command::new("systemd-analyze").args(["syscall-filter", name]).output()?;
    ensure!(output.status.success(), "no group {name}");
    let text = String::from_utf8(output.stdout)?;
    let mut calls = Vec::new();
    for line in text.lines().skip(1).map(str::trim) {
        match line {
            "" => {}
            _ if line.starts_with('#') => {}
            _ => calls.extend(expand(line)?),
        }
    }
    ensure!(!calls.is_empty(), "{name} is empty");
    Ok(calls)
}

/// Those that this machine's libseccomp knows.
fn known(calls: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let code = "import seccomp, sys\nfor name in sys.stdin.read().split():\n    \
                if seccomp.resolve_syscall(seccomp.Arch(), name) >= 0: print(name)\n";
    let names = Vec::from_iter(calls.iter().map(String::as_str)).join("\n");
    let place = Place::new()?;
    let list = place.folder().join("names");
    std::fs::write(&list, names)?;
    let mut python = Command::new("/usr/bin/python3");
    let output = python.args(["-c", code]).stdin(std::fs::File::open(&list)?).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
