//! What a publisher speaks over TCP or a Unix socket: frames with a length, little-endian.
//! `docs/protocol/ingest.md` has the layout and what the frames mean.

mod decode;
mod encode;

pub use decode::{Decoder, IngestError, decode};
pub use encode::{EncodeError, ack, error, hello, record};

use core::fmt;

use crate::limits;

/// The version that `hello` names.
pub const VERSION: u16 = 1;
/// Bytes of the length in front of every frame; it counts what follows it.
pub const LENGTH_BYTES: usize = 4;

const TYPE_HELLO: u8 = 1;
const TYPE_RECORD: u8 = 2;
const TYPE_ACK: u8 = 3;
const TYPE_ERROR: u8 = 4;

/// Bytes of each type in front of what varies, without the length.
const HELLO_BYTES: usize = 14;
const RECORD_BYTES: usize = 28;
const ACK_BYTES: usize = 20;
const ERROR_BYTES: usize = 14;

const RECORD_MESSAGE: u8 = 1;
const RECORD_SNAPSHOT: u8 = 2;
const FLAG_TS: u16 = 1;
const FLAG_KEY: u16 = 2;
const FLAG_BINARY: u16 = 4;
const FLAGS_KNOWN: u16 = FLAG_TS | FLAG_KEY | FLAG_BINARY;
const FLAG_CLOSING: u8 = 1;
const FLAG_TOKEN: u8 = 1;

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The publisher's first frame.
    Hello(Hello<'a>),
    /// What is published.
    Record(Record<'a>),
    /// The server's answer: how far it has come.
    Ack(Ack),
    /// The server's answer: what it did not take.
    Error(Refusal<'a>),
}

/// Who publishes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The version that the publisher speaks: [`VERSION`].
    pub version: u16,
    /// Grows with every start of the publisher; its start time in ns will do.
    pub epoch: u64,
    /// The publisher's name, 1 to [`PUBLISHER_BYTES_MAX`](limits::PUBLISHER_BYTES_MAX) bytes.
    pub name: &'a str,
    /// What proves that it may, where the server asks for it: 1 to
    /// [`PUBLISHER_TOKEN_BYTES_MAX`](limits::PUBLISHER_TOKEN_BYTES_MAX) bytes.
    pub token: Option<&'a str>,
}

impl fmt::Debug for Hello<'_> {
    /// Without the token: it must not come into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, epoch, name, token } = self;
        let mut shown = f.debug_struct("Hello");
        shown.field("version", version).field("epoch", epoch).field("name", name);
        shown.field("token", &token.map(|_| "secret")).finish()
    }
}

/// One publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counts the publisher's records from 1 in its epoch, over all topics.
    pub seq: u64,
    /// What `data` is to the topic.
    pub kind: RecordKind,
    /// Where it is published: 1 byte at least; the grammar is the server's to check.
    pub topic: &'a str,
    /// What `latest_by_key` tells messages apart by: 1 to
    /// [`KEY_BYTES_MAX`](limits::KEY_BYTES_MAX) bytes.
    pub key: Option<&'a [u8]>,
    /// The publisher's time in ns since 1970-01-01 UTC; without it, the server's counts.
    pub ts_ns: Option<i64>,
    /// What is published: JSON, or bytes where the namespace says so.
    pub data: &'a [u8],
    /// What subscribers in binary get instead.
    pub binary: Option<&'a [u8]>,
}

/// What a record's data is to its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// One more message.
    Message,
    /// The whole state as of the topic's last message.
    Snapshot,
}

/// How far the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The publisher's epoch.
    pub epoch: u64,
    /// All records up to this one are taken or refused: the publisher may forget them. 0: none.
    pub seq: u64,
    /// 0: all is well; 429: slow down. Others are for later versions and mean the same as 0.
    pub code: u16,
}

/// What the server did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The record that it is about; 0: the connection.
    pub seq: u64,
    /// The number of an [`ErrorCode`](crate::ErrorCode).
    pub code: u16,
    /// Whether the server closes the connection now.
    pub closing: bool,
    /// Why, for a person.
    pub message: &'a str,
}

const _: () = assert!(limits::INGEST_MESSAGE_BYTES_MAX + ERROR_BYTES <= u16::MAX as usize);
