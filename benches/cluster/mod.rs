//! A cluster of any size for benches: services of ten endpoints, with the pods, ReplicaSets and Deployments behind them.
//!
//! Of a hundred services ninety have a cluster IP, nine are headless, and one is headless with two versions and the
//! weights 90 and 10. Every service has two named ports; fifty services share a namespace. Objects are read from
//! JSON as a source reads them, so that they are as large in memory as real ones.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each bench that has a cluster uses another part of it"
)]

pub mod counting;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use shiftdns::answer::View;
use shiftdns::app;
use shiftdns::config::{self, Flags};
use shiftdns::engine::Engine;
use shiftdns::objects::{Change, Document, Kind, Object, Reader, Tree};

/// That of the program.
#[global_allocator]
static ALLOCATOR: counting::Allocator = counting::Allocator;

/// Endpoints of every service: ten, or `SHIFTDNS_BENCH_ENDPOINTS`.
pub fn endpoints() -> usize {
    static ENDPOINTS: OnceLock<usize> = OnceLock::new();
    *ENDPOINTS.get_or_init(|| {
        let text = std::env::var("SHIFTDNS_BENCH_ENDPOINTS");
        text.map_or(10, |text| text.parse().expect("a number of endpoints"))
    })
}

const SERVICES_A_NAMESPACE: usize = 50;
/// When every object was created, and every pod became ready.
pub const CREATED: &str = "2026-03-02T09:00:00Z";

/// One service of the cluster, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Service(pub usize);

impl Service {
    /// Its names are its endpoints.
    pub fn is_headless(self) -> bool {
        self.0 % 10 == 9
    }

    /// It has two versions and weights.
    pub fn is_weighted(self) -> bool {
        self.0 % 100 == 99
    }

    fn namespace(self) -> String {
        format!("team-{:03}", self.0 / SERVICES_A_NAMESPACE)
    }

    fn name(self) -> String {
        format!("service-{:05}", self.0)
    }

    /// Its name in the default zone, without the final dot.
    pub fn dns_name(self) -> String {
        format!("{}.{}.svc.cluster.local", self.name(), self.namespace())
    }

    fn replica_set_uid(self, version: &str) -> String {
        self.uid(&format!("{:0>8}", version.trim_start_matches('v')))
    }

    fn uid(self, what: &str) -> String {
        format!("{what}-0000-4000-8000-{:012}", self.0)
    }

