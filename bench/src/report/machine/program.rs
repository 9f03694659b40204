//! Which commit a program was built of: told by its sources, not by the folder one stands in.
//!
//! Cargo leaves a list of the sources beside each program (`corecast.d`). When none of them is
//! newer than the program and none differs from what is committed, it is built of the last commit
//! that changed one of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::date;

/// The commit of `program`, or why it is not known.
#[must_use]
pub(super) fn commit(program: &Path) -> String {
    match of_sources(program) {
        Ok(commit) => commit,
        Err(why) => format!("unknown ({why})"),
    }
}

fn of_sources(program: &Path) -> Result<String, String> {
    let built = modified(program).ok_or("there is no such program")?;
    let said = format!("the program is of {}", date(built));
    let list = fs::read_to_string(program.with_extension("d"))
        .map_err(|_| format!("{said}, and cargo's list of its sources is not beside it"))?;
    let sources = sources(&list);
    let newer = sources.iter().find(|source| modified(source).is_none_or(|time| time > built));
    if let Some(source) = newer {
        let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(format!("{said}, and {name} has changed since"));
    }
    let folder = sources.first().and_then(|source| source.parent());
    let folder = folder.ok_or_else(|| format!("{said}, of no known source"))?;
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(arguments).arg("--").args(&sources);
        let output = git.output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let commit = git(&["log", "-1", "--format=%h", "--abbrev=12"]).filter(|text| !text.is_empty());
    let commit = commit.ok_or_else(|| format!("{said}, and its sources are under no git"))?;
    let changed = git(&["status", "--porcelain"]).is_none_or(|changed| !changed.is_empty());
    Ok(if changed { format!("{commit}, changed") } else { commit })
}

/// The files behind the colon; a blank in a name is written `\ `.
fn sources(list: &str) -> Vec<PathBuf> {
    let (_, files) = list.lines().next().and_then(|line| line.split_once(": ")).unwrap_or_default();
    let marked = files.replace("\\ ", "\0");
    Vec::from_iter(marked.split(' ').map(|file| PathBuf::from(file.replace('\0', " "))))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn sources_are_read_with_blanks_in_their_names() {
        let list = "/t/corecast: /a/b.rs /a/c\\ d.rs\n\n/a/b.rs:\n";
        assert_eq!(sources(list), [Path::new("/a/b.rs"), Path::new("/a/c d.rs")]);
    }

    #[test]
    fn a_program_is_of_a_commit_only_while_its_sources_are() {
        let folder = std::env::temp_dir().join(format!("program-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let git = |arguments: &[&str]| {
            let names = ["-c", "user.name=x", "-c", "user.email=x@y", "-c", "commit.gpgsign=false"];
            let mut git = Command::new("git");
            git.arg("-C").arg(&folder).args(names).args(arguments);
            assert!(git.output().unwrap().status.success(), "{arguments:?}");
        };
        let (source, program) = (folder.join("a.rs"), folder.join("corecast"));
        fs::write(&source, "1").unwrap();
        git(&["init", "-q"]);
        git(&["add", "a.rs"]);
        git(&["commit", "-q", "-m", "x"]);
        fs::write(&program, "").unwrap();
        assert!(commit(&program).contains("list of its sources"), "{}", commit(&program));
        let list = format!("{}: {}\n", program.display(), source.display());
        fs::write(program.with_extension("d"), list).unwrap();
        let built = commit(&program);
        assert!(built.len() == 12 && built.chars().all(|c| c.is_ascii_hexdigit()), "{built}");

        let touch = |path: &Path, time: SystemTime| {
            File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        touch(&source, SystemTime::now() + Duration::from_secs(60));
        assert!(commit(&program).contains("a.rs has changed since"), "{}", commit(&program));
        fs::write(&source, "2").unwrap();
        touch(&program, SystemTime::now() + Duration::from_secs(60));
        assert_eq!(commit(&program), format!("{built}, changed"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
