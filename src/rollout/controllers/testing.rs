//! Plays as text, for tests: what is written is what happens, and what is compared.
//!
//! `deployment 10 surge=3 unavailable=2 ready=10` plays `0 update v2; 12 undo` to lines such as `12 v1 3+5 v2 5`:
//! three ready pods of v1 and five starting ones; `-2` are terminating.

use super::fleet::{Phase, Second, Snapshot, Template};
use super::play::{Event, Failure, Start, play};
use super::{
    Controller, DaemonSetUpdate, DeploymentUpdate, PodManagement, StatefulSetUpdate, Workload,
};
use crate::model::Amount;

/// Plays and compares the whole timeline.
#[track_caller]
pub(super) fn check(workload: &str, events: &str, expected: &str) {
    let lines: Vec<String> = expected
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(told(&run(workload, events)), lines, "{workload}: {events}");
}

pub(super) fn run(text: &str, events: &str) -> Vec<Snapshot> {
    run_until(text, events, 600)
}

pub(in crate::rollout) fn run_until(text: &str, events: &str, until: Second) -> Vec<Snapshot> {
    let start = match text.ends_with(" created") {
        true => Start::Created(Template(1)),
        false => Start::AtRest(Template(1)),
    };
    let events: Vec<(Second, Event)> = events
        .split(';')
        .filter(|text| !text.trim().is_empty())
        .map(event)
        .collect();
    play(&workload(text), start, &events, until)
}

fn told(timeline: &[Snapshot]) -> Vec<String> {
    let mut lines: Vec<(String, Second)> = Vec::new();
    for snapshot in timeline {
        // What does not show in the pods (a number of a revision) is no line of its own.
        let pods = pods(snapshot);
        if lines.last().is_none_or(|(last, _)| *last != pods) {
            lines.push((pods, snapshot.at));
        }
    }
    lines
        .into_iter()
        .map(|(pods, at)| format!("{at} {pods}").trim_end().to_owned())
        .collect()
}

fn pods(snapshot: &Snapshot) -> String {
    let mut templates: Vec<Template> = snapshot.pods.iter().map(|pod| pod.template).collect();
    templates.sort();
    templates.dedup();
    let of = |template: Template| {
        let count = |is: &dyn Fn(Phase) -> bool| {
            let pods = snapshot.pods.iter();
            pods.filter(|pod| pod.template == template && is(pod.phase))
                .count()
        };
        let (ready, starting) = (
            count(&|phase| phase == Phase::Ready),
            count(&|phase| phase == Phase::Starting),
        );
        let terminating = count(&|phase| matches!(phase, Phase::Terminating { .. }));
        let mut text = format!("v{} {ready}", template.0);
        if starting > 0 {
            text += &format!("+{starting}");
        }
        if terminating > 0 {
            text += &format!("-{terminating}");
        }
        text
    };
    templates.into_iter().map(of).collect::<Vec<_>>().join(" ")
}

pub(in crate::rollout) fn workload(text: &str) -> Workload {
    let words: Vec<&str> = text.split_whitespace().collect();
    let value = |key: &str| {
        let mut pairs = words.iter().filter_map(|word| word.split_once('='));
        pairs.find(|(known, _)| *known == key).map(|(_, v)| v)
    };
    let number = |key: &str, default: u32| value(key).map_or(default, |v| v.parse().unwrap());
    let amount = |key: &str, default: Amount| {
        value(key).map_or(default, |text| match text.strip_suffix('%') {
            Some(percent) => Amount::Percent(percent.parse().unwrap()),
            None => Amount::Count(text.parse().unwrap()),
        })
    };
    let controller = match words[0] {
        "deployment" => Controller::Deployment(DeploymentUpdate::Rolling {
            surge: amount("surge", Amount::Percent(25)),
            unavailable: amount("unavailable", Amount::Percent(25)),
        }),
        "recreate" => Controller::Deployment(DeploymentUpdate::Recreate),
        "statefulset" => Controller::StatefulSet {
            update: match words.contains(&"ondelete") {
                true => StatefulSetUpdate::OnDelete,
                false => StatefulSetUpdate::Rolling {
                    partition: number("partition", 0),
                    unavailable: amount("unavailable", Amount::Count(1)),
                },
            },
            management: match words.contains(&"parallel") {
                true => PodManagement::Parallel,
                false => PodManagement::OrderedReady,
            },
        },
        "daemonset" => Controller::DaemonSet(match words.contains(&"ondelete") {
            true => DaemonSetUpdate::OnDelete,
            false => DaemonSetUpdate::Rolling {
                surge: amount("surge", Amount::Count(0)),
                unavailable: amount("unavailable", Amount::Count(1)),
            },
        }),
        other => panic!("`{other}`"),
    };
    Workload {
        replicas: words[1].parse().unwrap(),
        controller,
        min_ready_secs: number("minready", 0),
        progress_deadline_secs: match value("deadline") {
            Some("none") => None,
            _ => Some(number("deadline", 600)),
        },
        history_limit: number("history", 10),
        ready_after_secs: number("ready", 10),
        gone_after_secs: number("gone", 0),
    }
}

fn event(text: &str) -> (Second, Event) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let template = |text: &str| Template(text.strip_prefix('v').unwrap().parse().unwrap());
    let event = match words[1..] {
        ["update", to] => Event::Update(template(to)),
        ["undo"] => Event::Undo,
        ["pause"] => Event::Pause,
        ["resume"] => Event::Resume,
        ["scale", to] => Event::Scale(to.parse().unwrap()),
        ["delete", slot] => Event::Delete(slot.parse().unwrap()),
        ["fail", of] => Event::Fail(template(of), Failure::NeverReady),
        ["crash", of, after] => Event::Fail(
            template(of),
            Failure::CrashLoop {
                after_secs: after.parse().unwrap(),
            },
        ),
        _ => panic!("`{text}`"),
    };
    (words[0].parse().unwrap(), event)
}
