//! What people ask of a roll-out, what is remembered of it, and what is told of it.

use super::super::intents::{act, forget_past};
use super::super::{Edit, Place};
use super::shop::{Shop, web};
use super::*;
use crate::model::{Intents, Promotion, ServiceView, Steps, Strategy, WorkloadKey, WorkloadKind};
use crate::rollout::{ChangeKind, Outcome, RolloutResult, State, TrackMemory};

/// Version v2 (hash `b`) on its way, v1 (hash `a`) stable.
fn rolling() -> Shop {
    let mut shop = Shop::rolling();
    shop.play(0, "endpoints 0 1 4");
    assert_eq!(shop.detail(0).summary.state, State::Progressing);
    shop
}

fn intent(text: &str) -> Intent {
    match text {
        "promote" => Intent::Promote { full: false },
        "promote full" => Intent::Promote { full: true },
        "abort" => Intent::Abort,
        "pause" => Intent::Pause,
        "resume" => Intent::Resume,
        "retry" => Intent::Retry,
        _ => panic!("`{text}`"),
    }
}

fn told(intents: &Intents) -> String {
    let mut words = Vec::new();
    for (hash, to) in &intents.promote {
        words.push(match to {
            Promotion::Step(step) => format!("promote {hash}@{step}"),
            Promotion::Full => format!("promote {hash}@full"),
        });
    }
    words.extend(intents.pause.iter().map(|hash| format!("pause {hash}")));
    words.extend(intents.abort.iter().map(|hash| format!("abort {hash}")));
    let retry = intents.retry.iter();
    words.extend(retry.map(|(hash, n)| format!("retry {hash}@{n}")));
    words.join(", ")
}

/// What stands already, in the words of [`told`], or where the track is; with `annotated` before it, on the Service.
fn stand(words: &str, view: &mut ServiceView, outcome: &mut Outcome, memory: &mut Memory) {
    let track = &mut outcome.tracks[0];
    let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
    match word {
        "steps" => {
            let (step, count) = rest.split_once('/').unwrap();
            outcome.policy.strategy = Strategy::Steps(Steps::parse("1,2,3,4").unwrap());
            track.step = Some((step.parse().unwrap(), count.parse().unwrap()));
        }
        "unstarted" => {
            outcome.policy.strategy = Strategy::Steps(Steps::parse("1,2").unwrap());
        }
        "blue-green" => {
            outcome.policy.strategy = Strategy::BlueGreen {
                auto_promotion_secs: None,
                backends: None,
            };
        }
        "state" => {
            let mut states = State::ALL.into_iter();
            track.state = states.find(|s| s.as_str() == rest).unwrap();
        }
        "undo" => track.kind = ChangeKind::Rollback,
        "backends" => {
            track.workload = None;
            view.workloads.clear();
        }
        "note" => track.note = Some(rest.to_owned()),
        "heard" => {
            let number = rest.parse().unwrap();
            memory.tracks = vec![track_memory("b", State::Aborted)];
            memory.tracks[0].retries = vec![("a".into(), 9), ("b".into(), number)];
        }
        "annotated" => {
            let (key, hash) = rest.split_once(' ').unwrap();
            view.annotations.push((key.into(), hash.into()));
        }
        "remembered" => {
            let (_, hash) = rest.split_once(' ').unwrap();
            outcome.policy.intents.pause.push(hash.into());
        }
        "beside" => {
            let mut other = view.workloads[0].clone();
            other.key.name = "cart".into();
            other.key.kind = WorkloadKind::StatefulSet;
            view.workloads.push(other);
            let mut other = track.clone();
            other.workload = Some(1);
            other.state = match rest {
                "scaled to nothing" => State::Unavailable,
                "at rest" => State::Healthy,
                _ => State::Paused,
            };
            other.target = Some(0);
            outcome.tracks.push(other);
        }
        "promote" => {
            let (hash, to) = rest.split_once('@').unwrap();
            let to = to.parse().map_or(Promotion::Full, Promotion::Step);
            memory.intents.promote.push((hash.into(), to));
        }
        "pause" => memory.intents.pause.push(rest.into()),
        "abort" => memory.intents.abort.push(rest.into()),
        "retry" => {
            let (hash, number) = rest.split_once('@').unwrap();
            let number = number.parse().unwrap();
            memory.intents.retry.push((hash.into(), number));
        }
        _ => panic!("`{words}`"),
    }
}

