//! Links in documents, and what committed data promises.

use std::path::Path;

use serde_json::Value;

use crate::files::{FILES, read, root};
use crate::none;

#[test]
fn links_in_documents_lead_somewhere() {
    let documents = FILES.iter().filter(|file| file.path.ends_with(".md"));
    let problems = documents.flat_map(|file| {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        let broken =
            links(&file.text).filter(|(_, link)| !leads_somewhere(folder, &file.text, link));
        Vec::from_iter(broken.map(|(number, link)| format!("{}:{number}: {link}", file.path)))
    });
    none("each link in a document leads to a file or heading", problems);
}

/// Line number and target of each inline link that stays inside the project.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    let prose = text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    prose.flat_map(|(index, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        targets
            .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
            .map(move |target| (index + 1, target))
    })
}

fn leads_somewhere(folder: &Path, this: &str, link: &str) -> bool {
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = root().join(folder).join(path);
    let has_heading = |text: &str| heading.is_empty() || headings(text).any(|one| one == heading);
    match path {
        "" => has_heading(this),
        _ if path.ends_with(".md") => {
            std::fs::read_to_string(target).is_ok_and(|text| has_heading(&text))
        }
        _ => target.exists(),
    }
}

/// The anchors of a document's headings, as code forges make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    titles.map(|title| {
        let kept = title.trim().to_lowercase().replace(' ', "-");
        kept.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect()
    })
}

#[test]
fn links_and_headings_are_found() {
    let text = "# A b\n[x](#a-b) [y](c/d.rs) [z](https://e.f)\n```\n[no](no)\n```\n## `C`: d\n";
    assert_eq!(Vec::from_iter(links(text)), [(2, "#a-b"), (2, "c/d.rs")]);
    assert!(leads_somewhere(Path::new(""), text, "#c-d"));
    assert!(!leads_somewhere(Path::new(""), text, "#c"));
    assert!(leads_somewhere(Path::new("tests"), text, "../Cargo.toml"));
    assert!(!leads_somewhere(Path::new("tests"), text, "Cargo.lock"));
}

#[test]
fn package_locks_name_no_registry() {
    let locks = FILES.iter().filter(|file| file.path.ends_with("package-lock.json"));
    let problems = locks.flat_map(|file| {
        let resolved = file.lines().filter(|(_, line)| line.contains("\"resolved\""));
        resolved.map(|(number, _)| format!("{}:{number}", file.path))
    });
    none("npm ci works with any registry: omit-lockfile-registry-resolved", problems);
}

#[test]
fn the_expectation_of_autobahn_is_strict() {
    let expected = read("tests/autobahn/expected.json");
    let expected: Value = serde_json::from_str(&expected).expect("JSON");
    let cases = expected.as_object().expect("an object of cases");
    assert_eq!(cases.len(), 517, "all there are");
    let informational = ["7.1.6", "7.13.1", "7.13.2"];
    let lax = cases.iter().filter(|(case, verdict)| {
        let wanted = if informational.contains(&case.as_str()) { "INFORMATIONAL" } else { "OK" };
        **verdict != Value::from([wanted, wanted].to_vec())
    });
    none(
        "every case is OK, behaviour and close",
        lax.map(|(case, verdict)| format!("{case}: {verdict}")),
    );
}
