//! Families: which workload and revision a pod belongs to, and what revisions a workload has.
//!
//! ```text
//! Pod -> ReplicaSet -> Deployment          a ReplicaSet is a revision
//! Pod -> StatefulSet, DaemonSet            a ControllerRevision is a revision
//! Pod -> nobody, or a stranger             the hash label, else the version label, is the revision
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::index::{Index, Owner};
use super::labels::Labels;
use super::meta::{Controller, Meta};
use super::object::Kind;
use super::workloads::{
    DaemonSet, Deployment, Pod, ReplicaSet, StatefulSet, Template, bare_hash, hash_label,
};
use crate::model::{Revision, Workload, WorkloadKey, WorkloadKind};

/// The identity of a revision behind a service. Those without a workload sort first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tie {
    pub(super) workload: Option<WorkloadKey>,
    pub(super) hash: Arc<str>,
}

/// The revisions and workloads of a view.
pub(super) struct Family {
    /// What each revision is, in the order of `revisions`.
    pub(super) ties: Vec<Tie>,
    pub(super) revisions: Vec<Revision>,
    pub(super) workloads: Vec<Workload>,
}

/// What is learnt of a revision before its name can be chosen.
#[derive(Default)]
struct Draft<'i> {
    number: Option<i64>,
    created: Option<Timestamp>,
    pods: u32,
    /// Where the version label is looked for first: the first pod by name, one that counts before one that does not.
    face: Option<(Reverse<bool>, &'i Pod)>,
    /// And then.
    template: Option<(&'i Template, &'i Labels)>,
}

impl Index {
    /// The revision a pod runs; `None`: unversioned. `version_label` is the label key the Service names.
    pub(super) fn tie(&self, pod: &Pod, version_label: Option<&str>) -> Option<Tie> {
        let known = hash_label(&pod.meta.labels).cloned();
        let version = || version_of(&pod.meta.labels, version_label).cloned();
        let Some(controller) = &pod.meta.controller else {
            let hash = known.or_else(version)?;
            return Some(Tie {
                workload: None,
                hash,
            });
        };
        let workload = self.workload_of(pod, controller);
        let hash = match (controller.kind, known) {
            (Some(Kind::StatefulSet), Some(hash)) => Some(bare_hash(&hash, &controller.name)),
            (_, Some(hash)) => Some(hash),
            (_, None) => self.replica_set_of(pod).map(|set| Arc::clone(set.hash())),
        };
        let hash = hash.or_else(version)?;
        Some(Tie { workload, hash })
    }

    fn workload_of(&self, pod: &Pod, controller: &Controller) -> Option<WorkloadKey> {
        let namespace = &pod.meta.namespace;
        match controller.kind? {
            Kind::ReplicaSet => {
                let owner = self.replica_set_of(pod)?.meta.controller.as_ref()?;
                if owner.kind != Some(Kind::Deployment) {
                    return None;
                }
                let deployment = self.deployments.get(namespace, &owner.name)?;
                let is_mine = owner.is(&deployment.meta.name, &deployment.uid);
                is_mine.then(|| deployment.workload().key)
            }
            Kind::StatefulSet => {
                let set = self.stateful_sets.get(namespace, &controller.name)?;
                let is_mine = controller.is(&set.meta.name, &set.uid);
                is_mine.then(|| set.workload().key)
            }
            Kind::DaemonSet => {
                let set = self.daemon_sets.get(namespace, &controller.name)?;
                let is_mine = controller.is(&set.meta.name, &set.uid);
                is_mine.then(|| set.workload().key)
            }
            _ => None,
        }
    }

    fn replica_set_of(&self, pod: &Pod) -> Option<&ReplicaSet> {
        let controller = pod.meta.controller.as_ref()?;
        if controller.kind != Some(Kind::ReplicaSet) {
            return None;
        }
        let set = self
            .replica_sets
            .get(&pod.meta.namespace, &controller.name)?;
        controller.is(&set.meta.name, &set.uid).then_some(set)
    }

