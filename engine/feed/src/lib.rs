//! The feed protocol of corecast: its messages, their JSON and binary codecs, error and close
//! codes, and limits. No I/O, no hub, no clock. `docs/protocol/` is the same for people.
//!
//! ```
//! use corecast_feed::limits::Limits;
//! use corecast_feed::{Command, Event, json, parse_command};
//!
//! let text = r#"{"type":"publish","id":9,"topic":"chat.room1","data":{"text":"hi"}}"#;
//! let Command::Publish(publish) = parse_command(text, &Limits::default())? else {
//!     panic!("it is a publish");
//! };
//! assert_eq!(publish.data.get(), r#"{"text":"hi"}"#);
//!
//! let mut out = Vec::new();
//! json::message(&mut out, &publish.topic, 1, 1_700_000_000, publish.data.get().as_bytes());
//! let Event::Message(message) = Event::parse(std::str::from_utf8(&out)?)? else {
//!     panic!("it is a message");
//! };
//! assert_eq!((message.seq, message.data), (1, publish.data));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod binary;
pub mod codes;
pub mod command;
pub mod event;
pub mod ingest;
pub mod json;
pub mod limits;
mod raw;
#[cfg(test)]
mod schema;
mod subprotocol;
pub mod value;

pub use codes::{CloseCode, ErrorCode, Reconnect};
pub use command::{Command, CommandError, parse_command};
pub use event::{Event, EventError};
pub use raw::{Id, RawJson};
pub use subprotocol::{Encoding, Subprotocol, negotiate};

/// The version of the protocol that these types are: the `v` of `welcome`.
pub const VERSION: u32 = 1;
