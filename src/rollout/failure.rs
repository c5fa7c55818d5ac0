//! Failures: whether what is known of a revision's pods means that it failed.
//!
//! Given a revision, how many of its pods are ready and from when on evidence counts, [`failure()`] names the first
//! cause it finds. It decides for one moment and one revision; to remember it is the state machine's part, since pods
//! that crash in turns are ready in between.

use jiff::Timestamp;

use super::memory::Cause;
use super::ramp::after;
use crate::model::{Revision, Trouble};

/// Half of the pods must be unready for so long; a readiness probe fails three times in it, even every 5 seconds.
const READINESS_LOST_SECS: i64 = 15;

/// As few restarts as a bad image makes in its first minute (back-offs of 10 and 20 seconds); a pod that found its
/// database late has one or two.
const RESTARTS_MIN: u32 = 3;

/// What a revision fails by, and when to look again where only time is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) cause: Option<Cause>,
    pub(super) look_again: Option<Timestamp>,
}

/// Judges a revision of which `ready` pods are ready.
///
/// `since` is the moment from which evidence counts: when someone asked to try again, or when a roll-back to a revision
/// of old pods began. Without it everything counts, since the pods of an update are as young as the roll-out. The
/// controller's deadline has no date of its own; whether it counts is the second word.
pub(super) fn failure(
    revision: &Revision,
    ready: u32,
    (since, deadline): (Option<Timestamp>, bool),
    now: Timestamp,
) -> Verdict {
    let troubles = &revision.troubles;
    let is_fresh =
        |at: Option<Timestamp>| since.is_none_or(|since| at.is_some_and(|at| at >= since));
    let pods = revision.pods.max(1);
    let fifth = pods.div_ceil(5);
    let count = |is_bad: &dyn Fn(&Trouble) -> bool| {
        let bad = troubles.iter().filter(|trouble| is_bad(trouble)).count();
        u32::try_from(bad).unwrap_or(u32::MAX)
    };
    let crashing = count(&|t| t.crash_looping && is_fresh(t.ended));
    let restarted = count(&|t| t.restarts > 0 && is_fresh(t.ended));
    let restarts = match since {
        // How many of a pod's restarts are younger is not known; its last one is.
        Some(_) => restarted,
        None => troubles
            .iter()
            .fold(0, |sum, t| t.restarts.saturating_add(sum)),
    };
    let ended_badly = count(&|t| t.ended_badly && is_fresh(t.ended));
    let lost_at = |t: &Trouble| t.unready_since.filter(|at| is_fresh(Some(*at)));
    let long_lost =
        |t: &Trouble| lost_at(t).is_some_and(|at| after(at, READINESS_LOST_SECS) <= now);
    let started = ready.saturating_add(count(&|t| lost_at(t).is_some()));
    let lost = count(&long_lost);
    let cause = if revision.deadline_exceeded && deadline {
        Some(Cause::ProgressDeadline)
    } else if crashing >= fifth {
        Some(Cause::CrashLoop)
    } else if restarts >= RESTARTS_MIN && restarted >= fifth {
        Some(Cause::Restarts)
    } else if ended_badly >= fifth.max(2) {
        Some(Cause::BadExits)
    } else if lost > 0 && lost.saturating_mul(2) >= started {
        Some(Cause::ReadinessLost)
    } else {
        None
    };
    let due = troubles
        .iter()
        .filter_map(lost_at)
        .map(|at| after(at, READINESS_LOST_SECS));
    Verdict {
        cause,
        look_again: due.filter(|at| *at > now).min(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::testing::{minute, view};

    /// `10 pods: 2 crashing, 1 restarts=3, 1 exit, 3 unready=20, deadline; since=..`: seconds before the moment.
    fn check(text: &str, expected: &str) {
        let now = minute(100);
        let before = |secs: &str| after(now, -secs.parse::<i64>().unwrap());
        let (pods, rest) = text.split_once(" pods").unwrap();
        let pods: u32 = pods.parse().unwrap();
        let mut revision = view(&format!("v2 rev2 {pods} unready"), "")
            .revisions
            .remove(0);
        let mut since = None;
        let mut deadline = true;
        for clause in rest
            .trim_start_matches(": ")
            .split(", ")
            .filter(|c| !c.is_empty())
        {
            if let Some(which) = clause.strip_suffix("deadline") {
                revision.deadline_exceeded = true;
                deadline = which.is_empty();
            } else if let Some(secs) = clause.strip_prefix("since=") {
                since = Some(before(secs));
            } else {
                let words: Vec<&str> = clause.split(' ').collect();
                let mut trouble = Trouble::default();
                for word in &words[1..] {
                    match word.split_once('=') {
                        None if *word == "crashing" => trouble.crash_looping = true,
                        None if *word == "exit" => trouble.ended_badly = true,
                        Some(("ended", secs)) => trouble.ended = Some(before(secs)),
                        Some(("restarts", n)) => trouble.restarts = n.parse().unwrap(),
                        Some(("unready", secs)) => trouble.unready_since = Some(before(secs)),
                        _ => panic!("{word}"),
                    }
                }
                let count = words[0].parse().unwrap();
                revision
                    .troubles
                    .extend(std::iter::repeat_n(trouble, count));
            }
        }
        let troubled = revision
            .troubles
            .iter()
            .filter(|t| t.crash_looping || t.unready_since.is_some());
        let ready = pods - u32::try_from(troubled.count()).unwrap();
        let verdict = failure(&revision, ready, (since, deadline), now);
        let mut told = verdict.cause.map_or("well", Cause::as_str).to_owned();
        if let Some(at) = verdict.look_again {
            told += &format!("; again in {}", at.as_second() - now.as_second());
        }
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn a_fifth_of_the_pods_in_a_crash_loop_fails() {
        check("10 pods: 1 crashing", "well");
        check("10 pods: 2 crashing", "CrashLoopBackOff");
        check("11 pods: 2 crashing", "well");
        check("1 pods: 1 crashing", "CrashLoopBackOff");
        check("3 pods: 1 crashing", "CrashLoopBackOff");
    }

    #[test]
    fn three_restarts_on_a_fifth_of_the_pods_fail() {
        check("10 pods: 1 restarts=9", "well");
        check("10 pods: 2 restarts=1", "well");
        check("10 pods: 1 restarts=2, 1 restarts=1", "container restarts");
        check("2 pods: 1 restarts=3", "container restarts");
    }

    #[test]
    fn two_bad_ends_on_a_fifth_of_the_pods_fail() {
        check("4 pods: 1 exit", "well");
        check("4 pods: 2 exit", "containers end badly");
        check("20 pods: 3 exit", "well");
    }

    #[test]
    fn half_of_the_ready_pods_lost_for_fifteen_seconds_fail() {
        check("4 pods: 2 unready=15", "readiness lost");
        check("4 pods: 1 unready=60", "well");
        check("4 pods: 2 unready=14", "well; again in 1");
        check("4 pods: 1 unready=20, 1 unready=5", "well; again in 10");
        check("1 pods: 1 unready=15", "readiness lost");
    }

    #[test]
    fn the_deadline_counts_for_the_revision_it_names() {
        check("4 pods: deadline", "ProgressDeadlineExceeded");
        check("4 pods: old deadline, since=60", "well");
        check("4 pods: deadline, since=60", "ProgressDeadlineExceeded");
    }

    #[test]
    fn what_is_older_than_the_second_chance_does_not_count() {
        check("4 pods: 2 crashing restarts=9 ended=70, since=60", "well");
        check(
            "4 pods: 2 crashing restarts=9 ended=50, since=60",
            "CrashLoopBackOff",
        );
        check("4 pods: 2 crashing, since=60", "well");
        check("4 pods: 4 restarts=5 ended=61, since=60", "well");
        check(
            "4 pods: 3 restarts=5 ended=59, since=60",
            "container restarts",
        );
        check("4 pods: 2 unready=61, since=60", "well");
    }
}
