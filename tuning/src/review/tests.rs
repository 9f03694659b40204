//! A machine about which there is nothing to say, and what each change to it is told.

use super::*;
use crate::container::{Container, CpuQuota};
use crate::cores::Cores;
use crate::cpu_set::Cpus;
use crate::facts::{Kernel, Limit};
use crate::finding::Level::{self, Advice, Ok, Problem};
use crate::memory::Memory;
use crate::nics::{Irq, Nic};
use crate::ring::{IoUring, RingOption};
use crate::sysctls::{SYSCTLS, Sysctls};
use crate::user::User;

/// What a start needs, all there, for four cores.
pub(crate) fn good_facts() -> Facts {
    Facts {
        kernel: Kernel::parse("6.12.0"),
        io_uring: IoUring::Works { missing: vec![] },
        user: User { id: 65_534, capabilities: 0 },
        memlock: Limit { soft: None, hard: None },
        memlock_exempt: false,
        nofile: Limit { soft: Some(1 << 20), hard: Some(1 << 20) },
        threads: Limit { soft: Some(1 << 16), hard: Some(1 << 16) },
        affinity: vec![0, 1, 2, 3],
    }
}

fn cpus(list: &str) -> Cpus {
    Cpus::from_list(list).expect("a list of CPUs")
}

fn good_machine() -> Machine {
    let advised = SYSCTLS.iter().map(|sysctl| {
        let value = sysctl.advised.unwrap_or("1000000 1000000 1000000");
        (sysctl.key.to_owned(), value.to_owned())
    });
    let irq =
        |number, cpu: &str| Irq { number, label: format!("eth0-TxRx-{cpu}"), cpus: cpus(cpu) };
    Machine {
        ring_options: vec![RingOption { name: "DEFER_TASKRUN", present: true, used: true }],
        sysctls: Sysctls(advised.collect()),
        softnet_dropped: Some(0),
        cores: Cores {
            online: Some(cpus("0-3")),
            isolated: Some(cpus("")),
            nohz_full: Some(cpus("")),
            nodes: [(0, cpus("0-3"))].into(),
            governors: [("performance".to_owned(), cpus("0-3"))].into(),
            clock_source: Some("tsc".into()),
            ..Cores::default()
        },
        nics: vec![Nic {
            name: "eth0".into(),
            node: Some(0),
            rps: vec![Cpus::default(); 4],
            xps: vec![cpus("0"), cpus("1"), cpus("2"), cpus("3")],
            irqs: vec![irq(40, "0"), irq(41, "1"), irq(42, "2"), irq(43, "3")],
            missed_packets: Some(0),
            ..Nic::default()
        }],
        irqbalance: false,
        memory: Memory {
            huge_pages: Some("madvise".into()),
            swap_bytes: Some(0),
            ..Memory::default()
        },
        container: Container { cgroup_versions: vec![2], ..Container::default() },
    }
}

fn plan(facts: &Facts) -> Plan {
    Plan::new(facts, None, None)
}

/// What is told of one subject; nothing else may be told.
#[track_caller]
fn expect(facts: &Facts, machine: &Machine, plan: &Plan, subject: &str, level: Level) {
    let all = findings(facts, machine, plan);
    let finding = all.iter().find(|f| f.subject == subject).expect("subject");
    assert_eq!(finding.level, level, "{finding}");
    assert_eq!(finding.what_to_do.is_empty(), level == Ok, "{finding}");
    let others = all.iter().filter(|f| f.subject != subject && f.level != Ok);
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&Finding>::new());
}

#[track_caller]
fn expect_facts(facts: &Facts, subject: &str, level: Level) {
    expect(facts, &good_machine(), &plan(facts), subject, level);
}

#[track_caller]
fn expect_machine(subject: &str, level: Level, change: impl FnOnce(&mut Machine)) {
    let (facts, mut machine) = (good_facts(), good_machine());
    change(&mut machine);
    expect(&facts, &machine, &plan(&facts), subject, level);
}

#[test]
fn a_good_machine_is_all_ok_and_visible() {
    let facts = good_facts();
    let all = findings(&facts, &good_machine(), &plan(&facts));
    assert!(all.len() > 40, "{}", all.len());
    for finding in &all {
        assert!(finding.level == Ok && finding.what_to_do.is_empty(), "{finding}");
        assert!(!finding.why.is_empty() && finding.is_visible(), "{finding}");
    }
    assert!(all.is_sorted_by_key(|finding| finding.group), "group by group");
}

