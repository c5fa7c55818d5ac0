//! The zones we answer for: which names are ours, and what an apex and a negative answer carry.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::FixedState;
use ipnet::IpNet;

use super::addresses::address_sets;
use super::encode::{fixed_set, text_set};
use super::node::Node;
use super::reverse::are_in;
use super::statics::StaticZone;
use crate::wire::{BodyBuilder, Name, NameError, QueryName, rtype};

/// The version of the Kubernetes DNS specification that is followed.
const DNS_VERSION: &str = "1.1.0";
/// Seconds; what secondaries are told, in the proportions of RFC 1912, section 2.2.
const REFRESH: u32 = 7200;
const RETRY: u32 = 1800;
const EXPIRE: u32 = 86_400;

/// Directly below the apex of a cluster's zone: what is the cluster's, with all below it.
const CLUSTER_LABELS: [&str; 4] = ["svc", "pod", "dns", "dns-version"];

/// What a zone holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneKind {
    /// Names of services and pods.
    Cluster,
    /// Reverse names, of the addresses in these ranges only: outside them the name is somebody else's.
    Reverse(Vec<IpNet>),
    /// What stands in a file, and nothing of the cluster.
    Static,
}

/// One zone: its apex, and its SOA with the current serial.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The apex.
    pub name: Name,
    /// What it holds.
    pub kind: ZoneKind,
    labels: usize,
    server: Name,
    soa: Soa,
    /// What a file adds; of a [`ZoneKind::Static`] zone all there is, and `None` while the file has never been right.
    statics: Option<Arc<StaticZone>>,
    /// It has a file, which has never been right.
    awaits_file: bool,
}

/// The SOA record of a zone; its serial is written by the engine and read by every answer.
#[derive(Debug)]
pub struct Soa {
    names: Box<[u8]>,
    serial: AtomicU32,
    /// Seconds: REFRESH, RETRY, EXPIRE.
    times: [u32; 3],
    /// Seconds: the record's own time to live.
    pub ttl: u32,
    /// Seconds: MINIMUM, the time to live of negative answers.
    pub negative_ttl: u32,
}

/// Who answers for a zone, and who is responsible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The name server: the target of the apex's NS record.
    pub server: Name,
    /// The primary server, as the SOA record tells it.
    pub mname: Name,
    /// The person responsible, the `@` written as a dot.
    pub rname: Name,
}

impl Clone for Soa {
    /// With the serial of this moment.
    fn clone(&self) -> Self {
        Self {
            names: self.names.clone(),
            serial: AtomicU32::new(self.serial()),
            ..*self
        }
    }
}

impl Soa {
    /// That of these octets of data; `None` where they are too few.
    pub(super) fn of_data(data: &[u8], ttl: u32) -> Option<Self> {
        let (names, numbers) = data.split_last_chunk::<20>()?;
        let mut numbers = numbers
            .as_chunks()
            .0
            .iter()
            .map(|four| u32::from_be_bytes(*four));
        let mut next = || numbers.next();
        Some(Self {
            names: names.into(),
            serial: AtomicU32::new(next()?),
            times: [next()?, next()?, next()?],
            negative_ttl: next()?,
            ttl,
        })
    }

    /// The serial that answers carry.
    pub(super) fn serial(&self) -> u32 {
        self.serial.load(Ordering::Relaxed)
    }

    /// The RDATA in two pieces: both names, and the numbers with the serial of this moment.
    pub fn rdata(&self) -> (&[u8], [[u8; 4]; 5]) {
        let serial = self.serial.load(Ordering::Relaxed);
        let [refresh, retry, expire] = self.times;
        let numbers = [serial, refresh, retry, expire, self.negative_ttl];
        (&self.names, numbers.map(u32::to_be_bytes))
    }

    /// The time to live of a negative answer (RFC 2308, section 3).
    pub fn ttl_of_negatives(&self) -> u32 {
        self.ttl.min(self.negative_ttl)
    }
}

impl Zone {
    /// A zone at `name`. `ttls` and `negative_ttl` are in seconds.
    pub fn new(
        name: Name,
        kind: ZoneKind,
        authority: &Authority,
        ttl: u32,
        negative_ttl: u32,
    ) -> Self {
        Self {
            labels: name.labels().count(),
            name,
            kind,
            server: authority.server.clone(),
            soa: Soa {
                names: [authority.mname.as_wire(), authority.rname.as_wire()]
                    .concat()
                    .into(),
                serial: AtomicU32::new(0),
                times: [REFRESH, RETRY, EXPIRE],
                ttl,
                negative_ttl,
            },
            statics: None,
            awaits_file: false,
        }
    }

