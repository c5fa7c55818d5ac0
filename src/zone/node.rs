//! Nodes: what stands at a published name, and below it where a service owns its subtree.
//!
//! A service is one [`Node`]: its own sets, its hosts, its ports, and a view for each version and role. So a service
//! changes as a whole, at once, and an answer never mixes two of its generations. Names below it are not published
//! one by one; [`Node::find`] reads the labels in front of the service:
//!
//! ```text
//!  [ _port . _proto . ] [ view . [ _version | _role ] . ]  service
//!                         host .                           service
//!                         _versions | _rollout .           service
//! ```
//! A name that is only an ancestor of others (`_tcp`, `_version`) is found, and empty (RFC 8020, section 2).

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::encode::shared;
use super::hosts::Hosts;
use super::kept::Kept;
use super::sample::Sampler;
use crate::model::Protocol;
use crate::wire::{AddressRecord, Body, BodyBuilder, Name, QueryName, Srv, rtype};

/// What stands at a published name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The sets of the name itself.
    pub sets: Sets,
    /// What stands below, where the node owns the whole subtree.
    pub(super) below: Option<Box<Below>>,
    /// The second since the epoch in which its views change by themselves; 0: none is known. Here rather than below,
    /// since every answer looks at it.
    pub(super) cut_over: u64,
}

/// The record sets of one name, at most one a type; clones share all but the first.
///
/// The first stands in place: it is the address that most questions ask for, and behind a pointer it would cost every answer
/// one more wait for memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    first: Option<(u16, Set)>,
    rest: Arc<[(u16, Set)]>,
}

/// One record set, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// One address.
    Address(AddressRecord),
    /// All records, always in this order.
    Fixed(Arc<Body>),
    /// SRV records with the addresses of their targets.
    Srv(Arc<Srv>),
    /// Records chosen, or rotated, by a draw.
    Drawn(Arc<Drawn>),
    /// Records that a client keeps, of any type.
    Kept(Arc<Kept>),
    /// A CNAME.
    Alias(Arc<Alias>),
}

/// A CNAME, whose target is followed where it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The CNAME record.
    pub body: Body,
    /// Where it points.
    pub target: QueryName,
    /// The addresses of a target that is not ours, where they are known.
    pub addresses: Sets,
}

impl Alias {
    /// A CNAME to `target`, of whose addresses nothing is known. `ttl` is in seconds.
    pub fn to(target: &Name, ttl: u32) -> Self {
        let mut body = BodyBuilder::default();
        body.push(rtype::CNAME, ttl, target.as_wire());
        Self {
            body: body.build(),
            target: QueryName::from(target),
            addresses: Sets::default(),
        }
    }
}

/// A record set whose answers are chosen by a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// All records, in circular order.
    pub body: Body,
    /// How many come first, and which.
    pub sampler: Sampler,
    /// The slot of its draws; `None`: the worker's common one.
    pub slot: Option<u32>,
    /// By record: the slot that counts answers in which it comes first; empty: not counted.
    pub counts: Box<[u32]>,
}

