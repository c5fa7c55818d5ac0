//! The zones we answer for: which names are ours, and what an apex and a negative answer carry.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::FixedState;
use ipnet::IpNet;

use super::addresses::address_sets;
use super::encode::{fixed_set, text_set};
use super::node::Node;
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
            statics,
        }
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
                let ours = below == 0
                    || zone.statics.is_some()
                    || match reverse_range(name)? {
                        (asked, true) => touches(ranges, asked),
                        (above, false) => ranges.iter().any(|range| range.contains(&above)),
                    };
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

    /// Where a DS record of `name` belongs, where `name` is an apex and we have the zone above as well: there (RFC 4035, section
    /// 3.1.4.1).
    pub fn locate_above(&self, name: &QueryName) -> Option<Place<'_>> {
        let labels = name.label_count();
        let mut depths = self.depths.iter().filter(|depth| **depth < labels);
        let zone = depths.find_map(|depth| self.by_apex.get(name.suffix(*depth)))?;
        let zone = self.list.get(*zone)?;
        (zone.kind == ZoneKind::Static).then_some(Place {
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

/// Whether the range asked lies in one of ours, or is an ancestor of one.
fn touches(ranges: &[IpNet], asked: IpNet) -> bool {
    ranges
        .iter()
        .any(|range| range.contains(&asked) || asked.contains(range))
}

/// A reverse zone: its apex, and the ranges of it that are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reverse {
    /// The apex.
    pub name: Name,
    /// The ranges.
    pub ranges: Vec<IpNet>,
}

/// The reverse zones of `cidrs`.
///
/// A range that ends on an octet (IPv6: a nibble) is one zone. One that does not is several of the next length,
/// all inside it: `10.96.0.0/12` is the sixteen zones `96.10.in-addr.arpa` to `111.10.in-addr.arpa`. Inside a
/// single `/24` (a range of /25 to /31) that would make a zone of each address; it is the covering zone, of
/// which only the names in the range are ours.
pub fn reverse_zones(cidrs: &[IpNet]) -> Vec<Reverse> {
    let mut zones: Vec<Reverse> = Vec::new();
    for cidr in cidrs {
        let (step, last) = match cidr {
            IpNet::V4(_) => (8, 24),
            IpNet::V6(_) => (4, 128),
        };
        let rounded = cidr.prefix_len().div_ceil(step) * step;
        let apexes: Vec<IpNet> = match cidr {
            IpNet::V4(v4) if rounded > last && v4.prefix_len() < 32 => {
                vec![IpNet::new(cidr.network(), last).map_or(*cidr, |net| net.trunc())]
            }
            _ => cidr
                .subnets(rounded)
                .map_or_else(|_| vec![*cidr], Iterator::collect),
        };
        for apex in apexes {
            let Some(name) = range_name(&apex) else {
                continue;
            };
            match zones.iter_mut().find(|zone| zone.name == name) {
                Some(zone) => zone.ranges.push(*cidr),
                None => zones.push(Reverse {
                    name,
                    ranges: vec![*cidr],
                }),
            }
        }
    }
    zones
}

/// The reverse name of an address (RFC 1035, section 3.5; RFC 3596, section 2.5).
pub fn reverse_name(address: IpAddr) -> Option<Name> {
    range_name(&IpNet::from(address))
}

/// The reverse name of a range that ends on an octet or nibble.
fn range_name(range: &IpNet) -> Option<Name> {
    let prefix = usize::from(range.prefix_len());
    let text = match range.network() {
        IpAddr::V4(address) => {
            let octets = address.octets().into_iter().take(prefix / 8);
            let labels: Vec<String> = octets.map(|octet| octet.to_string()).collect();
            labels
                .into_iter()
                .rev()
                .chain(["in-addr.arpa".to_owned()])
                .collect::<Vec<_>>()
        }
        IpAddr::V6(address) => {
            let nibbles = address
                .octets()
                .into_iter()
                .flat_map(|octet| [octet >> 4, octet & 15]);
            let labels: Vec<String> = nibbles.take(prefix / 4).map(|n| format!("{n:x}")).collect();
            labels
                .into_iter()
                .rev()
                .chain(["ip6.arpa".to_owned()])
                .collect::<Vec<_>>()
        }
    };
    Name::parse(&text.join(".")).ok()
}

/// The range that a reverse name stands for, and `true`; or that of the nearest name above it that stands for one, and
/// `false`: `lb._dns-sd._udp.0.96.10.in-addr.arpa` is a name like any other below the range 10.96.0.0/24.
fn reverse_range(name: &QueryName) -> Option<(IpNet, bool)> {
    let count = name.label_count();
    let top = [name.label(count.checked_sub(2)?), name.label(count - 1)];
    let digits = (0..count - 2).rev().map(|index| name.label(index));
    let mut octets = [0_u8; 16];
    let mut len = 0_usize;
    let range = match top {
        [b"in-addr", b"arpa"] => {
            for (octet, label) in octets.iter_mut().zip(digits.take(4)) {
                let text = std::str::from_utf8(label).ok();
                let Some(value) = text.and_then(|text| text.parse().ok()) else {
                    break;
                };
                *octet = value;
                len += 1;
            }
            let [a, b, c, d, ..] = octets;
            let address = Ipv4Addr::new(a, b, c, d);
            IpNet::new(address.into(), u8::try_from(len * 8).ok()?).ok()?
        }
        [b"ip6", b"arpa"] => {
            for label in digits.take(32) {
                let digit = match label {
                    [digit] => char::from(*digit).to_digit(16),
                    _ => None,
                };
                let Some(nibble) = digit.and_then(|digit| u8::try_from(digit).ok()) else {
                    break;
                };
                let shift = if len.is_multiple_of(2) { 4 } else { 0 };
                *octets.get_mut(len / 2)? |= nibble << shift;
                len += 1;
            }
            let address = Ipv6Addr::from(octets);
            IpNet::new(address.into(), u8::try_from(len * 4).ok()?).ok()?
        }
        _ => return None,
    };
    Some((range, len == count - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_reverse(cidr: &str, expected: &[&str]) {
        let zones = reverse_zones(&[cidr.parse().unwrap()]);
        let names: Vec<String> = zones.iter().map(|zone| zone.name.to_string()).collect();
        assert_eq!(names, expected, "{cidr}");
    }

    #[test]
    fn reverse_zones_lie_inside_their_range() {
        check_reverse("10.96.0.0/16", &["96.10.in-addr.arpa."]);
        check_reverse("10.0.0.0/8", &["10.in-addr.arpa."]);
        check_reverse(
            "10.96.0.0/15",
            &["96.10.in-addr.arpa.", "97.10.in-addr.arpa."],
        );
        check_reverse(
            "10.1.2.0/23",
            &["2.1.10.in-addr.arpa.", "3.1.10.in-addr.arpa."],
        );
        check_reverse("10.1.2.128/25", &["2.1.10.in-addr.arpa."]);
        check_reverse("fd00:10:96::/48", &["6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa."]);
        check_reverse("fd00::/7", &["c.f.ip6.arpa.", "d.f.ip6.arpa."]);
    }

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
