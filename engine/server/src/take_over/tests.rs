//! Topics on their way, whole and broken; descriptors through a socket.

use super::channel::Channel;
use super::image;
use super::wire::Kind;
use crate::ingest::Known;
use bytes::Bytes;
use corecast::{SnapshotImage, SnapshotKind, StreamImage, StreamMessage, Timestamp, TopicImage};
use proptest::prelude::*;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn message() -> impl Strategy<Value = StreamMessage> {
    let fields =
        (any::<u64>(), any::<i64>(), prop::option::of(bytes()), bytes(), prop::option::of(bytes()));
    fields.prop_map(|(seq, ts, key, data, binary)| StreamMessage { seq, ts, key, data, binary })
}

fn snapshot() -> impl Strategy<Value = SnapshotImage> {
    let keyed = prop::collection::vec((bytes(), bytes()), 0..5);
    let numbers = (any::<bool>(), prop::option::of(any::<u64>()), any::<u64>());
    (prop::option::of(message()), keyed, numbers).prop_map(|(message, keyed, numbers)| {
        let (unsynced, stateless_from, told_at) = numbers;
        SnapshotImage { message, keyed, unsynced, stateless_from, told_at }
    })
}

fn topic() -> impl Strategy<Value = TopicImage> {
    let at = any::<u64>().prop_map(Timestamp);
    let kinds = [SnapshotKind::None, SnapshotKind::Last, SnapshotKind::Keys];
    let kind = prop::sample::select(kinds.to_vec());
    let history = prop::collection::vec((message(), at.clone()), 0..5);
    let stream = (any::<u64>(), any::<i64>(), history, prop::option::of(snapshot()));
    let head = (".{0,20}", at, any::<bool>(), kind, prop::option::of(any::<u64>()));
    (head, stream).prop_map(|((name, heard_at, is_stale, kind, variants_seq), stream)| {
        let (seq, ts, history, snapshot) = stream;
        let stream = StreamImage { seq, ts, history, snapshot };
        TopicImage { name: name.into(), heard_at, is_stale, kind, stream, variants_seq }
    })
}

proptest! {
    #[test]
    fn a_topic_arrives_as_it_was_and_never_in_part(image in topic()) {
        let mut body = Vec::new();
        image::write(&mut body, &image);
        prop_assert_eq!(&image::read(&body).expect("whole"), &image);
        for length in 0..body.len() {
            prop_assert!(image::read(&body[..length]).is_err(), "{} bytes", length);
        }
        body.push(0);
        prop_assert!(image::read(&body).is_err(), "a byte too many");
    }

    #[test]
    fn a_publisher_arrives_as_it_was_and_never_in_part(
        (name, epoch, last) in (".{0,20}", any::<u64>(), prop::option::of(any::<u64>())),
    ) {
        let known = Known { name: name.into(), epoch, last };
        let mut body = Vec::new();
        image::write_publisher(&mut body, &known);
        prop_assert_eq!(&image::read_publisher(&body).expect("whole"), &known);
        for length in 0..body.len() {
            prop_assert!(image::read_publisher(&body[..length]).is_err(), "{} bytes", length);
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = image::read(&body);
        let _ = image::read_publisher(&body);
    }
}

#[test]
fn descriptors_arrive_in_their_order_and_messages_around_them() {
    let (one, other) = UnixStream::pair().expect("a pair");
    let (mut one, mut other) =
        (Channel::new(one).expect("ours"), Channel::new(other).expect("ours"));
    let pipes: Vec<_> = (0..150).map(|_| UnixStream::pair().expect("a pair")).collect();
    let fds: Vec<_> = pipes.iter().map(|(near, _)| near.as_fd()).collect();
    one.say(Kind::Listeners, b"body").expect("said");
    one.pass(&fds).expect("passed");
    one.say(Kind::End, &[]).expect("said");
    assert_eq!(other.hear().expect("heard"), (Kind::Listeners, b"body".to_vec()));
    let passed = other.take(150).expect("taken");
    assert_eq!(other.hear().expect("heard"), (Kind::End, Vec::new()));
    for (number, (fd, (_, far))) in passed.into_iter().zip(&pipes).enumerate() {
        UnixStream::from(fd).write_all(&[number as u8]).expect("open");
        let mut byte = [0];
        (&mut &*far).read_exact(&mut byte).expect("it is the other end");
        assert_eq!(byte, [number as u8]);
    }
}

#[test]
fn nonsense_is_an_error() {
    for bytes in [&[0, 0, 0, 0, 0][..], &[99, 0, 0, 0, 0], &[1, 255, 255, 255, 255], &[1, 4, 0]] {
        let (mut one, other) = UnixStream::pair().expect("a pair");
        one.write_all(bytes).expect("sent");
        drop(one);
        let mut other = Channel::new(other).expect("ours");
        other.hear().expect_err("nonsense");
    }
}
