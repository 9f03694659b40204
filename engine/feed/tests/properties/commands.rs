use std::borrow::Cow;

use corecast_feed::command::{
    Auth, DeliveryPolicy, History, Ping, Presence, Publish, Recipient, Resume, Send, Subscribe,
    Unsubscribe,
};
use corecast_feed::limits::Limits;
use corecast_feed::value::{DataEncoding, Delivery, Rate};
use corecast_feed::{Command, Id, RawJson, parse_command};
use proptest::option;
use proptest::prelude::*;

use crate::{id, json, text, topic};

proptest! {
    #[test]
    fn every_command_reads_back(command in command()) {
        let text = command.to_json();
        let parsed = parse_command(&text, &Limits::default());
        prop_assert_eq!(parsed.as_ref(), Ok(&command), "{}", text);
    }

    #[test]
    fn a_cut_command_is_an_error_and_never_has_another_id(
        command in command(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = command.to_json();
        let mut end = cut.index(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let error = parse_command(&text[..end], &Limits::default()).expect_err("it is cut");
        prop_assert_eq!(error.code.code(), 400);
        prop_assert!(error.id.is_none() || error.id.as_ref() == command.id(), "{:?}", error);
    }

    #[test]
    fn any_change_of_a_byte_is_read_or_refused(
        command in command(),
        at in any::<prop::sample::Index>(),
        byte in 0_u8..128,
    ) {
        let mut bytes = command.to_json().into_bytes();
        let at = at.index(bytes.len());
        if bytes[at].is_ascii() {
            bytes[at] = byte;
            let text = String::from_utf8(bytes).expect("ASCII for ASCII");
            reads_back_or_is_refused(&text)?;
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![text(), json()]) {
        reads_back_or_is_refused(&text)?;
    }
}

fn reads_back_or_is_refused(text: &str) -> Result<(), TestCaseError> {
    match parse_command(text, &Limits::default()) {
        Ok(command) => {
            let again = command.to_json();
            let parsed = parse_command(&again, &Limits::default());
            prop_assert_eq!(parsed.as_ref(), Ok(&command), "{} became {}", text, again);
        }
        Err(error) => {
            prop_assert!(matches!(error.code.code(), 400 | 405 | 413), "{}", error);
            prop_assert!(!error.message.is_empty() && error.message.len() <= 300);
        }
    }
    Ok(())
}

fn command() -> impl Strategy<Value = Command<'static>> {
    let id = || option::of(id().prop_map(|text| owned_id(&text)));
    let topics = || prop::collection::vec(topic().prop_map(Cow::Owned), 1..6);
    prop_oneof![
        (id(), text()).prop_map(|(id, token)| Command::Auth(Auth { id, token: token.into() })),
        (id(), topics(), option::of(policy()), option::of(resume())).prop_map(
            |(id, topics, policy, resume)| {
                Command::Subscribe(Subscribe { id, topics, policy, resume })
            }
        ),
        (id(), topics())
            .prop_map(|(id, topics)| { Command::Unsubscribe(Unsubscribe { id, topics }) }),
        publish(id()).prop_map(Command::Publish),
        (id(), text(), any::<bool>(), data()).prop_map(|(id, name, user, (data, encoding))| {
            let name = name.into();
            let to = if user { Recipient::User(name) } else { Recipient::Client(name) };
            Command::Send(Send { id, to, data, encoding })
        }),
        (id(), topic())
            .prop_map(|(id, topic)| { Command::Presence(Presence { id, topic: topic.into() }) }),
        (id(), topic(), option::of(any::<u64>()), option::of(1_u32..=1_000)).prop_map(
            |(id, topic, since, limit)| {
                Command::History(History { id, topic: topic.into(), since, limit })
            }
        ),
        id().prop_map(|id| Command::Ping(Ping { id })),
    ]
}

fn publish(
    id: impl Strategy<Value = Option<Id<'static>>>,
) -> impl Strategy<Value = Publish<'static>> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (id, topic(), data(), option::of(text()), flags).prop_map(
        |(id, topic, (data, encoding), key, (echo, ack, report, snapshot))| Publish {
            id,
            topic: topic.into(),
            data,
            encoding,
            key: key.map(Cow::Owned),
            echo,
            ack,
            report,
            snapshot,
        },
    )
}

fn data() -> impl Strategy<Value = (RawJson<'static>, Option<DataEncoding>)> {
    prop_oneof![
        json().prop_map(|text| (owned_json(&text), None)),
        Just((owned_json("\"AQID\""), Some(DataEncoding::Base64))),
    ]
}

fn policy() -> impl Strategy<Value = DeliveryPolicy> {
    let rate = prop_oneof![
        (1_u32..=1_000).prop_map(|hz| Rate::new(f64::from(hz))),
        (1_u32..=60_000).prop_map(Rate::of_interval_ms),
    ];
    let delivery = prop::sample::select(Delivery::ALL.to_vec());
    (option::of(delivery), option::of(rate.prop_map(|rate| rate.expect("within bounds"))))
        .prop_map(|(delivery, max_hz)| DeliveryPolicy { delivery, max_hz })
}

fn resume() -> impl Strategy<Value = Resume<'static>> {
    let seq = prop::collection::btree_map(topic().prop_map(Cow::Owned), any::<u64>(), 0..5);
    ("[0-9a-f]{1,16}", seq).prop_map(|(epoch, seq)| Resume { epoch: epoch.into(), seq })
}

fn owned_json(text: &str) -> RawJson<'static> {
    RawJson::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).into_owned()
}

fn owned_id(text: &str) -> Id<'static> {
    Id::new(owned_json(text)).unwrap_or_else(|| panic!("{text} is no id"))
}
