//! Annotations: what is read from them, and what a person is told.

use super::names::NAMES;
use super::written::OCTETS_MAX;
use super::*;
use crate::model::{Intents, Promotion, Sticky, Weights};
use crate::rollout::testing::view;

mod strategy;

/// A policy as text: the strategy, and what differs from the defaults. Whether it guards has a test of its own.
fn told(policy: &Policy) -> String {
    let defaults = Policy::default();
    let mut words = vec![policy.strategy.as_str().to_owned()];
    let listed = |weights: &Weights| -> Vec<String> {
        weights
            .iter()
            .map(|(name, w)| format!("{name}={w}"))
            .collect()
    };
    match &policy.strategy {
        Strategy::Follow | Strategy::External => {}
        Strategy::Linear { over_secs } | Strategy::Exponential { over_secs } => {
            words.push(format!("{over_secs}s"));
        }
        Strategy::Steps(steps) => words.extend(steps.as_slice().iter().map(|step| {
            let hold = step.hold_secs.map(|secs| format!("@{secs}s"));
            format!("{}{}", step.share, hold.unwrap_or_default())
        })),
        Strategy::BlueGreen {
            auto_promotion_secs,
            backends,
        } => {
            words.extend(auto_promotion_secs.map(|secs| format!("auto={secs}s")));
            words.extend(backends.iter().flat_map(listed));
        }
        Strategy::Manual(weights) => words.extend(listed(weights)),
    }
    if policy.answer != defaults.answer {
        words.push(policy.answer.as_str().to_owned());
    }
    if policy.records != defaults.records {
        words.push(format!("records={}", policy.records));
    }
    if !policy.clamp {
        words.push("unclamped".to_owned());
    }
    if policy.headroom_percent != defaults.headroom_percent {
        words.push(format!("headroom={}", policy.headroom_percent));
    }
    if policy.endpoints {
        words.push("endpoints".to_owned());
    }
    if policy.ttl.endpoints != defaults.ttl.endpoints {
        words.push(format!("ttl={}", policy.ttl.endpoints));
    }
    if policy.ttl.rollout != defaults.ttl.rollout {
        words.push(format!("rollout-ttl={}", policy.ttl.rollout));
    }
    if policy.soak_secs != defaults.soak_secs {
        words.push(format!("soak={}s", policy.soak_secs));
    }
    if policy.slow_start_secs != defaults.slow_start_secs {
        words.push(format!("slow-start={}s", policy.slow_start_secs));
    }
    if policy.on_failure != defaults.on_failure {
        words.push(policy.on_failure.as_str().to_owned());
    }
    if policy.rollback != defaults.rollback {
        words.push(policy.rollback.as_str().to_owned());
    }
    match policy.sticky {
        Sticky::Off => {}
        Sticky::Source { bits } => words.push(format!("source/{bits}")),
        Sticky::Ecs => words.push("ecs".to_owned()),
    }
    words.extend(asked(&policy.intents));
    words.join(" ")
}

/// Intents as `promote a@2 b@full`.
fn asked(intents: &Intents) -> Vec<String> {
    let promote = intents.promote.iter().map(|(hash, to)| match to {
        Promotion::Step(step) => format!("{hash}@{step}"),
        Promotion::Full => format!("{hash}@full"),
    });
    let retry = intents.retry.iter().map(|(hash, n)| format!("{hash}@{n}"));
    let bare = |list: &[Arc<str>]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    [
        ("promote", promote.collect()),
        ("pause", bare(&intents.pause)),
        ("abort", bare(&intents.abort)),
        ("retry", retry.collect()),
    ]
    .into_iter()
    .filter(|(_, list): &(&str, Vec<String>)| !list.is_empty())
    .map(|(what, list)| format!("{what} {}", list.join(" ")))
    .collect()
}

fn check_view(view: &ServiceView, memory: &Memory, expected: &str, expected_problems: &[&str]) {
    let (got, problems) = policy(view, &Policy::default(), memory);
    assert_eq!(told(&got), expected, "{:?}", view.annotations);
    let texts: Vec<&str> = problems.iter().map(|problem| &*problem.text).collect();
    assert_eq!(texts, expected_problems, "{:?}", view.annotations);
}

/// On a headless service, with nothing remembered.
fn check(annotations: &str, expected: &str, expected_problems: &[&str]) {
    let view = view("v1 rev1 1 ready", annotations);
    check_view(&view, &Memory::default(), expected, expected_problems);
}

