//! What the controllers do, by example. The names in brackets are those of the worked examples of roll-outs.

use super::testing::{check, run};
use super::*;

const DEFAULTS: &str = "deployment 10 surge=25% unavailable=25% ready=10";

#[test]
fn a_rolling_update_comes_in_two_waves_1a() {
    check(
        DEFAULTS,
        "0 update v2",
        " 0 v1 8 v2 0+5
         10 v1 3 v2 5+5
         20      v2 10",
    );
}

#[test]
fn pods_are_available_when_they_have_been_ready_for_long_enough_1c() {
    check(
        "deployment 10 ready=10 minready=30",
        "0 update v2",
        " 0 v1 8 v2 0+5
         10 v1 8 v2 5
         40 v1 3 v2 5+5
         50 v1 3 v2 10
         80      v2 10",
    );
}

#[test]
fn a_full_surge_leaves_the_old_version_alone_until_the_new_one_is_available_1d() {
    check(
        "deployment 10 surge=100% unavailable=0 ready=10 minready=120",
        "0 update v2",
        "  0 v1 10 v2 0+10
          10 v1 10 v2 10
         130       v2 10",
    );
}

#[test]
fn an_undo_half_way_takes_the_unready_pods_first_2a() {
    check(
        DEFAULTS,
        "0 update v2; 12 undo",
        " 0 v1 8   v2 0+5
         10 v1 3   v2 5+5
         12 v1 3+5 v2 5
         22 v1 8+2
         32 v1 10",
    );
}

#[test]
fn an_undo_after_the_last_old_pod_is_a_roll_out_2b() {
    check(
        DEFAULTS,
        "0 update v2; 22 undo",
        " 0 v1 8   v2 0+5
         10 v1 3   v2 5+5
         20        v2 10
         22 v1 0+5 v2 8
         32 v1 5+5 v2 3
         42 v1 10",
    );
}

#[test]
fn an_undo_under_a_full_surge_deletes_the_new_pods_at_once_2c() {
    check(
        "deployment 10 surge=100% unavailable=0 ready=10 minready=120",
        "0 update v2; 60 undo",
        " 0 v1 10 v2 0+10
         10 v1 10 v2 10
         60 v1 10",
    );
}

#[test]
fn a_version_that_never_gets_ready_stops_the_roll_out_3a() {
    check(
        DEFAULTS,
        "0 fail v2; 0 update v2; 60 undo",
        " 0 v1 8   v2 0+5
         60 v1 8+2
         70 v1 10",
    );
}

#[test]
fn a_crash_loop_comes_and_goes_with_the_back_off_3b() {
    let timeline = run(
        "deployment 10 ready=10 minready=60",
        "0 crash v2 5; 0 update v2",
    );
    let ready: Vec<(Second, u32, u32)> = timeline
        .iter()
        .map(|now| (now.at, now.ready(Template(1)), now.ready(Template(2))))
        .collect();
    assert_eq!(
        ready[..9],
        [
            (0, 8, 0),
            (10, 8, 5),
            (15, 8, 0),
            (25, 8, 5),
            (30, 8, 0),
            (50, 8, 5),
            (55, 8, 0),
            (85, 8, 5),
            (90, 8, 0)
        ]
    );
    let last = timeline.last().unwrap();
    assert!(
        last.pods
            .iter()
            .all(|pod| pod.restarts == 0 || pod.template == Template(2))
    );
    assert_eq!(last.pods.last().unwrap().restarts, 7);
}

#[test]
fn a_paused_roll_out_waits_where_it_is_4() {
    check(
        "deployment 10 surge=3 unavailable=0 ready=10",
        "0 update v2; 0 pause; 60 resume",
        " 0 v1 10 v2 0+3
         10 v1 10 v2 3
         60 v1 7  v2 3+3
         70 v1 4  v2 6+3
         80 v1 1  v2 9+1
         90       v2 10",
    );
}

#[test]
fn a_template_that_changes_while_paused_waits_for_the_resume() {
    let timeline = run(DEFAULTS, "0 pause; 5 update v2; 7 undo; 30 resume");
    assert_eq!(timeline[1].at, 5);
    assert_eq!(timeline[1].template, Template(2));
    assert_eq!(timeline[1].revisions.len(), 1, "no ReplicaSet while paused");
    check(
        DEFAULTS,
        "0 pause; 5 update v2; 30 resume",
        " 0 v1 10
         30 v1 8 v2 0+5
         40 v1 3 v2 5+5
         50      v2 10",
    );
}

