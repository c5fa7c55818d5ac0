//! Worked examples of roll-outs, share for share: ten pods that are ready after ten seconds, unless told otherwise.
//!
//! A story is evaluated as the engine does it: at each change of an object, and when the last evaluation asked for it.

mod asked;
mod disturbed;
mod flips;
mod moments;
mod random;
mod replay;

use super::played::{Story, second};
use super::{Memory, Outcome, evaluate};
use crate::model::Policy;

/// What happened, from a second on.
pub(super) struct Told {
    pub(super) at: i64,
    pub(super) outcome: Outcome,
}

/// Evaluates a story up to a second.
pub(super) fn tell(story: &Story, until: i64) -> Vec<Told> {
    let mut memory = Memory::default();
    let mut told: Vec<Told> = Vec::new();
    let events = story.events();
    let mut at = 0;
    while at <= until {
        let now = second(at);
        let outcome = evaluate(&story.view(at), &Policy::default(), &memory, now);
        memory = outcome.memory.clone();
        let again = outcome
            .next
            .map(|next| next.as_second() - second(0).as_second());
        told.push(Told { at, outcome });
        let next_event = events.iter().map(|(at, _)| *at).find(|event| *event > at);
        let Some(next) = again.into_iter().chain(next_event).min() else {
            break;
        };
        assert!(next > at, "{next} is not after {at}");
        at = next;
    }
    told
}

/// `v1 37.5 v2 62.5 Progressing`; versions without pods and share are left out.
pub(super) fn line(outcome: &Outcome) -> String {
    let mut words = Vec::new();
    for version in outcome
        .versions
        .iter()
        .filter(|v| v.ready > 0 || v.share.basis_points() > 0)
    {
        let share = f64::from(version.share.basis_points()) / 100.0;
        words.push(format!("{} {share}", version.hash));
    }
    words.push(outcome.state.as_str().to_owned());
    words.join(" ")
}

/// Compares the lines at the seconds that are listed.
#[track_caller]
fn check(story: &Story, expected: &str) {
    let lines: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let seconds: Vec<i64> = lines
        .iter()
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let told = tell(story, *seconds.last().unwrap());
    let got: Vec<String> = seconds
        .iter()
        .map(|second| {
            let last = told.iter().rfind(|told| told.at <= *second).unwrap();
            format!("{second} {}", line(&last.outcome))
        })
        .collect();
    assert_eq!(got, lines);
}

const DEFAULTS: &str = "deployment 10 surge=25% unavailable=25% ready=10";
const RECIPE: &str = "deployment 10 surge=100% unavailable=0 ready=10 minready=120";

#[test]
fn example_1a_a_rolling_update_sets_its_own_pace() {
    for annotations in ["", "strategy: follow"] {
        check(
            &Story::new(DEFAULTS, "0 update v2", annotations),
            "0 v1 100 Pending
             9 v1 100 Pending
             10 v1 37.5 v2 62.5 Progressing
             20 v2 100 Draining
             25 v2 100 Healthy",
        );
    }
}

#[test]
fn example_1b_a_ramp_over_a_plain_deployment_does_nothing() {
    // The strategy gives v2 nothing at second 10; but three pods of v1 are left of the eight that carry the load.
    let story = Story::new(DEFAULTS, "0 update v2", "strategy: linear; ramp: 60s");
    check(
        &story,
        "5 v1 100 Pending
         10 v1 37.5 v2 62.5 Progressing
         20 v2 100 Draining
         25 v2 100 Healthy",
    );
}

#[test]
fn example_1c_a_ramp_holds_until_kubernetes_removes_the_old_pods() {
    let story = Story::new(
        "deployment 10 ready=10 minready=30",
        "0 update v2",
        "strategy: linear; ramp: 60s; soak: 5s",
    );
    check(
        &story,
        "10 v1 100 v2 0 Pending
         15 v1 100 v2 0 Progressing
         20 v1 91.67 v2 8.33 Progressing
         30 v1 75 v2 25 Progressing
         40 v1 37.5 v2 62.5 Progressing
         60 v1 25 v2 75 Progressing
         75 v1 0 v2 100 Draining
         80 v2 100 Healthy",
    );
}

