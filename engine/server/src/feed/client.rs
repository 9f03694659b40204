//! The public name of a connection: what `welcome` says, and `send` and presence use.
//!
//! It tells nobody an address, and who knows some names cannot tell another. It means nothing to
//! another process: a name kept over a restart does not reach a stranger.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corecast::{ConnId, ConnectionId, ShardId};
use std::hash::{BuildHasher, RandomState};

/// Shard, index and generation.
const ID_BYTES: usize = 2 + 4 + 4;
const TAG_BYTES: usize = 8;
const BYTES: usize = TAG_BYTES + ID_BYTES;

/// Makes the names of one process, and knows them again. Made of random bytes of the system; all
/// clones agree.
///
/// A name is a tag, which is a keyed hash (SipHash) of what it stands for, and that itself, under a
/// mask that is a keyed hash of the tag: so two connections that differ in a bit have names that
/// differ in all of them, and one in 2^64 names that somebody makes up is one of ours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    tag: RandomState,
    mask: RandomState,
}

impl Names {
    /// The name of a connection: 24 letters, digits, `-` or `_`.
    pub(crate) fn client_of(&self, id: ConnectionId) -> Box<str> {
        let mut bytes = [0; BYTES];
        let (tag, masked) = bytes.split_at_mut(TAG_BYTES);
        masked[..2].copy_from_slice(&id.shard.0.to_be_bytes());
        masked[2..6].copy_from_slice(&id.conn.index.to_be_bytes());
        masked[6..].copy_from_slice(&id.conn.generation.to_be_bytes());
        tag.copy_from_slice(&self.tag_of(masked));
        self.apply_mask(tag, masked);
        URL_SAFE_NO_PAD.encode(bytes).into()
    }

    /// The connection of that name. None: no name of this process.
    pub(crate) fn read_client(&self, client: &str) -> Option<ConnectionId> {
        let bytes = URL_SAFE_NO_PAD.decode(client).ok()?;
        let mut bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let (tag, masked) = bytes.split_at_mut(TAG_BYTES);
        self.apply_mask(tag, masked);
        if *tag != self.tag_of(masked) {
            return None;
        }
        let [s0, s1, i0, i1, i2, i3, g0, g1, g2, g3] =
            *<&[u8; ID_BYTES]>::try_from(&*masked).ok()?;
        Some(ConnectionId {
            shard: ShardId(u16::from_be_bytes([s0, s1])),
            conn: ConnId {
                index: u32::from_be_bytes([i0, i1, i2, i3]),
                generation: u32::from_be_bytes([g0, g1, g2, g3]),
            },
        })
    }

    fn tag_of(&self, id: &[u8]) -> [u8; TAG_BYTES] {
        self.tag.hash_one(id).to_be_bytes()
    }

    fn apply_mask(&self, tag: &[u8], bytes: &mut [u8]) {
        for (number, part) in bytes.chunks_mut(8).enumerate() {
            let mask = self.mask.hash_one((tag, number)).to_be_bytes();
            part.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(shard: u16, index: u32, generation: u32) -> ConnectionId {
        ConnectionId { shard: ShardId(shard), conn: ConnId { index, generation } }
    }

    #[test]
    fn a_name_gives_its_connection_back() {
        let names = Names::default();
        for id in [id(0, 0, 0), id(7, 123_456, 9), id(u16::MAX, u32::MAX, u32::MAX)] {
            let client = names.client_of(id);
            assert_eq!(client.len(), 24);
            assert_eq!(names.clone().read_client(&client), Some(id));
        }
    }

    #[test]
    fn what_is_no_name_of_this_process_names_nobody() {
        let names = Names::default();
        let client = names.client_of(id(1, 2, 3));
        for _ in 0..3 {
            let others = Names::default();
            assert_eq!(others.read_client(&client), None);
            assert_ne!(others.client_of(id(1, 2, 3)), client, "the same place in another process");
        }
        let cut = &client[..23];
        let long = format!("{client}A");
        for text in ["", "c7Yq", cut, long.as_str(), "not a name at all!!", "é"] {
            assert_eq!(names.read_client(text), None, "{text}");
        }
    }

    #[test]
    fn who_knows_a_name_knows_no_other() {
        let names = Names::default();
        let bytes = |id| URL_SAFE_NO_PAD.decode(&*names.client_of(id)).expect("base64");
        let one = bytes(id(0, 1, 1));
        for near in [id(0, 2, 1), id(0, 1, 2), id(1, 1, 1), id(0, 3, 1)] {
            let differing = one.iter().zip(bytes(near)).filter(|(a, b)| **a != *b).count();
            assert!(differing > BYTES / 2, "{near:?}");
        }
        // The difference of two names, laid on a third, gives none.
        let [one, two, three] = [id(0, 1, 1), id(0, 2, 1), id(0, 5, 1)].map(bytes);
        let made_up: Vec<u8> =
            one.iter().zip(&two).zip(&three).map(|((one, two), three)| one ^ two ^ three).collect();
        for place in 0..BYTES * 8 {
            let mut changed = three.clone();
            changed[place / 8] ^= 1 << (place % 8);
            assert_eq!(names.read_client(&URL_SAFE_NO_PAD.encode(changed)), None, "{place}");
        }
        assert_eq!(names.read_client(&URL_SAFE_NO_PAD.encode(made_up)), None);
    }
}
