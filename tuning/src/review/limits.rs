//! Limits of this process and of the machine.

use crate::checks::{MEMLOCK, NOFILE, THREADS, USER};
use crate::facts::{Bytes, Facts, Limit};
use crate::finding::{Finding, Group};
use crate::limits::{
    MEMLOCK_BUFFER_BYTES_PER_SHARD, NOFILE_ADVISED, NOFILE_PER_SHARD, NOFILE_PROGRAM,
    THREADS_PROGRAM,
};
use crate::machine::{Machine, Plan};
use crate::review::sysctl;
use crate::start::memlock_bytes_needed;
use crate::user::User;

pub(super) fn findings(facts: &Facts, machine: &Machine, plan: &Plan) -> Vec<Finding> {
    let setting = |key| sysctl(machine, Group::Limits, key);
    vec![
        user(facts.user),
        memlock(facts, plan),
        nofile(facts, plan),
        threads(facts, plan),
        setting("fs.file-max"),
        setting("fs.nr_open"),
        setting("kernel.threads-max"),
    ]
}

fn user(user: User) -> Finding {
    let User { id, capabilities } = user;
    let value = match (id, capabilities) {
        (0, _) => "root".to_owned(),
        (_, 0) => format!("{id}, no capability"),
        _ => format!("{id}, capabilities {capabilities:#x}"),
    };
    if user.is_modest() {
        return USER.ok(value);
    }
    let what_to_do = "Run the server as a user of its own without capabilities: \
                      tuning/corecast.service, USER in a container (tuning/Containerfile), or \
                      `setpriv --reuid=65534 --clear-groups --bounding-set=-all corecast serve`";
    USER.advice(value, what_to_do)
}

fn memlock(facts: &Facts, plan: &Plan) -> Finding {
    let Limit { soft, hard } = facts.memlock;
    let exempt = if facts.memlock_exempt { " (CAP_IPC_LOCK: not counted)" } else { "" };
    let value = format!("soft {}, hard {}{exempt}", Bytes(soft), Bytes(hard));
    let needed = memlock_bytes_needed(facts, plan.shards);
    let raise = "(`ulimit -l`, LimitMEMLOCK=infinity, --ulimit memlock=-1)";
    if !facts.memlock.soft_allows(needed) {
        return MEMLOCK.problem(value, format!("Raise it to {} {raise}", Bytes(Some(needed))));
    }
    let buffers = MEMLOCK_BUFFER_BYTES_PER_SHARD.saturating_mul(plan.shards as u64);
    if !facts.memlock_exempt && !facts.memlock.soft_allows(buffers) {
        let what_to_do = format!(
            "Raise it to {} {raise}: that much is registered as fixed buffers, which are done \
             without where they are refused",
            Bytes(Some(buffers))
        );
        return MEMLOCK.advice(value, what_to_do);
    }
    MEMLOCK.ok(value)
}

fn nofile(facts: &Facts, plan: &Plan) -> Finding {
    let value = soft_and_hard(facts.nofile);
    let needed = NOFILE_PER_SHARD.saturating_mul(plan.shards as u64) + NOFILE_PROGRAM;
    // The program raises the soft limit to the hard one by itself: only the hard one matters.
    if !facts.nofile.hard_allows(needed) {
        let what_to_do =
            format!("Raise the hard limit (LimitNOFILE=65536): the shards alone need {needed}");
        return NOFILE.problem(value, what_to_do);
    }
    if !facts.nofile.hard_allows(NOFILE_ADVISED) {
        let what_to_do = format!(
            "Raise the hard limit: LimitNOFILE={NOFILE_ADVISED}, --ulimit \
             nofile={NOFILE_ADVISED}, or tuning/limits.conf in /etc/security/limits.d/"
        );
        return NOFILE.advice(value, what_to_do);
    }
    NOFILE.ok(value)
}

fn threads(facts: &Facts, plan: &Plan) -> Finding {
    let value = soft_and_hard(facts.threads);
    let needed = THREADS_PROGRAM.saturating_add(plan.shards as u64);
    if facts.threads.soft_allows(needed) {
        return THREADS.ok(value);
    }
    let what_to_do = format!("`ulimit -u {needed}` at least, or TasksMax= and LimitNPROC=");
    THREADS.problem(value, what_to_do)
}

fn soft_and_hard(limit: Limit) -> String {
    let number = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    format!("soft {}, hard {}", number(limit.soft), number(limit.hard))
}
