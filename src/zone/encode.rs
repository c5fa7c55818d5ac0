//! Encoding: the records of a service become its Node in one zone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::node::{Below, Drawn, Labelled, Node, Set, Sets, ViewNode};
use super::sample::{Sampler, endpoint_weights, srv_weights};
use crate::model::{Problem, ServiceKey};
use crate::records::{self, Addresses, Choice, Content, Names, Records, SrvTarget, View};
use crate::wire::{AddressRecord, Body, BodyBuilder, Name, QueryName, Srv, SrvBuilder, rtype};

/// SRV sets stay below this many octets, so that header, question and OPT still fit in a message of 65,535.
const SRV_BYTES_MAX: usize = 65_000;
/// A string of a TXT record (RFC 1035, section 3.3.14).
const STRING_LEN_MAX: usize = 255;

/// Slots of a service: where its draws and its answers are counted. They outlive generations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// The draws of its A set; `None` leaves it to the worker's common draw.
    pub a: Option<u32>,
    /// The draws of its AAAA set: apart, else a client that asks for both would rotate them in step.
    pub aaaa: Option<u32>,
    /// By version: the count of answers in which it comes first.
    pub versions: Vec<u32>,
}

/// A Node, and what could not be put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The name of the service in the zone.
    pub name: Name,
    /// `None`: the service has no names.
    pub node: Option<Node>,
    /// What was left out.
    pub problems: Vec<Problem>,
}

/// The name of a service in the zone `origin`; `None` if it does not fit in a DNS name there.
pub fn service_name(key: &ServiceKey, origin: &Name) -> Option<Name> {
    let ServiceKey { namespace, name } = key;
    let labels = [name.as_bytes(), namespace.as_bytes(), b"svc"];
    origin.below(labels).ok()
}

/// Encodes `records` for the zone `origin`; `None` if the service's name does not fit in a DNS name there.
/// `generation` is the one that last changed them: what `_rollout` tells.
pub fn encode(records: &Records, origin: &Name, slots: &Slots, generation: u64) -> Option<Encoded> {
    let name = service_name(&records.key, origin)?;
    let mut encoder = Encoder {
        key: &records.key,
        name: &name,
        slots,
        generation,
        problems: Vec::new(),
    };
    let node = match &records.content {
        Content::Absent => None,
        Content::Alias { target, ttl } => encoder.alias(target, *ttl),
        Content::Names(names) => Some(encoder.names(names)),
    };
    let problems = encoder.problems;
    Some(Encoded {
        name,
        node,
        problems,
    })
}

/// The same node with another generation; `records` are those it was made of.
pub fn stamped(mut node: Node, records: &Records, generation: u64) -> Node {
    if let (Some(below), Content::Names(names)) = (&mut node.below, &records.content) {
        below.rollout_text = rollout_text(names, generation);
    }
    node
}

fn rollout_text(names: &Names, generation: u64) -> Sets {
    let strings = names.rollout_text.iter();
    let strings: Vec<String> = strings
        .map(|text| format!("{text} generation={generation}"))
        .collect();
    texts(&strings, names.ttl_text)
}

struct Encoder<'a> {
    key: &'a ServiceKey,
    name: &'a Name,
    slots: &'a Slots,
    generation: u64,
    problems: Vec<Problem>,
}

