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

use super::index::{Index, Owner};
use super::labels::Labels;
use super::meta::{Common, Controller, Meta};
use super::object::Kind;
use super::pods::{Ailments, Pod};
use super::revisions::{Portrait, ReplicaSet, bare_hash, hash_label};
use crate::model::{Revision, Uid, Workload, WorkloadKey, WorkloadKind};

/// The identity of a revision behind a service. Those without a workload sort first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tie {
    pub(super) workload: Option<WorkloadKey>,
    pub(super) hash: Arc<str>,
}

impl Tie {
    fn of(workload: &WorkloadKey, hash: &Arc<str>) -> Self {
        Self {
            workload: Some(workload.clone()),
            hash: Arc::clone(hash),
        }
    }
}

/// The ties of pods, each looked up once for all pods that have their metadata in common: nothing else decides it.
pub(super) struct Ties<'i> {
    index: &'i Index,
    /// The label key the Service names.
    version_label: Option<&'i str>,
    /// By where that metadata lies: a pointer's order shows nowhere.
    known: BTreeMap<*const Common, Kinship>,
}

/// What is known of a pod's relations.
struct Kinship {
    tie: Option<Tie>,
    /// That which owns it, whether it has a tie or not.
    workload: Option<WorkloadKey>,
}

impl<'i> Ties<'i> {
    pub(super) fn new(index: &'i Index, version_label: Option<&'i str>) -> Self {
        Self {
            index,
            version_label,
            known: BTreeMap::new(),
        }
    }

    /// The revision a pod runs; `None`: unversioned.
    pub(super) fn of(&mut self, pod: &'i Pod) -> Option<&Tie> {
        self.kinship(pod).tie.as_ref()
    }

    fn kinship(&mut self, pod: &'i Pod) -> &Kinship {
        let kinship = || self.index.kinship(pod, self.version_label);
        let common = Arc::as_ptr(&pod.meta.common);
        self.known.entry(common).or_insert_with(kinship)
    }
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
    portrait: Option<Portrait<'i>>,
    pods: u32,
    /// Where the version label is looked for first: the first pod by name, one that counts before one that does not.
    face: Option<(Reverse<bool>, &'i Pod)>,
    deadline_exceeded: bool,
    ailments: Ailments<'i>,
}

/// The pods of a workload that are not about to go.
#[derive(Default)]
struct Stock {
    pods: u32,
    /// Those that say that they are not Ready.
    unready: u32,
    /// Not all of them run the newest revision.
    is_mixed: bool,
}

impl Stock {
    /// Whether a roll-out to so many pods may be complete, as a status says. That does not say which revision it is
    /// about, and is written after the pods changed: what its pods say against it is newer.
    fn allows(&self, replicas: u32) -> bool {
        let are_ready = self.unready == 0 || self.pods - self.unready >= replicas;
        are_ready && !self.is_mixed
    }
}

/// What is found below a workload, revisions excepted.
#[derive(Default)]
struct Brood<'i> {
    /// The hash of the revision with the highest number.
    newest: Option<(i64, Arc<str>)>,
    pods: Vec<&'i Arc<str>>,
    /// A ReplicaSet tells itself why it has no pods.
    is_frank: bool,
}

impl Brood<'_> {
    fn number(&mut self, number: Option<i64>, hash: &Arc<str>) {
        let number = number.unwrap_or(0);
        if self
            .newest
            .as_ref()
            .is_none_or(|(known, _)| *known < number)
        {
            self.newest = Some((number, Arc::clone(hash)));
        }
    }
}

