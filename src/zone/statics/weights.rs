//! Weights of a static zone's addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::check::{Finding, Names, Severity};
use crate::model::Origin;
use crate::wire::{Name, rtype};

/// The weights of a zone's names, and where they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// By name.
    pub names: BTreeMap<Name, Weighted>,
}

/// The weights of one name's addresses; A and AAAA records are chosen apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// Where it stands.
    pub origin: Option<Origin>,
    /// How many records an answer has at the most.
    pub records: u8,
    /// Each address of a family that has any here. Zero: not answered while another of the family weighs more.
    pub addresses: BTreeMap<IpAddr, u32>,
}

impl Weights {
    /// What of them fits no record of the zone.
    pub(super) fn check(&self, names: &Names) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, weighted) in &self.names {
            let mut find = |text: String| {
                findings.push(Finding {
                    origin: weighted.origin.clone(),
                    severity: Severity::Error,
                    text,
                });
            };
            let Some(sets) = names.get(name) else {
                find(format!("`{name}` has weights and no records in the zone"));
                continue;
            };
            let of = |of: u16| {
                let records = sets.get(&of).map_or(&[][..], |set| &set.records);
                records.iter().filter_map(|data| address(data))
            };
            let there: BTreeSet<IpAddr> = of(rtype::A).chain(of(rtype::AAAA)).collect();
            for address in weighted
                .addresses
                .keys()
                .filter(|address| !there.contains(address))
            {
                find(format!(
                    "`{name}` has a weight for {address} and no such record"
                ));
            }
            // Nobody can tell what an address that was forgotten should weigh.
            for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
                let has_any = weighted.addresses.keys().any(family);
                let forgotten = there.iter().filter(|address| family(address));
                for address in forgotten
                    .filter(|address| has_any && !weighted.addresses.contains_key(*address))
                {
                    find(format!("`{name}` has weights, and none for {address}"));
                }
            }
        }
        findings
    }
}

/// The address of an A or AAAA record.
pub(super) fn address(data: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(data).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(data).ok().map(IpAddr::from))
}