#[test]
fn every_annotation_has_its_place_in_the_policy() {
    check("", "follow", &[]);
    check("strategy: follow", "follow", &[]);
    check("weights: v1=90,v2=10", "manual v1=90 v2=10", &[]);
    check("strategy: manual; weights: v1=1", "manual v1=1", &[]);
    check("answer: pure; records: 3", "follow pure records=3", &[]);
    check(
        "clamp: off; headroom: 150",
        "follow unclamped headroom=150",
        &[],
    );
    check(
        "endpoints: true; version-label: track",
        "follow endpoints",
        &[],
    );
    check("ttl: endpoints=30,rollout=5", "follow ttl=30", &[]);
    check("ttl:  rollout = 0 ", "follow rollout-ttl=0", &[]);
    check("strategy: linear; ramp: 10m", "linear 600s", &[]);
    check("strategy: exponential; ramp: 1h", "exponential 3600s", &[]);
    check(
        "strategy: steps; steps: 5@30s,25@1m30s,100",
        "steps 5.00%@30s 25.00%@90s 100.00%",
        &[],
    );
    check(
        "strategy: blue-green; auto-promotion: 0s",
        "blue-green auto=0s",
        &[],
    );
    check(
        "soak: 10s; slow-start: 2m",
        "follow soak=10s slow-start=120s",
        &[],
    );
    check(
        "on-failure: shift-back-strict; rollback: immediate",
        "follow shift-back-strict immediate",
        &[],
    );
    check("on-failure: hold; rollback: capacity", "follow hold", &[]);
    check(
        "promote: a@2; pause: b; abort: c; retry: d@1",
        "follow promote a@2 pause b abort c retry d@1",
        &[],
    );
}

#[test]
fn a_malformed_value_is_told_with_its_range() {
    let cases = [
        (
            "weights: v2=-1",
            "weights: `v2=-1` is not `name=weight` with a weight from 0 to 65535",
        ),
        (
            "answer: some",
            "answer: `some` is none of `auto`, `all`, `mixed`, `pure`",
        ),
        ("records: 9", "records: `9` is not a number from 1 to 8"),
        ("records: 0", "records: `0` is not a number from 1 to 8"),
        (
            "headroom: 100%",
            "headroom: `100%` is not a number from 1 to 1000",
        ),
        ("clamp: true", "clamp: `true` is neither `on` nor `off`"),
        (
            "endpoints: yes",
            "endpoints: `yes` is neither `true` nor `false`",
        ),
        (
            "ttl: 30",
            "ttl: `30` is neither `endpoints=seconds` nor `rollout=seconds`",
        ),
        (
            "ttl: endpoints=3601",
            "ttl: `3601` is not a number from 0 to 3600",
        ),
        ("ttl: rollout=1,rollout=2", "ttl: `rollout` stands twice"),
        (
            "strategy: wild",
            "strategy: `wild` is none of `follow`, `linear`, `exponential`, `steps`, `blue-green`, `manual`, `external`",
        ),
        ("ramp: 0s", "ramp: `0s` is below `1s`"),
        (
            "steps: 5@30s,3",
            "steps: `3` is not above the step before it",
        ),
        (
            "steps: 5@30s,101",
            "steps: `101` is not `percent@hold` or `percent`, such as `5@30s`, with a percentage from 0 to 100",
        ),
        (
            "on-failure: shift",
            "on-failure: `shift` is none of `shift-back`, `shift-back-strict`, `hold`",
        ),
        (
            "rollback: now",
            "rollback: `now` is none of `capacity`, `immediate`",
        ),
        (
            "pause: v1 v2",
            "pause: `v1 v2` is not the hash of a revision",
        ),
        ("pause: ", "pause: `` is not the hash of a revision"),
        ("abort: a@1", "abort: `a@1` is not the hash of a revision"),
        ("abort: a,b,a", "abort: `a` stands twice"),
        ("promote: a@1,a@full", "promote: `a` stands twice"),
    ];
    for (annotations, problem) in cases {
        check(annotations, "follow", &[problem]);
    }
}

#[test]
fn a_duration_is_told_with_its_form_and_its_bound() {
    for key in ["ramp", "soak", "slow-start", "auto-promotion"] {
        for value in ["10x", "-10s", "10", "1.5h", "200h", "99999999999s", ""] {
            let problem = format!(
                "{key}: `{value}` is not a duration such as `90s`, `10m` or `1h`, of at most 168h"
            );
            check(&format!("{key}: {value}"), "follow", &[&problem]);
        }
    }
}

