//! Roll-outs with annotations as people write them: what cannot be obeyed moves no share, and is told with its place.
//!
//! What each annotation may say stands beside the code that reads it; here a mistake is made while a roll-out is under
//! way, and the answers go on as they were.

mod rig;

use std::path::Path;

use rig::{Rig, cluster, config};
use tempfile::TempDir;

/// A roll-out whose first step waits for a person: a tenth of the answers are of v2.
const GOOD: &str = "strategy=steps steps=10,25,50,100 records=2";

/// Four pods of v1, and two of v2 that are its canary.
fn web(annotations: &str) -> String {
    cluster(&format!(
        "namespace shop
         headless web.shop http:80 {annotations}
         deployment web.shop 4 v1=aaa v2=bbb
         slice web.shop http:80 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-aaa | 10.1.0.3 @web-aaa | 10.1.0.4 @web-aaa
         slice web.shop http:80 | 10.1.0.5 @web-bbb | 10.1.0.6 @web-bbb"
    ))
}

/// The strategy in force and the share of v2, as DNS tells them.
fn stands(rig: &Rig) -> String {
    let word = |name: &str, of: &str, key: &str| {
        let told = rig.ask(&format!("{name}.web.shop.svc.Z TXT"));
        let line = told.lines().find(|line| line.contains(of));
        let line = line.expect("a line of it").to_owned();
        let mut words = line.split([' ', '"']);
        let value = words.find_map(|word| word.strip_prefix(key).map(str::to_owned));
        value.expect("it has such a word")
    };
    let strategy = word("_rollout", "workload=web", "strategy=");
    format!("{strategy} {}", word("_versions", "hash=bbb", "share="))
}

/// These annotations, in the second line of the file, are problems, and `holds` is so with them.
#[track_caller]
fn check(rig: &Rig, annotations: &str, holds: &str, problems: &[&str]) {
    rig.apply(&web(annotations));
    let place = "test.yaml:2: service shop/web: ";
    let problems: Vec<String> = problems.iter().map(|p| format!("{place}{p}")).collect();
    assert_eq!(rig.problems(), problems, "{annotations}");
    assert_eq!(stands(rig), holds, "{annotations}");
}

#[test]
fn a_mistake_keeps_the_last_good_policy_and_moves_no_share() {
    let rig = Rig::serve(&web(GOOD));
    assert_eq!(stands(&rig), "steps 10.00%");
    let mistakes: &[(&str, &[&str])] = &[
        (
            "strategy=canary steps=25,100",
            &[
                "strategy: `canary` is none of `follow`, `linear`, `exponential`, `steps`, `blue-green`, `manual`, `external`",
            ],
        ),
        (
            "steps=50,25,100",
            &["steps: `25` is not above the step before it"],
        ),
        (
            "steps=25,50@soon",
            &[
                "steps: `50@soon` is not `percent@hold` or `percent`, such as `5@30s`, with a percentage from 0 to 100",
            ],
        ),
        ("strategy=steps", &["strategy: `steps` wants `steps`"]),
        (
            "strategy=exponential steps=50,100",
            &[
                "steps: `50,100` has no effect with strategy `exponential`",
                "strategy: `exponential` wants `ramp`",
            ],
        ),
        (
            "ramp=10m steps=50,100",
            &[
                "`ramp: 10m` and `steps: 50,100` ask for different strategies; name one with `strategy`",
            ],
        ),
        (
            "ramp=10m weights=v1=1,v2=1",
            &[
                "`ramp: 10m` and `weights: v1=1,v2=1` ask for different strategies; name one with `strategy`",
            ],
        ),
        (
            "steps=50,100 on-failure=panic",
            &["on-failure: `panic` is none of `shift-back`, `shift-back-strict`, `hold`"],
        ),
        (
            "steps=50,100 headroom=0 soak=5",
            &[
                "headroom: `0` is not a number from 1 to 1000",
                "soak: `5` is not a duration such as `90s`, `10m` or `1h`, of at most 168h",
            ],
        ),
        (
            "steps=50,100 promote=bbb@0",
            &["promote: `bbb@0` is not `hash@full` or `hash@step` with a step from 1 to 32"],
        ),
        (
            "steps=50,100 abort=bbb@1",
            &["abort: `bbb@1` is not the hash of a revision"],
        ),
        (
            "steps=50,100 retry=bbb",
            &["retry: `bbb` is not `hash@number` with a number from 1 to 4294967295"],
        ),
    ];
    for (annotations, problems) in mistakes {
        check(&rig, annotations, "steps 10.00%", problems);
    }
    // What was good before them is forgotten when something else is.
    check(&rig, "steps=50,100", "steps 50.00%", &[]);
    check(
        &rig,
        "steps=25,100 records=9",
        "steps 50.00%",
        &["records: `9` is not a number from 1 to 8"],
    );
    check(&rig, "", "follow 33.33%", &[]);
}

