//! A machine that lacks something: one line that says what to do, exit code 78, within a second.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use corecast_tests::server::{TestServer, launch};
use corecast_tests::skip;
use eyre::{Result, ensure};

/// A start is refused before anything has been begun.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--shards", "1"];

#[test]
fn a_small_memlock_limit_is_named_with_the_figure_that_is_needed() -> Result<()> {
    let said = refused(&["prlimit", "--memlock=65536:65536", "--"])?;
    ensure!(said.contains("memlock") && said.contains("64 KiB"), "{said}");
    ensure!(said.contains("LimitMEMLOCK=infinity") && said.contains("512 KiB"), "{said}");
    Ok(())
}

#[test]
fn a_memlock_limit_that_one_can_raise_oneself_is_told_so() -> Result<()> {
    let said = refused(&["prlimit", "--memlock=65536:", "--"])?;
    ensure!(said.contains("memlock") && said.contains("ulimit -l"), "{said}");
    Ok(())
}

#[test]
fn rings_that_do_not_fit_the_memlock_limit_are_told_before_the_executor_panics() -> Result<()> {
    // Without the capability that exempts root, as another user who holds nothing else: whether
    // this kernel charges rings decides how it ends, but in both cases in words.
    let wrapper = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "prlimit",
        "--memlock=524288:524288",
        "--",
    ];
    if !Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status()?.success() {
        return skip("only root can become another user");
    }
    let launch = launch()?.args(SERVE).wrapped_by(wrapper);
    match launch.start() {
        Ok(_serves) => println!("this kernel does not charge rings to memlock: it serves"),
        Err(error) => {
            let said = format!("{error:#}");
            println!("{said}");
            ensure!(said.contains("78"), "exit code 78: {said}");
            ensure!(said.contains("memlock") && said.contains("LimitMEMLOCK"), "{said}");
            ensure!(!said.contains("panicked"), "{said}");
        }
    }
    Ok(())
}

#[test]
fn too_few_open_files_are_told_with_the_number_needed() -> Result<()> {
    let said = refused(&["prlimit", "--nofile=40:40", "--"])?;
    ensure!(said.contains("nofile: 40 open files") && said.contains("need 64"), "{said}");
    Ok(())
}

#[test]
fn seccomp_and_sysctl_are_told_apart() -> Result<()> {
    for (answer, errno) in [("EPERM", 1), ("ENOSYS", 38)] {
        let blocked = without_io_uring(errno);
        let said = refused(&["python3", "-c", &blocked])?;
        ensure!(said.contains("io_uring: blocked by a seccomp filter"), "{answer}: {said}");
        ensure!(said.contains("io_uring_setup"), "{answer}: {said}");
    }
    // The sysctl is the machine's: to set it would end other programs' rings. What a program sees
    // of it is the value and EPERM, and both can be had for one process alone.
    let value = std::env::temp_dir().join(format!("corecast-sysctl-{}", std::process::id()));
    for (text, advice) in [("2\n", "sysctl kernel.io_uring_disabled=0"), ("1\n", "group")] {
        std::fs::write(&value, text)?;
        let mount = format!(
            "mount --bind {} /proc/sys/kernel/io_uring_disabled && exec \"$0\" \"$@\"",
            value.display()
        );
        let outer = ["unshare", "--mount", "sh", "-c", &mount];
        if !Command::new(outer[0]).args(&outer[1..]).arg("true").status()?.success() {
            return skip("no mount namespaces here (they need root)");
        }
        let blocked = without_io_uring(1);
        let said = refused(&[&outer[..], &["python3", "-c", &blocked][..]].concat())?;
        let found = format!("disabled by kernel.io_uring_disabled = {}", text.trim());
        ensure!(said.contains(&found) && said.contains(advice), "{said}");
        ensure!(!said.contains("seccomp"), "{said}");
    }
    std::fs::remove_file(&value)?;
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_told_with_its_own_exit_code() -> Result<()> {
    let first = TestServer::start(["--shards", "1"])?;
    let address = first.address().to_string();
    let serve = ["serve", "--listen", &address, "--shards", "1"];
    let mut second = launch()?.args(serve).ready_at_once().start()?;
    let status = second.wait(Duration::from_secs(5))?;
    std::thread::sleep(Duration::from_millis(50)); // for the last lines
    let said = second.output();
    ensure!(status.code() == Some(69) && said.contains(&address), "{status}: {said}");
    ensure!(said.contains("another program listens there"), "{said}");
    first.stop()
}

#[test]
fn doctor_names_what_keeps_the_server_from_starting() -> Result<()> {
    let blocked = without_io_uring(1);
    let mut process =
        launch()?.arg("doctor").wrapped_by(["python3", "-c", &blocked]).ready_at_once().start()?;
    process.wait(Duration::from_secs(5))?;
    std::thread::sleep(Duration::from_millis(50)); // for the last lines
    let said = process.output();
    ensure!(said.contains("blocked by a seccomp filter"), "{said}");
    Ok(())
}

/// Starts the server behind this wrapper: it must end with 78 and say why on one line.
fn refused(wrapper: &[&str]) -> Result<String> {
    let launch = launch()?.args(SERVE).wrapped_by(wrapper).ready_at_once();
    let began = Instant::now();
    let mut process = launch.start()?;
    let status = process.wait(Duration::from_secs(10))?;
    let took = began.elapsed();
    std::thread::sleep(Duration::from_millis(50)); // for the last lines
    let said = process.output();
    println!("{said}");
    ensure!(status.code() == Some(78), "it ended with {status}: {said}");
    ensure!(took < REFUSED_WITHIN, "it took {took:?}");
    let lines = said.lines().filter(|line| line.starts_with("corecast: ")).count();
    ensure!(lines == 1 && said.lines().count() == 1, "one line: {said}");
    Ok(said)
}

/// A Python program that puts a seccomp filter on itself, under which `io_uring_setup` fails with
/// `errno`, and then becomes the program that its arguments name.
fn without_io_uring(errno: u32) -> String {
    assert!(Path::new("/proc/self/status").exists(), "this is Linux");
    format!(
        "
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
IO_URING_SETUP, RET_ERRNO, RET_ALLOW = 425, 0x00050000, 0x7fff0000
filters = [(0x20, 0, 0, 0), (0x15, 0, 1, IO_URING_SETUP), (0x06, 0, 0, RET_ERRNO | {errno}),
           (0x06, 0, 0, RET_ALLOW)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in filters))
program = ctypes.create_string_buffer(struct.pack('HL', len(filters), ctypes.addressof(code)))
NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
for words in ((NO_NEW_PRIVS, 1, 0, 0, 0), (SET_SECCOMP, FILTER, program, 0, 0)):
    if libc.prctl(*words) != 0:
        sys.exit('prctl: ' + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
"
    )
}
