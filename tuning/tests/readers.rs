//! What is read from whole trees of `/proc` and `/sys`, and how it is judged.

use corecast_tuning::{Cpus, Facts, Finding, Level, Machine, Plan, Root, SYSCTLS, findings};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A tree in a folder of its own, removed at the end.
struct Tree(PathBuf);

impl Tree {
    /// Lays the files of `tests/machines/NAME.txt` out.
    fn lay_out(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
        let text = fs::read_to_string(folder.join(format!("{name}.txt"))).expect("a machine");
        let root = std::env::temp_dir().join(format!("corecast-{name}-{}", std::process::id()));
        for part in text.split("\n### ").skip(1) {
            let (head, body) = part.split_once('\n').unwrap_or((part, ""));
            let (path, target) = head.split_once(" -> ").unwrap_or((head, ""));
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("it is below the root")).expect("a folder");
            if target.is_empty() { fs::write(path, body) } else { symlink(target, path) }
                .expect("a file");
        }
        Self(root)
    }

    fn machine(&self) -> Machine {
        Machine::read(&Root::at(&self.0))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cpus(list: &str) -> Cpus {
    Cpus::from_list(list).expect("a list")
}

/// What a start needs, as it is here, with as many cores as the machine of the tree has.
fn facts(cores: usize) -> Facts {
    Facts { affinity: (0..cores).collect(), ..Facts::read() }
}

fn of<'a>(all: &'a [Finding], subject: &str) -> &'a Finding {
    all.iter().find(|finding| finding.subject == subject).expect("a finding")
}

#[test]
fn a_virtual_machine_with_one_queue_is_read_as_it_was() {
    let tree = Tree::lay_out("virtual-two-cores");
    let machine = tree.machine();
    assert_eq!(machine.sysctls.0.len(), SYSCTLS.len());
    assert_eq!(machine.sysctls.value("net.ipv4.tcp_wmem"), Some("4096 16384 4194304"));
    assert!(machine.softnet_dropped.is_some_and(|dropped| dropped > 0));
    assert_eq!(machine.cores.online, Some(cpus("0-1")));
    assert_eq!(machine.cores.nohz_full, None);
    assert!(machine.cores.virtual_machine && machine.cores.governors.is_empty());
    assert_eq!(machine.cores.clock_source.as_deref(), Some("tsc"));

    let [nic] = machine.nics.as_slice() else { panic!("one card: {:?}", machine.nics) };
    assert_eq!((nic.name.as_str(), nic.driver.as_deref()), ("eth0", Some("virtio_net")));
    let irqs: Vec<_> = nic.irqs.iter().map(|irq| (irq.label.as_str(), irq.number)).collect();
    assert_eq!(irqs, [("virtio2-input.0", 38), ("virtio2-output.0", 39)]);
    assert_eq!(nic.irqs[0].cpus, cpus("1"));
    assert_eq!((nic.rps.len(), nic.xps.len(), nic.missed_packets), (1, 1, Some(0)));

    assert_eq!(machine.container.cgroup_versions, [1, 2]);
    assert_eq!(machine.container.cpu, None);
    assert_eq!(machine.container.cpuset, Some(cpus("0-1")));
    assert_eq!(machine.memory.huge_pages.as_deref(), Some("madvise"));
    assert_eq!(machine.memory.swap_bytes, Some(0));

    let facts = facts(2);
    let all = findings(&facts, &machine, &Plan::new(&facts, None, None));
    assert_eq!(of(&all, "queues").level, Level::Advice);
    assert!(!of(&all, "governor").is_visible());
    assert_eq!(of(&all, "netdev_max_backlog").level, Level::Ok);
    assert_eq!(of(&all, "softnet drops").level, Level::Advice);
    let one = findings(&facts, &machine, &Plan::new(&facts, Some(1), Some(&[1])));
    assert_eq!(of(&one, "queues").level, Level::Ok);
}

#[test]
fn a_container_on_a_machine_with_two_nodes_is_told_what_stands_in_its_way() {
    let tree = Tree::lay_out("two-nodes-in-docker");
    let machine = tree.machine();
    assert_eq!(machine.cores.siblings.len(), 4);
    assert_eq!(machine.cores.isolated, Some(cpus("2-3,6-7")));
    assert_eq!(machine.cores.nohz_full, None);
    assert_eq!(machine.cores.nodes[&1], cpus("2-3,6-7"));
    assert!(machine.irqbalance && !machine.cores.virtual_machine);

    let [nic] = machine.nics.as_slice() else { panic!("one is up: {:?}", machine.nics) };
    let numbers: Vec<_> = nic.irqs.iter().map(|irq| irq.number).collect();
    assert_eq!(numbers, [91, 92, 93, 94]);
    assert!(nic.irqs.iter().all(|irq| irq.cpus == cpus("2")));
    assert_eq!(nic.xps.last(), Some(&cpus("3,7")), "tx-10 comes behind tx-2");
    assert_eq!(nic.missed_packets, Some(15));

    let container = &machine.container;
    assert_eq!(container.kind.as_deref(), Some("docker"));
    let quota = container.cpu.expect("of the group above");
    assert_eq!((quota.cores(), quota.throttled), (1.5, Some(4)));
    assert_eq!(container.memory_bytes_max, Some(128 << 20));
    assert_eq!(container.threads_max, None);
    assert!(container.seccomp);

    let facts = facts(8);
    let all = findings(&facts, &machine, &Plan::new(&facts, None, Some(&[0, 2, 3, 4])));
    for (subject, level, words) in [
        ("somaxconn", Level::Advice, "net.core.somaxconn=4096"),
        ("clock source", Level::Advice, "echo tsc >"),
        ("cpu quota", Level::Advice, "4 cores or more"),
        ("cpuset", Level::Problem, "--cpus out of 0-3"),
        ("memory limit", Level::Advice, "256 MiB"),
        ("smt", Level::Advice, "--cpus 0,2-3"),
        ("numa", Level::Advice, "--membind="),
        ("isolcpus", Level::Advice, "--cpus 2-3,6-7"),
        ("governor", Level::Advice, "cpupower"),
        ("irq", Level::Advice, "stop irqbalance"),
        ("card's node", Level::Advice, "--cpus 0-1,4-5"),
        ("missed packets", Level::Advice, "ethtool -G enp1s0"),
        ("xps", Level::Ok, ""),
        ("huge pages", Level::Ok, ""),
        ("swap", Level::Advice, "vm.swappiness=10"),
    ] {
        let finding = of(&all, subject);
        assert_eq!(finding.level, level, "{finding}");
        assert!(finding.what_to_do.contains(words), "{finding}");
    }
    for absent in ["tcp_mem", "busy_poll", "nohz_full", "softnet drops"] {
        assert!(!of(&all, absent).is_visible(), "{absent}");
    }
}

#[test]
fn an_empty_tree_fails_nothing() {
    let machine = Machine::read(&Root::at("/no/such/tree"));
    assert_eq!(
        machine,
        Machine { ring_options: machine.ring_options.clone(), ..Machine::default() }
    );
}
