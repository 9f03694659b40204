//! Passes over the state machine of rustls. It keeps keys and no bytes: records are decrypted where
//! they lie, and encrypted to where they are sent from.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, WriteTraffic};
use rustls::{Error, SupportedCipherSuite};

/// Plaintext bytes of the longest record (RFC 8446 §5.1).
pub(crate) const RECORD_BYTES: usize = 16 * 1024;

/// Bytes of the longest record, header included (RFC 5246 §6.2.3).
pub(super) const SEALED_BYTES_MAX: usize = RECORD_BYTES + 2_048 + 5;

/// Bytes that encrypting adds at most to a write of
/// [`TLS_WRITE_BYTES_MAX`](crate::limits::TLS_WRITE_BYTES_MAX): three records, and an answer to a
/// key update in front of them.
pub(super) const OVERHEAD_BYTES: usize = 512;

/// What a pass over received bytes came to.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Bytes at the front that are worked off.
    pub(super) used: usize,
    /// The peer said that nothing follows.
    pub(super) ended: bool,
    /// It was stopped: there may be another whole record.
    pub(super) stopped: bool,
}

/// Works off the records at the front of `bytes`. Plaintext goes to `take`, which says whether it
/// has room for another record; what TLS itself answers goes behind `unsent`.
///
/// # Errors
/// What the peer did wrong; it is told so by an alert behind `unsent`.
pub(super) fn open(
    connection: &mut UnbufferedServerConnection,
    bytes: &mut [u8],
    unsent: &mut Vec<u8>,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<Opened, Error> {
    let mut opened = Opened::default();
    loop {
        let status = connection.process_tls_records(&mut bytes[opened.used..]);
        let mut discard = status.discard;
        let mut goes_on = true;
        match status.state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    goes_on = take(record.payload);
                }
                opened.stopped = !goes_on;
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(unsent, |place| data.encode(place))?;
            }
            // It is sent from `unsent`, in order, or the connection ends.
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                opened.ended = true;
                goes_on = false;
            }
            // Early data is off, and there are no other states.
            Ok(_) => goes_on = false,
            Err(error) => {
                alert(connection, unsent);
                return Err(error);
            }
        }
        opened.used += discard;
        if !goes_on {
            return Ok(opened);
        }
    }
}

/// Encrypts the slices, one behind the other, as far as `out` and a write's bound have room.
/// Returns their bytes taken, and the bytes of `out` written.
///
/// # Errors
/// When the connection can encrypt no more.
pub(super) fn seal<'a>(
    mut traffic: WriteTraffic<'_, rustls::server::ServerConnectionData>,
    slices: impl Iterator<Item = &'a [u8]>,
    staging: &mut [u8],
    out: &mut [u8],
) -> Result<(usize, usize), EncryptError> {
    let mut room = crate::limits::TLS_WRITE_BYTES_MAX.min(out.len().saturating_sub(OVERHEAD_BYTES));
    let (mut taken, mut staged, mut written) = (0, 0, 0);
    let mut slices = slices.peekable();
    while let Some(slice) = slices.next() {
        // The last byte of a write may be held back: with that alone, a frame would not be begun.
        if room == 1 && slice.len() > 1 {
            break;
        }
        let mut rest = &slice[..slice.len().min(room)];
        room -= rest.len();
        taken += rest.len();
        let is_last = room == 0 || slices.peek().is_none();
        while !rest.is_empty() {
            let whole = if is_last { rest.len() } else { rest.len() / RECORD_BYTES * RECORD_BYTES };
            if staged == 0 && whole > 0 {
                // As many records as it takes, with no copy.
                written += traffic.encrypt(&rest[..whole], &mut out[written..])?;
                rest = &rest[whole..];
                continue;
            }
            // Many small frames leave in one record.
            let count = rest.len().min(RECORD_BYTES - staged);
            staging[staged..staged + count].copy_from_slice(&rest[..count]);
            staged += count;
            rest = &rest[count..];
            if staged == RECORD_BYTES {
                written += traffic.encrypt(&staging[..staged], &mut out[written..])?;
                staged = 0;
            }
        }
        if room == 0 {
            break;
        }
    }
    if staged > 0 {
        written += traffic.encrypt(&staging[..staged], &mut out[written..])?;
    }
    Ok((taken, written))
}

/// Brings the connection to where it encrypts, and lets `write` do so; what the peer is to be sent
/// before goes behind `unsent`. `input` is what was received and is not worked off: rustls counts
/// on finding it. Plaintext in it goes behind `plain`; whether the peer said in it that nothing
/// follows, into `ended`: rustls tells once.
///
/// # Errors
/// When the peer broke TLS, or nothing can be encrypted in this state.
pub(super) fn write<R>(
    connection: &mut UnbufferedServerConnection,
    input: &mut Vec<u8>,
    (plain, ended): (&mut Vec<u8>, &mut bool),
    unsent: &mut Vec<u8>,
    write: impl FnOnce(WriteTraffic<'_, rustls::server::ServerConnectionData>) -> R,
) -> Result<R, Error> {
    loop {
        let status = connection.process_tls_records(input);
        let mut discard = status.discard;
        match status.state {
            Ok(ConnectionState::WriteTraffic(traffic)) => {
                let result = write(traffic);
                input.drain(..discard);
                return Ok(result);
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(unsent, |place| data.encode(place))?;
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            // We may still write.
            Ok(ConnectionState::PeerClosed) => *ended = true,
            Ok(_) => return Err(Error::HandshakeNotComplete),
            Err(error) => {
                alert(connection, unsent);
                return Err(error);
            }
        }
        input.drain(..discard);
    }
}

/// Records that the connection's key may encrypt, if it is not renewed before.
pub(super) fn records_max(connection: &UnbufferedServerConnection) -> Option<u64> {
    let SupportedCipherSuite::Tls12(suite) = connection.negotiated_cipher_suite()? else {
        return None;
    };
    let max = suite.common.confidentiality_limit;
    #[cfg(feature = "fault-injection")]
    let max = max.saturating_sub(RECORDS_SPENT.load(std::sync::atomic::Ordering::SeqCst));
    (max < u64::MAX / 2).then_some(max)
}

/// How many records each new key has encrypted already, for tests.
#[cfg(feature = "fault-injection")]
pub(crate) static RECORDS_SPENT: std::sync::atomic::AtomicU64 =
    std::sync::atomic::AtomicU64::new(0);

/// The alert that rustls has for the peer, if any.
fn alert(connection: &mut UnbufferedServerConnection, unsent: &mut Vec<u8>) {
    // Only what is to be sent is asked for: the input that failed is not looked at again.
    while connection.wants_write() {
        match connection.process_tls_records(&mut []).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                if encode(unsent, |place| data.encode(place)).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Puts what is to be sent behind `unsent`.
fn encode(
    unsent: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Error> {
    let begun = unsent.len();
    let Err(EncodeError::InsufficientSize(needed)) = encode(&mut []) else {
        return Err(Error::General("nothing to encode".to_owned()));
    };
    unsent.resize(begun + needed.required_size, 0);
    encode(&mut unsent[begun..])
        .map(drop)
        .map_err(|error| Error::General(format!("cannot encode a handshake: {error}")))
}