fn track_memory(target: &str, state: State) -> TrackMemory {
    let workload = WorkloadKey {
        kind: WorkloadKind::Deployment,
        namespace: "shop".into(),
        name: "web".into(),
    };
    TrackMemory {
        target: target.into(),
        kind: ChangeKind::Update,
        state,
        since: at(-60),
        ..TrackMemory::new(Some(workload), &"a".into(), at(-100))
    }
}

/// `standing` words apart by `; `, `asked` as `INTENT` or `INTENT WORKLOAD`; what was done and what stands then, or why
/// not.
fn check(standing: &str, asked: &str, expected: &str) {
    let detail = rolling().detail(0);
    let (mut view, mut outcome) = (detail.view, detail.outcome);
    let mut memory = Memory::default();
    for words in standing.split("; ").filter(|words| !words.is_empty()) {
        stand(words, &mut view, &mut outcome, &mut memory);
    }
    let (asked, workload) = match asked.split_once(" of ") {
        Some((asked, workload)) => (asked, Some(workload)),
        None => (asked, None),
    };
    let got = match act(&view, &outcome, &memory, workload, intent(asked)) {
        Ok((intents, acted)) => format!("{} {}: {}", acted.target, acted.done, told(&intents)),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expected, "{standing} | {asked}");
}

#[test]
fn a_promotion_goes_to_the_next_step() {
    check(
        "steps 1/4",
        "promote",
        "b promoted to step 2 of 4: promote b@2",
    );
    check(
        "steps 3/4; promote b@3",
        "promote",
        "b promoted to step 4 of 4: promote b@4",
    );
    check(
        "steps 4/4",
        "promote",
        "b promoted past its last step: promote b@5",
    );
    check("unstarted", "promote", "b promoted to step 1: promote b@1");
    check("blue-green", "promote", "b promoted: promote b@1");
    check(
        "steps 1/4; promote b@full",
        "promote",
        "b promoted to step 2 of 4: promote b@full",
    );
    check(
        "",
        "promote",
        "strategy `follow` has no step to promote to; promote in full",
    );
    check(
        "steps 1/4; state Aborted",
        "promote",
        "revision `b` failed; retry it, or promote it in full",
    );
}

#[test]
fn a_promotion_in_full_overrides_pause_and_abort() {
    check(
        "promote b@2; pause b; pause a; abort b",
        "promote full",
        "b promoted in full: promote b@full, pause a",
    );
    check(
        "state Aborted",
        "promote full",
        "b promoted in full: promote b@full",
    );
    check(
        "annotated pause b",
        "promote full",
        "`shiftdns.io/pause` names revision `b`; take it away there",
    );
}

#[test]
fn an_abort_takes_promotions_back_and_a_retry_the_abort() {
    check(
        "promote b@2; promote a@1",
        "abort",
        "b aborted: promote a@1, abort b",
    );
    check("abort b", "abort", "b aborted: abort b");
    check("abort b; state Aborted", "retry", "b retried: retry b@1");
    check("heard 4; state Aborted", "retry", "b retried: retry b@5");
    check(
        "heard 4; retry b@6; retry a@2",
        "retry",
        "b retried: retry a@2, retry b@7",
    );
    check(
        "annotated abort x, b",
        "retry",
        "`shiftdns.io/abort` names revision `b`; take it away there",
    );
}

#[test]
fn a_pause_stands_until_it_is_resumed_where_it_was_written() {
    check("", "pause", "b paused: pause b");
    check("pause b; pause a", "resume", "b resumed: pause a");
    check("", "resume", "revision `b` is not paused by hand");
    check(
        "note waits to be promoted",
        "resume",
        "revision `b` is not paused by hand: waits to be promoted",
    );
    let there = "`shiftdns.io/pause` names revision `b`; take it away there";
    check("annotated pause b", "resume", there);
    check("annotated pause b; pause b", "resume", there);
    // The annotation is malformed by now, and the last good policy holds.
    check("remembered pause b", "resume", there);
    check(
        "annotated pause bb",
        "resume",
        "revision `b` is not paused by hand",
    );
}

