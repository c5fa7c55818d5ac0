//! The client subnet option (RFC 7871): for whom a resolver asks.
//!
//! ```text
//!   | family 2 | source prefix 1 | scope prefix 1 | as many octets of the address as the source prefix has |
//! ```
//! It is read where an answer depends on it, and nowhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::u16_at;

/// Family, and both prefixes.
const HEAD_LEN: usize = 4;

/// A part of the network: an address, and how many of its bits are known. The others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSubnet {
    /// The address.
    pub address: IpAddr,
    /// The number of its bits that the resolver tells; 0 where it tells nothing.
    pub source: u8,
}

/// The option says what no client says: a prefix longer than an address, or octets that do not fit to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedSubnet;

impl ClientSubnet {
    /// Reads the option's data; `None` for a family that is neither IPv4 nor IPv6, which nothing is known of.
    ///
    /// # Errors
    /// What RFC 7871, section 6, calls an error of format: too few or too many octets for the source prefix, bits set
    /// beyond it, a scope in a query.
    pub fn read(data: &[u8]) -> Result<Option<Self>, MalformedSubnet> {
        let family = u16_at(data, 0).ok_or(MalformedSubnet)?;
        let &[_, _, source, scope, ref octets @ ..] = data else {
            return Err(MalformedSubnet);
        };
        let len = match family {
            1 => 4,
            2 => 16,
            _ => return Ok(None),
        };
        let told = usize::from(source).div_ceil(8);
        if scope != 0 || told > len || octets.len() != told {
            return Err(MalformedSubnet);
        }
        let mut whole = [0; 16];
        for (to, from) in whole.iter_mut().zip(octets) {
            *to = *from;
        }
        let bits = u128::from_be_bytes(whole);
        if bits.checked_shl(source.into()).unwrap_or(0) != 0 {
            return Err(MalformedSubnet);
        }
        let address = match len {
            4 => Ipv4Addr::from_bits((bits >> 96) as u32).into(),
            _ => Ipv6Addr::from_bits(bits).into(),
        };
        Ok(Some(Self { address, source }))
    }

    /// The length of the option's data.
    pub(super) fn len(self) -> usize {
        HEAD_LEN + usize::from(self.source).div_ceil(8)
    }

    /// Adds the option's data to an answer: the scope is the source's, since no fewer bits were looked at.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let (family, octets): (u8, &[u8]) = match &self.address {
            IpAddr::V4(address) => (1, &address.octets()),
            IpAddr::V6(address) => (2, &address.octets()),
        };
        out.extend_from_slice(&[0, family, self.source, self.source]);
        let told = usize::from(self.source).div_ceil(8);
        out.extend_from_slice(octets.get(..told).unwrap_or(octets));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &[u8], expected: Result<Option<(&str, u8)>, MalformedSubnet>) {
        let expected = expected.map(|told| {
            told.map(|(address, source)| ClientSubnet {
                address: address.parse().unwrap(),
                source,
            })
        });
        let got = ClientSubnet::read(data);
        assert_eq!(got, expected, "{data:?}");
        // What is read is written again, with its own prefix as the scope.
        if let Ok(Some(subnet)) = got {
            let mut echoed = Vec::new();
            subnet.write(&mut echoed);
            assert_eq!(echoed.len(), subnet.len());
            assert_eq!(echoed[3], echoed[2]);
            echoed[3] = 0;
            assert_eq!(echoed, data);
        }
    }

    #[test]
    fn an_address_has_the_octets_of_its_prefix() {
        check(&[0, 1, 24, 0, 10, 1, 2], Ok(Some(("10.1.2.0", 24))));
        check(&[0, 1, 32, 0, 10, 1, 2, 3], Ok(Some(("10.1.2.3", 32))));
        check(&[0, 1, 9, 0, 10, 0x80], Ok(Some(("10.128.0.0", 9))));
        check(&[0, 1, 0, 0], Ok(Some(("0.0.0.0", 0))));
        check(&[0, 2, 16, 0, 0xFD, 0], Ok(Some(("fd00::", 16))));
        check(&[0, 2, 0, 0], Ok(Some(("::", 0))));
        let whole: Vec<u8> = (1..=16).collect();
        let data = [&[0, 2, 128, 0], &whole[..]].concat();
        let address = "102:304:506:708:90a:b0c:d0e:f10";
        check(&data, Ok(Some((address, 128))));
    }

    #[test]
    fn what_does_not_fit_together_is_malformed() {
        for data in [
            &[][..],
            &[0, 1, 24],
            // Too few octets, too many, and bits beyond the prefix.
            &[0, 1, 24, 0, 10, 1],
            &[0, 1, 24, 0, 10, 1, 2, 0],
            &[0, 1, 9, 0, 10, 0xC0],
            &[0, 1, 0, 0, 0],
            // Longer than an address; a scope in a query.
            &[0, 1, 33, 0, 10, 1, 2, 3, 0],
            &[0, 2, 255, 0],
            &[0, 1, 24, 24, 10, 1, 2],
        ] {
            check(data, Err(MalformedSubnet));
        }
    }

    #[test]
    fn other_families_tell_nothing() {
        check(&[0, 0, 0, 0], Ok(None));
        check(&[0, 3, 200, 7, 1, 2, 3], Ok(None));
    }
}
