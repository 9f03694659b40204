//! The life of a session under a virtual clock: deadlines, budgets, and every way to end.

use std::time::Duration;

use corecast_hub::Timestamp;
use corecast_hub::session::{ClosedBy, Due, Inbound, Phase, Session, SessionConfig, Violation};
use corecast_wire::client::mask_frame;
use corecast_wire::{CloseCode, Input, Opcode, Receiver, ReceiverLimits, Role};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What came out of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Close(Option<Vec<u8>>),
    Ignored,
    Violation(CloseCode),
}

struct Bench {
    session: Session,
    config: SessionConfig,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let limits = ReceiverLimits { message_bytes_max: 1_024, message_parts_max: 8 };
        let now = Timestamp(0);
        let config = SessionConfig {
            handshake_timeout: Duration::from_secs(5),
            message_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            close_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(1),
            control_frames_per_second_max: 10,
        };
        Self { session: Session::new(Receiver::new(Role::Server, limits), now), config, now }
    }

    fn open() -> Self {
        let mut bench = Self::new();
        bench.session.open(bench.now);
        bench
    }

    fn pass(&mut self, millis: u64) -> Option<Due> {
        self.now = Timestamp(self.now.0 + millis * 1_000_000);
        self.session.poll_timeout(&self.config, self.now)
    }

    fn feed(&mut self, mut bytes: Vec<u8>) -> Vec<Got> {
        self.session.heard(self.now);
        let mut input = Input::new(&mut bytes);
        let mut got = Vec::new();
        loop {
            got.push(match self.session.receive(&mut input, &self.config, self.now) {
                Ok(None) => return got,
                Ok(Some(Inbound::Text(text))) => Got::Text(text.to_owned()),
                Ok(Some(Inbound::Binary(bytes))) => Got::Binary(bytes.to_vec()),
                Ok(Some(Inbound::Ping(payload))) => Got::Ping(payload.to_vec()),
                Ok(Some(Inbound::Ignored)) => Got::Ignored,
                Ok(Some(Inbound::Close { reply })) => {
                    Got::Close(reply.map(|frame| frame.payload().to_vec()))
                }
                Err(violation) => {
                    got.push(Got::Violation(violation.close_code()));
                    return got;
                }
            });
        }
    }
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    mask_frame(opcode, payload, KEY)
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

#[test]
fn a_handshake_that_takes_too_long_is_dropped() {
    let mut bench = Bench::new();
    assert_eq!(bench.pass(5_000), None);
    assert!(matches!(bench.pass(1), Some(Due::Abort(_))));
}

#[test]
fn a_silent_peer_is_pinged_once_and_then_given_up() {
    let mut bench = Bench::open();
    assert_eq!(bench.pass(20_000), None);
    assert_eq!(bench.pass(1), Some(Due::Ping));
    assert_eq!(bench.pass(9_000), None);
    assert!(matches!(bench.pass(1_001), Some(Due::Abort(_))));
}

#[test]
fn any_byte_from_the_peer_is_a_sign_of_life() {
    let mut bench = Bench::open();
    for _ in 0..5 {
        assert_eq!(bench.pass(20_001), Some(Due::Ping));
        assert_eq!(bench.feed(frame(Opcode::Pong, b"")), [Got::Ignored]);
    }
    assert_eq!(bench.pass(20_001), Some(Due::Ping));
    // The first bytes of a long message do as well.
    assert_eq!(bench.feed(frame(Opcode::Binary, &[0; 500])[..100].to_vec()), []);
    assert_eq!(bench.pass(9_000), None);
}

#[test]
fn a_peer_without_messages_is_closed_though_it_answers_pings() {
    let mut bench = Bench::open();
    let mut pings = 0;
    loop {
        match bench.pass(1_000) {
            None => {}
            Some(Due::Ping) => {
                pings += 1;
                bench.feed(frame(Opcode::Pong, b""));
            }
            Some(due) => {
                assert!(matches!(due, Due::Close(CloseCode::NORMAL, _)), "{due:?}");
                break;
            }
        }
    }
    assert_eq!(bench.now, Timestamp(301_000_000_000));
    assert!((13..=15).contains(&pings), "{pings} pings in 300 s");
}

#[test]
fn a_message_that_trickles_in_is_closed_though_bytes_go_on_coming() {
    let mut bench = Bench::open();
    let bytes = frame(Opcode::Binary, &[7; 200]);
    let mut ended = None;
    for byte in bytes {
        assert_eq!(bench.feed(vec![byte]), []);
        ended = bench.pass(1_000);
        if ended.is_some() {
            break;
        }
    }
    assert!(matches!(ended, Some(Due::Close(CloseCode::POLICY_VIOLATION, _))), "{ended:?}");
    assert!((30_000_000_000..=32_000_000_000).contains(&bench.now.0), "{:?}", bench.now);
}

