//! Neither root nor a capability is needed.

use corecast_tests::server::TestServer;
use corecast_tests::skip;
use eyre::{Result, ensure};

use crate::a_service::{Place, works_behind};

#[test]
fn a_user_without_capabilities_serves() -> Result<()> {
    if !rustix::process::getuid().is_root() {
        return skip("only root can become nobody");
    }
    let place = Place::new()?;
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
    ];
    works_behind(&nobody, &place, |server| {
        let status = format!("/proc/{}/status", server.process().pid());
        let status = std::fs::read_to_string(status)?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let none = Some("0000000000000000");
        for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            ensure!(field(name).map(str::trim) == none, "{name} {:?}", field(name));
        }
        let users = field("Uid:").unwrap_or_default().split_whitespace();
        ensure!(users.eq(["65534"; 4]), "{:?}", field("Uid:"));
        ensure!(field("NoNewPrivs:").map(str::trim) == Some("1"), "no new privileges");
        ensure!(field("Groups:").map(str::trim) == Some(""), "{:?}", field("Groups:"));
        Ok(())
    })
}

#[test]
fn doctor_advises_against_root_and_has_nothing_against_nobody() -> Result<()> {
    if !rustix::process::getuid().is_root() {
        return skip("only root can become nobody");
    }
    let place = Place::new()?;
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--"];
    for (words, level, value) in [(&[][..], "advice", "root"), (&nobody[..], "ok", "65534, no")] {
        let mut command = std::process::Command::new("setpriv");
        command.args(words).arg(place.program()).args(["doctor", "--json"]);
        let output = command.output()?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        let user = findings.iter().find(|finding| finding["subject"] == "user");
        let user = user.ok_or_else(|| eyre::eyre!("nothing about the user: {findings:?}"))?;
        ensure!(user["level"] == level, "{user}");
        ensure!(user["value"].as_str().is_some_and(|text| text.starts_with(value)), "{user}");
    }
    Ok(())
}

/// What [`works_behind`] asks of a server is not more than one without any rule around it does.
#[test]
fn a_server_without_rules_serves() -> Result<()> {
    works_behind(&["env"], &Place::new()?, |_: &TestServer| Ok(()))
}
