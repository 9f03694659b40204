//! Settings of the edge: what one address and one user may have, and whose word on an address is
//! believed.

use corecast_gate::budget::{Bounds, MeterRates, Rate, limits};
use corecast_gate::network::Network;
use serde::{Deserialize, Serialize};

use super::ConnectionConfig;

/// Bounds of one address, on all shards together. An IPv6 address counts as its network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressConfig {
    /// Connections at once; 0: any number.
    pub connections_max: u32,
    /// Connections begun in a second, on average; 0: any number.
    pub handshakes_per_second_max: u32,
    /// Connections begun at once, after a silence.
    pub handshakes_burst: u32,
    /// Credentials that may be refused in a second, on average; 0: any number.
    pub auth_failures_per_second_max: u32,
    /// The same at once, after a silence.
    pub auth_failures_burst: u32,
    /// Bits of an IPv6 address that are one client's, 0 to 128.
    pub ipv6_prefix: u8,
    /// Addresses that are counted each for itself; who comes beyond them shares one budget.
    pub entries_max: u32,
    /// Networks that have no bounds.
    pub exempt: Vec<Network>,
}

/// Bounds of one user, on all shards together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserConfig {
    /// Connections at once; 0: any number.
    pub connections_max: u32,
}

/// Whose word on a client's address is believed, and in which form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyConfig {
    /// Networks of proxies. What anybody else says of an address is not believed.
    pub trusted: Vec<Network>,
    /// Which PROXY protocol they speak. It is asked of each of their connections.
    pub protocol: ProxyProtocol,
    /// In which header field they name the client.
    pub header: ProxyHeader,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// None.
    #[default]
    None,
    /// The line of text.
    V1,
    /// The binary one.
    V2,
    /// Either.
    Any,
}

/// Header fields that name a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// None.
    #[default]
    None,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What becomes of a connection that sends more than it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// It is closed with 4429.
    #[default]
    Close,
    /// It is not read until it has made up for it.
    Slow,
}

impl Default for AddressConfig {
    fn default() -> Self {
        Self {
            connections_max: limits::ADDRESS_CONNECTIONS_MAX,
            handshakes_per_second_max: limits::ADDRESS_HANDSHAKES_PER_SECOND_MAX,
            handshakes_burst: limits::ADDRESS_HANDSHAKES_BURST,
            auth_failures_per_second_max: limits::ADDRESS_AUTH_FAILURES_PER_SECOND_MAX,
            auth_failures_burst: limits::ADDRESS_AUTH_FAILURES_BURST,
            ipv6_prefix: limits::IPV6_PREFIX,
            entries_max: limits::ADDRESS_ENTRIES_MAX,
            exempt: Network::LOOPBACK.to_vec(),
        }
    }
}

impl Default for UserConfig {
    fn default() -> Self {
        Self { connections_max: crate::limits::USER_CONNECTIONS_MAX }
    }
}

impl AddressConfig {
    /// Whether anything is bounded.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.connections_max > 0 || self.handshakes_per_second_max > 0
    }

    /// The bounds of one of `tables` tables of refused credentials.
    pub(crate) fn failure_bounds(&self, tables: u32) -> Bounds {
        let rate = Rate::new(self.auth_failures_per_second_max, self.auth_failures_burst);
        Bounds { connections_max: 0, rate, ..self.bounds(tables) }
    }

    /// The bounds of one of `tables` tables.
    pub(crate) fn bounds(&self, tables: u32) -> Bounds {
        Bounds {
            connections_max: self.connections_max,
            rate: Rate::new(self.handshakes_per_second_max, self.handshakes_burst),
            entries_max: self.entries_max.div_ceil(tables),
        }
    }
}

impl UserConfig {
    /// The bounds of a table. It has no more entries than there are connections.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            connections_max: self.connections_max,
            rate: Rate::default(),
            entries_max: limits::ENTRIES_CEILING,
        }
    }
}

impl ProxyConfig {
    /// Whether a proxy's word is asked for at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.protocol != ProxyProtocol::None || self.header != ProxyHeader::None
    }
}

impl ConnectionConfig {
    /// What one connection may send in a second.
    pub(crate) fn rates(&self) -> MeterRates {
        MeterRates {
            messages: Rate::new(self.messages_per_second_max, self.messages_burst),
            bytes: Rate::new(self.bytes_per_second_max, self.bytes_burst),
        }
    }
}
