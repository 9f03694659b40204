//! Options of all commands, and of those that serve.

use super::values::{self, CpuList};
use crate::config::ServerConfig;
use clap::{Args, ValueEnum};
use corecast::Backend;
use corecast::config::PolicyRule;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Options that every command takes, before or after its name.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct CommonArgs {
    /// Address and port to listen on; port 0 lets the kernel choose [default: 127.0.0.1:9001]
    #[arg(long, global = true, env = "CORECAST_LISTEN", value_name = "ADDR:PORT")]
    #[arg(value_parser = values::listen)]
    pub(crate) listen: Option<SocketAddr>,

    /// Number of shards, each a thread on a core of its own [default: one for each usable CPU]
    #[arg(long, global = true, env = "CORECAST_SHARDS", value_name = "N")]
    pub(crate) shards: Option<usize>,

    /// CPUs for the shards, such as 0,2-4 [default: all that this process may use]
    #[arg(long, global = true, env = "CORECAST_CPUS", value_name = "LIST")]
    pub(crate) cpus: Option<CpuList>,

    /// How frames reach the sockets [default: ring]
    #[arg(long, global = true, env = "CORECAST_BACKEND", value_enum)]
    pub(crate) backend: Option<BackendArg>,

    /// How log lines look; they go to stderr
    #[arg(long, global = true, env = "CORECAST_LOG", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,

    /// Which log lines there are: error, warn, info, debug, trace, or directives such as
    /// corecast_shard=debug [default: info]
    #[arg(long, global = true, env = "CORECAST_LOG_LEVEL", value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// How frames reach the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendArg {
    /// One io_uring submission for many sockets
    Ring,
    /// One system call for each socket
    Sendmsg,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Options of the commands that serve.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Serving options")]
pub(crate) struct ServingArgs {
    /// Settings in TOML; what the command line and the environment say overrides them (corecast
    /// config --docs tells every key)
    #[arg(long, env = "CORECAST_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// What a backlog does to the topics of a pattern, such as latest=quote.*; may be repeated, the
    /// first that matches holds. Policies: lossless, lossless:gap, lossless:snapshot,
    /// latest, latest_by_key, drop_oldest, close; in patterns * is one token, > the rest
    #[arg(long = "policy", env = "CORECAST_POLICY", value_name = "NAME=PATTERN")]
    #[arg(value_delimiter = ',', value_parser = policy_rule)]
    pub(crate) policies: Vec<PolicyRule>,

    /// Bytes queued for one connection at most [default: 4MiB]
    #[arg(long, env = "CORECAST_OUTBOX_BYTES_MAX", value_name = "BYTES")]
    #[arg(value_parser = values::bytes)]
    pub(crate) outbox_bytes_max: Option<usize>,

    /// Frames queued for one connection at most [default: 16384]
    #[arg(long, env = "CORECAST_OUTBOX_FRAMES_MAX", value_name = "N")]
    pub(crate) outbox_frames_max: Option<u32>,

    /// Age of a queued frame at most; then its policy applies [default: 30s]
    #[arg(long, env = "CORECAST_OUTBOX_AGE_MAX", value_name = "TIME")]
    #[arg(value_parser = values::duration)]
    pub(crate) outbox_age_max: Option<Duration>,

    /// A connection with a backlog that takes no byte for so long is closed [default: 10s]
    #[arg(long, env = "CORECAST_STALL", value_name = "TIME")]
    #[arg(value_parser = values::duration)]
    pub(crate) stall: Option<Duration>,

    /// Bytes of one incoming message at most; more is closed with 1009 [default: 64KiB]
    #[arg(long, env = "CORECAST_MESSAGE_BYTES_MAX", value_name = "BYTES")]
    #[arg(value_parser = values::bytes)]
    pub(crate) message_bytes_max: Option<usize>,

    /// Connections of one shard at most; one more is answered 503 [default: 1000000]
    #[arg(long, env = "CORECAST_CONNECTIONS_MAX", value_name = "N")]
    pub(crate) connections_max: Option<u32>,

    /// A connection that was silent for so long is pinged; 0 never does [default: 20s]
    #[arg(long, env = "CORECAST_PING_INTERVAL", value_name = "TIME")]
    #[arg(value_parser = values::duration)]
    pub(crate) ping_interval: Option<Duration>,

    /// The port for operators, with POST /publish. Without admin.token_file it asks nobody who he
    /// is: keep it on loopback [default: none]
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::listen)]
    pub(crate) admin: Option<SocketAddr>,

    /// Where publishers connect over TCP [default: none]
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::listen)]
    pub(crate) ingest_tcp: Option<SocketAddr>,

    /// The Unix socket on which publishers connect [default: none]
    #[arg(long, value_name = "PATH")]
    pub(crate) ingest_unix: Option<PathBuf>,

    /// At the end: time for queued messages and closing handshakes [default: 10s]
    #[arg(long, env = "CORECAST_DRAIN", value_name = "TIME")]
    #[arg(value_parser = values::duration)]
    pub(crate) drain: Option<Duration>,
}