impl Index {
    fn kinship(&self, pod: &Pod, version_label: Option<&str>) -> Kinship {
        let known = hash_label(&pod.meta.labels).cloned();
        let version = || version_of(&pod.meta.labels, version_label).cloned();
        let (workload, hash) = match &pod.meta.controller {
            None => (None, known),
            Some(controller) => {
                let hash = match (controller.kind, known) {
                    (Some(Kind::StatefulSet), Some(hash)) => {
                        Some(bare_hash(&hash, &controller.name))
                    }
                    (_, Some(hash)) => Some(hash),
                    (_, None) => self.replica_set_of(pod).map(|set| Arc::clone(set.hash())),
                };
                (self.workload_of(pod, controller), hash)
            }
        };
        let tie = hash.or_else(version).map(|hash| Tie {
            workload: workload.clone(),
            hash,
        });
        Kinship { tie, workload }
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
    pub(super) fn family<'i>(
        &'i self,
        pods: &BTreeMap<&str, &'i Pod>,
        selected: &[Owner],
        all: &mut Ties<'i>,
    ) -> Family {
        let mut drafts: BTreeMap<Tie, Draft<'_>> = BTreeMap::new();
        for pod in pods.values().copied() {
            let tie = all.of(pod);
            if let Some(tie) = tie.filter(|tie| tie.workload.is_none()) {
                let draft = drafts.entry(tie.clone()).or_default();
                if let Some(set) = self.replica_set_of(pod) {
                    draft.describe(set.portrait());
                    draft.ailments.add_stall(set.stalled.as_deref());
                }
                draft.count(pod);
            }
        }
        let mut workloads = Vec::new();
        for key in self.workloads_behind(pods, selected, all) {
            let stock = self.revisions_of(&key, pods, all, &mut drafts);
            if let (Some(mut workload), Some(stock)) = (self.workload(&key), stock) {
                workload.complete = workload.complete && stock.allows(workload.replicas);
                workloads.push(workload);
            }
        }
        let (ties, revisions) = drafts
            .into_iter()
            .map(|(tie, draft)| {
                let workload = tie.workload.as_ref();
                let at = workload.and_then(|key| workloads.iter().position(|w| w.key == *key));
                let revision = draft.name(&tie.hash, at, all.version_label);
                (tie, revision)
            })
            .unzip();
        Family {
            ties,
            revisions,
            workloads,
        }
    }

