//! Encoding: the records of a service become its Node in one zone.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use super::addresses::{encode_addresses, kept_addresses, redrawn, rotated_sets};
use super::hosts::Hosts;
use super::node::{Alias, Below, Labelled, Node, PortSet, Set, Sets, ViewNode};
use super::ports::{encode_srv, kept_srv, weights};
use crate::model::{Family, Problem, Protocol, ServiceKey};
use crate::records::{self, Addresses, Content, Names, Records, SrvTarget, View};
use crate::wire::{Body, BodyBuilder, Name, QueryName, Srv, rtype};

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
        Content::Alias {
            target,
            ttl,
            addresses,
        } => encoder.alias(target, *ttl, addresses),
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

/// The node of records of which nothing but shares and strings moved ([`records::reshare()`]) since `node` was encoded of
/// them without problems: only weights and strings are written again. `None` if it is not a service's node.
pub fn reshared(node: &Node, records: &Records, generation: u64) -> Option<Node> {
    let (Content::Names(names), Some(below)) = (&records.content, &node.below) else {
        return None;
    };
    let (view, known) = (names.views.first()?, below.views.first()?);
    let own = Arc::new(reshared_view(view, known));
    let others = names.views.iter().zip(&*below.views).skip(1);
    let others = others.map(|(view, known)| match view.text.is_empty() {
        true => Arc::clone(known),
        false => Arc::new(known.with_text(text_body(names.texts(view), names.ttl_text))),
    });
    Some(Node {
        sets: own.sets.clone(),
        below: Some(Box::new(Below {
            views: std::iter::once(own).chain(others).collect(),
            versions_text: texts(&names.versions_text, names.ttl_text),
            rollout_text: rollout_text(names, generation),
            hosts: below.hosts.clone(),
            ports: Arc::clone(&below.ports),
            plain: Arc::clone(&below.plain),
            versions: Arc::clone(&below.versions),
            roles: Arc::clone(&below.roles),
        })),
        cut_over: node.cut_over,
    })
}

/// The service's own name with other shares.
fn reshared_view(view: &View, known: &ViewNode) -> ViewNode {
    // Ports mostly have the same targets, and so the same weights.
    let mut weighed: Vec<(&[records::Srv], Vec<u16>)> = Vec::with_capacity(2);
    let weigh_alike = |one: &[records::Srv], other: &[records::Srv]| {
        let key = |record: &records::Srv| (record.version, record.share, record.factor);
        one.iter().map(key).eq(other.iter().map(key))
    };
    let mut reweighted = |srv: &Srv, records| {
        let place = weighed
            .iter()
            .position(|(known, _)| weigh_alike(known, records));
        let place = place.unwrap_or_else(|| {
            weighed.push((records, weights(records)));
            weighed.len() - 1
        });
        let weights = weighed.get(place).map(|(_, weights)| &**weights);
        Arc::new(srv.with_weights(weights.unwrap_or_default()))
    };
    let sets = known.sets.iter().map(|(of, set)| {
        let set = match (*of, set) {
            (rtype::A, set) => redrawn(set, &view.a),
            (rtype::AAAA, set) => redrawn(set, &view.aaaa),
            (_, Set::Srv(srv)) => Set::Srv(reweighted(srv, &view.srv_bare)),
            (_, set) => set.clone(),
        };
        (*of, set)
    });
    let sets = Sets::new(sets.collect());
    let ports = known.srv.iter().zip(&view.srv);
    let srv = ports.map(|(set, records)| match set {
        Some(PortSet::All(srv)) => Some(PortSet::All(reweighted(srv, records))),
        set => set.clone(),
    });
    ViewNode {
        srv: srv.collect(),
        sets,
    }
}

/// What SRV records point to.
struct Targets<'a> {
    names: &'a Names,
    service: &'a Name,
    /// By host, made when the first record points to it; `None` for one that no DNS name fits.
    hosts: Vec<OnceCell<Option<Name>>>,
    /// Those that a record pointing to the service itself brings along.
    own_addresses: Vec<IpAddr>,
}

