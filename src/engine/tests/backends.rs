//! Services made of others: a wrong annotation leaves the backends that were good, also after a restart.

use super::*;
use crate::objects::Object;

/// `shop/web` with this policy; its own endpoint is 10.1.0.1.
fn front(annotations: &[(&str, &str)]) -> Object {
    let annotations = annotations.iter();
    let annotations: serde_json::Map<String, Value> = annotations
        .map(|(key, value)| (format!("shiftdns.io/{key}"), json!(value)))
        .collect();
    read(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]},
    }))
}

/// What the ServiceRollout of `shop/web` asks.
fn asked(backends: &Value) -> Object {
    read(json!({
        "apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"name": "web", "namespace": "shop"}, "spec": {"backends": backends},
    }))
}

#[test]
fn backends_of_a_resource_win_until_it_goes() {
    let mut cluster = Cluster::default();
    for name in ["blue", "db"] {
        cluster.put(service("shop", name, 0));
    }
    for (name, octet) in [("web", 1), ("blue", 2), ("db", 3)] {
        cluster.put(endpoint(name, octet));
    }
    cluster.put(front(&[("backends", "blue=1")]));
    let mut engine = engine();
    engine.apply(cluster.lists(), at(0));
    check(&engine, at(0), 2);
    let db = asked(&json!([{"service": "db", "weight": 1}]));
    engine.apply(vec![Change::Apply(db)], at(1));
    check(&engine, at(1), 3);
    // A mistake that is one of the language keeps the last good ones.
    let mistake = asked(&json!([{"service": "blue", "weight": 70_000}]));
    engine.apply(vec![Change::Apply(mistake)], at(2));
    check(&engine, at(2), 3);
    let told: Vec<String> = engine.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "service shop/web: annotation `shiftdns.io/backends` is ignored: the ServiceRollout of the service's name wins as a whole",
            "servicerollout shop/web: backends: `blue=70000` is not `name=weight` with a weight from 0 to 65535",
        ]
    );
    let gone = Change::Delete {
        kind: Kind::ServiceRollout,
        namespace: "shop".into(),
        name: "web".into(),
    };
    engine.apply(vec![gone], at(3));
    check(&engine, at(3), 2);
}

/// An endpoint of a service, 10.1.0.`octet`.
fn endpoint(service: &str, octet: u8) -> Object {
    read(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": service, "namespace": "shop", "labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": "http", "port": 80}],
        "endpoints": [{"addresses": [format!("10.1.0.{octet}")], "conditions": {"ready": true}}],
    }))
}

/// The one address of the front.
#[track_caller]
fn check(engine: &Engine, now: Timestamp, octet: u8) {
    let answer = ask(engine, "web.shop.svc.z", rtype::A);
    assert!(answer.ends_with(&[10, 1, 0, octet]), "{answer:?}");
    let compiled = from_scratch(engine, now);
    assert_eq!(differences(&published(engine), &compiled), [""; 0]);
}

#[test]
fn backends_that_were_good_are_remembered_over_a_restart() {
    let good = [("backends", "blue=1")];
    let mistakes: [&[(&str, &str)]; 4] = [
        &[("backends", "blue=one")],
        &[("backends", "db=1"), ("steps", "10,100")],
        &[("backends", "db=1"), ("records", "9")],
        &[("steps", "100,10")],
    ];
    for mistake in mistakes {
        let mut cluster = Cluster::default();
        for name in ["blue", "db"] {
            cluster.put(service("shop", name, 0));
        }
        for (name, octet) in [("web", 1), ("blue", 2), ("db", 3)] {
            cluster.put(endpoint(name, octet));
        }
        cluster.put(front(&good));
        let mut first = engine();
        first.apply(cluster.lists(), at(0));
        check(&first, at(0), 2);
        cluster.put(front(mistake));
        first.apply(vec![Change::Apply(front(mistake))], at(1));
        check(&first, at(1), 2);

        // Kind after kind, as a cluster is listed: the front is seen before anything is remembered.
        let mut second = engine();
        second.remember([(front_key(), first.services[&front_key()].memory.clone())].into());
        for list in cluster.lists() {
            second.apply(vec![list], at(2));
        }
        check(&second, at(2), 2);
        second.apply(vec![Change::Apply(endpoint("blue", 4))], at(3));
        check(&second, at(3), 4);
        second.apply(vec![Change::Apply(front(&[]))], at(4));
        check(&second, at(4), 1);
        second.apply(vec![Change::Apply(endpoint("blue", 5))], at(5));
        check(&second, at(5), 1);
    }
}

fn front_key() -> ServiceKey {
    ServiceKey::new("shop", "web")
}
