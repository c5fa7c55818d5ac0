//! The language the tests are written in: one object a line, `kind name word...`, in the namespace `shop` unless the
//! name says `other/name`; and views as lines.
//!
//! ```text
//! namespace shop env=prod
//! service web ip=10.0.0.1 select:app=web port=http:80 @backends=blue=1
//! slice web-x of=web web-a-1@10.1.0.1 web-b-1@10.1.0.2!      (! not ready, ~ terminating, * not in a pod)
//! pod web-a-1 of=ReplicaSet/web-a ip=10.1.0.1 pod-template-hash=a version=v1 image=web:1 !done !gone
//! deployment web replicas=4 app=web        replicaset web-a of=Deployment/web rev=1 pod-template-hash=a
//! statefulset db app=db                    revision db-6d4b of=StatefulSet/db rev=1
//! ```

use serde_json::{Map, Value, json};

use crate::model::{ServiceKey, ServiceView};
use crate::objects::{Change, Index, Joined, Kind, Object, Settings};

pub(super) fn object(line: &str) -> Object {
    let text = json(line).to_string();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}"))
}

pub(super) fn kind(word: &str) -> Kind {
    match word {
        "namespace" => Kind::Namespace,
        "service" => Kind::Service,
        "slice" => Kind::EndpointSlice,
        "pod" => Kind::Pod,
        "deployment" => Kind::Deployment,
        "replicaset" => Kind::ReplicaSet,
        "statefulset" => Kind::StatefulSet,
        "daemonset" => Kind::DaemonSet,
        "revision" => Kind::ControllerRevision,
        "node" => Kind::Node,
        _ => panic!("no kind `{word}`"),
    }
}

fn json(line: &str) -> Value {
    let mut words = line.split_whitespace();
    let kind = kind(words.next().unwrap());
    let name = words.next().unwrap();
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    let mut labels = Map::new();
    let mut annotations = Map::new();
    let mut meta = json!({"name": name, "namespace": namespace, "uid": format!("{}-{namespace}-{name}", kind.as_str())});
    let mut spec = json!({"selector": {}, "ports": []});
    let mut status = json!({"podIPs": []});
    let mut top = json!({});
    let mut endpoints = Vec::new();
    let number = |text: &str| text.parse::<i64>().unwrap();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match (key, value) {
            ("of", owner) if kind == Kind::EndpointSlice => {
                labels.insert("kubernetes.io/service-name".into(), owner.into());
            }
            ("of", owner) => {
                let (owner_kind, owner) = owner.split_once('/').unwrap();
                let uid = format!("{owner_kind}-{namespace}-{owner}");
                meta["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": owner_kind, "name": owner, "uid": uid, "controller": true}]);
            }
            ("uid" | "creationTimestamp", value) => meta[key] = value.into(),
            ("generation", value) => meta[key] = number(value).into(),
            ("!gone", _) => meta["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(),
            ("!done", _) => status["phase"] = "Succeeded".into(),
            ("ip", ip) if kind == Kind::Pod => {
                status["podIPs"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"ip": ip}));
            }
            ("ip", ip) => spec["clusterIP"] = ip.into(),
            ("since", at) => {
                status["conditions"] =
                    json!([{"type": "Ready", "status": "True", "lastTransitionTime": at}]);
            }
            ("restarts", n) => status["containerStatuses"] = json!([{"restartCount": number(n)}]),
            ("image", image) => spec["containers"] = json!([{"image": image}]),
            ("external", name) => {
                spec["type"] = "ExternalName".into();
                spec["externalName"] = name.into();
            }
            ("port", port) => {
                let (name, port) = port.split_once(':').unwrap();
                let port = json!({"name": name, "port": number(port)});
                if kind == Kind::Service {
                    spec["ports"].as_array_mut().unwrap().push(port);
                } else {
                    top["ports"] = json!([port]);
                }
            }
            ("rev", n) if kind == Kind::ReplicaSet => {
                annotations.insert("deployment.kubernetes.io/revision".into(), n.into());
            }
            ("rev", n) => top["revision"] = number(n).into(),
            ("type", value) => top["addressType"] = value.into(),
            ("replicas", n) => spec["replicas"] = number(n).into(),
            ("paused", _) => spec["paused"] = true.into(),
            ("status", text) => status = serde_json::from_str(text).unwrap(),
            ("strategy", text) => {
                let strategy: Value = serde_json::from_str(text).unwrap();
                spec["strategy"] = strategy.clone();
                spec["updateStrategy"] = strategy;
            }
            _ if word.contains('@') && !word.starts_with('@') => endpoints.push(endpoint(word)),
            _ if word.starts_with('@') => {
                annotations.insert(format!("shiftdns.io/{}", &key[1..]), value.into());
            }
            _ if word.starts_with("select:") => {
                spec["selector"][&key["select:".len()..]] = value.into()
            }
            _ => {
                labels.insert(key.into(), value.into());
            }
        }
    }
    if kind == Kind::EndpointSlice {
        top["addressType"] = top.get("addressType").cloned().unwrap_or("IPv4".into());
        top["endpoints"] = endpoints.into();
    }
    if !matches!(
        kind,
        Kind::Pod | Kind::EndpointSlice | Kind::Service | Kind::Namespace
    ) {
        let image = spec.get("containers").cloned().unwrap_or(Value::Null);
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": image}});
        top["data"] = json!({"spec": {"template": template}});
        spec["template"] = template;
    }
    meta["labels"] = labels.into();
    meta["annotations"] = annotations.into();
    top["apiVersion"] = match kind.group() {
        "" => "v1".into(),
        group => format!("{group}/v1").into(),
    };
    top["kind"] = kind.as_str().into();
    top["metadata"] = meta;
    top["spec"] = spec;
    top["status"] = status;
    top
}

