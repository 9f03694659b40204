//! Networks, as settings name them: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One network. Of IPv4 addresses that are written in IPv6 (`::ffff:10.0.0.1`) the IPv4 address
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// What is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: write 10.0.0.0/8, 2001:db8::/32 or one address, without host bits")]
pub struct NetworkError(String);

impl Network {
    /// This machine's own addresses.
    pub const LOOPBACK: [Self; 2] = [
        Self(IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8))),
        Self(IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128))),
    ];

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether it is all of IPv4, or all of IPv6.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

/// Whether the address lies in any of these.
#[must_use]
pub fn any_contains(networks: &[Network], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.0.contains(&address))
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse().map_err(|_| wrong())?,
        };
        // With host bits, one of the two numbers is a slip of the pen: which one is not for us to
        // say. A network of mapped addresses would never match: they count as IPv4.
        let is_mapped = matches!(network, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some());
        if network.addr() != network.network() || is_mapped {
            return Err(wrong());
        }
        Ok(Self(network))
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        let ten = network("10.0.0.0/8");
        for (address, inside) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.0", false),
            ("::10.1.2.3", false),
            ("::1", false),
        ] {
            assert_eq!(ten.contains(address.parse().expect(address)), inside, "{address}");
        }
        assert!(network("::ffff:10.0.0.1").contains("10.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn what_is_no_network_is_said() {
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "::/129", "a", "::ffff:0:0/96"] {
            let error = text.parse::<Network>().expect_err(text).to_string();
            assert!(
                error.contains(&format!("{text:?}")) && error.contains("10.0.0.0/8"),
                "{error}"
            );
        }
        assert_eq!(network("::1").to_string(), "::1/128");
        assert!(network("0.0.0.0/0").is_everything() && !network("0.0.0.0/1").is_everything());
    }
}
