//! Who may connect: so many in all, so many a network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Counters, TcpLimits};

/// The places of all listen addresses together.
#[derive(Debug)]
pub(super) struct Places {
    limits: Arc<TcpLimits>,
    counters: Arc<Counters>,
    /// Taken for a few instructions when a connection begins and when it ends.
    taken: Mutex<Taken>,
}

/// Holds no prefix without a connection, so it is never larger than there are places.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_prefix: HashMap<Prefix, usize>,
}

/// The network that an address belongs to, as far as caps go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Prefix {
    /// The first 24 bits.
    V4(u32),
    /// The first 56 bits.
    V6(u128),
}

impl Prefix {
    fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits() >> 8),
            IpAddr::V6(address) => Self::V6(address.to_bits() >> 72),
        }
    }
}

impl Places {
    pub(super) fn new(limits: Arc<TcpLimits>, counters: Arc<Counters>) -> Self {
        Self {
            limits,
            counters,
            taken: Mutex::default(),
        }
    }

    /// A place for a connection from `peer`, or none.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let prefix = Prefix::of(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_prefix = taken.by_prefix.get(&prefix).copied().unwrap_or_default();
        let (connections, connections_per_prefix) = self.limits.places();
        if taken.all >= connections || of_prefix >= connections_per_prefix {
            self.counters.connections_refused.add(1);
            return None;
        }
        taken.all += 1;
        taken.by_prefix.insert(prefix, of_prefix + 1);
        self.counters.connections_open.add(1);
        Some(Place {
            places: Arc::clone(self),
            prefix,
        })
    }
}

/// A connection's right to be; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    prefix: Prefix,
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(of_prefix) = taken.by_prefix.get_mut(&self.prefix) {
            *of_prefix -= 1;
            if *of_prefix == 0 {
                taken.by_prefix.remove(&self.prefix);
            }
        }
        self.places.counters.connections_open.sub();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::TcpSettings;

    /// Which of `peers`, connecting one after another and staying, find a place.
    fn check(all: usize, per_prefix: usize, peers: &[&str], expected: &[bool]) {
        let settings = TcpSettings {
            connections: all,
            connections_per_prefix: per_prefix,
            ..TcpSettings::default()
        };
        let counters = Arc::<Counters>::default();
        let places = Arc::new(Places::new(
            Arc::new(TcpLimits::new(&settings)),
            Arc::clone(&counters),
        ));
        let taken: Vec<Option<Place>> = peers
            .iter()
            .map(|peer| places.take(peer.parse().expect("an address")))
            .collect();
        let found: Vec<bool> = taken.iter().map(Option::is_some).collect();
        assert_eq!(found, expected, "{peers:?}");

        drop(taken);
        let left = places.taken.lock().expect("not poisoned");
        assert_eq!((left.all, left.by_prefix.len()), (0, 0));
        assert_eq!(counters.read().connections_open, 0);
    }

    #[test]
    fn a_network_is_a_slash_24_or_a_slash_56() {
        check(
            9,
            1,
            &["192.0.2.1", "192.0.2.255", "192.0.3.1"],
            &[true, false, true],
        );
        check(
            9,
            1,
            &[
                "2001:db8:0:100::1",
                "2001:db8:0:1ff::1",
                "2001:db8:0:200::1",
            ],
            &[true, false, true],
        );
    }

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        check(9, 1, &["192.0.2.1", "::ffff:192.0.2.2"], &[true, false]);
    }

    #[test]
    fn all_networks_together_have_a_limit() {
        check(
            2,
            2,
            &["192.0.2.1", "198.51.100.1", "203.0.113.1"],
            &[true, true, false],
        );
    }
}
