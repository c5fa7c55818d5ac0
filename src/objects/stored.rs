//! Slim objects as octets and back, for a file that is read by the process after this one.
//!
//! [`store`] gives the octets of many objects piece by piece, [`load`] gives the objects of all of them, or nothing. What
//! objects share (the names of nodes, the metadata of a revision's pods) is written once, and is shared again by those
//! that are loaded. It is a private form: [`shape`] tells whether the program that reads it knows the same fields, and
//! where it does not there is nothing to be had from the octets. Whether octets are whole is for who keeps them to know;
//! here any octets at all are read without a panic, and take no more memory than some multiple of their number.
//!
//! ```text
//! a number:            7 bits an octet, the lowest first
//! a shared value:      0, the value       of nobody else
//!                      1, the value       the next of the table of its type
//!                      n + 2              the n-th of that table
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use jiff::Timestamp;

use super::conditions::Stall;
use super::few::Few;
use super::labels::Labels;
use super::meta::{Common, Controller, Meta};
use super::network::{
    AddressType, EndpointSlice, Namespace, Node, Place, Service, ServiceTarget, SliceEndpoint,
};
use super::object::{Kind, Object};
use super::pods::{Ailment, Pod};
use super::resource::{Accepted, ServiceRollout, Told};
use super::revisions::{ControllerRevision, ReplicaSet};
use super::templates::{Content, Template};
use super::workloads::{DaemonSet, Deployment, StatefulSet, Update};
use crate::model::{Amount, EndpointPort, Port, Protocol, Trouble, Uid};

/// How values are written; to be counted up with every change of it that [`shape`] does not see by itself: of the enums
/// written out by hand below, of numbers, of what a field means.
const FORM: &str = "1";

/// Octets are handed over in pieces of about this size.
const PIECE: usize = 64 << 10;

