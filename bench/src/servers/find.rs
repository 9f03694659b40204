//! Where the peers lie.

use std::path::{Path, PathBuf};
use std::{env, fs};

use eyre::{Result, WrapErr, bail, ensure};

/// bench/peers: `CORECAST_PEERS`, or where it was when this program was built.
fn peers() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    env::var_os("CORECAST_PEERS").map_or_else(built, PathBuf::from)
}

/// The program and the script of Bun.
pub(super) fn bun() -> Result<(PathBuf, PathBuf)> {
    let folder = peers().join("bun");
    Ok((there(folder.join("node_modules/.bin/bun"))?, there(folder.join("server.js"))?))
}

/// The script of ws.
pub(super) fn ws() -> Result<PathBuf> {
    let folder = peers().join("ws");
    there(folder.join("node_modules/ws/package.json"))?;
    there(folder.join("server.js"))
}

/// A peer in Rust: in `CARGO_TARGET_DIR`, in the target folder of this program, or in its own.
pub(super) fn rust_peer(name: &str) -> Result<PathBuf> {
    let program = Path::new("peers/release").join(name);
    let named = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    // A binary lies in target/PROFILE, a test in target/PROFILE/deps.
    let this = env::current_exe().unwrap_or_default();
    let own = this.ancestors().skip(2).take(2).map(Path::to_owned);
    let mut places = Vec::from_iter(named.into_iter().chain(own).map(|one| one.join(&program)));
    places.push(peers().join("rust/target/release").join(name));
    if let Some(place) = places.iter().find(|place| place.is_file()) {
        return Ok(place.clone());
    }
    let places = Vec::from_iter(places.iter().map(|place| place.display().to_string()));
    bail!("there is none of {}", places.join(", "))
}

/// CPUs of the machine, whichever of them this process is pinned to.
pub(super) fn cpus_of_machine() -> Result<usize> {
    // Such as 0-3,6: the last one counts.
    let online = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let last = online.trim().rsplit([',', '-']).next().unwrap_or_default();
    let last: usize = last.parse().wrap_err_with(|| format!("CPUs like {online:?}"))?;
    Ok(last + 1)
}

fn there(path: PathBuf) -> Result<PathBuf> {
    ensure!(path.exists(), "there is no {}", path.display());
    Ok(path)
}