#[test]
fn example_1d_the_recipe_ramps_on_an_untouched_deployment() {
    let story = Story::new(
        RECIPE,
        "0 update v2",
        "strategy: linear; ramp: 100s; soak: 5s",
    );
    check(
        &story,
        "10 v1 100 v2 0 Pending
         15 v1 100 v2 0 Progressing
         20 v1 95 v2 5 Progressing
         40 v1 75 v2 25 Progressing
         60 v1 55 v2 45 Progressing
         80 v1 35 v2 65 Progressing
         100 v1 15 v2 85 Progressing
         115 v1 0 v2 100 Draining
         129 v1 0 v2 100 Draining
         130 v2 100 Healthy",
    );
}

#[test]
fn example_2a_an_undo_half_way_shifts_back_as_pods_become_ready() {
    let events = "0 update v2; 12 undo";
    check(
        &Story::new(DEFAULTS, events, "strategy: linear; ramp: 10m"),
        "10 v1 37.5 v2 62.5 Progressing
         12 v1 37.5 v2 62.5 RollingBack
         21 v1 37.5 v2 62.5 RollingBack
         22 v1 100 Healthy
         32 v1 100 Healthy",
    );
    check(
        &Story::new(
            DEFAULTS,
            events,
            "strategy: linear; ramp: 10m; rollback: immediate",
        ),
        "11 v1 37.5 v2 62.5 Progressing
         12 v1 100 v2 0 RollingBack
         22 v1 100 Healthy",
    );
}

#[test]
fn example_2b_an_undo_after_the_last_old_pod_never_sends_to_pods_that_are_not_ready() {
    for rollback in ["capacity", "immediate"] {
        check(
            &Story::new(
                DEFAULTS,
                "0 update v2; 22 undo",
                &format!("strategy: linear; ramp: 10s; rollback: {rollback}"),
            ),
            match rollback {
                "capacity" => {
                    "20 v2 100 Draining
                     22 v2 100 RollingBack
                     31 v2 100 RollingBack
                     32 v1 62.5 v2 37.5 RollingBack
                     42 v1 100 Healthy"
                }
                _ => {
                    "22 v2 100 RollingBack
                     31 v2 100 RollingBack
                     32 v1 100 v2 0 RollingBack
                     42 v1 100 Healthy"
                }
            },
        );
    }
}

#[test]
fn example_2c_under_the_recipe_an_undo_is_one_evaluation() {
    let annotations = "strategy: linear; ramp: 100s; soak: 5s";
    check(
        &Story::new(RECIPE, "0 update v2; 60 undo", annotations),
        "59 v1 60 v2 40 Progressing
         60 v1 100 Healthy",
    );
    // While pods of v2 are still there.
    check(
        &Story::new(
            &format!("{RECIPE} gone=30"),
            "0 update v2; 60 undo",
            annotations,
        ),
        "60 v1 100 Healthy",
    );
}

#[test]
fn example_3a_a_revision_that_is_never_ready_never_has_a_share() {
    // The controller goes on naming v2 after the undo: that does not harm v1.
    let story = Story::new(
        DEFAULTS,
        "0 update v2; 0 fail v2; 650 undo",
        "strategy: linear; ramp: 60s",
    );
    check(
        &story.deadline(600, Some("v2")),
        "10 v1 100 Pending
         599 v1 100 Pending
         600 v1 100 Aborted
         649 v1 100 Aborted
         650 v1 100 Healthy
         660 v1 100 Healthy",
    );
}

#[test]
fn example_3a_the_deadline_is_forgiven_when_the_controller_sees_progress() {
    let story = Story::new(
        DEFAULTS,
        "0 update v2; 0 fail v2",
        "strategy: linear; ramp: 60s",
    );
    check(
        &story.deadline(600, Some("v2")).deadline(620, None),
        "600 v1 100 Aborted
         619 v1 100 Aborted
         620 v1 100 Pending",
    );
}

