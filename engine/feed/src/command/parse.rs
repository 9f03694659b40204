//! From text to [`Command`]: one pass over the text, which finds where each field lies; then the
//! few short ones are read. A payload is only looked at, never copied.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::fault::{CommandError, Fault, kind_of, quoted};
use super::fields::{elements, members};
use super::{
    Auth, Command, DeliveryPolicy, History, Ping, Presence, Publish, Recipient, Resume, Send,
    Subscribe, Unsubscribe,
};
use crate::codes::ErrorCode;
use crate::json::depth_is_at_most;
use crate::limits::{EPOCH_BYTES_MAX, KEY_BYTES_MAX, Limits, NAME_BYTES_MAX};
use crate::raw::{Id, RawJson};
use crate::value::{DataEncoding, Rate};

/// Reads one command. Strings without escapes, `data` and `id` are borrowed from `text`.
///
/// Unknown fields are ignored. Of a field that stands twice, the last one counts, as in
/// JavaScript and Python. `null` in an optional field is the same as its absence, except in `id`.
///
/// # Errors
/// What is wrong, the field, and the `id` whenever it could be read: 400 for JSON, fields and
/// types, 405 for an unknown `type`, 413 for what is too long or too many.
pub fn parse_command<'a>(text: &'a str, limits: &Limits) -> Result<Command<'a>, CommandError<'a>> {
    if text.len() > limits.message_bytes_max {
        let message = format!("a command has at most {} bytes", limits.message_bytes_max);
        return Err(Fault::whole(ErrorCode::TooLarge, message).with_id(None));
    }
    let mut found = Found::default();
    let read = members(text, |name, value| {
        found.take(&name, value);
        ControlFlow::Continue(())
    });
    let reader = Reader { found, limits };
    let (id, id_fault) = match reader.id() {
        Ok(id) => (id, None),
        Err(fault) => (None, Some(fault)),
    };
    if let Err(error) = read {
        // Of a text that is cut within a number only the first digits are there.
        let id = id.filter(|id| !text.ends_with(id.get()) || text.ends_with('"'));
        return Err(not_an_object(text, &error).with_id(id));
    }
    if let Some(fault) = id_fault {
        return Err(fault.with_id(None));
    }
    reader.command(id.clone()).map_err(|fault| fault.with_id(id))
}

fn not_an_object(text: &str, error: &serde_json::Error) -> Fault {
    let message = match kind_of(text) {
        "an object" => format!("not valid JSON: {error}"),
        kind => format!("a command is a JSON object, this is {kind}"),
    };
    Fault::whole(ErrorCode::Malformed, message)
}

/// Where each known field lies in the text.
#[derive(Debug, Default)]
struct Found<'a> {
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    token: Option<&'a RawValue>,
    topics: Option<&'a RawValue>,
    policy: Option<&'a RawValue>,
    resume: Option<&'a RawValue>,
    topic: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    encoding: Option<&'a RawValue>,
    key: Option<&'a RawValue>,
    echo: Option<&'a RawValue>,
    ack: Option<&'a RawValue>,
    report: Option<&'a RawValue>,
    snapshot: Option<&'a RawValue>,
    to: Option<&'a RawValue>,
    since: Option<&'a RawValue>,
    limit: Option<&'a RawValue>,
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &str, value: &'a RawValue) {
        let field = match name {
            "type" => &mut self.kind,
            "id" => &mut self.id,
            "token" => &mut self.token,
            "topics" => &mut self.topics,
            "policy" => &mut self.policy,
            "resume" => &mut self.resume,
            "topic" => &mut self.topic,
            "data" => &mut self.data,
            "encoding" => &mut self.encoding,
            "key" => &mut self.key,
            "echo" => &mut self.echo,
            "ack" => &mut self.ack,
            "report" => &mut self.report,
            "snapshot" => &mut self.snapshot,
            "to" => &mut self.to,
            "since" => &mut self.since,
            "limit" => &mut self.limit,
            _ => return,
        };
        *field = Some(value);
    }
}

