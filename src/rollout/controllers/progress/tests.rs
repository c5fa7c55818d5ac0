//! The condition, change by change: `20 NewReplicaSetAvailable v2`, with `since` where it is older than that.

use crate::rollout::controllers::testing::run;

#[track_caller]
fn check(workload: &str, events: &str, expected: &[&str]) {
    let mut lines: Vec<String> = Vec::new();
    let mut last = None;
    for snapshot in run(workload, events) {
        let Some(progress) = snapshot.progress.filter(|now| last != Some(*now)) else {
            continue;
        };
        last = Some(progress);
        let reason = progress.reason.as_str();
        let about = progress
            .about
            .map_or("-".to_owned(), |t| format!("v{}", t.0));
        let mut line = format!("{} {reason} {about}", progress.updated);
        if progress.since != progress.updated {
            line += &format!(" since {}", progress.since);
        }
        lines.push(line);
    }
    assert_eq!(lines, expected, "{workload}: {events}");
}

#[test]
fn each_progress_is_told_until_the_roll_out_is_complete() {
    check(
        "deployment 10",
        "0 update v2",
        &[
            "0 ReplicaSetUpdated v2 since -3600",
            "10 ReplicaSetUpdated v2 since -3600",
            "20 NewReplicaSetAvailable v2 since -3600",
        ],
    );
    check(
        "deployment 2 minready=30 created",
        "",
        &[
            "0 ReplicaSetUpdated v1",
            "10 ReplicaSetUpdated v1 since 0",
            "40 NewReplicaSetAvailable v1 since 0",
        ],
    );
}

#[test]
fn a_roll_out_without_progress_is_given_up_at_the_deadline_after_the_last_one() {
    check(
        "deployment 10 deadline=60",
        "5 update v2; 5 fail v2",
        &[
            "-3600 NewReplicaSetAvailable v1",
            "5 ReplicaSetUpdated v2 since -3600",
            "65 ProgressDeadlineExceeded v2",
        ],
    );
    // Each time its pods are ready again is progress.
    check(
        "deployment 10 deadline=60 minready=60",
        "0 update v2; 0 crash v2 5",
        &[
            "0 ReplicaSetUpdated v2 since -3660",
            "10 ReplicaSetUpdated v2 since -3660",
            "25 ReplicaSetUpdated v2 since -3660",
            "50 ReplicaSetUpdated v2 since -3660",
            "85 ReplicaSetUpdated v2 since -3660",
            "140 ReplicaSetUpdated v2 since -3660",
            "200 ProgressDeadlineExceeded v2",
            "235 ReplicaSetUpdated v2",
            "295 ProgressDeadlineExceeded v2",
            "410 ReplicaSetUpdated v2",
            "470 ProgressDeadlineExceeded v2",
        ],
    );
}

#[test]
fn what_was_given_up_is_told_of_until_there_is_progress() {
    let given_up = "60 ProgressDeadlineExceeded v2";
    check(
        "deployment 4 deadline=60 surge=1 unavailable=0",
        "0 update v2; 0 fail v2; 100 pause; 110 resume; 120 undo",
        &[
            "0 ReplicaSetUpdated v2 since -3600",
            given_up,
            // All pods are those of v1 at once.
            "120 NewReplicaSetAvailable v1",
        ],
    );
    // A new target that makes no progress does not change what the condition says.
    check(
        "deployment 4 deadline=60 surge=1 unavailable=0",
        "0 update v2; 0 fail v2; 0 fail v3; 100 update v3",
        &[
            "0 ReplicaSetUpdated v2 since -3600",
            given_up,
            "100 ReplicaSetUpdated v3",
            "160 ProgressDeadlineExceeded v3",
        ],
    );
}

#[test]
fn a_pause_stops_the_clock() {
    check(
        "deployment 10 deadline=60",
        "0 update v2; 0 fail v2; 30 pause; 300 resume",
        &[
            "0 ReplicaSetUpdated v2 since -3600",
            "30 DeploymentPaused v2",
            "300 DeploymentResumed v2 since 30",
            "360 ProgressDeadlineExceeded v2",
        ],
    );
}

#[test]
fn what_happens_after_a_roll_out_is_no_matter_of_its_deadline() {
    check(
        "deployment 4 deadline=60",
        "5 crash v1 5; 200 scale 5",
        &["-3600 NewReplicaSetAvailable v1"],
    );
}

#[test]
fn others_have_no_such_condition() {
    for workload in ["statefulset 3", "daemonset 3", "deployment 3 deadline=none"] {
        check(workload, "0 update v2; 0 fail v2", &[]);
    }
}
