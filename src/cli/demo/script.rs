//! The play: what the Deployment `web` and its pods are at each second.
//!
//! A rolling update of four replicas with the defaults (surge 25 %, unavailable 25 %, so one each) as the
//! Deployment controller does it, pods being ready after ten seconds; then `kubectl rollout undo`.
//!
//! ```text
//!   0    15              25               35          70               80               90        120
//!   | v1 | v1 3, v2 2 new| v1 1, v2 2+2   | v2 4      | undo: v1 2 new | v1 2+2, v2 1   | v1 4     |
//! ```

use serde_json::{Value, json};

use crate::objects::Object;

/// The loop's length.
pub(super) const LOOP_SECS: u64 = 120;

const NAMESPACE: &str = "shop";
const REPLICAS: usize = 4;
const DEPLOYMENT_UID: &str = "0d000000-0000-4000-8000-000000000001";

/// The state of the play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    /// What happens, for the person watching.
    pub(super) title: &'static str,
    v1: Pods,
    v2: Option<Pods>,
    /// `kubectl rollout undo` has been typed.
    undone: bool,
}

/// Pods of one ReplicaSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pods {
    ready: usize,
    starting: usize,
}

/// The scene at a second of the loop.
pub(super) fn at(second: u64) -> Scene {
    let pods = |ready, starting| Pods { ready, starting };
    let scene = |title, v1, v2, undone| Scene {
        title,
        v1,
        v2,
        undone,
    };
    match second {
        0..15 => scene("four pods of v1", pods(4, 0), None, false),
        15..25 => scene(
            "kubectl set image: v2 starts",
            pods(3, 0),
            Some(pods(0, 2)),
            false,
        ),
        25..35 => scene(
            "first wave of v2 is ready",
            pods(1, 0),
            Some(pods(2, 2)),
            false,
        ),
        35..70 => scene(
            "second wave: all on v2",
            pods(0, 0),
            Some(pods(4, 0)),
            false,
        ),
        70..80 => scene(
            "kubectl rollout undo: v1 starts again",
            pods(0, 2),
            Some(pods(3, 0)),
            true,
        ),
        80..90 => scene(
            "first wave of v1 is ready",
            pods(2, 2),
            Some(pods(1, 0)),
            true,
        ),
        _ => scene("second wave: all on v1", pods(4, 0), Some(pods(0, 0)), true),
    }
}

/// Whether an object of the manifests belongs to the play rather than to the scenery.
pub(super) fn plays(object: &Object) -> bool {
    let name = object.name();
    let of_web = **name == *"web" || name.starts_with("web-");
    // The Service itself stands still.
    of_web && object.kind().as_str() != "Service" && **object.namespace() == *NAMESPACE
}

/// One of the two ReplicaSets.
struct Version {
    label: &'static str,
    hash: &'static str,
    uid: &'static str,
    created: &'static str,
    revision: u32,
    history: Option<&'static str>,
    network: &'static str,
    pods: Pods,
}

/// The objects of `web` in a scene.
///
/// # Errors
/// When they are no Kubernetes objects, which a test excludes.
pub(super) fn objects(scene: &Scene) -> Result<Vec<Object>, serde_json::Error> {
    let mut versions = vec![Version {
        label: "v1",
        hash: "6f5b8c7d94",
        uid: "0e000000-0000-4000-8000-000000000001",
        created: "2026-03-02T09:00:00Z",
        revision: if scene.undone { 3 } else { 1 },
        history: scene.undone.then_some("1"),
        network: "10.1.0",
        pods: scene.v1,
    }];
    versions.extend(scene.v2.map(|pods| Version {
        label: "v2",
        hash: "7c9d5f6b48",
        uid: "0e000000-0000-4000-8000-000000000002",
        created: "2026-03-02T10:00:00Z",
        revision: 2,
        history: None,
        network: "10.1.1",
        pods,
    }));
    let mut values = vec![deployment(scene, &versions)];
    for version in &versions {
        values.push(replica_set(version));
        values.extend(
            (0..version.pods.ready + version.pods.starting).map(|index| pod(version, index)),
        );
    }
    values.push(slice(&versions));
    values.into_iter().map(serde_json::from_value).collect()
}

fn deployment(scene: &Scene, versions: &[Version]) -> Value {
    let target = if scene.undone {
        versions.first()
    } else {
        versions.last()
    };
    let (label, updated) = target.map_or(("v1", scene.v1), |version| (version.label, version.pods));
    let ready: usize = versions.iter().map(|version| version.pods.ready).sum();
    let all = ready
        + versions
            .iter()
            .map(|version| version.pods.starting)
            .sum::<usize>();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": NAMESPACE, "uid": DEPLOYMENT_UID, "generation": 1,
            "creationTimestamp": "2026-03-02T09:00:00Z"},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": "web", "app.kubernetes.io/version": label}}}},
        "status": {"observedGeneration": 1, "replicas": all, "readyReplicas": ready,
            "availableReplicas": ready, "updatedReplicas": updated.ready + updated.starting},
    })
}

fn labels(version: &Version) -> Value {
    json!({"app": "web", "app.kubernetes.io/version": version.label, "pod-template-hash": version.hash})
}

fn replica_set(version: &Version) -> Value {
    let mut annotations =
        json!({"deployment.kubernetes.io/revision": version.revision.to_string()});
    if let Some(history) = version.history {
        annotations["deployment.kubernetes.io/revision-history"] = history.into();
    }
    let replicas = version.pods.ready + version.pods.starting;
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("web-{}", version.hash), "namespace": NAMESPACE, "uid": version.uid,
            "creationTimestamp": version.created, "labels": labels(version), "annotations": annotations,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
                "uid": DEPLOYMENT_UID, "controller": true}]},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels(version)}}},
    })
}

fn pod_name(version: &Version, index: usize) -> String {
    format!(
        "web-{}-{}",
        version.hash,
        ["x2k4q", "m7d9w", "h5vzt", "q8rbn"]
            .get(index)
            .unwrap_or(&"zzzzz")
    )
}

fn pod_uid(version: &Version, index: usize) -> String {
    format!("{}-{index}", version.uid)
}

fn address(version: &Version, index: usize) -> String {
    format!("{}.{}", version.network, 11 + index)
}

fn pod(version: &Version, index: usize) -> Value {
    let ready = if index < version.pods.ready {
        "True"
    } else {
        "False"
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(version, index), "namespace": NAMESPACE, "uid": pod_uid(version, index),
            "labels": labels(version),
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                "name": format!("web-{}", version.hash), "uid": version.uid, "controller": true}]},
        "spec": {"nodeName": "node-a"},
        "status": {"phase": "Running", "podIP": address(version, index),
            "podIPs": [{"ip": address(version, index)}],
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": version.created}]},
    })
}

fn slice(versions: &[Version]) -> Value {
    let endpoint = |version: &Version, index: usize| {
        let ready = index < version.pods.ready;
        json!({"addresses": [address(version, index)], "nodeName": "node-a",
            "conditions": {"ready": ready, "serving": ready, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": pod_name(version, index),
                "uid": pod_uid(version, index)}})
    };
    let endpoints: Vec<Value> = versions
        .iter()
        .flat_map(|version| {
            (0..version.pods.ready + version.pods.starting)
                .map(move |index| endpoint(version, index))
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web-play", "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        "endpoints": endpoints,
    })
}
