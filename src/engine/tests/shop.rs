//! A Service `shop/web` in front of a Deployment whose pods run `v1` and `v2`, played by a script.
//!
//! ```text
//! 10  endpoints 0 1; pod 1 unready     -> 1 2
//! ```
//!
//! At second 10 the slice lists pods 0 and 1 as ready, pod 1 is not, and the answer is 10.0.0.1 and 10.0.0.2. Pods 0 to 3
//! run v1 (hash `a`) and pods 4 to 7 v2 (hash `b`), which comes when the Deployment `rolls`.

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use serde_json::{Value, json};

use super::*;

/// An engine, and what its source listed last.
pub(super) struct Shop {
    pub(super) engine: Engine,
}

impl Shop {
    /// Everything is read: the pods of v1 are Ready, and all of them are endpoints.
    pub(super) fn open() -> Self {
        let mut shop = Self { engine: engine() };
        shop.sync("");
        shop
    }

    /// The same, with the API of a cluster as its source.
    pub(super) fn in_cluster() -> Self {
        let mut shop = Self::closed();
        shop.sync("");
        shop
    }

    /// Nothing is read yet.
    pub(super) fn closed() -> Self {
        let mut shop = Self { engine: engine() };
        shop.engine.settings.in_cluster = true;
        shop
    }

    /// The same, and then the Deployment rolls to v2, whose pods are Ready and no endpoints yet.
    pub(super) fn rolling() -> Self {
        let mut shop = Self::open();
        shop.play(0, "rolls");
        shop
    }

    /// Reads everything.
    pub(super) fn sync(&mut self, events: &str) {
        self.sync_beside(None, events, 0);
    }

    /// Reads everything and one object more, after these events, at a second.
    pub(super) fn sync_beside(&mut self, object: Option<Object>, events: &str, second: i64) {
        let mut cluster = Cluster::default();
        object.into_iter().for_each(|object| cluster.put(object));
        let pods = (0..4).map(|n| pod(n, "Running", true));
        let others = [service(""), deployment(1), set("a", 1), slice("0 1 2 3")];
        for object in pods.chain(others) {
            cluster.put(object);
        }
        for event in events.split("; ").filter(|event| !event.is_empty()) {
            for change in changes(event) {
                if let Change::Apply(object) = change {
                    cluster.put(object);
                }
            }
        }
        self.engine.apply(cluster.lists(), at(second));
    }

    /// One line of a script: what happens at a second, as one batch, and then time's own work.
    pub(super) fn play(&mut self, second: i64, events: &str) {
        let mut all = Vec::new();
        for event in events.split("; ") {
            match event {
                "lost" => self.engine.set_lost(at(second)),
                "back" => assert!(self.engine.set_back()),
                "-" => {}
                _ => all.extend(changes(event)),
            }
        }
        if !all.is_empty() {
            self.engine.apply(all, at(second));
        }
        self.engine.tick(at(second));
    }

    /// The last octets of the addresses in the answer, sorted; or the code.
    pub(super) fn answer(&self) -> String {
        let message = ask(&self.engine, "web.shop.svc.z", rtype::A);
        let message = Message::from_vec(&message).unwrap();
        let mut octets: Vec<u8> = message
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(address) => Some(address.0.octets()[3]),
                _ => None,
            })
            .collect();
        octets.sort_unstable();
        let octets: Vec<String> = octets.iter().map(u8::to_string).collect();
        match octets.is_empty() {
            true => format!("{:?}", message.metadata.response_code),
            false => octets.join(" "),
        }
    }

    /// Plays the script and checks each line's answer, and the replay law.
    pub(super) fn check(&mut self, script: &str) {
        for line in script.lines().filter(|line| !line.trim().is_empty()) {
            let (rest, expected) = line.split_once("->").unwrap();
            let (second, events) = rest.trim().split_once(' ').unwrap();
            let second = second.parse().unwrap();
            self.play(second, events.trim());
            assert_eq!(self.answer(), expected.trim(), "{line}");
            let found = published(&self.engine);
            let compiled = from_scratch(&self.engine, at(second));
            assert_eq!(differences(&found, &compiled), [""; 0], "{line}");
        }
    }

    pub(super) fn detail(&self, second: i64) -> Detail {
        self.engine.detail(&web(), at(second)).unwrap()
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.engine.services[&web()].memory
    }
}

pub(super) fn web() -> ServiceKey {
    ServiceKey::new("shop", "web")
}

