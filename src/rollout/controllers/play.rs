//! The play: a clock that goes from one second with a reason to the next.

use super::fleet::{Fleet, Phase, Pod, Second, Snapshot, Template};
use super::progress::Deadline;
use super::{Controller, Workload, daemon_set, deployment, stateful_set};

/// How long what is at rest has been available when a play begins.
pub const REST_SECS: Second = 3600;

/// What is there before second 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing: the workload is created at second 0.
    Created(Template),
    /// All pods of the workload, available since [`REST_SECS`] before.
    AtRest(Template),
}

/// What is done to a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `spec.template` is set.
    Update(Template),
    /// `kubectl rollout undo`: back to the revision before the target; refused while paused.
    Undo,
    /// `kubectl rollout pause`; a Deployment's only.
    Pause,
    /// `kubectl rollout resume`.
    Resume,
    /// `spec.replicas` is set; for a DaemonSet nodes come or go.
    Scale(u32),
    /// Someone deletes the pod of an ordinal, a node, or a serial number.
    Delete(u32),
    /// From this second on the pods of a template fail.
    Fail(Template, Failure),
}

/// How pods fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// They never become ready; those that are stay so.
    NeverReady,
    /// Their container ends when it has been ready for so long, at least a second, and is started again after the
    /// kubelet's back-off: at once, then after 10, 20, 40 seconds, up to 300.
    CrashLoop {
        /// How long it lasts each time.
        after_secs: u32,
    },
}

/// Plays `events`, in the order of their seconds, up to second `until` or until nothing is going to happen.
///
/// The first snapshot is that of second 0, after what happens in it; a second in which nothing changed has none.
pub fn play(
    workload: &Workload,
    start: Start,
    events: &[(Second, Event)],
    until: Second,
) -> Vec<Snapshot> {
    let mut stage = Play::new(workload, start);
    let mut events = events.to_vec();
    events.sort_by_key(|(second, _)| *second);
    let mut events = events.into_iter().peekable();
    let mut timeline: Vec<Snapshot> = Vec::new();
    let mut second = 0;
    while second <= until {
        stage.fleet.now.at = second;
        stage.settle();
        while let Some((_, event)) = events.next_if(|(at, _)| *at <= second) {
            stage.happen(event);
            stage.settle();
        }
        stage.deadline.look(&mut stage.fleet);
        let now = &stage.fleet.now;
        if timeline.last().is_none_or(|last| differs(last, now)) {
            timeline.push(now.clone());
        }
        let due = stage.next_due();
        let Some(next) = due
            .into_iter()
            .chain(events.peek().map(|(at, _)| *at))
            .min()
        else {
            break;
        };
        second = next;
    }
    timeline
}

/// Whether anything but the second is different; which pods are available is.
fn differs(one: &Snapshot, other: &Snapshot) -> bool {
    let at = other.at;
    one.available() != other.available() || Snapshot { at, ..one.clone() } != *other
}

struct Play {
    fleet: Fleet,
    deadline: Deadline,
    failures: Vec<(Template, Failure)>,
}

impl Play {
    fn new(workload: &Workload, start: Start) -> Self {
        let mut play = Self {
            fleet: Fleet::new(workload, Template(0), 0),
            deadline: Deadline::of(workload),
            failures: Vec::new(),
        };
        match start {
            Start::Created(template) => play.fleet = Fleet::new(workload, template, 0),
            Start::AtRest(template) => {
                let instant = Workload {
                    ready_after_secs: 0,
                    min_ready_secs: 0,
                    ..workload.clone()
                };
                let since = -REST_SECS - Second::from(workload.min_ready_secs);
                play.fleet = Fleet::new(&instant, template, since);
                play.settle();
                play.deadline.rest(&mut play.fleet);
                play.fleet.workload = workload.clone();
                play.fleet.now.min_ready_secs = workload.min_ready_secs;
            }
        }
        play
    }

