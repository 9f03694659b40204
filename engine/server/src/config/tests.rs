//! What is told about wrong settings, each with its place.

use super::*;
use corecast::Policy;

fn lines(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let problems = parse(text, &environment(variables)).expect_err(text);
    Problems { file: "f.toml".to_owned(), problems }.lines()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
    Environment::new(variables, vec!["CORECAST_SHARDS".to_owned(), "CORECAST_STALL".to_owned()])
}

fn config(text: &str, variables: &[(&str, &str)]) -> ServerConfig {
    parse(text, &environment(variables)).expect("good settings").config
}

const FULL: &str = r#"
    listen = "0.0.0.0:9100"
    shards = 2
    cpus = [0, 1]
    backend = "sendmsg"

    [[policies]]
    pattern = "quote.*"
    policy = "latest"

    [[namespaces]]
    name = "quote"
    policy = "latest"
    allow = ["lossless:gap"]
    snapshot = "last"

    [outbox]
    bytes_max = 1048576

    [feed]
    identity = "query"
    heartbeat_ms = 0

    [ingest]
    tcp = "127.0.0.1:9003"
    unix = "corecast.sock"

    [admin]
    listen = "127.0.0.1:9002"

    [log]
    level = "warn"
"#;

#[test]
fn a_full_file_is_read() {
    let config = config(FULL, &[]);
    let engine = &config.engine;
    assert_eq!(engine.listen, "0.0.0.0:9100".parse().expect("an address"));
    assert_eq!((engine.shards, engine.cpus.as_slice()), (2, &[0, 1][..]));
    assert_eq!(engine.backend, corecast::Backend::Sendmsg);
    assert_eq!(engine.policies[0].policy, Policy::Latest);
    assert_eq!((&*engine.namespaces[0].name, engine.namespaces[0].allow.len()), ("quote", 1));
    assert_eq!(engine.outbox.bytes_max, 1 << 20);
    assert_eq!(engine.outbox.frames_max, Config::default().outbox.frames_max);
    assert_eq!((config.feed.identity, config.feed.heartbeat_ms), (feed::Identity::Query, 0));
    assert_eq!(config.ingest.tcp, "127.0.0.1:9003".parse().ok());
    assert_eq!(config.ingest.unix.as_deref(), Some(Path::new("corecast.sock")));
    assert_eq!(config.admin.listen, "127.0.0.1:9002".parse().ok());
    assert_eq!(config.log.level, "warn");
}

#[test]
fn what_is_printed_is_read_again() {
    let config = config(FULL, &[]);
    let text = toml::to_string_pretty(&config).expect("TOML");
    assert_eq!(self::config(&text, &[]), config, "{text}");
    assert_eq!(self::config("", &[]), ServerConfig::default());
}

#[test]
fn errors_name_file_line_and_the_whole_key() {
    for (text, expected) in [
        ("shards = 2\nshard = 3\n", "f.toml:2: in `shard`: unknown key; did you mean `shards`?"),
        (
            "[outbox]\nbytes_max = \"4MiB\"\n",
            "f.toml:2: in `outbox.bytes_max`: expected an integer, found a string",
        ),
        (
            "[outbox]\nbytes_max = 0\n",
            "f.toml:2: in `outbox.bytes_max`: 0 is out of bounds; it may be 1 to 1073741824",
        ),
        (
            "[feed]\nheartbeat_ms = 99\n",
            "f.toml:2: in `feed.heartbeat_ms`: 99 is out of bounds; it may be 0, or 100 to 600000",
        ),
        ("shards = -1\n", "f.toml:1: in `shards`: -1 is out of bounds; it may be 0 to 1024"),
        ("backend = \"epoll\"\n", "f.toml:1: in `backend`: \"epoll\" is none of ring, sendmsg"),
        (
            "[[namespaces]]\nname = \"a\"\n[[namespaces]]\npolicy = \"newest\"\n",
            "f.toml:4: in `namespaces[1].policy`: \"newest\" is none of lossless, lossless:gap, \
             lossless:snapshot, latest, latest_by_key, drop_oldest, close",
        ),
        ("[[policies]]\npattern = \"a\"\n", "f.toml:1: in `policies[0]`: `policy` is missing"),
        ("outbox = 1\n", "f.toml:1: in `outbox`: expected a table, found an integer"),
        ("shards = [1]\n", "f.toml:1: in `shards`: expected an integer, found a list"),
        ("cpus = 1\n", "f.toml:1: in `cpus`: expected a list, found an integer"),
        ("[policies]\n", "f.toml:1: in `policies`: expected a list of tables, found a table"),
        ("policies = [1]\n", "f.toml:1: in `policies`: expected a list of tables"),
        ("[feeed]\npath = \"/f\"\n", "f.toml:1: in `feeed`: unknown key; did you mean `feed`?"),
        ("\nshards = 1\nshards = 2\n", "f.toml:3: in `shards`: duplicate key"),
        (
            "[[namespaces]]\nname = \"a\"\n[[namespaces]]\nname = \"a\"\n",
            "f.toml:4: in `namespaces[1].name`: namespaces[0] has the name `a` already",
        ),
        (
            "[feed]\npath = \"/ws/a\"\n",
            "f.toml:2: in `feed.path`: /ws/a has another meaning already",
        ),
    ] {
        assert_eq!(lines(text, &[]), [expected], "{text:?}");
    }
}

