//! The engine's manual: what is published, for any history of a cluster and at any time.

mod acting;
mod backends;
mod configure;
mod reports;
mod restore;
mod shop;
mod targets;
mod time;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::answer::{Identity, Limits, Transport, Worker, respond};
use crate::objects::Object;
use crate::store;
use crate::wire::{Name, rtype};
use crate::zone::{self, Authority, Node, Zones, reverse_zones};

const NOW: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// The terms of two cluster zones and reverse names.
fn terms(ttl: u32, limits: Limits) -> Terms {
    let names = Authority {
        server: name("ns.dns.z"),
        mname: name("ns.dns.z"),
        rname: name("hostmaster.z"),
    };
    let zone = |name, kind| Zone::new(name, kind, &names, ttl, 5);
    let reverse = reverse_zones(&["10.0.0.0/8".parse().unwrap()]);
    let reverse = reverse
        .into_iter()
        .map(|reverse| zone(reverse.name, ZoneKind::Reverse(reverse.ranges)));
    let clusters = ["z", "far.away"].map(|text| zone(name(text), ZoneKind::Cluster));
    Terms {
        zones: Zones::new(clusters.into_iter().chain(reverse).collect()),
        identity: Identity::default(),
        limits,
    }
}

/// Names of pods that exist, few endpoints.
fn settings() -> Settings {
    Settings {
        objects: objects::Settings {
            namespaces: Vec::new(),
            namespace_selector: None,
            reserved_namespaces: vec!["svc".to_owned()],
            address_deny: Vec::new(),
            endpoints_per_service: 5,
            endpoints_per_namespace: 9,
            pod_addresses: true,
        },
        defaults: Policy::default(),
        records: records::Settings::default(),
        pods: Pods::Verified,
        name_server: vec![Ipv4Addr::new(10, 9, 9, 9).into()],
        cache_floor: 5,
        in_cluster: false,
        upstream: true,
    }
}

/// An engine that knows nothing.
fn engine() -> Engine {
    engine_of(settings(), terms(30, Limits::default()))
}

fn engine_of(settings: Settings, terms: Terms) -> Engine {
    let (store, publisher) = store::new();
    let Terms {
        zones,
        identity,
        limits,
    } = terms;
    let view = View::new(store, zones, identity, limits);
    Engine::new(settings, Arc::new(view), publisher).unwrap()
}

fn read(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

// The universe: two namespaces, few names, and for each of them several objects that may stand there.

const SERVICES: [&str; 4] = ["web", "db", "blue", "alias"];

/// What a Service may look like.
fn service(namespace: &str, name: &str, shape: usize) -> Object {
    let annotations = [
        json!({}),
        json!({"shiftdns.io/weights": "v1=90,v2=10"}),
        json!({"shiftdns.io/weights": "v1=90,v2=ten"}),
        json!({"shiftdns.io/weights": "v2=1", "shiftdns.io/endpoints": "true", "shiftdns.io/answer": "pure"}),
        json!({"shiftdns.io/backends": "web=50,blue=50"}),
        json!({"shiftdns.io/backends": "web=50,blue=x"}),
        json!({"shiftdns.io/backends": "db=1", "shiftdns.io/steps": "10,100"}),
        json!({"shiftdns.io/version-label": "track", "shiftdns.io/ttl": "endpoints=7"}),
    ];
    let targets = [
        json!({"clusterIP": "None"}),
        json!({"clusterIP": "10.2.0.1", "clusterIPs": ["10.2.0.1", "fd00::1"]}),
        json!({"type": "ExternalName", "externalName": "db.example.org"}),
        json!({"clusterIP": "None", "publishNotReadyAddresses": true}),
        json!({"clusterIP": "10.2.0.2"}),
    ];
    let created = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
    let mut spec = targets[shape % targets.len()].clone();
    spec["selector"] = json!({"app": name});
    spec["ports"] =
        json!([{"name": "http", "port": 80}, {"name": "dns", "protocol": "UDP", "port": 53}]);
    read(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": (created[shape / 64 % 2]),
            "annotations": (annotations[shape / targets.len() % annotations.len()])},
        "spec": spec,
    }))
}

