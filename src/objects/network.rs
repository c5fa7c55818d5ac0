//! Slim Namespaces, Nodes, Services and EndpointSlices.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::few::Few;
use super::fields::Fields;
use super::labels::Labels;
use super::meta::{self, Meta};
use super::object::Kind;
use super::tree::Tree;
use crate::model::{EndpointPort, Port, Protocol, Uid};

/// The prefix of the annotations that are ours.
pub(super) const PREFIX: &str = "shiftdns.io/";

/// The annotation of a slice by which its controller tells since when it should be as it is.
const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The label of a slice that names its Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// A Namespace; its labels decide whether it is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// Name and labels.
    pub meta: Meta,
}

/// A Node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name.
    pub meta: Meta,
}

/// A Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Name.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Uid,
    /// `creationTimestamp`.
    pub created: Option<Timestamp>,
    /// The annotations with the prefix `shiftdns.io/`.
    pub annotations: Labels,
    /// What its name stands for.
    pub target: ServiceTarget,
    /// `spec.ports`.
    pub ports: Box<[Port]>,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// `spec.selector`; empty for a Service whose slices someone writes by hand.
    pub selector: Labels,
}

/// What the name of a Service stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceTarget {
    /// `clusterIPs`, those that are addresses.
    Addresses(Vec<IpAddr>),
    /// No cluster address has been given, as in a manifest that no cluster has seen.
    Unassigned,
    /// `clusterIP: None`.
    Headless,
    /// `type: ExternalName`, the name as written (empty where absent).
    External(Arc<str>),
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSlice {
    /// Name; its labels are not among it.
    pub meta: Meta,
    /// Its label that names the Service it belongs to, in its own namespace.
    pub service: Option<Arc<str>>,
    /// What its endpoints' addresses are.
    pub addresses: AddressType,
    /// Ports of every endpoint of it.
    pub ports: Arc<[EndpointPort]>,
    /// Its endpoints.
    pub endpoints: Box<[SliceEndpoint]>,
    /// When that happened which made a controller write it as it is; `None` where it does not say.
    pub triggered: Option<Timestamp>,
}

/// `addressType` of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// `IPv4`
    V4,
    /// `IPv6`
    V6,
    /// `FQDN`, which is deprecated and not answered.
    Fqdn,
    /// Anything else.
    Unknown,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceEndpoint {
    /// Usually one.
    pub addresses: Few<IpAddr>,
    /// `targetRef.uid`; empty where absent.
    pub uid: Uid,
    /// `targetRef` where it is a Pod in the slice's namespace: its name.
    pub pod: Option<Arc<str>>,
    /// Where it is.
    pub place: Arc<Place>,
    /// Unset counts as true.
    pub ready: bool,
    /// Unset counts as `ready`.
    pub serving: bool,
    /// Unset counts as false.
    pub terminating: bool,
}

/// What many endpoints have in common, kept once by those who read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// `hostname`, as written.
    pub hostname: Option<Arc<str>>,
    /// `zone`.
    pub zone: Option<Arc<str>>,
    /// `nodeName`.
    pub node: Option<Arc<str>>,
}

impl Namespace {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::Namespace, fields, |_| true)?;
        Some(Self { meta })
    }
}

impl Node {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::Node, fields, |_| false)?;
        Some(Self { meta })
    }
}

impl Service {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::Service, fields, |_| false)?;
        let uid = meta::uid(tree, fields);
        let created = meta::created(tree, fields);
        let annotations = meta::annotations(tree, fields, |key| key.starts_with(PREFIX));
        let spec = tree.get("spec");
        let ports = fields.list(spec.get("ports"), format_args!("spec.ports"));
        let read_port = |(n, tree): (usize, &Tree)| read_port(n, tree, fields);
        let ports = ports.iter().enumerate().filter_map(read_port).collect();
        Some(Self {
            meta,
            uid,
            created,
            annotations,
            target: ServiceTarget::read(spec, fields),
            ports,
            publish_not_ready: fields
                .boolean(
                    spec.get("publishNotReadyAddresses"),
                    format_args!("spec.publishNotReadyAddresses"),
                )
                .unwrap_or(false),
            selector: fields.labels(spec.get("selector"), format_args!("spec.selector"), |_| {
                true
            }),
        })
    }

    /// The annotations of ours, prefix removed, sorted by key.
    pub(super) fn own_annotations(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let all = self.annotations.iter();
        let own = all.filter_map(|(key, value)| {
            let key = key.strip_prefix(PREFIX)?;
            Some((key.into(), Arc::clone(value)))
        });
        own.collect()
    }

    /// The value of an annotation of ours, named without its prefix.
    pub fn annotation(&self, key: &str) -> Option<&Arc<str>> {
        let mut all = self.annotations.iter();
        all.find_map(|(known, value)| (known.strip_prefix(PREFIX) == Some(key)).then_some(value))
    }
}

impl ServiceTarget {
    fn read(spec: &Tree, fields: &mut Fields<'_>) -> Self {
        let kind = fields.text(spec.get("type"), format_args!("spec.type"));
        if kind == Some("ExternalName") {
            let name = spec.get("externalName");
            return Self::External(fields.shared(name, format_args!("spec.externalName")));
        }
        let listed = fields.list(spec.get("clusterIPs"), format_args!("spec.clusterIPs"));
        let single = std::slice::from_ref(spec.get("clusterIP"));
        let given = if listed.is_empty() { single } else { listed };
        let mut addresses = Vec::new();
        let mut assigned = false;
        for tree in given {
            match tree {
                Tree::Null => {}
                Tree::Text(text) if text.is_empty() => {}
                Tree::Text(text) if &**text == "None" => return Self::Headless,
                _ => {
                    assigned = true;
                    addresses.extend(fields.address(tree, format_args!("spec.clusterIPs")));
                }
            }
        }
        if assigned {
            Self::Addresses(addresses)
        } else {
            Self::Unassigned
        }
    }
}

