//! The connections of a hub: a slab whose places are reused under a new generation.

use crate::chunks::Chunks;
use crate::id::ConnId;
use crate::outbox::Outbox;
use crate::patterns::OwnPatterns;
use crate::resync::PausedList;
use crate::subscriptions::Subscriptions;

/// One place.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) outbox: Outbox,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) patterns: Option<Box<OwnPatterns>>,
    pub(crate) paused: Option<Box<PausedList>>,
    /// Subscriptions that do not depend on a pattern.
    pub(crate) direct: u32,
    pub(crate) generation: u32,
    pub(crate) connected: bool,
    /// It takes messages compressed.
    pub(crate) takes_twins: bool,
}

/// All places.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Chunks<Slot>,
    used: u32,
    free: Vec<u32>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            outbox: Outbox::new(),
            subscriptions: Subscriptions::default(),
            patterns: None,
            paused: None,
            direct: 0,
            generation: 0,
            connected: false,
            takes_twins: false,
        }
    }
}

impl Slots {
    /// Connections that are there.
    pub(crate) fn len(&self) -> usize {
        self.used as usize - self.free.len()
    }

    pub(crate) fn connect(&mut self) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        let slot = self.slots.entry(index as usize);
        debug_assert!(!slot.connected && slot.outbox.is_empty());
        slot.connected = true;
        ConnId { index, generation: slot.generation }
    }

    /// Frees the place of a connection whose outbox and subscriptions were emptied.
    pub(crate) fn disconnect(&mut self, conn: ConnId) {
        let Some(slot) = self.get_mut(conn) else { return };
        let generation = slot.generation.wrapping_add(1);
        *slot = Slot { generation, ..Slot::default() };
        self.free.push(conn.index);
    }

    #[inline]
    pub(crate) fn get(&self, conn: ConnId) -> Option<&Slot> {
        let slot = self.slots.get(conn.index as usize)?;
        (slot.connected && slot.generation == conn.generation).then_some(slot)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(conn.index as usize)?;
        (slot.connected && slot.generation == conn.generation).then_some(slot)
    }

    /// The slot of a connection that is known to be there: it has a subscription.
    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }
}

// What an idle connection costs in the hub, beside its subscriptions.
const _: () = assert!(size_of::<Slot>() <= 200);
