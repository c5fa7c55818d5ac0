//! Roll-outs that are disturbed: policies rewritten under way, pods that vanish, clocks that lie, second tries.

use super::{RECIPE, Story, check, line, second};
use crate::model::{Policy, ServiceView};
use crate::rollout::testing::{minute, view};
use crate::rollout::{Cause, ChangeKind, Memory, Outcome, State, evaluate};

const LINEAR: &str = "strategy: linear; ramp: 100s";

fn look(view: &ServiceView, memory: &Memory, at: i64) -> Outcome {
    evaluate(view, &Policy::default(), memory, second(at))
}

/// Looks at views at seconds and compares the lines.
fn check_looks(frames: &[(i64, &ServiceView, &str)]) {
    let mut memory = Memory::default();
    for (at, view, expected) in frames {
        let outcome = look(view, &memory, *at);
        assert_eq!(line(&outcome), *expected, "second {at}");
        memory = outcome.memory;
    }
}

/// Pods of the revision are ready since a second.
fn ready_since(mut view: ServiceView, revision: usize, at: i64) -> ServiceView {
    let mut endpoints = view.endpoints.iter_mut();
    while let Some(endpoint) = endpoints.find(|e| e.revision == Some(revision)) {
        endpoint.ready_since = Some(second(at));
    }
    view
}

#[test]
fn nothing_is_held_back_from_a_revision_that_has_replaced_every_other() {
    // Kubernetes knows nothing of a pause by hand: it removes v1 at second 130.
    let paused = Story::new(RECIPE, "0 update v2", LINEAR);
    check(
        &paused.annotate(20, &format!("{LINEAR}; pause: v2")),
        "129 v1 90 v2 10 Paused
         130 v2 100 Draining
         135 v2 100 Healthy",
    );
    // Each pod failed once at second 22, and is well from then on.
    let held = Story::new(
        "deployment 4 surge=100% unavailable=0 ready=10 minready=60",
        "0 update v2; 0 crash v2 12; 23 crash v2 100000",
        "strategy: linear; ramp: 50s; on-failure: hold",
    );
    check(
        &held,
        "40 v1 80 v2 20 Paused
         91 v1 80 v2 20 Paused
         92 v2 100 Healthy",
    );
}

#[test]
fn steps_that_are_rewritten_give_nothing_away() {
    let steps = |steps: &str| format!("strategy: steps; steps: {steps}");
    let rewritten = |to: &str, expected: &str| {
        let story = Story::new(
            "deployment 10 surge=100% unavailable=0 ready=10 minready=900",
            "0 update v2",
            &steps("5@15s,10@15s,25@1h,50,100"),
        );
        check(&story.annotate(60, &steps(to)), expected);
    };
    let before = "59 v1 75 v2 25 Progressing";
    // Steps were taken out: the third one is another, or there is none.
    rewritten(
        "25@40s,50",
        &format!(
            "{before}
             60 v1 75 v2 25 Progressing
             104 v1 75 v2 25 Progressing
             105 v1 50 v2 50 Paused"
        ),
    );
    rewritten("5@1m,20", &format!("{before}\n60 v1 75 v2 25 Paused"));
    rewritten(
        "5,10,50,100",
        &format!("{before}\n60 v1 75 v2 25 Paused\n300 v1 75 v2 25 Paused"),
    );
    // Steps were put in: what it has it keeps.
    rewritten("1,2,3,4,5,6", &format!("{before}\n60 v1 75 v2 25 Paused"));
}