#[test]
fn quiet_between_messages_does_not_count_against_the_next_message() {
    let mut bench = Bench::open();
    for _ in 0..10 {
        bench.pass(15_000);
        assert_eq!(bench.feed(frame(Opcode::Text, b"x")), [Got::Text("x".to_owned())]);
    }
    let half = frame(Opcode::Text, b"late");
    bench.pass(15_000);
    bench.feed(half[..3].to_vec());
    assert_eq!(bench.pass(15_000), None);
}

#[test]
fn control_frames_have_a_budget_for_each_second() {
    let mut bench = Bench::open();
    for _ in 0..3 {
        for _ in 0..10 {
            assert_eq!(bench.feed(frame(Opcode::Ping, b"a")), [Got::Ping(b"a".to_vec())]);
        }
        bench.pass(1_001);
    }
    for _ in 0..5 {
        bench.feed(frame(Opcode::Ping, b""));
        bench.feed(frame(Opcode::Pong, b""));
    }
    let over = bench.feed(frame(Opcode::Pong, b""));
    assert_eq!(over, [Got::Violation(CloseCode::POLICY_VIOLATION)]);
    let words = Violation::ControlFrames(10).to_string();
    assert_eq!(words, "more than 10 control frames in a second");
}

#[test]
fn the_peers_close_is_echoed_and_our_side_shut_when_the_echo_is_out() {
    let mut bench = Bench::open();
    let got = bench.feed([close(4001, "done"), frame(Opcode::Text, b"behind")].concat());
    assert_eq!(got, [Got::Close(Some(4001_u16.to_be_bytes().to_vec()))]);
    assert_eq!(bench.session.phase(), Phase::Replying);
    assert!(bench.session.close_sent(bench.now), "our side is to be shut");
    assert_eq!(bench.session.phase(), Phase::Draining);
    assert_eq!(bench.pass(1_000), None);
    assert!(matches!(bench.pass(1), Some(Due::Abort(_))));
    let closed = bench.session.take_closed();
    assert_eq!((closed.by, closed.code.0, &*closed.reason), (ClosedBy::Peer, 4001, "done"));
}

#[test]
fn behind_our_close_only_the_peers_close_counts() {
    let mut bench = Bench::open();
    let ours = bench.session.close(ClosedBy::Handler, CloseCode(4002), "go", bench.now);
    assert_eq!(ours.expect("a frame").payload(), b"\x0f\xa2go");
    assert!(bench.session.close(ClosedBy::Handler, CloseCode(4003), "again", bench.now).is_none());
    assert!(!bench.session.close_sent(bench.now), "the peer's Close is awaited");
    let got = bench.feed([frame(Opcode::Text, b"x"), frame(Opcode::Ping, b"y")].concat());
    assert_eq!(got, [Got::Ignored, Got::Ignored]);
    assert_eq!(bench.feed(close(4002, "")), [Got::Close(None)]);
    assert_eq!(bench.session.phase(), Phase::Replying);
    let closed = bench.session.take_closed();
    assert_eq!((closed.by, closed.code.0, &*closed.reason), (ClosedBy::Handler, 4002, "go"));
}

#[test]
fn a_peer_that_never_answers_our_close_is_dropped() {
    let mut bench = Bench::open();
    let _ = bench.session.close(ClosedBy::Shutdown, CloseCode::GOING_AWAY, "", bench.now);
    assert_eq!(bench.pass(5_000), None);
    assert!(matches!(bench.pass(1), Some(Due::Abort(_))));
}

#[test]
fn after_a_violation_nothing_more_is_read() {
    let mut bench = Bench::open();
    // A ping without FIN.
    let mut bad = frame(Opcode::Ping, b"");
    bad[0] &= 0x7f;
    let got = bench.feed([bad, frame(Opcode::Text, b"behind")].concat());
    assert_eq!(got, [Got::Violation(CloseCode::PROTOCOL_ERROR)]);
    let (code, now) = (CloseCode::PROTOCOL_ERROR, bench.now);
    let frame_out = bench.session.fail(ClosedBy::Violation, code, "bad", now);
    assert_eq!(frame_out.expect("a Close").payload(), b"\x03\xeabad");
    assert_eq!(bench.feed(frame(Opcode::Text, b"more")), []);
    assert!(bench.session.close_sent(now), "TCP ends behind the Close");
    bench.session.lost(ClosedBy::Transport, "reset");
    assert_eq!(bench.session.take_closed().by, ClosedBy::Violation, "the first cause stays");
}

#[test]
fn a_connection_that_just_vanishes_is_abnormal() {
    let mut bench = Bench::open();
    bench.session.lost(ClosedBy::Transport, "reset by peer");
    let closed = bench.session.take_closed();
    assert_eq!((closed.by, closed.code), (ClosedBy::Transport, CloseCode::ABNORMAL));
    assert_eq!(&*closed.reason, "reset by peer");
}