impl Encoder<'_> {
    fn problem(&mut self, text: String) {
        self.problems.push(Problem::of_service(self.key, text));
    }

    fn alias(&mut self, target: &str, ttl: u32) -> Option<Node> {
        let target = match Name::parse(target) {
            Ok(target) => target,
            Err(error) => {
                self.problem(format!("externalName: {error}"));
                return None;
            }
        };
        let mut body = BodyBuilder::default();
        body.push(rtype::CNAME, ttl, target.as_wire());
        let set = Set::Alias {
            body: Arc::new(body.build()),
            target: Arc::new(QueryName::from(&target)),
        };
        Some(Node::of(vec![(rtype::CNAME, set)]))
    }

    fn names(&mut self, names: &Names) -> Node {
        let targets: Vec<Option<Name>> = names
            .hosts
            .iter()
            .map(|host| self.name.below([host.label.as_bytes()]).ok())
            .collect();
        for (host, _) in names
            .hosts
            .iter()
            .zip(&targets)
            .filter(|(_, target)| target.is_none())
        {
            self.problem(format!(
                "`{}` makes a name longer than 255 octets and is left out",
                host.label
            ));
        }
        let own_addresses = own_addresses(names);
        let glue = |target: SrvTarget| match target {
            SrvTarget::Service => Some((self.name, &*own_addresses)),
            SrvTarget::Host(index) => {
                let host = names.hosts.get(index)?;
                Some((targets.get(index)?.as_ref()?, &*host.addresses))
            }
        };
        let mut cache = Bodies {
            names,
            glue: &glue,
            left_out: 0,
            srv: Vec::new(),
            drawn: Vec::new(),
        };
        let mut views: Vec<ViewNode> = Vec::with_capacity(names.views.len());
        for (index, view) in names.views.iter().enumerate() {
            let slots = if index == 0 {
                self.slots
            } else {
                &Slots::default()
            };
            views.push(cache.view(view, slots));
        }
        let left_out = cache.left_out;
        if left_out > 0 {
            self.problem(format!(
                "{left_out} SRV records do not fit in a message of 65535 octets and are left out"
            ));
        }
        let sets = views
            .first()
            .map(|own| own.sets.clone())
            .unwrap_or_default();
        let below = Below {
            hosts: hosts(names, &targets),
            ports: names
                .ports
                .iter()
                .map(|p| (p.protocol, label(&p.name)))
                .collect(),
            views: views.into(),
            plain: labelled(&names.plain),
            versions: labelled(&names.versions),
            roles: labelled(&names.roles),
            versions_text: texts(&names.versions_text, names.ttl_text),
            rollout_text: rollout_text(names, self.generation),
        };
        Node {
            sets,
            below: Some(Box::new(below)),
        }
    }
}

/// The addresses that an SRV record pointing to the service itself brings along.
fn own_addresses(names: &Names) -> Vec<IpAddr> {
    let own = names.views.first();
    let members = own
        .into_iter()
        .flat_map(|view| view.a.members.iter().chain(&view.aaaa.members));
    members.map(|member| member.address).collect()
}

