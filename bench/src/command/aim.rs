//! Which server a command measures, and how it speaks to it.

use clap::Args;
use eyre::{Result, bail, ensure, eyre};

use super::ServerOptions;
use crate::servers::{Server, Site, TlsOptions};
use crate::target::{Target, Url};

/// Which server, and how to speak to it.
#[derive(Debug, Clone, Args)]
pub(super) struct Aim {
    #[command(flatten)]
    pub(super) options: ServerOptions,
    #[command(flatten)]
    tls: TlsOptions,
    /// Server to start, pin and stop: corecast, corecast:sendmsg, corecast:shards=2, bun, ws,
    /// tokio-tungstenite, fastwebsockets, tokio-websockets, floor [default: corecast]
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    server: Option<Server>,
    /// Server that runs already: ws://HOST:PORT/PATH or wss://HOST:PORT/PATH
    #[arg(long, value_name = "URL")]
    target: Option<Url>,
    /// Its process on this machine, whose cost is measured
    #[arg(long, value_name = "PID", requires = "target")]
    pid: Option<u32>,
    #[command(flatten)]
    words: Words,
}

/// How to speak to a server that wants more than a path.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How to speak to it")]
struct Words {
    /// Path to connect to, for a server that is started here
    #[arg(long, value_name = "PATH", conflicts_with = "target")]
    path: Option<String>,
    /// Path that publishers connect to, if it is another
    #[arg(long, value_name = "PATH")]
    publish_path: Option<String>,
    /// What {topic} stands for in paths and messages
    #[arg(long, value_name = "TOPIC", default_value = "bench")]
    topic: String,
    /// Message that a subscriber sends first (may be given several times)
    #[arg(long, value_name = "TEXT")]
    subscribe: Vec<String>,
    /// Wait until a message with this text has come to each subscriber
    #[arg(long, value_name = "TEXT")]
    subscribed: Option<String>,
    /// Text message that a publisher sends, with {payload} once; without it the payload alone
    #[arg(long, value_name = "TEXT")]
    publish: Option<String>,
    /// Header field of the opening handshake (may be given several times)
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Subprotocol to offer
    #[arg(long, value_name = "NAME")]
    subprotocol: Option<String>,
}

impl Aim {
    /// Prepares this process, starts the server if it is ours, and says how to speak to it:
    /// on `path` unless told otherwise.
    pub(super) fn take(&self, path: &str, arguments: &[&str]) -> Result<(Site, Target)> {
        let target = self.words.target(self.target.as_ref(), path);
        target.check()?;
        self.options.prepare_client()?;
        let site = match &self.target {
            Some(url) => {
                let ours = self.options.program.is_some() || !self.options.server_args.is_empty();
                ensure!(!ours, "--program and --server-arg are for a server that is started here");
                ensure!(!self.tls.tls, "--tls is for a server that is started here: give wss://");
                let site = Site::elsewhere(url.host.clone(), url.address, self.pid);
                if url.secure { site.secured(self.tls.theirs(&url.host)?) } else { site }
            }
            None => {
                let tls = self.tls.tls.then(|| self.tls.clone());
                let options = ServerOptions { tls, ..self.options.clone() };
                let server = self.server.unwrap_or(Server::CORECAST);
                let corecast = matches!(server, Server::Corecast { .. });
                server.start_with(&options, if corecast { arguments } else { &[] })?
            }
        };
        eprintln!("measuring {} on {}", site.name, site.address);
        Ok((site, target))
    }

    /// Whether JSON is wanted.
    pub(super) fn json(&self) -> bool {
        self.options.json
    }
}

impl Words {
    fn target(&self, url: Option<&Url>, path: &str) -> Target {
        let given = url.map(|url| &url.path).or(self.path.as_ref());
        Target {
            path: given.map_or(path, String::as_str).to_owned(),
            publish_path: self.publish_path.clone(),
            host: url.map(|url| url.host.clone()),
            topic: self.topic.clone(),
            subscribe: self.subscribe.clone(),
            subscribed: self.subscribed.clone(),
            publish: self.publish.clone(),
            headers: self.headers.clone(),
            subprotocol: self.subprotocol.clone(),
        }
    }
}

fn header(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once(':').ok_or_else(|| eyre!("give NAME: VALUE"))?;
    if name.trim().is_empty() {
        bail!("the name is empty");
    }
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