    /// A zone of a file at `name`; `None`: the file has never been right.
    pub fn of_file(name: Name, statics: Option<Arc<StaticZone>>) -> Self {
        let soa = match &statics {
            Some(statics) => statics.soa().clone(),
            // Nothing of it is ever told.
            None => Soa {
                names: Box::default(),
                serial: AtomicU32::new(0),
                times: [0; 3],
                ttl: 0,
                negative_ttl: 0,
            },
        };
        Self {
            labels: name.labels().count(),
            kind: ZoneKind::Static,
            server: name.clone(),
            name,
            soa,
            awaits_file: statics.is_none(),
            statics,
        }
    }

    /// Whether there is nothing to be said of what may stand in a file: it has one, and that has never been right. The
    /// cluster's own names are known all the same.
    pub fn is_unknown(&self, name: &QueryName) -> bool {
        self.awaits_file && !self.is_of_cluster(name)
    }

    /// What stands in a file of it.
    pub fn statics(&self) -> Option<&StaticZone> {
        self.statics.as_deref()
    }

    /// Its SOA.
    pub fn soa(&self) -> &Soa {
        &self.soa
    }

    /// The number of labels of its apex.
    pub fn label_count(&self) -> usize {
        self.labels
    }

    /// The serial that answers carry.
    pub fn serial(&self) -> u32 {
        self.soa.serial.load(Ordering::Relaxed)
    }

    /// Whether a name of this zone is the cluster's, whatever stands in a file.
    pub fn is_of_cluster(&self, name: &QueryName) -> bool {
        let below = name.label_count().checked_sub(self.labels + 1);
        let label = below.map(|index| name.label(index)).unwrap_or_default();
        self.kind == ZoneKind::Cluster && CLUSTER_LABELS.iter().any(|of| of.as_bytes() == label)
    }

    /// The apex of this cluster's zone, where `name` lies among the cluster's names in it.
    fn taken_by_cluster(&self, name: &Name) -> Option<&Name> {
        let is_taken = name.is_within(&self.name) && self.is_of_cluster(&QueryName::from(name));
        is_taken.then_some(&self.name)
    }

    /// Moves the serial on: the clock's seconds, or one more than before, whichever is later, so that it never
    /// decreases while the process lives. That of a file is its author's.
    pub fn bump_serial(&self, now_secs: u64) {
        if self.kind == ZoneKind::Static {
            return;
        }
        let clock = u32::try_from(now_secs & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let serial = clock.max(self.serial().wrapping_add(1));
        self.soa.serial.store(serial, Ordering::Relaxed);
    }

    /// The names that a zone has of itself: the apex with NS; in a cluster's zone also the schema version, the
    /// name server, and `svc` and `pod`, which exist while they are empty.
    ///
    /// The name server has `server_addresses` where its name lies in this zone.
    ///
    /// # Errors
    /// Where a name does not fit below the apex.
    pub fn own_nodes(&self, server_addresses: &[IpAddr]) -> Result<Vec<(Name, Node)>, NameError> {
        if self.kind == ZoneKind::Static {
            return Ok(Vec::new());
        }
        let (ttl, server) = (self.soa.ttl, &self.server);
        let mut ns = BodyBuilder::default();
        ns.push(rtype::NS, ttl, server.as_wire());
        let mut nodes = vec![(
            self.name.clone(),
            Node::of(vec![(rtype::NS, fixed_set(ns.build()))]),
        )];
        if self.kind != ZoneKind::Cluster {
            return Ok(nodes);
        }
        let version = Node::of(vec![(rtype::TXT, text_set(DNS_VERSION, ttl))]);
        nodes.push((self.name.below([b"dns-version".as_slice()])?, version));
        nodes.push((self.name.below([b"svc".as_slice()])?, Node::default()));
        nodes.push((self.name.below([b"pod".as_slice()])?, Node::default()));
        if server.is_within(&self.name) && *server != self.name {
            nodes.push((
                server.clone(),
                Node::of(address_sets(server_addresses, ttl)),
            ));
        }
        Ok(nodes)
    }
}

/// A name that has these addresses and nothing below.
pub fn address_node(addresses: &[IpAddr], ttl: u32) -> Node {
    Node::of(address_sets(addresses, ttl))
}

/// A reverse name that points to `targets`.
pub fn pointer_node(targets: &[Name], ttl: u32) -> Node {
    let mut body = BodyBuilder::default();
    for target in targets {
        body.push(rtype::PTR, ttl, target.as_wire());
    }
    Node::of(vec![(rtype::PTR, fixed_set(body.build()))])
}

/// Where in our zones a name lies.
#[derive(Clone, Copy, Debug)]
pub struct Place<'z> {
    /// The zone with the longest apex that the name is in.
    pub zone: &'z Zone,
    /// How many of the name's rightmost labels are the key to look up: those of a service for all names at and
    /// below it, else all.
    pub key_labels: usize,
    /// For `address.namespace.pod.zone`: the name is that of a pod.
    pub pod: bool,
}