fn changes(event: &str) -> Vec<Change> {
    if event == "rolls" {
        let pods = (4..8).map(|n| pod(n, "Running", true));
        let objects = pods.chain([deployment(2), set("b", 2)]);
        return objects.map(Change::Apply).collect();
    }
    vec![change(event)]
}

/// `endpoints 0 1`, `pod 1 unready`, `pod 1 leaving`, `pod 1 gone`, `service KEY: VALUE, KEY: VALUE`, `service gone`,
/// `service ip`.
fn change(event: &str) -> Change {
    let gone = |kind: Kind, name: &str| Change::Delete {
        kind,
        namespace: "shop".into(),
        name: name.into(),
    };
    let (word, rest) = event.split_once(' ').unwrap();
    match (word, rest) {
        ("endpoints", pods) => Change::Apply(slice(pods)),
        ("service", "gone") => gone(Kind::Service, "web"),
        ("service", annotations) => Change::Apply(service(annotations)),
        ("pod", rest) => {
            let (n, what) = rest.split_once(' ').unwrap();
            let number = n.parse().unwrap();
            match what {
                "gone" => gone(Kind::Pod, &format!("web-{n}")),
                "leaving" => Change::Apply(pod(number, "leaving", true)),
                "done" => Change::Apply(pod(number, "Succeeded", true)),
                "unready" => Change::Apply(pod(number, "Running", false)),
                _ => panic!("`{event}`"),
            }
        }
        _ => panic!("`{event}`"),
    }
}

fn service(annotations: &str) -> Object {
    let mut all = serde_json::Map::new();
    let (words, cluster_ip) = match annotations {
        "ip" => ("", "10.9.0.1"),
        other => (other, "None"),
    };
    for line in words.split(", ").filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(": ").unwrap();
        all.insert(format!("shiftdns.io/{key}"), value.replace('+', ",").into());
    }
    read(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "annotations": all},
        "spec": {"clusterIP": cluster_ip, "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    }))
}

fn slice(pods: &str) -> Object {
    let endpoint = |n: &str| {
        let number: u8 = n.parse().unwrap();
        json!({
            "addresses": [format!("10.0.0.{}", number + 1)],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": format!("web-{n}"), "namespace": "shop", "uid": format!("p-{n}")},
        })
    };
    let pods = pods.split(' ').filter(|n| *n != "-");
    read(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "http", "port": 80}],
        "endpoints": pods.map(endpoint).collect::<Vec<_>>(),
    }))
}

fn labels(hash: &str) -> Value {
    let version = if hash == "a" { "v1" } else { "v2" };
    json!({"app": "web", "version": version, "pod-template-hash": hash})
}

fn pod(number: u8, phase: &str, ready: bool) -> Object {
    let hash = if number < 4 { "a" } else { "b" };
    let mut meta = json!({"name": format!("web-{number}"), "namespace": "shop", "uid": format!("p-{number}"),
        "labels": labels(hash), "ownerReferences": [{"kind": "ReplicaSet", "apiVersion": "apps/v1",
            "name": format!("web-{hash}"), "uid": format!("web-{hash}"), "controller": true}]});
    if phase == "leaving" {
        meta["deletionTimestamp"] = "2027-01-15T08:01:00Z".into();
    }
    let status = if ready { "True" } else { "False" };
    // Those of v2 since second 0.
    let since = if number < 4 {
        "2026-01-01T00:00:00Z"
    } else {
        "2027-01-15T08:00:00Z"
    };
    read(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": meta,
        "status": {"phase": if phase == "leaving" { "Running" } else { phase },
            "podIP": format!("10.0.0.{}", number + 1),
            "conditions": [{"type": "Ready", "status": status, "lastTransitionTime": since}]},
    }))
}

fn set(hash: &str, number: u32) -> Object {
    read(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("web-{hash}"), "namespace": "shop", "uid": format!("web-{hash}"),
            "labels": labels(hash), "creationTimestamp": format!("2026-01-0{number}T00:00:00Z"),
            "annotations": {"deployment.kubernetes.io/revision": number.to_string()},
            "ownerReferences": [{"kind": "Deployment", "apiVersion": "apps/v1", "name": "web", "uid": "web",
                "controller": true}]},
        "spec": {"replicas": 4, "template": {"metadata": {"labels": labels(hash)}}},
    }))
}

/// At v1, or in the middle of its way to v2.
fn deployment(generation: u32) -> Object {
    let pods = 4 * generation;
    read(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "web", "generation": generation},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}}},
        "status": {"observedGeneration": generation, "replicas": pods, "readyReplicas": pods, "updatedReplicas": 4,
            "availableReplicas": pods},
    }))
}
