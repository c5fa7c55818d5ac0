//! The fleet: the pods and revisions of one workload at one second, and what controllers may do to them.

use super::Workload;
use super::progress::Progress;

/// A second of the play; what was there before it began has a negative one.
pub type Second = i64;

/// A pod template, by its number: equal numbers are equal templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Template(pub u32);

/// All there is of a workload at a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When.
    pub at: Second,
    /// Desired pods.
    pub replicas: u32,
    /// `spec.template`.
    pub template: Template,
    /// `minReadySeconds`: a pod is available when it has been ready for so long.
    pub min_ready_secs: u32,
    /// `spec.paused`; only a Deployment heeds it.
    pub paused: bool,
    /// ReplicaSets or ControllerRevisions, in the order of their creation.
    pub revisions: Vec<Revision>,
    /// `status.currentRevision` of a StatefulSet: the last that was complete.
    pub current: Template,
    /// The condition `Progressing`; a Deployment's only.
    pub progress: Option<Progress>,
    /// In the order of their creation.
    pub pods: Vec<Pod>,
}

/// A ReplicaSet or ControllerRevision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its template.
    pub template: Template,
    /// When it was created; a way back does not change it.
    pub created: Second,
    /// Its revision number: the target has the highest.
    pub number: u32,
    /// Numbers that it had before; a Deployment's only.
    pub history: Vec<u32>,
    /// `spec.replicas` of a ReplicaSet.
    pub size: u32,
    /// The Deployment's desired and most pods when the ReplicaSet was last scaled (annotations
    /// `desired-replicas` and `max-replicas`).
    pub scaled_for: (u32, u32),
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Counts all pods of the play.
    pub serial: u32,
    /// Its ordinal (StatefulSet), its node (DaemonSet), else its serial number.
    pub slot: u32,
    /// What it runs.
    pub template: Template,
    /// When it was created.
    pub created: Second,
    /// What it does.
    pub phase: Phase,
    /// Since when.
    pub since: Second,
    /// Restarts of its container.
    pub restarts: u32,
    /// When that last ended.
    pub ended: Option<Second>,
}

/// What a pod does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is not ready.
    Starting,
    /// It is ready.
    Ready,
    /// It has been deleted and is not gone.
    Terminating {
        /// It was ready.
        serving: bool,
    },
}

impl Pod {
    /// It has not been deleted.
    pub fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Terminating { .. })
    }
}

impl Snapshot {
    /// The revision of a template.
    pub fn revision(&self, template: Template) -> Option<&Revision> {
        self.revisions.iter().find(|r| r.template == template)
    }

    /// The revision that pods are moved to: the one with the highest number. A paused Deployment with a new template
    /// has none for that yet.
    pub fn target(&self) -> Option<&Revision> {
        self.revisions.iter().max_by_key(|r| r.number)
    }

    /// Pods that have not been deleted.
    pub fn active(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.is_active())
    }

    /// Ready pods of a template.
    pub fn ready(&self, template: Template) -> u32 {
        let ready = |pod: &&Pod| pod.template == template && pod.phase == Phase::Ready;
        count(self.pods.iter().filter(ready))
    }

    /// Whether a pod of this second has been ready for long enough.
    pub fn is_available(&self, pod: &Pod) -> bool {
        pod.phase == Phase::Ready && self.at - pod.since >= Second::from(self.min_ready_secs)
    }

    /// Available pods of any template.
    pub fn available(&self) -> u32 {
        count(self.pods.iter().filter(|pod| self.is_available(pod)))
    }

    /// Every desired pod runs the wanted template and is available, and no other is there.
    pub fn is_complete(&self) -> bool {
        self.active().all(|pod| pod.template == self.template)
            && count(self.active()) == self.replicas
            && self.available() == self.replicas
    }
}

fn count<'p>(pods: impl Iterator<Item = &'p Pod>) -> u32 {
    u32::try_from(pods.count()).unwrap_or(u32::MAX)
}

/// A snapshot that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fleet {
    pub(super) workload: Workload,
    pub(super) now: Snapshot,
    next_serial: u32,
}

impl Fleet {
    /// A fleet without pods and revisions.
    pub(super) fn new(workload: &Workload, template: Template, at: Second) -> Self {
        Self {
            workload: workload.clone(),
            now: Snapshot {
                at,
                replicas: workload.replicas,
                template,
                min_ready_secs: workload.min_ready_secs,
                paused: false,
                revisions: Vec::new(),
                current: template,
                progress: None,
                pods: Vec::new(),
            },
            next_serial: 0,
        }
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        self.now.is_available(pod)
    }

    pub(super) fn active_of(&self, template: Template) -> u32 {
        count(self.now.active().filter(|pod| pod.template == template))
    }

    pub(super) fn available_of(&self, template: Template) -> u32 {
        let pods = self.now.pods.iter();
        count(pods.filter(|pod| pod.template == template && self.is_available(pod)))
    }

    /// The pod in a slot, terminating or not; the youngest of several.
    pub(super) fn in_slot(&self, slot: u32) -> Option<&Pod> {
        self.now.pods.iter().rev().find(|pod| pod.slot == slot)
    }

    /// Creates a pod in a slot; without one, its serial number is its slot.
    pub(super) fn create(&mut self, template: Template, slot: Option<u32>) {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.now.pods.push(Pod {
            serial,
            slot: slot.unwrap_or(serial),
            template,
            created: self.now.at,
            phase: Phase::Starting,
            since: self.now.at,
            restarts: 0,
            ended: None,
        });
    }

    /// Deletes a pod; one that takes no time to stop is gone at once.
    pub(super) fn delete(&mut self, serial: u32) {
        let at = self.now.at;
        let is_instant = self.workload.gone_after_secs == 0;
        self.now.pods.retain_mut(|pod| {
            if pod.serial == serial && pod.is_active() {
                let serving = pod.phase == Phase::Ready;
                pod.phase = Phase::Terminating { serving };
                pod.since = at;
                return !is_instant;
            }
            true
        });
    }

    /// The revision of the wanted template becomes the one with the highest number.
    ///
    /// An old one of the same template is used again; with `keeps_history` it remembers the number that it had.
    pub(super) fn make_target(&mut self, keeps_history: bool) {
        let template = self.now.template;
        let others = self.now.revisions.iter();
        let others = others.filter(|r| r.template != template);
        let number = others.map(|r| r.number).max().unwrap_or(0) + 1;
        let mut revisions = self.now.revisions.iter_mut();
        match revisions.find(|r| r.template == template) {
            Some(revision) if revision.number < number => {
                if keeps_history {
                    revision.history.push(revision.number);
                }
                revision.number = number;
            }
            Some(_) => {}
            None => self.now.revisions.push(Revision {
                template,
                created: self.now.at,
                number,
                history: Vec::new(),
                size: 0,
                scaled_for: (0, 0),
            }),
        }
    }

    /// Forgets the oldest revisions that `may_go` allows, down to the history limit.
    pub(super) fn forget_history(&mut self, may_go: impl Fn(&Self, &Revision) -> bool) {
        let spare: Vec<&Revision> = {
            let revisions = self.now.revisions.iter();
            let mut spare: Vec<&Revision> = revisions.filter(|r| may_go(self, r)).collect();
            spare.sort_by_key(|r| r.number);
            spare
        };
        let limit = usize::try_from(self.workload.history_limit).unwrap_or(usize::MAX);
        let excess = spare.len().saturating_sub(limit);
        let gone: Vec<Template> = spare[..excess].iter().map(|r| r.template).collect();
        self.now.revisions.retain(|r| !gone.contains(&r.template));
    }
}