fn read_port(n: usize, tree: &Tree, fields: &mut Fields<'_>) -> Option<Port> {
    let number = fields.port(tree.get("port"), format_args!("spec.ports[{n}].port"))?;
    let target = match tree.get("targetPort") {
        Tree::Text(text) if text.parse::<u16>().is_err() => None,
        Tree::Text(text) => text.parse().ok().filter(|port| *port > 0),
        Tree::Null | Tree::Int(0) => Some(number),
        other => fields.port(other, format_args!("spec.ports[{n}].targetPort")),
    };
    Some(Port {
        name: fields.named(tree.get("name"), format_args!("spec.ports[{n}].name")),
        protocol: read_protocol(tree, format_args!("spec.ports[{n}]"), fields)?,
        number,
        target,
    })
}

fn read_protocol(
    tree: &Tree,
    place: std::fmt::Arguments<'_>,
    fields: &mut Fields<'_>,
) -> Option<Protocol> {
    match tree.get("protocol") {
        Tree::Null => Some(Protocol::Tcp),
        Tree::Text(text) if &**text == "TCP" => Some(Protocol::Tcp),
        Tree::Text(text) if &**text == "UDP" => Some(Protocol::Udp),
        Tree::Text(text) if &**text == "SCTP" => Some(Protocol::Sctp),
        other => {
            fields.note(format_args!(
                "`{place}` is ignored: protocol `{other}` is none of TCP, UDP, SCTP"
            ));
            None
        }
    }
}

impl EndpointSlice {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::EndpointSlice, fields, |_| false)?;
        let service = fields.text(
            tree.at(&["metadata", "labels", SERVICE_LABEL]),
            format_args!("metadata.labels[{SERVICE_LABEL}]"),
        );
        let service = service.map(|name| fields.part(name));
        let addresses = match tree.get("addressType").text() {
            Some("IPv4") => AddressType::V4,
            Some("IPv6") => AddressType::V6,
            Some("FQDN") => AddressType::Fqdn,
            _ => AddressType::Unknown,
        };
        let mut ports = Vec::new();
        let listed = fields.list(tree.get("ports"), format_args!("ports"));
        for (n, tree) in listed.iter().enumerate() {
            ports.extend(read_slice_port(n, tree, fields));
        }
        let mut endpoints = Vec::new();
        if matches!(addresses, AddressType::V4 | AddressType::V6) {
            let listed = fields.list(tree.get("endpoints"), format_args!("endpoints"));
            for (n, tree) in listed.iter().enumerate() {
                endpoints.push(SliceEndpoint::read(
                    n,
                    tree,
                    &meta.namespace,
                    addresses,
                    fields,
                ));
            }
        }
        Some(Self {
            meta,
            service,
            addresses,
            ports: fields.ports(ports),
            endpoints: endpoints.into(),
            triggered: fields.time(
                tree.at(&["metadata", "annotations", TRIGGERED]),
                format_args!("metadata.annotations[{TRIGGERED}]"),
            ),
        })
    }
}

/// `None` for a port without a number, which stands for all ports and names none.
fn read_slice_port(n: usize, tree: &Tree, fields: &mut Fields<'_>) -> Option<EndpointPort> {
    Some(EndpointPort {
        number: fields.port(tree.get("port"), format_args!("ports[{n}].port"))?,
        name: fields.named(tree.get("name"), format_args!("ports[{n}].name")),
        protocol: read_protocol(tree, format_args!("ports[{n}]"), fields)?,
    })
}

impl SliceEndpoint {
    fn read(
        n: usize,
        tree: &Tree,
        namespace: &str,
        family: AddressType,
        fields: &mut Fields<'_>,
    ) -> Self {
        let listed = fields.list(
            tree.get("addresses"),
            format_args!("endpoints[{n}].addresses"),
        );
        let mut addresses = Vec::new();
        for tree in listed {
            let Some(address) = fields.address(tree, format_args!("endpoints[{n}].addresses"))
            else {
                continue;
            };
            if address.is_ipv4() == (family == AddressType::V4) {
                addresses.push(address);
            } else {
                fields.note(format_args!(
                    "`endpoints[{n}].addresses` is ignored: `{address}` is not of the slice's addressType"
                ));
            }
        }
        let mut condition = |key: &str| {
            let place = format_args!("endpoints[{n}].conditions.{key}");
            fields.boolean(tree.at(&["conditions", key]), place)
        };
        let ready = condition("ready").unwrap_or(true);
        let serving = condition("serving").unwrap_or(ready);
        let terminating = condition("terminating").unwrap_or(false);
        let target = tree.get("targetRef");
        let is_pod = target.get("kind").text() == Some("Pod");
        let home = target.get("namespace").text().unwrap_or_default();
        let is_here = home.is_empty() || home == namespace;
        let uid = fields.uid(target.get("uid"), format_args!("endpoints[{n}].uid"));
        let pod = fields.own(target.get("name"), format_args!("endpoints[{n}].name"));
        let mut named = |key: &str| {
            let place = format_args!("endpoints[{n}].{key}");
            fields.named(tree.get(key), place)
        };
        let place = Place {
            hostname: named("hostname"),
            zone: named("zone"),
            node: named("nodeName"),
        };
        Self {
            addresses: addresses.into(),
            uid,
            pod: (is_pod && is_here && !pod.is_empty()).then_some(pod),
            place: fields.place(place),
            ready,
            serving,
            terminating,
        }
    }
}
