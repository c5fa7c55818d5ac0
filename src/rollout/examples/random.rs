//! Random stories: whatever is done to a workload under whatever policy, some things hold at every moment.

use std::collections::BTreeSet;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::proptest;

use super::{Story, Told, line, second, tell};
use crate::model::{Policy, Reason, Share};
use crate::rollout::{ChangeKind, Memory, Outcome, State, evaluate};

fn workload() -> impl Strategy<Value = String> {
    let times = (0..20u32, 0..60u32, 0..8u32, 1..12u32);
    let kind = prop_oneof![
        (0..101u32, 0..101u32)
            .prop_map(|(s, u)| format!("deployment N surge={s}% unavailable={u}%")),
        Just("deployment N surge=100% unavailable=0".to_owned()),
        Just("recreate N".to_owned()),
        (0..3u32).prop_map(|partition| format!("statefulset N parallel partition={partition}")),
        (0..4u32, 1..4u32).prop_map(|(s, u)| format!("daemonset N surge={s} unavailable={u}")),
    ];
    (kind, times).prop_map(|(kind, (ready, min, gone, n))| {
        let kind = kind.replace('N', &n.to_string());
        format!("{kind} ready={ready} minready={min} gone={gone}")
    })
}

/// What people do: pods that fail are apart, since a roll-out of theirs does not end.
fn events() -> impl Strategy<Value = String> {
    let event = prop_oneof![
        (2..5u32).prop_map(|v| format!("update v{v}")),
        Just("undo".to_owned()),
        (1..12u32).prop_map(|n| format!("scale {n}")),
    ];
    vec((0..150u32, event), 0..4).prop_map(|events| {
        let told = events.iter().map(|(at, event)| format!("{at} {event}"));
        told.collect::<Vec<_>>().join("; ")
    })
}

fn annotations() -> impl Strategy<Value = String> {
    let strategy = prop_oneof![
        Just(String::new()),
        Just("strategy: follow".to_owned()),
        (1..200u32).prop_map(|s| format!("strategy: linear; ramp: {s}s")),
        (1..200u32).prop_map(|s| format!("strategy: exponential; ramp: {s}s")),
        (0..30u32, 0..30u32)
            .prop_map(|(a, b)| format!("strategy: steps; steps: 5@{a}s,40@{b}s,90@3s")),
        (0..30u32).prop_map(|s| format!("strategy: blue-green; auto-promotion: {s}s")),
        Just("weights: v1=3,v2=2,v3=1,v4=1".to_owned()),
    ];
    let rest = (
        0..20u32,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        50..200u32,
    );
    (strategy, rest).prop_map(|(strategy, (soak, clamp, strict, fast, headroom))| {
        let mut lines = vec![format!("soak: {soak}s"), format!("headroom: {headroom}")];
        lines.extend((!strategy.is_empty()).then_some(strategy));
        lines.extend((!clamp).then(|| "clamp: off".to_owned()));
        lines.extend(strict.then(|| "on-failure: shift-back-strict".to_owned()));
        lines.extend(fast.then(|| "rollback: immediate".to_owned()));
        lines.join("; ")
    })
}

/// What holds at every moment.
fn holds(told: &Told, story: &Story) {
    let outcome = &told.outcome;
    let sum: u16 = outcome
        .versions
        .iter()
        .map(|v| v.share.basis_points())
        .sum();
    let any_ready = outcome.versions.iter().any(|v| v.ready > 0);
    assert_eq!(sum, if any_ready { 10_000 } else { 0 });
    for version in &outcome.versions {
        assert!(
            version.ready > 0 || version.share == Share::ZERO,
            "no share without a ready endpoint"
        );
        assert!(version.soaked <= version.ready);
        let is_above = version
            .capacity
            .is_some_and(|capacity| version.share > capacity);
        assert!(
            !is_above || version.reason == Reason::OverloadShared,
            "{version:?}"
        );
    }
    for track in &outcome.tracks {
        let Some(target) = track.target.map(|target| &outcome.versions[target]) else {
            continue;
        };
        // What failed carries only what nobody else can.
        if track.state == State::Aborted && target.share > Share::ZERO {
            assert!(
                matches!(
                    target.reason,
                    Reason::QuarantineOverflow | Reason::OverloadShared
                ),
                "{target:?}"
            );
        }
        assert!(track.state != State::Healthy || track.stable == track.target);
    }
    // To look again at the same moment moves nothing.
    let again = evaluate(
        &story.view(told.at),
        &Policy::default(),
        &outcome.memory,
        second(told.at),
    );
    assert!(
        again == *outcome,
        "at {} again: {} | {}",
        told.at,
        line(outcome),
        line(&again)
    );
}

/// What holds from one moment to the next.
fn goes_on(before: &Told, after: &Told) {
    for (one, other) in before
        .outcome
        .memory
        .tracks
        .iter()
        .zip(&after.outcome.memory.tracks)
    {
        if one.target == other.target
            && one.latches == other.latches
            && other.state != State::Healthy
        {
            assert!(
                one.share <= other.share,
                "a ramp never runs backwards by itself"
            );
        }
    }
}

