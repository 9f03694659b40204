//! Every requirement in `rfc6455-musts.txt` and `rfc7692-musts.txt` that is this crate's to meet
//! stands above the code that meets it, and every MUST that the code cites stands in its list.

use std::fs;
use std::path::{Path, PathBuf};

/// Each RFC with the citations there are at least.
const RFCS: [(&str, usize); 2] = [("6455", 50), ("7692", 8)];

struct Citation {
    section: String,
    text: String,
    place: String,
}

#[test]
fn no_must_is_left_uncited() {
    for (rfc, least) in RFCS {
        let citations = citations(rfc);
        assert!(citations.len() > least, "only {} citations were found", citations.len());
        check_cited(rfc, &citations);
    }
}

fn check_cited(rfc: &str, citations: &[Citation]) {
    let missing: Vec<String> = musts(rfc)
        .into_iter()
        .filter(|(_, place, _)| place == "here")
        .filter(|(section, _, sentence)| {
            !citations.iter().any(|c| c.section == *section && c.text.contains(sentence.as_str()))
        })
        .map(|(section, _, sentence)| format!("{section}: {sentence}"))
        .collect();
    assert!(missing.is_empty(), "nothing cites:\n{}", missing.join("\n"));
}

#[test]
fn no_cited_must_is_left_out_of_the_list() {
    for (rfc, _) in RFCS {
        check_listed(&musts(rfc), &citations(rfc));
    }
}

fn check_listed(musts: &[(String, String, String)], citations: &[Citation]) {
    let unlisted: Vec<String> = citations
        .iter()
        .filter(|citation| citation.text.contains("MUST"))
        .filter(|citation| {
            !musts.iter().any(|(section, place, sentence)| {
                place == "here" && *section == citation.section && citation.text.contains(sentence)
            })
        })
        .map(|citation| format!("{} {}: {}", citation.place, citation.section, citation.text))
        .collect();
    assert!(unlisted.is_empty(), "cited but not listed:\n{}", unlisted.join("\n"));
}

#[test]
fn what_is_met_elsewhere_names_a_crate() {
    for (section, place, sentence) in RFCS.into_iter().flat_map(|(rfc, _)| musts(rfc)) {
        let known = ["hub", "shard", "corecast", "server", "bench"];
        let elsewhere = place.strip_prefix("elsewhere: ");
        assert!(
            place == "here" || elsewhere.is_some_and(|name| known.contains(&name)),
            "{section}: {place:?} is no place for: {sentence}"
        );
    }
}

fn musts(rfc: &str) -> Vec<(String, String, String)> {
    let list = root().join(format!("tests/rfc{rfc}-musts.txt"));
    let lines = fs::read_to_string(list).expect("the list");
    let rows = lines.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    rows.map(|line| {
        let mut columns = line.splitn(3, '|').map(|column| squeezed(column.trim()));
        match (columns.next(), columns.next(), columns.next()) {
            (Some(section), Some(place), Some(sentence)) => (section, place, sentence),
            _ => panic!("not three columns: {line}"),
        }
    })
    .collect()
}

fn citations(rfc: &str) -> Vec<Citation> {
    let of_this = format!("//= RFC {rfc} ");
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    let mut citations: Vec<Citation> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let mut is_of_this = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with("//= ") {
                is_of_this = line.starts_with(&of_this);
            }
            if let Some(section) = line.strip_prefix(&of_this) {
                citations.push(Citation {
                    section: section.to_owned(),
                    text: String::new(),
                    place: format!("{}:{}", file.display(), number + 1),
                });
            } else if let Some(text) = line.strip_prefix("//# ").filter(|_| is_of_this) {
                let citation = citations.last_mut().expect("a section above the sentence");
                citation.text = squeezed(&format!("{} {text}", citation.text));
            }
        }
    }
    citations
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
