//! The configuration file: TOML, every key checked, errors that name file, line and key.

use super::exit::{Exit, Failure};
use corecast::Config;
use std::path::Path;

/// The longest configuration file, in bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a configuration file. Absent keys have their defaults.
///
/// # Errors
///
/// What is wrong with it, and where.
pub(crate) fn read(path: &Path) -> Result<Config, Failure> {
    let name = path.display();
    let unreadable = |error| {
        Failure::new(Exit::Config, format!("cannot read the configuration {name}: {error}"))
    };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > CONFIG_BYTES_MAX {
        let message = format!("the configuration {name} has more than {CONFIG_BYTES_MAX} bytes");
        return Err(Failure::new(Exit::Config, message));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(&text).map_err(|problem| Failure::new(Exit::Config, format!("{name}:{problem}")))
}

/// `LINE: in KEY: what is wrong`.
fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| {
        let Some(span) = error.span() else { return format!(" {}", error.message()) };
        let before = text.get(..span.start).unwrap_or(text);
        let line_number = before.matches('\n').count() + 1;
        let line = text.lines().nth(line_number - 1).unwrap_or_default();
        match line.split_once('=') {
            Some((key, _)) => format!("{line_number}: in `{}`: {}", key.trim(), error.message()),
            None => format!("{line_number}: {}", error.message()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::Policy;

    #[test]
    fn a_full_file_is_read() {
        let config = parse(
            r#"
            listen = "0.0.0.0:9100"
            shards = 2
            cpus = [0, 1]
            backend = "sendmsg"

            [[policies]]
            pattern = "quote.*"
            policy = "latest"

            [outbox]
            bytes_max = 1048576
            stall_max_ms = 5000

            [connection]
            message_bytes_max = 4096
            "#,
        )
        .expect("a good file");
        assert_eq!(config.listen, "0.0.0.0:9100".parse().expect("an address"));
        assert_eq!((config.shards, config.cpus.as_slice()), (2, &[0, 1][..]));
        assert_eq!(config.backend, corecast::Backend::Sendmsg);
        assert_eq!(config.policies[0].policy, Policy::Latest);
        assert_eq!(config.outbox.bytes_max, 1 << 20);
        assert_eq!(config.outbox.frames_max, Config::default().outbox.frames_max);
        assert_eq!(config.connection.message_bytes_max, 4_096);
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn errors_name_line_and_key() {
        for (text, line, words) in [
            ("shards = 2\nshard = 3\n", "2:", &["`shard`", "unknown field"][..]),
            ("[outbox]\nbytes_max = \"4MiB\"\n", "2:", &["in `bytes_max`", "invalid type"]),
            ("backend = \"epoll\"\n", "1:", &["in `backend`", "epoll"]),
            ("listen = \"nowhere\"\n", "1:", &["in `listen`"]),
            ("shards = \n", "1:", &["in `shards`"]),
            ("[[policies]]\npattern = \"a\"\npolicy = \"newest\"\n", "3:", &["newest"]),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(line), "{text:?} gave {error:?}");
            for word in words {
                assert!(error.contains(word), "{text:?} gave {error:?}, without {word}");
            }
        }
    }
}