#[test]
fn example_3b_a_crash_looping_revision_gets_its_share_back_never_by_itself() {
    // Ready for 5 seconds each time: 10-15, 25-30, then after back-offs of 10, 20, 40 seconds.
    let crashing = "deployment 10 ready=10 minready=60";
    let events = "0 update v2; 0 crash v2 5";
    check(
        &Story::new(crashing, events, "strategy: follow"),
        "9 v1 100 Pending
         10 v1 61.54 v2 38.46 Progressing
         15 v1 100 Aborted
         25 v1 100 v2 0 Aborted
         30 v1 100 Aborted
         50 v1 100 v2 0 Aborted",
    );
    // Nobody asked: it is told, and shares follow the pods.
    check(
        &Story::new(crashing, events, ""),
        "10 v1 61.54 v2 38.46 Progressing
         15 v1 100 Degraded
         25 v1 61.54 v2 38.46 Degraded
         30 v1 100 Degraded",
    );
    // Held: it keeps what it had, 20 % at second 22, and gets no more.
    check(
        &Story::new(
            crashing,
            "0 update v2; 0 crash v2 12",
            "strategy: linear; ramp: 50s; on-failure: hold",
        ),
        "20 v1 80 v2 20 Progressing
         22 v1 100 Paused
         32 v1 80 v2 20 Paused
         43 v1 80 v2 20 Paused",
    );
}

#[test]
fn example_4_a_paused_canary_stands_where_it_is() {
    let paused = "deployment 10 surge=3 unavailable=0 ready=10";
    let events = "0 update v2; 1 pause; 60 resume";
    check(
        &Story::new(paused, events, "strategy: follow"),
        "10 v1 76.92 v2 23.08 Paused
         59 v1 76.92 v2 23.08 Paused
         60 v1 70 v2 30 Progressing
         70 v1 40 v2 60 Progressing
         80 v1 10 v2 90 Progressing
         90 v2 100 Draining",
    );
    check(
        &Story::new(paused, events, "strategy: steps; steps: 10"),
        "10 v1 90 v2 10 Paused
         59 v1 90 v2 10 Paused
         60 v1 70 v2 30 Paused
         70 v1 40 v2 60 Paused
         80 v1 10 v2 90 Paused
         90 v2 100 Draining",
    );
}

#[test]
fn example_4_a_pause_freezes_the_ramp_and_does_not_count() {
    let events = "0 update v2; 30 pause; 61 resume";
    check(
        &Story::new(RECIPE, events, "strategy: linear; ramp: 100s; soak: 5s"),
        "25 v1 90 v2 10 Progressing
         30 v1 85 v2 15 Paused
         60 v1 85 v2 15 Paused
         61 v1 85 v2 15 Progressing
         65 v1 80 v2 20 Progressing
         100 v1 45 v2 55 Progressing",
    );
}

#[test]
fn steps_hold_until_caches_have_forgotten_the_step_before() {
    let steps = "strategy: steps; steps: 5@30s,25@40s,100; soak: 5s";
    check(
        &Story::new(RECIPE, "0 update v2", steps),
        "14 v1 100 v2 0 Pending
         15 v1 95 v2 5 Progressing
         49 v1 95 v2 5 Progressing
         50 v1 75 v2 25 Progressing
         94 v1 75 v2 25 Progressing
         95 v1 0 v2 100 Draining",
    );
    let told = tell(&Story::new(RECIPE, "0 update v2", steps), 60);
    let (last, first) = (told.last().unwrap(), &told[2]);
    assert_eq!(first.outcome.tracks[0].step, Some((1, 3)));
    assert_eq!(first.outcome.cut_over, Some(second(50)));
    assert_eq!(last.outcome.tracks[0].step, Some((2, 3)));
    assert_eq!(last.outcome.tracks[0].next_move, Some(second(95)));
}

#[test]
fn example_6_a_partition_stands_and_shares_are_what_pods_can_carry() {
    // N=5, one may be missing: four carry the load; web-4 and web-3 are replaced.
    let partitioned = "statefulset 5 partition=3 ready=10";
    let ten = "strategy: steps; steps: 10";
    check(
        &Story::new(partitioned, "0 update v2", ten),
        "0 v1 100 Pending
         10 v1 75 v2 25 Paused
         20 v1 75 v2 25 Paused",
    );
    check(
        &Story::new(partitioned, "0 update v2", "strategy: steps; steps: 50"),
        "20 v1 50 v2 50 Paused",
    );
    // To hold 10 %, the pods have to be declared stronger: 3 * 120 / 4 = 90 %.
    check(
        &Story::new(partitioned, "0 update v2", &format!("{ten}; headroom: 120")),
        "20 v1 90 v2 10 Paused",
    );
    check(
        &Story::new(partitioned, "0 update v2", "strategy: follow"),
        "20 v1 60 v2 40 Paused",
    );
    check(
        &Story::new(partitioned, "0 update v2; 30 undo", ten),
        "29 v1 75 v2 25 Paused
         30 v1 75 v2 25 RollingBack
         40 v1 100 Healthy",
    );
}

