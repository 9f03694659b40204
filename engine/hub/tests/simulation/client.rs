//! A client that obeys the protocol, and believes nothing that it was not told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use corecast_hub::ConnId;

/// What a namespace of the simulation promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Every number, or word of its loss.
    Lossless,
    /// Rising numbers, the newest at last.
    Latest,
    /// The same for each key.
    ByKey,
}

impl Promise {
    pub(crate) fn of(name: &str) -> Self {
        match name.split('.').next() {
            Some("quote") => Self::Latest,
            Some("keyed") => Self::ByKey,
            _ => Self::Lossless,
        }
    }
}

/// What all clients have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What they must agree on: the payload of each number of each stream.
    contents: HashMap<(String, u64), String>,
    /// Lines of each kind: a simulation in which nothing happens proves nothing.
    pub(crate) lines: BTreeMap<String, u64>,
}

/// One client, connected or not.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) at: Option<(usize, ConnId)>,
    /// Bytes that came in and are no whole frame yet.
    pub(crate) unread: Vec<u8>,
    pub(crate) views: BTreeMap<String, View>,
    /// Where it was when it was cut off.
    pub(crate) memory: BTreeMap<String, u64>,
    /// Asked for and not answered.
    pub(crate) asked: BTreeSet<String>,
    pub(crate) patterns: BTreeSet<String>,
}

/// One stream as a client sees it.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) last: u64,
    /// Nothing but the answer has come yet: a snapshot may be older than it.
    fresh: bool,
    /// It was told that it misses numbers up to this one.
    told_to: u64,
    /// Its own messages that it did not want to see.
    own: BTreeSet<u64>,
    /// The newest publisher's count seen, in a stream of counts; none after a loss.
    pub(crate) count: Option<u64>,
    /// Newest count of each key.
    pub(crate) keys: BTreeMap<u64, u64>,
}

impl Client {
    /// Cuts it off: what it knows of each stream stays.
    pub(crate) fn cut(&mut self) {
        let views = std::mem::take(&mut self.views);
        self.memory.extend(views.into_iter().map(|(name, view)| (name, view.last)));
        (self.at, self.asked, self.patterns) = (None, BTreeSet::new(), BTreeSet::new());
        self.unread.clear();
    }

    /// Takes what the socket gave it, and reads the frames that are whole.
    pub(crate) fn read(&mut self, bytes: &[u8], seen: &mut Seen) {
        self.unread.extend_from_slice(bytes);
        while let Some(line) = next_frame(&mut self.unread) {
            self.line(&line, seen);
        }
    }

    fn line(&mut self, line: &str, seen: &mut Seen) {
        if std::env::var_os("CORECAST_SIMULATION_TRACE").is_some() {
            println!("{:?} {line}", self.at);
        }
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let kind = words.iter().filter(|word| ["subscribed", "resumed"].contains(word));
        let kind = kind.copied().next_back().unwrap_or(words[0]);
        *seen.lines.entry(kind.to_owned()).or_default() += 1;
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        match words[0] {
            "subscribed" => {
                let (name, seq) = (words[1].to_owned(), number(2));
                self.asked.remove(&name);
                let resumed = words[3] == "resumed";
                let last = self.memory.remove(&name);
                let last = if resumed { last.expect("it asked to resume") } else { seq };
                assert!(last <= seq, "resumed at {last}, beyond {seq}");
                // What a pattern has brought already goes on: losses that it told of hold.
                let before = self.views.remove(&name).unwrap_or_default();
                let View { told_to, own, .. } = before;
                let view = View { last, fresh: !resumed, told_to, own, ..View::default() };
                self.views.insert(name, view);
            }
            "announced" => {
                let view = View { last: number(2), fresh: true, ..View::default() };
                let before = self.views.insert(words[1].to_owned(), view);
                assert!(before.is_none(), "{} was announced twice", words[1]);
            }
            "refused" => drop(self.asked.remove(words[1])),
            "gap" => self.view(words[1]).gap(number(2), number(3)),
            "published" => {
                if let Some(view) = self.views.get_mut(words[1]) {
                    view.published(number(2));
                }
            }
            "snapshot" => self.view(words[1]).snapshot(words[1], number(2), words[3]),
            "message" => {
                let key = (words[1].to_owned(), number(2));
                let first = seen.contents.entry(key).or_insert_with(|| words[3].to_owned());
                assert_eq!(first, words[3], "two contents of {} {}", words[1], words[2]);
                self.view(words[1]).message(words[1], number(2), words[3]);
            }
            _ => {}
        }
    }

