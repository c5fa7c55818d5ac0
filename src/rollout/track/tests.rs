//! Tracks: states, kinds and roles of services as text.

use crate::model::Policy;
use crate::rollout::testing::{minute, view};
use crate::rollout::{Memory, Outcome, Role, evaluate};

fn outcome(services: &str) -> Outcome {
    let view = view(services, "");
    evaluate(&view, &Policy::default(), &Memory::default(), minute(100))
}

/// Tracks as `state kind stable>target`, roles, and the service's own state.
fn check(services: &str, expected: &str) {
    let outcome = outcome(services);
    let name = |version: Option<usize>| version.map_or("-", |index| &*outcome.versions[index].hash);
    let mut told: Vec<String> = outcome
        .tracks
        .iter()
        .map(|track| {
            let state = track.state.as_str();
            let kind = track.kind.as_str();
            format!(
                "{state} {kind} {}>{}",
                name(track.stable),
                name(track.target)
            )
        })
        .collect();
    let rolling = if outcome.rolling { "rolling" } else { "still" };
    told.push(format!("{} {rolling}", outcome.state.as_str()));
    assert_eq!(told.join(", "), expected, "{services}");
}

#[test]
fn a_track_stands_where_its_revisions_do() {
    check("v1 rev1 3 ready", "Healthy initial v1>v1, Healthy still");
    check(
        "v1 rev1 0 ready; v2 rev2 3 ready",
        "Healthy update v2>v2, Healthy still",
    );
    check(
        "v1 rev1 3 ready; v2 rev2 1 unready",
        "Pending update v1>v2, Pending rolling",
    );
    check(
        "v1 rev1 3 ready; v2 rev2 1 ready",
        "Progressing update v1>v2, Progressing rolling",
    );
    check(
        "v1 rev1 1 unready; v2 rev2 1 unready",
        "Unavailable update v2>v2, Unavailable still",
    );
    check(
        "workload web paused; v1 rev1 3 ready; v2 rev2 1 ready",
        "Paused update v1>v2, Paused rolling",
    );
    check(
        "workload web paused; v1 rev1 3 ready; v2 rev2 1 unready",
        "Paused update v1>v2, Paused rolling",
    );
    check(
        "workload web paused; v1 rev1 3 ready",
        "Healthy initial v1>v1, Healthy still",
    );
}

#[test]
fn an_older_target_is_a_roll_back() {
    check(
        "v1 rev3 born=1 3 ready; v2 rev2 5 ready",
        "RollingBack rollback v2>v1, RollingBack rolling",
    );
    check(
        "v1 rev3 born=1 0 ready; v2 rev2 5 ready",
        "RollingBack rollback v2>v1, RollingBack rolling",
    );
    check(
        "v1 rev3 born=1 8 ready; v2 rev2 0 ready",
        "Healthy rollback v1>v1, Healthy still",
    );
}

#[test]
fn the_stable_revision_has_most_ready_endpoints_unless_the_roll_is_complete() {
    check(
        "v1 rev1 3 ready; v2 rev2 5 ready; v3 rev3 1 ready",
        "Progressing update v2>v3, Progressing rolling",
    );
    check(
        "v1 rev1 3 ready; v2 rev2 3 ready; v3 rev3 1 ready",
        "Progressing update v1>v3, Progressing rolling",
    );
    check(
        "workload web complete; v1 rev1 1 ready; v2 rev2 3 ready",
        "Draining update v2>v2, Draining rolling",
    );
    // The pods of v2 are known, and the revision that they run is not yet.
    check(
        "v1 rev1 2 ready; v2 3 ready",
        "Draining update v1>v1, Draining rolling",
    );
    // The Deployment has not been heard of since v2 came: it is complete at v1.
    check(
        "workload web complete; v1 rev1 3 ready; v2 rev2 1 unready",
        "Pending update v1>v2, Pending rolling",
    );
}

#[test]
fn a_service_stands_where_the_gravest_of_its_carrying_tracks_does() {
    check(
        "workload a; v1 rev1 3 ready; workload b; v2 rev1 1 ready; v3 rev2 1 ready",
        "Healthy initial v1>v1, Progressing update v2>v3, Progressing rolling",
    );
    check(
        "workload a; v1 rev1 3 ready; workload b; v2 rev1 0 ready",
        "Healthy initial v1>v1, Unavailable initial v2>v2, Healthy still",
    );
    check("v1 bare 1 ready; v2 bare 1 ready", "Healthy still");
    check("v1 bare 1 unready", "Unavailable still");
    check(
        "workload a; unversioned 1 ready",
        "Unavailable initial ->-, Healthy still",
    );
    // Published although unready: nothing is up.
    check(
        "service publish; v1 rev1 1 unready",
        "Unavailable initial v1>v1, Unavailable still",
    );
}

#[test]
fn roles_are_the_stable_revisions_and_the_targets_of_rolling_tracks() {
    let two = "workload a; v1 rev1 3 ready; workload b; v2 rev1 1 ready; v3 rev2 1 ready; v4 rev0 1 ready";
    let roles: Vec<_> = outcome(two).versions.iter().map(|v| v.role).collect();
    assert_eq!(
        roles,
        [
            Some(Role::Stable),
            None,
            Some(Role::Canary),
            Some(Role::Stable)
        ]
    );
}

#[test]
fn a_name_for_somebody_elses_service_is_healthy_without_endpoints() {
    check("service external", "Healthy still");
    check("", "Unavailable still");
}