/// The SRV set of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSet {
    /// All records.
    All(Arc<Srv>),
    /// Those of the target that a client keeps.
    Kept(Arc<Kept>),
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'n> {
    /// The name exists and has these sets, perhaps none.
    Sets(&'n Sets),
    /// The same, and it is the name of one target: no share and no role moves it.
    Host(&'n Sets),
    /// The same, and all it has is an A record of this address.
    Address {
        /// The address.
        address: Ipv4Addr,
        /// Its time to live, in seconds.
        ttl: u32,
    },
    /// The name exists and has this SRV set alone.
    Srv(&'n PortSet),
    /// The name exists without sets.
    Empty,
    /// The name does not exist.
    Missing,
}

impl Sets {
    /// Sets by type; the order decides what ANY gives: the first.
    pub fn new(sets: Vec<(u16, Set)>) -> Self {
        let mut sets = sets.into_iter();
        Self {
            first: sets.next(),
            rest: shared(sets.collect()),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(u16, Set)> {
        self.first.iter().chain(&*self.rest)
    }

    /// The set of a type.
    pub fn get(&self, rtype: u16) -> Option<&Set> {
        let mut sets = self.iter();
        sets.find(|(of, _)| *of == rtype).map(|(_, set)| set)
    }

    /// The set that answers ANY (RFC 8482, section 4.1).
    pub fn any(&self) -> Option<&Set> {
        self.first.as_ref().map(|(_, set)| set)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The types there are.
    pub(super) fn types(&self) -> impl Iterator<Item = u16> {
        self.iter().map(|(of, _)| *of)
    }
}

/// What stands below a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Below {
    pub(super) hosts: Hosts,
    /// Sorted by protocol, then name; [`ViewNode::srv`] is parallel to it.
    pub(super) ports: Arc<[(Protocol, Box<[u8]>)]>,
    /// View 0 is the service's own name; its sets are the Node's.
    pub(super) views: Box<[Arc<ViewNode>]>,
    /// Views without underscores, sorted.
    pub(super) plain: Labelled<u32>,
    /// Views below `_version`, sorted.
    pub(super) versions: Labelled<u32>,
    /// Views below `_role`, sorted.
    pub(super) roles: Labelled<u32>,
    /// `_versions`.
    pub(super) versions_text: Sets,
    /// `_rollout`.
    pub(super) rollout_text: Sets,
}

/// Values by label, sorted; shared with the node that comes after, where they stay.
pub(super) type Labelled<T> = Arc<[(Box<[u8]>, T)]>;

/// The sets of one view, and its SRV sets by port; `None` where no endpoint has the port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ViewNode {
    pub(super) sets: Sets,
    pub(super) srv: Arc<[Option<PortSet>]>,
}

impl ViewNode {
    /// The same with another TXT set, or none.
    pub(super) fn with_text(&self, text: Option<Set>) -> Self {
        let sets = self.sets.iter().filter(|(of, _)| *of != rtype::TXT);
        let text = text.map(|set| (rtype::TXT, set));
        Self {
            sets: Sets::new(sets.cloned().chain(text).collect()),
            srv: Arc::clone(&self.srv),
        }
    }
}

impl Node {
    /// A node without a subtree of its own.
    pub fn of(sets: Vec<(u16, Set)>) -> Self {
        Self {
            sets: Sets::new(sets),
            ..Self::default()
        }
    }

    /// Gives the drawn set of a type a slot for its draws.
    pub(super) fn set_slot(&mut self, rtype: u16, slot: u32) {
        let sets = self.sets.iter().map(|(of, set)| match set {
            Set::Drawn(drawn) if *of == rtype => {
                let slot = Some(slot);
                let drawn = Drawn {
                    slot,
                    ..(**drawn).clone()
                };
                (*of, Set::Drawn(Arc::new(drawn)))
            }
            set => (*of, set.clone()),
        });
        self.sets = Sets::new(sets.collect());
    }

    /// How many seconds from `now` on its views are sure to stay, where it is known when they change; at least 1.
    ///
    /// Before that moment no answer may promise to be good beyond it; after it, they are what they will be.
    #[inline]
    pub fn secs_to_cut_over(&self, now_secs: u64) -> Option<u32> {
        (self.cut_over > now_secs)
            .then(|| u32::try_from(self.cut_over - now_secs).unwrap_or(u32::MAX))
    }

    /// Whether names below are this node's alone.
    pub fn owns_subtree(&self) -> bool {
        self.below.is_some()
    }

    /// What stands at `name`, whose leftmost `prefix` labels are in front of this node's own name.
    pub fn find(&self, name: &QueryName, prefix: usize) -> Found<'_> {
        if prefix == 0 {
            return Found::Sets(&self.sets);
        }
        self.below
            .as_ref()
            .map_or(Found::Missing, |below| below.find(name, prefix))
    }
}

impl Below {
    fn find(&self, name: &QueryName, prefix: usize) -> Found<'_> {
        let rest = prefix - 1;
        let label = name.label(rest);
        if label.first() != Some(&b'_') {
            if let Some(host) = self.hosts.find(label) {
                return if rest == 0 { host } else { Found::Missing };
            }
            return self.find_view(get(&self.plain, label), name, rest);
        }
        match label {
            b"_version" => self.find_labelled(&self.versions, name, rest),
            b"_role" => self.find_labelled(&self.roles, name, rest),
            b"_versions" if rest == 0 => found_if_any(&self.versions_text),
            b"_rollout" if rest == 0 => found_if_any(&self.rollout_text),
            _ => self
                .views
                .first()
                .map_or(Found::Missing, |own| self.find_port(own, name, prefix)),
        }
    }

    /// Below `_version` or `_role`, which exist while there is a name below them.
    fn find_labelled(&self, labels: &Labelled<u32>, name: &QueryName, rest: usize) -> Found<'_> {
        match rest {
            _ if labels.is_empty() => Found::Missing,
            0 => Found::Empty,
            _ => self.find_view(get(labels, name.label(rest - 1)), name, rest - 1),
        }
    }

    fn find_view(&self, view: Option<&u32>, name: &QueryName, rest: usize) -> Found<'_> {
        match view.and_then(|index| self.views.get(*index as usize)) {
            None => Found::Missing,
            Some(view) if rest == 0 => Found::Sets(&view.sets),
            Some(view) => self.find_port(view, name, rest),
        }
    }

    /// `_proto` or `_port._proto` in front of a view.
    fn find_port<'n>(&'n self, view: &'n ViewNode, name: &QueryName, prefix: usize) -> Found<'n> {
        let protocol = match name.label(prefix - 1) {
            b"_tcp" => Protocol::Tcp,
            b"_udp" => Protocol::Udp,
            b"_sctp" => Protocol::Sctp,
            _ => return Found::Missing,
        };
        let mut of_protocol = self
            .ports
            .iter()
            .zip(&*view.srv)
            .filter(|((p, _), _)| *p == protocol);
        match prefix {
            1 if of_protocol.next().is_some() => Found::Empty,
            2 => {
                let Some(port) = name.label(0).strip_prefix(b"_") else {
                    return Found::Missing;
                };
                match of_protocol.find(|((_, name), _)| **name == *port) {
                    Some((_, Some(srv))) => Found::Srv(srv),
                    Some((_, None)) => Found::Empty,
                    None => Found::Missing,
                }
            }
            _ => Found::Missing,
        }
    }
}

fn found_if_any(sets: &Sets) -> Found<'_> {
    if sets.is_empty() {
        Found::Missing
    } else {
        Found::Sets(sets)
    }
}

pub(super) fn get<'l, T>(labels: &'l Labelled<T>, label: &[u8]) -> Option<&'l T> {
    let index = labels.binary_search_by(|(of, _)| (**of).cmp(label)).ok()?;
    labels.get(index).map(|(_, value)| value)
}

impl Found<'_> {
    /// Whether the name exists.
    pub fn exists(&self) -> bool {
        !matches!(self, Self::Missing)
    }

    /// The type numbers of the sets found, for people.
    pub fn types(&self) -> Vec<u16> {
        match self {
            Self::Sets(sets) | Self::Host(sets) => sets.types().collect(),
            Self::Address { .. } => vec![rtype::A],
            Self::Srv(_) => vec![rtype::SRV],
            Self::Empty | Self::Missing => Vec::new(),
        }
    }
}
