//! Plays as views: what a service in front of a played workload looks like at each second, for tests.
//!
//! A story is a workload, what is done to it and the service's annotations; [`Story::events`] are the views in their
//! order, each at the second from which it is so. Revisions are called by their templates, `v1` and so on.

use jiff::Timestamp;

use super::controllers::testing::{run_until, workload};
use super::controllers::{Controller, DaemonSetUpdate, Phase, Pod, Snapshot, StatefulSetUpdate};
use super::ramp::after;
use super::testing::{minute, view};
use crate::model::{Endpoint, Revision, ServiceView, Trouble, Workload, WorkloadKey, WorkloadKind};

/// Second 0 of every story: a tick.
pub(super) fn second(second: i64) -> Timestamp {
    after(minute(0), second)
}

pub(super) struct Story {
    text: String,
    /// From a second on: the revision that the controller's deadline names, or none.
    pub(super) deadline: Vec<(i64, Option<&'static str>)>,
    /// From a second on: the annotations.
    pub(super) annotations: Vec<(i64, String)>,
    timeline: Vec<Snapshot>,
}

impl Story {
    /// `deployment 10 surge=3`, `0 update v2; 12 undo`, `strategy: linear; ramp: 60s`.
    pub(super) fn new(workload: &str, events: &str, annotations: &str) -> Self {
        Self {
            text: workload.to_owned(),
            deadline: Vec::new(),
            annotations: vec![(i64::MIN, annotations.to_owned())],
            timeline: run_until(workload, events, 1200),
        }
    }

    pub(super) fn deadline(mut self, second: i64, names: Option<&'static str>) -> Self {
        self.deadline.push((second, names));
        self
    }

    pub(super) fn annotate(mut self, second: i64, annotations: &str) -> Self {
        self.annotations.push((second, annotations.to_owned()));
        self
    }

    /// Every second at which an object changes, with the view from then on.
    pub(super) fn events(&self) -> Vec<(i64, ServiceView)> {
        let mut seconds: Vec<i64> = self.timeline.iter().map(|now| now.at).collect();
        seconds.extend(self.deadline.iter().map(|(at, _)| *at));
        seconds.extend(self.annotations.iter().map(|(at, _)| *at));
        seconds.retain(|at| *at >= 0);
        seconds.sort_unstable();
        seconds.dedup();
        seconds.into_iter().map(|at| (at, self.view(at))).collect()
    }

    pub(super) fn view(&self, at: i64) -> ServiceView {
        let now = self
            .timeline
            .iter()
            .rfind(|now| now.at <= at)
            .expect("stories begin at 0");
        let (_, annotations) = self
            .annotations
            .iter()
            .rfind(|(from, _)| *from <= at)
            .unwrap();
        let mut view = view("", annotations);
        view.workloads.push(declared(&self.text, now));
        let mut revisions: Vec<_> = now.revisions.iter().collect();
        revisions.sort_by_key(|revision| revision.template);
        let deadline = self.deadline.iter().rfind(|(from, _)| *from <= at);
        let deadline = deadline.and_then(|(_, names)| *names);
        for revision in &revisions {
            let name = format!("v{}", revision.template.0);
            let pods = || now.active().filter(|pod| pod.template == revision.template);
            view.revisions.push(Revision {
                hash: name.as_str().into(),
                label: name.as_str().into(),
                workload: Some(0),
                number: Some(i64::from(revision.number)),
                created: Some(second(revision.created)),
                pods: u32::try_from(pods().count()).unwrap(),
                reused: !revision.history.is_empty(),
                template: Some(u64::from(revision.template.0)),
                images: Some(name.as_str().into()),
                declared: None,
                deadline_exceeded: deadline == Some(&*name),
                stalled: None,
                troubles: pods().filter_map(trouble).collect(),
            });
        }
        for pod in &now.pods {
            let revision = revisions.iter().position(|r| r.template == pod.template);
            view.endpoints.push(endpoint(pod, revision));
        }
        view.endpoints.sort_by_key(|endpoint| endpoint.address);
        view
    }
}

fn trouble(pod: &Pod) -> Option<Trouble> {
    (pod.restarts > 0).then(|| Trouble {
        restarts: pod.restarts,
        // The first restart comes at once; the kubelet waits before the next ones.
        crash_looping: pod.phase == Phase::Starting && pod.restarts > 1,
        ended: Some(second(pod.since)).filter(|_| pod.phase == Phase::Starting),
        ended_badly: true,
        unready_since: None,
    })
}

fn endpoint(pod: &Pod, revision: Option<usize>) -> Endpoint {
    let [_, high, middle, low] = pod.serial.to_be_bytes();
    let (serving, terminating) = match pod.phase {
        Phase::Starting => (false, false),
        Phase::Ready => (true, false),
        Phase::Terminating { serving } => (serving, true),
    };
    Endpoint {
        address: [10, high, middle, low].into(),
        uid: format!("u{}", pod.serial).into(),
        pod: Some(format!("p{}", pod.serial).into()),
        hostname: None,
        ready: serving && !terminating,
        serving,
        terminating,
        zone: None,
        node: None,
        ready_since: serving.then(|| second(pod.since)),
        disputed: false,
        restarts: pod.restarts,
        revision,
        ports: [].into(),
    }
}

/// The workload as its controller declares it.
fn declared(text: &str, now: &Snapshot) -> Workload {
    let played = workload(text);
    let bounds = played.controller.bounds(now.replicas);
    let (kind, least) = match played.controller {
        Controller::Deployment(_) => (WorkloadKind::Deployment, 0),
        Controller::StatefulSet { .. } => (WorkloadKind::StatefulSet, 1),
        Controller::DaemonSet(DaemonSetUpdate::OnDelete) => (WorkloadKind::DaemonSet, 1),
        Controller::DaemonSet(_) => (WorkloadKind::DaemonSet, 0),
    };
    let (partition, on_delete) = match played.controller {
        Controller::StatefulSet {
            update: StatefulSetUpdate::Rolling { partition, .. },
            ..
        } => (partition, false),
        Controller::Deployment(_) | Controller::DaemonSet(DaemonSetUpdate::Rolling { .. }) => {
            (0, false)
        }
        Controller::StatefulSet { .. } | Controller::DaemonSet(DaemonSetUpdate::OnDelete) => {
            (0, true)
        }
    };
    Workload {
        key: WorkloadKey {
            kind,
            namespace: "shop".into(),
            name: "web".into(),
        },
        replicas: now.replicas,
        max_unavailable: bounds.map_or(0, |bounds| bounds.unavailable).max(least),
        paused: now.paused,
        paused_since: None,
        complete: now.is_complete(),
        observed: true,
        min_ready_secs: now.min_ready_secs,
        partition,
        on_delete,
    }
}