/// What a ServiceRollout may say.
fn resource(namespace: &str, name: &str, shape: usize) -> Object {
    let weights =
        |v2: Value| json!([{"version": "v1", "weight": 90}, {"version": "v2", "weight": v2}]);
    let specs = [
        json!({}),
        json!({"weights": (weights(json!(30)))}),
        json!({"weights": (weights(json!("ten")))}),
        json!({"weights": (weights(json!(99_999)))}),
        json!({"endpoints": true, "versionLabel": "track", "ttl": {"endpoints": 7}}),
        json!({"backends": [{"service": "web", "weight": 50}, {"service": "blue", "weight": 50}]}),
        json!({"backends": [{"service": "db", "weight": 1}], "steps": [{"weight": 10}]}),
        json!({"answer": "pure", "endpoints": true, "weights": [{"version": "v2", "weight": 1}]}),
    ];
    read(json!({
        "apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"name": name, "namespace": namespace},
        "spec": (specs[shape % specs.len()]), "status": {"memory": (shape / specs.len() % 2).to_string()},
    }))
}

/// Endpoints: up to four pods, each ready, unready or going away, by two bits of `shape`.
fn slice(namespace: &str, name: &str, service: &str, shape: usize) -> Object {
    let endpoint = |index: usize| {
        let state = shape >> (2 * index) & 3;
        let mut endpoint = json!({
            "addresses": [format!("10.1.0.{}", 1 + (index + shape / 256) % 6)],
            "conditions": {"ready": state == 1, "serving": state != 2, "terminating": state == 3},
            "targetRef": {"kind": "Pod", "name": format!("{service}-{index}"), "uid": format!("{service}-{index}")},
        });
        if shape / 256 % 3 == 1 {
            endpoint["hostname"] = json!(format!("host-{index}"));
        }
        (state != 0).then_some(endpoint)
    };
    read(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": "http", "port": 80}],
        "endpoints": (0..4).filter_map(endpoint).collect::<Vec<_>>(),
    }))
}

fn pod(namespace: &str, service: &str, index: usize, shape: usize) -> Object {
    let set = format!("{service}-{}", ["a", "b"][shape % 2]);
    let owner = match shape / 2 % 3 {
        0 => {
            json!([{"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": set, "uid": set, "controller": true}])
        }
        1 => {
            json!([{"kind": "StatefulSet", "apiVersion": "apps/v1", "name": service, "uid": service,
            "controller": true}])
        }
        _ => json!([]),
    };
    read(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{service}-{index}"), "namespace": namespace,
            "uid": format!("{service}-{index}"), "ownerReferences": owner,
            "labels": {"app": service, "version": (["v1", "v2"][shape % 2]), "track": (["x", "y"][shape / 6 % 2]),
                "pod-template-hash": (["a", "b"][shape % 2]),
                "controller-revision-hash": (["a", "b"][shape % 2])}},
        "status": {"phase": if shape == 11 { "Succeeded" } else { "Running" },
            "podIP": format!("10.1.0.{}", 1 + index),
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    }))
}

fn revision(namespace: &str, service: &str, hash: &str, shape: usize) -> [Object; 2] {
    let owner = |kind: &str| {
        json!([{"kind": kind, "apiVersion": "apps/v1", "name": service, "uid": service,
        "controller": true}])
    };
    let number = 1 + shape % 3;
    let labels = json!({"app": service, "version": (["v1", "v2"][shape / 3 % 2]), "pod-template-hash": hash,
        "controller-revision-hash": hash});
    let template = json!({"metadata": {"labels": labels}});
    let set = format!("{service}-{hash}");
    [
        read(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": set, "namespace": namespace, "uid": set, "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": number.to_string()},
                "ownerReferences": owner("Deployment")},
            "spec": {"replicas": 2, "template": template},
        })),
        read(json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": number,
            "metadata": {"name": set, "namespace": namespace, "uid": set, "labels": labels,
                "ownerReferences": owner("StatefulSet")},
            "data": {"spec": {"template": template}},
        })),
    ]
}

fn workload(kind: &str, namespace: &str, service: &str, shape: usize) -> Object {
    let observed = 1 + shape % 2;
    read(json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": service, "namespace": namespace, "uid": service, "generation": 2},
        "spec": {"replicas": 1 + shape / 2 % 4, "selector": {"matchLabels": {"app": service}},
            "template": {"metadata": {"labels": {"app": service}}}},
        "status": {"observedGeneration": observed, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2,
            "availableReplicas": 2},
    }))
}