#[test]
fn a_stateful_set_replaces_down_to_its_partition_6() {
    check(
        "statefulset 5 partition=3 ready=10 minready=5",
        "0 update v2",
        " 0 v1 4 v2 0+1
         10 v1 4 v2 1
         15 v1 3 v2 1+1
         25 v1 3 v2 2",
    );
}

#[test]
fn a_third_version_takes_from_the_first_before_the_second_7() {
    check(
        DEFAULTS,
        "0 update v2; 12 update v3",
        " 0 v1 8 v2 0+5
         10 v1 3 v2 5+5
         12 v1 3 v2 5   v3 0+5
         22      v2 3   v3 5+5
         32             v3 10",
    );
}

#[test]
fn recreate_has_no_pod_at_all_in_between() {
    check("recreate 3 ready=10", "0 update v2", "0 v2 0+3\n10 v2 3");
    check(
        "recreate 3 ready=10 gone=7",
        "0 update v2; 30 undo",
        " 0 v1 0-3
          7 v2 0+3
         17 v2 3
         30 v2 0-3
         37 v1 0+3
         47 v1 3",
    );
}

#[test]
fn surge_rounds_up_and_unavailable_down_and_both_cannot_be_nothing() {
    let bounds = |text: &str, replicas| {
        let bounds = testing::workload(text).controller.bounds(replicas);
        bounds.map(|b| (b.surge, b.unavailable))
    };
    assert_eq!(bounds("deployment 1", 10), Some((3, 2)));
    assert_eq!(bounds("deployment 1", 4), Some((1, 1)));
    assert_eq!(bounds("deployment 1", 3), Some((1, 0)));
    assert_eq!(bounds("deployment 1", 1), Some((1, 0)));
    assert_eq!(
        bounds("deployment 1 surge=0 unavailable=20%", 4),
        Some((0, 1))
    );
    assert_eq!(bounds("deployment 1 unavailable=9", 4), Some((1, 4)));
    assert_eq!(bounds("recreate 1", 4), None);
    assert_eq!(bounds("statefulset 1", 4), Some((0, 1)));
    assert_eq!(bounds("statefulset 1 unavailable=30%", 5), Some((0, 1)));
    assert_eq!(bounds("statefulset 1 ondelete", 4), None);
    assert_eq!(bounds("daemonset 1", 4), Some((0, 1)));
    assert_eq!(bounds("daemonset 1 unavailable=30%", 5), Some((0, 2)));
    assert_eq!(
        bounds("daemonset 1 surge=30% unavailable=0", 5),
        Some((2, 0))
    );
}

#[test]
fn scaling_in_a_roll_out_is_in_proportion() {
    // The documentation's example: 8 and 5 of 10 become 11 and 7 of 15.
    check(
        "deployment 10 surge=3 unavailable=2",
        "0 fail v2; 0 update v2; 5 scale 15",
        " 0 v1 8   v2 0+5
          5 v1 8+3 v2 0+7
         15 v1 11  v2 0+7",
    );
    check(
        "deployment 10 surge=3 unavailable=2",
        "0 fail v2; 0 update v2; 1 pause; 5 scale 5",
        "0 v1 8 v2 0+5
         5 v1 5 v2 0+3",
    );
    check(
        DEFAULTS,
        "0 scale 12; 20 scale 0",
        "0 v1 10+2\n10 v1 12\n20",
    );
    check(
        "deployment 10 surge=3 unavailable=0",
        "0 update v2; 0 pause; 5 scale 20",
        "0 v1 10 v2 0+3\n5 v1 10+8 v2 0+5\n10 v1 10+8 v2 3+2\n15 v1 18 v2 5",
    );
}

/// `v1 r3 (1) v2 r2`: template, revision number and history, in the order of creation.
fn revisions(workload: &str, events: &str) -> String {
    let timeline = run(workload, events);
    let revisions = timeline.last().unwrap().revisions.iter().map(|r| {
        let history: Vec<String> = r.history.iter().map(u32::to_string).collect();
        match history.is_empty() {
            true => format!("v{} r{} at {}", r.template.0, r.number, r.created),
            false => format!(
                "v{} r{} ({}) at {}",
                r.template.0,
                r.number,
                history.join(","),
                r.created
            ),
        }
    });
    revisions.collect::<Vec<_>>().join("; ")
}

