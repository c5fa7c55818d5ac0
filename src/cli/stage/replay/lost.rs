//! What a memory is for: the few things that objects do not tell again, and what the split is when they are lost.
//!
//! Shares are those that v2 has, in percent: with the memory, and without it.

use std::sync::Arc;

use super::story::{Recording, Story, moment};
use super::{Telling, Told, forgotten, whole};
use crate::model::Trouble;
use crate::objects::{Ailment, Change, Object};
use crate::rollout::controllers::Second;

/// `expected` are seconds, each with the share of a server that remembers, and of one that lost its memory at `lost`.
#[track_caller]
fn check(story: &Story, lost: Second, expected: &[(Second, u16, u16)]) {
    check_recording(&story.record(), &story.hash(1), lost, expected);
}

#[track_caller]
fn check_recording(recording: &Recording, v2: &str, lost: Second, expected: &[(Second, u16, u16)]) {
    let kept = whole(recording, Telling::AtOnce);
    let forgot = forgotten(recording, recording.objects(lost), &[], lost);
    let share = |told: &[Told], second: Second| {
        let told = told.iter().rfind(|told| told.second <= second);
        let mut versions = told.expect("it has begun").versions.iter();
        let version = versions.find(|version| *version.hash == *v2);
        version.expect("v2 is known").share.basis_points() / 100
    };
    let found = expected
        .iter()
        .map(|(second, _, _)| (*second, share(&kept, *second), share(&forgot, *second)));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

/// Four pods of each version side by side, while a ramp of 100 seconds goes on.
fn side_by_side(annotations: &str, events: &str) -> Story {
    let workload = "Deployment replicas: 4, minReadySeconds: 120, RECIPE";
    Story::new("side by side", workload, annotations, events)
}

const RAMP: &str = "ramp: 100s";

#[test]
fn how_long_it_stood_still() {
    // While it does, and when it goes on. The Deployment tells since when it is paused, as long as it is.
    let paused = side_by_side(RAMP, "0 update v2; 30 pause; 61 resume");
    check(&paused, 47, &[(47, 20, 20), (60, 20, 20), (70, 30, 30)]);
    check(&paused, 62, &[(65, 25, 55), (70, 30, 60)]);
    let by_hand = side_by_side(RAMP, "0 update v2");
    let by_hand = by_hand
        .annotate(30, "ramp: 100s; pause: {v2}")
        .annotate(61, RAMP);
    check(&by_hand, 47, &[(47, 20, 35), (60, 20, 35), (70, 30, 45)]);
    check(&by_hand, 62, &[(65, 25, 55), (70, 30, 60)]);
}

#[test]
fn the_last_policy_that_was_good() {
    let story = side_by_side(RAMP, "0 update v2").annotate(21, "ramp: soon");
    check(&story, 32, &[(32, 20, 50), (60, 50, 50), (70, 60, 50)]);
}

#[test]
fn where_the_ramp_began_when_its_pods_have_been_replaced() {
    // The pods of v2 are those from the fifth on. It is later, so v2 has less.
    let gone = "23 delete 4; 24 delete 5; 31 delete 6; 32 delete 7";
    let story = side_by_side(RAMP, &format!("0 update v2; {gone}"));
    check(&story, 52, &[(52, 40, 17), (60, 50, 27)]);
}

#[test]
fn which_revision_was_stable_before_several_that_were_not_completed() {
    let story = Story::new(
        "v3 over v2",
        "Deployment replicas: 10",
        "ramp: 60s; clamp: off",
        "0 update v2; 12 update v3",
    );
    check(&story, 14, &[(14, 0, 100), (20, 0, 100), (22, 100, 100)]);
}

#[test]
fn second_chances() {
    let crashed = side_by_side(RAMP, "0 update v2; 0 crash v2 7; 18 crash v2 9999");
    let retried = crashed.annotate(41, "ramp: 100s; retry: {v2}@1");
    // It is heard once more, and the ramp begins anew.
    check(&retried, 62, &[(62, 19, 0), (80, 39, 18)]);
    // The evidence of what was forgiven counts again.
    let withdrawn = retried.annotate(52, RAMP);
    check(&withdrawn, 62, &[(62, 19, 0), (80, 39, 0)]);
    // Nothing tells of an abort that was taken back.
    let aborted = side_by_side(RAMP, "0 update v2").annotate(21, "ramp: 100s; abort: {v2}");
    check(
        &aborted.annotate(41, RAMP),
        62,
        &[(62, 19, 50), (80, 39, 70)],
    );
}

#[test]
fn when_a_step_was_entered_that_someone_promoted_to() {
    let steps = "steps: 5@20s,25@20s,100";
    let story = side_by_side(steps, "0 update v2");
    let story = story.annotate(16, &format!("{steps}; promote: {{v2}}@2"));
    check(&story, 32, &[(32, 25, 25), (45, 100, 25), (60, 100, 100)]);
}

#[test]
fn the_share_that_a_failure_held() {
    let holding = "ramp: 100s; on-failure: hold";
    let story = side_by_side(holding, "0 update v2; 0 crash v2 22");
    check(&story, 43, &[(43, 20, 0), (50, 20, 0)]);
}

/// Its pods become unready at second 41, and Ready again at second 62, their containers running all the time.
#[test]
fn that_readiness_was_lost() {
    let story = side_by_side(RAMP, "0 update v2");
    let (mut recording, v2) = (story.record(), story.hash(1));
    let before = recording.objects(41);
    let of_v2 = |pod: &str| pod.starts_with(&format!("web-{v2}-"));
    let at = |second: Second, is_ready: bool| -> Vec<Change> {
        let turned = before.values().filter_map(|object| match object {
            Object::Pod(pod) if of_v2(&pod.meta.name) => {
                let mut pod = Arc::clone(pod);
                let changed = Arc::make_mut(&mut pod);
                changed.ready = Some(is_ready);
                changed.ready_since = is_ready.then(|| moment(second));
                let trouble = Trouble {
                    unready_since: Some(moment(second)),
                    ..Trouble::default()
                };
                let ailment = Ailment {
                    trouble,
                    stalled: None,
                };
                changed.ailment = (!is_ready).then(|| Box::new(ailment));
                Some(Object::Pod(pod))
            }
            Object::EndpointSlice(slice) => {
                let mut slice = Arc::clone(slice);
                for endpoint in &mut Arc::make_mut(&mut slice).endpoints {
                    if endpoint.pod.as_deref().is_some_and(of_v2) {
                        (endpoint.ready, endpoint.serving) = (is_ready, is_ready);
                    }
                }
                Some(Object::EndpointSlice(slice))
            }
            _ => None,
        });
        turned.map(Change::Apply).collect()
    };
    recording.seconds.retain(|(second, _)| *second < 41);
    recording.seconds.push((41, at(41, false)));
    recording.seconds.push((62, at(62, true)));
    recording.until = 100;
    check_recording(&recording, &v2, 72, &[(72, 0, 8), (80, 0, 18)]);
    // While they are not ready the evidence is there.
    check_recording(&recording, &v2, 60, &[(60, 0, 0), (62, 0, 0), (90, 0, 0)]);
}
