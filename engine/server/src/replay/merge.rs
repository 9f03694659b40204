//! Several recordings as one stream of messages in the order of their receive times.

use super::limits::FILES_MAX;
use super::source::{OnBadLine, Source, SourceError, Spec};
use super::topic::Topics;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A message in its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Receive time in nanoseconds since 1970; never less than that of the record before.
    pub(crate) position_ns: u64,
    /// The topic's number in [`Merge::topics`].
    pub(crate) topic: usize,
    /// The topic's name.
    pub(crate) topic_name: &'a str,
    /// The message, byte for byte as it was recorded.
    pub(crate) payload: &'a str,
}

/// A k-way merge. Where receive times are equal, files keep the order in which they were given;
/// within a file the order is always that of its lines, whatever their times.
#[derive(Debug)]
pub(crate) struct Merge {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    taken: Option<usize>,
    topics: Topics,
}

impl Merge {
    /// Opens all files and reads the first line of each. `topics` are those of an earlier round, so
    /// that counts go on; new ones are added.
    ///
    /// # Errors
    ///
    /// What is wrong with a file or its first line.
    ///
    /// # Panics
    ///
    /// With more than [`FILES_MAX`] files: the command line checks that.
    pub(crate) fn open(
        specs: &[Spec],
        on_bad: OnBadLine,
        topics: Topics,
    ) -> Result<Self, SourceError> {
        assert!(specs.len() <= FILES_MAX, "the command line bounds the number of files");
        let mut merge = Self { sources: Vec::new(), heads: BinaryHeap::new(), taken: None, topics };
        for spec in specs {
            merge.sources.push(Source::open(spec.clone(), on_bad)?);
        }
        for index in 0..merge.sources.len() {
            merge.refill(index, &mut || {})?;
        }
        Ok(merge)
    }

