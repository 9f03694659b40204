//! Shape of source files, and words that have no place in them.

use crate::files::{FILES, File};
use crate::none;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;

#[test]
fn files_are_at_most_500_lines_long() {
    let long = FILES.iter().filter(|file| file.is_source()).filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", file.path))
    });
    none("a file of more than 500 lines is two files", long);
}

#[test]
fn lines_are_at_most_100_columns_wide() {
    let sources = FILES.iter().filter(|file| file.is_source());
    let wide = sources.flat_map(|file| {
        file.lines().filter_map(|(number, line)| {
            let columns = line.chars().count();
            let wide = columns > LINE_COLUMNS_MAX;
            wide.then(|| format!("{}:{number}: {columns} columns", file.path))
        })
    });
    none("a line has at most 100 columns", wide);
}

#[test]
fn functions_are_at_most_70_lines_long() {
    let rust = FILES.iter().filter(|file| file.is_rust());
    let long = rust.flat_map(|file| {
        functions(&file.text).filter_map(|(number, lines, head)| {
            let long = lines > FUNCTION_LINES_MAX;
            long.then(|| format!("{}:{number}: {lines} lines: {head}", file.path))
        })
    });
    none("a function fits a screen", long);
}

/// Line number, length and first line of each function, by the indentation rustfmt gives it.
fn functions(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let lines = Vec::from_iter(text.lines());
    let heads = Vec::from_iter(lines.iter().enumerate().filter_map(|(index, line)| {
        let item = line.trim_start();
        is_function_head(item).then(|| (index, line.len() - item.len()))
    }));
    heads.into_iter().filter_map(move |(first, indentation)| {
        // The signature ends with a body, with a body on the same line, or without one.
        let signature = lines[first..].iter().position(|line| line.ends_with(['{', '}', ';']))?;
        if !lines[first + signature].ends_with('{') {
            return None;
        }
        let end = format!("{}}}", " ".repeat(indentation));
        let last = lines[first..].iter().position(|line| *line == end)?;
        Some((first + 1, last + 1, lines[first].trim()))
    })
}

fn is_function_head(item: &str) -> bool {
    let mut words = item.split_ascii_whitespace();
    let qualifiers = ["pub", "const", "async", "extern", "\"C\"", concat!("un", "safe")];
    let name = words.find(|word| !qualifiers.contains(word) && !word.starts_with("pub("));
    name == Some("fn")
}

#[test]
fn function_lengths_are_counted() {
    let text = "impl A {\n    pub(crate) fn a(\n        b: u8,\n    ) {\n        b;\n    }\n}\n\
                fn c() {}\nfn e();\nconst fn d()\nwhere\n    A: B,\n{\n}\n";
    let found = Vec::from_iter(functions(text).map(|(number, lines, _)| (number, lines)));
    assert_eq!(found, [(2, 5), (10, 5)]);
}

#[test]
fn nothing_ends_in_blanks() {
    let text_files = FILES.iter().filter(|file| !file.path.ends_with("Cargo.lock"));
    let problems = text_files.flat_map(|file| {
        let blank = file.lines().filter(|(_, line)| line.ends_with([' ', '\t', '\r']));
        let blank = blank.map(|(number, _)| format!("{}:{number}: blanks", file.path));
        let unfinished = !file.text.is_empty() && !file.text.ends_with('\n');
        blank.chain(unfinished.then(|| format!("{}: no line end at the end", file.path)))
    });
    none("lines end where their text ends, and files with a line end", problems);
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let word = concat!("un", "safe");
    // The third counts allocations, which takes an allocator; the last is a peer to measure beside.
    let rooms = [
        "engine/shard/",
        "engine/wire/src/mask",
        "engine/hub/tests/allocations.rs",
        "bench/peers/rust/src/floor/ring",
    ];
    let elsewhere =
        FILES.iter().filter(|file| file.is_rust() && !rooms.iter().any(|room| file.is_under(room)));
    none(
        "only shard, the masking kernels, an allocator and the floor's ring may do that",
        uses(elsewhere, &[word]),
    );
}

#[test]
fn protocol_crates_name_no_socket_runtime_or_clock() {
    let banned = [
        "Instant",
        "SystemTime",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "glommio",
        "tokio",
        "io_uring",
        "socket2",
        "rustix",
        "thread",
        "sleep",
    ];
    let rooms = ["engine/wire/src/", "engine/hub/src/", "engine/gate/src/"];
    let protocol = FILES.iter().filter(|file| rooms.iter().any(|room| file.is_under(room)));
    none("wire, hub and gate are told what happens and when", uses(protocol, &banned));
}

/// Where one of `words` stands in code.
fn uses<'a>(
    files: impl Iterator<Item = &'a File>,
    words: &'a [&'a str],
) -> impl Iterator<Item = String> {
    files.flat_map(move |file| {
        file.lines().filter_map(move |(number, line)| {
            let found = words.iter().find(|word| has_word(code(line), word))?;
            Some(format!("{}:{number}: {found}", file.path))
        })
    })
}

/// The line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(part_of_word) && !text[at + word.len()..].starts_with(part_of_word)
    })
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    // In two halves, so that this file does not name them.
    let places =
        [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/Use", "rs/"), ("/tmp/ta", "rget")];
    let places = places.map(|(one, two)| format!("{one}{two}"));
    let hosts = [("registry.np", "mjs.org"), ("py", "pi.org"), ("index.cra", "tes.io")];
    let hosts = hosts.map(|(one, two)| format!("{one}{two}"));
    let problems =
        FILES.iter().filter(|file| !file.path.ends_with("Cargo.lock")).flat_map(|file| {
            let named = file.lines().filter(|(_, line)| {
                places.iter().any(|place| begins_with_place(line, place))
                    || hosts.iter().any(|host| line.contains(host))
            });
            Vec::from_iter(named.map(|(number, line)| format!("{}:{number}: {line}", file.path)))
        });
    none("the project builds on any machine, from any registry", problems);
}

/// Whether an absolute path in `line` begins with `place`.
fn begins_with_place(line: &str, place: &str) -> bool {
    line.match_indices(place)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~}$".contains(c)))
}