#[test]
fn nothing_visible_is_no_advice_and_no_problem() {
    let facts = good_facts();
    let all = findings(&facts, &Machine::default(), &plan(&facts));
    assert!(all.iter().all(|finding| finding.level == Ok), "{all:?}");
    assert!(all.iter().filter(|finding| !finding.is_visible()).count() > 20);
}

#[test]
fn kernel_and_ring_levels() {
    let on = |release: &str| Facts { kernel: Kernel::parse(release), ..good_facts() };
    expect_facts(&on("5.4.0"), "kernel", Problem);
    expect_facts(&on("custom"), "kernel", Advice);
    expect_facts(&on("5.11.0"), "kernel", Ok);
    let io_uring = IoUring::BlockedBySeccomp;
    expect_facts(&Facts { io_uring, ..good_facts() }, "io_uring", Problem);
    expect_machine("ring options", Advice, |m| m.ring_options[0].present = false);
    for (source, level) in [("kvm-clock", Ok), ("hpet", Advice), ("acpi_pm", Advice)] {
        expect_machine("clock source", level, |m| m.cores.clock_source = Some(source.into()));
    }
}

#[test]
fn memlock_levels() {
    let with = |kib: u64| {
        let memlock = Limit { soft: Some(kib * 1024), hard: None };
        Facts { memlock, ..good_facts() }
    };
    expect_facts(&with(64), "memlock", Problem);
    expect_facts(&with(512), "memlock", Advice);
    expect_facts(&with(768), "memlock", Ok);
    expect_facts(&Facts { memlock_exempt: true, ..with(512) }, "memlock", Ok);
    expect_facts(&Facts { kernel: Kernel::parse("6.14.0"), ..with(768) }, "memlock", Problem);
    expect_facts(&Facts { kernel: Kernel::parse("6.14.0"), ..with(2816) }, "memlock", Ok);
}

#[test]
fn a_server_that_may_more_than_it_needs_is_told() {
    for (id, capabilities, level) in
        [(0, u64::MAX, Advice), (0, 0, Advice), (999, 1 << 21, Advice), (999, 1 << 10, Ok)]
    {
        expect_facts(&Facts { user: User { id, capabilities }, ..good_facts() }, "user", level);
    }
}

#[test]
fn limits_of_files_and_threads() {
    let hard = |hard| Limit { soft: Some(64.min(hard)), hard: Some(hard) };
    for (files, level) in [(100, Problem), (20_000, Advice), (65_536, Ok)] {
        expect_facts(&Facts { nofile: hard(files), ..good_facts() }, "nofile", level);
    }
    expect_facts(&Facts { threads: hard(64), ..good_facts() }, "nproc", Problem);
}

#[test]
fn each_setting_is_advised_where_it_is_too_small() {
    let bad = [
        ("net.core.somaxconn", "128"),
        ("net.core.netdev_max_backlog", "300"),
        ("net.core.wmem_max", "65536"),
        ("net.ipv4.tcp_rmem", "4096 131072 212992"),
        ("net.ipv4.tcp_wmem", "4096 16384 212992"),
        ("net.ipv4.tcp_mem", "1000 2000 3000"),
        ("net.ipv4.tcp_slow_start_after_idle", "1"),
        ("net.ipv4.ip_local_port_range", "60000 61000"),
        ("net.core.busy_poll", "50"),
        ("fs.file-max", "1000"),
        ("fs.nr_open", "1024"),
        ("vm.overcommit_memory", "2"),
    ];
    for (key, value) in bad {
        let subject = key.rsplit('.').next().expect("a name");
        expect_machine(subject, Advice, |m| {
            m.sysctls.0.insert(key.to_owned(), value.to_owned());
        });
    }
    expect_machine("somaxconn", Problem, |m| {
        m.sysctls.0.insert("net.core.somaxconn".into(), "0".into());
    });
    expect_machine("softnet drops", Ok, |m| m.softnet_dropped = Some(7));
    expect_machine("softnet drops", Advice, |m| {
        m.softnet_dropped = Some(7);
        m.sysctls.0.insert("net.core.netdev_max_backlog".into(), "1000".into());
    });
}

