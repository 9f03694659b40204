//! What is looked at beside the kernel's settings, and why; the figures are in `tuning/README.md`.

use crate::finding::{Check, Group};

pub(crate) const KERNEL: Check = Check::new(
    Group::Kernel,
    "kernel",
    "timers of microseconds need epoll_pwait2, which came with 5.11",
);
pub(crate) const IO_URING: Check =
    Check::new(Group::Kernel, "io_uring", "All reading and accepting goes through it");
pub(crate) const RING_OPTIONS: Check = Check::new(
    Group::Kernel,
    "ring options",
    "With DEFER_TASKRUN completions come when the flush ring asks for them, not by an interrupt \
     of its thread (io_uring_setup(2))",
);
pub(crate) const CLOCK: Check = Check::new(
    Group::Kernel,
    "clock source",
    "The time is read in each turn of a shard: with tsc or kvm-clock in the process, with others \
     by a system call (vdso(7))",
);

pub(crate) const MEMLOCK: Check = Check::new(
    Group::Limits,
    "memlock",
    "Rings and fixed buffers are locked memory; glommio 0.9 refuses to start below 512 KiB",
);
pub(crate) const NOFILE: Check = Check::new(
    Group::Limits,
    "nofile",
    "Each connection is an open file: when they run out, who connects is answered 503 (measured)",
);
pub(crate) const THREADS: Check = Check::new(
    Group::Limits,
    "nproc",
    "A shard is a thread, and the kernel's workers of io_uring count as the user's (setrlimit(2))",
);

pub(crate) const USER: Check = Check::new(
    Group::Limits,
    "user",
    "A server reads what strangers send; what it may do beyond that is what a fault in it gives \
     away. It needs no right at all",
);

pub(crate) const CGROUP: Check =
    Check::new(Group::Container, "cgroup", "Control groups limit what a container may use");
pub(crate) const CPU_QUOTA: Check = Check::new(
    Group::Container,
    "cpu quota",
    "Who has used the quota up is stopped until the next period, mostly 100 ms, with all \
     connections (measured)",
);
pub(crate) const MEMORY_LIMIT: Check = Check::new(
    Group::Container,
    "memory limit",
    "Queues and the kernel's socket buffers are charged to it; beyond it the process is killed",
);
pub(crate) const CPUSET: Check = Check::new(
    Group::Container,
    "cpuset",
    "A shard on a core that the group may not use cannot be pinned there",
);
pub(crate) const PIDS: Check = Check::new(
    Group::Container,
    "pids limit",
    "Shards and kernel workers are threads of the group",
);
pub(crate) const SECCOMP: Check = Check::new(
    Group::Container,
    "seccomp",
    "The filters of Docker and containerd forbid io_uring by default (since 2023)",
);

pub(crate) const CORES: Check = Check::new(
    Group::Cores,
    "cores",
    "A shard is a thread pinned to a core; what else runs there delays all its connections \
     (measured)",
);
pub(crate) const SMT: Check = Check::new(
    Group::Cores,
    "smt",
    "Two hardware threads of one core share its caches and units: two shards there are less than \
     two",
);
pub(crate) const NUMA: Check = Check::new(
    Group::Cores,
    "numa",
    "Frames go from shard to shard by reference: memory of another node takes longer to read",
);
pub(crate) const ISOLATED: Check = Check::new(
    Group::Cores,
    "isolcpus",
    "The scheduler puts nothing else on isolated cores (kernel-parameters)",
);
pub(crate) const NOHZ: Check = Check::new(
    Group::Cores,
    "nohz_full",
    "Without it a timer interrupts each core 100 to 1,000 times a second (kernel: timers/no_hz)",
);
pub(crate) const GOVERNOR: Check = Check::new(
    Group::Cores,
    "governor",
    "A core that was clocked down takes milliseconds to speed up for the next burst (kernel: \
     admin-guide/pm/cpufreq)",
);

pub(crate) const SOFTNET: Check = Check::new(
    Group::Network,
    "softnet drops",
    "A packet dropped before TCP saw it is sent again 200 ms later, on loopback too",
);

pub(crate) const CARDS: Check =
    Check::new(Group::Cards, "cards", "Interrupts of a card steal time from the core they go to");
pub(crate) const QUEUES: Check = Check::new(
    Group::Cards,
    "queues",
    "With fewer queues than shards one core receives for all of them (kernel: networking/scaling)",
);
pub(crate) const IRQ: Check = Check::new(
    Group::Cards,
    "irq",
    "Queues that interrupt one core make it the slowest shard (kernel: networking/scaling)",
);
pub(crate) const RPS: Check = Check::new(
    Group::Cards,
    "rps",
    "RPS spreads packets over cores in software: it helps with few queues, and costs an \
     interrupt between cores where each shard has a queue (kernel: networking/scaling)",
);
pub(crate) const XPS: Check = Check::new(
    Group::Cards,
    "xps",
    "A shard that sends by a queue of its own waits for no other's lock (kernel: \
     networking/scaling)",
);
pub(crate) const CARD_NODE: Check = Check::new(
    Group::Cards,
    "card's node",
    "Packets come to memory of the card's node; shards on another read it across the link",
);
pub(crate) const MISSED: Check = Check::new(
    Group::Cards,
    "missed packets",
    "The card had no room in its ring: TCP sends again, 200 ms later or more",
);

pub(crate) const HUGE_PAGES: Check = Check::new(
    Group::Memory,
    "huge pages",
    "Idle connections keep few bytes each; in huge pages they keep more of them resident \
     (measured). The program's allocator asks for none; a library's user chooses his own",
);
pub(crate) const SWAP: Check = Check::new(
    Group::Memory,
    "swap",
    "A queue that was swapped out stops its shard, and all connections on it, for a disk",
);