struct Reader<'a, 'l> {
    found: Found<'a>,
    limits: &'l Limits,
}

impl<'a> Reader<'a, '_> {
    fn id(&self) -> Result<Option<Id<'a>>, Fault> {
        let Some(raw) = self.found.id else { return Ok(None) };
        match (kind_of(raw.get()), Id::new(RawJson::from(raw))) {
            (_, Some(id)) => Ok(Some(id)),
            ("a number" | "a string", None) => {
                let bytes_max = crate::limits::ID_BYTES_MAX;
                Err(Fault::too_large("id", format_args!("has more than {bytes_max} bytes")))
            }
            _ => Err(Fault::kind("id", "a number or a string", raw)),
        }
    }

    fn command(&self, id: Option<Id<'a>>) -> Result<Command<'a>, Fault> {
        let kind = self.found.kind;
        let Some(kind) = kind else {
            return Err(Fault::wrong("type", "is missing: it names the command"));
        };
        Ok(match &*string("type", kind)? {
            "auth" => Command::Auth(Auth { id, token: self.token()? }),
            "subscribe" => Command::Subscribe(Subscribe {
                id,
                topics: self.topics("subscribe")?,
                policy: self.policy()?,
                resume: self.resume()?,
            }),
            "unsubscribe" => {
                Command::Unsubscribe(Unsubscribe { id, topics: self.topics("unsubscribe")? })
            }
            "publish" => Command::Publish(self.publish(id)?),
            "send" => Command::Send(Send {
                id,
                to: self.recipient()?,
                data: self.data("send")?,
                encoding: self.encoding()?,
            }),
            "presence" => Command::Presence(Presence { id, topic: self.topic("presence")? }),
            "history" => Command::History(History {
                id,
                topic: self.topic("history")?,
                since: optional(self.found.since).map(|raw| whole("since", raw)).transpose()?,
                limit: self.limit()?,
            }),
            "ping" => Command::Ping(Ping { id }),
            unknown => {
                let message = format_args!("`{}` is no command", quoted(unknown));
                return Err(Fault::of(ErrorCode::Unsupported, "type", message));
            }
        })
    }

    fn publish(&self, id: Option<Id<'a>>) -> Result<Publish<'a>, Fault> {
        let key = optional(self.found.key);
        Ok(Publish {
            id,
            topic: self.topic("publish")?,
            data: self.data("publish")?,
            encoding: self.encoding()?,
            key: key.map(|raw| bounded("key", raw, KEY_BYTES_MAX)).transpose()?,
            echo: boolean("echo", self.found.echo, true)?,
            ack: boolean("ack", self.found.ack, true)?,
            report: boolean("report", self.found.report, false)?,
            snapshot: boolean("snapshot", self.found.snapshot, false)?,
        })
    }

    fn token(&self) -> Result<Cow<'a, str>, Fault> {
        let raw = required("token", self.found.token, "auth")?;
        bounded("token", raw, self.limits.token_bytes_max)
    }

    fn topic(&self, command: &str) -> Result<Cow<'a, str>, Fault> {
        let raw = required("topic", self.found.topic, command)?;
        bounded("topic", raw, self.limits.topic_bytes_max)
    }

    fn topics(&self, command: &str) -> Result<Vec<Cow<'a, str>>, Fault> {
        let raw = required("topics", self.found.topics, command)?;
        let mut topics = Vec::new();
        let mut fault = None;
        let read = elements(raw.get(), |raw| {
            let index = topics.len();
            let topic = if index < self.limits.topics_max {
                bounded("topics", raw, self.limits.topic_bytes_max)
                    .map_err(|fault| fault.at(format!("topics[{index}]")))
            } else {
                let message = format_args!("has more than {} entries", self.limits.topics_max);
                Err(Fault::too_large("topics", message))
            };
            match topic {
                Ok(topic) => topics.push(topic),
                Err(found) => fault = Some(found),
            }
            if fault.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match (fault, read) {
            (Some(fault), _) => Err(fault),
            (None, Err(_)) => Err(Fault::kind("topics", "an array of strings", raw)),
            (None, Ok(())) if topics.is_empty() => {
                Err(Fault::wrong("topics", "is empty: name at least one topic"))
            }
            (None, Ok(())) => Ok(topics),
        }
    }

    fn policy(&self) -> Result<Option<DeliveryPolicy>, Fault> {
        let Some(raw) = optional(self.found.policy) else { return Ok(None) };
        let (mut delivery, mut max_hz) = (None, None);
        let read = members(raw.get(), |name, value| {
            match &*name {
                "delivery" => delivery = Some(value),
                "max_hz" => max_hz = Some(value),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        read.map_err(|_| Fault::kind("policy", "an object", raw))?;
        let delivery = optional(delivery).map(|raw| {
            let text = string("policy.delivery", raw)?;
            let wrong = |error| format!("is `{}`, {error}", quoted(&text));
            text.parse().map_err(|error| Fault::wrong("policy.delivery", wrong(error)))
        });
        let max_hz = optional(max_hz).map(|raw| rate("policy.max_hz", raw));
        Ok(Some(DeliveryPolicy { delivery: delivery.transpose()?, max_hz: max_hz.transpose()? }))
    }

    fn resume(&self) -> Result<Option<Resume<'a>>, Fault> {
        let Some(raw) = optional(self.found.resume) else { return Ok(None) };
        let (mut epoch, mut seq) = (None, None);
        let read = members(raw.get(), |name, value| {
            match &*name {
                "epoch" => epoch = Some(value),
                "seq" => seq = Some(value),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        read.map_err(|_| Fault::kind("resume", "an object", raw))?;
        let epoch = required("resume.epoch", epoch, "resume")?;
        let epoch = bounded("resume.epoch", epoch, EPOCH_BYTES_MAX)?;
        let seq = self.resume_seq(required("resume.seq", seq, "resume")?)?;
        Ok(Some(Resume { epoch, seq }))
    }

    fn resume_seq(&self, raw: &'a RawValue) -> Result<BTreeMap<Cow<'a, str>, u64>, Fault> {
        let entry = |topic: &str| format!("resume.seq.{}", quoted(topic));
        let mut seq = BTreeMap::new();
        let mut fault = None;
        let read = members(raw.get(), |topic, value| {
            let number = if seq.len() == self.limits.topics_max {
                let message = format_args!("has more than {} entries", self.limits.topics_max);
                Err(Fault::too_large("resume.seq", message))
            } else if topic.len() > self.limits.topic_bytes_max {
                Err(too_long("resume.seq", self.limits.topic_bytes_max).at(entry(&topic)))
            } else {
                whole("resume.seq", value).map_err(|fault| fault.at(entry(&topic)))
            };
            match number {
                Ok(number) => drop(seq.insert(topic, number)),
                Err(found) => fault = Some(found),
            }
            if fault.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match fault {
            Some(fault) => Err(fault),
            None => read
                .map(|()| seq)
                .map_err(|_| Fault::kind("resume.seq", "an object of numbers by topic", raw)),
        }
    }

    fn data(&self, command: &str) -> Result<RawJson<'a>, Fault> {
        let raw = required("data", self.found.data, command)?;
        if !depth_is_at_most(raw.get(), self.limits.depth_max) {
            let message = format_args!("nests more than {} deep", self.limits.depth_max);
            return Err(Fault::too_large("data", message));
        }
        Ok(RawJson::from(raw))
    }

    fn encoding(&self) -> Result<Option<DataEncoding>, Fault> {
        let Some(raw) = optional(self.found.encoding) else { return Ok(None) };
        match &*string("encoding", raw)? {
            "base64" if kind_of(self.found.data.map_or("", RawValue::get)) != "a string" => {
                Err(Fault::wrong("data", "must be a string when `encoding` is `base64`"))
            }
            "base64" => Ok(Some(DataEncoding::Base64)),
            other => {
                let message = format_args!("is `{}`, only `base64` is known", quoted(other));
                Err(Fault::wrong("encoding", message))
            }
        }
    }

    fn recipient(&self) -> Result<Recipient<'a>, Fault> {
        let raw = required("to", self.found.to, "send")?;
        let (mut user, mut client) = (None, None);
        let read = members(raw.get(), |name, value| {
            match &*name {
                "user" => user = Some(value),
                "client" => client = Some(value),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        read.map_err(|_| Fault::kind("to", "an object", raw))?;
        match (optional(user), optional(client)) {
            (Some(user), None) => bounded("to.user", user, NAME_BYTES_MAX).map(Recipient::User),
            (None, Some(client)) => {
                bounded("to.client", client, NAME_BYTES_MAX).map(Recipient::Client)
            }
            _ => Err(Fault::wrong("to", "must name either a `user` or a `client`")),
        }
    }

    fn limit(&self) -> Result<Option<u32>, Fault> {
        let Some(raw) = optional(self.found.limit) else { return Ok(None) };
        let limit_max = self.limits.history_max;
        match whole("limit", raw)? {
            0 => Err(Fault::wrong("limit", "must be at least 1")),
            limit => match u32::try_from(limit) {
                Ok(limit) if limit <= limit_max => Ok(Some(limit)),
                _ => Err(Fault::too_large("limit", format_args!("is more than {limit_max}"))),
            },
        }
    }
}

type Name = Cow<'static, str>;

/// `null` is as good as nothing.
fn optional(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

fn required<'a>(
    field: &'static str,
    raw: Option<&'a RawValue>,
    whose: &str,
) -> Result<&'a RawValue, Fault> {
    raw.ok_or_else(|| Fault::wrong(field, format_args!("is missing: `{whose}` needs it")))
}

fn string<'a>(field: impl Into<Name>, raw: &'a RawValue) -> Result<Cow<'a, str>, Fault> {
    let text = raw.get();
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Err(Fault::kind(field, "a string", raw));
    };
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    // The grammar was checked; what can still be wrong is half of a surrogate pair.
    let unescaped = serde_json::from_str(text).map(Cow::Owned);
    unescaped.map_err(|_| Fault::wrong(field, "has an escape that is no character"))
}

/// A string that is not empty and has at most `bytes_max` bytes.
fn bounded<'a>(
    field: impl Into<Name>,
    raw: &'a RawValue,
    bytes_max: usize,
) -> Result<Cow<'a, str>, Fault> {
    let field = field.into();
    match string(field.clone(), raw)? {
        text if text.is_empty() => Err(Fault::wrong(field, "is empty")),
        text if text.len() > bytes_max => Err(too_long(field, bytes_max)),
        text => Ok(text),
    }
}

fn too_long(field: impl Into<Name>, bytes_max: usize) -> Fault {
    Fault::too_large(field, format_args!("has more than {bytes_max} bytes"))
}

fn boolean(field: &'static str, raw: Option<&RawValue>, default: bool) -> Result<bool, Fault> {
    let Some(raw) = optional(raw) else { return Ok(default) };
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::kind(field, "true or false", raw)),
    }
}

fn whole(field: impl Into<Name>, raw: &RawValue) -> Result<u64, Fault> {
    let number = serde_json::from_str(raw.get());
    number.map_err(|_| match kind_of(raw.get()) {
        "a number" => Fault::wrong(
            field,
            format_args!("must be a whole number from 0 below 2^64, not {}", quoted(raw.get())),
        ),
        _ => Fault::kind(field, "a whole number", raw),
    })
}

fn rate(field: &'static str, raw: &RawValue) -> Result<Rate, Fault> {
    Rate::parse(raw.get()).ok_or_else(|| match kind_of(raw.get()) {
        "a number" => Fault::wrong(
            field,
            format_args!("must be from 1/60 to 1000, not {}", quoted(raw.get())),
        ),
        _ => Fault::kind(field, "a number", raw),
    })
}