#[test]
fn an_intent_for_another_revision_is_told_and_moves_nothing() {
    let rig = Rig::serve(&web(GOOD));
    let rest = "is for another revision; the target is `bbb`";
    for (intent, problem) in [
        ("promote=aaa@full", "promote: `aaa@full`"),
        ("promote=ccc@2", "promote: `ccc@2`"),
        ("pause=aaa", "pause: `aaa`"),
        ("abort=ccc", "abort: `ccc`"),
        ("retry=aaa@7", "retry: `aaa@7`"),
    ] {
        let annotations = format!("{GOOD} {intent}");
        check(
            &rig,
            &annotations,
            "steps 10.00%",
            &[&format!("{problem} {rest}")],
        );
    }
    // Beside one that is meant for the target.
    let annotations = format!("{GOOD} promote=bbb@2,ccc@full pause=aaa");
    let told = ["pause: `aaa`", "promote: `ccc@full`"].map(|problem| format!("{problem} {rest}"));
    check(&rig, &annotations, "steps 25.00%", &[&told[0], &told[1]]);
}

#[test]
fn what_was_asked_stands_through_a_mistake() {
    let rig = Rig::serve(&web(&format!("{GOOD} promote=bbb@2")));
    assert_eq!(stands(&rig), "steps 25.00%");
    let problem = "promote: `bbb@third` is not `hash@full` or `hash@step` with a step from 1 to 32";
    let annotations = format!("{GOOD} promote=bbb@third");
    check(&rig, &annotations, "steps 25.00%", &[problem]);
    // A promotion is not taken back, but an abort is.
    check(&rig, &format!("{GOOD} abort=bbb"), "steps 0.00%", &[]);
    let problem = "strategy: `stpes` is none of `follow`, `linear`, `exponential`, `steps`, `blue-green`, `manual`, `external`";
    let mistaken = GOOD.replace("strategy=steps", "strategy=stpes");
    let annotations = format!("{mistaken} abort=bbb");
    check(&rig, &annotations, "steps 0.00%", &[problem]);
    check(&rig, &mistaken, "steps 10.00%", &[problem]);
    check(&rig, GOOD, "steps 10.00%", &[]);
}

#[test]
fn weights_of_versions_that_are_not_there_leave_the_others() {
    let rig = Rig::serve(&web("weights=v1=3,v2=1"));
    assert_eq!(stands(&rig), "manual 25.00%");
    let twice = "weights: `v2` stands twice";
    check(&rig, "weights=v1=1,v2=1,v2=2", "manual 25.00%", &[twice]);
    let missing = "weights: no version `v9` behind this service; known: v1, v2";
    check(&rig, "weights=v1=1,v2=1,v9=98", "manual 50.00%", &[missing]);
    // What is kept is looked at as what is written.
    let annotations = "weights=v1=3,v2=2,v2=1";
    check(&rig, annotations, "manual 50.00%", &[twice, missing]);
}

