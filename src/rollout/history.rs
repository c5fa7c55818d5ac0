//! History: what happened to the tracks of a service between two evaluations.
//!
//! Given the memory before and after, [`transitions()`] tells which tracks went from one state to another, and which
//! roll-outs ended by it. It keeps nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::memory::{Cause, Latch, Memory, TrackMemory};
use super::{ChangeKind, State};
use crate::model::WorkloadKey;

/// A track went from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The workload; `None`: the backends of the service.
    pub workload: Option<WorkloadKey>,
    /// When.
    pub at: Timestamp,
    /// The state before; `None`: the track is new.
    pub from: Option<State>,
    /// The state after it.
    pub to: State,
    /// The target after it.
    pub target: Arc<str>,
    /// What kind of change leads there.
    pub kind: ChangeKind,
    /// How a roll-out ended by it, if it did, and when that had begun.
    pub result: Option<(RolloutResult, Timestamp)>,
    /// Why, where there is a cause.
    pub cause: Option<Cause>,
}

/// How a roll-out ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutResult {
    /// The target has everything and is the stable revision.
    Promoted,
    /// The target failed, or someone gave it up.
    Aborted,
    /// The target is stable again, and an older one.
    RolledBack,
    /// Another target came before it was done.
    Superseded,
}

impl RolloutResult {
    /// The result's word in output and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "Promoted",
            Self::Aborted => "Aborted",
            Self::RolledBack => "RolledBack",
            Self::Superseded => "Superseded",
        }
    }
}

/// What happened to the tracks of a service between two evaluations, in the order of the tracks.
///
/// A new target before the old one was done is two transitions: the end of one roll-out, and the begin of another.
pub fn transitions(before: &Memory, after: &Memory) -> Vec<Transition> {
    let mut found = Vec::new();
    for track in &after.tracks {
        let known = before.tracks.iter().find(|t| t.workload == track.workload);
        let is_still = |k: &&TrackMemory| k.state == track.state && k.target == track.target;
        if known.is_some_and(|known| is_still(&known)) {
            continue;
        }
        let superseded = known.filter(|known| {
            let was_under_way = is_under_way(known) && known.state != State::Aborted;
            known.target != track.target && was_under_way
        });
        if let Some(known) = superseded {
            let result = Some((RolloutResult::Superseded, known.started));
            found.push(Transition {
                target: Arc::clone(&known.target),
                kind: known.kind,
                cause: None,
                ..transition(Some(known), track, result)
            });
        }
        let result = known.and_then(|known| result(known, track));
        let result = result.map(|result| (result, track.started));
        found.push(transition(known, track, result));
    }
    found
}

/// Its target is not stable yet, or an undo in mid-roll has not taken everything back.
fn is_under_way(track: &TrackMemory) -> bool {
    let takes_back = match track.state {
        State::RollingBack => true,
        // Of two Services the active one is Degraded, too, when its pods are gone.
        State::Degraded => track.workload.is_some(),
        _ => false,
    };
    track.target != track.stable || takes_back
}

/// How the roll-out of the track's target ended by this, if it did.
fn result(before: &TrackMemory, after: &TrackMemory) -> Option<RolloutResult> {
    let is_same = before.target == after.target;
    match after.state {
        State::Aborted if !is_same || before.state != State::Aborted => {
            Some(RolloutResult::Aborted)
        }
        State::Healthy if !is_same => None,
        State::Healthy if is_under_way(before) => Some(match before.kind {
            ChangeKind::Rollback => RolloutResult::RolledBack,
            _ => RolloutResult::Promoted,
        }),
        _ => None,
    }
}

fn transition(
    before: Option<&TrackMemory>,
    after: &TrackMemory,
    result: Option<(RolloutResult, Timestamp)>,
) -> Transition {
    let failed = |latch: &&Latch| latch.hash == after.target;
    Transition {
        workload: after.workload.clone(),
        at: after.since,
        from: before.map(|known| known.state),
        to: after.state,
        target: Arc::clone(&after.target),
        kind: after.kind,
        result,
        cause: after.latches.iter().find(failed).map(|latch| latch.cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WorkloadKind;

    fn track(state: State, kind: ChangeKind, target: &str, stable: &str) -> Memory {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let workload = WorkloadKey {
            kind: WorkloadKind::Deployment,
            namespace: "shop".into(),
            name: "web".into(),
        };
        Memory {
            tracks: vec![TrackMemory {
                target: target.into(),
                kind,
                state,
                ..TrackMemory::new(Some(workload), &stable.into(), at)
            }],
            ..Memory::default()
        }
    }

    fn check(before: &Memory, after: &Memory, expected: &[&str]) {
        let told: Vec<String> = transitions(before, after)
            .iter()
            .map(|t| {
                let from = t.from.map_or("new", State::as_str);
                let result = t.result.map_or("", |(result, _)| result.as_str());
                format!("{from} {} {} {result}", t.to.as_str(), t.target)
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn every_roll_out_ends_once_and_by_one_result() {
        use ChangeKind::{Rollback, Update};
        use State::{Aborted, Draining, Healthy, Pending, Progressing, RollingBack};
        let calm = track(Healthy, Update, "v1", "v1");
        let rolling = track(Progressing, Update, "v2", "v1");
        let draining = track(Draining, Update, "v2", "v1");
        let done = track(Healthy, Update, "v2", "v2");
        let failed = track(Aborted, Update, "v2", "v1");
        let back = track(RollingBack, Rollback, "v1", "v1");
        let restored = track(Healthy, Rollback, "v1", "v1");
        let third = track(Pending, Update, "v3", "v1");
        check(&Memory::default(), &calm, &["new Healthy v1 "]);
        check(&calm, &calm, &[]);
        check(&calm, &rolling, &["Healthy Progressing v2 "]);
        check(&rolling, &draining, &["Progressing Draining v2 "]);
        check(&draining, &done, &["Draining Healthy v2 Promoted"]);
        check(&rolling, &failed, &["Progressing Aborted v2 Aborted"]);
        let superseded = "Progressing RollingBack v2 Superseded";
        check(
            &rolling,
            &back,
            &[superseded, "Progressing RollingBack v1 "],
        );
        check(&failed, &back, &["Aborted RollingBack v1 "]);
        check(&back, &restored, &["RollingBack Healthy v1 RolledBack"]);
        let superseded = "Progressing Pending v2 Superseded";
        check(&rolling, &third, &[superseded, "Progressing Pending v3 "]);
        // An undo in mid-roll, where the target is the stable revision, is a roll-out like others.
        let superseded = "RollingBack Pending v1 Superseded";
        check(&back, &third, &[superseded, "RollingBack Pending v3 "]);
        let failing = track(State::Degraded, Rollback, "v1", "v1");
        check(&failing, &restored, &["Degraded Healthy v1 RolledBack"]);
        // Nothing rolls where the active one of two Services comes back.
        let backends = |mut memory: Memory| {
            memory.tracks[0].workload = None;
            memory
        };
        check(
            &backends(failing),
            &backends(restored),
            &["Degraded Healthy v1 "],
        );
    }
}
