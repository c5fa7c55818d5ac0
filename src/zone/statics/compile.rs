//! From record sets to what is answered.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::check::{Finding, Names, RecordSet, SetsOfName, Severity, check};
use super::weights::{Weights, address};
use super::{BelowIt, Delegation, Renaming, Standing, StaticZone};
use crate::wire::{AddressRecord, Body, BodyBuilder, Name, QueryName, Srv, SrvBuilder, rtype};
use crate::zone::master::{self, Read};
use crate::zone::node::{Alias, Drawn, Node, Set};
use crate::zone::sample::Sampler;
use crate::zone::zones::Soa;

impl StaticZone {
    /// The zone at `apex` of what was read, and what is wrong with it; `None` where an error is among that.
    pub fn of(read: &Read, apex: &Name, weights: &Weights) -> (Option<Self>, Vec<Finding>) {
        let (names, mut findings) = check(read, apex);
        findings.extend(weights.check(&names));
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        let zone = match findings.iter().any(is_error) {
            true => None,
            false => compile(&names, apex, weights),
        };
        (zone, findings)
    }
}

/// `None` where there is no SOA record, which was told.
fn compile(names: &Names, apex: &Name, weights: &Weights) -> Option<StaticZone> {
    let soa = names.get(apex)?.get(&rtype::SOA)?;
    let soa = Soa::of_data(soa.records.first()?, soa.ttl)?;
    let labels = apex.labels().count();
    let mut zone = StaticZone {
        name: apex.clone(),
        soa,
        names: HashMap::with_capacity_and_hasher(names.len(), FixedState::default()),
        depth: labels,
        labels,
        records: 0,
        weighted: Vec::new(),
    };
    let compiler = Compiler {
        names,
        apex,
        weights,
    };
    for (name, sets) in names {
        if compiler.is_covered(name) {
            continue;
        }
        let standing = compiler.standing(name, sets, &mut zone.weighted);
        zone.records += sets.values().map(|set| set.records.len()).sum::<usize>();
        zone.depth = zone.depth.max(name.labels().count());
        zone.names.insert(name.as_wire().into(), standing);
        // An ancestor of a name exists without records (RFC 4592, section 2.2.2).
        let mut above = name.parent().filter(|_| name != apex);
        while let Some(over) = above.filter(|over| !zone.names.contains_key(over.as_wire())) {
            if !names.contains_key(&over) {
                zone.names
                    .insert(over.as_wire().into(), Standing::default());
            }
            above = over.parent().filter(|_| over != *apex);
        }
    }
    zone.names.shrink_to_fit();
    Some(zone)
}

struct Compiler<'z> {
    names: &'z Names,
    apex: &'z Name,
    weights: &'z Weights,
}

