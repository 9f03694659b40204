//! The reference of the configuration, in Markdown.

use super::keys::Key;
use super::reference::REFERENCE;
use std::fmt::Write;

/// The whole reference.
pub(crate) fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut group = None;
    for key in REFERENCE {
        let table = key.path.rsplit_once('.').map_or("", |(table, _)| table);
        if group != Some(table) {
            // Writing to a string does not fail.
            let _ = write!(text, "\n## {}\n\n{HEAD}", title(table));
            group = Some(table);
        }
        let _ = writeln!(text, "{}", row(key));
    }
    text
}

fn title(table: &str) -> String {
    match table.strip_suffix("[]") {
        Some(list) => format!("`[[{list}]]`"),
        None if table.is_empty() => "At the top".to_owned(),
        None => format!("`[{table}]`"),
    }
}

fn row(key: &Key) -> String {
    let value = key.default_value();
    let (kind, default) = match value {
        _ if key.is_list() => ("tables", "`[]`".to_owned()),
        toml::Value::String(_) if key.is_required => ("string", "required".to_owned()),
        toml::Value::String(_) => ("string", format!("`{value}`")),
        toml::Value::Integer(_) => ("integer", format!("`{value}`")),
        toml::Value::Boolean(_) => ("boolean", format!("`{value}`")),
        _ => ("list", format!("`{value}`")),
    };
    let name = key.path.rsplit('.').next().unwrap_or(key.path);
    let reload = if key.is_reloadable { "yes" } else { "" };
    let (unit, bound, about) = (key.unit, key.bound_text(), key.about);
    let cells = [&format!("`{name}`"), kind, &default, unit, &bound, reload, about];
    cells.iter().fold(String::from("|"), |row, cell| match cell.is_empty() {
        true => row + " |",
        false => format!("{row} {} |", cell.replace('|', "\\|")),
    })
}

const HEAD: &str = "\
| key | type | default | unit | may be | SIGHUP | what it is |
|---|---|---|---|---|---|---|
";

/// Before the tables.
const INTRODUCTION: &str = "\
# The configuration

Every key of `corecast.toml`. This page is what `corecast config --docs` prints; it is made from the
structs that hold the settings. An example is [corecast.example.toml](corecast.example.toml).

What is said later wins: the defaults, the file (`--config FILE`), the environment, the command
line. `corecast config --check FILE` names line and key of everything that is wrong with a file, and
tells how it differs from the defaults. `corecast config --print` prints what a start would take.

**Environment.** Every key has a variable: `CORECAST_` and the key in capitals, `__` between its
parts, as in `CORECAST_OUTBOX__BYTES_MAX=1048576` or `CORECAST_FEED__PATH=/live`. An element of a
list is named by its place, `CORECAST_NAMESPACES__0__POLICY=latest`, and a whole list is written in
TOML, `CORECAST_NAMESPACES='[{name = \"quote\", policy = \"latest\"}]'`. Options have variables of
their own, which `--help` shows; they stand for the option, and so win over the key's.

**Reload.** SIGHUP reads file and environment again and logs a line for each key that has changed:
it is applied, or it needs a restart. Where anything is wrong, nothing changes. The column SIGHUP
says which keys are applied; those of namespaces hold for topics that are made from then on.
";

#[cfg(test)]
mod tests {
    use super::super::env::variable_of;
    use super::*;
    use std::path::Path;

    #[test]
    fn the_reference_in_docs_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let hint = "write it anew: cargo run --bin corecast config --docs > docs/configuration.md";
        assert!(kept == format!("{}\n", markdown().trim_end()), "{hint}");
    }

    #[test]
    fn variables_are_named_as_they_are_read() {
        assert_eq!(variable_of("outbox.bytes_max"), "CORECAST_OUTBOX__BYTES_MAX");
        assert_eq!(variable_of("namespaces[].policy"), "CORECAST_NAMESPACES__0__POLICY");
    }
}
