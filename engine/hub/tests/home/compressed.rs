//! What a home compresses: once, where somebody takes it so, and only what its namespace says.

use corecast_hub::home::EmissionKind;
use corecast_hub::{
    Compress, Encoding, Namespace, Overflow, Policy, Press, PressConfig, SnapshotKind, Wanted,
};

use crate::desk::{Desk, past};

fn desk(compress: Compress, press: &Press) -> Desk {
    let policy = Policy::Lossless { overflow: Overflow::Gap };
    let snapshot = SnapshotKind::Last;
    let mut desk = Desk::new(Namespace { policy, snapshot, compress, ..Namespace::default() });
    desk.home = std::mem::replace(&mut desk.home, Desk::new(Namespace::default()).home)
        .press(press.clone());
    desk
}

fn press() -> Press {
    Press::new(PressConfig { what: Compress::Batches, level: 1, threshold_bytes: 100 })
}

/// Whether each message that was said has a twin.
fn twins(desk: &Desk) -> Vec<bool> {
    let messages = desk.out.iter().filter(|it| it.kind == EmissionKind::Message);
    messages.filter_map(|it| Some(it.frames.get(Encoding::Json)?.twin().is_some())).collect()
}

#[test]
fn variants_and_snapshots_are_compressed_and_single_messages_only_when_asked() {
    let data = "61737.40,".repeat(40);
    for (compress, single, batch) in [
        (Compress::Default, false, true),
        (Compress::Batches, false, true),
        (Compress::All, true, true),
        (Compress::Off, false, false),
    ] {
        let press = press();
        let mut desk = desk(compress, &press);
        desk.wanted = Wanted::NONE.with(Encoding::Binary).with_twin(Encoding::Json);
        desk.attach("n.a", 100);
        desk.say("n.a", &data);
        assert_eq!(twins(&desk), [single], "{compress:?}");
        desk.pass_ms(100);
        desk.tick();
        assert_eq!(twins(&desk), [batch], "{compress:?}: the variant");
        let frames = &desk.out[0].frames;
        assert!(frames.get(Encoding::Binary).is_some_and(|frame| frame.twin().is_none()));
        let attachment = desk.attach("n.a", 0);
        let snapshot = attachment.snapshot.as_ref().expect("the last message");
        assert_eq!(snapshot.twin().is_some(), batch, "{compress:?}: the snapshot");
        assert!(past(&attachment).0.is_some_and(|text| text.contains(&data)));
        let before = press.totals().deflates;
        desk.attach("n.a", 0);
        assert_eq!(press.totals().deflates, before, "a snapshot is compressed once");
        // Nobody takes it any more.
        desk.wanted = Wanted::NONE.with(Encoding::Json);
        desk.say("n.a", &data);
        assert_eq!(twins(&desk), [false]);
        assert_eq!(press.totals().deflates, before);
    }
}

#[test]
fn a_snapshot_that_does_not_become_shorter_is_tried_once_however_many_attach() {
    let press = press();
    let mut desk = desk(Compress::Batches, &press);
    desk.wanted = Wanted::NONE.with_twin(Encoding::Json);
    desk.attach("n.a", 0);
    // Nothing in it repeats, and a table of codes would take more than it saves.
    let mut state = 1_u64;
    let noise: String = (0..120)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'0' + ((state >> 33) % 75) as u8).to_string().replace('\\', "_")
        })
        .collect();
    desk.say("n.a", &noise);
    for attached in 0..3 {
        let attachment = desk.attach("n.a", 0);
        let snapshot = attachment.snapshot.as_ref().expect("the last message");
        assert!(snapshot.twin().is_none() && snapshot.is_tried(), "{noise} became shorter");
        assert!(past(&attachment).0.is_some_and(|text| text.contains(&noise)));
        assert_eq!(press.totals().deflates, 1, "attached {attached} times before");
    }
}