impl Compiler<'_> {
    /// Below a delegation or a DNAME.
    fn is_covered(&self, name: &Name) -> bool {
        let mut above = name.parent().filter(|_| name != self.apex);
        while let Some(over) = above {
            if let Some(sets) = self.names.get(&over) {
                let is_cut = over != *self.apex && sets.contains_key(&rtype::NS);
                if is_cut || sets.contains_key(&rtype::DNAME) {
                    return true;
                }
            }
            above = over.parent().filter(|_| over != *self.apex);
        }
        false
    }

    fn standing(
        &self,
        name: &Name,
        sets: &SetsOfName,
        weighted: &mut Vec<(Name, u16)>,
    ) -> Standing {
        let delegation = sets.get(&rtype::NS).filter(|_| name != self.apex);
        let renaming = sets.get(&rtype::DNAME).and_then(renaming);
        let below = match (delegation, renaming) {
            (Some(servers), _) => {
                Some(BelowIt::Delegated(Arc::new(self.delegation(name, servers))))
            }
            (None, Some(renaming)) => Some(BelowIt::Renamed(Arc::new(renaming))),
            (None, None) => None,
        };
        let is_answered = |of: u16| match delegation {
            // All else at a delegation is the other side's.
            Some(_) => of == rtype::DS,
            None => of != rtype::SOA,
        };
        let sets = sets.iter().filter(|(of, _)| is_answered(**of));
        let sets = sets.map(|(of, set)| (*of, self.set(name, *of, set, weighted)));
        Standing {
            node: Node::of(sets.collect()),
            below,
        }
    }

    fn set(&self, name: &Name, of: u16, set: &RecordSet, weighted: &mut Vec<(Name, u16)>) -> Set {
        match of {
            rtype::A | rtype::AAAA => self.addresses(name, of, set, weighted),
            rtype::CNAME => match set.records.first().and_then(|data| alias(data, set.ttl)) {
                Some(alias) => Set::Alias(Arc::new(alias)),
                None => fixed(of, set),
            },
            rtype::NS | rtype::MX | rtype::SRV => {
                let records = self.with_glue(of, set, |_| true);
                match records.has_glue() {
                    true => Set::Srv(Arc::new(records)),
                    false => Set::Fixed(Arc::new(records.answers)),
                }
            }
            _ => fixed(of, set),
        }
    }

    /// One alone, chosen by weights, or all of them from a start that moves on.
    fn addresses(
        &self,
        name: &Name,
        of: u16,
        set: &RecordSet,
        weighted: &mut Vec<(Name, u16)>,
    ) -> Set {
        let addresses: Vec<IpAddr> = set
            .records
            .iter()
            .filter_map(|data| address(data))
            .collect();
        if let [only] = addresses.as_slice() {
            return Set::Address(AddressRecord::new(set.ttl, *only));
        }
        let weights = self.weights.names.get(name);
        let weight = |address: &IpAddr| Some((*address, *weights?.addresses.get(address)?));
        let shares: Vec<(IpAddr, u32)> = addresses.iter().filter_map(weight).collect();
        let records = weights.map_or(1, |weights| weights.records);
        let all = |addresses: &[IpAddr]| (addresses.to_vec(), Sampler::all(addresses.len()));
        let (addresses, sampler) = match shares.len() == addresses.len() {
            true => {
                weighted.push((name.clone(), of));
                let served = shares.iter().filter(|(_, weight)| *weight > 0);
                let (served, weights): (Vec<IpAddr>, Vec<u64>) = served
                    .map(|(address, weight)| (*address, u64::from(*weight)))
                    .unzip();
                match served.is_empty() {
                    // Where nothing weighs anything, all are equal, and none is lost.
                    true => all(&addresses),
                    false => (served, Sampler::mixed(&weights, records)),
                }
            }
            false => all(&addresses),
        };
        let mut body = BodyBuilder::default();
        for address in &addresses {
            body.push_address(set.ttl, *address);
        }
        Set::Drawn(Arc::new(Drawn {
            body: body.build(),
            sampler,
            slot: None,
            counts: Box::default(),
        }))
    }

    fn delegation(&self, cut: &Name, servers: &RecordSet) -> Delegation {
        let records = self.with_glue(rtype::NS, servers, |target| target.is_within(cut));
        let inside = servers.records.iter().filter_map(|data| {
            let (target, _) = master::target(rtype::NS, data)?;
            let is_needed = target.is_within(cut) && !self.glue(&target).is_empty();
            is_needed.then_some(target)
        });
        Delegation {
            required: inside.count(),
            records,
        }
    }

    /// Records with the addresses of their targets, those first whose target is `first`.
    fn with_glue(&self, of: u16, set: &RecordSet, first: impl Fn(&Name) -> bool) -> Srv {
        let records = set.records.iter().map(|data| {
            let target = master::target(of, data);
            (data, target.map(|(name, range)| (name, range.start)))
        });
        let mut records: Vec<_> = records.collect();
        records.sort_by_key(|(_, target)| !target.as_ref().is_some_and(|(name, _)| first(name)));
        let mut builder = SrvBuilder::default();
        let mut given: BTreeSet<Name> = BTreeSet::new();
        for (data, target) in records {
            let (at, glue) = match target {
                Some((name, at)) if !given.contains(&name) => {
                    let glue = self.glue(&name);
                    given.insert(name);
                    (at, glue)
                }
                _ => (0, Vec::new()),
            };
            builder.push_record(of, set.ttl, data, at, &glue);
        }
        builder.build()
    }

    /// The addresses that this zone knows of a name, glue or not.
    fn glue(&self, target: &Name) -> Vec<(u32, IpAddr)> {
        let sets = self.names.get(target).into_iter();
        let sets = sets.flat_map(|sets| [rtype::A, rtype::AAAA].map(|of| sets.get(&of)));
        let records = sets.flatten().flat_map(|set| {
            let addresses = set.records.iter().filter_map(|data| address(data));
            addresses.map(|address| (set.ttl, address))
        });
        records.collect()
    }
}

fn fixed(of: u16, set: &RecordSet) -> Set {
    let mut body = BodyBuilder::default();
    for data in &set.records {
        body.push(of, set.ttl, data);
    }
    Set::Fixed(Arc::new(body.build()))
}

fn alias(data: &[u8], ttl: u32) -> Option<Alias> {
    let (target, _) = master::target(rtype::CNAME, data)?;
    Some(Alias {
        body: one(rtype::CNAME, ttl, data),
        ..Alias::to(&target, ttl)
    })
}

fn renaming(set: &RecordSet) -> Option<Renaming> {
    let data = set.records.first()?;
    let (target, _) = master::target(rtype::DNAME, data)?;
    Some(Renaming {
        body: one(rtype::DNAME, set.ttl, data),
        ttl: set.ttl,
        target: QueryName::from(&target),
    })
}

fn one(of: u16, ttl: u32, data: &[u8]) -> Body {
    let mut body = BodyBuilder::default();
    body.push(of, ttl, data);
    body.build()
}
