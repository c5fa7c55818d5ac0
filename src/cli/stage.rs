//! The stage: the Kubernetes objects of a workload that is played.
//!
//! Given a workload as a manifest tells it and a [`Snapshot`] of its play, [`Stage::objects`] gives what a cluster
//! would hold at that second: the workload with its status, ReplicaSets or ControllerRevisions, pods, and slices of
//! the services in front of it. Names, addresses and hashes follow from the manifest and from serial numbers, so
//! the same play has the same objects.

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::model::WorkloadKind;
use crate::objects::Object;
use crate::rollout::controllers::{
    Phase, Pod, Progress, ProgressReason, Revision, Second, Snapshot, Template,
};

/// A workload that is played, with everything that its snapshots do not tell.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// What it is.
    pub(super) kind: WorkloadKind,
    /// Where it lives.
    pub(super) namespace: String,
    /// What it is called.
    pub(super) name: String,
    /// As it was written; its template, replicas and status are replaced.
    pub(super) manifest: Value,
    /// Pod templates, by the numbers of [`Template`].
    pub(super) templates: Vec<Value>,
    /// Services in front: name and ports of their slices.
    pub(super) services: Vec<(String, Value)>,
    /// The second octet of its pods' addresses, 10.x.0.0/16.
    pub(super) network: u8,
    /// Second 0.
    pub(super) epoch: Timestamp,
}

impl Stage {
    /// The moment of a second of the play.
    pub(super) fn moment(&self, second: Second) -> Timestamp {
        let after = SignedDuration::from_secs(second);
        self.epoch.checked_add(after).unwrap_or(self.epoch)
    }

    /// All objects of a second, the services themselves excepted.
    ///
    /// # Errors
    /// Where the manifest or a template is no Kubernetes object.
    pub(super) fn objects(&self, now: &Snapshot) -> Result<Vec<Object>, serde_json::Error> {
        let mut values = vec![self.workload(now)];
        values.extend(now.revisions.iter().map(|r| self.revision(r)));
        values.extend(now.pods.iter().map(|pod| self.pod(now, pod)));
        values.extend(
            self.services
                .iter()
                .map(|(name, ports)| self.slice(now, name, ports)),
        );
        values.into_iter().map(serde_json::from_value).collect()
    }

    fn template(&self, template: Template) -> &Value {
        let index = usize::try_from(template.0).unwrap_or(usize::MAX);
        self.templates.get(index).unwrap_or(&Value::Null)
    }

    /// The hash of a template: of its text, in the letters that Kubernetes uses (no vowels, so no words).
    ///
    /// The first one counts templates, so that lists sorted by hash show the older version first.
    fn hash(&self, template: Template) -> String {
        const LETTERS: &[u8; 27] = b"2456789bcdfghjklmnpqrstvwxz";
        let letter = |number: u64| char::from(LETTERS[(number % 27) as usize]);
        let text = self.template(template).to_string();
        // FNV-1a: short, and the same everywhere.
        let mut rest = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut hash = letter(template.0.into()).to_string();
        for _ in 0..8 {
            hash.push(letter(rest));
            rest /= 27;
        }
        hash
    }

    /// The labels of its pods and revisions: the template's, and the hash under the key of its kind.
    fn labels(&self, template: Template) -> Value {
        let mut labels = self.template(template)["metadata"]["labels"].clone();
        let hash = self.hash(template);
        match self.kind {
            WorkloadKind::Deployment => labels["pod-template-hash"] = hash.into(),
            WorkloadKind::StatefulSet => {
                labels["controller-revision-hash"] = format!("{}-{hash}", self.name).into();
            }
            WorkloadKind::DaemonSet => labels["controller-revision-hash"] = hash.into(),
        }
        labels
    }

    fn uid(&self, what: &str) -> String {
        format!(
            "{}-{}-{}",
            self.kind.to_string().to_lowercase(),
            self.name,
            what
        )
    }

