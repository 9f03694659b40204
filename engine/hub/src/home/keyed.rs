//! The newest payload of each key: what a `keys` snapshot is made of.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::limits::{KEYED_BYTES_MAX, KEYS_MAX};

/// Payloads by key, in the keys' order: so all shards and all runs tell the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Keyed {
    payloads: BTreeMap<Bytes, Bytes>,
    bytes: usize,
}

impl Keyed {
    /// Whether a payload more, in place of the key's last, is within the bounds.
    pub(super) fn fits(&self, key: &[u8], data: &Bytes) -> bool {
        let (keys, bytes) = match self.payloads.get(key) {
            Some(old) => (self.payloads.len(), self.bytes - old.len() + data.len()),
            None => (self.payloads.len() + 1, self.bytes + key.len() + data.len()),
        };
        keys <= KEYS_MAX && bytes <= KEYED_BYTES_MAX
    }

    /// Puts a payload in the place of the key's last. False when that is out of bounds: then
    /// nothing has changed.
    pub(super) fn put(&mut self, key: &Bytes, data: &Bytes) -> bool {
        if !self.fits(key, data) {
            return false;
        }
        match self.payloads.get_mut(key) {
            Some(old) => {
                self.bytes = self.bytes - old.len() + data.len();
                *old = data.clone();
            }
            None => {
                self.bytes += key.len() + data.len();
                self.payloads.insert(key.clone(), data.clone());
            }
        }
        true
    }

    pub(super) fn payloads(&self) -> Vec<&Bytes> {
        self.payloads.values().collect()
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.payloads.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.payloads.len()
    }

    /// Bytes of keys and payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
