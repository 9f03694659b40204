//! Real input: the six recordings at full speed to 200 subscribers over two shards. Each must get
//! every message of its topic, once, in order, byte for byte, and be told when it is over.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use corecast_bench::swarm::{End, Plan, Swarm};
use corecast_tests::recording;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure, eyre};

const SUBSCRIBERS: usize = 200;
const WITHIN: Duration = Duration::from_secs(180);

/// What the README of the recordings says of all six together.
const LINES: usize = 332_200;

#[test]
fn every_subscriber_gets_every_message_of_its_topic() -> Result<()> {
    let Some(folder) = recording::folder()? else { return Ok(()) };
    let topics = recording::messages(&folder)?;
    let (names, expected): (Vec<_>, Vec<_>) = topics.iter().unzip();
    ensure!(names.len() == 18, "18 topics were expected: {names:?}");
    ensure!(expected.iter().map(|messages| messages.len()).sum::<usize>() == LINES);

    for backend in ["ring", "sendmsg"] {
        let server = launch()?
            .args(["replay", "--listen", "127.0.0.1:0", "--shards", "2", "--speed", "max"])
            .args(["--backend", backend, "--wait-clients", &SUBSCRIBERS.to_string()])
            .args(recording::arguments(&folder));
        let mut server = TestServer::launch(&server)?;
        let mut swarm = Swarm::new(server.address())?;
        let mut topic_of = Vec::new();
        for subscriber in 0..SUBSCRIBERS {
            let topic = subscriber % names.len();
            let connection = swarm.open(&Plan::reader(format!("/ws/{}", names[topic])))?;
            ensure!(connection == topic_of.len());
            topic_of.push(topic);
        }
        let mut received = vec![0; SUBSCRIBERS];
        let mut wrong = None;
        let started = Instant::now();
        while swarm.live() > 0 {
            swarm.poll(Duration::from_millis(100), &mut |delivery| {
                let (connection, topic) = (delivery.connection, topic_of[delivery.connection]);
                let due = expected[topic].get(received[connection]);
                if due.is_none_or(|due| **due != *delivery.payload) || !delivery.is_text {
                    let (name, index) = (names[topic], received[connection]);
                    wrong.get_or_insert_with(|| format!("{name}: message {index} is another"));
                }
                received[connection] += 1;
            })?;
            if let Some(wrong) = wrong {
                return Err(eyre!("{backend}: {wrong}"));
            }
            ensure!(started.elapsed() < WITHIN, "{backend}: {} are open still", swarm.live());
        }
        for (connection, &topic) in topic_of.iter().enumerate() {
            let (name, due) = (names[topic], expected[topic].len());
            let got = received[connection];
            ensure!(got == due, "{backend}: {name}: {got} of {due} messages");
            let end = swarm.end(connection);
            let told = matches!(end, Some(End::Closed { code: Some(1001), .. }));
            ensure!(told, "{backend}: {name}: ended with {end:?}");
        }
        println!(
            "{backend}: {} messages in {:?}",
            received.iter().sum::<usize>(),
            started.elapsed()
        );
        server.ended()?;
    }
    Ok(())
}