#[test]
fn a_ramp_stands_still_while_nothing_of_it_is_ready() {
    let text = |v2: &str| format!("workload web N=10; v1 rev1 10 ready; v2 rev2 {v2}");
    for annotations in [
        LINEAR,
        "strategy: steps; steps: 10@40s,50@40s,100",
        "strategy: exponential; ramp: 100s",
    ] {
        let seen = |text: &str| view(text, annotations);
        let there = ready_since(seen(&text("10 ready")), 1, 10);
        let gone = seen(&text("10 unready"));
        let back = ready_since(seen(&text("10 ready")), 1, 400);
        let mut memory = Memory::default();
        for at in (10..=20).step_by(5) {
            memory = look(&there, &memory, at).memory;
        }
        let share = memory.tracks[0].share;
        assert!(share.basis_points() > 0 && share.basis_points() <= 1000);
        let outcome = look(&gone, &memory, 21);
        assert_eq!(line(&outcome), "v1 100 Pending");
        assert_eq!(outcome.next, None, "{annotations}");
        let outcome = look(&back, &outcome.memory, 400);
        assert_eq!(
            outcome.versions[1].share, share,
            "{annotations}: it goes on where it stood"
        );
        let later = look(&back, &outcome.memory, 440).versions[1].share;
        assert!(later > share, "{annotations}");
    }
}

#[test]
fn the_ramp_of_a_second_try_is_no_older_than_the_try() {
    // Two nodes got v2; then everybody went back, but nobody deleted a pod; then v2 once more.
    let text = |target: u32| {
        let (v1, v2) = if target == 1 { (3, 2) } else { (1, 2) };
        let v2 = if target == 4 { 4 } else { v2 };
        format!("workload web N=4; v1 rev{v1} born=1 2 ready; v2 rev{v2} born=2 2 ready")
    };
    let seen = |target| ready_since(view(&text(target), "strategy: linear; ramp: 100s"), 1, 0);
    let (first, back, again) = (seen(2), seen(1), seen(4));
    check_looks(&[
        (0, &first, "v1 50 v2 50 Progressing"),
        (200, &back, "v1 50 v2 50 RollingBack"),
    ]);
    let mut memory = Memory::default();
    for (at, view) in [(0, &first), (200, &back)] {
        memory = look(view, &memory, at).memory;
    }
    let wanted = |at: i64, memory: &Memory| {
        let outcome = look(&again, memory, at);
        let wanted = outcome.tracks[0].wanted.unwrap().basis_points();
        (wanted, outcome.memory)
    };
    let (share, memory) = wanted(1000, &memory);
    assert_eq!(share, 0);
    let (share, _) = wanted(1050, &memory);
    assert_eq!(share, 5000);
}

#[test]
fn a_deadline_that_passes_once_more_after_a_second_chance_counts() {
    let text = "workload web N=4; v1 rev1 4 ready; v2 rev2 2 ready 2 unready";
    let seen = |deadline: bool, annotations: &str| {
        let mut seen = view(text, &format!("{LINEAR}; {annotations}"));
        seen.revisions[1].deadline_exceeded = deadline;
        seen
    };
    let retry = "retry: v2@1";
    let states = |frames: &[(bool, &str)]| {
        let mut memory = Memory::default();
        let mut states = Vec::new();
        for (at, (deadline, annotations)) in (0..).zip(frames) {
            let outcome = look(&seen(*deadline, annotations), &memory, 600 + at);
            states.push(outcome.state.as_str());
            memory = outcome.memory;
        }
        states.join(" ")
    };
    // The controller saw progress, and then none again.
    assert_eq!(
        states(&[(true, ""), (false, ""), (true, "")]),
        "Aborted Progressing Aborted"
    );
    // The same condition says nothing new of a revision that someone tries again.
    assert_eq!(
        states(&[(true, ""), (true, retry), (true, retry)]),
        "Aborted Progressing Progressing"
    );
    assert_eq!(
        states(&[(true, ""), (true, retry), (false, retry), (true, retry)]),
        "Aborted Progressing Progressing Aborted"
    );
}