/// The bodies of one Node, each encoded once however many views have it: the views of a service mostly agree.
struct Bodies<'a, G> {
    names: &'a Names,
    glue: &'a G,
    left_out: usize,
    srv: Vec<(&'a [records::Srv], Option<Arc<Srv>>)>,
    drawn: Vec<(&'a Addresses, Set)>,
}

impl<'a, G> Bodies<'a, G>
where
    G: Fn(SrvTarget) -> Option<(&'a Name, &'a [IpAddr])>,
{
    fn view(&mut self, view: &'a View, slots: &Slots) -> ViewNode {
        let srv = view.srv.iter().map(|records| self.srv(records)).collect();
        let mut sets = Vec::with_capacity(4);
        for (of, addresses, slot) in [
            (rtype::A, &view.a, slots.a),
            (rtype::AAAA, &view.aaaa, slots.aaaa),
        ] {
            if !addresses.members.is_empty() {
                sets.push((of, self.addresses(addresses, slot, &slots.versions)));
            }
        }
        if let Some(srv) = self.srv(&view.srv_bare) {
            sets.push((rtype::SRV, Set::Srv(srv)));
        }
        if let Some(body) = text_body(&view.text, self.names.ttl_text) {
            sets.push((rtype::TXT, body));
        }
        ViewNode {
            sets: Sets::new(sets),
            srv,
        }
    }

    fn addresses(&mut self, addresses: &'a Addresses, slot: Option<u32>, counts: &[u32]) -> Set {
        let shared = slot.is_none() && counts.is_empty();
        if shared && let Some((_, set)) = self.drawn.iter().find(|(known, _)| *known == addresses) {
            return set.clone();
        }
        let set = encode_addresses(addresses, self.names.ttl, slot, counts);
        if shared {
            self.drawn.push((addresses, set.clone()));
        }
        set
    }

    fn srv(&mut self, records: &'a [records::Srv]) -> Option<Arc<Srv>> {
        if let Some((_, srv)) = self.srv.iter().find(|(known, _)| *known == records) {
            return srv.clone();
        }
        let srv = self.encode_srv(records);
        self.srv.push((records, srv.clone()));
        srv
    }

    fn encode_srv(&mut self, records: &[records::Srv]) -> Option<Arc<Srv>> {
        let ttl = self.names.ttl;
        let targets = records
            .iter()
            .filter_map(|record| (self.glue)(record.target));
        let targets_len = targets.map(|(target, _)| target.as_wire().len()).sum();
        let mut builder = SrvBuilder::with_capacity(records.len(), targets_len);
        let mut with_glue = vec![false; self.names.hosts.len().max(1)];
        for (record, weight) in records.iter().zip(record_weights(records)) {
            let Some((target, addresses)) = (self.glue)(record.target) else {
                continue;
            };
            if builder.len() + target.as_wire().len() + 18 > SRV_BYTES_MAX {
                self.left_out += 1;
                continue;
            }
            let host = match record.target {
                SrvTarget::Service => 0,
                SrvTarget::Host(index) => index,
            };
            let first = with_glue
                .get_mut(host)
                .is_some_and(|seen| !std::mem::replace(seen, true));
            let glue = if first { addresses } else { &[] };
            builder.push(ttl, weight, record.port, target, glue, ttl);
        }
        (!builder.is_empty()).then(|| Arc::new(builder.build()))
    }
}

/// The weight of each SRV record: its version's share divided by the number of the version's records.
fn record_weights(records: &[records::Srv]) -> Vec<u16> {
    let mut shares: Vec<(Option<u16>, u32, u32)> = Vec::new();
    for record in records {
        let share = record.share.max(1);
        match shares
            .iter_mut()
            .find(|(version, ..)| *version == record.version)
        {
            Some((_, _, count)) => *count += 1,
            None => shares.push((record.version, share, 1)),
        }
    }
    // Without shares every record weighs the same, however the versions divide them.
    let of = |index: usize| (u64::from(shares[index].1), u64::from(shares[index].2));
    let even = records.iter().all(|record| record.share == 0)
        || (1..shares.len()).all(|index| records::weigh_alike(of(0), of(index)));
    let per_version: Vec<u64> = if even {
        vec![1; shares.len()]
    } else {
        let of = |(_, share, count): &(Option<u16>, u32, u32)| (*share, *count);
        endpoint_weights(&shares.iter().map(of).collect::<Vec<_>>())
    };
    let weights: Vec<u64> = records
        .iter()
        .map(|record| {
            let index = shares
                .iter()
                .position(|(version, ..)| *version == record.version);
            index
                .and_then(|index| per_version.get(index).copied())
                .unwrap_or(1)
        })
        .collect();
    srv_weights(&weights)
}

fn encode_addresses(addresses: &Addresses, ttl: u32, slot: Option<u32>, counts: &[u32]) -> Set {
    let uncounted = addresses.choice == Choice::Fixed || counts.is_empty();
    if let ([only], true) = (&*addresses.members, uncounted) {
        return Set::Address(AddressRecord::new(ttl, only.address));
    }
    let mut members: Vec<&records::Member> = addresses.members.iter().collect();
    let sampler = match &addresses.choice {
        Choice::Fixed => None,
        Choice::Rotated => Some(Sampler::all(members.len())),
        Choice::Mixed { shares, records } => {
            let weights = merge_addresses(&mut members, member_weights(addresses, shares));
            Some(Sampler::mixed(&weights, *records))
        }
        Choice::Pure { shares, records } => {
            let groups: Vec<(u32, u64)> = shares
                .iter()
                .map(|(version, share)| (count_of(addresses, *version), u64::from(*share)))
                .collect();
            Some(Sampler::pure(&groups, *records))
        }
    };
    let octets = |member: &&records::Member| if member.address.is_ipv4() { 4 } else { 16 };
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

/// Makes one member of those of one address, with the sum of their weights: a sample across versions must not hold
/// a record twice (RFC 2181, section 5). It is counted as the first one's version.
fn merge_addresses(members: &mut Vec<&records::Member>, weights: Vec<u64>) -> Vec<u64> {
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

/// Address sets in the order given, one a family.
pub(super) fn address_sets(addresses: &[IpAddr], ttl: u32) -> Vec<(u16, Set)> {
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
        Some((of, Set::Fixed(Arc::new(body.build()))))
    };
    let families = [(rtype::A, true), (rtype::AAAA, false)];
    families.into_iter().filter_map(family).collect()
}

fn count_of(addresses: &Addresses, version: u16) -> u32 {
    let members = addresses
        .members
        .iter()
        .filter(|member| member.version == version);
    u32::try_from(members.count()).unwrap_or(u32::MAX)
}

/// The weight of each member: its version's share divided equally among the version's members in this family.
fn member_weights(addresses: &Addresses, shares: &[(u16, u32)]) -> Vec<u64> {
    let counted: Vec<(u32, u32)> = shares
        .iter()
        .map(|(version, share)| (*share, count_of(addresses, *version)))
        .collect();
    let weights = endpoint_weights(&counted);
    let of = |member: &records::Member| {
        let index = shares
            .iter()
            .position(|(version, _)| *version == member.version);
        index
            .and_then(|index| weights.get(index).copied())
            .unwrap_or(0)
    };
    addresses.members.iter().map(of).collect()
}

fn hosts(names: &Names, targets: &[Option<Name>]) -> Labelled<Sets> {
    let fitting = names
        .hosts
        .iter()
        .zip(targets)
        .filter(|(_, target)| target.is_some());
    let mut hosts: Vec<(Box<[u8]>, Sets)> = fitting
        .map(|(host, _)| {
            let sets = address_sets(&host.addresses, names.ttl_hosts);
            (label(&host.label), Sets::new(sets))
        })
        .collect();
    hosts.sort_by(|(one, _), (other, _)| one.cmp(other));
    hosts.into()
}

fn labelled(views: &[(Arc<str>, usize)]) -> Labelled<u32> {
    let entry =
        |(text, view): &(Arc<str>, usize)| (label(text), u32::try_from(*view).unwrap_or(u32::MAX));
    let mut entries: Vec<_> = views.iter().map(entry).collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    entries.into()
}

fn label(text: &str) -> Box<[u8]> {
    text.to_ascii_lowercase().into_bytes().into()
}

fn texts(strings: &[String], ttl: u32) -> Sets {
    Sets::new(
        text_body(strings, ttl)
            .map(|set| (rtype::TXT, set))
            .into_iter()
            .collect(),
    )
}

/// A TXT set of one record a string; `None` without strings. Longer strings are cut at their limit.
fn text_body(strings: &[String], ttl: u32) -> Option<Set> {
    let mut body = BodyBuilder::default();
    for string in strings {
        body.push(rtype::TXT, ttl, &text_rdata(string));
    }
    (!body.is_empty()).then(|| Set::Fixed(Arc::new(body.build())))
}

/// One string as TXT RDATA.
pub(super) fn text_rdata(string: &str) -> Vec<u8> {
    let octets = string.as_bytes();
    let octets = octets.get(..STRING_LEN_MAX).unwrap_or(octets);
    let mut rdata = Vec::with_capacity(octets.len() + 1);
    rdata.push(u8::try_from(octets.len()).unwrap_or(u8::MAX));
    rdata.extend_from_slice(octets);
    rdata
}

/// A set of TXT records under one name, for names of the zone itself.
pub(super) fn text_set(string: &str, ttl: u32) -> Set {
    let mut body = BodyBuilder::default();
    body.push(rtype::TXT, ttl, &text_rdata(string));
    Set::Fixed(Arc::new(body.build()))
}

/// An empty body is never stored; this is its type for callers that build sets by hand.
pub(super) fn fixed_set(body: Body) -> Set {
    Set::Fixed(Arc::new(body))
}
