//! Reverse names: which services claim an address, and what its PTR set is.
//!
//! An address may stand behind several services: its reverse name has a PTR for each. A cluster IP belongs to
//! one: if two Services claim it, the older one has it (then the smaller name), and endpoints at that address
//! have none, so nobody adds a record to another's address by writing a slice.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::ServiceKey;
use crate::records::Reverse;
use crate::wire::Name;
use crate::zone::{Node, pointer_node};

/// Who claims which address.
#[derive(Debug, Default)]
pub(super) struct ReverseNames(BTreeMap<IpAddr, Vec<Claim>>);

/// A claim: sorted by age of the service, then by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    /// Cluster IPs come first.
    endpoint: bool,
    created: Option<Timestamp>,
    key: ServiceKey,
    host: Option<Arc<str>>,
}

/// What one service claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// When the service was created: the older of two has a cluster IP.
    pub(super) created: Option<Timestamp>,
    /// Sorted, each once.
    pub(super) list: Vec<Reverse>,
}

impl Claims {
    /// Those that `other` does not make, or makes as a service of another age.
    fn not_in<'c>(&'c self, other: &'c Self) -> impl Iterator<Item = &'c Reverse> {
        let aged = self.created != other.created;
        let claims = self.list.iter();
        claims.filter(move |claim| aged || other.list.binary_search(claim).is_err())
    }
}

impl ReverseNames {
    /// Replaces the claims of a service; returns the addresses it touched.
    pub(super) fn replace(
        &mut self,
        key: &ServiceKey,
        before: &Claims,
        after: &Claims,
    ) -> Vec<IpAddr> {
        let mut touched: Vec<IpAddr> = Vec::new();
        for gone in before.not_in(after) {
            if let Some(claims) = self.0.get_mut(&gone.address) {
                claims.retain(|claim| claim.key != *key || claim.host != gone.host);
                if claims.is_empty() {
                    self.0.remove(&gone.address);
                }
                touched.push(gone.address);
            }
        }
        for new in after.not_in(before) {
            let claims = self.0.entry(new.address).or_default();
            claims.push(Claim {
                endpoint: new.host.is_some(),
                created: after.created,
                key: key.clone(),
                host: new.host.clone(),
            });
            claims.sort();
            touched.push(new.address);
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// All addresses that are claimed.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.keys().copied()
    }

    /// The PTR set of an address; `None` if nobody claims it. Targets lie in the zone `origin`.
    pub(super) fn node(&self, address: IpAddr, origin: &Name, ttl: u32) -> Option<Node> {
        let claims = self.0.get(&address)?;
        let owned = claims.first().is_some_and(|claim| !claim.endpoint);
        let shown = if owned { claims.get(..1)? } else { claims };
        let targets: Vec<Name> = shown
            .iter()
            .filter_map(|claim| target(claim, origin))
            .collect();
        (!targets.is_empty()).then(|| pointer_node(&targets, ttl))
    }
}

fn target(claim: &Claim, origin: &Name) -> Option<Name> {
    let ServiceKey { namespace, name } = &claim.key;
    let host = claim.host.iter().map(|host| host.as_bytes());
    let service = [name.as_bytes(), namespace.as_bytes(), b"svc"];
    origin.below(host.chain(service)).ok()
}