fn endpoint(word: &str) -> Value {
    let flags = ['!', '~', '*'];
    let (name, rest) = word.split_once('@').unwrap();
    let (address, hostname) = rest.split_once('#').unwrap_or((rest, ""));
    let address = address.trim_end_matches(flags);
    let is = |flag: char| word.contains(flag);
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let home = if namespace.is_empty() {
        "shop"
    } else {
        namespace
    };
    let mut value = json!({
        "addresses": [address],
        "conditions": {"ready": !is('!') && !is('~'), "serving": !is('!'), "terminating": is('~')},
    });
    if !is('*') {
        value["targetRef"] =
            json!({"kind": "Pod", "name": name, "uid": format!("Pod-{home}-{name}")});
        if !namespace.is_empty() {
            value["targetRef"]["namespace"] = namespace.into();
        }
    }
    if !hostname.is_empty() {
        value["hostname"] = hostname.into();
    }
    value
}

pub(super) fn apply(index: &mut Index, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        index.apply(change(line));
    }
}

/// A line of the language, or `- kind name`: the object is gone.
pub(super) fn change(line: &str) -> Change {
    let Some(gone) = line.strip_prefix("- ") else {
        return Change::Apply(object(line));
    };
    let (word, name) = gone.split_once(' ').unwrap();
    let kind = kind(word);
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    let namespace = if kind.is_namespaced() { namespace } else { "" };
    Change::Delete {
        kind,
        namespace: namespace.into(),
        name: name.into(),
    }
}

pub(super) fn cluster(text: &str) -> Index {
    cluster_of(Settings::default(), text)
}

pub(super) fn cluster_of(settings: Settings, text: &str) -> Index {
    let mut index = Index::new(settings);
    apply(&mut index, text);
    index
}

pub(super) fn joined(index: &Index, name: &str) -> Joined {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    index.view(&ServiceKey::new(namespace, name)).unwrap()
}

/// A view as lines: endpoints, revisions, workloads, problems.
pub(super) fn shown(joined: &Joined) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(view) = &joined.view {
        lines.extend(endpoint_lines(view));
        lines.extend(revision_lines(view));
        lines.extend(view.workloads.iter().map(|w| {
            let complete = if w.complete { " complete" } else { "" };
            let paused = if w.paused { " paused" } else { "" };
            format!(
                "{} {}-{}{paused}{complete}",
                w.key, w.replicas, w.max_unavailable
            )
        }));
    } else {
        lines.push("no names".into());
    }
    lines.extend(
        joined
            .problems
            .iter()
            .map(|problem| format!("! {}", problem.text)),
    );
    lines
}

fn endpoint_lines(view: &ServiceView) -> Vec<String> {
    let show = |endpoint: &crate::model::Endpoint| {
        let revision = endpoint.revision.map(|at| &*view.revisions[at].hash);
        let state = match (endpoint.ready, endpoint.serving, endpoint.terminating) {
            (true, _, _) => "ready",
            (_, true, true) => "leaving",
            (_, _, true) => "gone",
            _ => "unready",
        };
        let host = endpoint
            .hostname
            .as_ref()
            .map(|h| format!(" host={h}"))
            .unwrap_or_default();
        format!(
            "{} {state} {}{host}",
            endpoint.address,
            revision.unwrap_or("unversioned")
        )
    };
    view.endpoints.iter().map(show).collect()
}

fn revision_lines(view: &ServiceView) -> Vec<String> {
    let show = |revision: &crate::model::Revision| {
        let workload = revision
            .workload
            .map_or("-", |at| &*view.workloads[at].key.name);
        let number = revision
            .number
            .map(|n| format!(" #{n}"))
            .unwrap_or_default();
        format!(
            "{workload} {}={}{number} {} pods",
            revision.hash, revision.label, revision.pods
        )
    };
    view.revisions.iter().map(show).collect()
}