#[test]
fn a_node_whose_clock_is_behind_does_not_start_a_ramp_before_its_revision_was_made() {
    // Revision 2 was made in minute 2; the node says that its pods were ready an hour before.
    let seen = view(
        "workload web N=2; v1 rev1 2 ready; v2 rev2 2 ready",
        "strategy: linear; ramp: 100s; soak: 30s",
    );
    let seen = ready_since(seen, 1, -3600);
    let outcome = |at: i64| look(&seen, &Memory::default(), at);
    let two = minute(2).as_second() - second(0).as_second();
    let told = [two + 29, two + 30, two + 80].map(|at| line(&outcome(at)));
    assert_eq!(
        told,
        [
            "v1 100 v2 0 Pending",
            "v1 100 v2 0 Progressing",
            "v1 50 v2 50 Progressing"
        ]
    );
}

#[test]
fn without_its_backends_a_service_follows_its_own_pods() {
    // The annotation was malformed later: the good policy is remembered, the Services it names are not read.
    let flip = "strategy: blue-green; backends: web-blue=100,web-green=0";
    let good = view(
        "web-blue bare declares=4 4 ready; web-green bare declares=4 4 ready",
        flip,
    );
    let memory = look(&good, &Memory::default(), 0).memory;
    let broken = view(
        "workload web N=9 unavailable=2; v1 rev1 8 ready; v2 rev2 1 ready",
        "strategy: blue-green; backends: web-blue=100,web-green",
    );
    let outcome = look(&broken, &memory, 10);
    assert_eq!(line(&outcome), "v1 88.89 v2 11.11 Paused");
    assert!(!outcome.weighted);
}

#[test]
fn an_abort_is_stronger_than_a_promotion_and_stands_still() {
    let both = format!("{LINEAR}; abort: v2; promote: v2@full");
    let seen = view("workload web N=4; v1 rev1 4 ready; v2 rev2 4 ready", &both);
    let first = look(&seen, &Memory::default(), 0);
    assert_eq!(line(&first), "v1 100 v2 0 Aborted");
    assert_eq!(first.memory.tracks[0].latches[0].cause, Cause::Aborted);
    // Nothing happens, so nothing is written anew.
    let second = look(&seen, &first.memory, 60);
    assert_eq!(second.memory, first.memory);
}

#[test]
fn what_was_active_is_not_remembered_for_ever() {
    let mut memory = Memory::default();
    for n in 1..40 {
        let (old, new) = (n - 1, n);
        let text = format!("web-{old} bare declares=1 1 ready; web-{new} bare declares=1 1 ready");
        let annotations = format!("strategy: blue-green; backends: web-{old}=0,web-{new}=1");
        let seen = view(&text, &annotations);
        for at in [0, 50] {
            memory = look(&seen, &memory, 100 * n + at).memory;
        }
        let track = &memory.tracks[0];
        assert_eq!(*track.stable, *format!("web-{new}"));
        assert_eq!(track.state, State::Healthy);
        assert!(track.seen.len() <= crate::rollout::TrackMemory::SEEN_MAX);
        // The first one is known alone; all others are news.
        let expected = match n {
            1 => ChangeKind::Initial,
            _ => ChangeKind::Update,
        };
        assert_eq!(track.kind, expected, "{n}");
    }
}

#[test]
fn a_pause_in_the_deployment_is_as_old_as_its_condition_whoever_looks() {
    let text = |paused: &str| {
        format!("workload web N=10{paused}; v1 rev1 born=-2 10 ready; v2 rev2 born=-1 10 ready")
    };
    let seen = |paused: &str| ready_since(view(&text(paused), LINEAR), 1, 10);
    let mut paused = seen(" paused");
    paused.workloads[0].paused_since = Some(second(32));
    // A server that comes an hour later has no memory of it, and begins where the others stand.
    let came = look(&paused, &Memory::default(), 3600);
    assert_eq!(line(&came), "v1 80 v2 20 Paused");
    let resumed = look(&seen(""), &came.memory, 3601);
    assert_eq!(line(&resumed), "v1 80 v2 20 Progressing");
    let later = look(&seen(""), &resumed.memory, 3611);
    assert_eq!(line(&later), "v1 70 v2 30 Progressing");
}