/// Which fields are known, as a number that is another where they are others.
pub fn shape() -> u64 {
    let kinds = Kind::ALL.iter().map(|kind| kind.as_str());
    let texts = SHAPES.iter().copied().chain(kinds).chain([FORM]);
    // FNV-1a, with an end for each text.
    let octets = texts.flat_map(|text| text.bytes().chain([0]));
    octets.fold(0xCBF2_9CE4_8422_2325, |sum, octet| {
        (sum ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Hands the octets of `objects` to `give`, piece by piece.
///
/// # Errors
/// What `give` fails with; then not all was given.
pub fn store<E>(objects: &[Object], mut give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut out = Storing::default();
    for object in objects {
        object.store(&mut out);
        if out.octets.len() >= PIECE {
            give(&out.octets)?;
            out.octets.clear();
        }
    }
    give(&out.octets)
}

/// The objects that are in `octets`; `None` where those are anything but what [`store`] gave in a program of this shape.
pub fn load(octets: &[u8]) -> Option<Vec<Object>> {
    let mut from = Loading {
        rest: octets,
        ..Loading::default()
    };
    let mut objects = Vec::new();
    while !from.rest.is_empty() {
        objects.push(Object::load(&mut from)?);
    }
    objects.shrink_to_fit();
    Some(objects)
}

/// A value that is written and read.
trait Stored: Sized {
    fn store(&self, out: &mut Storing);
    fn load(from: &mut Loading<'_>) -> Option<Self>;
}

/// What has been written. Shared values are known by where they lie: all objects that are stored live until the last is.
#[derive(Default)]
struct Storing {
    octets: Vec<u8>,
    texts: HashMap<usize, u64>,
    labels: HashMap<usize, u64>,
    commons: HashMap<usize, u64>,
    places: HashMap<usize, u64>,
    ports: HashMap<usize, u64>,
}

impl Storing {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.octets.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.octets.push(number.to_le_bytes()[0]);
    }

    fn len(&mut self, len: usize) {
        self.number(u64::try_from(len).unwrap_or(u64::MAX));
    }

    /// Writes a value that others may share; `at` is where it lies.
    fn shared(
        &mut self,
        table: fn(&mut Self) -> &mut HashMap<usize, u64>,
        (at, is_shared): (usize, bool),
        value: impl FnOnce(&mut Self),
    ) {
        if !is_shared {
            self.number(0);
            return value(self);
        }
        match table(self).get(&at).copied() {
            Some(number) => self.number(number + 2),
            None => {
                self.number(1);
                value(self);
                let table = table(self);
                let number = table.len() as u64;
                table.insert(at, number);
            }
        }
    }
}

/// What is left to be read, and what was shared before.
#[derive(Default)]
struct Loading<'a> {
    rest: &'a [u8],
    texts: Vec<Arc<str>>,
    labels: Vec<Labels>,
    commons: Vec<Arc<Common>>,
    places: Vec<Arc<Place>>,
    ports: Vec<Arc<[EndpointPort]>>,
}

impl<'a> Loading<'a> {
    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn octets(&mut self, len: usize) -> Option<&'a [u8]> {
        let (octets, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(octets)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (octets, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*octets)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7F) << shift;
            if octet < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn shared<T: Clone>(
        &mut self,
        table: fn(&mut Self) -> &mut Vec<T>,
        value: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        match self.number()? {
            0 => value(self),
            1 => {
                let value = value(self)?;
                table(self).push(value.clone());
                Some(value)
            }
            number => {
                let at = usize::try_from(number - 2).ok()?;
                table(self).get(at).cloned()
            }
        }
    }

    fn list<T: Stored>(&mut self) -> Option<Vec<T>> {
        let len = self.len()?;
        // Nothing takes less than an octet: what a number promises is not believed beyond that.
        let mut list = Vec::with_capacity(len.min(self.rest.len()).min(64));
        for _ in 0..len {
            list.push(T::load(self)?);
        }
        Some(list)
    }
}

/// Where a shared value lies, and whether there is another who has it.
fn place<T: ?Sized>(value: &Arc<T>) -> (usize, bool) {
    let at = Arc::as_ptr(value).cast::<u8>().addr();
    (at, Arc::strong_count(value) > 1)
}

/// Structs, field by field: who adds a field to one cannot forget it here, and makes the shape another.
macro_rules! stored {
    ($($type:ident { $($field:ident),* $(,)? })*) => {
        const SHAPES: &[&str] = &[$(concat!(stringify!($type), $(" ", stringify!($field)),*)),*];
        $(
            impl Stored for $type {
                fn store(&self, out: &mut Storing) {
                    let Self { $($field),* } = self;
                    $($field.store(out);)*
                }

                fn load(from: &mut Loading<'_>) -> Option<Self> {
                    $(let $field = Stored::load(from)?;)*
                    Some(Self { $($field),* })
                }
            }
        )*
    };
}

stored! {
    Meta { name, common, line, deleting, flaws }
    Common { namespace, labels, controller, tag, file }
    Controller { kind, name, uid }
    Namespace { meta }
    Node { meta }
    Service { meta, uid, created, annotations, target, ports, publish_not_ready, selector }
    EndpointSlice { meta, service, addresses, ports, endpoints, triggered }
    SliceEndpoint { addresses, uid, pod, place, ready, serving, terminating }
    Place { hostname, zone, node }
    Pod { meta, addresses, terminal, ready, ready_since, restarts, ailment }
    Ailment { trouble, stalled }
    Stall { reason, since }
    Trouble { restarts, crash_looping, ended, ended_badly, unready_since }
    Port { name, protocol, number, target }
    EndpointPort { name, protocol, number }
    Deployment {
        meta, uid, generation, template, replicas, update, min_ready_secs, paused, paused_since, deadline_exceeded,
        stalled, observed, status_replicas, updated, available,
    }
    StatefulSet {
        meta, uid, generation, template, replicas, update, min_ready_secs, observed, status_replicas, ready, updated,
        current_revision, update_revision,
    }
    DaemonSet {
        meta, uid, generation, template, update, min_ready_secs, observed, desired, updated, available,
    }
    ReplicaSet { meta, uid, created, number, reused, template, content, stalled }
    ControllerRevision { meta, created, number, template, content }
    Template { labels, tag }
    Content { digest, images }
    ServiceRollout { meta, uid, version, generation, written, told, memory }
    Told { state, reason, stable, target, share, ttl, generation, accepted }
    Accepted { is, since, message }
}

impl Stored for Object {
    fn store(&self, out: &mut Storing) {
        self.kind().store(out);
        match self {
            Self::Namespace(object) => object.store(out),
            Self::Node(object) => object.store(out),
            Self::Service(object) => object.store(out),
            Self::EndpointSlice(object) => object.store(out),
            Self::Pod(object) => object.store(out),
            Self::Deployment(object) => object.store(out),
            Self::ReplicaSet(object) => object.store(out),
            Self::StatefulSet(object) => object.store(out),
            Self::DaemonSet(object) => object.store(out),
            Self::ControllerRevision(object) => object.store(out),
            Self::ServiceRollout(object) => object.store(out),
        }
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some(match Kind::load(from)? {
            Kind::Namespace => Self::Namespace(Arc::new(Stored::load(from)?)),
            Kind::Node => Self::Node(Arc::new(Stored::load(from)?)),
            Kind::Service => Self::Service(Arc::new(Stored::load(from)?)),
            Kind::EndpointSlice => Self::EndpointSlice(Arc::new(Stored::load(from)?)),
            Kind::Pod => Self::Pod(Arc::new(Stored::load(from)?)),
            Kind::Deployment => Self::Deployment(Arc::new(Stored::load(from)?)),
            Kind::ReplicaSet => Self::ReplicaSet(Arc::new(Stored::load(from)?)),
            Kind::StatefulSet => Self::StatefulSet(Arc::new(Stored::load(from)?)),
            Kind::DaemonSet => Self::DaemonSet(Arc::new(Stored::load(from)?)),
            Kind::ControllerRevision => Self::ControllerRevision(Arc::new(Stored::load(from)?)),
            Kind::ServiceRollout => Self::ServiceRollout(Arc::new(Stored::load(from)?)),
        })
    }
}

/// By its place among all of them, which is part of the shape.
impl Stored for Kind {
    fn store(&self, out: &mut Storing) {
        out.len(Self::ALL.iter().position(|kind| kind == self).unwrap_or(0));
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Self::ALL.get(from.len()?).copied()
    }
}

impl Stored for ServiceTarget {
    fn store(&self, out: &mut Storing) {
        match self {
            Self::Addresses(addresses) => {
                out.number(0);
                out.len(addresses.len());
                addresses.iter().for_each(|address| address.store(out));
            }
            Self::Unassigned => out.number(1),
            Self::Headless => out.number(2),
            Self::External(name) => {
                out.number(3);
                name.store(out);
            }
        }
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some(match from.number()? {
            0 => Self::Addresses(from.list()?),
            1 => Self::Unassigned,
            2 => Self::Headless,
            3 => Self::External(Stored::load(from)?),
            _ => return None,
        })
    }
}

impl Stored for AddressType {
    fn store(&self, out: &mut Storing) {
        out.number(match self {
            Self::V4 => 0,
            Self::V6 => 1,
            Self::Fqdn => 2,
            Self::Unknown => 3,
        });
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some(match from.number()? {
            0 => Self::V4,
            1 => Self::V6,
            2 => Self::Fqdn,
            3 => Self::Unknown,
            _ => return None,
        })
    }
}

impl Stored for Protocol {
    fn store(&self, out: &mut Storing) {
        out.number(match self {
            Self::Tcp => 0,
            Self::Udp => 1,
            Self::Sctp => 2,
        });
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some(match from.number()? {
            0 => Self::Tcp,
            1 => Self::Udp,
            2 => Self::Sctp,
            _ => return None,
        })
    }
}

impl Stored for Update {
    fn store(&self, out: &mut Storing) {
        match self {
            Self::Rolling {
                surge,
                unavailable,
                partition,
            } => {
                out.number(0);
                surge.store(out);
                unavailable.store(out);
                partition.store(out);
            }
            Self::Recreate => out.number(1),
            Self::OnDelete => out.number(2),
        }
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some(match from.number()? {
            0 => Self::Rolling {
                surge: Stored::load(from)?,
                unavailable: Stored::load(from)?,
                partition: Stored::load(from)?,
            },
            1 => Self::Recreate,
            2 => Self::OnDelete,
            _ => return None,
        })
    }
}

impl Stored for Amount {
    fn store(&self, out: &mut Storing) {
        let (tag, number) = match self {
            Self::Count(count) => (0, count),
            Self::Percent(percent) => (1, percent),
        };
        out.number(tag);
        number.store(out);
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some(match from.number()? {
            0 => Self::Count(Stored::load(from)?),
            1 => Self::Percent(Stored::load(from)?),
            _ => return None,
        })
    }
}

/// A UUID as its octets; a text otherwise, of which empty is the commonest.
impl Stored for Uid {
    fn store(&self, out: &mut Storing) {
        match self.octets() {
            Some(octets) => {
                out.number(1);
                out.octets.extend_from_slice(octets);
            }
            None => {
                let text = self.text();
                out.len(text.len() + 2);
                out.octets.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        match from.len()? {
            0 => None,
            1 => Some(Self::from_octets(from.array()?)),
            len => {
                let text = std::str::from_utf8(from.octets(len - 2)?).ok()?;
                Some(Self::from(text))
            }
        }
    }
}

impl Stored for Arc<str> {
    fn store(&self, out: &mut Storing) {
        out.shared(
            |out| &mut out.texts,
            place(self),
            |out| {
                out.len(self.len());
                out.octets.extend_from_slice(self.as_bytes());
            },
        );
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        let text = |from: &mut Loading<'_>| {
            let len = from.len()?;
            std::str::from_utf8(from.octets(len)?).ok().map(Self::from)
        };
        from.shared(|from| &mut from.texts, text)
    }
}

impl Stored for Labels {
    fn store(&self, out: &mut Storing) {
        out.shared(
            |out| &mut out.labels,
            place(self.entries()),
            |out| {
                out.len(self.entries().len());
                for (key, value) in self.iter() {
                    key.store(out);
                    value.store(out);
                }
            },
        );
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.shared(|from| &mut from.labels, |from| from.list().map(Self::new))
    }
}

impl Stored for Arc<Common> {
    fn store(&self, out: &mut Storing) {
        let value = |out: &mut Storing| (**self).store(out);
        out.shared(|out| &mut out.commons, place(self), value);
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.shared(
            |from| &mut from.commons,
            |from| Common::load(from).map(Self::new),
        )
    }
}

impl Stored for Arc<Place> {
    fn store(&self, out: &mut Storing) {
        let value = |out: &mut Storing| (**self).store(out);
        out.shared(|out| &mut out.places, place(self), value);
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.shared(
            |from| &mut from.places,
            |from| Place::load(from).map(Self::new),
        )
    }
}

impl Stored for Arc<[EndpointPort]> {
    fn store(&self, out: &mut Storing) {
        out.shared(
            |out| &mut out.ports,
            place(self),
            |out| {
                out.len(self.len());
                self.iter().for_each(|port| port.store(out));
            },
        );
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.shared(|from| &mut from.ports, |from| from.list().map(Self::from))
    }
}

impl<T: Stored> Stored for Option<T> {
    fn store(&self, out: &mut Storing) {
        match self {
            None => out.number(0),
            Some(value) => {
                out.number(1);
                value.store(out);
            }
        }
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        match from.number()? {
            0 => Some(None),
            1 => T::load(from).map(Some),
            _ => None,
        }
    }
}

impl<T: Stored> Stored for Box<T> {
    fn store(&self, out: &mut Storing) {
        (**self).store(out);
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        T::load(from).map(Self::new)
    }
}

impl<T: Stored> Stored for Box<[T]> {
    fn store(&self, out: &mut Storing) {
        out.len(self.len());
        self.iter().for_each(|value| value.store(out));
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.list().map(Self::from)
    }
}

impl<T: Stored> Stored for Few<T> {
    fn store(&self, out: &mut Storing) {
        out.len(self.len());
        self.iter().for_each(|value| value.store(out));
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.list().map(Self::from)
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn store(&self, out: &mut Storing) {
        self.0.store(out);
        self.1.store(out);
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some((A::load(from)?, B::load(from)?))
    }
}

impl Stored for bool {
    fn store(&self, out: &mut Storing) {
        out.number(u64::from(*self));
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        match from.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Stored for u16 {
    fn store(&self, out: &mut Storing) {
        out.number((*self).into());
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Self::try_from(from.number()?).ok()
    }
}

impl Stored for u32 {
    fn store(&self, out: &mut Storing) {
        out.number((*self).into());
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Self::try_from(from.number()?).ok()
    }
}

impl Stored for u64 {
    fn store(&self, out: &mut Storing) {
        out.number(*self);
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.number()
    }
}

impl Stored for i64 {
    fn store(&self, out: &mut Storing) {
        out.octets.extend_from_slice(&self.to_le_bytes());
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        from.array().map(Self::from_le_bytes)
    }
}

/// Seconds, and nanoseconds with their sign in front, of which most have none.
impl Stored for Timestamp {
    fn store(&self, out: &mut Storing) {
        self.as_second().store(out);
        let nanoseconds = self.subsec_nanosecond();
        out.number(u64::from(nanoseconds.unsigned_abs()) * 2 + u64::from(nanoseconds < 0));
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        let seconds = i64::load(from)?;
        let number = from.number()?;
        let nanoseconds = i32::try_from(number / 2).ok()?;
        let sign = if number % 2 == 1 { -1 } else { 1 };
        Self::new(seconds, nanoseconds * sign).ok()
    }
}

impl Stored for IpAddr {
    fn store(&self, out: &mut Storing) {
        match self {
            Self::V4(address) => {
                out.number(4);
                out.octets.extend_from_slice(&address.octets());
            }
            Self::V6(address) => {
                out.number(6);
                out.octets.extend_from_slice(&address.octets());
            }
        }
    }

    fn load(from: &mut Loading<'_>) -> Option<Self> {
        Some(match from.number()? {
            4 => Self::V4(Ipv4Addr::from(from.array::<4>()?)),
            6 => Self::V6(Ipv6Addr::from(from.array::<16>()?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::object::Reader;
    use super::super::{Document, Tree};
    use super::*;

    fn stored(objects: &[Object]) -> Vec<u8> {
        let mut octets = Vec::new();
        let done: Result<(), Infallible> = store(objects, |piece| {
            octets.extend_from_slice(piece);
            Ok(())
        });
        done.unwrap_or_else(|never| match never {});
        octets
    }

    /// One of each kind with every field that can be set, and some that are left out.
    fn full() -> Vec<Object> {
        let uid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let meta = |name: &str| {
            json!({"name": name, "namespace": "shop", "uid": uid, "generation": 7, "resourceVersion": "12",
            "creationTimestamp": "2026-03-01T08:00:00Z", "labels": {"app": "web", "pod-template-hash": "aaa"},
            "annotations": {"shiftdns.io/weights": "v1=1", "deployment.kubernetes.io/revision": "3",
                "deployment.kubernetes.io/revision-history": "1",
                "endpoints.kubernetes.io/last-change-trigger-time": "2026-03-01T08:00:00.25Z"},
            "ownerReferences": [{"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "web-aaa", "uid": "u",
                "controller": true}]})
        };
        let template = json!({"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"image": "shop/web:1.2"}]}});
        let rolling = |amount: &str| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": amount, "maxUnavailable": 1, "partition": 2}});
        let failure = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "lastTransitionTime": "2026-03-01T08:00:00Z"}]);
        let documents = json!([
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}}},
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}},
            {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"selector": {"app": "web"},
                "clusterIPs": ["10.96.0.1", "fd00::1"], "publishNotReadyAddresses": true,
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}, {"port": 53, "protocol": "UDP", "targetPort": "dns"}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "none", "namespace": "shop"}, "spec": {"clusterIP": "None"}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "un"}, "spec": {"ports": [{"port": 9, "protocol": "SCTP"}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "out"},
                "spec": {"type": "ExternalName", "externalName": "example.com"}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": meta("web-x"), "ports": [{"name": "http", "port": 8080}],
                "endpoints": [
                    {"addresses": ["10.1.0.1"], "hostname": "db-0", "zone": "a", "nodeName": "node-1",
                        "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-aaa-1", "uid": uid},
                        "conditions": {"ready": true, "serving": true, "terminating": false}},
                    {"addresses": ["10.1.0.2", "10.1.0.3"], "zone": "a", "nodeName": "node-1",
                        "conditions": {"ready": false, "serving": true, "terminating": true}}]},
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web-aaa-1"),
                "spec": {"containers": [{"name": "c", "image": "shop/web:1.2"}]},
                "status": {"phase": "Running", "podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::2"}],
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T08:00:00Z"}],
                    "containerStatuses": [{"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-03-01T08:01:00Z"}}}]}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("web"),
                "spec": {"replicas": 3, "paused": true, "strategy": rolling("25%"), "template": template, "minReadySeconds": 4},
                "status": {"observedGeneration": 7, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 1,
                    "conditions": failure}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "re"},
                "spec": {"strategy": {"type": "Recreate"}}},
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta("db"),
                "spec": {"updateStrategy": {"type": "OnDelete"}, "template": template},
                "status": {"currentRevision": "db-1", "updateRevision": "db-2", "readyReplicas": 2}},
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta("agent"),
                "spec": {"updateStrategy": rolling("1"), "template": template}, "status": {"desiredNumberScheduled": 5}},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta("web-aaa"),
                "spec": {"template": template}, "status": {"conditions": failure}},
            {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": meta("db-1"), "revision": -4,
                "data": {"spec": {"template": template}}},
            {"apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout", "metadata": meta("web"),
                "spec": {"strategy": "linear", "ramp": "10m", "nonsense": 1},
                "status": {"state": "Progressing", "reason": "r", "stable": "aaa", "target": "bbb", "shareBasisPoints": 2500,
                    "ttl": 5, "observedGeneration": 7, "memory": "{}",
                    "conditions": [{"type": "Accepted", "status": "True", "lastTransitionTime": "2026-03-01T08:00:00Z",
                        "message": "the policy is in force"}]}},
        ]);
        let trees: Vec<Tree> = serde_json::from_value(documents).unwrap();
        let mut reader = Reader::default();
        let read = |tree: &Tree| match reader.read(tree) {
            Document::Object(object) => object,
            other => panic!("{other:?}"),
        };
        trees.iter().map(read).collect()
    }

    #[test]
    fn what_is_loaded_is_what_was_stored() {
        let objects = full();
        let kinds: std::collections::BTreeSet<Kind> = objects.iter().map(Object::kind).collect();
        assert_eq!(kinds.len(), Kind::ALL.len());
        let loaded = load(&stored(&objects)).unwrap();
        // By their text: equality leaves out where an object stands.
        assert_eq!(format!("{loaded:#?}"), format!("{objects:#?}"));
        assert_eq!(load(&[]), Some(Vec::new()));
    }

    #[test]
    fn what_was_shared_is_shared_again() {
        let pods = (0..1000).map(|n| {
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("web-{n:04}"), "namespace": "shop",
                "labels": {"app": "web", "pod-template-hash": "5d8f9c7b6d"}}})
        });
        let mut reader = Reader::default();
        let read = |tree| match reader.read(&serde_json::from_value(tree).unwrap()) {
            Document::Object(object) => object,
            other => panic!("{other:?}"),
        };
        let pods: Vec<Object> = pods.map(read).collect();
        let octets = stored(&pods);
        // A name of 8 octets, and what few fields a pod without a status has.
        assert!(octets.len() < 1000 * 32, "{}", octets.len());
        let loaded = load(&octets).unwrap();
        let common = &loaded[0].meta().common;
        assert!(
            loaded
                .iter()
                .all(|pod| Arc::ptr_eq(&pod.meta().common, common))
        );
    }

    #[test]
    fn other_fields_are_another_shape() {
        assert_ne!(shape(), 0);
        assert!(SHAPES.contains(&"Place hostname zone node"));
    }

    #[test]
    fn a_part_is_nothing_and_so_is_what_is_not_ours() {
        let octets = stored(&full());
        for end in 1..octets.len() {
            let loaded = load(&octets[..end]);
            // Cut between two objects it is fewer of them: who keeps the octets knows how many there are.
            assert!(
                loaded.is_none_or(|loaded| loaded.len() < full().len()),
                "{end}"
            );
        }
        assert_eq!(load(&[255; 64]), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_a_panic(
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            noise in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut octets = stored(&full());
            for (at, octet) in flips {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            let _ = load(&octets);
            let _ = load(&noise);
        }
    }
}
