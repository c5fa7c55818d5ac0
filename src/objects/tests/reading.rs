//! Strange objects: the bad part is left out and told, the rest is kept, nothing panics.

use std::sync::Arc;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use serde_json::{Value, json};

use super::cast::{cluster, joined};
use crate::model::Trouble;
use crate::objects::{Change, Document, Index, Kind, Object, Reader, Settings};

fn yaml(text: &str) -> Object {
    serde_saphyr::from_str(text).unwrap()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) -> Object {
    let object = yaml(text);
    let problems: Vec<String> = object.problems().iter().map(|p| p.text.clone()).collect();
    assert_eq!(problems, expected, "{text}");
    object
}

#[test]
fn nulls_are_nothing() {
    let slice = check(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x, labels: null, ownerReferences: null}, \
         addressType: IPv4, endpoints: null, ports: null}",
        &[],
    );
    assert_eq!(&**slice.namespace(), "default");
    for kind in Kind::ALL {
        let version = if kind.group().is_empty() {
            "v1".into()
        } else {
            format!("{}/v1", kind.group())
        };
        let object = check(
            &format!(
                "{{apiVersion: {version}, kind: {kind}, metadata: {{name: x}}, spec: null, status: null}}"
            ),
            &[],
        );
        assert_eq!(object.kind(), kind);
    }
}

#[test]
fn bad_parts_are_told_and_left_out() {
    let service = check(
        "{apiVersion: v1, kind: Service, metadata: {name: web, creationTimestamp: yesterday}, spec: {clusterIP: 010.0.0.1, \
         ports: [{port: -1}, {port: 80, name: http}, {port: 99999999999999999999999999, name: x}, {port: 1, protocol: ICMP}], \
         selector: {app: 1.10}}}",
        &[
            "`metadata.creationTimestamp` is ignored: `yesterday` is not a time such as `2026-01-31T12:00:00Z`",
            "`spec.ports[0].port` is ignored: `-1` is not a port from 1 to 65535",
            "`spec.ports[2].port` is ignored: `100000000000000000000000000` is not a port from 1 to 65535",
            "`spec.ports[3]` is ignored: protocol `ICMP` is none of TCP, UDP, SCTP",
            "`spec.clusterIPs` is ignored: `010.0.0.1` is not an IP address",
            "`spec.selector[app]` is ignored: `1.1` is not a text; put it in quotes",
        ],
    );
    let Object::Service(service) = service else {
        panic!()
    };
    assert_eq!(service.ports.len(), 1);
    let deployment = check(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: -3, \
         strategy: {rollingUpdate: {maxUnavailable: many}}}}",
        &[
            "`spec.replicas` is ignored: `-3` is not a number from 0 to 4294967295",
            "`rollingUpdate.maxUnavailable` is ignored: `many` is not a number or a percentage such as `25%`",
        ],
    );
    let Object::Deployment(deployment) = deployment else {
        panic!()
    };
    assert_eq!(deployment.replicas, 1);
}

#[test]
fn bad_parts_of_what_a_roll_out_is_told_are_left_out() {
    let pod = check(
        "{apiVersion: v1, kind: Pod, metadata: {name: p, creationTimestamp: 5}, status: {initContainerStatuses: none, \
         containerStatuses: [{restartCount: -1, state: {waiting: {reason: 5}}, \
         lastState: {terminated: {exitCode: one, reason: Error, finishedAt: soon}}}, \
         {restartCount: 2, state: {running: {startedAt: soon}}}], \
         conditions: [{type: Ready, status: 'False', lastTransitionTime: soon}]}}",
        &[
            "`status.conditions.lastTransitionTime` is ignored: `soon` is not a time such as `2026-01-31T12:00:00Z`",
            "`status.containerStatuses.restartCount` is ignored: `-1` is not a number from 0 to 4294967295",
            "`status.containerStatuses.lastState.terminated.exitCode` is ignored: `one` is not a 64-bit number",
            "`status.containerStatuses.lastState.terminated.finishedAt` is ignored: `soon` is not a time such as `2026-01-31T12:00:00Z`",
            "`status.containerStatuses.state.waiting.reason` is ignored: `5` is not a text; put it in quotes",
            "`status.containerStatuses.state.running.startedAt` is ignored: `soon` is not a time such as `2026-01-31T12:00:00Z`",
            "`status.initContainerStatuses` is ignored: `none` is not a list",
        ],
    );
    let Object::Pod(pod) = pod else { panic!() };
    let trouble = Trouble {
        restarts: 2,
        ..Trouble::default()
    };
    assert_eq!(pod.ailment.as_ref().map(|a| a.trouble), Some(trouble));
    let deployment = check(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {minReadySeconds: 5s, paused: true}, \
         status: {conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: 7}, \
         {type: ReplicaFailure, status: 'True', reason: 7, lastTransitionTime: soon}]}}",
        &[
            "`status.conditions.message` is ignored: `7` is not a text; put it in quotes",
            "`spec.minReadySeconds` is ignored: `5s` is not a number from 0 to 4294967295",
            "`status.conditions.reason` is ignored: `7` is not a text; put it in quotes",
            "`status.conditions.lastTransitionTime` is ignored: `soon` is not a time such as `2026-01-31T12:00:00Z`",
        ],
    );
    let Object::Deployment(deployment) = deployment else {
        panic!()
    };
    assert_eq!(deployment.deadline_exceeded, None);
    let reason = deployment.stalled.as_ref().map(|stall| &*stall.reason);
    assert_eq!(reason, Some("ReplicaFailure"));
    check(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, status: {conditions: soon}}",
        &["`status.conditions` is ignored: `soon` is not a list"],
    );
    check(
        "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, \
         spec: {updateStrategy: {rollingUpdate: {partition: -1}}}}",
        &["`rollingUpdate.partition` is ignored: `-1` is not a number from 0 to 4294967295"],
    );
    let set = check(
        "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-a}, spec: {template: web}}",
        &["`template` is ignored: `web` is not a map"],
    );
    let Object::ReplicaSet(set) = set else {
        panic!()
    };
    assert_eq!(set.content, None);
    check(
        "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-a}, \
         spec: {template: {spec: {containers: [{image: 1.0}, {image: web}]}}}}",
        &["`template.spec.containers.image` is ignored: `1` is not a text; put it in quotes"],
    );
}