    /// The revisions behind a service whose endpoints are `pods` (those that are verified), and which selects the
    /// workloads in `selected`.
    pub(super) fn family(
        &self,
        pods: &BTreeMap<&str, &Pod>,
        selected: &[Owner],
        version_label: Option<&str>,
    ) -> Family {
        let mut drafts: BTreeMap<Tie, Draft<'_>> = BTreeMap::new();
        let mut owners: BTreeSet<WorkloadKey> = BTreeSet::new();
        owners.extend(selected.iter().filter_map(workload_key));
        for pod in pods.values().copied() {
            match self.tie(pod, version_label) {
                Some(tie) if tie.workload.is_none() => {
                    let draft = drafts.entry(tie).or_default();
                    if let Some(set) = self.replica_set_of(pod) {
                        draft.describe(set.number, set.created, &set.meta, &set.template);
                    }
                    draft.count(pod);
                }
                Some(tie) => owners.extend(tie.workload),
                None => {
                    let controller = pod.meta.controller.as_ref();
                    owners.extend(controller.and_then(|owner| self.workload_of(pod, owner)));
                }
            }
        }
        let mut workloads = Vec::new();
        for key in owners {
            let complete = self.revisions_of(&key, version_label, &mut drafts);
            if let Some(mut workload) = self.workload(&key) {
                workload.complete = workload.complete && complete;
                workloads.push(workload);
            }
        }
        let (ties, revisions) = drafts
            .into_iter()
            .map(|(tie, draft)| {
                let workload = tie.workload.as_ref();
                let at = workload.and_then(|key| workloads.iter().position(|w| w.key == *key));
                let revision = draft.name(&tie.hash, at, version_label);
                (tie, revision)
            })
            .unzip();
        Family {
            ties,
            revisions,
            workloads,
        }
    }

    /// Adds the revisions of a workload, those without pods too; says whether its pods all run the newest one
    /// (StatefulSets only: their status does not tell).
    fn revisions_of<'i>(
        &'i self,
        key: &WorkloadKey,
        version_label: Option<&str>,
        drafts: &mut BTreeMap<Tie, Draft<'i>>,
    ) -> bool {
        let kind = kind_of(key.kind);
        let owner = (kind, Arc::clone(&key.namespace), Arc::clone(&key.name));
        let Some(uid) = self.workload_uid(&owner) else {
            return false;
        };
        let tie = |hash: Arc<str>| Tie {
            workload: Some(key.clone()),
            hash,
        };
        let is_mine = |child: &Meta| {
            child
                .controller
                .as_ref()
                .is_some_and(|owner| owner.is(&key.name, uid))
        };
        let mut newest: Option<(i64, Arc<str>)> = None;
        let mut pods: Vec<&Arc<str>> = Vec::new();
        for (kind, name) in self.children.of(&owner) {
            match kind {
                Kind::Pod => pods.push(name),
                Kind::ReplicaSet => {
                    let set = self.replica_sets.get(&key.namespace, name);
                    let Some(set) = set.filter(|set| is_mine(&set.meta)) else {
                        continue;
                    };
                    let draft = drafts.entry(tie(Arc::clone(set.hash()))).or_default();
                    draft.describe(set.number, set.created, &set.meta, &set.template);
                    let owner = (
                        Kind::ReplicaSet,
                        Arc::clone(&key.namespace),
                        Arc::clone(name),
                    );
                    let children = self.children.of(&owner).iter();
                    pods.extend(
                        children
                            .filter(|(kind, _)| *kind == Kind::Pod)
                            .map(|(_, name)| name),
                    );
                }
                Kind::ControllerRevision => {
                    let revision = self.controller_revisions.get(&key.namespace, name);
                    let Some(set) = revision.filter(|set| is_mine(&set.meta)) else {
                        continue;
                    };
                    let number = set.number.unwrap_or(0);
                    if newest.as_ref().is_none_or(|(known, _)| *known < number) {
                        newest = Some((number, set.hash()));
                    }
                    let draft = drafts.entry(tie(set.hash())).or_default();
                    draft.describe(set.number, set.created, &set.meta, &set.template);
                }
                _ => {}
            }
        }
        let mut all_newest = true;
        for name in pods {
            let Some(pod) = self.pods.get(&key.namespace, name) else {
                continue;
            };
            let Some(found) = self.tie(pod, version_label) else {
                continue;
            };
            if found.workload.as_ref() != Some(key) {
                continue;
            }
            all_newest &=
                !pod.counts() || newest.as_ref().is_none_or(|(_, hash)| *hash == found.hash);
            drafts.entry(found).or_default().count(pod);
        }
        key.kind != WorkloadKind::StatefulSet || all_newest
    }

    fn workload(&self, key: &WorkloadKey) -> Option<Workload> {
        let (namespace, name) = (&key.namespace, &key.name);
        match key.kind {
            WorkloadKind::Deployment => self.deployments.get(namespace, name).map(|w| w.workload()),
            WorkloadKind::StatefulSet => self
                .stateful_sets
                .get(namespace, name)
                .map(|w| w.workload()),
            WorkloadKind::DaemonSet => self.daemon_sets.get(namespace, name).map(|w| w.workload()),
        }
    }

    fn workload_uid(&self, owner: &Owner) -> Option<&str> {
        let (kind, namespace, name) = owner;
        match kind {
            Kind::Deployment => self.deployments.get(namespace, name).map(|w| &*w.uid),
            Kind::StatefulSet => self.stateful_sets.get(namespace, name).map(|w| &*w.uid),
            Kind::DaemonSet => self.daemon_sets.get(namespace, name).map(|w| &*w.uid),
            _ => None,
        }
    }
}