#[test]
fn texts_that_mean_nothing_are_told_with_their_key() {
    for (text, start, word) in [
        ("listen = \"nowhere\"\n", "f.toml:1: in `listen`: ", "socket address"),
        ("cpus = [-1]\n", "f.toml:1: in `cpus`: ", "-1"),
        ("[admin]\nlisten = \"9002\"\n", "f.toml:2: in `admin.listen`: ", "ADDR:PORT"),
        ("[[namespaces]]\nname = \"a.b\"\n", "f.toml:1: in `namespaces[0]`: ", "without a dot"),
        ("[feed]\npath = \"feed\"\n", "f.toml:2: in `feed.path`: ", "slash"),
        ("[log]\nlevel = \"a=b=c\"\n", "f.toml:2: in `log.level`: ", "use error, warn"),
        (
            "[[policies]]\npattern = \"a.>.b\"\npolicy = \"latest\"\n",
            "f.toml:2: in `policies[0].pattern`: ",
            "a.>.b",
        ),
        (
            "[[namespaces]]\nsnapshot = \"published\"\n",
            "f.toml:1: in `namespaces[0]`: ",
            "history_entries",
        ),
    ] {
        let found = lines(text, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(start) && found[0].contains(word), "{text:?}: {found:?}");
    }
}

#[test]
fn all_errors_are_told_at_once_in_their_order() {
    let text = "[outbox]\nframes_max = 0\n[mesh]\npending = 1\n[feed]\nsend = \"all\"\n";
    let found = lines(text, &[("CORECAST_FLUSH__BATCH_MAX", "many")]);
    let starts = ["f.toml:2:", "f.toml:4:", "f.toml:6:", "CORECAST_FLUSH__BATCH_MAX: in `flush.b"];
    assert_eq!(found.len(), 4, "{found:?}");
    for (line, start) in found.iter().zip(starts) {
        assert!(line.starts_with(start), "{found:?}");
    }
}

#[test]
fn the_environment_overrides_every_kind_of_key() {
    let found = config(
        "[outbox]\nbytes_max = 1\n[[namespaces]]\nname = \"a\"\n",
        &[
            ("CORECAST_OUTBOX__BYTES_MAX", "1048576"),
            ("CORECAST_FEED__HEARTBEAT_MS", "1000"),
            ("CORECAST_FEED__ENABLED", "false"),
            ("CORECAST_FEED__PATH", "/live"),
            ("CORECAST_ADMIN__LISTEN", "localhost:9002"),
            ("CORECAST_NAMESPACES__0__POLICY", "latest"),
            ("CORECAST_NAMESPACES__1__NAME", "b"),
            ("CORECAST_POLICIES", "[{pattern = \"a\", policy = \"close\"}]"),
        ],
    );
    assert_eq!((found.engine.outbox.bytes_max, found.feed.heartbeat_ms), (1 << 20, 1_000));
    assert_eq!((found.feed.enabled, found.feed.path.as_str()), (false, "/live"));
    assert_eq!(found.admin.listen, "127.0.0.1:9002".parse().ok());
    let names: Vec<_> = found.engine.namespaces.iter().map(|n| (&*n.name, n.policy)).collect();
    let gap = Policy::Lossless { overflow: corecast::Overflow::Gap };
    assert_eq!(names, [("a", Policy::Latest), ("b", gap)]);
    assert_eq!(found.engine.policies[0].policy, Policy::Close);
}

#[test]
fn a_list_of_namespaces_comes_whole_from_the_environment() {
    let text = "[[namespaces]]\nname = \"a\"\n[[namespaces]]\nname = \"b\"\n";
    let list = "[{name = \"c\", policy = \"latest\"}]";
    let found = config(text, &[("CORECAST_NAMESPACES", list)]);
    assert_eq!(found.engine.namespaces.len(), 1);
    assert_eq!(&*found.engine.namespaces[0].name, "c");
    let wrong = lines("", &[("CORECAST_NAMESPACES", "[{name = \"c\", policy = \"new\"}]")]);
    assert!(wrong[0].starts_with("CORECAST_NAMESPACES: in `namespaces[0].policy`: "), "{wrong:?}");
    let broken = lines("", &[("CORECAST_NAMESPACES", "c")]);
    assert!(broken[0].contains("a list in TOML"), "{broken:?}");
    let far = lines("", &[("CORECAST_NAMESPACES__3__NAME", "c")]);
    assert!(far[0].contains("there are 0 before it"), "{far:?}");
}

#[test]
fn variables_that_set_nothing_are_warned_about_where_they_look_like_keys() {
    let warnings = |name: &str| {
        parse("", &environment(&[(name, "1")])).expect("defaults").warnings.into_iter().next()
    };
    for (name, near) in [
        ("CORECAST_OUTBOX__BYTE_MAX", "CORECAST_OUTBOX__BYTES_MAX"),
        ("CORECAST_FEED_HEARTBEAT_MS", "CORECAST_FEED__HEARTBEAT_MS"),
        ("CORECAST_FEED__heartbeat_ms", "config --docs"),
        ("CORECAST_NO__SUCH_KEY", "config --docs"),
    ] {
        let warning = warnings(name).expect(name);
        assert!(warning.contains(name) && warning.contains(near), "{warning}");
    }
    for other in ["CORECAST_STALL", "CORECAST_SHARDS", "CORECAST_DATA", "CORECAST_BIN"] {
        assert_eq!(warnings(other), None, "{other}");
    }
}

#[test]
fn the_example_is_read_without_a_complaint() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/corecast.example.toml");
    let found = read(Some(&path), &Environment::default()).expect("a good example");
    assert_eq!(found.warnings, Vec::<String>::new());
    assert_eq!(found.config.engine.namespaces.len(), 4);
    assert_eq!(found.config.admin.listen, "127.0.0.1:9002".parse().ok());
}
