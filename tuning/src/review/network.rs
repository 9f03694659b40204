//! Settings of the network stack.

use crate::checks::SOFTNET;
use crate::finding::{Finding, Group};
use crate::limits::NETDEV_BACKLOG_ADVISED;
use crate::machine::Machine;
use crate::review::{set, sysctl};
use crate::sysctls::SYSCTLS;

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let own = SYSCTLS.iter().filter(|sysctl| sysctl.key.starts_with("net."));
    let mut all: Vec<_> = own.map(|setting| sysctl(machine, Group::Network, setting.key)).collect();
    if let Some(backlog) = all.iter_mut().find(|finding| finding.subject == "somaxconn")
        && machine.sysctls.value("net.core.somaxconn") == Some("0")
    {
        backlog.level = crate::Level::Problem;
    }
    all.push(softnet(machine));
    all
}

fn softnet(machine: &Machine) -> Finding {
    match machine.softnet_dropped {
        None => SOFTNET.unseen(),
        Some(0) => SOFTNET.ok("none since the start"),
        Some(dropped) => {
            let value = format!("{dropped} packets since the start");
            // Whoever has raised it already looks at an old count.
            let key = "net.core.netdev_max_backlog";
            let raised = machine.sysctls.value(key).and_then(|value| value.parse::<u64>().ok());
            match raised {
                Some(now) if now >= NETDEV_BACKLOG_ADVISED => SOFTNET.ok(value),
                _ => SOFTNET.advice(value, set(key, &NETDEV_BACKLOG_ADVISED.to_string())),
            }
        }
    }
}