    fn workload(&self, now: &Snapshot) -> Value {
        let mut value = self.manifest.clone();
        let meta = &mut value["metadata"];
        meta["uid"] = self.uid("0").into();
        meta["generation"] = 1.into();
        value["spec"]["template"] = self.template(now.template).clone();
        value["spec"]["replicas"] = now.replicas.into();
        value["spec"]["paused"] = now.paused.into();
        let count = |is: &dyn Fn(&Pod) -> bool| now.active().filter(|pod| is(pod)).count();
        let all = count(&|_| true);
        let ready = count(&|pod| pod.phase == Phase::Ready);
        let updated = count(&|pod| pod.template == now.template);
        let revision = |template| format!("{}-{}", self.name, self.hash(template));
        value["status"] = match self.kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => json!({
                "conditions": self.conditions(now),
                "observedGeneration": 1, "replicas": all, "readyReplicas": ready,
                "updatedReplicas": updated, "availableReplicas": now.available(),
                "currentRevision": revision(now.current), "updateRevision": revision(now.template),
            }),
            // Its controller looks at the oldest pod of each node.
            WorkloadKind::DaemonSet => {
                let on = |node: u32| now.active().find(|pod| pod.slot == node);
                let nodes: Vec<&Pod> = (0..now.replicas).filter_map(on).collect();
                let count = |is: &dyn Fn(&Pod) -> bool| nodes.iter().filter(|pod| is(pod)).count();
                json!({
                    "observedGeneration": 1, "desiredNumberScheduled": now.replicas,
                    "updatedNumberScheduled": count(&|pod| pod.template == now.template),
                    "numberReady": count(&|pod| pod.phase == Phase::Ready),
                    "numberAvailable": count(&|pod| now.is_available(pod)),
                })
            }
        };
        value
    }

    /// The conditions of a Deployment that its roll-outs are told by; others have none.
    fn conditions(&self, now: &Snapshot) -> Value {
        let condition = |progress: &Progress| {
            let subject = match progress.about {
                Some(template) => format!("ReplicaSet \"{}\"", self.revision_name(template)),
                None => format!("Deployment \"{}\"", self.name),
            };
            let message = match progress.reason {
                ProgressReason::ReplicaSetUpdated => format!("{subject} is progressing."),
                ProgressReason::NewReplicaSetAvailable => {
                    format!("{subject} has successfully progressed.")
                }
                // Whom it is about stands nowhere else.
                ProgressReason::ProgressDeadlineExceeded => {
                    format!("{subject} has timed out progressing.")
                }
                ProgressReason::DeploymentPaused => "Deployment is paused".to_owned(),
                ProgressReason::DeploymentResumed => "Deployment is resumed".to_owned(),
            };
            json!({
                "type": "Progressing", "status": progress.reason.status(),
                "reason": progress.reason.as_str(), "message": message,
                "lastUpdateTime": self.moment(progress.updated).to_string(),
                "lastTransitionTime": self.moment(progress.since).to_string(),
            })
        };
        now.progress.iter().map(condition).collect()
    }

    fn revision(&self, revision: &Revision) -> Value {
        let template = revision.template;
        let (name, labels) = (self.revision_name(template), self.labels(template));
        let mut value = json!({
            "apiVersion": "apps/v1",
            "metadata": {"name": name, "namespace": self.namespace, "uid": self.uid(&name), "labels": labels,
                "creationTimestamp": self.moment(revision.created).to_string(),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": self.kind.to_string(), "name": self.name,
                    "uid": self.uid("0"), "controller": true}]},
        });
        if self.kind != WorkloadKind::Deployment {
            value["kind"] = "ControllerRevision".into();
            value["revision"] = revision.number.into();
            value["data"] = json!({"spec": {"template": self.template(template)}});
            return value;
        }
        value["kind"] = "ReplicaSet".into();
        value["spec"] = json!({"replicas": revision.size, "template": self.template(template)});
        let mut annotations = json!({
            "deployment.kubernetes.io/revision": revision.number.to_string(),
            "deployment.kubernetes.io/desired-replicas": revision.scaled_for.0.to_string(),
            "deployment.kubernetes.io/max-replicas": revision.scaled_for.1.to_string(),
        });
        if !revision.history.is_empty() {
            let history: Vec<String> = revision.history.iter().map(u32::to_string).collect();
            annotations["deployment.kubernetes.io/revision-history"] = history.join(",").into();
        }
        value["metadata"]["annotations"] = annotations;
        value
    }

    fn revision_name(&self, template: Template) -> String {
        format!("{}-{}", self.name, self.hash(template))
    }

    fn pod_name(&self, pod: &Pod) -> String {
        match self.kind {
            WorkloadKind::Deployment => {
                format!("{}-{:05}", self.revision_name(pod.template), pod.serial)
            }
            WorkloadKind::StatefulSet => format!("{}-{}", self.name, pod.slot),
            WorkloadKind::DaemonSet => format!("{}-{:05}", self.name, pod.serial),
        }
    }

    /// A DaemonSet's pods have a node each, others share three.
    fn node(&self, pod: &Pod) -> String {
        match self.kind {
            WorkloadKind::DaemonSet => format!("node-{}", pod.slot),
            _ => format!("node-{}", pod.serial % 3),
        }
    }

    fn pod_uid(&self, pod: &Pod) -> String {
        self.uid(&format!("pod-{}", pod.serial))
    }

    fn address(&self, pod: &Pod) -> String {
        // 11 is where the first node's pods begin in the manifests that are shown to people.
        let [_, _, high, low] = (pod.serial + 11).to_be_bytes();
        Ipv4Addr::new(10, self.network, high, low).to_string()
    }

    fn pod(&self, now: &Snapshot, pod: &Pod) -> Value {
        let mut owner = match self.kind {
            WorkloadKind::Deployment => {
                let name = self.revision_name(pod.template);
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": self.uid(&name)})
            }
            _ => json!({"apiVersion": "apps/v1", "kind": self.kind.to_string(), "name": self.name,
                "uid": self.uid("0")}),
        };
        owner["controller"] = true.into();
        let (ready, address) = (conditions(pod)["serving"].clone(), self.address(pod));
        let mut spec = self.template(pod.template)["spec"].clone();
        spec["nodeName"] = self.node(pod).into();
        let mut value = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": self.pod_name(pod), "namespace": self.namespace, "uid": self.pod_uid(pod),
                "creationTimestamp": self.moment(pod.created).to_string(),
                "labels": self.labels(pod.template), "ownerReferences": [owner]},
            "spec": spec,
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                "conditions": [{"type": "Ready", "status": if ready == true { "True" } else { "False" },
                    "lastTransitionTime": self.moment(pod.since).to_string()}],
                "containerStatuses": [self.container(pod)]},
        });
        if !pod.is_active() {
            value["metadata"]["deletionTimestamp"] = self.moment(now.at).to_string().into();
        }
        value
    }

    /// The status of a pod's container. In this play a container that is not ready runs and answers no probe, but for
    /// the kubelet's back-off, which begins with the second restart; what follows the back-off until the container is
    /// ready is told as a part of it.
    fn container(&self, pod: &Pod) -> Value {
        let at = |second: Second| self.moment(second).to_string();
        let is_backing_off = pod.phase == Phase::Starting && pod.restarts >= 2;
        let state = match is_backing_off {
            true => json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            false => json!({"running": {"startedAt": at(pod.ended.unwrap_or(pod.created))}}),
        };
        let last = pod.ended.map_or(json!({}), |ended| {
            json!({"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": at(ended)}})
        });
        json!({"name": "main", "ready": pod.phase == Phase::Ready, "restartCount": pod.restarts,
            "state": state, "lastState": last})
    }

    fn slice(&self, now: &Snapshot, service: &str, ports: &Value) -> Value {
        let endpoint = |pod: &Pod| {
            let mut value = json!({"addresses": [self.address(pod)], "nodeName": self.node(pod),
                "conditions": conditions(pod),
                "targetRef": {"kind": "Pod", "namespace": self.namespace, "name": self.pod_name(pod),
                    "uid": self.pod_uid(pod)}});
            if self.kind == WorkloadKind::StatefulSet {
                value["hostname"] = self.pod_name(pod).into();
            }
            value
        };
        let endpoints: Vec<Value> = now.pods.iter().map(endpoint).collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{service}-{}", self.name), "namespace": self.namespace,
                "labels": {"kubernetes.io/service-name": service}},
            "ports": ports, "endpoints": endpoints,
        })
    }
}

fn conditions(pod: &Pod) -> Value {
    let (serving, terminating) = match pod.phase {
        Phase::Starting => (false, false),
        Phase::Ready => (true, false),
        Phase::Terminating { serving } => (serving, true),
    };
    json!({"ready": serving && !terminating, "serving": serving, "terminating": terminating})
}

/// The ports of a service's slices: the pods' own, by number, or by the name of a container's port.
pub(super) fn slice_ports(service: &Value, template: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let containers = list(&template["spec"]["containers"]);
    let named: Vec<Value> = containers.iter().flat_map(|c| list(&c["ports"])).collect();
    let number = |port: &Value| match &port["targetPort"] {
        Value::Null => port["port"].clone(),
        Value::String(name) => {
            let mut named = named.iter();
            let found = named.find(|known| known["name"] == name.as_str());
            found.map_or(Value::Null, |known| known["containerPort"].clone())
        }
        number => number.clone(),
    };
    let ports = list(&service["spec"]["ports"]).into_iter().map(|port| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP").to_owned();
        json!({"name": port["name"], "protocol": protocol, "port": number(&port)})
    });
    // A port that no container has is in no slice.
    ports.filter(|port| port["port"].is_number()).collect()
}

#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;
