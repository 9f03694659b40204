//! What a shard has for all its TLS connections: the settings that handshakes start from, places
//! for handshakes, and buffers that nobody keeps.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::records::{OVERHEAD_BYTES, RECORD_BYTES, SEALED_BYTES_MAX};
use super::settings::TlsSettings;
use crate::config::TlsConfig;
use crate::limits::{TLS_CHAIN_BYTES_MAX, TLS_HELLO_BYTES_MAX, TLS_PATIENCE, TLS_WRITE_BYTES_MAX};
use corecast_hub::{ConnId, Timestamp};
use corecast_wire::limits::READ_BYTES;

/// Connections that have given back their place and are still listed, beside as many as hold one.
const HOLDERS_SPARE: usize = 256;

/// One for each shard that speaks TLS.
#[derive(Debug)]
pub(crate) struct Desk {
    /// What a handshake that begins now is held by.
    settings: RefCell<Arc<TlsSettings>>,
    pub(super) handshake_timeout: Duration,
    handshakes_max: u32,
    /// Handshakes that have a place.
    under_way: Cell<u32>,
    /// Connections that took a place, the oldest first; some have given it back.
    pub(super) holders: RefCell<VecDeque<ConnId>>,
    /// Nobody is to be pushed out of his place before this.
    pub(super) push_out_at: Cell<Timestamp>,
    /// Connections that wait for a place, with their bytes still in the kernel.
    pub(super) waiting: RefCell<VecDeque<ConnId>>,
    /// Connections whose handshake can go on.
    pub(super) due: RefCell<VecDeque<ConnId>>,
    /// While there is other work, no handshake goes on before this.
    pub(super) rest_until: Cell<Timestamp>,
    /// What the shard had done when the last one went on.
    pub(super) work_before: Cell<u64>,
    /// Ciphertext as it comes in.
    pub(super) scratch: RefCell<Box<[u8]>>,
    /// Plaintext of a record of many frames, and the ciphertext of one write.
    pub(super) drafts: RefCell<Drafts>,
}

/// Buffers of one write.
#[derive(Debug)]
pub(super) struct Drafts {
    pub(super) plain: Box<[u8]>,
    pub(super) sealed: Box<[u8]>,
}

impl Desk {
    pub(crate) fn new(config: &TlsConfig, settings: Arc<TlsSettings>) -> Self {
        let zeroed = |bytes: usize| vec![0; bytes].into_boxed_slice();
        Self {
            settings: RefCell::new(settings),
            handshake_timeout: Duration::from_millis(config.handshake_timeout_ms),
            handshakes_max: config.handshakes_max,
            under_way: Cell::new(0),
            holders: RefCell::default(),
            push_out_at: Cell::new(Timestamp(0)),
            waiting: RefCell::default(),
            due: RefCell::default(),
            rest_until: Cell::new(Timestamp(0)),
            work_before: Cell::new(0),
            scratch: RefCell::new(zeroed(READ_BYTES + 2 * SEALED_BYTES_MAX)),
            drafts: RefCell::new(Drafts {
                plain: zeroed(RECORD_BYTES),
                sealed: zeroed(TLS_WRITE_BYTES_MAX + OVERHEAD_BYTES),
            }),
        }
    }

    /// From now on handshakes start from these settings; those under way go on with their own.
    pub(crate) fn set(&self, settings: Arc<TlsSettings>) {
        self.settings.replace(settings);
    }

    pub(super) fn settings(&self) -> Arc<TlsSettings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Bytes that a handshake may have received and not worked off.
    pub(super) fn handshake_bytes_max(&self) -> usize {
        match self.settings.borrow().asks_clients() {
            true => TLS_CHAIN_BYTES_MAX,
            false => TLS_HELLO_BYTES_MAX,
        }
    }

    /// How long a place is kept for a peer that does not go on, while others wait for one.
    pub(super) fn patience(&self) -> Duration {
        TLS_PATIENCE.min(self.handshake_timeout / 4)
    }

    /// Whether most of those who took a place have given it back: the list is to be cleaned.
    pub(super) fn has_stale_holders(&self) -> bool {
        self.holders.borrow().len() > 2 * self.under_way.get() as usize + HOLDERS_SPARE
    }

    /// Handshakes that may begin.
    pub(super) fn free_places(&self) -> u32 {
        self.handshakes_max.saturating_sub(self.under_way.get())
    }
}

/// A handshake's place; it is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    desk: Rc<Desk>,
    /// When it was taken, or, if that was later, when what the peer said first was answered.
    pub(super) since: Timestamp,
    is_answered: bool,
}

impl Place {
    pub(super) fn take(desk: &Rc<Desk>, conn: ConnId, now: Timestamp) -> Self {
        desk.under_way.set(desk.under_way.get() + 1);
        desk.holders.borrow_mut().push_back(conn);
        Self { desk: Rc::clone(desk), since: now, is_answered: false }
    }

    /// What has come was worked off: from now on the peer is to go on. Only the first time counts,
    /// or who sends byte by byte would keep his place for ever.
    pub(super) fn answered(&mut self, now: Timestamp) {
        if !std::mem::replace(&mut self.is_answered, true) {
            self.since = now;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.under_way.set(self.desk.under_way.get() - 1);
    }
}
