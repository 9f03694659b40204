//! Recorded ticks: the messages of several files, merged by the time at which they came.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use eyre::{Result, WrapErr, bail, ensure, eyre};
use flate2::read::MultiGzDecoder;

/// The six recordings: the name of the market, the file, the name of the symbol.
pub const FILES: [(&str, &str, &str); 6] = [
    ("spot", "spot_btcusdt.gz", "BTCUSDT"),
    ("spot", "spot_ethusdt.gz", "ETHUSDT"),
    ("usdm", "usdm_btcusdt.gz", "BTCUSDT"),
    ("usdm", "usdm_ethusdt.gz", "ETHUSDT"),
    ("cm", "cm_btcusd_perp.gz", "BTCUSD_PERP"),
    ("cm", "cm_ethusd_perp.gz", "ETHUSD_PERP"),
];

/// What a message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The best bid and ask: who has the newest needs no other.
    Quote,
    /// A trade: each counts.
    Trade,
    /// A change of an order book, or the whole of it.
    Book,
}

/// All messages in the order in which they came, in one piece of memory.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Names such as `quote.spot.BTCUSDT`, with what is said there.
    pub topics: Vec<(String, Kind)>,
    /// The messages.
    pub entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// When it came, in nanoseconds since the first of all.
    pub at_ns: u64,
    /// The place of its topic in [`Recording::topics`].
    pub topic: usize,
    first: usize,
    end: usize,
}

/// The folder of the recordings in `data`, which is `CORECAST_DATA`, or `../shared/data` beside the
/// project, when not given; and whether it is there.
#[must_use]
pub fn find(data: Option<&Path>) -> (PathBuf, bool) {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = data.map(Path::to_owned);
    let data = data.or_else(|| env::var_os("CORECAST_DATA").map(PathBuf::from));
    let folder = data.unwrap_or_else(beside).join("binance-2024-08-08");
    let exists = folder.is_dir();
    (folder, exists)
}

impl Recording {
    /// Reads the first `span` of the six files in `folder`.
    ///
    /// # Errors
    /// When a file cannot be read, a line is not `TIME JSON`, or there is more than
    /// [`BYTES_MAX`].
    pub fn read(folder: &Path, span: Duration) -> Result<Self> {
        let mut recording = Self::default();
        let opened = FILES.map(|(_, file, _)| open(&folder.join(file)));
        let mut begins = Vec::new();
        let mut files = Vec::new();
        for (reader, (_, file, _)) in opened.into_iter().zip(FILES) {
            let mut lines = Lines { reader: reader?, line: Vec::new(), file };
            begins.push(lines.next()?.ok_or_else(|| eyre!("{file} is empty"))?);
            files.push(lines);
        }
        let begin_ns = begins.iter().copied().min().unwrap_or(0);
        let end_ns = begin_ns.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        for ((lines, first_ns), (market, _, symbol)) in files.iter_mut().zip(begins).zip(FILES) {
            let mut next = Some(first_ns);
            // The order within a file holds, also where its clock was set back.
            let mut latest_ns = begin_ns;
            while let Some(at_ns) = next.filter(|at_ns| *at_ns <= end_ns) {
                latest_ns = latest_ns.max(at_ns);
                recording.push(latest_ns - begin_ns, market, symbol, lines.json()?)?;
                next = lines.next()?;
            }
        }
        recording.entries.sort_by_key(|entry| entry.at_ns);
        Ok(recording)
    }

