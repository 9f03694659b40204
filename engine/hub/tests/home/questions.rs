//! Two nodes: what a full home asks is answered, so that who publishes gets room.

use std::collections::VecDeque;
use std::sync::Arc;

use corecast_hub::home::{AttachRequest, Home, HomeConfig, UpdateError};
use corecast_hub::node::{Job, Mesh, Node, Sent, Ticket, Turn, Updated};
use corecast_hub::{
    ConnId, Encoding, Hub, HubConfig, Namespace, Namespaces, Now, Policy, RawCodec, Report,
    Timestamp, Update, Wanted,
};

const NOW: Now = Now { mono: Timestamp(1_000_000_000), wall_ns: 0 };
const TOPICS_MAX: usize = 3;

#[derive(Debug)]
struct Pass;

impl Ticket for Pass {
    fn sequenced(&self, _: u64) {}
    fn refused(&self, _: &UpdateError, _: bool) {}
    fn refused_of_many(&self, _: u32, _: &str, _: UpdateError) {}
    fn dealt_with(&self, _: usize) {}
    fn add(&self, _: Report) {}
}

/// The ways between the two: the first is home to all topics.
#[derive(Debug, Default)]
struct Ways([VecDeque<Job<Pass>>; 2]);

impl Mesh<Pass> for Ways {
    fn home(&self, _: &str) -> u16 {
        0
    }

    fn post(&mut self, to: u16, job: Job<Pass>) -> bool {
        self.0[usize::from(to)].push_back(job);
        true
    }

    fn ticket(&mut self, _: usize) -> Option<Pass> {
        Some(Pass)
    }

    fn wanted(&self) -> Wanted {
        Wanted::NONE.with(Encoding::Json)
    }
}

struct Pair {
    sides: Vec<(Hub, Node<Pass>)>,
    ways: Ways,
}

impl Pair {
    fn new() -> Self {
        let namespace = Namespace { name: "n".into(), ..Namespace::default() };
        let namespaces = Arc::new(Namespaces::new(vec![namespace]).expect("namespaces"));
        let sides = (0..2).map(|shard| {
            let home = Home::new(HomeConfig {
                shard,
                shards: 2,
                epoch: 7,
                generation: 0,
                namespaces: Arc::clone(&namespaces),
                codec: Arc::new(RawCodec),
                topic_bytes_max: 255,
                topics_max: TOPICS_MAX,
                missed_entries_max: usize::MAX,
                missed_bytes_max: usize::MAX,
            });
            (Hub::new(HubConfig::default()), Node::new(shard, 2, home, Arc::clone(&namespaces)))
        });
        Self { sides: sides.collect(), ways: Ways::default() }
    }

    fn turn<R>(
        &mut self,
        side: usize,
        call: impl FnOnce(&mut Node<Pass>, &mut Turn<'_, Pass, Ways>) -> R,
    ) -> R {
        let (hub, node) = &mut self.sides[side];
        let (mesh, events, queued) = (&mut self.ways, &mut Vec::new(), &mut Vec::new());
        let result = call(node, &mut Turn { hub, mesh, now: NOW, events, queued });
        self.carry();
        result
    }

    fn carry(&mut self) {
        for side in 0..2 {
            if let Some(job) = self.ways.0[side].pop_front() {
                self.turn(side, |node, turn| node.receive(job, turn));
                return self.carry();
            }
        }
    }

    /// Attaches a connection to a variant, and starts it where it `stays`.
    fn attach(&mut self, side: usize, conn: ConnId, topic: &str, stays: bool) {
        let request = AttachRequest::new(topic, Encoding::Json);
        let request = AttachRequest { interval_ms: 100, ..request };
        self.turn(side, |node, turn| {
            for result in node.attach(conn, 0, vec![request], turn) {
                let attachment = result.result.expect("attached");
                if stays {
                    node.start(conn, &attachment, Policy::DropOldest, Encoding::Json, turn)
                        .expect("started");
                }
            }
        });
    }

    fn publish(&mut self, topic: &str) -> Updated {
        let (except, origin, published_at) = (None, None, NOW.mono);
        let update = Update::new(topic, "1");
        let sent = Sent { update, except, origin, published_at, ticket: Pass };
        self.turn(0, |node, turn| node.update(sent, turn))
    }
}

#[test]
fn variants_that_somebody_left_on_any_shard_do_not_keep_publishers_out() {
    let mut pair = Pair::new();
    let conns = [0, 1].map(|side: usize| pair.sides[side].0.connect(NOW.mono));
    pair.attach(0, conns[0], "n.stays", true);
    pair.attach(0, conns[0], "n.left", false);
    pair.attach(1, conns[1], "n.far", false);
    assert!(matches!(pair.publish("n.first"), Updated::Refused(UpdateError::Full(_))));
    for topic in ["n.first", "n.second"] {
        assert_eq!(pair.publish(topic), Updated::Numbered(1), "those who left were asked");
    }
    for _ in 0..9 {
        assert!(matches!(pair.publish("n.third"), Updated::Refused(_)));
    }
    let home = pair.sides[0].1.home();
    assert!(home.held_by("n.stays@100ms").is_some());
    assert_eq!((home.totals().forgotten, home.totals().topics), (2, TOPICS_MAX as u64));
}
