//! Slim Pods: where they are, whether they are ready, and what is wrong with them.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::conditions::{self, Stall};
use super::few::Few;
use super::fields::Fields;
use super::meta::{self, Meta};
use super::object::Kind;
use super::tree::Tree;
use crate::model::Trouble;

/// A Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Name, labels, controller.
    pub meta: Meta,
    /// `status.podIPs`, else `status.podIP`.
    pub addresses: Few<IpAddr>,
    /// The phase is `Succeeded` or `Failed`: it will not run again.
    pub terminal: bool,
    /// Its condition `Ready`; `None` where it has none.
    pub ready: Option<bool>,
    /// Since when it is Ready; `None` while it is not.
    pub ready_since: Option<Timestamp>,
    /// Restarts of its containers, added up.
    pub restarts: u32,
    /// What is wrong with it while it counts. Most pods are well, and pay a pointer for it.
    pub ailment: Option<Box<Ailment>>,
}

/// What is wrong with a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ailment {
    /// What its containers tell.
    pub trouble: Trouble,
    /// Why it cannot start.
    pub stalled: Option<Stall>,
}

/// What is wrong with several pods.
#[derive(Default)]
pub(super) struct Ailments<'p> {
    stalled: Option<&'p Stall>,
    troubles: Vec<Trouble>,
}

impl<'p> Ailments<'p> {
    pub(super) fn add(&mut self, pod: &'p Pod) {
        let Some(ailment) = &pod.ailment else { return };
        self.add_stall(ailment.stalled.as_ref());
        if ailment.trouble != Trouble::default() {
            self.troubles.push(ailment.trouble);
        }
    }

    pub(super) fn add_stall(&mut self, stall: Option<&'p Stall>) {
        self.stalled = Stall::longest(self.stalled, stall);
    }

    /// As a revision has it.
    pub(super) fn stalled(&self) -> Option<(Arc<str>, Option<Timestamp>)> {
        let stalled = self.stalled;
        stalled.map(|stall| (Arc::clone(&stall.reason), stall.since))
    }

    /// In an order of their own, whatever the pods are called.
    pub(super) fn into_troubles(mut self) -> Vec<Trouble> {
        self.troubles.sort();
        self.troubles
    }
}

impl Pod {
    /// It counts among its revision's pods: not going away, and not done.
    pub fn counts(&self) -> bool {
        !self.meta.deleting && !self.terminal
    }

    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::Pod, fields, |_| true)?;
        let status = tree.get("status");
        let addresses = addresses(status, fields);
        let readiness = Readiness::read(tree, fields);
        let mut containers = Containers::default();
        containers.read(status, "containerStatuses", fields);
        let running_since = containers.running_since();
        containers.read(status, "initContainerStatuses", fields);
        let mut pod = Self {
            meta,
            addresses: addresses.into(),
            terminal: matches!(status.get("phase").text(), Some("Succeeded" | "Failed")),
            ready: readiness.is_ready,
            ready_since: readiness.since.filter(|_| readiness.is_ready == Some(true)),
            restarts: containers.restarts,
            ailment: None,
        };
        if pod.counts() {
            let unready_since = readiness.lost_since(running_since);
            let ailment = containers.ailment(unready_since, || meta::created(tree, fields));
            pod.ailment = (ailment != Ailment::default()).then(|| Box::new(ailment));
        }
        Some(pod)
    }
}

fn addresses(status: &Tree, fields: &mut Fields<'_>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for entry in fields.list(status.get("podIPs"), format_args!("status.podIPs")) {
        addresses.extend(fields.address(entry.get("ip"), format_args!("status.podIPs")));
    }
    if addresses.is_empty() && status.get("podIP").text().is_some_and(|t| !t.is_empty()) {
        addresses.extend(fields.address(status.get("podIP"), format_args!("status.podIP")));
    }
    addresses
}

/// The condition `Ready`.
#[derive(Default)]
struct Readiness {
    is_ready: Option<bool>,
    since: Option<Timestamp>,
}

impl Readiness {
    fn read(tree: &Tree, fields: &mut Fields<'_>) -> Self {
        let conditions = conditions::list(tree, fields);
        let Some(condition) = conditions::find(conditions, "Ready") else {
            return Self::default();
        };
        let is_ready = match condition.get("status").text() {
            Some("True") => Some(true),
            Some("False") => Some(false),
            _ => None,
        };
        let place = format_args!("status.conditions.lastTransitionTime");
        let since = fields.time(condition.get("lastTransitionTime"), place);
        Self { is_ready, since }
    }

