//! Address sets, encoded: how each is answered, and what each of its records weighs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::kept::{Kept, Sticky};
use super::node::{Drawn, Set};
use super::sample::Sampler;
use super::weights::{Group, record_weights};
use crate::model::Family;
use crate::records::{self, Addresses, Choice, Member};
use crate::wire::{AddressRecord, Body, BodyBuilder, Glue, Srv, rtype};

/// `counts` are the slots that count the answers of each version.
pub(super) fn encode_addresses(
    addresses: &Addresses,
    ttl: u32,
    slot: Option<u32>,
    counts: &[u32],
) -> Set {
    let uncounted = addresses.choice == Choice::Fixed || counts.is_empty();
    if let ([only], true) = (&*addresses.members, uncounted) {
        return Set::Address(AddressRecord::new(ttl, only.address));
    }
    let (members, sampler) = sampled(addresses);
    let octets = |member: &&Member| if member.address.is_ipv4() { 4 } else { 16 };
    let mut body = BodyBuilder::with_capacity(members.len(), members.iter().map(octets).sum());
    for member in &members {
        body.push_address(ttl, member.address);
    }
    let body = body.build();
    let Some(sampler) = sampler else {
        return Set::Fixed(Arc::new(body));
    };
    let counts = members
        .iter()
        .filter_map(|member| counts.get(usize::from(member.version)).copied())
        .collect();
    Set::Drawn(Arc::new(Drawn {
        body,
        sampler,
        slot,
        counts,
    }))
}

/// A drawn set of which nothing but shares moved since it was encoded as `known`.
pub(super) fn redrawn(known: &Set, addresses: &Addresses) -> Set {
    match (known, sampled(addresses)) {
        (Set::Drawn(known), (_, Some(sampler))) => Set::Drawn(Arc::new(Drawn {
            body: known.body.clone(),
            sampler,
            slot: known.slot,
            counts: known.counts.clone(),
        })),
        _ => known.clone(),
    }
}

/// The records of a set, and how answers are drawn from them.
fn sampled(addresses: &Addresses) -> (Vec<&Member>, Option<Sampler>) {
    let mut members: Vec<&Member> = addresses.members.iter().collect();
    let sampler = match &addresses.choice {
        Choice::Fixed => None,
        Choice::Rotated => Some(Sampler::all(members.len())),
        Choice::Mixed { shares, records } => {
            let weights = by_version(addresses, shares, record_weights);
            let weights = merge_addresses(&mut members, weights);
            Some(Sampler::mixed(&weights, *records))
        }
        Choice::Pure { shares, records } => Some(by_version(addresses, shares, |groups| {
            Sampler::pure(groups, *records)
        })),
    };
    (members, sampler)
}

/// Hands the members' factors to `weigh`, a group for each run of members of one version: members are ordered by
/// version, so the groups' records are the members. Every version has its share, which `shares` tells.
fn by_version<T>(
    addresses: &Addresses,
    shares: &[(u16, u32)],
    weigh: impl FnOnce(&[Group<'_>]) -> T,
) -> T {
    let factors: Vec<u8> = addresses.members.iter().map(|m| m.factor).collect();
    let mut rest: &[u8] = &factors;
    let runs = addresses.members.chunk_by(|a, b| a.version == b.version);
    let groups: Vec<Group<'_>> = runs
        .map(|run| {
            let (factors, behind) = rest.split_at(run.len());
            rest = behind;
            let version = run.first().map(|member| member.version);
            let share = shares.iter().find(|(of, _)| Some(*of) == version);
            Group {
                share: share.map_or(0, |(_, share)| u64::from(*share)),
                factors,
            }
        })
        .collect();
    weigh(&groups)
}

/// Makes one member of those of one address, with the sum of their weights: a sample across versions must not hold
/// a record twice (RFC 2181, section 5). It is counted as the first one's version.
fn merge_addresses(members: &mut Vec<&Member>, weights: Vec<u64>) -> Vec<u64> {
    let mut places: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let mut merged: Vec<u64> = Vec::with_capacity(weights.len());
    let mut weights = weights.into_iter();
    members.retain(|member| {
        let weight = weights.next().unwrap_or(0);
        let place = *places.entry(member.address).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(sum) => {
                *sum += weight;
                false
            }
            None => {
                merged.push(weight);
                true
            }
        }
    });
    merged
}

/// The addresses of one family, of which a client keeps one target's; `None` if there are none.
pub(super) fn kept_addresses(
    sticky: &records::Sticky,
    family: Family,
    ttl: u32,
    counts: &[u32],
) -> Option<Set> {
    let mut body = BodyBuilder::default();
    let sticky = Sticky::new(sticky, counts, |target| {
        let mut count = 0;
        let mut seen: Vec<IpAddr> = Vec::with_capacity(1);
        for address in &target.addresses {
            if Family::of(*address) == family && !seen.contains(address) {
                body.push_address(ttl, *address);
                seen.push(*address);
                count += 1;
            }
        }
        count
    })?;
    let records = Srv {
        answers: body.build(),
        glue: Glue::default(),
    };
    Some(Set::Kept(Arc::new(Kept { sticky, records })))
}

/// Address sets in the order given, one a family.
pub(super) fn address_sets(addresses: &[IpAddr], ttl: u32) -> Vec<(u16, Set)> {
    family_sets(addresses, ttl, |body| Set::Fixed(Arc::new(body)))
}

/// Address sets of which any record may come first, one a family; all turn by the worker's common draw.
pub(super) fn rotated_sets(addresses: &[IpAddr], ttl: u32) -> Vec<(u16, Set)> {
    family_sets(addresses, ttl, |body| {
        let sampler = Sampler::all(body.count());
        Set::Drawn(Arc::new(Drawn {
            body,
            sampler,
            slot: None,
            counts: Box::default(),
        }))
    })
}

/// One set a family: a single address in place, `several` of more.
fn family_sets(addresses: &[IpAddr], ttl: u32, several: impl Fn(Body) -> Set) -> Vec<(u16, Set)> {
    let family = |(of, v4): (u16, bool)| {
        let mut addresses = addresses.iter().filter(|address| address.is_ipv4() == v4);
        let first = addresses.next()?;
        let Some(second) = addresses.next() else {
            return Some((of, Set::Address(AddressRecord::new(ttl, *first))));
        };
        let mut body = BodyBuilder::default();
        for address in [first, second].into_iter().chain(addresses) {
            body.push_address(ttl, *address);
        }
        Some((of, several(body.build())))
    };
    let families = [(rtype::A, true), (rtype::AAAA, false)];
    families.into_iter().filter_map(family).collect()
}