/// The last good policy is nowhere but in the memory.
#[test]
fn a_mistake_that_is_read_first_is_followed_by_nothing_but_what_is_remembered() {
    let dir = TempDir::new().expect("a directory");
    let serve = |dir: &Path, annotations: &str| {
        let mut config = config();
        config.state = Some(dir.join("state"));
        Rig::with(&config, &web(annotations))
    };
    let falling = "steps=50,25,100";
    let problem = &["steps: `25` is not above the step before it"];
    let rig = serve(dir.path(), falling);
    check(&rig, falling, "follow 33.33%", problem);
    check(&rig, GOOD, "steps 10.00%", &[]);
    drop(rig);
    let rig = serve(dir.path(), falling);
    check(&rig, falling, "steps 10.00%", problem);
    // Another server has not seen it.
    let elsewhere = TempDir::new().expect("a directory");
    let rig = serve(elsewhere.path(), falling);
    check(&rig, falling, "follow 33.33%", problem);
}

/// A Service with these annotations and an endpoint of its own, 10.1.0.1, and two that may be its backends.
fn front(kind: &str, annotations: &str, blue: &str) -> String {
    cluster(&format!(
        "namespace shop
         {kind} http:80 {annotations}
         headless web-blue.shop http:80
         headless web-green.shop http:80
         slice web.shop http:80 | 10.1.0.1
         slice web-blue.shop http:80 | {blue}
         slice web-green.shop http:80 | 10.1.2.1"
    ))
}

/// The one address that is answered, and the problems with these annotations.
#[track_caller]
fn check_front(rig: &Rig, manifests: &str, address: &str, problems: &[&str]) {
    rig.apply(manifests);
    let answer = format!("NOERROR aa\nweb.shop.svc.Z. 5 A {address}");
    rig.check("web.shop.svc.Z A", &answer);
    let place = "test.yaml:2: service shop/web: ";
    let problems: Vec<String> = problems.iter().map(|p| format!("{place}{p}")).collect();
    assert_eq!(rig.problems(), problems);
}

#[test]
fn a_mistake_keeps_the_backends_of_the_last_good_policy() {
    for kind in ["headless web.shop", "clusterip web.shop 10.96.0.1"] {
        let front = |annotations: &str, blue: &str| front(kind, annotations, blue);
        let good = front("backends=web-blue=1,web-green=0", "10.1.1.1");
        let rig = Rig::serve(&good);
        check_front(&rig, &good, "10.1.1.1", &[]);
        let wrong = "backends=web-blue=1,web-green=x";
        let problem =
            &["backends: `web-green=x` is not `name=weight` with a weight from 0 to 65535"];
        check_front(&rig, &front(wrong, "10.1.1.1"), "10.1.1.1", problem);
        // What they are goes on.
        check_front(&rig, &front(wrong, "10.1.1.2"), "10.1.1.2", problem);
        let wrong = "steps=50,10";
        let problem = &["steps: `10` is not above the step before it"];
        check_front(&rig, &front(wrong, "10.1.1.3"), "10.1.1.3", problem);
        check_front(&rig, &front(wrong, "10.1.1.4"), "10.1.1.4", problem);
        let fixed = front("backends=web-blue=0,web-green=1", "10.1.1.4");
        check_front(&rig, &fixed, "10.1.2.1", &[]);
    }
}

#[test]
fn backends_that_have_no_place_in_the_strategy_replace_nothing() {
    let stray = "backends=web-blue=1 steps=10,100";
    let problem = &[
        "`backends: web-blue=1` and `steps: 10,100` ask for different strategies; name one with `strategy`",
    ];
    for before in ["steps=10,100", "", stray] {
        let rig = Rig::serve(&front("headless web.shop", before, "10.1.1.1"));
        let stray = |blue: &str| front("headless web.shop", stray, blue);
        check_front(&rig, &stray("10.1.1.1"), "10.1.0.1", problem);
        check_front(&rig, &stray("10.1.1.2"), "10.1.0.1", problem);
    }
}
