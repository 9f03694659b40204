//! The seccomp profile, applied for real by libseccomp, as Docker and Podman do it.

use std::path::Path;
use std::process::{Command, Output};

use corecast_tests::absent;
use eyre::{Result, ensure, eyre};
use serde_json::Value;

use crate::a_service::{Place, works_behind};
use crate::{shipped, text_of};

/// Debian's Python is the one that Debian's packages are for.
const PYTHON: &str = "/usr/bin/python3";

/// The words that put a program under this profile.
pub(crate) fn under(profile: &Path) -> Result<Vec<String>> {
    let script = shipped("tests/lib/under_seccomp.py");
    let words = [Path::new(PYTHON), &script, profile, Path::new("--")];
    let words = words.map(|word| word.to_str().map(str::to_owned));
    words.into_iter().map(|word| word.ok_or_else(|| eyre!("a path that is no text"))).collect()
}

/// Whether filters can be made here.
///
/// # Errors
/// Where nothing may be skipped, when they cannot.
pub(crate) fn can_filter() -> Result<bool> {
    let found = Command::new(PYTHON).args(["-c", "import seccomp"]).output();
    match found.is_ok_and(|output| output.status.success()) {
        true => Ok(true),
        false => absent("libseccomp (Debian package python3-seccomp)").map(|()| false),
    }
}

#[test]
fn a_server_under_the_profile_serves() -> Result<()> {
    if !can_filter()? {
        return Ok(());
    }
    let words = under(&shipped("tuning/seccomp.json"))?;
    let words = Vec::from_iter(words.iter().map(String::as_str));
    works_behind(&words, &Place::new()?, |server| {
        let status = format!("/proc/{}/status", server.process().pid());
        let status = std::fs::read_to_string(status)?;
        ensure!(status.contains("Seccomp:\t2"), "a filter is on it: {status}");
        Ok(())
    })
}

#[test]
fn the_profile_lets_nothing_out() -> Result<()> {
    if !can_filter()? {
        return Ok(());
    }
    let python = |code: &str| run_under(&[], &[PYTHON, "-c", code]);
    // It does start, and says what it is told.
    let fine = python("print('fine')")?;
    ensure!(fine.status.success() && fine.stdout == b"fine\n", "{fine:?}");
    for (code, word) in [
        ("import os; os.fork()", "Function not implemented"),
        ("import os; os.mkdir('/dev/shm/no')", "Function not implemented"),
        ("import os; os.kill(1, 0)", "Function not implemented"),
        ("import os; os.mknod('/dev/shm/no')", "Function not implemented"),
        ("import os; os.chroot('/')", "Function not implemented"),
        ("import socket; socket.socket(socket.AF_PACKET)", "Function not implemented"),
        ("import socket; socket.socket(socket.AF_NETLINK)", "Function not implemented"),
    ] {
        let refused = python(code)?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(!refused.status.success() && said.contains(word), "{code}: {said}");
    }
    Ok(())
}

#[test]
fn without_io_uring_one_line_says_what_to_do() -> Result<()> {
    if !can_filter()? {
        return Ok(());
    }
    let place = Place::new()?;
    let program = place.program();
    let program = program.to_str().unwrap_or_default();
    for call in ["io_uring_setup", "io_uring_register"] {
        let started = run_under(&[call], &[program, "serve", "--listen=127.0.0.1:0"])?;
        let said = String::from_utf8_lossy(&started.stderr);
        ensure!(started.status.code() == Some(78), "{call}: {:?}: {said}", started.status);
        ensure!(said.trim_end().lines().count() == 1, "{call}: {said}");
        ensure!(said.contains("seccomp=tuning/seccomp.json"), "{call}: {said}");
        let doctor = run_under(&[call], &[program, "doctor", "--json"])?;
        let report: Value = serde_json::from_slice(&doctor.stdout)?;
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        let ring = findings.iter().find(|finding| finding["subject"] == "io_uring");
        let ring = ring.ok_or_else(|| eyre!("nothing about io_uring: {findings:?}"))?;
        ensure!(ring["value"] == "blocked by a seccomp filter", "{call}: {ring}");
        ensure!(ring["level"] == "problem", "{call}: {ring}");
    }
    Ok(())
}

#[test]
fn the_profile_denies_by_default_and_names_nothing_twice() -> Result<()> {
    let profile: Value = serde_json::from_str(&text_of("tuning/seccomp.json")?)?;
    ensure!(profile["defaultAction"] == "SCMP_ACT_ERRNO", "what is not named is refused");
    let groups = profile["syscalls"].as_array().cloned().unwrap_or_default();
    let mut names = Vec::new();
    for group in &groups {
        ensure!(group["action"] == "SCMP_ACT_ALLOW", "{group}");
        ensure!(group["comment"].as_str().is_some_and(|text| !text.is_empty()), "{group}");
        let own = group["names"].as_array().cloned().unwrap_or_default();
        // One with conditions may stand there again, with others.
        if group["args"].is_null() {
            names.extend(own.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    ensure!(names.len() == count, "a name stands there twice");
    let banned = ["bpf", "clone3", "execveat", "fork", "kill", "mount", "ptrace", "unshare"];
    for name in banned {
        ensure!(!names.iter().any(|one| one == name), "{name}");
    }
    Ok(())
}

/// Runs a command under the profile without these system calls.
fn run_under(without: &[&str], command: &[&str]) -> Result<Output> {
    let mut words = under(&shipped("tuning/seccomp.json"))?;
    let at = words.len() - 1;
    let flags = without.iter().flat_map(|name| ["--without".to_owned(), (*name).to_owned()]);
    words.splice(at..at, flags);
    Ok(Command::new(&words[0]).args(&words[1..]).args(command).output()?)
}
