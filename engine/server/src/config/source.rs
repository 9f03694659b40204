//! The configuration file's bytes: not too many, and UTF-8.

use super::limits::FILE_BYTES_MAX;
use super::problem::{Origin, Problem};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads the file.
///
/// # Errors
///
/// When it cannot be read, is too long or is no UTF-8.
pub(super) fn read(path: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(&Origin::Elsewhere, "", format!("cannot read the configuration: {error}"))
    };
    let mut bytes = Vec::new();
    // A pipe or a device has no length: what is read is bounded.
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("the configuration has more than {FILE_BYTES_MAX} bytes");
        return Err(Problem::new(&Origin::Elsewhere, "", message));
    }
    decode(bytes)
}

fn decode(bytes: Vec<u8>) -> Result<String, Problem> {
    let problem = |line, message: &str| Err(Problem::new(&Origin::Line(line), "", message));
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return problem(1, "the file begins with a byte order mark: save it as UTF-8 without BOM");
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return problem(1, "the file is UTF-16: save it as UTF-8");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
            problem(line, "the file is not UTF-8")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utf_8_is_read_and_the_line_is_named() {
        assert_eq!(decode("# ключ\n".into()), Ok("# ключ\n".to_owned()));
        for (bytes, line, word) in [
            (&b"\xEF\xBB\xBFshards = 1"[..], 1, "byte order mark"),
            (b"\xFF\xFEs\0", 1, "UTF-16"),
            (b"# a\n# \xE4\n", 2, "not UTF-8"),
        ] {
            let problem = decode(bytes.to_vec()).expect_err(word);
            assert_eq!(problem.origin, Origin::Line(line), "{problem:?}");
            assert!(problem.message.contains(word), "{problem:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_has_no_end_is_told() {
        let problem = read(Path::new("no/such/file.toml")).expect_err("no file");
        assert!(problem.message.contains("cannot read"), "{problem:?}");
        let problem = read(Path::new("/")).expect_err("a folder");
        assert!(problem.message.contains("cannot read"), "{problem:?}");
        let problem = read(Path::new("/dev/zero")).expect_err("no end");
        assert!(problem.message.contains("more than 1048576 bytes"), "{problem:?}");
    }
}
