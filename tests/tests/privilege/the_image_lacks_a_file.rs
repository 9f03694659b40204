//! The Containerfile. No container can be built or run here: what can be seen without is that it
//! copies all that the build needs, builds as the tests do, and starts what is there.

use std::path::Path;
use std::process::Command;

use corecast_tests::server::launch;
use eyre::{Result, ensure, eyre};

use crate::a_service::Place;
use crate::{shipped, text_of};

const FILE: &str = "tuning/Containerfile";

/// The instructions of this kind, continued lines joined.
fn instructions(kind: &str) -> Result<Vec<String>> {
    let text = text_of(FILE)?.replace("\\\n", " ");
    let own = text.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let own = own.map(|words| Vec::from_iter(words.split_whitespace()).join(" "));
    let own = Vec::from_iter(own);
    ensure!(!own.is_empty(), "no {kind} in {FILE}");
    Ok(own)
}

/// What is copied from the repository.
fn copied() -> Result<Vec<String>> {
    let copies = instructions("COPY")?.into_iter().filter(|copy| !copy.starts_with("--from"));
    let copies = Vec::from_iter(copies);
    let sources = copies.iter().flat_map(|copy| {
        let words = Vec::from_iter(copy.split(' '));
        words[..words.len() - 1].iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    });
    Ok(sources.collect())
}

#[test]
fn what_it_copies_is_there_and_is_a_whole_workspace() -> Result<()> {
    let place = Place::new()?;
    let tree = place.folder().join("src");
    std::fs::create_dir(&tree)?;
    for source in copied()? {
        ensure!(shipped(&source).exists(), "{source} is not there");
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--", &source])
            .current_dir(shipped("."))
            .output()?;
        let listed = String::from_utf8(listed.stdout)?;
        let files = Vec::from_iter(listed.split_terminator('\0'));
        ensure!(!files.is_empty(), "git knows nothing of {source}");
        for file in files.into_iter().filter(|file| shipped(file).is_file()) {
            let target = tree.join(file);
            std::fs::create_dir_all(target.parent().unwrap_or(Path::new(".")))?;
            std::fs::copy(shipped(file), target)?;
        }
    }
    // With the lock file as it is: a member that was not copied would be an error.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--locked", "--offline", "--format-version=1"]).current_dir(&tree);
    let output = metadata.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn it_builds_as_the_tests_do_with_the_same_compiler() -> Result<()> {
    let steps = text_of("tests/steps/build")?;
    let begin = "cargo build --locked --release -p corecast-server";
    ensure!(steps.lines().any(|line| line.starts_with(begin)), "the step build: {begin}");
    ensure!(instructions("RUN")? == [begin], "{:?}", instructions("RUN")?);
    let cargo = text_of("Cargo.toml")?;
    let version = cargo.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.ok_or_else(|| eyre!("no rust-version"))?.trim_matches('"').to_owned();
    let images = instructions("FROM")?;
    let builder = format!("docker.io/library/rust:{version}-bookworm AS build");
    ensure!(images[0] == builder, "{}", images[0]);
    // glibc of the same Debian.
    ensure!(images[1..] == ["gcr.io/distroless/cc-debian12:nonroot"], "{images:?}");
    let from = instructions("COPY")?.into_iter().find(|copy| copy.starts_with("--from"));
    let program = "--from=build /src/target/release/corecast /usr/local/bin/corecast";
    ensure!(from.as_deref() == Some(program), "{from:?}");
    Ok(())
}

#[test]
fn it_runs_as_nobody_says_how_it_is_and_starts_a_command_that_exists() -> Result<()> {
    let user = instructions("USER")?;
    let root = user.iter().any(|user| user.starts_with('0') || user.starts_with("root"));
    ensure!(user.len() == 1 && !root, "{user:?}");
    ensure!(instructions("STOPSIGNAL")? == ["SIGTERM"], "the signal that lets it leave");
    let program = "/usr/local/bin/corecast";
    ensure!(words(&instructions("ENTRYPOINT")?[0])? == [program], "the entry point");

    let health = instructions("HEALTHCHECK")?;
    let check = health[0].split_once("CMD ").ok_or_else(|| eyre!("no CMD"))?.1;
    let (program_of_check, check) = split(words(check)?)?;
    ensure!(program_of_check == program, "{program_of_check}");
    let serve = words(&instructions("CMD")?[0])?;
    let listen = serve.iter().position(|word| word == "--listen").map(|at| &serve[at + 1]);
    let port = listen.and_then(|address| address.rsplit(':').next()).unwrap_or_default();
    ensure!(instructions("EXPOSE")? == [port], "what is exposed is what is listened on");
    let admin = serve.iter().position(|word| word == "--admin").map(|at| &serve[at + 1]);
    ensure!(admin.is_some_and(|address| address.starts_with("127.0.0.1:")), "{admin:?}");

    // Both commands, by the real program: the ports chosen here, the words theirs.
    let [public, private] = [crate::a_service::free_port()?, crate::a_service::free_port()?];
    let chosen = serve.iter().map(|word| match word.as_str() {
        "0.0.0.0:9001" => public.to_string(),
        "127.0.0.1:9002" => private.to_string(),
        _ => word.clone(),
    });
    let server = launch()?.args(chosen).ready_when_accepting(private).start()?;
    let url = format!("http://{private}");
    let ask = || launch()?.args(&check).env("CORECAST_ADMIN_URL", &url).ready_at_once().start();
    let status = ask()?.wait(std::time::Duration::from_secs(10))?;
    ensure!(status.success(), "{status}: {}", server.output());
    server.stop(std::time::Duration::from_secs(20))?;
    let status = ask()?.wait(std::time::Duration::from_secs(10))?;
    ensure!(status.code() == Some(69), "nobody is there: {status}");
    Ok(())
}

#[test]
fn what_is_built_here_stays_out_of_the_image() -> Result<()> {
    let ignored = text_of(".dockerignore")?;
    for line in ["**/target", "tests/.work", ".git", "**/node_modules"] {
        ensure!(ignored.lines().any(|one| one == line), "{line}");
    }
    Ok(())
}

/// The words of an instruction in its JSON form.
fn words(json: &str) -> Result<Vec<String>> {
    Ok(serde_json::from_str(json)?)
}

fn split(words: Vec<String>) -> Result<(String, Vec<String>)> {
    let mut words = words.into_iter();
    let first = words.next().ok_or_else(|| eyre!("no words"))?;
    Ok((first, words.collect()))
}