    /// The version an endpoint runs: of a weighted service the last three are `v2`.
    fn version(self, endpoint: usize) -> &'static str {
        if self.is_weighted() && endpoint >= endpoints() * 7 / 10 {
            "v2"
        } else {
            "v1"
        }
    }

    fn versions(self) -> &'static [&'static str] {
        if self.is_weighted() {
            &["v1", "v2"]
        } else {
            &["v1"]
        }
    }

    fn hash(self, version: &str) -> String {
        format!("{:05x}{version}", self.0)
    }

    fn pod_name(self, endpoint: usize) -> String {
        let hash = self.hash(self.version(endpoint));
        format!("{}-{hash}-{endpoint:05}", self.name())
    }

    fn pod_uid(self, endpoint: usize) -> String {
        self.uid(&format!("{endpoint:08}"))
    }

    fn address(self, endpoint: usize) -> String {
        let number = u32::try_from(self.0 * endpoints() + endpoint).expect("below 16 million");
        Ipv4Addr::from(0x0A00_0000 + 256 + number).to_string()
    }

    fn cluster_ip(self) -> String {
        let number = u32::try_from(self.0).expect("below a million");
        Ipv4Addr::from(0xAC10_0000 + 256 + number).to_string()
    }

    fn labels(self, version: &str) -> Value {
        json!({"app": self.name(), "app.kubernetes.io/version": version, "pod-template-hash": self.hash(version)})
    }

    pub fn annotations(self) -> Value {
        match self.is_weighted() {
            true => json!({"shiftdns.io/weights": "v1=90,v2=10"}),
            false => json!({}),
        }
    }

    fn service(self, annotations: &Value) -> Value {
        let address = match self.is_headless() {
            true => "None".to_owned(),
            false => self.cluster_ip(),
        };
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name(), "namespace": self.namespace(), "uid": self.uid("00000001"),
                "creationTimestamp": CREATED, "annotations": annotations},
            "spec": {"clusterIP": address, "clusterIPs": [address], "selector": {"app": self.name()},
                "ports": [{"name": "http", "protocol": "TCP", "port": 8080, "targetPort": 8080},
                    {"name": "metrics", "protocol": "TCP", "port": 9090, "targetPort": 9090}]},
        })
    }

    fn deployment(self) -> Value {
        let version = self.versions().last().expect("at least one");
        let updated = (0..endpoints())
            .filter(|pod| self.version(*pod) == *version)
            .count();
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": self.name(), "namespace": self.namespace(), "uid": self.uid("00000002"),
                "generation": 1, "creationTimestamp": CREATED},
            "spec": {"replicas": endpoints(), "selector": {"matchLabels": {"app": self.name()}},
                "template": {"metadata": {"labels": {"app": self.name(), "app.kubernetes.io/version": version}}}},
            "status": {"observedGeneration": 1, "replicas": endpoints(), "readyReplicas": endpoints(),
                "availableReplicas": endpoints(), "updatedReplicas": updated},
        })
    }

    fn replica_set(self, version: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": format!("{}-{}", self.name(), self.hash(version)), "namespace": self.namespace(),
                "uid": self.replica_set_uid(version), "creationTimestamp": CREATED, "labels": self.labels(version),
                "annotations": {"deployment.kubernetes.io/revision": version.trim_start_matches('v')},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name(),
                    "uid": self.uid("00000002"), "controller": true}]},
            "spec": {"replicas": endpoints(), "template": {"metadata": {"labels": self.labels(version)}}},
        })
    }

    fn pod(self, endpoint: usize, ready: bool) -> Value {
        let version = self.version(endpoint);
        let address = self.address(endpoint);
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": self.pod_name(endpoint), "namespace": self.namespace(),
                "uid": self.pod_uid(endpoint), "labels": self.labels(version),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                    "name": format!("{}-{}", self.name(), self.hash(version)),
                    "uid": self.replica_set_uid(version), "controller": true}]},
            "spec": {"nodeName": format!("node-{:03}", endpoint * 7 % 100),
                "containers": [{"name": "app", "image": format!("registry.example/app:{version}")}]},
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" },
                    "lastTransitionTime": CREATED}]},
        })
    }

    /// `unready` is the endpoint that is not ready, if there is one.
    fn slice(self, unready: Option<usize>) -> Value {
        let endpoint = |index: usize| {
            let ready = unready != Some(index);
            let zone = ["zone-a", "zone-b", "zone-c"][index % 3];
            json!({"addresses": [self.address(index)], "nodeName": format!("node-{:03}", index * 7 % 100),
                "zone": zone,
                "conditions": {"ready": ready, "serving": ready, "terminating": false},
                "targetRef": {"kind": "Pod", "namespace": self.namespace(), "name": self.pod_name(index),
                    "uid": self.pod_uid(index)}})
        };
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{}-abcde", self.name()), "namespace": self.namespace(),
                "labels": {"kubernetes.io/service-name": self.name()}},
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080},
                {"name": "metrics", "protocol": "TCP", "port": 9090}],
            "endpoints": (0..endpoints()).map(endpoint).collect::<Vec<_>>(),
        })
    }

    /// The changes of one endpoint that becomes unready, or ready again: its pod, then its slice, as they arrive.
    pub fn turn(self, endpoint: usize, ready: bool, readers: &mut Readers) -> Vec<Change> {
        vec![
            Change::Apply(readers.read(Kind::Pod, self.pod(endpoint, ready))),
            self.slice_turn(endpoint, ready, readers),
        ]
    }

    /// The same of its slice alone.
    pub fn slice_turn(self, endpoint: usize, ready: bool, readers: &mut Readers) -> Change {
        let unready = (!ready).then_some(endpoint);
        Change::Apply(readers.read(Kind::EndpointSlice, self.slice(unready)))
    }

    /// The name of an endpoint, below that of the service.
    pub fn host_name(self, endpoint: usize) -> String {
        format!(
            "{}.{}",
            self.address(endpoint).replace('.', "-"),
            self.dns_name()
        )
    }
}

/// One reader a kind, which share what they have in common.
#[derive(Debug, Default)]
pub struct Readers {
    first: Reader,
    by_kind: BTreeMap<Kind, Reader>,
}