#[test]
fn an_undo_numbers_the_old_revision_anew_and_keeps_its_age() {
    assert_eq!(
        revisions(DEFAULTS, "0 update v2; 50 undo"),
        "v1 r3 (1) at -3600; v2 r2 at 0"
    );
    assert_eq!(
        revisions(DEFAULTS, "0 update v2; 50 undo; 90 undo; 150 update v1"),
        "v1 r5 (1,3) at -3600; v2 r4 (2) at 0"
    );
    // A ControllerRevision has no history.
    assert_eq!(
        revisions("statefulset 3", "0 update v2; 12 undo"),
        "v1 r3 at -3600; v2 r2 at 0"
    );
    assert_eq!(
        revisions("daemonset 3", "0 update v2; 12 undo"),
        "v1 r3 at -3600; v2 r2 at 0"
    );
}

#[test]
fn nothing_is_undone_without_a_revision_before() {
    check(DEFAULTS, "0 undo", "0 v1 10");
    assert_eq!(
        revisions("deployment 10 history=0", "0 update v2; 60 undo"),
        "v2 r2 at 0"
    );
}

#[test]
fn an_old_template_without_history_is_a_new_revision_of_the_same_hash() {
    assert_eq!(
        revisions("deployment 10 history=0", "0 update v2; 60 update v1"),
        "v1 r3 at 60"
    );
    assert_eq!(
        revisions(
            "deployment 10 history=1",
            "0 update v2; 60 update v3; 120 update v1"
        ),
        "v3 r3 at 60; v1 r4 at 120"
    );
}

#[test]
fn a_stateful_set_goes_from_the_highest_ordinal_down_and_waits() {
    check(
        "statefulset 3 ready=10",
        "0 update v2",
        " 0 v1 2 v2 0+1
         10 v1 1 v2 1+1
         20      v2 2+1
         30      v2 3",
    );
    let timeline = run("statefulset 3 ready=10", "0 update v2");
    let starting = |now: &Snapshot| {
        let mut pods = now.pods.iter();
        pods.find(|pod| pod.phase == Phase::Starting)
            .map(|p| p.slot)
    };
    let order: Vec<Option<u32>> = timeline.iter().map(starting).collect();
    assert_eq!(order, [Some(2), Some(1), Some(0), None]);
    let current: Vec<u32> = timeline.iter().map(|now| now.current.0).collect();
    assert_eq!(
        current,
        [1, 1, 1, 2],
        "the current revision is the last complete one"
    );
}

#[test]
fn a_stateful_set_may_replace_several_at_once() {
    // In order, the lower of two missing pods is started first and waited for.
    check(
        "statefulset 4 unavailable=2 ready=10",
        "0 update v2",
        " 0 v1 2 v2 0+1
         10 v1 2 v2 1+1
         20      v2 2+1
         30      v2 3+1
         40      v2 4",
    );
    check(
        "statefulset 4 unavailable=2 ready=10 parallel",
        "0 update v2",
        " 0 v1 2 v2 0+2
         10      v2 2+2
         20      v2 4",
    );
}

#[test]
fn a_broken_pod_blocks_an_ordered_set_also_on_its_way_back() {
    let story = "0 fail v2; 0 update v2; 30 undo";
    check("statefulset 3", story, "0 v1 2 v2 0+1");
    check(
        "statefulset 3",
        &format!("{story}; 60 delete 2"),
        " 0 v1 2   v2 0+1
         60 v1 2+1
         70 v1 3",
    );
    check(
        "statefulset 3 parallel",
        story,
        " 0 v1 2   v2 0+1
         30 v1 2+1
         40 v1 3",
    );
}

#[test]
fn an_undo_in_mid_roll_makes_both_revisions_of_the_status_equal_while_others_run() {
    let timeline = run("statefulset 3 ready=10", "0 update v2; 15 undo");
    let at_15 = timeline.iter().find(|now| now.at == 15).unwrap();
    assert_eq!((at_15.template, at_15.current), (Template(1), Template(1)));
    check(
        "statefulset 3 ready=10",
        "0 update v2; 15 undo",
        " 0 v1 2   v2 0+1
         10 v1 1   v2 1+1
         20 v1 1+1 v2 1
         30 v1 2+1
         40 v1 3",
    );
}