impl<'a> Targets<'a> {
    fn of(names: &'a Names, service: &'a Name) -> Self {
        let own = names.views.first();
        let members = own
            .into_iter()
            .flat_map(|view| view.a.members.iter().chain(&view.aaaa.members));
        Self {
            names,
            service,
            hosts: vec![OnceCell::new(); names.hosts.len()],
            own_addresses: members.map(|member| member.address).collect(),
        }
    }

    /// A DNS name fits the host.
    fn fits(&self, host: &records::Host) -> bool {
        self.service.has_room_for(host.label.as_bytes())
    }

    /// What a target is called, and its addresses.
    fn get(&self, target: SrvTarget) -> Option<(&Name, &[IpAddr])> {
        match target {
            SrvTarget::Service => Some((self.service, &*self.own_addresses)),
            SrvTarget::Host(index) => {
                let host = self.names.hosts.get(index)?;
                let below = || self.service.below([host.label.as_bytes()]).ok();
                let name = self.hosts.get(index)?.get_or_init(below);
                Some((name.as_ref()?, &*host.addresses))
            }
        }
    }
}

fn rollout_text(names: &Names, generation: u64) -> Sets {
    let strings = names.rollout_text.iter();
    let strings: Vec<String> = strings.map(|text| text.line(generation)).collect();
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

    fn alias(&mut self, target: &str, ttl: u32, addresses: &[IpAddr]) -> Option<Node> {
        let target = match Name::parse(target) {
            Ok(target) => target,
            Err(error) => {
                self.problem(format!("externalName: {error}"));
                return None;
            }
        };
        let mut body = BodyBuilder::default();
        body.push(rtype::CNAME, ttl, target.as_wire());
        let alias = Alias {
            body: body.build(),
            target: QueryName::from(&target),
            addresses: Sets::new(rotated_sets(addresses, Content::TTL_TARGET)),
        };
        let set = Set::Alias(Arc::new(alias));
        Some(Node::of(vec![(rtype::CNAME, set)]))
    }

    fn names(&mut self, names: &Names) -> Node {
        let targets = Targets::of(names, self.name);
        for host in names.hosts.iter().filter(|host| !targets.fits(host)) {
            self.problem(format!(
                "`{}` makes a name longer than 255 octets and is left out",
                host.label
            ));
        }
        let mut cache = Bodies::new(&targets);
        let mut views: Vec<Arc<ViewNode>> = Vec::with_capacity(names.views.len());
        for (index, view) in names.views.iter().enumerate() {
            views.push(Arc::new(match (index, &names.sticky) {
                (0, Some(sticky)) => cache.kept_view(sticky, view, &self.slots.versions),
                (0, None) => cache.view(view, self.slots),
                _ => cache.view(view, &Slots::default()),
            }));
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
            ports: ports(names),
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
            cut_over: names.cut_over.unwrap_or(0),
        }
    }
}