/// All zones.
#[derive(Debug, Default)]
pub struct Zones {
    /// In the order of the configuration; the first cluster zone is that of PTR targets.
    list: Vec<Zone>,
    /// Places in the list by apex. The apexes are the operator's, so their hash needs no secret.
    by_apex: HashMap<Box<[u8]>, usize, FixedState>,
    /// The numbers of labels that apexes have, most first: as many look-ups does a name take at the most.
    depths: Vec<usize>,
}

impl Zones {
    /// These zones.
    pub fn new(list: Vec<Zone>) -> Self {
        let apexes = list.iter().enumerate();
        let by_apex = apexes
            .map(|(place, zone)| (zone.name.as_wire().into(), place))
            .collect();
        let mut depths: Vec<usize> = list.iter().map(|zone| zone.labels).collect();
        depths.sort_unstable_by(|one, other| other.cmp(one));
        depths.dedup();
        Self {
            list,
            by_apex,
            depths,
        }
    }

    /// The zones in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.list.iter()
    }

    /// The cluster zones in the order of the configuration.
    pub fn clusters(&self) -> impl Iterator<Item = &Zone> {
        self.list
            .iter()
            .filter(|zone| zone.kind == ZoneKind::Cluster)
    }

    /// Where `name` lies; `None`: in no zone of ours. The longest apex wins, label by label.
    pub fn locate(&self, name: &QueryName) -> Option<Place<'_>> {
        let labels = name.label_count();
        let mut depths = self.depths.iter().filter(|depth| **depth <= labels);
        let zone = depths.find_map(|depth| self.by_apex.get(name.suffix(*depth)))?;
        let zone = self.list.get(*zone)?;
        let below = labels - zone.labels;
        match &zone.kind {
            ZoneKind::Cluster => {
                let kind = if below >= 3 {
                    name.label(below - 1)
                } else {
                    &[]
                };
                let key_labels = if kind == b"svc" {
                    zone.labels + 3
                } else {
                    labels
                };
                let pod = below == 3 && kind == b"pod";
                Some(Place {
                    zone,
                    key_labels,
                    pod,
                })
            }
            ZoneKind::Reverse(ranges) => {
                let ours =
                    zone.statics.is_some() || zone.awaits_file || are_in(ranges, name, below);
                ours.then_some(Place {
                    zone,
                    key_labels: labels,
                    pod: false,
                })
            }
            ZoneKind::Static => Some(Place {
                zone,
                key_labels: labels,
                pod: false,
            }),
        }
    }

    /// The zone that a reverse name of the cluster is published in, whatever stands in files.
    pub fn locate_reverse(&self, name: &QueryName) -> Option<&Zone> {
        let labels = name.label_count();
        let depths = self.depths.iter().filter(|depth| **depth <= labels);
        let mut zones = depths.filter_map(|depth| {
            let zone = self.by_apex.get(name.suffix(*depth))?;
            self.list.get(*zone)
        });
        let zone = zones.find(|zone| zone.kind != ZoneKind::Static)?;
        let is_ours = match &zone.kind {
            ZoneKind::Reverse(ranges) => are_in(ranges, name, labels - zone.labels),
            ZoneKind::Cluster | ZoneKind::Static => true,
        };
        is_ours.then_some(zone)
    }

    /// Where a DS record of `name` belongs, where `name` is an apex and we have the zone above as well, which delegates it: there
    /// (RFC 4035, section 3.1.4.1). A zone above that does not know of it would say that there is no such name.
    pub fn locate_above(&self, name: &QueryName) -> Option<Place<'_>> {
        let labels = name.label_count();
        let mut depths = self.depths.iter().filter(|depth| **depth < labels);
        let zone = depths.find_map(|depth| self.by_apex.get(name.suffix(*depth)))?;
        let zone = self.list.get(*zone)?;
        let is_above = zone.statics().is_some_and(|above| above.delegates(name));
        (zone.kind == ZoneKind::Static && is_above).then_some(Place {
            zone,
            key_labels: labels,
            pod: false,
        })
    }

    /// The same zones with those of files, each by its apex: beside them, or in one of them. What cannot be is left out, and told:
    /// a zone of a file where the cluster's names are.
    pub fn with_files(
        &self,
        files: &[(Name, Option<Arc<StaticZone>>)],
    ) -> (Self, Vec<(Name, String)>) {
        let kept = self
            .list
            .iter()
            .filter(|zone| zone.kind != ZoneKind::Static);
        let mut list: Vec<Zone> = kept.cloned().collect();
        let mut left_out = Vec::new();
        for zone in &mut list {
            zone.statics = None;
            zone.awaits_file = false;
        }
        let ours = list.len();
        for (name, statics) in files {
            let (ours, _) = list.split_at_mut(ours);
            if let Some(zone) = ours.iter().find_map(|zone| zone.taken_by_cluster(name)) {
                left_out.push((
                    name.clone(),
                    format!("not served: in `{zone}` these names are the cluster's"),
                ));
                continue;
            }
            match ours.iter_mut().find(|zone| zone.name == *name) {
                Some(zone) => {
                    zone.statics.clone_from(statics);
                    zone.awaits_file = statics.is_none();
                    let hidden = statics.iter().flat_map(|statics| {
                        CLUSTER_LABELS
                            .into_iter()
                            .filter(|label| statics.has_below(label.as_bytes()))
                    });
                    let hidden: Vec<&str> =
                        hidden.filter(|_| zone.kind == ZoneKind::Cluster).collect();
                    if !hidden.is_empty() {
                        left_out.push((
                            name.clone(),
                            format!("names at and below `{}` are the cluster's, those of the file are not served", hidden.join("`, `")),
                        ));
                    }
                }
                None => list.push(Zone::of_file(name.clone(), statics.clone())),
            }
        }
        (Self::new(list), left_out)
    }

    /// Goes on from the serials of `before` where the apexes are the same.
    pub fn continue_serials(&self, before: &Self) {
        for zone in self
            .list
            .iter()
            .filter(|zone| zone.kind != ZoneKind::Static)
        {
            let same = before.by_apex.get(zone.name.as_wire());
            if let Some(same) = same.and_then(|place| before.list.get(*place)) {
                zone.soa.serial.store(same.serial(), Ordering::Relaxed);
            }
        }
    }

    /// Moves every serial on.
    pub fn bump_serials(&self, now_secs: u64) {
        for zone in &self.list {
            zone.bump_serial(now_secs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reverse::reverse_zones;
    use super::*;

    #[test]
    fn off_an_octet_only_names_inside_the_range_are_ours() {
        let reverse = reverse_zones(&["10.1.2.128/25".parse().unwrap()]).remove(0);
        let root = || Name::root();
        let names = Authority {
            server: root(),
            mname: root(),
            rname: root(),
        };
        let kind = ZoneKind::Reverse(reverse.ranges);
        let zones = Zones::new(vec![Zone::new(reverse.name, kind, &names, 30, 5)]);
        let ours = |text: &str| {
            let name = QueryName::from(&Name::parse(text).unwrap());
            zones.locate(&name).is_some()
        };
        assert!(ours("129.2.1.10.in-addr.arpa"));
        assert!(ours("2.1.10.in-addr.arpa"));
        assert!(!ours("127.2.1.10.in-addr.arpa"));
        assert!(!ours("3.1.10.in-addr.arpa"));
        assert!(!ours("x.2.1.10.in-addr.arpa"));
        assert!(!ours("x.127.2.1.10.in-addr.arpa"));
        assert!(ours("x.129.2.1.10.in-addr.arpa"));
    }

    #[test]
    fn the_longest_apex_wins_label_by_label() {
        let zone = |text: &str| {
            let names = Authority {
                server: Name::root(),
                mname: Name::root(),
                rname: Name::root(),
            };
            Zone::new(Name::parse(text).unwrap(), ZoneKind::Cluster, &names, 30, 5)
        };
        let zones = Zones::new(vec![
            zone("local"),
            zone("cluster.local"),
            zone("b.cluster.local"),
        ]);
        for (name, apex, key_labels) in [
            ("a.b.cluster.local", "b.cluster.local.", 4),
            ("ab.cluster.local", "cluster.local.", 3),
            ("xcluster.local", "local.", 2),
            ("_http._tcp.web.shop.svc.cluster.local", "cluster.local.", 5),
            ("web.shop.svc.cluster.local", "cluster.local.", 5),
            ("shop.svc.cluster.local", "cluster.local.", 4),
            ("10-1-2-3.shop.pod.cluster.local", "cluster.local.", 5),
        ] {
            let name = QueryName::from(&Name::parse(name).unwrap());
            let place = zones.locate(&name).unwrap();
            assert_eq!(
                (&*place.zone.name.to_string(), place.key_labels),
                (apex, key_labels),
                "{name}"
            );
        }
    }

    #[test]
    fn serials_never_decrease() {
        let names = Authority {
            server: Name::root(),
            mname: Name::root(),
            rname: Name::root(),
        };
        let zone = Zone::new(Name::root(), ZoneKind::Cluster, &names, 30, 5);
        for (now, expected) in [(100, 100), (100, 101), (50, 102), (200, 200)] {
            zone.bump_serial(now);
            assert_eq!(zone.serial(), expected);
        }
    }
}
