//! Recipes: what a workload must look like so that a strategy has the time it asks for.
//!
//! A controller takes old pods away as soon as new ones are available, and what is gone carries nothing, whatever the
//! strategy says. So a ramp is real where all new pods come at once beside the old ones, and become available only
//! when the ramp is over. Given a policy, [`needs()`] tells for how long old pods have to stay; given a workload too,
//! [`Needs::lacks`] tells what stands against it, and [`Needs::recipe`] what to write.

use std::fmt;

use crate::model::{Policy, Strategy};
use crate::rollout::TICK_SECS;
use crate::rollout::controllers::{
    Bounds, Controller, DaemonSetUpdate, DeploymentUpdate, StatefulSetUpdate, Workload,
};

/// A person who has to promote something needs at least so long: a look at a dashboard, and a command.
pub(super) const PERSON_SECS: u32 = 600;

/// What Kubernetes gives pods to become ready before it gives a roll-out up, by default.
pub(super) const DEADLINE_SECS: u32 = 600;

/// What a strategy needs of the old pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// `ramp of 10m`.
    pub(super) what: String,
    /// How long they have to stay once new ones are ready.
    pub(super) secs: u32,
    /// `soak 10s + ramp 10m + TTL 5s`.
    pub(super) sum: String,
    /// It also waits for a person, for however long that takes.
    pub(super) waits: bool,
    /// The new pods must be able to carry everything before anything moves.
    pub(super) is_flip: bool,
}