    fn view(&mut self, name: &str) -> &mut View {
        self.views.get_mut(name).unwrap_or_else(|| panic!("{name} came without a subscription"))
    }
}

impl View {
    fn gap(&mut self, from: u64, to: u64) {
        assert!(from <= to, "a gap from {from} to {to}");
        // Of what was announced and has not come it may lose a part; and where the repetition that
        // a snapshot begins is lost, too, the gap begins with the repetition.
        assert!(self.fresh || to > self.last, "a gap up to {to} after {}", self.last);
        self.told_to = self.told_to.max(to);
        self.count = None;
    }

    fn published(&mut self, seq: u64) {
        self.own.insert(seq);
    }

    fn snapshot(&mut self, name: &str, seq: u64, data: &str) {
        // A stream that begins paused begins with its snapshot, which may be newer than the answer.
        if Promise::of(name) == Promise::Lossless && !self.fresh {
            self.assert_told(name, seq + 1);
        }
        (self.last, self.fresh, self.count) = (seq, false, None);
        self.take_counts(name, data);
    }

    fn message(&mut self, name: &str, seq: u64, data: &str) {
        self.fresh = false;
        match Promise::of(name) {
            Promise::Lossless => {
                assert!(seq > self.last, "{name}: {seq} after {}", self.last);
                if !self.assert_told(name, seq) {
                    self.count = None;
                }
            }
            Promise::Latest => assert!(seq > self.last, "{name}: {seq} after {}", self.last),
            Promise::ByKey => {}
        }
        self.last = self.last.max(seq);
        self.take_counts(name, data);
    }

    /// All numbers between the last and `next` are known to be lost, or are its own. True when
    /// there are none.
    fn assert_told(&self, name: &str, next: u64) -> bool {
        for seq in self.last + 1..next {
            assert!(self.knows_of(seq), "{name}: a hole at {seq} between {} and {next}", self.last);
        }
        self.last + 1 >= next
    }

    /// Whether it was told what became of a number that it did not get.
    pub(crate) fn knows_of(&self, seq: u64) -> bool {
        seq <= self.last || seq <= self.told_to || self.own.contains(&seq)
    }

    /// The publishers count their messages: what came must go on where it stopped.
    fn take_counts(&mut self, name: &str, data: &str) {
        if name.starts_with("chat") {
            return;
        }
        let list = data.trim_matches(['[', ']']).split(',').filter(|count| !count.is_empty());
        for count in list.map(|count| count.parse::<u64>().expect("a count")) {
            match Promise::of(name) {
                Promise::Lossless => {
                    let goes_on = self.count.is_none_or(|before| count == before + 1);
                    assert!(goes_on, "{name}: {count} after {:?}", self.count);
                    self.count = Some(count);
                }
                Promise::Latest => {
                    assert!(self.count <= Some(count), "{name}: {count} after {:?}", self.count);
                    self.count = Some(count);
                }
                Promise::ByKey => {
                    let before = self.keys.insert(count % 4, count);
                    assert!(before <= Some(count), "{name}: {count} after {before:?}");
                }
            }
        }
    }
}

/// Takes the first frame out, if it is whole. Control frames and Close are left out.
fn next_frame(bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (header, length) = match second {
            126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
            127 => panic!("nothing here is that long"),
            short => (2, usize::from(short)),
        };
        let payload = bytes.get(header..header + length)?.to_vec();
        bytes.drain(..header + length);
        if first == 0x81 {
            return Some(String::from_utf8(payload).expect("text"));
        }
    }
}
