//! The examples of RFC 6455 §5.7 and §1.3, byte for byte.

mod common;

use common::{Owned, feed, receiver};
use corecast_wire::{Frame, Opcode, Role, client, handshake};

const HELLO: [u8; 7] = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const HELLO_MASKED: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn events(role: Role, stream: &[u8]) -> Vec<Owned> {
    let (events, error) = feed(&mut receiver(role, 1 << 20, 10), stream);
    assert_eq!(error, None);
    events
}

#[test]
fn a_single_frame_unmasked_text_message() {
    assert_eq!(events(Role::Client, &HELLO), [Owned::Text("Hello".to_owned())]);
    assert_eq!(Frame::text("Hello").as_bytes(), HELLO);
}

#[test]
fn a_single_frame_masked_text_message() {
    assert_eq!(events(Role::Server, &HELLO_MASKED), [Owned::Text("Hello".to_owned())]);
    assert_eq!(client::mask_frame(Opcode::Text, b"Hello", KEY), HELLO_MASKED);
}

#[test]
fn a_fragmented_unmasked_text_message() {
    let stream = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(events(Role::Client, &stream), [Owned::Text("Hello".to_owned())]);
}

#[test]
fn unmasked_ping_and_masked_pong() {
    let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(events(Role::Client, &ping), [Owned::Ping(b"Hello".to_vec())]);
    assert_eq!(Frame::ping(b"Hello").as_bytes(), ping);
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(events(Role::Server, &pong), [Owned::Pong(b"Hello".to_vec())]);
    assert_eq!(client::mask_frame(Opcode::Pong, b"Hello", KEY), pong);
}

#[test]
fn binary_messages_of_256_bytes_and_64_kib() {
    for (payload, header) in [
        (vec![0x5a; 256], vec![0x82, 0x7e, 0x01, 0x00]),
        (vec![0xa5; 65_536], vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let stream = [header, payload.clone()].concat();
        assert_eq!(Frame::binary(&payload).as_bytes(), stream);
        assert_eq!(events(Role::Client, &stream), [Owned::Binary(payload)]);
    }
}

#[test]
fn the_accept_key_of_the_example_handshake() {
    let accept = handshake::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_prepared_frame_is_that_of_its_kind_and_nothing_else_is_prepared() {
    use corecast_wire::{Frame, Opcode, PrepareError};
    assert_eq!(Frame::prepare(Opcode::Text, "né".as_bytes()), Ok(Frame::text("né")));
    assert_eq!(Frame::prepare(Opcode::Binary, &[0xff]), Ok(Frame::binary(&[0xff])));
    assert_eq!(Frame::prepare(Opcode::Text, &[0xff]), Err(PrepareError::InvalidUtf8));
    for opcode in [Opcode::Continuation, Opcode::Close, Opcode::Ping, Opcode::Pong] {
        assert_eq!(Frame::prepare(opcode, b""), Err(PrepareError::NotAMessage(opcode)));
    }
}
