//! What moves with time alone, and what people wrote for a revision that is not there.

use super::{DEFAULTS, RECIPE, Story, second, tell};
use crate::model::Policy;
use crate::rollout::testing::view;
use crate::rollout::{Memory, evaluate};

#[test]
fn a_pod_that_flaps_never_soaks() {
    // Ready for eight seconds each time; ten are asked for.
    let mut seen = view(
        "v1 rev1 10 ready; v2 rev2 10 ready",
        "strategy: linear; ramp: 10s; soak: 10s; headroom: 200",
    );
    let mut memory = Memory::default();
    for at in 0..200 {
        for endpoint in seen.endpoints.iter_mut().filter(|e| e.revision == Some(1)) {
            endpoint.ready_since = Some(second(at - at % 8));
        }
        let outcome = evaluate(&seen, &Policy::default(), &memory, second(at));
        assert_eq!(outcome.versions[1].share.basis_points(), 0, "{at}");
        assert_eq!(outcome.versions[1].soaked, 0, "{at}");
        memory = outcome.memory;
    }
}

#[test]
fn a_node_whose_clock_is_ahead_makes_its_pods_soak_later_and_never_earlier() {
    let mut seen = view(
        "v1 rev1 2 ready; v2 rev2 2 ready",
        "strategy: linear; ramp: 10s; soak: 10s",
    );
    for endpoint in seen.endpoints.iter_mut().filter(|e| e.revision == Some(1)) {
        endpoint.ready_since = Some(second(60));
    }
    let soaked = |at| {
        let outcome = evaluate(&seen, &Policy::default(), &Memory::default(), second(at));
        outcome.versions[1].soaked
    };
    assert_eq!(
        [soaked(0), soaked(20), soaked(69), soaked(70)],
        [0, 0, 0, 2]
    );
}

/// The slice was heard first.
#[test]
fn a_pod_of_which_news_are_to_come_is_answered_and_neither_soaks_nor_ramps() {
    let mut seen = view(
        "v1 rev1 2 ready; v2 rev2 2 ready",
        "strategy: linear; ramp: 10s; slow-start: 100s; headroom: 200",
    );
    for endpoint in seen.endpoints.iter_mut().filter(|e| e.revision == Some(1)) {
        endpoint.disputed = true;
    }
    let told = evaluate(&seen, &Policy::default(), &Memory::default(), second(7));
    let version = &told.versions[1];
    assert_eq!((version.ready, version.soaked), (2, 0));
    assert_eq!(told.memory.tracks[0].ramp, None);
    assert_eq!(told.factors, [100, 100, 10, 10]);
    // The ramp begins when it was ready, not when that was heard.
    for endpoint in seen.endpoints.iter_mut().filter(|e| e.revision == Some(1)) {
        (endpoint.disputed, endpoint.ready_since) = (false, Some(second(3)));
    }
    let heard = evaluate(&seen, &Policy::default(), &told.memory, second(9));
    assert_eq!(heard.memory.tracks[0].ramp, Some(second(3)));
}

#[test]
fn a_new_endpoint_starts_slowly_inside_its_version() {
    let story = Story::new("deployment 4 ready=10", "0 scale 6", "slow-start: 20s");
    let factors = |at: i64| {
        let told = tell(&story, at);
        let last = told.last().unwrap();
        (last.at, last.outcome.factors.clone(), last.outcome.weighted)
    };
    assert_eq!(factors(9), (0, vec![], false));
    assert_eq!(factors(10), (10, vec![100, 100, 100, 100, 10, 10], true));
    assert_eq!(factors(15), (15, vec![100, 100, 100, 100, 25, 25], true));
    assert_eq!(factors(29), (25, vec![100, 100, 100, 100, 75, 75], true));
    assert_eq!(factors(30), (30, vec![], false));
}

#[test]
fn without_a_strategy_a_version_that_starts_slowly_has_less() {
    let story = Story::new(RECIPE, "0 update v2", "slow-start: 100s");
    let shares = |at: i64| {
        let told = tell(&story, at);
        let versions = &told.last().unwrap().outcome.versions;
        versions
            .iter()
            .map(|v| v.share.basis_points())
            .collect::<Vec<_>>()
    };
    assert_eq!(shares(10), [9091, 909], "ten whole ones, ten of a tenth");
    assert_eq!(shares(60), [6667, 3333]);
    assert_eq!(shares(110), [5000, 5000]);
}

