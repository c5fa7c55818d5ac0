//! Reverse names: which zones a range of addresses is, and which range a name stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::wire::{Name, QueryName};

/// Whether a reverse name, `below` labels below an apex, is of an address in these ranges, or leads to one.
pub(super) fn are_in(ranges: &[IpNet], name: &QueryName, below: usize) -> bool {
    below == 0
        || match reverse_range(name) {
            Some((asked, true)) => touches(ranges, asked),
            Some((above, false)) => ranges.iter().any(|range| range.contains(&above)),
            None => false,
        }
}

/// Whether the range asked lies in one of ours, or is an ancestor of one.
fn touches(ranges: &[IpNet], asked: IpNet) -> bool {
    ranges
        .iter()
        .any(|range| range.contains(&asked) || asked.contains(range))
}

/// A reverse zone: its apex, and the ranges of it that are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reverse {
    /// The apex.
    pub name: Name,
    /// The ranges.
    pub ranges: Vec<IpNet>,
}

/// The reverse zones of `cidrs`.
///
/// A range that ends on an octet (IPv6: a nibble) is one zone. One that does not is several of the next length,
/// all inside it: `10.96.0.0/12` is the sixteen zones `96.10.in-addr.arpa` to `111.10.in-addr.arpa`. Inside a
/// single `/24` (a range of /25 to /31) that would make a zone of each address; it is the covering zone, of
/// which only the names in the range are ours.
pub fn reverse_zones(cidrs: &[IpNet]) -> Vec<Reverse> {
    let mut zones: Vec<Reverse> = Vec::new();
    for cidr in cidrs {
        let (step, last) = match cidr {
            IpNet::V4(_) => (8, 24),
            IpNet::V6(_) => (4, 128),
        };
        let rounded = cidr.prefix_len().div_ceil(step) * step;
        let apexes: Vec<IpNet> = match cidr {
            IpNet::V4(v4) if rounded > last && v4.prefix_len() < 32 => {
                vec![IpNet::new(cidr.network(), last).map_or(*cidr, |net| net.trunc())]
            }
            _ => cidr
                .subnets(rounded)
                .map_or_else(|_| vec![*cidr], Iterator::collect),
        };
        for apex in apexes {
            let Some(name) = range_name(&apex) else {
                continue;
            };
            match zones.iter_mut().find(|zone| zone.name == name) {
                Some(zone) => zone.ranges.push(*cidr),
                None => zones.push(Reverse {
                    name,
                    ranges: vec![*cidr],
                }),
            }
        }
    }
    zones
}

/// The reverse name of an address (RFC 1035, section 3.5; RFC 3596, section 2.5).
pub fn reverse_name(address: IpAddr) -> Option<Name> {
    range_name(&IpNet::from(address))
}

/// The reverse name of a range that ends on an octet or nibble.
fn range_name(range: &IpNet) -> Option<Name> {
    let prefix = usize::from(range.prefix_len());
    let text = match range.network() {
        IpAddr::V4(address) => {
            let octets = address.octets().into_iter().take(prefix / 8);
            let labels: Vec<String> = octets.map(|octet| octet.to_string()).collect();
            labels
                .into_iter()
                .rev()
                .chain(["in-addr.arpa".to_owned()])
                .collect::<Vec<_>>()
        }
        IpAddr::V6(address) => {
            let nibbles = address
                .octets()
                .into_iter()
                .flat_map(|octet| [octet >> 4, octet & 15]);
            let labels: Vec<String> = nibbles.take(prefix / 4).map(|n| format!("{n:x}")).collect();
            labels
                .into_iter()
                .rev()
                .chain(["ip6.arpa".to_owned()])
                .collect::<Vec<_>>()
        }
    };
    Name::parse(&text.join(".")).ok()
}

/// The range that a reverse name stands for, and `true`; or that of the nearest name above it that stands for one, and
/// `false`: `lb._dns-sd._udp.0.96.10.in-addr.arpa` is a name like any other below the range 10.96.0.0/24.
fn reverse_range(name: &QueryName) -> Option<(IpNet, bool)> {
    let count = name.label_count();
    let top = [name.label(count.checked_sub(2)?), name.label(count - 1)];
    let digits = (0..count - 2).rev().map(|index| name.label(index));
    let mut octets = [0_u8; 16];
    let mut len = 0_usize;
    let range = match top {
        [b"in-addr", b"arpa"] => {
            for (octet, label) in octets.iter_mut().zip(digits.take(4)) {
                let text = std::str::from_utf8(label).ok();
                let Some(value) = text.and_then(|text| text.parse().ok()) else {
                    break;
                };
                *octet = value;
                len += 1;
            }
            let [a, b, c, d, ..] = octets;
            let address = Ipv4Addr::new(a, b, c, d);
            IpNet::new(address.into(), u8::try_from(len * 8).ok()?).ok()?
        }
        [b"ip6", b"arpa"] => {
            for label in digits.take(32) {
                let digit = match label {
                    [digit] => char::from(*digit).to_digit(16),
                    _ => None,
                };
                let Some(nibble) = digit.and_then(|digit| u8::try_from(digit).ok()) else {
                    break;
                };
                let shift = if len.is_multiple_of(2) { 4 } else { 0 };
                *octets.get_mut(len / 2)? |= nibble << shift;
                len += 1;
            }
            let address = Ipv6Addr::from(octets);
            IpNet::new(address.into(), u8::try_from(len * 4).ok()?).ok()?
        }
        _ => return None,
    };
    Some((range, len == count - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_reverse(cidr: &str, expected: &[&str]) {
        let zones = reverse_zones(&[cidr.parse().unwrap()]);
        let names: Vec<String> = zones.iter().map(|zone| zone.name.to_string()).collect();
        assert_eq!(names, expected, "{cidr}");
    }

    #[test]
    fn reverse_zones_lie_inside_their_range() {
        check_reverse("10.96.0.0/16", &["96.10.in-addr.arpa."]);
        check_reverse("10.0.0.0/8", &["10.in-addr.arpa."]);
        check_reverse(
            "10.96.0.0/15",
            &["96.10.in-addr.arpa.", "97.10.in-addr.arpa."],
        );
        check_reverse(
            "10.1.2.0/23",
            &["2.1.10.in-addr.arpa.", "3.1.10.in-addr.arpa."],
        );
        check_reverse("10.1.2.128/25", &["2.1.10.in-addr.arpa."]);
        check_reverse("fd00:10:96::/48", &["6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa."]);
        check_reverse("fd00::/7", &["c.f.ip6.arpa.", "d.f.ip6.arpa."]);
    }
}
