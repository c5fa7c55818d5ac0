//! Roll-outs: what it costs to evaluate and compile one service, and what a tick costs.
//!
//! A tick is what the control loop does every five seconds while shares move with time. It is measured with every one
//! of a thousand services in an even ramp (ten endpoints of two versions each, every tick another split), and with
//! nothing in roll-out, in clusters of two sizes: that must not grow. Figures that are no distributions are printed.
#![allow(
    clippy::print_stdout,
    reason = "figures that are no distributions have no other place"
)]

mod cluster;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shiftdns::model::{Policy, ServiceKey};
use shiftdns::objects::{Change, Kind, Object};
use shiftdns::records;
use shiftdns::rollout::{self, Memory};

const ROLLING: usize = 1000;
const TICKS: usize = 200;

/// So many seconds after the clusters' pods became ready.
fn at(seconds: i64) -> Timestamp {
    let created: Timestamp = cluster::CREATED.parse().expect("a time");
    created + SignedDuration::from_secs(seconds)
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// A Deployment of a hundred pods of three versions behind the service `shop/web`.
fn hundred() -> Vec<Change> {
    let mut values: Vec<Value> = Vec::new();
    let meta = |name: &str| json!({"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "creationTimestamp": "2026-03-02T09:00:00Z"});
    let owned = |name: &str, kind: &str, owner: &str| {
        let mut meta = meta(name);
        meta["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": kind, "name": owner,
            "uid": format!("uid-{owner}"), "controller": true}]);
        meta
    };
    let mut service = meta("web");
    service["annotations"] = json!({"shiftdns.io/strategy": "linear", "shiftdns.io/ramp": "1h"});
    let ports = json!([{"name": "http", "protocol": "TCP", "port": 8080}]);
    values.push(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": service,
        "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": ports}}),
    );
    values.push(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("web"),
        "spec": {"replicas": 40, "template": {"metadata": {"labels": {"app": "web"}}}}}),
    );
    let mut endpoints: Vec<Value> = Vec::new();
    for (version, hash) in [(1, "aaa"), (2, "bbb"), (3, "ccc")] {
        let labels = json!({"app": "web", "app.kubernetes.io/version": format!("v{version}"), "pod-template-hash": hash});
        let set = format!("web-{hash}");
        let mut of_set = owned(&set, "Deployment", "web");
        of_set["labels"] = labels.clone();
        of_set["annotations"] = json!({"deployment.kubernetes.io/revision": version.to_string()});
        values.push(
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": of_set, "spec": {}}),
        );
        let pods = if version == 1 { 34 } else { 33 };
        for pod in 0..pods {
            let (name, address) = (format!("{set}-{pod}"), format!("10.{version}.0.{pod}"));
            let mut of_pod = owned(&name, "ReplicaSet", &set);
            of_pod["labels"] = labels.clone();
            values.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": of_pod, "spec": {"containers": []},
                "status": {"podIPs": [{"ip": address}], "conditions": [{"type": "Ready", "status": "True",
                    "lastTransitionTime": "2026-03-02T09:00:00Z"}]}}));
            endpoints.push(json!({"addresses": [address], "conditions": {"ready": true},
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": name, "uid": format!("uid-{name}")}}));
        }
    }
    let mut slice = meta("web-1");
    slice["labels"] = json!({"kubernetes.io/service-name": "web"});
    values.push(
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice,
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints}),
    );
    let objects: Vec<Object> = values
        .into_iter()
        .map(|value| serde_json::from_value(value).expect("a Kubernetes object"))
        .collect();
    let list = |kind| {
        objects
            .iter()
            .filter(|o| o.kind() == kind)
            .cloned()
            .collect()
    };
    let reset = |kind| Change::Reset {
        kind,
        objects: list(kind),
    };
    Kind::ALL.into_iter().map(reset).collect()
}

fn one_service(criterion: &mut Criterion) {
    let (mut engine, _) = cluster::engine();
    engine.apply(hundred(), at(0));
    let key = ServiceKey::new("shop", "web");
    let detail = engine.detail(&key, at(0)).expect("the service");
    let (view, memory) = (detail.view, detail.outcome.memory);
    assert_eq!(
        (view.endpoints.len(), detail.outcome.versions.len()),
        (100, 3)
    );
    let (policy, settings) = (Policy::default(), records::Settings::default());
    let mut group = criterion.benchmark_group("three versions, 100 endpoints");
    group.bench_function("evaluate", |bencher| {
        bencher.iter(|| rollout::evaluate(black_box(&view), &policy, &memory, at(60)));
    });
    group.bench_function("evaluate, remembering nothing", |bencher| {
        bencher.iter(|| rollout::evaluate(black_box(&view), &policy, &Memory::default(), at(60)));
    });
    group.bench_function("evaluate and compile", |bencher| {
        bencher.iter(|| {
            let outcome = rollout::evaluate(black_box(&view), &policy, &memory, at(60));
            records::compile(&view, &outcome, &settings)
        });
    });
    group.finish();
}

fn ticks(_: &mut Criterion) {
    let (mut engine, _) = cluster::engine();
    engine.apply(cluster::rolling(ROLLING), at(0));
    let mut times = Vec::new();
    for tick in 1..=TICKS {
        let now = at(5 * i64::try_from(tick).expect("few"));
        let started = Instant::now();
        let applied = engine.tick(now);
        times.push(started.elapsed());
        assert_eq!(applied.services, ROLLING, "every ramp moves at every tick");
    }
    let (p50, p99) = median(times);
    println!("tick: {ROLLING} services in roll-out: p50 {p50:?}, p99 {p99:?} of {TICKS}");
    for count in [1000, 10_000] {
        let (mut engine, _) = cluster::engine();
        engine.apply(cluster::lists(count), at(0));
        engine.tick(at(1000));
        let times = (0..10_000).map(|tick| {
            let started = Instant::now();
            black_box(engine.tick(at(1000 + tick)));
            started.elapsed()
        });
        let (p50, p99) = median(times.collect());
        println!("tick: nothing in roll-out, {count} services: p50 {p50:?}, p99 {p99:?}");
    }
}

criterion_group!(benches, ticks, one_service);
criterion_main!(benches);
