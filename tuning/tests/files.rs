//! `sysctl.conf`, `limits.conf` and `README.md` beside what `doctor` judges by.

use corecast_tuning::{NOFILE_ADVISED, SYSCTLS, Sysctls};
use std::path::{Path, PathBuf};

/// The lines of `sysctl.conf`: key, value, and whether a kernel may lack it.
fn settings() -> Vec<(String, String, bool)> {
    let text = read("sysctl.conf");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let each = lines.map(|line| {
        let (key, value) = line.split_once(" = ").expect("KEY = VALUE");
        let (optional, key) = (key.starts_with('-'), key.trim_start_matches('-'));
        (key.to_owned(), value.to_owned(), optional)
    });
    each.collect()
}

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn sysctl_conf_and_doctor_say_the_same() {
    let settings = settings();
    for (key, value, optional) in &settings {
        let known = SYSCTLS.iter().find(|sysctl| sysctl.key == key);
        let known = known.unwrap_or_else(|| panic!("doctor does not look at {key}"));
        assert_eq!(known.advised, Some(value.as_str()), "{key}");
        assert_eq!(known.optional, *optional, "{key}: a `-` in front marks what is optional");
        assert!(known.fits(value, &Sysctls::default()), "{key} = {value} is not ok for doctor");
    }
    for advised in SYSCTLS.iter().filter(|sysctl| sysctl.advised.is_some()) {
        let times = settings.iter().filter(|(key, ..)| key == advised.key).count();
        assert_eq!(times, 1, "{} stands in sysctl.conf once", advised.key);
    }
}

#[test]
fn every_key_exists_on_a_real_kernel_or_is_optional() {
    for sysctl in SYSCTLS {
        let there = Path::new(&sysctl.path()).exists();
        assert!(there || sysctl.optional, "{} is not there and not optional", sysctl.key);
    }
    let there = SYSCTLS.iter().filter(|sysctl| Path::new(&sysctl.path()).exists()).count();
    assert!(there > SYSCTLS.len() / 2, "only {there} of {}", SYSCTLS.len());
}

#[test]
fn limits_conf_says_what_doctor_advises() {
    let text = read("limits.conf");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words: Vec<Vec<_>> = lines.map(|line| line.split_whitespace().collect()).collect();
    let files = NOFILE_ADVISED.to_string();
    for kind in ["soft", "hard"] {
        for (item, value) in [("nofile", files.as_str()), ("memlock", "unlimited")] {
            assert!(words.contains(&vec!["corecast", kind, item, value]), "{kind} {item}");
        }
    }
    assert_eq!(words.len(), 4);
}

#[test]
fn the_readme_explains_every_setting() {
    let text = read("README.md");
    for sysctl in SYSCTLS {
        let name = sysctl.name();
        assert!(text.contains(&format!("`{name}`")), "{} is not explained", sysctl.key);
    }
}