#[test]
fn a_client_is_told_by_1_to_32_bits_of_its_address() {
    check("sticky: off", "follow", &[]);
    check("sticky: source", "follow source/32", &[]);
    check("sticky: source/1", "follow source/1", &[]);
    check("sticky: source/32", "follow source/32", &[]);
    check("sticky: ecs", "follow ecs", &[]);
    for value in ["source/0", "source/33", "source/-1", "source/", "on"] {
        let problem = format!(
            "sticky: `{value}` is none of `off`, `source`, `source/1` to `source/32`, `ecs`"
        );
        check(&format!("sticky: {value}"), "follow", &[&problem]);
    }
}

#[test]
fn an_intent_names_the_revision_it_is_meant_for() {
    for value in [
        "abc", "abc@0", "abc@33", "abc@-1", "abc@", "@1", "a b@1", "abc@Full",
    ] {
        let problem = format!(
            "promote: `{value}` is not `hash@full` or `hash@step` with a step from 1 to 32"
        );
        check(&format!("promote: {value}"), "follow", &[&problem]);
    }
    for value in ["abc", "abc@0", "abc@-1", "abc@full", "@1", "abc@4294967296"] {
        let problem =
            format!("retry: `{value}` is not `hash@number` with a number from 1 to 4294967295");
        check(&format!("retry: {value}"), "follow", &[&problem]);
    }
    check("promote: a@32, b@full", "follow promote a@32 b@full", &[]);
    check(
        "retry: a@1,b@4294967295",
        "follow retry a@1 b@4294967295",
        &[],
    );
    let many: Vec<String> = (0..33).map(|n| format!("h{n}")).collect();
    check(
        &format!("pause: {}", many.join(",")),
        "follow",
        &["pause: 33 entries are more than 32"],
    );
}

/// Backends go with the policy that names them.
#[test]
fn backends_in_force_are_those_of_the_policy_in_force() {
    let read = |text: &str| view("v1 rev1 1 ready", text).annotations;
    let check = |good: Option<&str>, text: &str, expected: &str| {
        let memory = Memory {
            good: good.map(read),
            ..Memory::default()
        };
        let told = match backends_in_force(&read(text), &Policy::default(), &memory) {
            None => "as written".to_owned(),
            Some(None) => "none".to_owned(),
            Some(Some(weights)) => weights
                .iter()
                .map(|(name, weight)| format!("{name}={weight}"))
                .collect::<Vec<_>>()
                .join(","),
        };
        assert_eq!(told, expected, "{text} after {good:?}");
    };
    let good = Some("backends: a=1,b=2");
    check(good, "backends: a=3,b=4", "as written");
    check(good, "steps: 10,100", "as written");
    check(good, "", "as written");
    check(good, "backends: a=3,b=x", "a=1,b=2");
    check(good, "backends: c=1; records: 9", "a=1,b=2");
    check(good, "backends: c=1; steps: 10,100", "a=1,b=2");
    check(good, "steps: 100,10", "a=1,b=2");
    check(
        Some("steps: 10,100"),
        "backends: c=1; steps: 10,100",
        "none",
    );
    check(Some("records: 2"), "backends: c=1; records: 9", "none");
    // Without a memory.
    check(None, "backends: a=3,b=4", "as written");
    check(None, "backends: a=3; records: 9", "as written");
    check(None, "backends: a=3; strategy: canary", "as written");
    check(
        None,
        "backends: a=3,b=3; strategy: blue-green",
        "as written",
    );
    check(None, "backends: a=3; steps: 10,100", "none");
    check(None, "backends: a=3; steps: 100,10", "none");
    check(None, "backends: a=3; strategy: linear", "none");
    check(None, "steps: 100,10", "as written");
}

/// Someone who aborts in a hurry is heard beside a mistake of last week.
#[test]
fn an_intent_does_not_wait_for_the_policy_beside_it() {
    let good = |text: &str| Memory {
        good: Some(view("v1 rev1 1 ready", text).annotations),
        ..Memory::default()
    };
    let check = |before: &str, text: &str, expected: &str, problems: &[&str]| {
        let seen = view("v1 rev1 1 ready", text);
        check_view(&seen, &good(before), expected, problems);
    };
    let ramp = "ramp: `1 minute` is not a duration such as `90s`, `10m` or `1h`, of at most 168h";
    check(
        "ramp: 1m; pause: a; promote: a@2",
        "ramp: 1 minute; abort: a; promote: a@3",
        "linear 60s promote a@3 abort a",
        &[ramp],
    );
    check("", "ramp: 1 minute; abort: a", "follow abort a", &[ramp]);
    // What cannot be read of them stands as it did.
    check(
        "ramp: 1m; pause: a; promote: a@2",
        "ramp: 1m; abort: a; promote: a",
        "linear 60s promote a@2 abort a",
        &["promote: `a` is not `hash@full` or `hash@step` with a step from 1 to 32"],
    );
    let long = format!("abort: a; soak: {}", "1".repeat(64 * 1024));
    check(
        "pause: a",
        &long,
        "follow pause a",
        &["annotations: 65546 octets are more than 65536; none is read"],
    );
}

