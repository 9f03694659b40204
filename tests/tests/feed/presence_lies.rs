//! Who is said to be in a topic is there, and who is there is said to be.

use std::collections::BTreeSet;
use std::time::Duration;

use corecast_tests::feed::FeedClient;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{serve, topics};

fn members(client: &mut FeedClient, topic: &str) -> Result<BTreeSet<String>> {
    let answer = client.ask(json!({"type": "presence", "topic": topic}))?;
    let members = answer["members"].as_array().into_iter().flatten();
    let members: BTreeSet<_> =
        members.filter_map(|member| Some(member["client"].as_str()?.to_owned())).collect();
    ensure!(answer["total"] == members.len(), "{answer}");
    Ok(members)
}

fn moved(event: &Value, kind: &str, topic: &str, who: &str) -> Result<()> {
    let fits = event["type"] == kind && event["topic"] == topic && event["client"] == who;
    ensure!(fits, "{event} instead of {kind} of {who}");
    Ok(())
}

#[test]
fn who_comes_and_goes_is_told_and_listed() -> Result<()> {
    let server = serve()?;
    for topic in topics("chat", 4) {
        let mut first = FeedClient::open(server.address())?;
        first.subscribe(&[&topic])?;
        // Whether a client hears of itself depends on which shard is the topic's home.
        let mut asker = FeedClient::open(server.address())?;
        ensure!(members(&mut asker, &topic)? == BTreeSet::from([first.name().to_owned()]));

        let mut second = FeedClient::open_at(server.address(), "/feed?user=u2", &[])?;
        second.subscribe(&[&topic])?;
        let named = |event: &Value, who: &str| event["client"] == who;
        let joined = loop {
            let event = first.skip_to("joined")?;
            if !named(&event, first.name()) {
                break event;
            }
        };
        moved(&joined, "joined", &topic, second.name())?;
        ensure!(joined["user"] == "u2", "{joined}");
        let both = BTreeSet::from([first.name().to_owned(), second.name().to_owned()]);
        ensure!(members(&mut asker, &topic)? == both);

        second.ask(json!({"type": "unsubscribe", "topics": [topic]}))?;
        moved(&first.skip_to("left")?, "left", &topic, second.name())?;
        second.subscribe(&[&topic])?;
        moved(&first.skip_to("joined")?, "joined", &topic, second.name())?;
        // A connection that ends leaves, too, however it ends.
        let name = second.name().to_owned();
        second.raw().send_frame(Opcode::Close, &1000_u16.to_be_bytes())?;
        second.raw().expect_close()?;
        moved(&first.skip_to("left")?, "left", &topic, &name)?;
        ensure!(members(&mut asker, &topic)? == BTreeSet::from([first.name().to_owned()]));
    }
    server.stop()
}

#[test]
fn a_variant_and_a_pattern_are_no_membership() -> Result<()> {
    let server = serve()?;
    let mut first = FeedClient::open(server.address())?;
    first.subscribe(&["chat.a"])?;
    let mut second = FeedClient::open(server.address())?;
    second.subscribe(&["chat.*", "chat.a@100ms"])?;
    ensure!(members(&mut second, "chat.a")? == BTreeSet::from([first.name().to_owned()]));
    second.ask(json!({"type": "unsubscribe", "topics": ["chat.a@100ms"]}))?;
    std::thread::sleep(Duration::from_millis(50));
    ensure!(members(&mut second, "chat.a")? == BTreeSet::from([first.name().to_owned()]));
    server.stop()
}
