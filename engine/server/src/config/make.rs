//! The structs from tables, and tables from the structs.

use super::ServerConfig;
use super::keys::sample;
use serde::Deserialize;
use toml::{Table, Value};

/// Makes the settings of a whole table. Unknown keys are errors.
///
/// # Errors
///
/// What the structs refuse.
pub(super) fn config(mut table: Table) -> Result<ServerConfig, String> {
    fn section<T: Default + for<'de> Deserialize<'de>>(
        table: &mut Table,
        name: &str,
    ) -> Result<T, String> {
        let section = table.remove(name);
        section
            .map_or_else(|| Ok(T::default()), |it| it.try_into().map_err(|error| message(&error)))
    }
    Ok(ServerConfig {
        feed: section(&mut table, "feed")?,
        auth: section(&mut table, "auth")?,
        origin: section(&mut table, "origin")?,
        ingest: section(&mut table, "ingest")?,
        admin: section(&mut table, "admin")?,
        shutdown: section(&mut table, "shutdown")?,
        take_over: section(&mut table, "take_over")?,
        log: section(&mut table, "log")?,
        engine: table.try_into().map_err(|error| message(&error))?,
    })
}

/// The table of these settings.
pub(super) fn table(config: &ServerConfig) -> Table {
    // A path that is no UTF-8 comes from no file and no option.
    Table::try_from(config).unwrap_or_else(|error| unreachable!("settings are TOML: {error}"))
}

/// Whether the structs take this value at this path, everything else being the default.
///
/// # Errors
///
/// What they say.
pub(super) fn alone(path: &str, value: &Value) -> Result<(), String> {
    config(nest(path, value, sample())).map(drop)
}

/// `all` has an element in each list of this table.
fn nest(path: &str, value: &Value, mut all: Table) -> Table {
    let (segment, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
    let name = segment.split('[').next().unwrap_or(segment);
    let inner = match rest {
        None => value.clone(),
        Some(rest) if name.len() < segment.len() => {
            // An element has required keys besides this one.
            let element = all.get_mut(name).and_then(|list| list.as_array_mut()?.pop());
            let mut element =
                element.and_then(|it| it.try_into::<Table>().ok()).unwrap_or_default();
            element.insert(rest.to_owned(), value.clone());
            Value::Array(vec![Value::Table(element)])
        }
        Some(rest) => {
            let inner = all.remove(name).and_then(|it| it.try_into().ok());
            Value::Table(nest(rest, value, inner.unwrap_or_default()))
        }
    };
    Table::from_iter([(name.to_owned(), inner)])
}

fn message(error: &toml::de::Error) -> String {
    error.message().trim_end().to_owned()
}