impl<'i> Draft<'i> {
    fn describe(
        &mut self,
        number: Option<i64>,
        created: Option<Timestamp>,
        meta: &'i Meta,
        template: &'i Template,
    ) {
        // Two objects with one hash are one revision; the newer one speaks for it.
        if self.template.is_none() || number > self.number {
            self.number = number;
            self.created = created;
            self.template = Some((template, &meta.labels));
        }
    }

    fn count(&mut self, pod: &'i Pod) {
        self.pods += u32::from(pod.counts());
        let rank = Reverse(pod.counts());
        let is_first = self
            .face
            .is_none_or(|(known, face)| (rank, &pod.meta.name) < (known, &face.meta.name));
        if is_first {
            self.face = Some((rank, pod));
        }
    }

    fn name(
        self,
        hash: &Arc<str>,
        workload: Option<usize>,
        version_label: Option<&str>,
    ) -> Revision {
        let face = self
            .face
            .and_then(|(_, pod)| version_of(&pod.meta.labels, version_label).or(pod.tag.as_ref()));
        let label = face.or_else(|| {
            let (template, labels) = self.template?;
            version_of(&template.labels, version_label)
                .or_else(|| version_of(labels, version_label))
                .or(template.tag.as_ref())
        });
        Revision {
            hash: Arc::clone(hash),
            label: Arc::clone(label.unwrap_or(hash)),
            workload,
            number: self.number,
            created: self.created,
            pods: self.pods,
            reused: false,
            template: None,
            images: None,
            declared: None,
            deadline_exceeded: false,
            stalled: None,
            troubles: Vec::new(),
        }
    }
}

/// The label that names the version.
fn version_of<'l>(labels: &'l Labels, version_label: Option<&str>) -> Option<&'l Arc<str>> {
    let keys = [
        version_label,
        Some("app.kubernetes.io/version"),
        Some("version"),
    ];
    let mut values = keys.into_iter().flatten().filter_map(|key| labels.get(key));
    values.find(|value| !value.is_empty())
}

fn kind_of(kind: WorkloadKind) -> Kind {
    match kind {
        WorkloadKind::Deployment => Kind::Deployment,
        WorkloadKind::StatefulSet => Kind::StatefulSet,
        WorkloadKind::DaemonSet => Kind::DaemonSet,
    }
}

fn workload_key(owner: &Owner) -> Option<WorkloadKey> {
    let kind = match owner.0 {
        Kind::Deployment => WorkloadKind::Deployment,
        Kind::StatefulSet => WorkloadKind::StatefulSet,
        Kind::DaemonSet => WorkloadKind::DaemonSet,
        _ => return None,
    };
    Some(WorkloadKey {
        kind,
        namespace: Arc::clone(&owner.1),
        name: Arc::clone(&owner.2),
    })
}

fn key_of(kind: WorkloadKind, meta: &Meta) -> WorkloadKey {
    WorkloadKey {
        kind,
        namespace: Arc::clone(&meta.namespace),
        name: Arc::clone(&meta.name),
    }
}

impl Deployment {
    /// What shows of it in a view.
    pub(super) fn workload(&self) -> Workload {
        Workload {
            key: key_of(WorkloadKind::Deployment, &self.meta),
            replicas: self.replicas,
            max_unavailable: self.max_unavailable(),
            paused: self.paused,
            complete: self.is_complete(),
            paused_since: None,
            observed: true,
            min_ready_secs: 0,
            partition: 0,
            on_delete: false,
        }
    }
}

impl StatefulSet {
    /// What shows of it in a view, as far as its status tells.
    pub(super) fn workload(&self) -> Workload {
        Workload {
            key: key_of(WorkloadKind::StatefulSet, &self.meta),
            replicas: self.replicas,
            max_unavailable: self.max_unavailable(),
            paused: false,
            complete: self.is_complete(),
            paused_since: None,
            observed: true,
            min_ready_secs: 0,
            partition: 0,
            on_delete: false,
        }
    }
}

impl DaemonSet {
    /// What shows of it in a view.
    pub(super) fn workload(&self) -> Workload {
        Workload {
            key: key_of(WorkloadKind::DaemonSet, &self.meta),
            replicas: self.desired,
            max_unavailable: self.max_unavailable(),
            paused: false,
            complete: self.is_complete(),
            paused_since: None,
            observed: true,
            min_ready_secs: 0,
            partition: 0,
            on_delete: false,
        }
    }
}