#[test]
fn the_one_that_rolls_is_meant_unless_several_do() {
    check("state Healthy", "pause", "nothing is rolling out");
    check("state Unavailable", "pause", "b paused: pause b");
    check("beside at rest", "pause", "b paused: pause b");
    check("beside scaled to nothing", "pause", "b paused: pause b");
    check(
        "beside paused",
        "pause",
        "several workloads roll out: `Deployment/web`, `StatefulSet/cart`; name one",
    );
    check("beside paused", "pause of cart", "a paused: pause a");
    check(
        "beside paused",
        "pause of deployment/web",
        "b paused: pause b",
    );
    check("beside at rest", "pause of cart", "nothing is rolling out");
    check(
        "",
        "pause of wob",
        "no workload `wob` is behind the service; there is `Deployment/web`",
    );
}

/// What would change nothing is not said to be done.
#[test]
fn an_undo_and_a_flip_are_not_told_what_to_do() {
    let back = "revision `b` is where an undo leads: it waits for nothing but ready pods";
    let intents = ["promote", "promote full", "abort", "pause", "retry"];
    for intent in intents {
        check("state RollingBack; undo; steps 1/4", intent, back);
        check("state Degraded; undo", intent, back);
        for state in ["Healthy", "Draining"] {
            check(
                &format!("backends; state {state}"),
                intent,
                "which Service is active is written in `shiftdns.io/backends`, or in `shiftdns.io/promote`",
            );
        }
    }
    check("state Unavailable; undo", "pause", "b paused: pause b");
}

/// A re-roll later starts clean.
#[test]
fn what_was_asked_is_over_with_the_roll_out() {
    let detail = rolling().detail(0);
    let check = |state: State, pods: [u32; 2], expected: &str| {
        let (mut view, mut outcome) = (detail.view.clone(), detail.outcome.clone());
        outcome.tracks[0].state = state;
        for (revision, pods) in view.revisions.iter_mut().zip(pods) {
            revision.pods = pods;
        }
        let mut memory = Memory::default();
        for words in [
            "promote b@2",
            "pause b",
            "abort b",
            "abort a",
            "retry a@1",
            "pause x",
        ] {
            stand(words, &mut view, &mut outcome, &mut memory);
        }
        forget_past(&mut memory.intents, &view, &outcome);
        assert_eq!(told(&memory.intents), expected, "{state:?} {pods:?}");
    };
    let of_target = "promote b@2, pause b, abort b";
    check(
        State::Progressing,
        [1, 1],
        "promote b@2, pause b, abort b, abort a, retry a@1",
    );
    check(State::Progressing, [0, 0], of_target);
    check(State::Aborted, [0, 1], of_target);
    check(State::Healthy, [0, 1], "");
    check(State::Healthy, [1, 1], "abort a, retry a@1");
}

#[test]
fn what_is_over_is_not_remembered() {
    let mut shop = rolling();
    let detail = shop.detail(0);
    let mut outcome = detail.outcome.clone();
    outcome.tracks[0].state = State::Healthy;
    outcome.memory.intents.pause = vec!["b".into()];
    let mut service = Service::default();
    shop.engine
        .keep_memory(&mut service, &detail.view, &mut outcome);
    assert_eq!(told(&service.memory.intents), "");
}

#[test]
fn what_was_asked_is_remembered_and_acts_at_once() {
    let mut shop = rolling();
    shop.engine.take_remembered();
    let acted = shop.engine.act(&web(), None, Intent::Pause, at(1));
    let (acted, _) = acted.unwrap();
    assert_eq!((&*acted.target, &*acted.done), ("b", "paused"));
    assert_eq!(acted.workload.unwrap().to_string(), "Deployment shop/web");
    assert_eq!(told(&shop.memory().intents), "pause b");
    let taken = shop.engine.take_remembered();
    assert_eq!(taken, [(web(), Some(shop.memory().clone()))]);
    assert_eq!(shop.engine.take_remembered(), []);
    // It stands while other things change.
    shop.play(2, "endpoints 0 1 4 5");
    assert_eq!(told(&shop.memory().intents), "pause b");
}

#[test]
fn nothing_is_done_to_what_is_not_known() {
    let mut shop = rolling();
    let mut refusal = |key: &ServiceKey| {
        let refused = shop.engine.act(key, None, Intent::Abort, at(1));
        refused.unwrap_err().to_string()
    };
    let other = ServiceKey::new("shop", "wob");
    assert_eq!(refusal(&other), "there is no service `shop/wob`");
    let refused = engine().act(&web(), None, Intent::Abort, at(1));
    assert_eq!(refused.unwrap_err(), IntentError::NotSynced);
}

