//! The annotations that make up a strategy: what they mean alone, together, and against each other.

use super::*;

#[test]
fn a_part_of_a_strategy_alone_means_that_strategy() {
    check("ramp: 10m", "linear 600s", &[]);
    check("steps: 5@30s,25,100", "steps 5.00%@30s 25.00% 100.00%", &[]);
    check("weights: v1=1", "manual v1=1", &[]);
    check("backends: a=1", "manual a=1 unclamped", &[]);
    check(
        "auto-promotion: 1m",
        "follow",
        &["auto-promotion: `1m` has no effect with strategy `follow`"],
    );
}

#[test]
fn parts_of_several_strategies_want_one_to_be_named() {
    let cases = [
        ("ramp: 10m; steps: 5,100", "`ramp: 10m` and `steps: 5,100`"),
        (
            "ramp: 10m; weights: v1=1",
            "`ramp: 10m` and `weights: v1=1`",
        ),
        ("steps: 5; weights: v1=1", "`steps: 5` and `weights: v1=1`"),
        (
            "backends: a=1; ramp: 10m",
            "`backends: a=1` and `ramp: 10m`",
        ),
        (
            "ramp: 10m; steps: 5; weights: v1=1",
            "`ramp: 10m` and `steps: 5` and `weights: v1=1`",
        ),
    ];
    for (annotations, keys) in cases {
        let problem = format!("{keys} ask for different strategies; name one with `strategy`");
        check(annotations, "follow", &[&problem]);
    }
    check(
        "ramp: 10m; strategy: steps; steps: 5",
        "steps 5.00%",
        &["ramp: `10m` has no effect with strategy `steps`"],
    );
}

#[test]
fn a_strategy_wants_what_it_is_made_of() {
    for (strategy, wants) in [
        ("linear", "`ramp`"),
        ("exponential", "`ramp`"),
        ("steps", "`steps`"),
        ("manual", "`weights` or `backends`"),
    ] {
        let problem = format!("strategy: `{strategy}` wants {wants}");
        check(&format!("strategy: {strategy}"), "follow", &[&problem]);
    }
    check("strategy: external", "external", &[]);
    check("strategy: blue-green", "blue-green", &[]);
}

/// What of `parts` has no effect with `strategy`.
fn check_idle(strategy: &str, parts: &str, expected: &str, idle: &[&str]) {
    let annotations = format!("strategy: {strategy}; {parts}");
    let problems: Vec<String> = idle
        .iter()
        .map(|part| format!("{part} has no effect with strategy `{strategy}`"))
        .collect();
    let problems: Vec<&str> = problems.iter().map(String::as_str).collect();
    check(&annotations, expected, &problems);
}

#[test]
fn a_part_of_another_strategy_has_no_effect() {
    let all = "auto-promotion: 5s; ramp: 1m; steps: 5; weights: v1=1";
    let [auto, ramp, steps, weights] = [
        "auto-promotion: `5s`",
        "ramp: `1m`",
        "steps: `5`",
        "weights: `v1=1`",
    ];
    check_idle("follow", all, "follow", &[auto, ramp, steps, weights]);
    check_idle("linear", all, "linear 60s", &[auto, steps, weights]);
    check_idle(
        "exponential",
        all,
        "exponential 60s",
        &[auto, steps, weights],
    );
    check_idle("steps", all, "steps 5.00%", &[auto, ramp, weights]);
    check_idle(
        "blue-green",
        all,
        "blue-green auto=5s",
        &[ramp, steps, weights],
    );
    check_idle("manual", all, "manual v1=1", &[auto, ramp, steps]);
    check_idle("external", all, "external", &[auto, ramp, steps, weights]);
    check_idle(
        "follow",
        "backends: a=1; weights: v1=1",
        "follow",
        &["backends: `a=1`", weights],
    );
}

#[test]
fn a_default_strategy_holds_until_a_service_asks_for_another() {
    let defaults = Policy {
        strategy: default_strategy("blue-green").unwrap(),
        ..Policy::default()
    };
    for (annotations, expected) in [
        ("", "blue-green"),
        ("records: 2", "blue-green records=2"),
        ("auto-promotion: 1m", "blue-green auto=60s"),
        ("strategy: follow", "follow"),
        ("weights: v1=1", "manual v1=1"),
        ("records: 0", "follow"),
    ] {
        let view = view("v1 rev1 1 ready", annotations);
        let (got, _) = policy(&view, &defaults, &Memory::default());
        assert_eq!(told(&got), expected, "{annotations}");
    }
}

#[test]
fn backends_are_weights_of_other_services_without_a_clamp() {
    check("backends: a=1,b=0", "manual a=1 b=0 unclamped", &[]);
    check(
        "strategy: manual; backends: a=1,b=0; clamp: on",
        "manual a=1 b=0 unclamped",
        &[],
    );
    check(
        "backends: a=1,b=0; weights: v1=1",
        "manual a=1 b=0 unclamped",
        &["weights: `v1=1` has no effect beside `backends`"],
    );
}

#[test]
fn of_blue_and_green_backends_one_is_active() {
    check(
        "strategy: blue-green; backends: blue=100,green=0",
        "blue-green blue=100 green=0",
        &[],
    );
    check(
        "strategy: blue-green; backends: blue=1,green=2; clamp: off; auto-promotion: 1m",
        "blue-green auto=60s blue=1 green=2 unclamped",
        &[],
    );
    check(
        "strategy: blue-green; backends: blue=50,green=50",
        "follow",
        &["backends: `blue=50,green=50` does not say which one is active, by the greatest weight"],
    );
}

#[test]
fn what_moves_between_revisions_moves_no_backends() {
    for (strategy, parts) in [
        ("linear", "; ramp: 1m"),
        ("exponential", "; ramp: 1m"),
        ("steps", "; steps: 5"),
        ("external", ""),
    ] {
        let problem = format!(
            "backends: `a=1,b=0` have no place in strategy `{strategy}`, which moves between revisions of a workload; \
             use `blue-green` or `manual`"
        );
        let annotations = format!("strategy: {strategy}; backends: a=1,b=0{parts}");
        check(&annotations, "follow", &[&problem]);
    }
}
