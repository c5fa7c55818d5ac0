//! Annotations: what is read from them, and what a person is told.

use super::*;
use crate::rollout::testing::view;

/// A policy as text: what differs from the defaults.
fn told(policy: &Policy) -> String {
    let defaults = Policy::default();
    let mut words = vec![policy.strategy.as_str().to_owned()];
    if let Strategy::Manual(weights) = &policy.strategy {
        words.extend(
            weights
                .iter()
                .map(|(name, weight)| format!("{name}={weight}")),
        );
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
    words.join(" ")
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
            "strategy: `wild` is not a strategy; there are `follow` and `manual`",
        ),
        (
            "strategy: manual",
            "strategy `manual` wants `weights` or `backends`",
        ),
    ];
    for (annotations, problem) in cases {
        check(annotations, "follow", &[problem]);
    }
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
fn what_is_not_built_yet_is_said_to_have_no_effect() {
    check(
        "ramp: 10m; strategy: linear; weights: v1=1",
        "follow",
        &[
            "`ramp` is not built yet and has no effect",
            "strategy `linear` is not built yet; `follow` applies",
        ],
    );
    for key in LATER {
        let problem = format!("`{key}` is not built yet and has no effect");
        check(
            &format!("{key}: x; weights: v1=1"),
            "manual v1=1",
            &[&problem],
        );
    }
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
    assert_eq!(edits("wieghts", "weights"), 2);
    assert_eq!(edits("", "ttl"), 3);
    assert_eq!(edits("ttl", "ttl"), 0);
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
fn backends_are_weights_of_other_services_without_a_clamp() {
    check("backends: a=1,b=0", "manual a=1 b=0 unclamped", &[]);
    check(
        "backends: a=1,b=0; weights: v1=1",
        "manual a=1 b=0 unclamped",
        &["weights have no effect beside `backends`"],
    );
}

#[test]
fn weights_that_cannot_act_are_told() {
    let cases = [
        (
            "service clusterip",
            "on a ClusterIP service without `shiftdns.io/endpoints: \"true\"` or `shiftdns.io/backends`",
        ),
        ("service external", "on an ExternalName service"),
        ("service publish", "with `publishNotReadyAddresses`"),
    ];
    for (service, why) in cases {
        let text = format!("{service}; v1 rev1 1 ready");
        let problem = format!("weights have no effect {why}");
        check_view(
            &view(&text, "weights: v1=1"),
            &Memory::default(),
            "follow",
            &[&problem],
        );
        check_view(&view(&text, ""), &Memory::default(), "follow", &[]);
        // Weights that are everybody's default are not this service's mistake.
        let defaults = Policy {
            strategy: Strategy::Manual(Weights::parse("v1=1").unwrap()),
            ..Policy::default()
        };
        let (got, problems) = policy(&view(&text, ""), &defaults, &Memory::default());
        assert_eq!((got.strategy, problems), (Strategy::Follow, vec![]));
    }
    let with = |annotations| view("service clusterip; v1 rev1 1 ready", annotations);
    let none = Memory::default();
    check_view(
        &with("endpoints: true; weights: v1=1"),
        &none,
        "manual v1=1 endpoints",
        &[],
    );
    check_view(&with("backends: v1=1"), &none, "manual v1=1 unclamped", &[]);
    check(
        "strategy: follow; weights: v1=1",
        "follow",
        &["weights have no effect with strategy `follow`"],
    );
}
