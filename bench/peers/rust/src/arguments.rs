//! The command line of a peer: `--listen 127.0.0.1:PORT`, or `--version`.

use std::net::SocketAddr;
use std::process::exit;

/// The address to listen on. With `--version`, prints the version that Cargo.lock has of
/// `package` and exits; with anything else, says what is expected and exits with status 2.
#[must_use]
pub fn listen_address(package: &str) -> SocketAddr {
    let arguments = Vec::from_iter(std::env::args().skip(1));
    match Vec::from_iter(arguments.iter().map(String::as_str)).as_slice() {
        ["--version"] => {
            println!("{package} {}", locked_version(package).unwrap_or("of an unknown version"));
            exit(0)
        }
        ["--listen", address] => address.parse().unwrap_or_else(|_| refuse(address)),
        _ => refuse(&arguments.join(" ")),
    }
}

/// The version of `package` that this program was built with.
fn locked_version(package: &str) -> Option<&'static str> {
    let named = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = include_str!("../Cargo.lock").split_once(&named)?;
    rest.split('"').next()
}

fn refuse(given: &str) -> ! {
    eprintln!("expected --listen 127.0.0.1:PORT (0 = any) or --version, not {given:?}");
    exit(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_lock() {
        assert_eq!(locked_version("corecast-peers"), Some("0.1.0"));
        assert_eq!(locked_version("no-such-package"), None);
    }
}