    /// The bytes of a message.
    #[must_use]
    pub fn data(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.first..entry.end]
    }

    /// A recording of these messages, for tests: time, topic, data.
    #[cfg(test)]
    pub(crate) fn of(messages: &[(u64, &str, &str)]) -> Self {
        let mut this = Self::default();
        for (at_ns, name, data) in messages {
            let known = this.topics.iter().position(|(topic, _)| topic == name);
            let topic = known.unwrap_or_else(|| {
                this.topics.push(((*name).to_owned(), Kind::Trade));
                this.topics.len() - 1
            });
            let first = this.bytes.len();
            this.bytes.extend_from_slice(data.as_bytes());
            this.entries.push(Entry { at_ns: *at_ns, topic, first, end: this.bytes.len() });
        }
        this
    }

    fn push(&mut self, at_ns: u64, market: &str, symbol: &str, json: &[u8]) -> Result<()> {
        let (kind, word) = kind_of(json)?;
        let is_named = |name: &str| name.split('.').eq([word, market, symbol]);
        let found = self.topics.iter().position(|(name, _)| is_named(name));
        let topic = found.unwrap_or_else(|| {
            self.topics.push((format!("{word}.{market}.{symbol}"), kind));
            self.topics.len() - 1
        });
        let first = self.bytes.len();
        ensure!(first + json.len() <= BYTES_MAX, "the recordings have more than {BYTES_MAX} bytes");
        self.bytes.extend_from_slice(json);
        self.entries.push(Entry { at_ns, topic, first, end: first + json.len() });
        Ok(())
    }
}

type Reader = BufReader<MultiGzDecoder<File>>;

fn open(path: &Path) -> Result<Reader> {
    let file = File::open(path).wrap_err_with(|| path.display().to_string())?;
    Ok(BufReader::new(MultiGzDecoder::new(file)))
}

/// A file's lines, one after the other.
struct Lines {
    reader: Reader,
    line: Vec<u8>,
    file: &'static str,
}

impl Lines {
    /// Goes to the next line and says its time.
    fn next(&mut self) -> Result<Option<u64>> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line).wrap_err(self.file)?;
        if self.line.pop_if(|last| *last == b'\n').is_none() && self.line.is_empty() {
            return Ok(None);
        }
        let digits = self.line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let time = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        time.map(Some).ok_or_else(|| eyre!("{}: a line without a time", self.file))
    }

    fn json(&self) -> Result<&[u8]> {
        let at = self.line.iter().position(|byte| *byte == b' ');
        let at = at.ok_or_else(|| eyre!("{}: a line without a blank", self.file))?;
        Ok(&self.line[at + 1..])
    }
}

/// What a message is, and the word for it in the topic. A whole book comes without a stream's name.
fn kind_of(json: &[u8]) -> Result<(Kind, &'static str)> {
    let head = String::from_utf8_lossy(&json[..json.len().min(64)]);
    let kinds = [
        ("@bookTicker\"", Kind::Quote, "quote"),
        ("@trade\"", Kind::Trade, "trade"),
        ("@depth@", Kind::Book, "book"),
    ];
    if !head.starts_with(r#"{"stream":""#) {
        return Ok((Kind::Book, "book"));
    }
    match kinds.into_iter().find(|(mark, ..)| head.contains(mark)) {
        Some((_, kind, word)) => Ok((kind, word)),
        None => bail!("an unknown stream: {head}"),
    }
}

/// Bytes of all messages together.
pub const BYTES_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_the_name_of_the_stream() {
        for (json, kind) in [
            (r#"{"stream":"btcusdt@bookTicker","data":{}}"#, Some(Kind::Quote)),
            (r#"{"stream":"btcusdt@trade","data":{}}"#, Some(Kind::Trade)),
            (r#"{"stream":"btcusdt@depth@0ms","data":{}}"#, Some(Kind::Book)),
            (r#"{"lastUpdateId":1}"#, Some(Kind::Book)),
            (r#"{"stream":"btcusdt@kline","data":{}}"#, None),
        ] {
            assert_eq!(kind_of(json.as_bytes()).ok().map(|(kind, _)| kind), kind, "{json}");
        }
    }

    #[test]
    fn the_recordings_are_merged_by_time_where_they_are() {
        let (folder, exists) = find(None);
        if !exists {
            eprintln!("skipped: no recorded ticks at {}; set CORECAST_DATA", folder.display());
            return;
        }
        let recording = Recording::read(&folder, Duration::from_secs(2)).unwrap();
        assert!(recording.entries.is_sorted_by_key(|entry| entry.at_ns));
        assert!(recording.entries.len() > 500, "{}", recording.entries.len());
        assert!(recording.entries.iter().all(|entry| entry.at_ns <= 2_000_000_000));
        let quotes = recording.topics.iter().filter(|(name, _)| name.starts_with("quote."));
        assert!(quotes.count() >= 4, "{:?}", recording.topics);
    }
}
