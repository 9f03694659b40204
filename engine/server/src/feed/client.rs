//! The public name of a connection: what `welcome` says, and `send` and presence use.
//!
//! It tells nobody an address, and means nothing in another epoch: a name kept over a restart does
//! not reach a stranger.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corecast::{ConnId, ConnectionId, ShardId};

/// Shard, index, generation, and 32 bits of the epoch.
const BYTES: usize = 2 + 4 + 4 + 4;

/// The name of a connection: 19 letters, digits, `-` or `_`.
pub(crate) fn client_of(id: ConnectionId, epoch: u64) -> Box<str> {
    let mut bytes = [0; BYTES];
    bytes[..2].copy_from_slice(&id.shard.0.to_be_bytes());
    bytes[2..6].copy_from_slice(&id.conn.index.to_be_bytes());
    bytes[6..10].copy_from_slice(&id.conn.generation.to_be_bytes());
    bytes[10..].copy_from_slice(&bits(epoch));
    // Counters alone would make names that differ in a letter or two.
    let key = bits(epoch);
    for (place, byte) in bytes[..10].iter_mut().enumerate() {
        *byte ^= key[place % key.len()];
    }
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// The connection of that name. None: no name of this epoch.
pub(crate) fn read_client(client: &str, epoch: u64) -> Option<ConnectionId> {
    let bytes = URL_SAFE_NO_PAD.decode(client).ok()?;
    let mut bytes: [u8; BYTES] = bytes.try_into().ok()?;
    let key = bits(epoch);
    if bytes[10..] != key {
        return None;
    }
    for (place, byte) in bytes[..10].iter_mut().enumerate() {
        *byte ^= key[place % key.len()];
    }
    let [s0, s1, i0, i1, i2, i3, g0, g1, g2, g3, ..] = bytes;
    Some(ConnectionId {
        shard: ShardId(u16::from_be_bytes([s0, s1])),
        conn: ConnId {
            index: u32::from_be_bytes([i0, i1, i2, i3]),
            generation: u32::from_be_bytes([g0, g1, g2, g3]),
        },
    })
}

/// An epoch is a time in nanoseconds: its low bits alone are alike where clocks tick in
/// microseconds, its high bits alone where two starts are a second apart.
fn bits(epoch: u64) -> [u8; 4] {
    let mixed = epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 32) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 1_700_000_000_123_456_000;

    fn id(shard: u16, index: u32, generation: u32) -> ConnectionId {
        ConnectionId { shard: ShardId(shard), conn: ConnId { index, generation } }
    }

    #[test]
    fn a_name_gives_its_connection_back() {
        for id in [id(0, 0, 0), id(7, 123_456, 9), id(u16::MAX, u32::MAX, u32::MAX)] {
            let client = client_of(id, EPOCH);
            assert_eq!(client.len(), 19);
            assert_eq!(read_client(&client, EPOCH), Some(id));
        }
        assert_ne!(client_of(id(0, 1, 0), EPOCH), client_of(id(0, 0, 1), EPOCH));
    }

    #[test]
    fn what_is_no_name_of_this_epoch_names_nobody() {
        let client = client_of(id(1, 2, 3), EPOCH);
        for epoch in [EPOCH + 1, EPOCH + 1_000, EPOCH + 1_000_000_000, 0] {
            assert_eq!(read_client(&client, epoch), None);
        }
        let cut = &client[..18];
        let long = format!("{client}A");
        for text in ["", "c7Yq", cut, long.as_str(), "not a name at all!!", "é"] {
            assert_eq!(read_client(text, EPOCH), None, "{text}");
        }
    }
}