/// What a policy needs of the old pods; nothing where shares do not move by a strategy of time.
pub(super) fn needs(policy: &Policy) -> Option<Needs> {
    let ttl = policy.ttl.endpoints.min(policy.ttl.rollout);
    // Shares move in ticks: each move may be almost one later than its time.
    let tick = u32::try_from(TICK_SECS).unwrap_or(0);
    let mut waits = false;
    let (what, part, secs, moves) = match &policy.strategy {
        Strategy::Follow | Strategy::Manual(_) | Strategy::External => return None,
        // Two Services are two sets of pods, and none of them goes.
        Strategy::BlueGreen {
            backends: Some(_), ..
        } => return None,
        Strategy::Linear { over_secs } | Strategy::Exponential { over_secs } => {
            let told = span(*over_secs);
            (
                format!("ramp of {told}"),
                format!("ramp {told}"),
                *over_secs,
                1,
            )
        }
        Strategy::Steps(steps) => {
            let steps = steps.as_slice();
            let held = steps
                .iter()
                .filter(|step| step.share < crate::model::Share::WHOLE);
            let (mut secs, mut moves) = (0_u32, 1);
            for step in held {
                waits |= step.hold_secs.is_none();
                secs = secs
                    .saturating_add(step.hold_secs.unwrap_or(0))
                    .saturating_add(ttl);
                moves += 1;
            }
            let told = span(secs);
            (
                format!("steps of {told}"),
                format!("steps {told}"),
                secs,
                moves,
            )
        }
        Strategy::BlueGreen {
            auto_promotion_secs,
            ..
        } => {
            let secs = auto_promotion_secs.unwrap_or(0);
            waits = auto_promotion_secs.is_none();
            let told = span(secs);
            let what = match waits {
                true => "blue/green".to_owned(),
                false => format!("promotion after {told}"),
            };
            (what, format!("promotion {told}"), secs, 1)
        }
    };
    let total = [policy.soak_secs, secs, ttl, moves * tick]
        .into_iter()
        .fold(0, u32::saturating_add);
    let parts = [
        (policy.soak_secs > 0).then(|| format!("soak {}", span(policy.soak_secs))),
        (secs > 0).then_some(part),
        waits.then(|| format!("a person {}", span(PERSON_SECS))),
        (ttl > 0).then(|| format!("TTL {}", span(ttl))),
        Some(format!("{} for ticks", span(moves * tick))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(Needs {
        what,
        secs: match waits {
            true => total.saturating_add(PERSON_SECS),
            false => total,
        },
        sum: parts.join(" + "),
        waits,
        is_flip: matches!(policy.strategy, Strategy::BlueGreen { .. }),
    })
}

impl Needs {
    /// `is` or `are`.
    pub(super) fn verb(&self) -> &'static str {
        match self.what.starts_with("steps") {
            true => "are",
            false => "is",
        }
    }

    /// What of a workload stands against it; nothing where the strategy has its time.
    pub(super) fn lacks(&self, workload: &Workload) -> Vec<Lack> {
        let pods = workload.replicas;
        let mut lacks: Vec<Lack> = deadline(workload).into_iter().collect();
        match (workload.controller, workload.controller.bounds(pods)) {
            (
                Controller::Deployment(DeploymentUpdate::Rolling { .. })
                | Controller::DaemonSet(DaemonSetUpdate::Rolling { .. }),
                Some(Bounds { surge, unavailable }),
            ) => {
                let (is, needed) = (workload.min_ready_secs, self.secs);
                lacks.extend((surge < pods).then_some(Lack::Surge {
                    is: surge,
                    of: pods,
                }));
                lacks.extend((unavailable > 0).then_some(Lack::Unavailable(unavailable)));
                lacks.extend((is < needed).then_some(Lack::MinReady { is, needed }));
            }
            (Controller::Deployment(_), _) => lacks.push(Lack::Recreated),
            (
                Controller::StatefulSet {
                    update: StatefulSetUpdate::Rolling { partition: 0, .. },
                    ..
                },
                _,
            ) => lacks.push(Lack::OneByOne),
            // Someone else sets the pace: a partition, or whoever deletes the pods.
            (Controller::StatefulSet { .. } | Controller::DaemonSet(_), _) => {}
        }
        lacks
    }

    /// What to write so that it has its time, line by line, and what that costs.
    pub(super) fn recipe(&self, workload: &Workload) -> Vec<String> {
        let (secs, pods) = (self.secs, workload.replicas);
        let surge = "{rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}";
        let is_deployment = matches!(workload.controller, Controller::Deployment(_));
        let mut lines = Vec::new();
        match workload.controller {
            Controller::StatefulSet { .. } => {
                lines.push("A StatefulSet has no pods to spare. To hold a share:".to_owned());
                lines.push("  set a partition and lower it step by step;".to_owned());
                lines.push(
                    "  `shiftdns.io/headroom` says that fewer pods can carry more;".to_owned(),
                );
            }
            Controller::Deployment(_) | Controller::DaemonSet(_) => {
                lines.push("To make it real, old pods have to stay until it is done:".to_owned());
                lines.push("  spec:".to_owned());
                lines.push(format!("    minReadySeconds: {secs}  # {}", self.sum));
                if is_deployment {
                    let deadline = secs.saturating_add(DEADLINE_SECS);
                    lines.push(format!(
                        "    progressDeadlineSeconds: {deadline}  # must be above minReadySeconds"
                    ));
                    lines.push(format!("    strategy: {surge}"));
                } else {
                    lines.push(format!("    updateStrategy: {surge}"));
                }
                lines.push(format!(
                    "That runs twice the pods, {} instead of {pods}, for {} of every roll-out. Without that:",
                    pods.saturating_mul(2),
                    span(secs)
                ));
                if is_deployment {
                    lines.push(
                        "  pause the Deployment when the first new pods are there;".to_owned(),
                    );
                    lines.push("  make it a StatefulSet with a partition;".to_owned());
                }
            }
        }
        lines.push(match self.is_flip {
            true => {
                "  have two Services with a workload each, and `shiftdns.io/backends`.".to_owned()
            }
            false => {
                "  have two workloads behind the service, and `shiftdns.io/weights`.".to_owned()
            }
        });
        lines
    }
}

/// What of a workload stands against a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Not all new pods come at once.
    Surge { is: u32, of: u32 },
    /// Old pods go before new ones are available.
    Unavailable(u32),
    /// New pods are available too early.
    MinReady { is: u32, needed: u32 },
    /// The controller gives up before new pods can be available.
    Deadline { is: u32, min_ready: u32 },
    /// All old pods go first.
    Recreated,
    /// There are no new pods beside the old ones.
    OneByOne,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surge { is, of } => write!(f, "maxSurge is {is} of {of}"),
            Self::Unavailable(is) => write!(f, "maxUnavailable is {is}"),
            Self::MinReady { is, needed } => write!(f, "minReadySeconds is {is}, not {needed}"),
            Self::Deadline { is, min_ready } => write!(
                f,
                "progressDeadlineSeconds is {is}, not above minReadySeconds {min_ready}"
            ),
            Self::Recreated => f.write_str("`Recreate` leaves no old pod beside a new one"),
            Self::OneByOne => f.write_str("a StatefulSet replaces its pods one by one"),
        }
    }
}

