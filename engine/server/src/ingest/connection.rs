//! One publisher's connection: read many records, publish them, acknowledge them together. Where
//! the engine has no room nothing is read, and the publisher feels it through its socket.

use super::Shared;
use super::gather::{Gathered, Held, Then, gather};
use super::greeting::{hello, settled_before};
use super::input::Input;
use super::limits::{
    ACK_RECORDS, ACK_WITHIN, HELLO_WITHIN, IDLE_MAX, LINGER, OUTPUT_BYTES_MAX, STALL_MAX,
    UNSETTLED_MAX,
};
use super::publishers::{Offer, Session};
use super::tally::Tally;
use super::unsettled::{Batch, Told, Unsettled};
use crate::control::stopped;
use crate::intake::{Fault, Refusal, Sink};
use corecast_feed::ErrorCode;
use corecast_feed::ingest::{self, Ack, Frame, IngestError};
use std::sync::Arc;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The publisher has closed it; so many bytes of a frame were cut.
    Closed { cut: usize },
    /// It broke.
    Broken(io::Error),
    /// The server closes it, and says why.
    Refused(Fault),
}

/// Serves a connection from its first byte to its last.
pub(crate) async fn serve<S: Sink>(
    io: impl AsyncRead + AsyncWrite + Unpin,
    peer: &str,
    shared: Arc<Shared<S>>,
    mut stopping: watch::Receiver<bool>,
) {
    let (mut reader, mut writer) = tokio::io::split(io);
    let mut input = Input::new(shared.limits);
    let greeted = tokio::select! {
        greeted = timeout(HELLO_WITHIN, hello(&mut input, &mut reader, &shared)) => {
            greeted.unwrap_or_else(|_| Err(refused(408, "no hello in time")))
        }
        () = stopped(&mut stopping) => Err(refused(503, ENDING)),
    };
    let greeted = match greeted {
        Ok(greeted) => settled_before(&greeted.2, &mut stopping).await.map(|()| greeted),
        Err(end) => Err(end),
    };
    let (end, output, unsettled) = match greeted {
        Ok((name, epoch, session)) => {
            let tally = Tally::new(name, peer.to_owned());
            tally.opened(epoch, &session);
            let mut connection = Connection {
                epoch,
                done: session.last,
                acked: session.last,
                unsettled: Unsettled::new(),
                session,
                shared,
                input,
                held: None,
                output: Vec::new(),
                is_repeated: false,
                ack_at: None,
                tally,
            };
            connection.write_ack();
            let end = connection.run(&mut reader, &mut writer, &mut stopping).await;
            // What was taken is told of, as far as anybody reads it, and is logged in any case.
            let settled = timeout(LINGER, connection.settle_all()).await;
            connection.close(&end);
            let output = std::mem::take(&mut connection.output);
            (end, output, settled.is_err().then_some(connection))
        }
        Err(end) => {
            tracing::warn!(peer, reason = %end, "refused a publisher");
            let mut output = Vec::new();
            if let End::Refused(fault) = &end {
                write_error(&mut output, 0, fault, true);
            }
            (end, output, None)
        }
    };
    if !matches!(end, End::Broken(_)) {
        let _ = timeout(LINGER, part(&mut reader, &mut writer, &output)).await;
    }
    if let Some(mut unsettled) = unsettled {
        // Its publisher's next hello is answered when all is known.
        unsettled.settle_all().await;
    }
}

/// Sends what is left and waits until the peer closes: a socket that is closed with bytes unread
/// would take the last answer with it.
async fn part(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    output: &[u8],
) -> io::Result<()> {
    writer.write_all(output).await?;
    writer.shutdown().await?;
    let mut unread = [0; 4_096];
    while reader.read(&mut unread).await? > 0 {}
    Ok(())
}

pub(super) async fn read(
    input: &mut Input,
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<(), End> {
    match input.read(reader).await {
        Ok(0) => Err(End::Closed { cut: input.pending_bytes() }),
        Ok(_) => Ok(()),
        Err(error) => Err(End::Broken(error)),
    }
}

/// A publisher that has said who it is.
struct Connection<S: Sink> {
    epoch: u64,
    session: Session,
    shared: Arc<Shared<S>>,
    input: Input,
    /// Records that found no room: those at the beginning of `input`.
    held: Option<Held>,
    /// Answers that wait to be sent.
    output: Vec<u8>,
    /// Records that are taken, and whose homes have not answered.
    unsettled: Unsettled<S::AllReported>,
    /// The last record that is settled, and all before it.
    done: u64,
    /// The last record that was acknowledged.
    acked: u64,
    /// Whether a record came that was acknowledged before, and is to be again.
    is_repeated: bool,
    /// When the next acknowledgement is due, if there is one to give.
    ack_at: Option<Instant>,
    tally: Tally,
}

/// What a connection waits for before it can handle more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// More bytes.
    Bytes,
    /// Room in the engine.
    Room,
    /// That its answers are taken.
    Output,
    /// That records are settled.
    Homes,
}