#[test]
fn a_roll_out_lowers_the_time_to_live_and_it_returns_a_while_after() {
    let story = Story::new(DEFAULTS, "0 update v2", "ttl: endpoints=30,rollout=5");
    let told = tell(&story, 100);
    let mut ttls: Vec<(i64, u32)> = told.iter().map(|t| (t.at, t.outcome.ttl)).collect();
    ttls.dedup_by_key(|(_, ttl)| *ttl);
    // Healthy at second 25, and 30 seconds later as before.
    assert_eq!(ttls, [(0, 5), (55, 30)]);
    let calm = view("v1 rev1 2 ready", "ttl: endpoints=30,rollout=5");
    let outcome = evaluate(&calm, &Policy::default(), &Memory::default(), second(0));
    assert_eq!((outcome.ttl, outcome.next), (30, None));
}

#[test]
fn what_is_at_rest_asks_for_nothing() {
    for annotations in ["", "strategy: linear; ramp: 60s", "weights: v1=1"] {
        let told = tell(&Story::new(DEFAULTS, "", annotations), 10_000);
        assert_eq!(told.len(), 1, "{annotations}");
        assert_eq!(told[0].outcome.next, None, "{annotations}");
    }
}

#[test]
fn an_intent_for_another_revision_is_told_and_not_heard() {
    let check = |intent: &str, problem: &str| {
        let annotations = format!("strategy: linear; ramp: 100s; {intent}");
        let told = tell(&Story::new(RECIPE, "0 update v2", &annotations), 60);
        let outcome = &told.last().unwrap().outcome;
        let problems: Vec<&str> = outcome.problems.iter().map(|p| &*p.text).collect();
        let plain = tell(
            &Story::new(RECIPE, "0 update v2", "strategy: linear; ramp: 100s"),
            60,
        );
        assert_eq!(
            outcome.versions,
            plain.last().unwrap().outcome.versions,
            "{intent}"
        );
        assert_eq!(problems, [problem]);
    };
    let rest = "is for another revision; the target is `v2`";
    check("promote: v1@full", &format!("promote: `v1@full` {rest}"));
    check("promote: v9@2", &format!("promote: `v9@2` {rest}"));
    check("pause: v1", &format!("pause: `v1` {rest}"));
    check("abort: v1", &format!("abort: `v1` {rest}"));
    check("retry: v1@3", &format!("retry: `v1@3` {rest}"));
}

#[test]
fn an_intent_that_can_change_nothing_is_told() {
    let check = |services: &str, annotations: &str, expected: &[&str]| {
        let seen = view(services, annotations);
        let outcome = evaluate(&seen, &Policy::default(), &Memory::default(), second(0));
        let told: Vec<&str> = outcome.problems.iter().map(|p| &*p.text).collect();
        assert_eq!(told, expected, "{annotations}");
    };
    let rolls = "workload web N=4; v1 rev1 4 ready; v2 rev2 4 ready";
    check(
        rolls,
        "ramp: 100s; promote: v2@2",
        &["promote: `v2@2` has no effect with strategy `linear`; `v2@full` has"],
    );
    check(
        rolls,
        "promote: v2@1",
        &["promote: `v2@1` has no effect with strategy `follow`"],
    );
    check(rolls, "ramp: 100s; promote: v2@full", &[]);
    check(rolls, "steps: 5,100; promote: v2@2", &[]);
    check(rolls, "strategy: blue-green; promote: v2@1", &[]);
    let both = "web-blue bare declares=4 4 ready; web-green bare declares=4 4 ready";
    let flip = "strategy: blue-green; backends: web-blue=1,web-green=0";
    check(both, &format!("{flip}; promote: web-green@1"), &[]);
    check(
        both,
        &format!("{flip}; abort: web-blue; pause: web-blue; retry: web-blue@1"),
        &[
            "pause: `web-blue` has no effect on `backends`",
            "abort: `web-blue` has no effect on `backends`",
            "retry: `web-blue@1` has no effect on `backends`",
        ],
    );
}

#[test]
fn replicas_that_see_the_same_come_to_the_same_digest() {
    let story = Story::new(RECIPE, "0 update v2", "strategy: linear; ramp: 100s");
    let digests: Vec<u64> = tell(&story, 120)
        .iter()
        .map(|told| told.outcome.tracks[0].digest)
        .collect();
    let again: Vec<u64> = tell(&story, 120)
        .iter()
        .map(|told| told.outcome.tracks[0].digest)
        .collect();
    assert_eq!(digests, again);
    let mut different = digests.clone();
    different.sort_unstable();
    different.dedup();
    // Every tick of the ramp is another split, and between ticks nothing moves.
    assert_eq!(different.len(), 21);
}
