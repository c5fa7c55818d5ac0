//! Hosts: the names of single targets below a service.
//!
//! Most of them are called by their one IPv4 address, with dashes. Of such a host nothing is kept but that address: its
//! label and its record are made of it, so that a hundred thousand of them fit where their labels alone would not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::addresses::address_sets;
use super::encode::shared;
use super::node::{Found, Labelled, Sets, get};
use crate::records::Host;

/// The hosts of a service; shared with the node that comes after, where they stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts {
    /// The time to live of those called by their address.
    ttl: u32,
    /// Those called by their address and having no other, sorted.
    addresses: Arc<[Ipv4Addr]>,
    /// All others, sorted by label.
    named: Labelled<Sets>,
}

impl Hosts {
    pub(super) fn new<'h>(hosts: impl Iterator<Item = &'h Host>, ttl: u32) -> Self {
        let (mut addresses, mut named) = (Vec::new(), Vec::new());
        for host in hosts {
            match (&*host.addresses, read_label(host.label.as_bytes())) {
                ([IpAddr::V4(only)], Some(address)) if *only == address => addresses.push(address),
                (all, _) => {
                    let label = host.label.to_ascii_lowercase().into_bytes();
                    named.push((label.into(), Sets::new(address_sets(all, ttl))));
                }
            }
        }
        addresses.sort_unstable();
        named.sort_by(|(one, _): &(Box<[u8]>, _), (other, _)| one.cmp(other));
        Self {
            ttl,
            addresses: shared(addresses),
            named: shared(named),
        }
    }

    /// What stands at a label.
    pub(super) fn find(&self, label: &[u8]) -> Option<Found<'_>> {
        if let Some(sets) = get(&self.named, label) {
            return Some(Found::Host(sets));
        }
        let address = read_label(label)?;
        self.addresses.binary_search(&address).ok()?;
        let ttl = self.ttl;
        Some(Found::Address { address, ttl })
    }
}

/// The address of a label that [`crate::records::address_label`] makes of one, and of no other: without zeros in front.
fn read_label(label: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = label.split(|octet| *octet == b'-');
    for octet in &mut octets {
        *octet = read_octet(parts.next()?)?;
    }
    parts.next().is_none().then(|| octets.into())
}

fn read_octet(digits: &[u8]) -> Option<u8> {
    let has_leading_zero = matches!(digits, [b'0', _, ..]);
    if digits.is_empty() || has_leading_zero {
        return None;
    }
    digits.iter().try_fold(0_u8, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::address_label;

    #[test]
    fn a_label_is_read_as_it_is_written_and_no_other_is() {
        for octets in [[0, 0, 0, 0], [10, 1, 20, 255], [255, 255, 255, 255]] {
            let address = Ipv4Addr::from(octets);
            let label = address_label(address.into());
            assert_eq!(read_label(label.as_bytes()), Some(address));
        }
        for label in [
            "",
            "10",
            "10-1-2",
            "10-1-2-",
            "-10-1-2-3",
            "10-1-2-3-4",
            "10-1-2-03",
            "10-1-2-256",
            "10-1-2-+3",
            "10-1-2-a",
            "10.1.2.3",
            "00-0-0-0",
        ] {
            assert_eq!(read_label(label.as_bytes()), None, "{label}");
        }
    }

    /// `named` stands for its addresses; `by address` is one that is kept as an address alone.
    #[test]
    fn only_a_host_called_by_its_one_address_is_kept_as_that() {
        let host = |label: &str, addresses: &[&str]| Host {
            label: label.into(),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            is_second: false,
        };
        let hosts = [
            host("10-0-0-2", &["10.0.0.2"]),
            host("10-0-0-1", &["10.0.0.1"]),
            host("10-0-0-9", &["10.0.0.8"]),
            host("2001-db8--1", &["2001:db8::1"]),
            host("db-0", &["10.0.0.3", "2001:db8::3"]),
        ];
        let hosts = Hosts::new(hosts.iter(), 5);
        let shown = |label: &str| match hosts.find(label.as_bytes()) {
            Some(Found::Address { address, ttl }) => format!("{address} {ttl}"),
            Some(Found::Host(sets)) => format!("{} sets", sets.types().count()),
            other => format!("{other:?}"),
        };
        for (label, expected) in [
            ("10-0-0-1", "10.0.0.1 5"),
            ("10-0-0-2", "10.0.0.2 5"),
            ("10-0-0-9", "1 sets"),
            ("10-0-0-8", "None"),
            ("2001-db8--1", "1 sets"),
            ("db-0", "2 sets"),
        ] {
            assert_eq!(shown(label), expected, "{label}");
        }
    }
}
