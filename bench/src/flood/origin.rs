//! Where attackers come from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use eyre::{Result, WrapErr, ensure, eyre};

use crate::random::SplitMix64;

/// One address, or a network of which each connection takes one by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    address: IpAddr,
    prefix_bits: u8,
}

impl Origin {
    /// The address of the next connection.
    pub(super) fn address(&self, random: &mut SplitMix64) -> Option<IpAddr> {
        let host = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        Some(match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shr(self.prefix_bits.into()).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & !mask | host as u32 & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shr(self.prefix_bits.into()).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & !mask | host & mask).into()
            }
        })
    }
}

impl FromStr for Origin {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let wrong = || eyre!("{text:?} is no address or network: 127.1.0.1, 127.1.0.0/16");
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Ok(bits_max), str::parse).wrap_err_with(wrong)?;
        ensure!(prefix_bits <= bits_max, "{text:?}: a prefix has at most {bits_max} bits");
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_network() {
        let mut random = SplitMix64::new(1);
        let mut of = |text: &str| text.parse::<Origin>().unwrap().address(&mut random).unwrap();
        assert_eq!(of("127.1.0.1").to_string(), "127.1.0.1");
        let (one, other) = (of("127.1.0.0/16").to_string(), of("127.1.0.0/16").to_string());
        assert!(one.starts_with("127.1.") && other.starts_with("127.1.") && one != other);
        let (one, other) = (of("2001:db8:7:1::/64"), of("2001:db8:7:1::/64"));
        assert!(one.to_string().starts_with("2001:db8:7:1:") && one != other, "{one} {other}");
        assert_ne!(of("0.0.0.0/0"), of("0.0.0.0/0"));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in ["", "localhost", "127.1.0.0/33", "127.1.0.0/x", "::/129"] {
            let error = format!("{:#}", wrong.parse::<Origin>().unwrap_err());
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