    /// Since when a pod is not Ready that was, its containers running on since `running_since`.
    ///
    /// That it was Ready stands nowhere, but the condition has the time of its last transition. Of a pod that has
    /// never been Ready this is before its containers started, for the kubelet writes the condition first and it has
    /// not changed since; of a pod whose container ended, it is when that ended, so before the next one started. Only
    /// a pod that was Ready after its last container had started can have a later one.
    fn lost_since(&self, running_since: Option<Timestamp>) -> Option<Timestamp> {
        let lost = self.since.filter(|_| self.is_ready == Some(false))?;
        (lost > running_since?).then_some(lost)
    }
}

/// Reasons of a waiting container that has not started and cannot.
const STALLS: [&str; 6] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// What the statuses of containers come to.
#[derive(Default)]
struct Containers {
    restarts: u32,
    is_crash_looping: bool,
    /// Why one cannot start; the smallest text of several, so that their order does not matter.
    stalled: Option<Arc<str>>,
    /// The last end, a bad one before a good one: a companion that ends well after it does not hide it.
    end: Option<(bool, Option<Timestamp>)>,
    /// How many there are, and how many of them are known to be running since when.
    count: usize,
    starts: Vec<Timestamp>,
}

impl Containers {
    fn read(&mut self, status: &Tree, list: &str, fields: &mut Fields<'_>) {
        let is_init = list == "initContainerStatuses";
        for container in fields.list(status.get(list), format_args!("status.{list}")) {
            let state = container.get("state");
            let place = format_args!("status.{list}.state");
            let now = end(state.get("terminated"), place, fields);
            if is_init && matches!(now, Some((false, _))) {
                // It has done its work. How often it tried says nothing of the pod that runs after it.
                continue;
            }
            let place = format_args!("status.{list}.restartCount");
            let restarts = fields.count(container.get("restartCount"), place);
            self.restarts = self.restarts.saturating_add(restarts.unwrap_or(0));
            let place = format_args!("status.{list}.lastState");
            let last = end(container.at(&["lastState", "terminated"]), place, fields);
            self.end = self.end.max(now).max(last);
            self.wait(state.get("waiting"), list, fields);
            self.count += 1;
            let place = format_args!("status.{list}.state.running.startedAt");
            let start = state.at(&["running", "startedAt"]);
            self.starts.extend(fields.time(start, place));
        }
    }

    fn wait(&mut self, waiting: &Tree, list: &str, fields: &mut Fields<'_>) {
        let place = format_args!("status.{list}.state.waiting.reason");
        let Some(reason) = fields.text(waiting.get("reason"), place) else {
            return;
        };
        self.is_crash_looping |= reason == "CrashLoopBackOff";
        if STALLS.contains(&reason) && self.stalled.as_deref().is_none_or(|known| reason < known) {
            self.stalled = Some(fields.part(reason));
        }
    }

    /// When the last of them started; `None` unless all run.
    fn running_since(&self) -> Option<Timestamp> {
        let last = self.starts.iter().max().copied();
        last.filter(|_| self.starts.len() == self.count)
    }

    fn ailment(
        self,
        unready_since: Option<Timestamp>,
        created: impl FnOnce() -> Option<Timestamp>,
    ) -> Ailment {
        let (ended_badly, ended) = self.end.unwrap_or_default();
        Ailment {
            trouble: Trouble {
                restarts: self.restarts,
                crash_looping: self.is_crash_looping,
                ended,
                ended_badly,
                unready_since,
            },
            stalled: self.stalled.map(|reason| Stall {
                reason,
                since: created(),
            }),
        }
    }
}

/// Whether a container ended badly, and when that was.
fn end(
    state: &Tree,
    place: std::fmt::Arguments<'_>,
    fields: &mut Fields<'_>,
) -> Option<(bool, Option<Timestamp>)> {
    if *state == Tree::Null {
        return None;
    }
    let exit_code = state.get("exitCode");
    let code = fields.number(exit_code, format_args!("{place}.terminated.exitCode"));
    let is_bad = code.unwrap_or(0) != 0 || state.get("reason").text() == Some("OOMKilled");
    let finished = state.get("finishedAt");
    let at = fields.time(finished, format_args!("{place}.terminated.finishedAt"));
    Some((is_bad, at))
}