#[test]
fn what_people_told_this_server_counts_beside_what_they_wrote() {
    let memory = Memory {
        intents: Intents {
            promote: vec![
                ("a".into(), Promotion::Full),
                ("b".into(), Promotion::Step(1)),
                ("c".into(), Promotion::Step(9)),
            ],
            pause: vec!["x".into(), "a".into()],
            abort: vec!["z".into()],
            retry: vec![("a".into(), 2), ("b".into(), 9)],
        },
        ..Memory::default()
    };
    let written = |annotations| view("v1 rev1 1 ready", annotations);
    check_view(
        &written("promote: b@2,a@1; pause: a,b; retry: a@7"),
        &memory,
        "follow promote b@2 a@full c@9 pause a b x abort z retry a@7 b@9",
        &[],
    );
    let alone = "follow promote a@full b@1 c@9 pause x a abort z retry a@2 b@9";
    check_view(&written(""), &memory, alone, &[]);
    // Not even what cannot be read keeps them out, nor a service whose shares cannot move.
    check_view(
        &written("records: 0"),
        &memory,
        alone,
        &["records: `0` is not a number from 1 to 8"],
    );
    check_view(&view("service external", ""), &memory, alone, &[]);
}

#[test]
fn failures_leave_something_out_only_where_someone_asked() {
    let guarded = |service: &str, annotations: &str, defaults: &Policy| {
        let view = view(&format!("{service}v1 rev1 1 ready"), annotations);
        policy(&view, defaults, &Memory::default()).0.guarded
    };
    let plain = Policy::default();
    for annotations in ["", "soak: 5s; rollback: immediate", "on-failure: panic"] {
        assert!(!guarded("", annotations, &plain), "{annotations}");
    }
    for annotations in [
        "strategy: follow",
        "on-failure: shift-back",
        "ramp: 10m",
        "weights: v1=1",
        "strategy: external",
    ] {
        assert!(guarded("", annotations, &plain), "{annotations}");
        // Peers that find each other before they are ready are left in peace.
        assert!(
            !guarded("service publish; ", annotations, &plain),
            "{annotations}"
        );
    }
    let blue_green = Policy {
        strategy: default_strategy("blue-green").unwrap(),
        ..Policy::default()
    };
    assert!(guarded("", "", &blue_green));
    assert!(!guarded("", "records: 0", &blue_green), "follow applies");
}

#[test]
fn a_malformed_value_keeps_the_whole_last_good_policy() {
    let good = view("v1 rev1 1 ready", "weights: v1=3,v2=1; records: 2");
    let read = read(&good, &Policy::default(), &Memory::default());
    let memory = Memory {
        good: read.good,
        ..Memory::default()
    };
    let bad = view("v1 rev1 1 ready", "weights: v1=1,v2=3; records: two");
    let problem = "records: `two` is not a number from 1 to 8";
    check_view(&bad, &memory, "manual v1=3 v2=1 records=2", &[problem]);
    check_view(&bad, &Memory::default(), "follow", &[problem]);
    // Taking the annotation away is not malformed.
    check_view(&view("v1 rev1 1 ready", ""), &memory, "follow", &[]);
}

#[test]
fn a_problem_names_the_service_and_the_place() {
    let mut view = view("v1 rev1 1 ready", "weights: v2=-1");
    view.origin = Some(crate::model::Origin {
        file: "cluster.yaml".into(),
        line: 120,
    });
    let (_, problems) = policy(&view, &Policy::default(), &Memory::default());
    assert_eq!(
        problems[0].to_string(),
        "cluster.yaml:120: service shop/web: weights: `v2=-1` is not `name=weight` with a weight from 0 to 65535"
    );
}

#[test]
fn an_unknown_annotation_is_told_with_what_was_probably_meant() {
    check(
        "wieghts: v1=1",
        "follow",
        &["`shiftdns.io/wieghts` is not an annotation of ShiftDNS; did you mean `weights`?"],
    );
    check(
        "colour: red; records: 2",
        "follow records=2",
        &["`shiftdns.io/colour` is not an annotation of ShiftDNS"],
    );
    check(
        "stpes: 5",
        "follow",
        &["`shiftdns.io/stpes` is not an annotation of ShiftDNS; did you mean `steps`?"],
    );
}

