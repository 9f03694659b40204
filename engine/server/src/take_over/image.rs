//! How a topic looks on its way.

use super::wire::{Body, bytes, option};
use crate::ingest::Known;
use ::bytes::Bytes;
use corecast::{SnapshotImage, SnapshotKind, StreamImage, StreamMessage, Timestamp, TopicImage};
use std::io;

const KINDS: [SnapshotKind; 4] =
    [SnapshotKind::None, SnapshotKind::Last, SnapshotKind::Keys, SnapshotKind::Published];

/// Writes a topic.
pub(super) fn write(out: &mut Vec<u8>, image: &TopicImage) {
    let TopicImage { name, heard_at, is_stale, kind, stream, variants_seq } = image;
    bytes(out, name.as_bytes());
    out.extend(heard_at.0.to_le_bytes());
    out.push(u8::from(*is_stale));
    let kind = KINDS.iter().position(|known| known == kind).unwrap_or_default();
    out.push(kind as u8);
    option(out, *variants_seq, |out, seq| out.extend(seq.to_le_bytes()));
    out.extend(stream.seq.to_le_bytes());
    out.extend(stream.ts.to_le_bytes());
    option(out, stream.snapshot.as_ref(), write_snapshot);
    out.extend((stream.history.len() as u32).to_le_bytes());
    for (message, at) in &stream.history {
        write_message(out, message);
        out.extend(at.0.to_le_bytes());
    }
}

/// Reads a topic. Payloads share no memory with `body`: they go one by one.
///
/// # Errors
///
/// When it is none.
pub(super) fn read(body: &[u8]) -> io::Result<TopicImage> {
    let mut body = Body(body);
    let name = std::str::from_utf8(body.bytes()?).map_err(io::Error::other)?.into();
    let heard_at = Timestamp(body.u64()?);
    let is_stale = body.bool()?;
    let kind = *KINDS.get(usize::from(body.u8()?)).ok_or(io::ErrorKind::InvalidData)?;
    let variants_seq = body.option(Body::u64)?;
    let (seq, ts) = (body.u64()?, body.i64()?);
    let snapshot = body.option(read_snapshot)?;
    let mut history = Vec::new();
    for _ in 0..body.u32()? {
        history.push((read_message(&mut body)?, Timestamp(body.u64()?)));
    }
    body.end()?;
    let stream = StreamImage { seq, ts, history, snapshot };
    Ok(TopicImage { name, heard_at, is_stale, kind, stream, variants_seq })
}

/// Writes how far a publisher has come.
pub(super) fn write_publisher(out: &mut Vec<u8>, known: &Known) {
    let Known { name, epoch, last } = known;
    bytes(out, name.as_bytes());
    out.extend(epoch.to_le_bytes());
    option(out, *last, |out, last| out.extend(last.to_le_bytes()));
}

/// Reads how far a publisher has come.
///
/// # Errors
///
/// When it is not that.
pub(super) fn read_publisher(body: &[u8]) -> io::Result<Known> {
    let mut body = Body(body);
    let name = std::str::from_utf8(body.bytes()?).map_err(io::Error::other)?.into();
    let (epoch, last) = (body.u64()?, body.option(Body::u64)?);
    body.end()?;
    Ok(Known { name, epoch, last })
}

fn write_snapshot(out: &mut Vec<u8>, image: &SnapshotImage) {
    let SnapshotImage { message, keyed, unsynced, stateless_from, told_at } = image;
    option(out, message.as_ref(), write_message);
    out.push(u8::from(*unsynced));
    option(out, *stateless_from, |out, seq| out.extend(seq.to_le_bytes()));
    out.extend(told_at.to_le_bytes());
    out.extend((keyed.len() as u32).to_le_bytes());
    for (key, data) in keyed {
        bytes(out, key);
        bytes(out, data);
    }
}

fn read_snapshot(body: &mut Body<'_>) -> io::Result<SnapshotImage> {
    let message = body.option(read_message)?;
    let unsynced = body.bool()?;
    let stateless_from = body.option(Body::u64)?;
    let told_at = body.u64()?;
    let mut keyed = Vec::new();
    for _ in 0..body.u32()? {
        keyed.push((own(body)?, own(body)?));
    }
    Ok(SnapshotImage { message, keyed, unsynced, stateless_from, told_at })
}

fn write_message(out: &mut Vec<u8>, message: &StreamMessage) {
    let StreamMessage { seq, ts, key, data, binary } = message;
    out.extend(seq.to_le_bytes());
    out.extend(ts.to_le_bytes());
    option(out, key.as_ref(), |out, key| bytes(out, key));
    bytes(out, data);
    option(out, binary.as_ref(), |out, binary| bytes(out, binary));
}

fn read_message(body: &mut Body<'_>) -> io::Result<StreamMessage> {
    let (seq, ts) = (body.u64()?, body.i64()?);
    let key = body.option(own)?;
    let data = own(body)?;
    let binary = body.option(own)?;
    Ok(StreamMessage { seq, ts, key, data, binary })
}

fn own(body: &mut Body<'_>) -> io::Result<Bytes> {
    body.bytes().map(Bytes::copy_from_slice)
}