fn remembered(intents: &str) -> (ServiceKey, Memory) {
    let mut memory = Memory {
        tracks: vec![track_memory("b", State::Paused)],
        state: Some(State::Paused),
        since: Some(at(-60)),
        ..Memory::default()
    };
    memory.intents.pause.push(intents.into());
    (web(), memory)
}

#[test]
fn memory_from_before_is_kept_until_all_is_read_and_then_dropped_if_its_service_is_gone() {
    let gone = ServiceKey::new("shop", "gone");
    let memories = BTreeMap::from([remembered("b"), (gone.clone(), remembered("x").1)]);
    let mut engine = engine();
    engine.remember(memories.clone());
    // Half a cluster: nothing is lost by what is not there yet, and nothing of it is handed out.
    let mut cluster = Cluster::default();
    cluster.put(service("shop", "web", 0));
    engine.apply(vec![cluster.list(Kind::Service)], at(0));
    assert_eq!(engine.take_remembered(), []);
    assert_eq!(engine.history(&web()), None);

    let mut shop = Shop { engine };
    shop.sync("rolls; endpoints 0 1 4");
    assert_eq!(shop.memory().since, Some(at(-60)));
    assert_eq!(told(&shop.memory().intents), "pause b");
    let taken = shop.engine.take_remembered();
    let expected = [(gone, None), (web(), Some(shop.memory().clone()))];
    assert_eq!(taken, expected);
}

#[test]
fn a_service_that_goes_is_forgotten() {
    let mut shop = rolling();
    shop.engine.take_remembered();
    shop.play(1, "service gone");
    assert_eq!(shop.engine.take_remembered(), [(web(), None)]);
    assert_eq!(shop.engine.history(&web()), None);
}

/// A track goes through these states, each with its target, one evaluation after the other.
fn went(stages: &[(State, &str)]) -> Engine {
    let mut shop = rolling();
    shop.engine.take_happened();
    let detail = shop.detail(0);
    let mut service = Service::default();
    for (second, (state, target)) in (0..).zip(stages) {
        let mut outcome = detail.outcome.clone();
        let mut track = track_memory(target, *state);
        track.since = at(second);
        outcome.memory.tracks = vec![track];
        outcome.memory.state = Some(*state);
        shop.engine
            .keep_memory(&mut service, &detail.view, &mut outcome);
    }
    shop.engine.services.insert(web(), service.into());
    shop.engine
}

#[test]
fn what_happens_is_told_counted_and_kept() {
    let mut engine = went(&[
        (State::Healthy, "a"),
        (State::Progressing, "b"),
        (State::Progressing, "b"),
        (State::Aborted, "b"),
    ]);
    let ended = |t: &Transition| t.result.map(|(result, _)| result);
    let told =
        |all: Vec<Transition>| -> Vec<_> { all.iter().map(|t| (t.from, t.to, ended(t))).collect() };
    let end = Some(RolloutResult::Aborted);
    let expected = [
        (None, State::Healthy, None),
        (Some(State::Healthy), State::Progressing, None),
        (Some(State::Progressing), State::Aborted, end),
    ];
    let service = &engine.services[&web()];
    assert_eq!(told(service.history.transitions()), expected);
    let results = service.history.results();
    assert_eq!((results.len(), results[0].count), (1, 1));
    // The roll-out began at second -100 and was aborted at 3.
    let durations = engine.totals().durations;
    let total = durations
        .iter()
        .map(|(_, result, d)| (result, d.total_secs));
    assert_eq!(total.collect::<Vec<_>>(), [(RolloutResult::Aborted, 103)]);
    // A log tells all but that a track at rest was seen.
    let happened = engine.take_happened();
    assert!(happened.iter().all(|happened| happened.service == web()));
    let logged = happened.into_iter().map(|happened| happened.transition);
    assert_eq!(told(logged.collect()), expected[1..]);
    assert_eq!(engine.take_happened(), []);
}

#[test]
fn a_roll_out_that_is_found_under_way_is_told() {
    let mut engine = went(&[(State::Pending, "b")]);
    assert_eq!(engine.take_happened().len(), 1);
}