#[test]
fn annotations_beyond_64_kib_are_not_read() {
    let large = "x".repeat(OCTETS_MAX);
    check(
        &format!("weights: v1=1; zzz: {large}"),
        "follow",
        &["annotations: 65550 octets are more than 65536; none is read"],
    );
}

#[test]
fn shares_that_cannot_move_are_told() {
    let services = [
        (
            "service clusterip",
            "on a ClusterIP service without `shiftdns.io/endpoints: \"true\"` or `shiftdns.io/backends`",
        ),
        ("service external", "on an ExternalName service"),
        ("service publish", "with `publishNotReadyAddresses`"),
    ];
    let asking = [
        ("weights: v1=1", "weights: `v1=1`"),
        ("ramp: 1m", "ramp: `1m`"),
        ("steps: 5", "steps: `5`"),
        ("strategy: linear; ramp: 1m", "strategy: `linear`"),
        ("strategy: blue-green", "strategy: `blue-green`"),
        ("strategy: external", "strategy: `external`"),
        (
            "on-failure: shift-back-strict",
            "on-failure: `shift-back-strict`",
        ),
    ];
    for (service, why) in services {
        let view = |annotations| view(&format!("{service}; v1 rev1 1 ready"), annotations);
        for (annotations, asked) in asking {
            let (got, problems) =
                policy(&view(annotations), &Policy::default(), &Memory::default());
            assert_eq!(got.strategy, Strategy::Follow, "{annotations}");
            let texts: Vec<&str> = problems.iter().map(|problem| &*problem.text).collect();
            assert_eq!(texts, [format!("{asked} has no effect {why}")]);
        }
        // What moves nothing, and what can act all the same.
        check_view(&view("strategy: follow"), &Memory::default(), "follow", &[]);
        check_view(
            &view("abort: a; soak: 5s"),
            &Memory::default(),
            "follow soak=5s abort a",
            &[],
        );
        // A strategy that is everybody's default is not this service's mistake.
        let blue_green = default_strategy("blue-green").unwrap();
        let manual = Strategy::Manual(Weights::parse("v1=1").unwrap());
        for strategy in [blue_green, manual] {
            let defaults = Policy {
                strategy,
                ..Policy::default()
            };
            let (got, problems) = policy(&view("soak: 1s"), &defaults, &Memory::default());
            assert_eq!((got.strategy, problems), (Strategy::Follow, vec![]));
        }
    }
}

#[test]
fn a_cluster_ip_that_answers_endpoints_or_backends_moves_shares() {
    let with = |annotations| view("service clusterip; v1 rev1 1 ready", annotations);
    let none = Memory::default();
    check_view(
        &with("endpoints: true; weights: v1=1"),
        &none,
        "manual v1=1 endpoints",
        &[],
    );
    check_view(
        &with("endpoints: true; ramp: 1m"),
        &none,
        "linear 60s endpoints",
        &[],
    );
    check_view(&with("backends: v1=1"), &none, "manual v1=1 unclamped", &[]);
}

#[test]
fn every_name_is_read() {
    for key in NAMES.iter().filter(|key| **key != "version-label") {
        let (_, problems) = policy(
            &view("v1 rev1 1 ready", &format!("{key}: ?")),
            &Policy::default(),
            &Memory::default(),
        );
        assert!(
            problems
                .iter()
                .any(|problem| problem.text.starts_with(&format!("{key}: `?` is "))),
            "{key}: {problems:?}"
        );
    }
}

#[test]
fn problems_with_what_a_resource_asks_are_the_resources() {
    let origin = crate::model::Origin {
        file: "web.yaml".into(),
        line: 9,
    };
    let told = |text: &str, asked: &str| {
        let mut view = view(text, asked);
        view.policy_of = PolicySource::Resource {
            origin: Some(origin.clone()),
        };
        view.kind = match text {
            "" => ServiceKind::ClusterIp {
                addresses: Vec::new(),
            },
            _ => ServiceKind::Headless,
        };
        let (_, problems) = policy(&view, &Policy::default(), &Memory::default());
        let problems = problems.iter().map(ToString::to_string);
        problems.collect::<Vec<_>>()
    };
    assert_eq!(
        told("v1 rev1 1 ready", "records: 9"),
        ["web.yaml:9: servicerollout shop/web: records: `9` is not a number from 1 to 8"]
    );
    // No annotation is advised to someone whose annotations are not read.
    assert_eq!(
        told("", "ramp: 10m"),
        [
            "web.yaml:9: servicerollout shop/web: ramp: `10m` has no effect on a ClusterIP service without \
          `spec.endpoints: true` or `spec.backends`"
        ]
    );
}
