//! Blue/green, worked: between two Services, and between two revisions of one workload.

use super::{RECIPE, Story, check, line, second, tell};
use crate::model::Policy;
use crate::rollout::testing::view;
use crate::rollout::{Memory, Role, State, evaluate};

/// Views at seconds, and what the service then comes to; between them it is looked at when it asked for it.
fn check_views(frames: &[(i64, &str, &str, &str)]) {
    let mut memory = Memory::default();
    let mut next = None;
    for (index, (at, services, annotations, expected)) in frames.iter().enumerate() {
        if let Some((_, before, written, _)) = index.checked_sub(1).map(|before| &frames[before]) {
            while let Some(due) = next.filter(|due| *due < second(*at)) {
                let outcome = evaluate(&view(before, written), &Policy::default(), &memory, due);
                (memory, next) = (outcome.memory, outcome.next);
            }
        }
        let seen = view(services, annotations);
        let outcome = evaluate(&seen, &Policy::default(), &memory, second(*at));
        assert_eq!(line(&outcome), *expected, "second {at}");
        let of_role = |role| outcome.versions.iter().find(|v| v.role == Some(role));
        if annotations.contains("blue-green") && outcome.state != State::Unavailable {
            assert!(of_role(Role::Active).is_some() && of_role(Role::Canary).is_none());
        }
        assert_eq!(outcome.problems, [], "second {at}");
        (memory, next) = (outcome.memory, outcome.next);
    }
}

const BLUE: &str = "strategy: blue-green; backends: web-blue=100,web-green=0";
const GREEN: &str = "strategy: blue-green; backends: web-blue=0,web-green=100";

#[test]
fn example_5_two_services_flip_in_one_evaluation_as_far_as_they_can_carry() {
    let blue = "web-blue bare declares=10 10 ready; web-green bare declares=10 10 unready";
    let both = "web-blue bare declares=10 10 ready; web-green bare declares=10 10 ready";
    let seven = "web-blue bare declares=10 10 ready; web-green bare declares=10 7 ready 3 unready";
    let gone = "web-blue bare declares=0 0 ready; web-green bare declares=10 10 ready";
    check_views(&[
        (0, blue, BLUE, "web-blue 100 Healthy"),
        (10, both, BLUE, "web-blue 100 web-green 0 Healthy"),
        (20, seven, GREEN, "web-blue 30 web-green 70 Progressing"),
        (30, both, GREEN, "web-blue 0 web-green 100 Draining"),
        (34, both, GREEN, "web-blue 0 web-green 100 Draining"),
        (35, both, GREEN, "web-blue 0 web-green 100 Healthy"),
        (40, both, BLUE, "web-blue 100 web-green 0 Draining"),
        (46, both, BLUE, "web-blue 100 web-green 0 Healthy"),
        (50, gone, BLUE, "web-green 100 Degraded"),
    ]);
}

#[test]
fn a_promoted_service_is_active_whatever_its_weight() {
    let both = "web-blue bare declares=4 4 ready; web-green bare declares=4 4 ready";
    let promoted = format!("{BLUE}; promote: web-green@full");
    check_views(&[
        (0, both, BLUE, "web-blue 100 web-green 0 Healthy"),
        (5, both, &promoted, "web-blue 0 web-green 100 Draining"),
        (20, both, &promoted, "web-blue 0 web-green 100 Healthy"),
        (30, both, BLUE, "web-blue 100 web-green 0 Draining"),
    ]);
}

#[test]
fn a_service_of_one_cluster_ip_declares_nothing_and_carries_all() {
    let both = "web-blue bare 1 ready; web-green bare 1 ready";
    check_views(&[
        (0, both, BLUE, "web-blue 100 web-green 0 Healthy"),
        (5, both, GREEN, "web-blue 0 web-green 100 Draining"),
    ]);
}

#[test]
fn a_new_service_that_is_not_ready_is_waited_for() {
    let blue = "web-blue bare declares=2 2 ready; web-green bare declares=2 2 unready";
    check_views(&[
        (0, blue, BLUE, "web-blue 100 Healthy"),
        (5, blue, GREEN, "web-blue 100 Pending"),
    ]);
}

#[test]
fn a_revision_waits_for_its_promotion_and_then_has_everything() {
    let story = Story::new(RECIPE, "0 update v2", "strategy: blue-green");
    check(
        &story.annotate(60, "strategy: blue-green; promote: v2@full"),
        "5 v1 100 Pending
         10 v1 100 v2 0 Paused
         59 v1 100 v2 0 Paused
         60 v1 0 v2 100 Draining
         130 v2 100 Healthy",
    );
    let roles = |at: i64| {
        let story = Story::new(
            RECIPE,
            "0 update v2",
            "strategy: blue-green; auto-promotion: 30s",
        );
        let told = tell(&story, at);
        let outcome = &told.last().unwrap().outcome;
        let roles = outcome.versions.iter().map(|v| v.role.map(Role::as_str));
        (roles.collect::<Vec<_>>(), outcome.cut_over)
    };
    let (active, preview) = (Some("active"), Some("preview"));
    assert_eq!(roles(20), (vec![active, preview], Some(second(40))));
    assert_eq!(roles(40), (vec![None, active], None));
}

#[test]
fn it_is_promoted_by_itself_once_it_could_carry_the_whole_for_long_enough() {
    let mut seen = view(
        "workload web N=10; v1 rev1 10 ready; v2 rev2 10 ready",
        "strategy: blue-green; auto-promotion: 12s",
    );
    // Nine became ready at second 10, the tenth ten seconds later.
    let of_v2 = seen.endpoints.iter_mut().filter(|e| e.revision == Some(1));
    for (index, endpoint) in of_v2.enumerate() {
        endpoint.ready_since = Some(second(if index == 0 { 20 } else { 10 }));
    }
    let mut memory = Memory::default();
    let mut told = Vec::new();
    for at in 20..40 {
        let outcome = evaluate(&seen, &Policy::default(), &memory, second(at));
        told.push(line(&outcome));
        memory = outcome.memory;
    }
    told.dedup();
    let promoted = "v1 0 v2 100 Draining";
    assert_eq!(told, ["v1 100 v2 0 Paused", promoted]);
    // 20 + 12 is no tick; 35 is the next one.
    let before = evaluate(&seen, &Policy::default(), &Memory::default(), second(34));
    let after = evaluate(&seen, &Policy::default(), &Memory::default(), second(35));
    assert_eq!(
        [line(&before), line(&after)],
        ["v1 100 v2 0 Paused", promoted]
    );
    assert_eq!(before.next, Some(second(35)));
}
