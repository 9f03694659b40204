//! Who is there, and whether the publisher is heard.

use corecast_hub::home::{AttachError, AttachRequest};
use corecast_hub::{Encoding, Member, Namespace, StreamState, Wanted};

use crate::desk::{Desk, request};

fn member(client: &str) -> Member {
    Member { client: client.into(), user: None }
}

fn join(desk: &mut Desk, client: &str) -> Result<(), AttachError> {
    let member = Some(member(client));
    desk.try_attach(&AttachRequest { member, ..request("n.a", 0) }).map(|_| ())
}

#[test]
fn one_client_is_one_member_and_is_announced_once() {
    let mut desk = Desk::new(Namespace { presence: true, ..Namespace::default() });
    desk.wanted = Wanted::ALL;
    desk.attach("n.a", 100);
    join(&mut desk, "x").expect("joined");
    assert_eq!(desk.notices(), ["joined n.a x", "joined n.a@100ms x"]);
    assert!(desk.out.iter().all(|notice| notice.frames.get(Encoding::Raw).is_none()));
    assert!(desk.out.iter().all(|notice| notice.seq == 0));
    join(&mut desk, "x").expect("joined");
    assert!(desk.notices().is_empty());
    join(&mut desk, "b").expect("joined");
    assert_eq!(desk.home.members("n.a", 9), (vec![member("b"), member("x")], 2));
    assert_eq!(desk.home.members("n.a", 1), (vec![member("b")], 2));
    assert_eq!(desk.home.members("n.none", 1), (vec![], 0));
    desk.out.clear();
    assert!(desk.home.leave("n.a", "x", desk.wanted, desk.now, &mut desk.out));
    assert_eq!(desk.notices(), ["left n.a x", "left n.a@100ms x"]);
    desk.out.clear();
    assert!(!desk.home.leave("n.a", "x", desk.wanted, desk.now, &mut desk.out));
    assert!(desk.out.is_empty());
}

#[test]
fn a_full_topic_lets_nobody_in_but_those_who_are() {
    let namespace = Namespace { presence: true, presence_max: 2, ..Namespace::default() };
    let mut desk = Desk::new(namespace);
    for client in ["x", "y", "x"] {
        join(&mut desk, client).expect("joined");
    }
    let attaches = desk.home.totals().attaches;
    assert_eq!(join(&mut desk, "z"), Err(AttachError::PresenceFull { presence_max: 2 }));
    assert_eq!(desk.home.totals().attaches, attaches, "it is not attached either");
    assert!(desk.home.leave("n.a", "y", desk.wanted, desk.now, &mut desk.out));
    join(&mut desk, "z").expect("joined");
}

#[test]
fn a_namespace_without_presence_has_no_members() {
    let mut desk = Desk::new(Namespace::default());
    join(&mut desk, "x").expect("attached");
    assert!(desk.out.is_empty());
    assert_eq!(desk.home.members("n.a", 9), (vec![], 0));
}

#[test]
fn silence_is_told_once_and_so_is_its_end() {
    let mut desk = Desk::new(Namespace { stale_after_ms: 1_000, ..Namespace::default() });
    desk.attach("n.a", 0);
    assert_eq!(desk.home.next_tick(), None, "who never spoke is not silent");
    for round in 1..=2 {
        desk.say("n.a", "1");
        assert_eq!(desk.notices().is_empty(), round == 1);
        desk.pass_ms(600);
        desk.say("n.a", "2");
        desk.pass_ms(999);
        desk.tick();
        assert!(desk.notices().is_empty(), "it spoke less than a second ago");
        assert_eq!(desk.attach("n.a", 0).state, StreamState::Live);
        desk.pass_ms(1);
        desk.tick();
        let at = desk.now.wall_ns;
        assert_eq!(desk.notices(), [format!("stale n.a {at}")]);
        assert_eq!(desk.home.next_tick(), None, "nothing more to find out");
        assert_eq!(desk.attach("n.a", 0).state, StreamState::Stale);
        assert_eq!(desk.home.totals().stale, round);
    }
    desk.say("n.a", "3");
    let at = desk.now.wall_ns;
    assert_eq!(desk.notices(), [format!("live n.a {at}")]);
    assert_eq!(desk.messages(), ["n.a 5 3"]);
    assert!(desk.out[0].seq == 0 && desk.out[1].seq == 5, "it is live before it speaks");
}

#[test]
fn those_who_hear_a_variant_alone_are_told_too() {
    let mut desk = Desk::new(Namespace { stale_after_ms: 50, ..Namespace::default() });
    desk.attach("n.a", 100);
    desk.say("n.a", "1");
    desk.pass_ms(60);
    desk.tick();
    let at = desk.now.wall_ns;
    assert_eq!(desk.notices(), [format!("stale n.a {at}"), format!("stale n.a@100ms {at}")]);
}