/// Lays options, and the variables that stand for them, over what file and environment say.
/// `built_in` policies come last, behind those of the command line and of the file.
pub(crate) fn override_with_options(
    config: &mut ServerConfig,
    common: &CommonArgs,
    serving: &ServingArgs,
    built_in: &[(&str, corecast::Policy)],
) {
    if let Some(level) = &common.log_level {
        config.log.level.clone_from(level);
    }
    config.admin.listen = serving.admin.or(config.admin.listen);
    config.ingest.tcp = serving.ingest_tcp.or(config.ingest.tcp);
    if let Some(path) = &serving.ingest_unix {
        config.ingest.unix = Some(path.clone());
    }
    let set_millis = |place: &mut u64, time: Option<Duration>| {
        *place = time.map_or(*place, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    };
    set_millis(&mut config.shutdown.drain_ms, serving.drain);
    let config = &mut config.engine;
    let set = |place: &mut usize, value: Option<usize>| *place = value.unwrap_or(*place);
    config.listen = common.listen.unwrap_or(config.listen);
    set(&mut config.shards, common.shards);
    if let Some(CpuList(cpus)) = &common.cpus {
        config.cpus.clone_from(cpus);
    }
    config.backend = match common.backend {
        Some(BackendArg::Ring) => Backend::Ring,
        Some(BackendArg::Sendmsg) => Backend::Sendmsg,
        None => config.backend,
    };
    config.policies.splice(0..0, serving.policies.iter().cloned());
    let rule = |&(pattern, policy): &(&str, _)| PolicyRule { pattern: pattern.to_owned(), policy };
    config.policies.extend(built_in.iter().map(rule));

    set(&mut config.outbox.bytes_max, serving.outbox_bytes_max);
    set_millis(&mut config.outbox.age_max_ms, serving.outbox_age_max);
    set_millis(&mut config.outbox.stall_max_ms, serving.stall);
    set_millis(&mut config.connection.ping_interval_ms, serving.ping_interval);
    set(&mut config.connection.message_bytes_max, serving.message_bytes_max);
    if let Some(frames) = serving.outbox_frames_max {
        config.outbox.frames_max = frames;
    }
    if let Some(connections) = serving.connections_max {
        config.connection.connections_max = connections;
    }
}

fn policy_rule(text: &str) -> Result<PolicyRule, String> {
    let (policy, pattern) =
        text.split_once('=').ok_or("expected NAME=PATTERN, such as latest=quote.*")?;
    let policy = policy.parse().map_err(|error: corecast::PolicyError| error.to_string())?;
    Ok(PolicyRule { pattern: pattern.to_owned(), policy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, env::Environment};
    use clap::Parser;
    use corecast::{Config, Policy};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        serving: ServingArgs,
    }

    fn config(arguments: &[&str], built_in: &[(&str, Policy)]) -> Config {
        let line = Line::try_parse_from([&["corecast"], arguments].concat()).expect("a good line");
        let file = line.serving.config.as_deref();
        let mut config = config::read(file, &Environment::default()).expect("a good file").config;
        override_with_options(&mut config, &line.common, &line.serving, built_in);
        config.engine
    }

    #[test]
    fn no_options_are_the_defaults() {
        assert_eq!(config(&[], &[]), Config::default());
    }

    #[test]
    fn options_override_the_file_and_policies_come_before_its_own() {
        let name = format!("corecast-options-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let text = "shards = 3\nbackend = \"sendmsg\"\n[outbox]\nstall_max_ms = 5000\n\
                    [[policies]]\npattern = \"quote.>\"\npolicy = \"latest\"\n";
        std::fs::write(&path, text).expect("a temporary file");
        let file = path.to_str().expect("UTF-8");
        let options = ["--config", file, "--shards", "2", "--stall", "3s", "--policy", "close=a"];
        let found = config(&options, &[("market.all", Policy::LatestByKey)]);
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!((found.shards, found.backend), (2, Backend::Sendmsg));
        assert_eq!(found.outbox.stall_max_ms, 3_000);
        let rules: Vec<_> = found.policies.iter().map(|r| (r.pattern.as_str(), r.policy)).collect();
        let expected = [
            ("a", Policy::Close),
            ("quote.>", Policy::Latest),
            ("market.all", Policy::LatestByKey),
        ];
        assert_eq!(rules, expected);
    }

    #[test]
    fn every_serving_option_reaches_its_setting() {
        let found = config(
            &[
                "--listen=:1",
                "--cpus=3,1",
                "--backend=sendmsg",
                "--outbox-bytes-max=1M",
                "--outbox-frames-max=7",
                "--outbox-age-max=2s",
                "--message-bytes-max=8K",
                "--connections-max=9",
                "--ping-interval=0",
            ],
            &[],
        );
        assert_eq!(found.listen, "0.0.0.0:1".parse().expect("an address"));
        assert_eq!((found.cpus.as_slice(), found.backend), (&[3, 1][..], Backend::Sendmsg));
        let outbox = found.outbox;
        assert_eq!((outbox.bytes_max, outbox.frames_max, outbox.age_max_ms), (1 << 20, 7, 2_000));
        let connection = found.connection;
        assert_eq!((connection.message_bytes_max, connection.connections_max), (8_192, 9));
        assert_eq!(connection.ping_interval_ms, 0);
    }
}