/// In a cluster it is for people to write: they are told the command, for the place where the policy of the service is,
/// with what stands there for other revisions.
#[test]
fn in_a_cluster_the_command_is_told_that_writes_it() {
    let mut shop = Shop::in_cluster();
    let asked = |shop: &mut Shop, intent| {
        let refused = shop.engine.act(&web(), None, intent, at(30)).unwrap_err();
        let text = refused.to_string();
        text.split_once("run: ").unwrap().1.to_owned()
    };
    shop.play(5, "service steps: 25+50+100, pause: old");
    shop.play(20, "rolls; endpoints 0 1 2 4 5");
    for (intent, annotation) in [
        (Intent::Promote { full: true }, "promote=b@full"),
        (Intent::Promote { full: false }, "promote=b@2"),
        (Intent::Pause, "pause=old,b"),
        (Intent::Abort, "abort=b"),
        (Intent::Retry, "retry=b@1"),
    ] {
        assert_eq!(
            asked(&mut shop, intent),
            format!("kubectl annotate --overwrite service web -n shop shiftdns.io/{annotation}")
        );
    }
    let resource = json!({
        "apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"steps": [{"weight": 25}, {"weight": 100}], "pause": ["old"]},
    });
    let resource = Change::Apply(read(resource));
    shop.engine.apply(vec![resource], at(30));
    for (intent, patch) in [
        (
            Intent::Promote { full: true },
            r#"{"spec":{"promote":[{"full":true,"revision":"b"}]}}"#,
        ),
        (
            Intent::Promote { full: false },
            r#"{"spec":{"promote":[{"revision":"b","step":2}]}}"#,
        ),
        (Intent::Pause, r#"{"spec":{"pause":["old","b"]}}"#),
        (Intent::Abort, r#"{"spec":{"abort":["b"]}}"#),
        (
            Intent::Retry,
            r#"{"spec":{"retry":[{"count":1,"revision":"b"}]}}"#,
        ),
    ] {
        assert_eq!(
            asked(&mut shop, intent),
            format!("kubectl patch servicerollout web -n shop --type merge -p '{patch}'")
        );
    }
    // Nothing was done.
    assert!(shop.memory().intents.is_empty());
}

/// The same as data: which entries have to come and go, also those that stand on the Service.
#[test]
fn in_a_cluster_a_plan_says_what_has_to_come_and_go() {
    let mut shop = Shop::in_cluster();
    let asked = |shop: &Shop, intent| {
        let plan = shop.engine.plan(&web(), None, intent, at(30)).unwrap();
        assert_eq!(
            (plan.place, &*plan.acted.target),
            (Some(Place::Service), "b")
        );
        let sign = |edit: &Edit| if edit.stands { '+' } else { '-' };
        let edits = plan.edits.iter().map(|edit| {
            let to = edit
                .to
                .as_ref()
                .map_or(String::new(), |to| format!("@{to}"));
            format!("{}{}{to}", sign(edit), edit.word)
        });
        (edits.collect::<Vec<_>>().join(" "), plan.command.unwrap())
    };
    shop.play(5, "service steps: 25+50+100, pause: old+b, abort: b");
    shop.play(20, "rolls; endpoints 0 1 2 4 5");
    let command = |rest: &str| format!("kubectl annotate --overwrite service web -n shop {rest}");
    for (intent, edits, rest) in [
        (Intent::Resume, "-pause", "shiftdns.io/pause=old"),
        (
            Intent::Promote { full: true },
            "+promote@full -pause -abort",
            "shiftdns.io/promote=b@full shiftdns.io/pause=old shiftdns.io/abort-",
        ),
        (
            Intent::Retry,
            "-abort +retry@1",
            "shiftdns.io/abort- shiftdns.io/retry=b@1",
        ),
        // It stands; and is told all the same.
        (Intent::Pause, "+pause", "shiftdns.io/pause=old,b"),
    ] {
        assert_eq!(asked(&shop, intent), (edits.to_owned(), command(rest)));
    }
    assert!(shop.memory().intents.is_empty());
}

/// Which endpoints have soaked adds up to what is counted of their versions.
#[test]
fn endpoints_soak_as_their_versions_count() {
    let mut shop = Shop::open();
    shop.play(5, "service soak: 10s, steps: 25+100");
    shop.play(20, "rolls; endpoints 0 1 2 4 5");
    for second in [20, 25, 40] {
        let detail = shop.detail(second);
        let outcome = &detail.outcome;
        let mut counted = vec![0; outcome.versions.len()];
        for (version, soaked) in outcome.endpoint_versions.iter().zip(&detail.soaked) {
            counted[*version] += u32::from(*soaked);
        }
        let told: Vec<u32> = outcome
            .versions
            .iter()
            .map(|version| version.soaked)
            .collect();
        assert_eq!(counted, told, "at {second}");
    }
}
