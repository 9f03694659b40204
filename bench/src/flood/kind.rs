//! The kinds of attack.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use eyre::{Result, eyre};
use serde::Serialize;

use super::{Script, requests};

/// What attackers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Opening handshakes that are refused, each for another reason
    Handshakes,
    /// First flights of TLS, whole and cut, that are never finished
    Hellos,
    /// Connections of one address or network: bare ones, and valid handshakes that stay
    Connects,
    /// Handshakes of one byte a second
    Slowloris,
    /// Valid handshakes with tokens that are none
    Upgrades,
}

/// What is attacked.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Where the server speaks `ws://`.
    pub plain: SocketAddr,
    /// Where it speaks `wss://`, if it does.
    pub tls: Option<SocketAddr>,
    /// A path on which it accepts connections.
    pub path: String,
}

impl Kind {
    /// Each kind once.
    pub const ALL: [Self; 5] =
        [Self::Handshakes, Self::Hellos, Self::Connects, Self::Slowloris, Self::Upgrades];

    /// What the attackers of this kind do, in turn.
    ///
    /// # Errors
    /// When the server has nothing to attack in this way.
    pub fn scripts(self, targets: &Targets) -> Result<Vec<Script>> {
        let (host, path) = (targets.plain.to_string(), targets.path.as_str());
        let script = |name, bytes: Vec<u8>| Script {
            name,
            server: targets.plain,
            bytes: bytes.into(),
            drip: None,
            goes_when_answered: true,
            stays_at_most: STAYS_AT_MOST,
        };
        let stays = |script| Script { goes_when_answered: false, ..script };
        let upgrade = || requests::upgrade(&host, path, &[]);
        Ok(match self {
            Self::Handshakes => {
                let bad = requests::bad(&host, path).into_iter();
                let mut scripts = Vec::from_iter(bad.map(|(name, bytes)| script(name, bytes)));
                // The server wants to be left first: this one lets it wait.
                let (_, bytes) = requests::bad(&host, path).swap_remove(0);
                scripts.push(stays(script("no upgrade, stays", bytes)));
                scripts
            }
            Self::Hellos => {
                let tls = targets.tls.ok_or_else(|| eyre!("the server does not speak TLS"))?;
                let hello = requests::hello()?;
                let half = hello[..hello.len() / 2].to_vec();
                let to_tls = |script| Script { server: tls, ..script };
                vec![
                    to_tls(script("whole", hello.clone())),
                    to_tls(stays(script("whole, stays", hello))),
                    to_tls(script("half", half)),
                    to_tls(script("no TLS", upgrade()?)),
                ]
            }
            Self::Connects => vec![
                script("handshake", upgrade()?),
                stays(script("handshake, stays", upgrade()?)),
                Script { stays_at_most: Duration::from_millis(20), ..script("bare", Vec::new()) },
            ],
            Self::Slowloris => {
                let drip = Some((1, Duration::from_secs(1)));
                let stays_at_most = Duration::from_secs(60);
                vec![Script { drip, stays_at_most, ..stays(script("a byte a second", upgrade()?)) }]
            }
            Self::Upgrades => {
                let with = |token: &str| {
                    let bearer = format!("Bearer {token}");
                    requests::upgrade(&host, path, &[("Authorization", &bearer)])
                };
                let mut scripts = vec![script("no token", upgrade()?)];
                for (name, token) in TOKENS {
                    scripts.push(script(name, with(token)?));
                }
                scripts
            }
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshakes => "handshakes",
            Self::Hellos => "hellos",
            Self::Connects => "connects",
            Self::Slowloris => "slowloris",
            Self::Upgrades => "upgrades",
        })
    }
}

/// So long that what stays is a burden, so short that its place is soon used again.
const STAYS_AT_MOST: Duration = Duration::from_secs(1);

/// Tokens that nobody has signed: `{"alg":"none"}`, and `{"alg":"HS256"}` and
/// `{"alg":"ES256","kid":"a"}` with a signature of zeros, each for `{"sub":"a","exp":4102444800}`.
const TOKENS: [(&str, &str); 4] = [
    ("no algorithm", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ."),
    (
        "HS256, wrong signature",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.\
         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ),
    (
        "ES256, wrong signature",
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.\
         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ),
    ("no token at all", "not-a-token"),
];