impl Readers {
    fn read(&mut self, kind: Kind, value: Value) -> Object {
        let tree: Tree = serde_json::from_value(value).expect("a tree");
        let reader = self.by_kind.entry(kind);
        match reader.or_insert_with(|| self.first.sharing()).read(&tree) {
            Document::Object(object) => object,
            other => panic!("a Kubernetes object, not {other:?}"),
        }
    }
}

/// All services of a cluster of `count`.
pub fn services(count: usize) -> impl Iterator<Item = Service> + Clone {
    (0..count).map(Service)
}

/// A whole list of every kind for a cluster of `count` services.
pub fn lists(count: usize) -> Vec<Change> {
    let mut readers = Readers::default();
    let reset = |kind| reset(kind, count, &mut readers);
    Kind::ALL.into_iter().map(reset).collect()
}

/// All objects of a kind in a cluster of `count` services.
pub fn reset(kind: Kind, count: usize, readers: &mut Readers) -> Change {
    let values = values(kind, services(count), Service::annotations);
    let objects = values.map(|value| readers.read(kind, value)).collect();
    Change::Reset { kind, objects }
}

/// The same for `count` services of two versions, all of them in an even ramp that goes as far as it is asked to.
pub fn rolling(count: usize) -> Vec<Change> {
    let two_versions = (0..count).map(|number| Service(number * 100 + 99));
    let ramp = |_| json!({"shiftdns.io/strategy": "linear", "shiftdns.io/ramp": "1h", "shiftdns.io/clamp": "off"});
    let mut readers = Readers::default();
    let mut reset = |kind| {
        let values = values(kind, two_versions.clone(), ramp);
        let objects = values.map(|value| readers.read(kind, value)).collect();
        Change::Reset { kind, objects }
    };
    Kind::ALL.into_iter().map(&mut reset).collect()
}

/// The objects of a kind as the API tells them.
pub fn values<'s>(
    kind: Kind,
    services: impl Iterator<Item = Service> + Clone + 's,
    annotations: impl Fn(Service) -> Value + 's,
) -> Box<dyn Iterator<Item = Value> + 's> {
    match kind {
        Kind::Namespace => {
            let count = services.map(|service| service.0 + 1).max().unwrap_or(0);
            let namespaces = 0..count.div_ceil(SERVICES_A_NAMESPACE);
            Box::new(namespaces.map(|number| {
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("team-{number:03}")}})
            }))
        }
        Kind::Service => Box::new(services.map(move |s| s.service(&annotations(s)))),
        Kind::EndpointSlice => Box::new(services.map(|s| s.slice(None))),
        Kind::Deployment => Box::new(services.map(Service::deployment)),
        Kind::Pod => Box::new(services.flat_map(|s| {
            let endpoints = 0..endpoints();
            endpoints.map(move |endpoint| s.pod(endpoint, true))
        })),
        Kind::ReplicaSet => Box::new(services.flat_map(|s| {
            let versions = s.versions().iter();
            versions.map(move |version| s.replica_set(version))
        })),
        _ => Box::new(std::iter::empty()),
    }
}

/// All objects in one list, as `kubectl get -o json` prints them.
pub fn write_list(count: usize, to: &mut impl std::io::Write) -> std::io::Result<()> {
    write!(to, r#"{{"apiVersion": "v1", "kind": "List", "items": ["#)?;
    let all = Kind::ALL.into_iter();
    let all = all.flat_map(|kind| values(kind, services(count), Service::annotations));
    for (n, value) in all.enumerate() {
        let comma = if n > 0 { ",\n" } else { "\n" };
        write!(to, "{comma}{value}")?;
    }
    writeln!(to, "\n]}}")
}

/// An engine that knows nothing yet and what queries see of it, with the default configuration.
pub fn engine() -> (Engine, Arc<View>) {
    let config = config::load(None, &Flags::default()).expect("the defaults are sound");
    app::offline(&config).expect("the zone's own names fit")
}

/// A query for `name` with EDNS, as a stub resolver's forwarder sends it.
pub fn query(name: &str, rtype: u16) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a label"));
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend_from_slice(&rtype.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    // OPT: root, type 41, 1232 octets, no flags, no options.
    query.extend_from_slice(&[0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]);
    query
}

/// The numbers from 0 to `count`, each once, in an order that no prefetcher knows.
pub fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for last in (1..count).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
    order
}
