//! `tuning/nic.sh` on veth pairs in a network namespace of its own.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::{Command, Output};

use corecast_tests::skip;
use eyre::{Result, ensure};

/// A network namespace with two veth pairs, `two` with two queues and `one` with one; it goes with
/// them.
struct Namespace(String);

impl Namespace {
    fn new() -> Result<Self> {
        let name = format!("corecast-nic-{}", std::process::id());
        ensure!(run("ip", &["netns", "add", &name])?.status.success(), "ip netns add");
        let namespace = Self(name);
        for (nic, queues) in [("two", "2"), ("one", "1")] {
            let (name, other) = (&namespace.0, format!("{nic}-peer"));
            let number = ["numrxqueues", queues, "numtxqueues", queues];
            let pair = [&["-n", name, "link", "add", nic][..], &number].concat();
            let pair = [&pair[..], &["type", "veth", "peer", "name", &other], &number].concat();
            ensure!(run("ip", &pair)?.status.success(), "a veth pair");
            for end in [nic, &other] {
                run("ip", &["-n", name, "link", "set", end, "up"])?;
            }
        }
        Ok(namespace)
    }

    fn script(&self, arguments: &[&str]) -> Result<Output> {
        let script = script();
        let inside = ["netns", "exec", &self.0, script.to_str().unwrap_or_default()];
        run("ip", &[&inside[..], arguments].concat())
    }

    fn file(&self, path: &str) -> Result<String> {
        let path = format!("/sys/class/net/{path}");
        Ok(said(&run("ip", &["netns", "exec", &self.0, "cat", &path])?))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run("ip", &["netns", "del", &self.0]);
    }
}

#[test]
fn it_prints_first_and_sets_a_veth_up_with_apply() -> Result<()> {
    if !rustix::process::getuid().is_root() {
        return skip("network namespaces need root");
    }
    if std::fs::read_to_string("/sys/devices/system/cpu/online")?.trim() == "0" {
        return skip("one core: nothing to spread");
    }
    let Ok(place) = Namespace::new() else {
        return skip("no network namespaces or no veth here");
    };
    let queue = |path: &str| place.file(path).map(|mask| mask.trim_start_matches('0').to_owned());

    let printed = place.script(&["--cpus", "0-1", "two", "one"])?;
    let text = said(&printed);
    ensure!(printed.status.success(), "{text}");
    ensure!(text.contains("echo 1 > /sys/class/net/two/queues/tx-0/xps_cpus"), "{text}");
    ensure!(text.contains("echo 2 > /sys/class/net/two/queues/tx-1/xps_cpus"), "{text}");
    ensure!(text.contains("echo 3 > /sys/class/net/one/queues/rx-0/rps_cpus"), "{text}");
    ensure!(!text.contains("two/queues/rx-"), "a queue for each core needs no RPS: {text}");
    ensure!(text.contains("nothing was changed"), "{text}");
    ensure!(queue("one/queues/rx-0/rps_cpus")?.is_empty(), "it was changed without --apply");

    let applied = place.script(&["--cpus=0-1", "--apply", "two", "one"])?;
    ensure!(applied.status.success(), "{}", said(&applied));
    for (path, mask) in [
        ("one/queues/rx-0/rps_cpus", "3"),
        ("two/queues/rx-0/rps_cpus", ""),
        ("two/queues/tx-0/xps_cpus", "1"),
        ("two/queues/tx-1/xps_cpus", "2"),
    ] {
        let found = queue(path)?;
        ensure!(found == mask, "{path}: {found:?}, not {mask:?}");
    }
    let again = said(&place.script(&["--cpus=0-1", "--apply", "two", "one"])?);
    ensure!(again.contains("all is set already") && !again.contains("echo"), "{again}");

    let fewer = place.script(&["--cpus=1", "--apply", "two", "one"])?;
    ensure!(fewer.status.success(), "{}", said(&fewer));
    ensure!(queue("one/queues/rx-0/rps_cpus")?.is_empty(), "one core needs no RPS");
    ensure!(queue("two/queues/tx-0/xps_cpus")? == "2", "core 1 sends by the first queue");

    let none = said(&place.script(&[])?);
    ensure!(none.contains("no network card with a device here"), "{none}");
    Ok(())
}

#[test]
fn wrong_arguments_are_told_and_lo_is_never_touched() -> Result<()> {
    for (arguments, words) in [
        (&["lo"][..], "never touched"),
        (&["no-such-card"], "no network card named"),
        (&["../net/lo"], "no network card named"),
        (&["--cpus", "x"], "--cpus is a list"),
        (&["--cpus", "1-0"], "runs backwards"),
        (&["--cpus", "9999"], "there is no core 9999"),
        (&["--cpus"], "needs a value"),
        (&["--rings", "many"], "--rings is"),
        (&["--coalesce", "never"], "--coalesce is"),
        (&["--aply"], "unknown option"),
    ] {
        let output = run(script().to_str().unwrap_or_default(), arguments)?;
        let text = said(&output);
        ensure!(output.status.code() == Some(2) && text.contains(words), "{arguments:?}: {text}");
    }
    let help = run(script().to_str().unwrap_or_default(), &["--help"])?;
    ensure!(help.status.success() && said(&help).contains("--apply"), "{}", said(&help));
    Ok(())
}

#[test]
fn shellcheck_has_nothing_to_say() -> Result<()> {
    if Command::new("shellcheck").arg("--version").output().is_err() {
        return skip("shellcheck is not installed");
    }
    let output = run("shellcheck", &[script().to_str().unwrap_or_default()])?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tuning/nic.sh")
}

fn run(program: &str, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(program).args(arguments).output()?)
}

/// What it said on both ways out.
fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