    /// The workloads that own one of the pods or are selected.
    pub(super) fn workloads_behind<'i>(
        &'i self,
        pods: &BTreeMap<&str, &'i Pod>,
        selected: &[Owner],
        all: &mut Ties<'i>,
    ) -> BTreeSet<WorkloadKey> {
        let mut workloads: BTreeSet<WorkloadKey> =
            selected.iter().filter_map(workload_key).collect();
        for pod in pods.values() {
            let owning = all.kinship(pod).workload.as_ref();
            if let Some(owning) = owning.filter(|owning| !workloads.contains(owning)) {
                workloads.insert(owning.clone());
            }
        }
        workloads
    }

    /// Adds the revisions of a workload, those without pods too, and takes stock of its pods; `None` without it.
    fn revisions_of<'i>(
        &'i self,
        key: &WorkloadKey,
        known: &BTreeMap<&str, &'i Pod>,
        all: &mut Ties<'i>,
        drafts: &mut BTreeMap<Tie, Draft<'i>>,
    ) -> Option<Stock> {
        let brood = self.brood_of(key, drafts)?;
        let mut stock = Stock::default();
        for name in brood.pods {
            // Mostly those that are at hand.
            let at_hand = known.get(&**name).copied();
            let pod = || self.pods.get(&key.namespace, name).map(|pod| &**pod);
            let Some(pod) = at_hand.or_else(pod) else {
                continue;
            };
            let found = all.of(pod);
            let Some(found) = found.filter(|found| found.workload.as_ref() == Some(key)) else {
                continue;
            };
            let newest = brood.newest.as_ref();
            if pod.counts() {
                stock.pods += 1;
                stock.unready += u32::from(pod.ready == Some(false));
                stock.is_mixed |= newest.is_some_and(|(_, hash)| *hash != found.hash);
            }
            match drafts.get_mut(found) {
                Some(draft) => draft.count(pod),
                None => drafts.entry(found.clone()).or_default().count(pod),
            }
        }
        let deployment = match key.kind {
            WorkloadKind::Deployment => self.deployments.get(&key.namespace, &key.name),
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => None,
        };
        if let (Some(deployment), Some((_, target)), false) =
            (deployment, brood.newest, brood.is_frank)
        {
            let draft = drafts.entry(Tie::of(key, &target)).or_default();
            draft.ailments.add_stall(deployment.stalled.as_deref());
        }
        Some(stock)
    }

    /// Describes the revisions of a workload in their drafts, and tells what else is below it; `None` without it.
    fn brood_of<'i>(
        &'i self,
        key: &WorkloadKey,
        drafts: &mut BTreeMap<Tie, Draft<'i>>,
    ) -> Option<Brood<'i>> {
        let kind = kind_of(key.kind);
        let owner = (kind, Arc::clone(&key.namespace), Arc::clone(&key.name));
        let uid = self.workload_uid(&owner)?;
        let is_mine = |child: &Meta| {
            let controller = child.controller.as_ref();
            controller.is_some_and(|owner| owner.is(&key.name, uid))
        };
        let deployment = self.deployments.get(&key.namespace, &key.name);
        let given_up = deployment.and_then(|d| d.deadline_exceeded.as_deref());
        let mut brood = Brood::default();
        for (kind, name) in self.children.of(&owner) {
            match kind {
                Kind::Pod => brood.pods.push(name),
                Kind::ReplicaSet => {
                    let set = self.replica_sets.get(&key.namespace, name);
                    let Some(set) = set.filter(|set| is_mine(&set.meta)) else {
                        continue;
                    };
                    let draft = drafts.entry(Tie::of(key, set.hash())).or_default();
                    draft.describe(set.portrait());
                    draft.deadline_exceeded |= given_up == Some(&**name);
                    draft.ailments.add_stall(set.stalled.as_deref());
                    brood.is_frank |= set.stalled.is_some();
                    brood.number(set.number, set.hash());
                    let owner = (
                        Kind::ReplicaSet,
                        Arc::clone(&key.namespace),
                        Arc::clone(name),
                    );
                    let children = self.children.of(&owner).iter();
                    let pods = children.filter(|(kind, _)| *kind == Kind::Pod);
                    brood.pods.extend(pods.map(|(_, name)| name));
                }
                Kind::ControllerRevision => {
                    let revision = self.controller_revisions.get(&key.namespace, name);
                    let Some(revision) = revision.filter(|known| is_mine(&known.meta)) else {
                        continue;
                    };
                    let hash = revision.hash();
                    brood.number(revision.number, &hash);
                    let draft = drafts.entry(Tie::of(key, &hash)).or_default();
                    draft.describe(revision.portrait());
                }
                _ => {}
            }
        }
        Some(brood)
    }

    pub(super) fn workload(&self, key: &WorkloadKey) -> Option<Workload> {
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

    fn workload_uid(&self, owner: &Owner) -> Option<&Uid> {
        let (kind, namespace, name) = owner;
        match kind {
            Kind::Deployment => self.deployments.get(namespace, name).map(|w| &w.uid),
            Kind::StatefulSet => self.stateful_sets.get(namespace, name).map(|w| &w.uid),
            Kind::DaemonSet => self.daemon_sets.get(namespace, name).map(|w| &w.uid),
            _ => None,
        }
    }
}

impl<'i> Draft<'i> {
    fn describe(&mut self, portrait: Portrait<'i>) {
        // Two objects with one hash are one revision; the newer one speaks for it.
        if self
            .portrait
            .is_none_or(|known| portrait.number > known.number)
        {
            self.portrait = Some(portrait);
        }
    }

    fn count(&mut self, pod: &'i Pod) {
        self.pods += u32::from(pod.counts());
        self.ailments.add(pod);
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
        let face = self.face.and_then(|(_, pod)| {
            version_of(&pod.meta.labels, version_label).or(pod.meta.tag.as_ref())
        });
        let label = face.or_else(|| {
            let Portrait {
                template, labels, ..
            } = self.portrait?;
            version_of(&template.labels, version_label)
                .or_else(|| version_of(labels, version_label))
                .or(template.tag.as_ref())
        });
        let content = self.portrait.and_then(|portrait| portrait.content);
        Revision {
            hash: Arc::clone(hash),
            label: Arc::clone(label.unwrap_or(hash)),
            workload,
            number: self.portrait.and_then(|portrait| portrait.number),
            created: self.portrait.and_then(|portrait| portrait.created),
            pods: self.pods,
            reused: self.portrait.is_some_and(|portrait| portrait.reused),
            template: content.map(|content| content.digest),
            images: content.and_then(|content| content.images.clone()),
            declared: None,
            deadline_exceeded: self.deadline_exceeded,
            stalled: self.ailments.stalled(),
            troubles: self.ailments.into_troubles(),
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
