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
//! rollout web {"ramp":"10m"}                (a ServiceRollout and its spec)
//! ```
//!
//! Moments are seconds of a day. A container is its restarts, its state and its last end, an init container likewise:
//! `c=2,waiting:CrashLoopBackOff,was:1:50`, `c=0,running:5`, `init=0,done:0:3`; `137/OOMKilled` is a code and a reason.
//! `ready=60` and `unready=65` are the condition of the pod, `failing=FailedCreate@60` of a ReplicaSet or Deployment;
//! `exceeded=web-b` and `paused@60` are what the condition `Progressing` of a Deployment tells.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::model::{ServiceKey, ServiceView};
use crate::objects::{Change, Document, Index, Joined, Kind, Object, Reader, Settings};

const MIDNIGHT: &str = "2026-01-01T00:00:00Z";

/// A second of the day.
pub(super) fn moment(second: &str) -> String {
    let after = SignedDuration::from_secs(second.parse().unwrap());
    let midnight: Timestamp = MIDNIGHT.parse().unwrap();
    midnight.checked_add(after).unwrap().to_string()
}

fn second(at: Timestamp) -> i64 {
    at.as_second() - MIDNIGHT.parse::<Timestamp>().unwrap().as_second()
}

pub(super) fn object(line: &str) -> Object {
    let text = json(line).to_string();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// An object as JSON has it.
pub(super) fn read(value: Value) -> Object {
    match Reader::default().read(&serde_json::from_value(value).unwrap()) {
        Document::Object(object) => object,
        other => panic!("{other:?}"),
    }
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
        "rollout" => Kind::ServiceRollout,
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
        if kind == Kind::ServiceRollout {
            spec = serde_json::from_str(word).unwrap();
            continue;
        }
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
            ("c", text) => push(&mut status["containerStatuses"], container(text)),
            ("init", text) => push(&mut status["initContainerStatuses"], container(text)),
            ("triggered", at) => {
                let key = "endpoints.kubernetes.io/last-change-trigger-time";
                annotations.insert(key.into(), moment(at).into());
            }
            ("born", at) => meta["creationTimestamp"] = moment(at).into(),
            ("ready" | "unready", at) => {
                let is_ready = if key == "ready" { "True" } else { "False" };
                let condition =
                    json!({"type": "Ready", "status": is_ready, "lastTransitionTime": moment(at)});
                push(&mut status["conditions"], condition);
            }
            ("failing", text) => {
                let (reason, at) = text.split_once('@').unwrap();
                let condition = json!({"type": "ReplicaFailure", "status": "True", "reason": reason,
                    "lastTransitionTime": moment(at)});
                push(&mut status["conditions"], condition);
            }
            ("exceeded", set) => {
                let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
                let condition = json!({"type": "Progressing", "status": "False", "message": message,
                    "reason": "ProgressDeadlineExceeded"});
                push(&mut status["conditions"], condition);
            }
            ("minready", secs) => spec["minReadySeconds"] = number(secs).into(),
            ("observed", n) => status["observedGeneration"] = number(n).into(),
            ("history", numbers) => {
                let key = "deployment.kubernetes.io/revision-history";
                annotations.insert(key.into(), numbers.into());
            }
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
            _ if word.starts_with("paused@") => {
                spec["paused"] = true.into();
                push(&mut status["conditions"], paused(&word["paused@".len()..]));
            }
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
        Kind::Pod | Kind::EndpointSlice | Kind::Service | Kind::Namespace | Kind::ServiceRollout
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

fn push(list: &mut Value, value: Value) {
    match list {
        Value::Array(list) => list.push(value),
        other => *other = json!([value]),
    }
}

pub(super) fn paused(at: &str) -> Value {
    json!({"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused", "lastUpdateTime": moment(at)})
}

fn container(text: &str) -> Value {
    let mut value = json!({});
    let end = |text: &str| {
        let (code, at) = text.split_once(':').unwrap();
        let (code, reason) = code.split_once('/').unwrap_or((code, "Error"));
        let code = code.parse::<i64>().unwrap();
        json!({"terminated": {"exitCode": code, "reason": reason, "finishedAt": moment(at)}})
    };
    for part in text.split(',') {
        match part.split_once(':') {
            None => value["restartCount"] = part.parse::<u32>().unwrap().into(),
            Some(("running", at)) => {
                value["state"] = json!({"running": {"startedAt": moment(at)}});
            }
            Some(("waiting", reason)) => value["state"] = json!({"waiting": {"reason": reason}}),
            Some(("done", text)) => value["state"] = end(text),
            Some(("was", text)) => value["lastState"] = end(text),
            Some(_) => panic!("`{part}`"),
        }
    }
    value
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
        lines.extend(view.workloads.iter().map(workload_line));
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

fn workload_line(w: &crate::model::Workload) -> String {
    let mut line = format!("{} {}-{}", w.key, w.replicas, w.max_unavailable);
    let mut add = |is: bool, text: &str| {
        if is {
            line += text;
        }
    };
    add(w.paused, " paused");
    if let Some(since) = w.paused_since {
        add(true, &format!("@{}", second(since)));
    }
    add(w.complete, " complete");
    add(!w.observed, " unobserved");
    let min_ready = format!(" min-ready={}", w.min_ready_secs);
    add(w.min_ready_secs > 0, &min_ready);
    add(w.partition > 0, &format!(" partition={}", w.partition));
    add(w.on_delete, " on-delete");
    line
}

/// `[2 restarts, crash-looping, ended badly at 50, unready since 65]`.
fn trouble(trouble: &crate::model::Trouble) -> String {
    let mut words = Vec::new();
    if trouble.restarts > 0 {
        words.push(format!("{} restarts", trouble.restarts));
    }
    if trouble.crash_looping {
        words.push("crash-looping".to_owned());
    }
    let at = |at: Option<Timestamp>| at.map_or("?".to_owned(), |at| second(at).to_string());
    match (trouble.ended_badly, trouble.ended) {
        (true, ended) => words.push(format!("ended badly at {}", at(ended))),
        (false, Some(_)) => words.push(format!("ended at {}", at(trouble.ended))),
        (false, None) => {}
    }
    if trouble.unready_since.is_some() {
        words.push(format!("unready since {}", at(trouble.unready_since)));
    }
    format!(" [{}]", words.join(", "))
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
        let mut line = format!(
            "{workload} {}={}{number} {} pods",
            revision.hash, revision.label, revision.pods
        );
        if let Some(declared) = revision.declared {
            line += &format!(" declared={declared}");
        }
        if revision.reused {
            line += " reused";
        }
        if revision.deadline_exceeded {
            line += " given-up";
        }
        if let Some((reason, since)) = &revision.stalled {
            let since = since.map_or("?".to_owned(), |at| second(at).to_string());
            line += &format!(" stalled={reason}@{since}");
        }
        line + &revision.troubles.iter().map(trouble).collect::<String>()
    };
    view.revisions.iter().map(show).collect()
}