/// Any object of the universe.
fn object() -> impl Strategy<Value = Object> {
    let name = prop::sample::select(&SERVICES[..3]);
    let namespace = prop_oneof![6 => Just("shop"), 2 => Just("lab"), 1 => Just("svc")];
    let any = (0_usize..13, namespace, name, 0_usize..1536);
    any.prop_map(|(what, namespace, name, shape)| match what {
        0..=2 => service(namespace, name, shape),
        3 => service(namespace, "alias", shape),
        4..=6 => slice(namespace, &format!("{name}-{}", shape % 2), name, shape),
        7 | 8 => pod(namespace, name, shape % 4, shape / 4 % 12),
        9 => revision(namespace, name, ["a", "b"][shape % 2], shape / 2)[shape / 12 % 2].clone(),
        10 => workload(
            ["Deployment", "StatefulSet"][shape % 2],
            namespace,
            name,
            shape / 2,
        ),
        11 => resource(namespace, name, shape),
        _ => read(json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"team": (shape % 2).to_string()}}})),
    })
}

/// What a source may do next.
#[derive(Clone, Debug)]
enum Step {
    Apply(Box<Object>),
    /// The object that stands at this place, counted round the objects that are known.
    Delete(usize),
    /// A whole list of the kind of the known object at this place, without those objects whose bit is not set.
    List(usize, u64),
    /// All known objects once more.
    Again,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => object().prop_map(|object| Step::Apply(Box::new(object))),
        3 => any::<usize>().prop_map(Step::Delete),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(place, kept)| Step::List(place, kept)),
        1 => Just(Step::Again),
    ]
}

/// The objects of a cluster as a source would list them.
#[derive(Clone, Debug, Default)]
struct Cluster(BTreeMap<(Kind, Arc<str>, Arc<str>), Object>);

impl Cluster {
    fn put(&mut self, object: Object) {
        let namespace = Arc::clone(object.namespace());
        let name = Arc::clone(object.name());
        self.0.insert((object.kind(), namespace, name), object);
    }

    fn at(&self, place: usize) -> Option<(Kind, Arc<str>, Arc<str>)> {
        let place = place.checked_rem(self.0.len())?;
        self.0.keys().nth(place).cloned()
    }

    /// Takes the step and says what a source tells of it.
    fn step(&mut self, step: &Step) -> Vec<Change> {
        match step {
            Step::Apply(object) => {
                self.put((**object).clone());
                vec![Change::Apply((**object).clone())]
            }
            Step::Delete(place) => {
                let Some(id) = self.at(*place) else {
                    return Vec::new();
                };
                self.0.remove(&id);
                let (kind, namespace, name) = id;
                vec![Change::Delete {
                    kind,
                    namespace,
                    name,
                }]
            }
            Step::List(place, kept) => {
                let Some((kind, ..)) = self.at(*place) else {
                    return Vec::new();
                };
                let mut place = 0_u32;
                self.0.retain(|(of, ..), _| {
                    place += u32::from(*of == kind);
                    *of != kind || kept >> (place % 64) & 1 == 1
                });
                vec![self.list(kind)]
            }
            Step::Again => self.0.values().cloned().map(Change::Apply).collect(),
        }
    }

    fn list(&self, kind: Kind) -> Change {
        let objects = self.0.iter().filter(|((of, ..), _)| *of == kind);
        let objects = objects.map(|(_, object)| object.clone()).collect();
        Change::Reset { kind, objects }
    }

    fn lists(&self) -> Vec<Change> {
        Kind::ALL.map(|kind| self.list(kind)).into()
    }
}

// The laws.

/// `nodes` with the ancestors that exist because of them, by wire name.
fn with_ancestors(engine: &Engine, nodes: BTreeMap<Name, Node>) -> BTreeMap<Name, Node> {
    let mut all = nodes.clone();
    for name in nodes.into_keys() {
        let zones = engine.terms.zones.iter();
        let apex = zones
            .map(|zone| &zone.name)
            .find(|apex| name.is_within(apex));
        let apex = apex.unwrap().clone();
        let mut parent = name.parent().filter(|_| name != apex);
        while let Some(name) = parent {
            parent = name.parent().filter(|_| name != apex);
            all.entry(name).or_default();
        }
    }
    all
}

fn published(engine: &Engine) -> BTreeMap<Vec<u8>, Node> {
    engine.view.store.dump().into_iter().collect()
}

/// The names at which two sets of nodes differ.
fn differences(one: &BTreeMap<Vec<u8>, Node>, other: &BTreeMap<Vec<u8>, Node>) -> Vec<String> {
    let names: BTreeSet<&Vec<u8>> = one.keys().chain(other.keys()).collect();
    let different = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name));
    different
        .map(|wire| String::from_utf8_lossy(wire).into_owned())
        .collect()
}

