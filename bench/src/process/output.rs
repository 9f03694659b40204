//! What a child prints, kept for messages and searched for its address.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// More lines than a reader of a failed test wants; what is older goes.
const LINES_MAX: usize = 500;

/// What is in a pipe already takes no time to read, unless the machine has none.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(2);

/// The last lines of standard output and error, read by two threads.
#[derive(Debug)]
pub(super) struct Output {
    shared: Arc<Mutex<Shared>>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: VecDeque<String>,
    address: Option<SocketAddr>,
}

impl Output {
    /// Takes over the pipes of `child`.
    pub(super) fn read_from(child: &mut Child) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            readers.push(read_lines(pipe, Arc::clone(&shared)));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(read_lines(pipe, Arc::clone(&shared)));
        }
        Self { shared, readers }
    }

    /// Waits until all that a child which has ended printed is read. A grandchild may keep the
    /// pipes open, therefore not for ever.
    pub(super) fn wait_until_read(&self) {
        let until = Instant::now() + LAST_LINES_WITHIN;
        while !self.readers.iter().all(JoinHandle::is_finished) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The first address with a port other than 0 that was printed.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).address
    }

    /// The lines, oldest first.
    pub(super) fn text(&self) -> String {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        Vec::from_iter(shared.lines.iter().cloned()).join("\n")
    }
}

fn read_lines(pipe: impl Read + Send + 'static, shared: Arc<Mutex<Shared>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.address.is_none() {
                shared.address = find_address(&text);
            }
            if shared.lines.len() == LINES_MAX {
                shared.lines.pop_front();
            }
            shared.lines.push_back(text);
            line.clear();
        }
    })
}

/// The first loopback `ADDRESS:PORT` in `text` with a port other than 0.
fn find_address(text: &str) -> Option<SocketAddr> {
    ["127.0.0.1:", "[::1]:"]
        .into_iter()
        .flat_map(|host| text.match_indices(host))
        .filter_map(|(at, host)| {
            let port = &text[at + host.len()..];
            let digits = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
            text[at..at + host.len() + digits].parse::<SocketAddr>().ok()
        })
        .find(|address| address.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_text_json_and_colour() {
        for (text, port) in [
            ("listening on http://127.0.0.1:9001/", Some(9001)),
            ("{\"address\":\"127.0.0.1:65535\"}", Some(65535)),
            ("\u{1b}[2mlisten\u{1b}[0m=[::1]:80\u{1b}[0m", Some(80)),
            ("127.0.0.1:0 then 127.0.0.1:81", Some(81)),
            ("127.0.0.1:99999", None),
            ("127.0.0.1:", None),
            ("10.0.0.1:80", None),
        ] {
            assert_eq!(find_address(text).map(|found| found.port()), port, "{text}");
        }
    }
}