/// The bodies of one Node, each encoded once however many views have it: the views of a service mostly agree.
struct Bodies<'a> {
    names: &'a Names,
    targets: &'a Targets<'a>,
    left_out: usize,
    srv: Vec<(&'a [records::Srv], Option<Arc<Srv>>)>,
    drawn: Vec<(&'a Addresses, Set)>,
}

impl<'a> Bodies<'a> {
    fn new(targets: &'a Targets<'a>) -> Self {
        Self {
            names: targets.names,
            targets,
            left_out: 0,
            srv: Vec::new(),
            drawn: Vec::new(),
        }
    }

    fn view(&mut self, view: &'a View, slots: &Slots) -> ViewNode {
        let ports = view.srv.iter();
        let srv = ports
            .map(|records| self.srv(records).map(PortSet::All))
            .collect();
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
        if let Some(body) = text_body(self.names.texts(view), self.names.ttl_text) {
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
        let hosts = self.names.hosts.len();
        let (srv, left_out) = encode_srv(records, self.names.ttl, hosts, |target| {
            self.targets.get(target)
        });
        let srv = srv.map(|mut srv| {
            // Ports mostly have the same targets.
            if let Some(other) = self.srv.iter().find_map(|(_, srv)| srv.as_ref()) {
                srv.share_glue(other);
            }
            Arc::new(srv)
        });
        self.left_out += left_out;
        self.srv.push((records, srv.clone()));
        srv
    }

    /// The service's own name where a client keeps its endpoint.
    fn kept_view(&mut self, sticky: &records::Sticky, view: &View, counts: &[u32]) -> ViewNode {
        let ttl = self.names.ttl;
        let mut sets = Vec::with_capacity(4);
        for (of, family) in [(rtype::A, Family::V4), (rtype::AAAA, Family::V6)] {
            let set = kept_addresses(sticky, family, ttl, counts);
            sets.extend(set.map(|set| (of, set)));
        }
        let srv = |port| {
            kept_srv(sticky, port, ttl, counts, |target| self.targets.get(target)).map(Arc::new)
        };
        sets.extend(srv(None).map(|srv| (rtype::SRV, Set::Kept(srv))));
        let text = text_body(self.names.texts(view), self.names.ttl_text);
        sets.extend(text.map(|set| (rtype::TXT, set)));
        ViewNode {
            srv: (0..self.names.ports.len())
                .map(|port| srv(Some(port)).map(PortSet::Kept))
                .collect(),
            sets: Sets::new(sets),
        }
    }
}

fn hosts(names: &Names, targets: &Targets<'_>) -> Hosts {
    let fitting = names.hosts.iter().filter(|host| targets.fits(host));
    Hosts::new(fitting, names.ttl_hosts)
}

fn ports(names: &Names) -> Arc<[(Protocol, Box<[u8]>)]> {
    let ports = names.ports.iter();
    ports
        .map(|port| (port.protocol, label(&port.name)))
        .collect()
}

fn labelled(views: &[(Arc<str>, usize)]) -> Labelled<u32> {
    let entry =
        |(text, view): &(Arc<str>, usize)| (label(text), u32::try_from(*view).unwrap_or(u32::MAX));
    let mut entries: Vec<_> = views.iter().map(entry).collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    shared(entries)
}

/// Nothing is shared by all who have nothing.
pub(super) fn shared<T>(list: Vec<T>) -> Arc<[T]> {
    match list.is_empty() {
        true => Arc::default(),
        false => list.into(),
    }
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

/// A TXT set of one record a text; `None` without texts.
fn text_body<'s>(strings: impl IntoIterator<Item = &'s String>, ttl: u32) -> Option<Set> {
    let mut body = BodyBuilder::default();
    for string in strings {
        body.push(rtype::TXT, ttl, &text_rdata(string));
    }
    (!body.is_empty()).then(|| Set::Fixed(Arc::new(body.build())))
}

/// One text as TXT RDATA: where it is too long for one string it goes on in a second, which readers join to the first.
pub(super) fn text_rdata(text: &str) -> Vec<u8> {
    let octets = text.as_bytes();
    if octets.is_empty() {
        return vec![0];
    }
    let mut rdata = Vec::with_capacity(octets.len() + octets.len().div_ceil(STRING_LEN_MAX));
    for string in octets.chunks(STRING_LEN_MAX) {
        rdata.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
        rdata.extend_from_slice(string);
    }
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

#[cfg(test)]
mod tests {
    use super::text_rdata;

    #[test]
    fn a_text_of_more_than_255_octets_is_several_strings() {
        for (len, lens) in [
            (0, &[0_u8][..]),
            (255, &[255]),
            (256, &[255, 1]),
            (600, &[255, 255, 90]),
        ] {
            let mut rdata = &text_rdata(&"a".repeat(len))[..];
            for expected in lens {
                let (found, rest) = rdata.split_first().unwrap();
                assert_eq!(found, expected, "{len}");
                rdata = &rest[usize::from(*found)..];
            }
            assert!(rdata.is_empty());
        }
    }
}
