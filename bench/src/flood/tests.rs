//! Against servers that answer as they are told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::{Attack, Attackers, Kind, Script, Tally, Targets};

/// A server that handles one connection after the other.
fn server(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

fn answer(mut stream: TcpStream) {
    let mut bytes = [0; 64];
    let read = stream.read(&mut bytes).unwrap_or(0);
    let said: &[u8] = match bytes[..read] {
        [b'r', ..] => b"HTTP/1.1 429 Too Many Requests\r\n\r\n",
        [b'a', ..] => &[0x15, 3, 3, 0, 2, 2, 40],
        [b'h', ..] => &[0x16, 3, 3, 0, 90],
        _ => b"",
    };
    let _ = stream.write_all(said);
}

/// Keeps connections and says nothing.
fn keep(stream: TcpStream) {
    std::mem::forget(stream);
}

fn attack(server: SocketAddr, scripts: &[(&'static str, &[u8])], time: Duration) -> Tally {
    let script = |&(name, bytes): &(&'static str, &[u8])| Script {
        name,
        server,
        bytes: bytes.into(),
        drip: None,
        goes_when_answered: true,
        stays_at_most: Duration::from_millis(100),
    };
    let scripts = Vec::from_iter(scripts.iter().map(script));
    run(Attack { scripts, origin: "127.9.0.0/16".parse().unwrap(), parallel: 8, rate: None }, time)
}

fn run(attack: Attack, time: Duration) -> Tally {
    let attackers = Attackers::start(attack).unwrap();
    thread::sleep(time);
    attackers.finish().unwrap()
}

#[test]
fn what_became_of_attackers_is_told_apart() {
    let scripts: [(_, &[u8]); 4] = [("r", b"r"), ("a", b"a"), ("h", b"h"), ("x", b"x")];
    let tally = attack(server(answer), &scripts, Duration::from_millis(500));
    for (script, fate) in [("r", "429"), ("a", "TLS alert"), ("h", "TLS answer"), ("x", "closed")] {
        let fates = &tally.fates[script];
        let others = fates.keys().any(|key| key != fate && key != "open at the end");
        assert!(fates[fate] > 0 && !others, "{tally:?}");
    }
    assert_eq!(tally.ends().values().sum::<u64>(), tally.begun);
    assert!(tally.status(429) > 0 && tally.rate() > 0.0);
}

#[test]
fn who_gets_no_answer_goes_when_his_time_is_over() {
    let tally = attack(server(keep), &[("s", b"x")], Duration::from_millis(500));
    assert!(tally.fates["s"]["no answer"] >= 8, "{tally:?}");
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tally = attack(gone, &[("s", b"x")], Duration::from_millis(200));
    let fates = &tally.fates["s"];
    assert!(fates.keys().any(|fate| fate.contains("refused")), "{tally:?}");
}

#[test]
fn a_rate_is_kept_and_drops_come_one_by_one() {
    let collect = server(|mut stream| {
        let mut bytes = [0; 64];
        // Three drops, each by itself.
        let drops = (0..3).filter(|_| matches!(stream.read(&mut bytes), Ok(1))).count();
        let _ = stream.write_all(if drops == 3 { b"HTTP/1.1 200 OK\r\n" } else { b"no" });
    });
    let script = Script {
        name: "drops",
        server: collect,
        bytes: b"abc".as_slice().into(),
        drip: Some((1, Duration::from_millis(20))),
        goes_when_answered: true,
        stays_at_most: Duration::from_secs(5),
    };
    let origin = "127.0.0.1".parse().unwrap();
    let attack = Attack { scripts: vec![script], origin, parallel: 4, rate: Some(10.0) };
    let tally = run(attack, Duration::from_secs(1));
    assert!((2..=11).contains(&tally.begun), "{tally:?}");
    assert!(tally.status(200) > 0 && !tally.ends().contains_key("other answer"), "{tally:?}");
}

#[test]
fn each_kind_has_something_to_do() {
    let plain = "127.0.0.1:1".parse().unwrap();
    let mut targets = Targets { plain, tls: None, path: "/feed".into() };
    assert!(Kind::Hellos.scripts(&targets).is_err());
    targets.tls = Some("127.0.0.1:2".parse().unwrap());
    for kind in Kind::ALL {
        let scripts = kind.scripts(&targets).unwrap();
        let names = std::collections::BTreeSet::from_iter(scripts.iter().map(|one| one.name));
        assert!(!scripts.is_empty() && names.len() == scripts.len(), "{kind}: {names:?}");
    }
}