fn from_scratch(engine: &Engine, now: Timestamp) -> BTreeMap<Vec<u8>, Node> {
    let nodes = with_ancestors(engine, engine.compile_from_scratch(now));
    let by_wire = nodes
        .into_iter()
        .map(|(name, node)| (name.as_wire().to_vec(), node));
    by_wire.collect()
}

/// An engine that is told the whole cluster at once and remembers what `of` remembers.
fn retold(of: &Engine, cluster: &Cluster, now: Timestamp) -> Engine {
    retold_to(engine(), of, cluster, now)
}

fn retold_to(mut fresh: Engine, of: &Engine, cluster: &Cluster, now: Timestamp) -> Engine {
    let services = of.services.iter();
    let memories = services.map(|(key, service)| (key.clone(), service.memory.clone()));
    fresh.remember(memories.collect());
    for (key, service) in &of.services {
        let counted = Service {
            slots: service.slots.clone(),
            ..Service::default()
        };
        fresh.services.insert(key.clone(), counted.into());
    }
    fresh.apply(cluster.lists(), now);
    let resolved = of.services.keys().find_map(|key| of.resolved(key)).cloned();
    let learned = resolved.map(|resolved| (name("db.example.org"), resolved));
    fresh.learn(learned.into_iter().collect(), now);
    for (key, service) in &of.services {
        if let Some(fresh) = fresh.services.get_mut(key) {
            fresh.generation = service.generation;
        }
    }
    fresh
}