#[test]
fn flaws_are_told_with_the_object() {
    let mut index = cluster("service web ip=None");
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, status: {podIPs: [{ip: x}]}}";
    index.apply(Change::Apply(yaml(text)));
    let told = "pod shop/p: `status.podIPs` is ignored: `x` is not an IP address";
    assert_eq!(index.problems()[0].to_string(), told);
    assert_eq!(joined(&index, "web").problems, []);
    let (namespace, name) = ("shop".into(), "p".into());
    index.apply(Change::Delete {
        kind: Kind::Pod,
        namespace,
        name,
    });
    assert_eq!(index.problems(), []);
}

#[test]
fn items_of_a_typed_list_need_no_kind() {
    let text = r#"{"apiVersion":"v1","kind":"ServiceList","items":[{"metadata":{"name":"a"}},{"metadata":{}}]}"#;
    let Document::List(items) = serde_json::from_str(text).unwrap() else {
        panic!()
    };
    assert!(matches!(&items[0], Document::Object(object) if object.kind() == Kind::Service));
    assert_eq!(items[1], Document::Nameless(Kind::Service));
}

#[test]
fn a_reader_keeps_once_what_pods_of_a_revision_have_in_common() {
    let mut reader = Reader::default();
    let mut pod = |name: &str| {
        let tree = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"pod-template-hash": "a"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-a", "controller": true}]}});
        match reader.read(&serde_json::from_value(tree).unwrap()) {
            Document::Object(Object::Pod(pod)) => pod,
            other => panic!("{other:?}"),
        }
    };
    let (first, second) = (pod("web-a-1"), pod("web-a-2"));
    assert!(Arc::ptr_eq(&first.meta.common, &second.meta.common));
    assert_ne!(first.meta, second.meta);
}

#[test]
fn only_kinds_of_the_right_group_are_known() {
    assert_eq!(
        Kind::from_type("apps/v1", "Deployment"),
        Some(Kind::Deployment)
    );
    assert_eq!(Kind::from_type("v1", "Deployment"), None);
    assert_eq!(Kind::from_type("serving.knative.dev/v1", "Service"), None);
    assert_eq!(
        Kind::from_type("discovery.k8s.io/v1beta1", "EndpointSlice"),
        Some(Kind::EndpointSlice)
    );
}

/// Any JSON that stands where Kubernetes has something else.
fn strange() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9.:%@/-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-zA-Z]{1,8}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Puts `value` at the `n`th place of a tree, counted depth first.
fn plant(tree: &mut Value, n: &mut usize, value: &Value) {
    if *n == 0 {
        *tree = value.clone();
    }
    *n = n.wrapping_sub(1);
    match tree {
        Value::Array(list) => list.iter_mut().for_each(|inner| plant(inner, n, value)),
        Value::Object(map) => map.values_mut().for_each(|inner| plant(inner, n, value)),
        _ => {}
    }
}

fn whole() -> Value {
    json!({
        "metadata": {"name": "x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "x", "a": "b"},
            "annotations": {"shiftdns.io/backends": "x=1"},
            "ownerReferences": [{"kind": "StatefulSet", "apiVersion": "apps/v1", "name": "x", "controller": true}]},
        "spec": {"clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "name": "http", "targetPort": "web"}],
            "replicas": 3, "selector": {"a": "b"}, "containers": [{"image": "web:1"}],
            "strategy": {"rollingUpdate": {"maxSurge": "25%"}}, "template": {"metadata": {"labels": {"a": "b"}}}},
        "status": {"podIPs": [{"ip": "10.1.0.1"}], "replicas": 3,
            "containerStatuses": [{"restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z"}}}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "x"},
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]},
        "addressType": "IPv4", "ports": [{"port": 80}], "revision": 7,
        "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": true}, "hostname": "h",
            "targetRef": {"kind": "Pod", "name": "x"}}],
    })
}

proptest! {
    #[test]
    fn strange_objects_never_panic_and_never_hurt_others(
        kind in 0..10_usize, at in 1..120_usize, value in strange(),
    ) {
        let kind = Kind::ALL[kind];
        let mut tree = whole();
        plant(&mut tree, &mut at.clone(), &value);
        tree["kind"] = kind.as_str().into();
        tree["apiVersion"] = format!("{}/v1", kind.group()).trim_start_matches('/').into();
        let mut index = cluster("service other/web ip=None\n slice other/x of=web a@10.1.0.1");
        let before = joined(&index, "other/web");
        if let Ok(object) = serde_json::from_str::<Object>(&tree.to_string()) {
            index.apply(Change::Apply(object.clone()));
            let mut fresh = Index::new(Settings::default());
            fresh.apply(Change::Apply(object));
            for key in index.services() {
                index.view(key);
            }
            index.problems();
        }
        assert_eq!(joined(&index, "other/web"), before);
    }
}