impl<S: Sink> Connection<S> {
    async fn run(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        stopping: &mut watch::Receiver<bool>,
    ) -> End {
        let (mut heard_at, mut written_at) = (Instant::now(), Instant::now());
        loop {
            let needs = match self.handle().and_then(|needs| self.settle().map(|()| needs)) {
                Ok(needs) => needs,
                Err(end) => return end,
            };
            let now = Instant::now();
            self.ack(now);
            self.tally.log(now);
            let has_output = !self.output.is_empty();
            if !has_output {
                written_at = now;
            }
            let ack_at = self.ack_at.filter(|_| !has_output);
            let log_at = self.tally.log_at();
            let held = self.held.as_ref().map_or((0, 0), Held::updates_and_bytes);
            let may_settle = !self.unsettled.is_empty() && self.output.len() <= OUTPUT_BYTES_MAX;
            tokio::select! {
                read = read(&mut self.input, reader), if needs == Needs::Bytes => match read {
                    Ok(()) => heard_at = Instant::now(),
                    Err(end) => return end,
                },
                written = writer.write(&self.output), if has_output => match written {
                    Ok(0) => return End::Broken(io::ErrorKind::WriteZero.into()),
                    Ok(bytes) => {
                        self.output.drain(..bytes);
                        written_at = Instant::now();
                    }
                    Err(error) => return End::Broken(error),
                },
                Some(told) = self.unsettled.next(), if may_settle => {
                    if let Err(end) = self.settled(told) {
                        return end;
                    }
                }
                () = self.shared.intake.room_for(held), if needs == Needs::Room => heard_at = now,
                () = sleep_until(ack_at.unwrap_or(now)), if ack_at.is_some() => {}
                () = sleep_until(log_at.unwrap_or(now)), if log_at.is_some() => {}
                () = sleep_until(written_at + STALL_MAX), if has_output => {
                    return refused(408, "the answers are not read");
                }
                () = sleep_until(heard_at + IDLE_MAX), if needs == Needs::Bytes => {
                    return refused(408, "silent for too long: repeat the hello now and then");
                }
                () = self.session.superseded() => {
                    return refused(409, TAKEN_OVER);
                }
                () = stopped(stopping) => return refused(503, ENDING),
            }
        }
    }

    /// Handles all frames that are there, as far as there is room.
    fn handle(&mut self) -> Result<Needs, End> {
        while self.output.len() <= OUTPUT_BYTES_MAX {
            let records_max = UNSETTLED_MAX.saturating_sub(self.unsettled.len());
            if records_max == 0 {
                return Ok(Needs::Homes);
            }
            match self.take_records(records_max)? {
                None => return Ok(Needs::Room),
                Some(Then::More) => {}
                Some(Then::Bytes) => return Ok(Needs::Bytes),
                Some(Then::Other) => self.handle_other()?,
            }
        }
        Ok(Needs::Output)
    }

    /// Gives the records that have come in to the engine together, those that are new. Of those
    /// that are taken or can never be, it is known later what became of them. None: no room.
    fn take_records(&mut self, records_max: usize) -> Result<Option<Then>, End> {
        let Self { session, shared, input, held, .. } = self;
        let offered = session.offer(|progress| {
            // What found no room was looked at already: nothing has changed since but the room.
            let held =
                held.get_or_insert_with(|| gather(input, &shared.intake, *progress, records_max));
            let updates = &mut held.gathered.updates;
            let reported = match updates.is_empty() {
                true => None,
                false => Some(shared.intake.update_all(updates)?),
            };
            *progress = held.progress;
            Ok::<_, Refusal>(reported)
        });
        let reported = match offered {
            Offer::Taken(reported) => reported,
            Offer::Failed(Refusal::Full) => return Ok(None),
            Offer::Failed(Refusal::Bad(fault)) => return Err(End::Refused(fault)),
            Offer::Failed(Refusal::Stopped | Refusal::Bequeathed) => {
                return Err(refused(503, ENDING));
            }
            Offer::Superseded => return Err(refused(409, TAKEN_OVER)),
        };
        let Some(Held { gathered, .. }) = self.held.take() else { return Ok(None) };
        let Gathered { seqs, faults, bytes, missing, duplicates, then, .. } = gathered;
        self.is_repeated |= duplicates > 0;
        self.tally.taken((seqs.len() + faults.len()) as u64, missing, duplicates);
        self.input.done(bytes);
        if !seqs.is_empty() || !faults.is_empty() {
            self.unsettled.push(Batch { seqs, reported, faults });
        }
        Ok(Some(then))
    }