    fn happen(&mut self, event: Event) {
        let now = &mut self.fleet.now;
        match event {
            Event::Update(template) => now.template = template,
            Event::Undo => {
                if let Some(template) = previous(now).filter(|_| !now.paused) {
                    now.template = template;
                }
            }
            Event::Pause => {
                now.paused = matches!(self.fleet.workload.controller, Controller::Deployment(_));
            }
            Event::Resume => now.paused = false,
            Event::Scale(replicas) => now.replicas = replicas,
            Event::Delete(slot) => {
                let pod = self.fleet.in_slot(slot).map(|pod| pod.serial);
                if let Some(serial) = pod {
                    self.fleet.delete(serial);
                }
            }
            Event::Fail(template, failure) => self.failures.push((template, failure)),
        }
    }

    /// Lets pods and controllers act until nobody has a reason to.
    ///
    /// # Panics
    /// If that does not end, which would be a controller that undoes what it did.
    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let before = self.fleet.clone();
            self.wake_pods();
            match self.fleet.workload.controller {
                Controller::Deployment(update) => deployment::sync(&mut self.fleet, update),
                Controller::StatefulSet { update, management } => {
                    stateful_set::sync(&mut self.fleet, update, management);
                }
                Controller::DaemonSet(update) => daemon_set::sync(&mut self.fleet, update),
            }
            if self.fleet == before {
                return;
            }
        }
        panic!("a controller never settles: {:?}", self.fleet);
    }

    /// What is due by now happens.
    fn wake_pods(&mut self) {
        let now = self.fleet.now.at;
        let mut pods = std::mem::take(&mut self.fleet.now.pods);
        pods.retain_mut(|pod| {
            let Some(turn) = self.turn(pod).filter(|turn| *turn <= now) else {
                return true;
            };
            pod.since = turn.max(pod.since);
            match pod.phase {
                Phase::Starting => pod.phase = Phase::Ready,
                Phase::Ready => {
                    pod.phase = Phase::Starting;
                    pod.since = now;
                    pod.restarts += 1;
                    pod.ended = Some(now);
                }
                Phase::Terminating { .. } => return false,
            }
            true
        });
        self.fleet.now.pods = pods;
    }

    /// When a pod's phase ends, by itself.
    fn turn(&self, pod: &Pod) -> Option<Second> {
        let workload = &self.fleet.workload;
        let mut failures = self.failures.iter().rev();
        let failure = failures.find(|(template, _)| *template == pod.template);
        let secs = match (pod.phase, failure.map(|(_, failure)| failure)) {
            (Phase::Starting, Some(Failure::NeverReady))
            | (Phase::Ready, None | Some(Failure::NeverReady)) => {
                return None;
            }
            (Phase::Starting, _) => {
                back_off_secs(pod.restarts) + Second::from(workload.ready_after_secs)
            }
            (Phase::Ready, Some(Failure::CrashLoop { after_secs })) => {
                Second::from((*after_secs).max(1))
            }
            (Phase::Terminating { .. }, _) => Second::from(workload.gone_after_secs),
        };
        Some(pod.since + secs)
    }

    /// The next second at which a pod turns, has been ready for long enough, or the Deployment is given up.
    fn next_due(&self) -> Option<Second> {
        let now = self.fleet.now.at;
        let min_ready = Second::from(self.fleet.workload.min_ready_secs);
        let due = |pod: &Pod| {
            let available = (pod.phase == Phase::Ready).then_some(pod.since + min_ready);
            available
                .into_iter()
                .chain(self.turn(pod))
                .filter(|at| *at > now)
                .min()
        };
        let deadline = self.deadline.due(&self.fleet.now);
        let pods = self.fleet.now.pods.iter();
        pods.filter_map(due).chain(deadline).min()
    }
}

/// The kubelet's back-off before the start that follows a restart: none, then 10 s, doubled up to 5 minutes.
fn back_off_secs(restarts: u32) -> Second {
    match restarts {
        0 | 1 => 0,
        _ => (10 << (restarts - 2).min(5)).min(300),
    }
}

/// The template of the revision with the second highest number.
fn previous(now: &Snapshot) -> Option<Template> {
    let mut revisions: Vec<_> = now.revisions.iter().collect();
    revisions.sort_by_key(|r| std::cmp::Reverse(r.number));
    revisions.get(1).map(|r| r.template)
}
