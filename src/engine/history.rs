//! History: what happened to the tracks of a service, and how roll-outs ended.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::model::ServiceKey;
use crate::rollout::{Cause, ChangeKind, RolloutResult, State, Transition};

/// Transitions kept of a service: some five roll-outs, at about six each.
const TRANSITIONS_MAX: usize = 32;

/// Upper bounds of the durations' buckets, in seconds: from a restart of one pod to a ramp of a week.
pub const DURATION_BOUNDS: [u32; 12] = [
    10, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 43_200, 86_400, 604_800,
];

/// What happened to one service since this process began.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// The oldest first.
    transitions: VecDeque<Transition>,
    results: BTreeMap<(ChangeKind, RolloutResult), u64>,
}

/// How many roll-outs of a kind ended in a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultCount {
    /// What kind of change.
    pub kind: ChangeKind,
    /// How it ended.
    pub result: RolloutResult,
    /// How many.
    pub count: u64,
}

/// How long roll-outs took, by kind of change and result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations(BTreeMap<(ChangeKind, RolloutResult), Took>);

/// The distribution of durations of one kind and result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// How many were at most as long as each of [`DURATION_BOUNDS`] and longer than the one before; a last one for
    /// the rest.
    pub buckets: [u64; DURATION_BOUNDS.len() + 1],
    /// All of them together, in seconds.
    pub total_secs: u64,
}

impl History {
    pub(super) fn add(&mut self, transition: &Transition) {
        if let Some((result, _)) = transition.result {
            *self.results.entry((transition.kind, result)).or_default() += 1;
        }
        if self.transitions.len() == TRANSITIONS_MAX {
            self.transitions.pop_front();
        }
        if self.transitions.is_empty() {
            // Most services have been seen once and never moved.
            self.transitions.reserve_exact(1);
        }
        self.transitions.push_back(transition.clone());
    }

    /// The oldest first.
    pub(super) fn transitions(&self) -> Vec<Transition> {
        self.transitions.iter().cloned().collect()
    }

    pub(super) fn results(&self) -> Vec<ResultCount> {
        let results = self.results.iter();
        let count = |(&(kind, result), &count): (&(ChangeKind, RolloutResult), &u64)| ResultCount {
            kind,
            result,
            count,
        };
        results.map(count).collect()
    }
}

impl Durations {
    /// Counts the roll-out that ends by a transition, if one does.
    pub(super) fn add(&mut self, transition: &Transition) {
        let Some((result, started)) = transition.result else {
            return;
        };
        let secs = transition.at.as_second() - started.as_second();
        // A clock that was set back makes no negative time.
        let secs = u64::try_from(secs).unwrap_or(0);
        let duration = self.0.entry((transition.kind, result)).or_default();
        let bucket = DURATION_BOUNDS.iter().position(|b| secs <= u64::from(*b));
        duration.buckets[bucket.unwrap_or(DURATION_BOUNDS.len())] += 1;
        duration.total_secs += secs;
    }

    /// All of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (ChangeKind, RolloutResult, &Took)> {
        let all = self.0.iter();
        all.map(|((kind, result), duration)| (*kind, *result, duration))
    }
}

/// How often traffic was shifted back from a revision that failed or was given up, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flips(BTreeMap<Cause, u64>);

impl Flips {
    /// Counts the transition if traffic is shifted back by it. What had failed before this process began is not counted.
    pub(super) fn add(&mut self, transition: &Transition) {
        let is_one = transition.to == State::Aborted && transition.from.is_some();
        if let Some(cause) = transition.cause.filter(|_| is_one) {
            *self.0.entry(cause).or_default() += 1;
        }
    }

    /// How often for this cause.
    pub fn of(&self, cause: Cause) -> u64 {
        self.0.get(&cause).copied().unwrap_or_default()
    }
}

/// A track that is seen for the first time and rolls nothing: every one there is, when a server starts.
pub(super) fn is_first_sight_at_rest(transition: &Transition) -> bool {
    transition.from.is_none() && transition.to == State::Healthy
}

/// What a log needs of a transition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Happened {
    pub(super) service: ServiceKey,
    pub(super) transition: Transition,
}

impl Happened {
    /// Seconds from the beginning of the roll-out that ended, if one did.
    pub(super) fn took(&self) -> Option<(RolloutResult, i64)> {
        let (result, started): (_, Timestamp) = self.transition.result?;
        let secs = self.transition.at.as_second() - started.as_second();
        Some((result, secs.max(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transition(n: i64, took: Option<i64>) -> Transition {
        let at = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
        Transition {
            workload: None,
            at: at(n),
            from: Some(State::Progressing),
            to: State::Healthy,
            target: "v2".into(),
            kind: ChangeKind::Update,
            result: took.map(|secs| (RolloutResult::Promoted, at(n - secs))),
            cause: None,
        }
    }

    #[test]
    fn the_last_ones_are_kept_and_all_results_are_counted() {
        let mut history = History::default();
        for n in 0..40 {
            history.add(&transition(n, (n % 2 == 0).then_some(1)));
        }
        let kept = history.transitions();
        assert_eq!(kept.len(), TRANSITIONS_MAX);
        assert_eq!(kept.last(), Some(&transition(39, None)));
        assert_eq!(kept[0], transition(8, Some(1)));
        let expected = ResultCount {
            kind: ChangeKind::Update,
            result: RolloutResult::Promoted,
            count: 20,
        };
        assert_eq!(history.results(), [expected]);
    }

    #[test]
    fn a_duration_is_in_the_bucket_whose_bound_it_does_not_pass() {
        let mut durations = Durations::default();
        for secs in [0, 10, 11, 604_800, 604_801] {
            durations.add(&transition(0, Some(secs)));
        }
        durations.add(&transition(0, None));
        durations.add(&transition(0, Some(-7)));
        let (kind, result, duration) = durations.iter().next().unwrap();
        assert_eq!(
            (kind, result),
            (ChangeKind::Update, RolloutResult::Promoted)
        );
        let mut expected = [0; DURATION_BOUNDS.len() + 1];
        (expected[0], expected[1], expected[11], expected[12]) = (3, 1, 1, 1);
        assert_eq!(duration.buckets, expected);
        assert_eq!(duration.total_secs, 10 + 11 + 604_800 + 604_801);
        assert_eq!(durations.iter().count(), 1);
    }
}