#[test]
fn example_7_a_third_version_over_a_second_one_keeps_the_first_one_stable() {
    let story = Story::new(
        DEFAULTS,
        "0 update v2; 12 update v3",
        "strategy: linear; ramp: 20s",
    );
    check(
        &story,
        "11 v1 37.5 v2 62.5 Progressing
         12 v1 37.5 v2 62.5 Pending
         22 v2 37.5 v3 62.5 Progressing
         32 v3 100 Draining",
    );
    let told = tell(&story, 20);
    let track = &told.last().unwrap().outcome.tracks[0];
    assert_eq!((track.stable, track.target), (Some(0), Some(2)));
    // v2 was given up before v3 came: it carries only what nobody else can.
    let linear = "strategy: linear; ramp: 20s";
    let story = Story::new(DEFAULTS, "0 update v2; 12 update v3", linear)
        .annotate(11, &format!("{linear}; abort: v2"));
    check(
        &story,
        "11 v1 37.5 v2 62.5 Aborted
         12 v1 37.5 v2 62.5 Pending",
    );
}

#[test]
fn example_7_a_failed_second_version_carries_only_what_nobody_else_can() {
    let linear = "strategy: linear; ramp: 20s";
    let story = Story::new(
        "deployment 10 surge=25% unavailable=25% ready=10",
        "0 update v2; 0 crash v2 100; 12 update v3",
        linear,
    );
    let story = story.deadline(11, Some("v2")).deadline(12, None);
    check(
        &story,
        "11 v1 37.5 v2 62.5 Aborted
         12 v1 37.5 v2 62.5 Pending
         22 v2 37.5 v3 62.5 Progressing
         32 v3 100 Draining",
    );
    let told = tell(&story, 24);
    let reasons: Vec<&str> = told
        .last()
        .unwrap()
        .outcome
        .versions
        .iter()
        .map(|v| v.reason.as_str())
        .collect();
    assert_eq!(reasons, ["no-endpoints", "quarantine-overflow", "fills-in"]);
}

#[test]
fn a_recreated_deployment_has_a_gap_by_design() {
    let story = Story::new(
        "recreate 4 ready=10 gone=5",
        "0 update v2; 30 undo",
        "strategy: linear; ramp: 60s",
    );
    let told = tell(&story, 60);
    let lines: Vec<String> = told
        .iter()
        .map(|t| format!("{} {}", t.at, line(&t.outcome)))
        .collect();
    let mut states: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    states.dedup();
    assert_eq!(
        states,
        [
            "v1 100 Unavailable",
            "Unavailable",
            "v2 100 Draining",
            "v2 100 Healthy",
            "v2 100 Unavailable",
            "Unavailable",
            "v1 100 Healthy"
        ],
        "{lines:?}"
    );
}

#[test]
fn a_daemon_set_rolls_node_by_node() {
    // Four nodes, one may be missing: three carry the load.
    check(
        &Story::new("daemonset 4 ready=10", "0 update v2", "strategy: follow"),
        "0 v1 100 Pending
         10 v1 66.67 v2 33.33 Progressing
         20 v1 33.33 v2 66.67 Progressing
         30 v2 100 Draining",
    );
    check(
        &Story::new(
            "daemonset 4 ready=10",
            "0 update v2",
            "strategy: linear; ramp: 40s",
        ),
        "10 v1 66.67 v2 33.33 Progressing",
    );
    check(
        &Story::new(
            "daemonset 4 ondelete ready=10",
            "0 update v2; 5 delete 2",
            "strategy: steps; steps: 10",
        ),
        "5 v1 100 Pending
         15 v1 90 v2 10 Paused",
    );
    check(
        &Story::new(
            "daemonset 4 surge=4 unavailable=0 ready=10 minready=60",
            "0 update v2",
            "strategy: linear; ramp: 50s",
        ),
        "10 v1 100 v2 0 Progressing
         35 v1 50 v2 50 Progressing
         60 v1 0 v2 100 Draining",
    );
}