/// Whether the controller gives every roll-out up; the API refuses such a Deployment.
pub(super) fn deadline(workload: &Workload) -> Option<Lack> {
    let (is, min_ready) = (workload.progress_deadline_secs?, workload.min_ready_secs);
    let is_deployment = matches!(workload.controller, Controller::Deployment(_));
    (is_deployment && is <= min_ready).then_some(Lack::Deadline { is, min_ready })
}

/// `90s` is `1m30s`.
pub(super) fn span(secs: u32) -> String {
    let parts = [(secs / 3600, 'h'), (secs / 60 % 60, 'm'), (secs % 60, 's')];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let text: String = parts
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    match text.is_empty() {
        true => "0s".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Amount, Steps};
    use crate::rollout::controllers::PodManagement;

    /// A policy of `linear 60`, `steps 5@30s,100`, `blue-green 30`, with a soak of 10 seconds and a TTL of 5.
    fn check(strategy: &str, expected: Option<(u32, &str)>) {
        let (kind, rest) = strategy.split_once(' ').unwrap_or((strategy, ""));
        let secs = rest.parse().ok();
        let strategy = match kind {
            "linear" => Strategy::Linear {
                over_secs: secs.unwrap(),
            },
            "steps" => Strategy::Steps(Steps::parse(rest).unwrap()),
            "blue-green" => Strategy::BlueGreen {
                auto_promotion_secs: secs,
                backends: None,
            },
            _ => Strategy::Follow,
        };
        let policy = Policy {
            strategy,
            soak_secs: 10,
            ..Policy::default()
        };
        let got = needs(&policy);
        let got = got.as_ref().map(|needs| (needs.secs, &*needs.sum));
        assert_eq!(got, expected, "{kind} {rest}");
    }

    #[test]
    fn old_pods_stay_for_soak_ramp_and_ttl() {
        check("follow", None);
        check(
            "linear 600",
            Some((620, "soak 10s + ramp 10m + TTL 5s + 5s for ticks")),
        );
        // Each hold begins when caches have forgotten the step before.
        check(
            "steps 5@30s,50@1m,100",
            Some((130, "soak 10s + steps 1m40s + TTL 5s + 15s for ticks")),
        );
        check(
            "steps 5",
            Some((
                630,
                "soak 10s + steps 5s + a person 10m + TTL 5s + 10s for ticks",
            )),
        );
        check(
            "blue-green 30",
            Some((50, "soak 10s + promotion 30s + TTL 5s + 5s for ticks")),
        );
    }

    #[test]
    fn what_stands_against_a_ramp_is_named() {
        let needs = needs(&Policy {
            strategy: Strategy::Linear { over_secs: 50 },
            ..Policy::default()
        })
        .unwrap();
        let mut workload = Workload {
            replicas: 4,
            controller: Controller::Deployment(DeploymentUpdate::Rolling {
                surge: Amount::Percent(25),
                unavailable: Amount::Percent(25),
            }),
            min_ready_secs: 10,
            progress_deadline_secs: Some(10),
            history_limit: 10,
            ready_after_secs: 10,
            gone_after_secs: 0,
        };
        let check = |workload: &Workload, expected: &[&str]| {
            let lacks = needs.lacks(workload).into_iter();
            let lacks: Vec<String> = lacks.map(|lack| lack.to_string()).collect();
            assert_eq!(lacks, expected);
        };
        check(
            &workload,
            &[
                "progressDeadlineSeconds is 10, not above minReadySeconds 10",
                "maxSurge is 1 of 4",
                "maxUnavailable is 1",
                "minReadySeconds is 10, not 60",
            ],
        );
        workload.min_ready_secs = 60;
        workload.controller = Controller::DaemonSet(DaemonSetUpdate::Rolling {
            surge: Amount::Percent(100),
            unavailable: Amount::Count(0),
        });
        check(&workload, &[]);
        workload.progress_deadline_secs = None;
        workload.controller = Controller::Deployment(DeploymentUpdate::Recreate);
        check(
            &workload,
            &["`Recreate` leaves no old pod beside a new one"],
        );
        workload.controller = Controller::StatefulSet {
            update: StatefulSetUpdate::Rolling {
                partition: 0,
                unavailable: Amount::Count(1),
            },
            management: PodManagement::Parallel,
        };
        check(&workload, &["a StatefulSet replaces its pods one by one"]);
    }

    #[test]
    fn spans_are_told_as_they_are_written() {
        for (secs, text) in [
            (0, "0s"),
            (59, "59s"),
            (90, "1m30s"),
            (3600, "1h"),
            (7265, "2h1m5s"),
        ] {
            assert_eq!(span(secs), text);
        }
    }
}