#[test]
fn core_levels() {
    let on = |affinity: &[usize]| Facts { affinity: affinity.to_vec(), ..good_facts() };
    let (facts, machine) = (on(&[0, 1]), good_machine());
    expect(&facts, &machine, &plan(&facts), "cores", Advice);
    let elsewhere = Plan::new(&facts, None, Some(&[3]));
    expect(&facts, &machine, &elsewhere, "cores", Problem);
    let facts = good_facts();
    expect(&facts, &machine, &Plan::new(&facts, Some(4), Some(&[1])), "cores", Advice);
    expect_machine("smt", Advice, |m| m.cores.siblings = [cpus("0,2"), cpus("1,3")].into());
    expect_machine("smt", Ok, |m| m.cores.siblings = [cpus("0,8"), cpus("1,9")].into());
    expect_machine("isolcpus", Advice, |m| m.cores.isolated = Some(cpus("2-3")));
    expect_machine("isolcpus", Ok, |m| m.cores.isolated = Some(cpus("0-3")));
    expect_machine("nohz_full", Advice, |m| m.cores.nohz_full = Some(cpus("2-3")));
    for governor in ["powersave", "schedutil"] {
        expect_machine("governor", Advice, |m| {
            m.cores.governors.insert(governor.into(), cpus("2"));
        });
    }
}

#[test]
fn nodes_are_told_with_the_cores_to_take() {
    let facts = good_facts();
    let mut machine = good_machine();
    machine.cores.nodes = [(0, cpus("0-1")), (1, cpus("2-3"))].into();
    let one_node = Plan::new(&facts, None, Some(&[0, 1]));
    machine.nics[0].irqs.truncate(2);
    expect(&facts, &machine, &one_node, "numa", Ok);
    let other = Plan::new(&facts, None, Some(&[2, 3]));
    expect(&facts, &machine, &other, "card's node", Advice);
    let all = findings(&facts, &machine, &plan(&facts));
    let numa = all.iter().find(|finding| finding.subject == "numa").expect("numa");
    assert_eq!(numa.level, Advice);
    assert!(numa.what_to_do.contains("--membind="), "{numa}");
}

#[test]
fn card_levels() {
    let one_core = |m: &mut Machine| {
        m.nics[0].irqs.iter_mut().for_each(|irq| irq.cpus = cpus("0"));
    };
    expect_machine("irq", Advice, one_core);
    expect_machine("irq", Advice, |m| m.irqbalance = true);
    expect_machine("queues", Advice, |m| m.nics[0].rps.truncate(2));
    expect_machine("queues", Ok, |m| m.nics[0].rps = vec![cpus("0-3"); 2]);
    expect_machine("rps", Advice, |m| m.nics[0].rps = vec![cpus("0-3"); 4]);
    expect_machine("rps", Advice, |m| m.nics[0].rps = vec![cpus("0-1"); 2]);
    expect_machine("xps", Advice, |m| m.nics[0].xps = vec![Cpus::default(); 4]);
    expect_machine("xps", Advice, |m| m.nics[0].xps[3] = cpus("1"));
    expect_machine("xps", Ok, |m| m.nics[0].xps.truncate(1));
    expect_machine("missed packets", Advice, |m| m.nics[0].missed_packets = Some(9));
    let (facts, machine) = (Facts { affinity: (0..8).collect(), ..good_facts() }, {
        let mut machine = good_machine();
        machine.cores.online = Some(cpus("0-7"));
        machine
    });
    let beside = Plan::new(&facts, None, Some(&[4, 5]));
    let all = findings(&facts, &machine, &beside);
    let irq = all.iter().find(|finding| finding.subject == "irq").expect("irq");
    assert_eq!(irq.level, Ok, "interrupts beside the shards disturb nobody");
}

#[test]
fn container_levels() {
    let quota = |quota_us, throttled| CpuQuota { quota_us, period_us: 100_000, throttled };
    expect_machine("cpu quota", Advice, |m| m.container.cpu = Some(quota(150_000, Some(0))));
    expect_machine("cpu quota", Advice, |m| m.container.cpu = Some(quota(800_000, Some(3))));
    expect_machine("cpu quota", Ok, |m| m.container.cpu = Some(quota(400_000, Some(0))));
    expect_machine("cpuset", Problem, |m| m.container.cpuset = Some(cpus("0-2")));
    expect_machine("cpuset", Ok, |m| m.container.cpuset = Some(cpus("0-7")));
    expect_machine("memory limit", Advice, |m| m.container.memory_bytes_max = Some(64 << 20));
    expect_machine("pids limit", Problem, |m| m.container.threads_max = Some(32));
    expect_machine("seccomp", Ok, |m| m.container.seccomp = true);
}

#[test]
fn memory_levels() {
    expect_machine("huge pages", Ok, |m| m.memory.huge_pages = Some("always".into()));
    expect_machine("swap", Ok, |m| m.memory.swap_bytes = Some(1 << 30));
    expect_machine("swap", Advice, |m| {
        m.memory.swap_bytes = Some(1 << 30);
        m.sysctls.0.insert("vm.swappiness".into(), "60".into());
    });
}