/// What a person asks of v2, and when; of another revision it is not heard.
fn asked() -> impl Strategy<Value = Vec<(i64, &'static str)>> {
    let words = prop_oneof![
        Just(""),
        Just("pause: v2"),
        Just("abort: v2"),
        Just("promote: v2@2"),
        Just("promote: v2@full"),
        Just("retry: v2@1"),
        Just("retry: v2@2"),
        Just("on-failure: hold"),
    ];
    vec((0..200i64, words), 0..4).prop_map(|mut asked| {
        asked.sort_by_key(|(at, _)| *at);
        asked
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_lost_memory_never_puts_the_target_ahead(
        workload in workload(), events in events(), annotations in annotations(), lost in 1..300i64,
    ) {
        let story = Story::new(&workload, &format!("0 update v2; {events}"), &annotations);
        let (mut memory, mut forgetful) = (Memory::default(), Memory::default());
        let (mut tried, mut before, mut is_back) = (BTreeSet::new(), None, false);
        for at in 0..=400 {
            let view = story.view(at);
            if at == lost {
                forgetful = Memory::default();
            }
            let kept = evaluate(&view, &Policy::default(), &memory, second(at));
            let forgot = evaluate(&view, &Policy::default(), &forgetful, second(at));
            let target = kept.tracks[0].target;
            assert_eq!(forgot.tracks[0].target, target);
            if before != Some(target) {
                (is_back, before) = (!tried.insert(target), Some(target));
            }
            if is_back && at >= lost {
                // What was the target before is forgotten, and with it that pods of it are left from then.
                break;
            }
            let share = |outcome: &Outcome| outcome.versions[target.unwrap()].share;
            assert!(
                share(&forgot) <= share(&kept),
                "second {at}, lost at {lost}: {} | {}", line(&kept), line(&forgot)
            );
            (memory, forgetful) = (kept.memory, forgot.memory);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn replicas_that_look_at_other_moments_come_to_the_same_shares(
        workload in workload(), events in events(), annotations in annotations(), asked in asked(),
        crash in (any::<bool>(), 1..40u32),
    ) {
        let fails = if crash.0 { format!("0 crash v2 {}; ", crash.1) } else { String::new() };
        let mut story = Story::new(&workload, &format!("{fails}0 update v2; {events}"), &annotations);
        for (at, words) in &asked {
            story = story.annotate(*at, &format!("{annotations}; {words}"));
        }
        let told = tell(&story, 400);
        let mut memory = Memory::default();
        for at in 0..=400 {
            let outcome = evaluate(&story.view(at), &Policy::default(), &memory, second(at));
            let last = told.iter().rfind(|told| told.at <= at).unwrap();
            assert_eq!(line(&outcome), line(&last.outcome), "second {at}, of second {}", last.at);
            memory = outcome.memory;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn every_roll_out_without_failures_ends_healthy_with_everything_on_its_target(
        workload in workload(), events in events(), annotations in annotations(),
    ) {
        let story = Story::new(&workload, &events, &annotations);
        let told = tell(&story, 3000);
        told.iter().for_each(|told| holds(told, &story));
        told.windows(2).for_each(|pair| goes_on(&pair[0], &pair[1]));
        let last = &told.last().unwrap().outcome;
        let track = &last.tracks[0];
        if story.view(3000).workloads[0].complete {
            assert_eq!((last.state, track.stable), (State::Healthy, track.target), "{:?}", told.last().map(|t| t.at));
            let target = &last.versions[track.target.unwrap()];
            assert_eq!(target.share, Share::WHOLE);
            assert_eq!(last.next, None);
        }
    }

    #[test]
    fn a_revision_that_fails_gets_its_share_back_never_by_itself(
        workload in workload(), events in events(), annotations in annotations(), after in 1..40u32,
    ) {
        let events = format!("0 crash v2 {after}; 0 update v2; {events}");
        let story = Story::new(&workload, &events, &annotations);
        let told = tell(&story, 600);
        told.iter().for_each(|told| holds(told, &story));
        told.windows(2).for_each(|pair| goes_on(&pair[0], &pair[1]));
        for pair in told.windows(2) {
            let latched = |told: &Told, hash: &Arc<str>| {
                let track = told.outcome.memory.tracks.first();
                track.is_some_and(|track| track.target == *hash && track.latches.iter().any(|l| l.hash == *hash))
            };
            let v2: Arc<str> = "v2".into();
            let is_target = |told: &Told| told.outcome.memory.tracks.first().is_some_and(|t| t.target == v2);
            if latched(&pair[0], &v2) && is_target(&pair[1]) {
                // Where an undo leads is judged by readiness alone; and what Kubernetes has finished is stable.
                let is_done = pair[1].outcome.state == State::Healthy;
                let is_back = pair[1].outcome.tracks[0].kind == ChangeKind::Rollback;
                assert!(latched(&pair[1], &v2) || is_done || is_back, "the latch of a target stays");
            }
        }
    }
}
