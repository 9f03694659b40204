//! Any stream of bytes gives the same frames or error however it is cut, and frames read back.
//! The first byte says where it is cut.

#![no_main]

use corecast_feed::ingest::{self, Decoder, Frame, IngestError, decode};
use corecast_feed::limits::IngestLimits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&step, stream)) = input.split_first() else { return };
    let limits = IngestLimits { frame_bytes_max: 4_096, ..IngestLimits::default() };
    let whole = read(stream.chunks(stream.len().max(1)), limits);
    let pieces = read(stream.chunks(usize::from(step).max(1)), limits);
    assert_eq!(whole, pieces);

    // What was written anew is the same when it is read and written again.
    for bytes in &whole.0 {
        let decoded = decode(bytes, &limits);
        let Ok(Some((frame, used))) = decoded else { panic!("{decoded:?}") };
        assert_eq!((encode(&frame, &limits), used), (bytes.clone(), bytes.len()));
    }
});

/// Each frame, written anew, and how the stream ended.
fn read<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    limits: IngestLimits,
) -> (Vec<Vec<u8>>, Result<usize, IngestError>) {
    let mut decoder = Decoder::new(limits);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(encode(&frame, &limits)),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(decoder.pending_bytes()))
}

fn encode(frame: &Frame<'_>, limits: &IngestLimits) -> Vec<u8> {
    let mut out = Vec::new();
    match frame {
        Frame::Hello(hello) => ingest::hello(&mut out, hello).expect("it was read"),
        Frame::Record(record) => {
            ingest::record(&mut out, record, limits).expect("it was read");
        }
        Frame::Ack(ack) => ingest::ack(&mut out, ack),
        Frame::Error(refusal) => ingest::error(&mut out, refusal),
    }
    out
}