fn problems_from_scratch(engine: &Engine) -> Vec<Problem> {
    let services = engine.services.values();
    let of_services = services.flat_map(|service| service.problems.iter().cloned());
    sorted(of_services.chain(engine.index.problems()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// "For the same memory, folding changes one by one gives the same names and answers as compiling them from
    /// scratch", after every batch.
    #[test]
    fn folding_changes_gives_what_compiling_gives(
        batches in prop::collection::vec((prop::collection::vec(step(), 1..8), 0_u8..4), 1..10)
    ) {
        let mut engine = engine();
        let mut cluster = Cluster::default();
        engine.apply(cluster.lists(), at(0));
        for ((batch, learned), seconds) in batches.iter().zip(0..) {
            let now = at(seconds);
            let changes = batch.iter().flat_map(|step| cluster.step(step)).collect();
            let generation = engine.generation;
            let applied = engine.apply(changes, now);
            prop_assert_eq!(applied.generation, generation + u64::from(applied.changed.any()));
            engine.take_wanted();
            engine.learn(vec![(name("db.example.org"), targets::resolved(*learned))], now);
            engine.tick(now);
            let found = published(&engine);
            prop_assert_eq!(differences(&found, &from_scratch(&engine, now)), [""; 0], "compiled");
            prop_assert_eq!(engine.problems(), problems_from_scratch(&engine));
        }
        let now = at(100);
        engine.tick(now);
        let found = published(&engine);
        let fresh = retold(&engine, &cluster, now);
        prop_assert_eq!(differences(&found, &from_scratch(&fresh, now)), [""; 0], "told at once");
        prop_assert_eq!(engine.problems(), fresh.problems());

        let serials = |engine: &Engine| engine.terms.zones.iter().map(Zone::serial).collect::<Vec<_>>();
        let before = (engine.generation, serials(&engine));
        let again = cluster.0.values().rev().cloned().map(Change::Apply).collect();
        for changes in [again, cluster.lists()] {
            let applied = engine.apply(changes, at(200));
            prop_assert_eq!(applied.changed, Changed::default());
        }
        prop_assert_eq!((engine.generation, serials(&engine)), before);
        prop_assert_eq!(differences(&found, &published(&engine)), [""; 0], "told again");
    }
}

/// Two headless services of two ready pods each, read whole.
fn two_services() -> Engine {
    let mut cluster = Cluster::default();
    for (name, shape) in [("web", 0b0101), ("db", 0b0101 + 2 * 256)] {
        cluster.put(service("shop", name, 0));
        cluster.put(slice("shop", &format!("{name}-0"), name, shape));
    }
    let mut engine = engine();
    engine.apply(cluster.lists(), at(0));
    engine
}

#[test]
fn one_endpoint_touches_the_names_of_its_service_alone() {
    let mut engine = two_services();
    let before = published(&engine);
    let gone = Change::Apply(slice("shop", "web-0", "web", 0b0001));
    let applied = engine.apply(vec![gone], at(1));
    assert_eq!((applied.generation, applied.services), (2, 1));
    let names = [
        "web.shop.svc.far.away",
        "web.shop.svc.z",
        "2.0.1.10.in-addr.arpa",
    ];
    let names: BTreeSet<String> = names
        .iter()
        .map(|text| String::from_utf8_lossy(name(text).as_wire()).into_owned())
        .collect();
    let touched: BTreeSet<String> = differences(&before, &published(&engine))
        .into_iter()
        .collect();
    assert_eq!(touched, names);
}

fn ask(engine: &Engine, question: &str, of: u16) -> Vec<u8> {
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(name(question).as_wire());
    query.extend_from_slice(&of.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    let peer = Ipv4Addr::LOCALHOST.into();
    let (mut worker, mut out) = (Worker::new(1), Vec::new());
    respond(
        &query,
        peer,
        Transport::Tcp,
        &engine.view,
        &mut worker,
        0,
        &mut out,
    );
    out
}

fn rollout(engine: &Engine, service: &str) -> String {
    let answer = ask(
        engine,
        &format!("_rollout.{service}.shop.svc.z"),
        rtype::TXT,
    );
    let text = String::from_utf8_lossy(&answer).into_owned();
    text[text.find("state=").unwrap()..].to_owned()
}

#[test]
fn rollout_tells_the_generation_that_last_changed_the_service() {
    let mut engine = two_services();
    let web = "state=Healthy strategy=follow since=2027-01-15T08:00:00Z ttl=5 generation=1";
    assert_eq!(rollout(&engine, "web"), web);
    assert_eq!(rollout(&engine, "db"), web);
    engine.apply(
        vec![Change::Apply(slice("shop", "web-0", "web", 0b0001))],
        at(1),
    );
    assert_eq!(
        rollout(&engine, "web"),
        web.replace('1', "2").replace("2027-02-25", "2027-01-15")
    );
    assert_eq!(rollout(&engine, "db"), web);
}

/// "Ready means synced": until every kind of object has been read, cluster names answer SERVFAIL.
#[test]
fn names_are_answered_when_every_kind_was_read() {
    let mut cluster = Cluster::default();
    cluster.put(service("shop", "web", 1));
    let mut engine = engine();
    let code = |engine: &Engine| ask(engine, "web.shop.svc.z", rtype::A)[3] & 15;
    for list in cluster.lists() {
        assert!(!engine.view.is_synced());
        assert_eq!(code(&engine), 2);
        // What would be made of half a cluster would be made again with every kind that is still to come.
        assert_eq!(engine.list().len(), 0);
        engine.apply(vec![list], at(0));
    }
    assert!(engine.view.is_synced());
    assert_eq!(code(&engine), 0);
    assert_eq!((engine.list().len(), engine.generation), (1, 1));
}

/// Of two services with one cluster IP the older has the reverse name, also when that changes later.
#[test]
fn the_older_claimant_has_the_reverse_name_when_ages_change() {
    let claimant = |name: &str, created: &str| {
        Change::Apply(read(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": created},
            "spec": {"clusterIP": "10.2.0.1"},
        })))
    };
    let mut engine = engine();
    engine.apply(Cluster::default().lists(), at(0));
    let steps = [
        ("web", "2026-01-02T00:00:00Z", "web"),
        ("db", "2026-01-03T00:00:00Z", "web"),
        ("db", "2026-01-01T00:00:00Z", "db"),
    ];
    for (name, created, owner) in steps {
        engine.apply(vec![claimant(name, created)], at(0));
        let address = "10.2.0.1".parse().unwrap();
        let node = engine.reverse_node(&engine.reverse, address).unwrap().2;
        let owner = self::name(&format!("{owner}.shop.svc.z"));
        assert_eq!(
            node,
            Some(zone::pointer_node(&[owner], 30)),
            "{name} {created}"
        );
    }
}

/// A counter for each (name, type): with one for two zones, a client that asks both in turn would see every second
/// draw of either.
#[test]
fn every_set_has_draws_of_its_own() {
    let engine = two_services();
    let mut slots: Vec<u32> = Vec::new();
    for (_, node) in engine.view.store.dump() {
        for rtype in [rtype::A, rtype::AAAA] {
            if let Some(zone::Set::Drawn(drawn)) = node.sets.get(rtype) {
                slots.extend(drawn.slot);
            }
        }
    }
    let all = slots.len();
    slots.sort_unstable();
    slots.dedup();
    assert!(all >= 4, "two services in two zones: {all}");
    assert_eq!(slots.len(), all);
}