#[test]
fn a_deleted_pod_below_the_partition_comes_back_as_it_was() {
    check(
        "statefulset 3 partition=2 ready=10",
        "0 update v2; 15 delete 0; 30 delete 2",
        " 0 v1 2   v2 0+1
         10 v1 2   v2 1
         15 v1 1+1 v2 1
         25 v1 2   v2 1
         30 v1 2   v2 0+1
         40 v1 2   v2 1",
    );
}

#[test]
fn a_stateful_set_grows_upwards_and_shrinks_downwards() {
    check(
        "statefulset 1 ready=10",
        "0 scale 3; 30 scale 1",
        " 0 v1 1+1
         10 v1 2+1
         20 v1 3
         30 v1 1",
    );
    check(
        "statefulset 3 ready=10 gone=5",
        "0 scale 1",
        " 0 v1 2-1
          5 v1 1-1
         10 v1 1",
    );
    check(
        "statefulset 3 created parallel created",
        "",
        "0 v1 0+3\n10 v1 3",
    );
}

#[test]
fn on_delete_waits_for_someone() {
    check(
        "statefulset 2 ondelete ready=10",
        "0 update v2; 20 delete 0",
        " 0 v1 2
         20 v1 1 v2 0+1
         30 v1 1 v2 1",
    );
    check(
        "daemonset 2 ondelete ready=10",
        "0 update v2; 20 delete 0",
        " 0 v1 2
         20 v1 1 v2 0+1
         30 v1 1 v2 1",
    );
}

#[test]
fn a_daemon_set_goes_node_by_node() {
    check(
        "daemonset 3 ready=10",
        "0 update v2",
        " 0 v1 2 v2 0+1
         10 v1 1 v2 1+1
         20      v2 2+1
         30      v2 3",
    );
    check(
        "daemonset 4 unavailable=50% ready=10 gone=3",
        "0 update v2",
        " 0 v1 2-2
          3 v1 2   v2 0+2
         13 v1 0-2 v2 2
         16        v2 2+2
         26        v2 4",
    );
}

#[test]
fn a_daemon_set_with_a_surge_runs_both_on_a_node() {
    check(
        "daemonset 3 surge=1 unavailable=0 ready=10 minready=5",
        "0 update v2",
        " 0 v1 3 v2 0+1
         10 v1 3 v2 1
         15 v1 2 v2 1+1
         25 v1 2 v2 2
         30 v1 1 v2 2+1
         40 v1 1 v2 3
         45      v2 3",
    );
}

#[test]
fn a_third_version_takes_a_surge_over() {
    check(
        "daemonset 3 surge=1 unavailable=0 ready=10",
        "0 update v2; 5 update v3; 18 undo",
        " 0 v1 3 v2 0+1
          5 v1 3 v3 0+1
         15 v1 2 v3 1+1
         18 v1 2 v2 0+1 v3 1
         28 v1 2 v2 1+1
         38 v1 1 v2 2+1
         48      v2 3",
    );
}

#[test]
fn a_daemon_set_replaces_what_is_broken_at_once() {
    check(
        "daemonset 3 ready=10",
        "0 fail v2; 0 update v2; 20 undo",
        " 0 v1 2   v2 0+1
         20 v1 2+1
         30 v1 3",
    );
    check(
        "daemonset 3 surge=1 unavailable=0 ready=10",
        "0 fail v2; 0 update v2; 20 undo",
        " 0 v1 3   v2 0+1
         20 v1 3",
    );
}

#[test]
fn a_new_workload_starts_empty() {
    check("deployment 3 ready=7 created", "", "0 v1 0+3\n7 v1 3");
    check(
        "statefulset 2 ready=7 created",
        "",
        "0 v1 0+1\n7 v1 1+1\n14 v1 2",
    );
}

#[test]
fn terminating_pods_are_not_counted() {
    check(
        "deployment 10 ready=10 gone=30",
        "0 update v2",
        " 0 v1 8-2 v2 0+5
         10 v1 3-7 v2 5+5
         20 v1 0-10 v2 10
         30 v1 0-8 v2 10
         40 v1 0-3 v2 10
         50        v2 10",
    );
}
