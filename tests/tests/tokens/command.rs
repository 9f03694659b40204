//! `corecast token`, as people and scripts use it.

use crate::issuer::{Folder, Issuer, Key};
use corecast_bench::process::corecast_program;
use corecast_tests::server::launch;
use eyre::{Result, ensure};
use std::io::Write;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "0123456789abcdef0123456789abcdef\n";

/// Runs `corecast token …` with this on its standard input.
fn token(arguments: &[&str], input: &str) -> Result<Output> {
    // Brings the program up to date.
    launch()?;
    let mut command = Command::new(corecast_program()?);
    command.arg("token").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who reads nothing has ended already.
        let _ = stdin.write_all(input.as_bytes());
    }
    Ok(child.wait_with_output()?)
}

fn printed(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout.clone())?)
}

/// It ends with 65 and says this on stderr.
fn ensure_refused(output: &Output, words: &[&str]) -> Result<()> {
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(65) && output.stdout.is_empty(), "{output:?}");
    ensure!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
    ensure!(!told.contains(SECRET.trim()), "{told}");
    Ok(())
}

#[test]
fn what_is_signed_is_told_and_what_is_refused_says_why() -> Result<()> {
    let folder = Folder::new("token-command")?;
    let secret = folder.file("secret", SECRET)?;
    let source = format!("[[auth.sources]]\nname = \"own\"\nsecret_file = \"{secret}\"\n");
    let config = format!("[auth]\nmode = \"required\"\naudience = [\"corecast\"]\n{source}");
    let config = folder.file("corecast.toml", &config)?;
    let sign = |more: &[&str]| {
        let arguments = [&["sign", "--secret-file", &secret, "--sub", "u1"], more].concat();
        printed(&token(&arguments, "")?)
    };
    let check = |text: &str| token(&["check", "--config", &config], text);

    let rights = ["--subscribe", "quote.*", "--subscribe", "chat.>", "--publish", "chat.lobby"];
    let good = sign(&[&["--audience", "corecast", "--ttl", "30m"], &rights[..]].concat())?;
    ensure!(good.lines().count() == 1 && good.split('.').count() == 3, "{good}");
    let told = printed(&check(&good)?)?;
    for line in
        ["user       u1", "expires    in ", "subscribe  quote.* chat.>", "publish    chat.l"]
    {
        ensure!(told.contains(line), "no {line:?} in {told}");
    }
    let as_argument = token(&["check", "--config", &config, good.trim()], "")?;
    ensure!(printed(&as_argument)?.contains("u1"), "{as_argument:?}");

    ensure_refused(&check(&sign(&[])?)?, &["refused with 403", "audience", "[corecast]"])?;
    let past = sign(&["--audience", "corecast", "--ttl", "0s"])?;
    ensure_refused(&check(&past)?, &["expired", "ago"])?;
    ensure_refused(&check("")?, &["three parts"])?;
    let (start, _) = good.rsplit_once('.').unwrap_or_default();
    ensure_refused(&check(&format!("{start}.AAAA"))?, &["signature"])?;
    Ok(())
}

#[test]
fn keys_of_every_kind_sign_and_weak_ones_do_not() -> Result<()> {
    let folder = Folder::new("token-keys")?;
    let key = Key::new("k1")?;
    let (private, public) =
        (folder.file("key.pem", &key.private_pem())?, folder.file("pub.pem", &key.public_pem())?);
    let source = format!("[[auth.sources]]\nname = \"own\"\npublic_key_file = \"{public}\"\n");
    let config = folder.file("c.toml", &format!("[auth]\nmode = \"required\"\n{source}"))?;
    let good = printed(&token(&["sign", "--key-file", &private, "--kid", "k1"], "")?)?;
    let told = printed(&token(&["check", "--config", &config], &good)?)?;
    ensure!(told.contains("(no name)") && told.contains("(nothing)"), "{told}");

    let short = folder.file("short", "hunter2")?;
    ensure_refused(&token(&["sign", "--secret-file", &short], "")?, &["7 bytes", "openssl rand"])?;
    ensure_refused(&token(&["sign", "--secret-file", &public], "")?, &["PEM"])?;
    ensure_refused(&token(&["sign", "--key-file", &public], "")?, &["PRIVATE KEY"])?;
    let wrong = token(&["sign", "--secret-file", &short, "--key-file", &private], "")?;
    ensure!(wrong.status.code() == Some(2), "one key at a time: {wrong:?}");
    let source = format!("[[auth.sources]]\nname = \"own\"\npublic_key_file = \"{private}\"\n");
    let config = folder.file("d.toml", &format!("[auth]\nmode = \"required\"\n{source}"))?;
    let refused = token(&["check", "--config", &config], &good)?;
    let told = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(78) && told.contains("private key"), "{told}");
    Ok(())
}

#[test]
fn a_key_set_by_address_is_asked_only_for_its_own_tokens() -> Result<()> {
    let folder = Folder::new("token-jwks")?;
    let (key, other) = (Key::new("k1")?, Key::new("k2")?);
    let issuer = Issuer::start("127.0.0.1:0", &[&key])?;
    let config = folder.file("corecast.toml", &Issuer::settings(issuer.address))?;
    let check = |text: &str| token(&["check", "--config", &config], text);
    ensure!(printed(&check(&key.token()?)?)?.contains("u1"), "a good token");
    ensure!(issuer.hits() == 1, "{} requests", issuer.hits());
    ensure_refused(&check(&other.token()?)?, &["key is not known", "\"k2\"", "`idp`"])?;
    ensure_refused(&check("nonsense")?, &["three parts"])?;
    ensure!(issuer.hits() == 2, "nonsense asks nobody");
    Ok(())
}