    /// Handles the next frame, which is no record.
    fn handle_other(&mut self) -> Result<(), End> {
        let bytes = match self.input.frame() {
            // Who has nothing to say repeats its hello: a sign of life, which is answered.
            Ok(Some((Frame::Hello(hello), bytes))) if hello.epoch == self.epoch => {
                self.write_ack();
                bytes
            }
            Ok(Some((Frame::Record(record), _))) if record.seq == 0 => {
                return Err(refused(400, "a record has the number 0: they count from 1"));
            }
            Ok(_) => return Err(misplaced(&self.input)),
            Err(error) => return Err(malformed(&self.input, &error)),
        };
        self.input.done(bytes);
        Ok(())
    }

    /// Notes all that homes have said, as far as there is room for what they refused.
    fn settle(&mut self) -> Result<(), End> {
        while self.output.len() <= OUTPUT_BYTES_MAX {
            let Some(told) = self.unsettled.settled() else { break };
            self.settled(told)?;
        }
        Ok(())
    }

    /// Waits until all that was taken is settled, or can be no more.
    async fn settle_all(&mut self) {
        while let Some(told) = self.unsettled.next().await {
            if self.settled(told).is_err() {
                break;
            }
        }
    }

    /// A record that was refused is done with, too, and its publisher is told why.
    fn settled(&mut self, (seq, outcome): Told) -> Result<(), End> {
        match outcome {
            Ok(()) => {}
            // Its home ended before it took it: neither it nor what is behind it is acknowledged.
            Err(fault) if fault.code == ErrorCode::Unavailable.code() => {
                self.unsettled = Unsettled::new();
                self.session.lost();
                return Err(End::Refused(fault));
            }
            Err(fault) => {
                self.tally.refused(seq, &fault);
                write_error(&mut self.output, seq, &fault, false);
            }
        }
        self.done = seq;
        Ok(())
    }

    /// Acknowledges what is done, when it is much or some time has passed.
    fn ack(&mut self, now: Instant) {
        let unacked = self.done - self.acked;
        if unacked == 0 && !self.is_repeated {
            self.ack_at = None;
            return;
        }
        let due = *self.ack_at.get_or_insert(now + ACK_WITHIN);
        if (unacked >= ACK_RECORDS || now >= due) && self.output.is_empty() {
            self.write_ack();
        }
    }

    fn write_ack(&mut self) {
        self.acked = self.done;
        self.is_repeated = false;
        self.ack_at = None;
        ingest::ack(&mut self.output, &Ack { epoch: self.epoch, seq: self.acked, code: 0 });
    }

    /// The last words: what is done, and why it ends.
    fn close(&mut self, end: &End) {
        self.tally.close(end);
        if self.done > self.acked || self.is_repeated {
            self.write_ack();
        }
        if let End::Refused(fault) = end {
            write_error(&mut self.output, 0, fault, true);
        }
    }
}

fn write_error(output: &mut Vec<u8>, seq: u64, fault: &Fault, closing: bool) {
    let message = fault.to_string();
    let refusal = ingest::Refusal { seq, code: fault.code, closing, message: &message };
    ingest::error(output, &refusal);
}

pub(super) fn refused(code: u16, message: impl Into<String>) -> End {
    End::Refused(Fault::whole(code, message))
}

pub(super) fn malformed(input: &Input, error: &IngestError) -> End {
    refused(400, format!("at byte {} of the connection: {error}", input.position()))
}

fn misplaced(input: &Input) -> End {
    refused(400, format!("at byte {} of the connection: a record must come here", input.position()))
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { cut: 0 } => f.write_str("the publisher has closed it"),
            Self::Closed { cut } => write!(
                f,
                "the publisher has closed it within a frame, {cut} \
                 bytes of it had come"
            ),
            Self::Broken(error) => error.fmt(f),
            Self::Refused(fault) => fault.fmt(f),
        }
    }
}

pub(super) const ENDING: &str = "the server is ending";
pub(super) const TAKEN_OVER: &str = "another connection of this publisher has taken over";
