//! What of an address is counted as one.

use std::net::IpAddr;

/// What an address is counted under: of IPv4 the address, of IPv6 its first `ipv6_prefix` bits (a
/// subscriber has a whole network to choose from). IPv4 in IPv6's clothes is IPv4.
#[must_use]
pub fn address_key(address: IpAddr, ipv6_prefix: u8) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => {
            let prefix = u32::from(ipv6_prefix.min(128));
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            v6.to_bits() & mask
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, prefix: u8) -> u128 {
        address_key(text.parse().expect(text), prefix)
    }

    #[test]
    fn a_whole_64_is_one_and_mapped_addresses_are_ipv4() {
        assert_eq!(key("2001:db8::1", 64), key("2001:db8::ffff:0:1", 64));
        assert_ne!(key("2001:db8::1", 64), key("2001:db8:0:1::1", 64));
        assert_ne!(key("2001:db8::1", 128), key("2001:db8::2", 128));
        assert_eq!(key("2001:db8::1", 0), key("::1", 0));
        assert_eq!(key("192.0.2.1", 64), key("::ffff:192.0.2.1", 64));
        assert_ne!(key("192.0.2.1", 64), key("192.0.2.2", 64));
        // A network of IPv6 in which mapped addresses would lie is not theirs.
        assert_ne!(key("192.0.2.1", 64), key("::1", 64));
    }
}