    /// The next message; `None` at the end of all files. `before_wait` is called before each read
    /// that may have to wait, as for the next line of a pipe.
    ///
    /// # Errors
    ///
    /// What is wrong with a file or a line of it.
    pub(crate) fn next(
        &mut self,
        before_wait: &mut dyn FnMut(),
    ) -> Result<Option<Record<'_>>, SourceError> {
        if let Some(index) = self.taken.take() {
            self.refill(index, before_wait)?;
        }
        let Some(Reverse((position_ns, index))) = self.heads.pop() else { return Ok(None) };
        self.taken = Some(index);
        let head = self.sources[index].head();
        Ok(head.map(|(topic, payload)| Record {
            position_ns,
            topic,
            topic_name: self.topics.name(topic),
            payload,
        }))
    }

    /// The topics met so far.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The topics met so far, to count in.
    pub(crate) fn topics_mut(&mut self) -> &mut Topics {
        &mut self.topics
    }

    /// Ends this round and gives the topics back, for the next.
    pub(crate) fn into_topics(self) -> Topics {
        self.topics
    }

    /// Bad lines skipped in all files.
    pub(crate) fn skipped(&self) -> u64 {
        self.sources.iter().map(Source::skipped).sum()
    }

    /// Bytes read of all files, and how many they have.
    pub(crate) fn progress(&self) -> (u64, u64) {
        self.sources
            .iter()
            .map(Source::progress)
            .fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
    }

    fn refill(&mut self, index: usize, before_wait: &mut dyn FnMut()) -> Result<(), SourceError> {
        let source = &mut self.sources[index];
        if let Some(position_ns) = source.advance(&mut self.topics, before_wait)? {
            self.heads.push(Reverse((position_ns, index)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;
    use std::path::{Path, PathBuf};

    /// A directory of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("corecast-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a temporary directory");
            Self(path)
        }

        fn write(&self, name: &str, content: &[u8]) -> Spec {
            let path = self.0.join(name);
            std::fs::write(&path, content).expect("a temporary file");
            Spec { name: None, path }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn line(time: u64, id: u64) -> String {
        format!("{time} {{\"stream\":\"a@trade\",\"data\":{id}}}\n")
    }

    fn id(payload: &str) -> u64 {
        let digits = payload.trim_end_matches('}').rsplit(':').next().expect("a value");
        digits.parse().expect("a number")
    }

    fn merged(specs: &[Spec]) -> Result<Vec<(u64, u64)>, SourceError> {
        let mut merge = Merge::open(specs, OnBadLine::Stop, Topics::default())?;
        let mut all = Vec::new();
        while let Some(record) = merge.next(&mut || {})? {
            all.push((record.position_ns, id(record.payload)));
        }
        Ok(all)
    }

    fn gz(content: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(content).expect("into memory");
        packed.finish().expect("into memory")
    }

    #[test]
    fn plain_and_packed_files_merge_by_time_and_ties_keep_file_order() {
        let folder = Folder::new("merge");
        let first: String = [line(10, 1), line(20, 2), line(30, 3)].concat();
        let second: String = [line(5, 4), line(20, 5), line(40, 6)].concat();
        // Two gzip members in a row are one file, as `cat a.gz b.gz` makes them; the name says
        // nothing.
        let packed = [gz(&second.as_bytes()[..40]), gz(&second.as_bytes()[40..])].concat();
        let specs = [folder.write("a.gz", first.as_bytes()), folder.write("b", &packed)];
        let expected = [(5, 4), (10, 1), (20, 2), (20, 5), (30, 3), (40, 6)];
        assert_eq!(merged(&specs).expect("good files"), expected);
    }

    #[test]
    fn a_file_whose_times_go_back_keeps_its_own_order() {
        let folder = Folder::new("backwards");
        let a: String = [line(10, 1), line(50, 2), line(20, 3), line(60, 4)].concat();
        let b: String = [line(30, 5), line(55, 6)].concat();
        let specs = [folder.write("a", a.as_bytes()), folder.write("b", b.as_bytes())];
        let expected = [(10, 1), (30, 5), (50, 2), (50, 3), (55, 6), (60, 4)];
        assert_eq!(merged(&specs).expect("good files"), expected);
    }

    #[test]
    fn line_ends_and_empty_files_are_taken_as_they_come() {
        let folder = Folder::new("ends");
        let windows = line(1, 7).replace('\n', "\r\n");
        let unfinished = line(2, 8).trim_end().to_owned();
        let specs = [
            folder.write("w", windows.as_bytes()),
            folder.write("u", unfinished.as_bytes()),
            folder.write("empty", b""),
        ];
        assert_eq!(merged(&specs).expect("good files"), [(1, 7), (2, 8)]);
    }

    #[test]
    fn a_bad_line_is_named_by_file_and_number_or_skipped_and_counted() {
        let folder = Folder::new("bad");
        let text = [line(1, 1), "nonsense\n".into(), line(3, 3), "\n".into()].concat();
        let spec = folder.write("ticks", text.as_bytes());
        let error = merged(std::slice::from_ref(&spec)).expect_err("line 2 is bad");
        assert!(error.is_bad_data());
        let said = error.to_string();
        assert!(said.contains("ticks:2: no blank"), "{said}");

        let mut merge = Merge::open(&[spec], OnBadLine::Skip, Topics::default()).expect("opens");
        let mut ids = Vec::new();
        while let Some(record) = merge.next(&mut || {}).expect("bad lines are skipped") {
            ids.push(id(record.payload));
        }
        assert_eq!((ids.as_slice(), merge.skipped()), (&[1, 3][..], 2));
    }

    #[test]
    fn a_line_over_the_limit_is_refused_and_the_next_one_read() {
        let folder = Folder::new("long");
        let mut text = vec![b'x'; super::super::limits::LINE_BYTES_MAX + 1];
        text.extend_from_slice(b"\n");
        text.extend_from_slice(line(3, 3).as_bytes());
        let spec = folder.write("long", &text);
        let error = merged(std::slice::from_ref(&spec)).expect_err("too long");
        assert!(error.to_string().contains("long:1: the line is longer than"), "{error}");
        let mut merge = Merge::open(&[spec], OnBadLine::Skip, Topics::default()).expect("opens");
        assert_eq!(merge.next(&mut || {}).expect("good").map(|r| id(r.payload)), Some(3));
    }

    #[test]
    fn a_cut_gzip_file_is_bad_data_and_a_missing_one_is_not() {
        let folder = Folder::new("cut");
        let mut packed = gz(line(1, 1).repeat(1000).as_bytes());
        packed.truncate(packed.len() - 8);
        let error = merged(&[folder.write("cut.gz", &packed)]).expect_err("the trailer is missing");
        assert!(error.is_bad_data() && error.to_string().contains("cut.gz:1001:"), "{error}");

        let missing = Spec { name: None, path: folder.0.join("missing") };
        let error = merged(&[missing]).expect_err("no such file");
        assert!(!error.is_bad_data() && error.to_string().contains("missing"), "{error}");
        let error = merged(&[Spec { name: None, path: folder.0.clone() }]).expect_err("no file");
        assert!(error.to_string().contains("directory"), "{error}");
    }

    #[test]
    fn names_stand_between_kind_and_symbol() {
        let folder = Folder::new("names");
        let plain = folder.write("x", line(1, 1).as_bytes());
        let named = Spec { name: Some("usdm".into()), ..plain.clone() };
        let mut merge =
            Merge::open(&[plain, named], OnBadLine::Stop, Topics::default()).expect("opens");
        let mut topics = Vec::new();
        while let Some(record) = merge.next(&mut || {}).expect("good lines") {
            topics.push(record.topic);
        }
        let names: Vec<_> = topics.iter().map(|&topic| merge.topics().name(topic)).collect();
        assert_eq!(names, ["trade.A", "trade.usdm.A"]);
    }

    #[test]
    fn a_snapshot_belongs_to_the_one_book_of_its_file() {
        let folder = Folder::new("snapshot");
        let snapshot = "2 {\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}\n";
        let depth = |symbol: &str| format!("1 {{\"stream\":\"{symbol}@depth\",\"data\":1}}\n");
        let good = folder.write("good", [&line(1, 1), &depth("a"), snapshot].concat().as_bytes());
        let mut merge = Merge::open(&[good], OnBadLine::Stop, Topics::default()).expect("opens");
        let mut topics = Vec::new();
        while let Some(record) = merge.next(&mut || {}).expect("good lines") {
            topics.push(record.topic);
        }
        let names: Vec<_> = topics.iter().map(|&topic| merge.topics().name(topic)).collect();
        assert_eq!(names, ["trade.A", "book.A", "book.A"]);

        for text in [snapshot.to_owned(), [&depth("a"), &depth("b"), snapshot].concat()] {
            let error = merged(&[folder.write("bad", text.as_bytes())]).expect_err("whose book?");
            assert!(error.to_string().contains("one depth stream, and only one"), "{error}");
        }
    }

    #[test]
    fn specs_are_read() {
        let spec = |name: Option<&str>, path: &str| {
            Ok(Spec { name: name.map(str::to_owned), path: path.into() })
        };
        assert_eq!("a.gz".parse(), spec(None, "a.gz"));
        assert_eq!("usdm=a.gz".parse(), spec(Some("usdm"), "a.gz"));
        assert_eq!("usdm=/x/a=b.gz".parse(), spec(Some("usdm"), "/x/a=b.gz"));
        assert_eq!("./a=b".parse(), spec(None, "./a=b"));
        for bad in ["", "a=", "a b=c", "=c"] {
            assert!(bad.parse::<Spec>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Against the plain definition: a stable sort of all lines by (running maximum, file).
        #[test]
        fn merging_is_a_stable_sort(files in prop::collection::vec(
            prop::collection::vec(0_u64..50, 0..30), 1..6,
        )) {
            let folder = Folder::new("property");
            let mut expected = Vec::new();
            let mut specs = Vec::new();
            for (index, times) in files.iter().enumerate() {
                let (mut text, mut latest) = (String::new(), 0);
                for (number, &time) in times.iter().enumerate() {
                    let id = (index * 1000 + number) as u64;
                    text.push_str(&line(time, id));
                    latest = time.max(latest);
                    expected.push((latest, id));
                }
                specs.push(folder.write(&index.to_string(), text.as_bytes()));
            }
            expected.sort_by_key(|&(time, id)| (time, id / 1000));
            prop_assert_eq!(merged(&specs).expect("good files"), expected);
        }
    }

    /// The recorded data, beside the project or where `CORECAST_DATA` says.
    fn recorded() -> Option<Vec<Spec>> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        let root = std::env::var_os("CORECAST_DATA").map_or(beside, PathBuf::from);
        let names = [
            "usdm_btcusdt",
            "usdm_ethusdt",
            "cm_btcusd_perp",
            "cm_ethusd_perp",
            "spot_btcusdt",
            "spot_ethusdt",
        ];
        let path = |name| root.join(format!("binance-2024-08-08/{name}.gz"));
        let specs: Vec<_> =
            names.iter().map(|name| Spec { name: None, path: path(name) }).collect();
        specs.iter().all(|spec| spec.path.exists()).then_some(specs)
    }

    #[test]
    fn the_six_recorded_files_merge_in_order_and_in_full() {
        let Some(specs) = recorded() else {
            eprintln!("skipped: no recorded data in ../shared/data nor in CORECAST_DATA");
            return;
        };
        let mut merge = Merge::open(&specs, OnBadLine::Stop, Topics::default()).expect("opens");
        let (mut lines, mut latest, mut bytes) = (0_u64, 0, 0_usize);
        while let Some(record) = merge.next(&mut || {}).expect("every recorded line is good") {
            assert!(record.position_ns >= latest, "line {lines} goes back in time");
            (latest, lines, bytes) = (record.position_ns, lines + 1, bytes + record.payload.len());
            let topic = record.topic;
            merge.topics_mut().count(topic);
        }
        // Each line is a receive time of 19 digits, a blank, the message and a line end.
        assert_eq!((lines, bytes), (332_200, 98_758_677 - 332_200 * 21));
        assert_eq!(merge.topics().total(), 332_200);
        let topics = merge.topics().sorted();
        assert_eq!(topics.len(), 12);
        assert_eq!(
            topics.iter().find(|t| t.0 == "quote.BTCUSDT"),
            Some(&("quote.BTCUSDT", 94_129))
        );
        let (read, total) = merge.progress();
        assert_eq!(read, total);
    }
}
