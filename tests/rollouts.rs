//! Shares through DNS: a roll-out that is played step by step, and what ten thousand answers over a socket add up to at
//! each of them.
//!
//! How shares come about is proved beside the state machine; here is the whole way from Kubernetes objects and
//! annotations to the datagrams of a running server.

mod rig;

use rig::{Rig, answers, cluster, firsts, of_version, serve};

const COUNT: usize = 10_000;
/// One socket's queries reach one worker, whose draws are off by so many at the most, however many there are.
const OFF_MAX: usize = 8;

/// Ten pods declared, `v1` and `v2` of them ready.
fn web(annotations: &str, revisions: &str, (v1, v2): (u32, u32)) -> String {
    let pods = |version: u32, hash: &str, ready: u32| {
        let pod = |n: u32| {
            let unready = if n > ready { " unready" } else { "" };
            format!(" | 10.{version}.0.{n} @web-{hash}{unready}")
        };
        (1..=10).map(pod).collect::<String>()
    };
    let (v1, v2) = (pods(1, "aaa", v1), pods(2, "bbb", v2));
    cluster(&format!(
        "namespace shop
         headless web.shop http:80 answer=mixed records=1 {annotations}
         deployment web.shop 10 {revisions}
         slice web.shop http:80{v1}{v2}"
    ))
}

/// What `_versions` tells of v2's share, and what the answers add up to.
fn check(rig: &Rig, stage: &str, percent: &str) {
    let told = rig.ask("_versions.web.shop.svc.Z TXT");
    let share = format!("share={percent}%");
    let line = told.lines().find(|line| line.contains("hash=bbb"));
    assert!(
        line.is_some_and(|line| line.contains(&share)),
        "{stage}: {told}"
    );
    let [answers] = answers(rig, ["web.shop.svc.Z A"], COUNT);
    let got = of_version(&firsts(&answers), "2");
    let basis_points: usize = percent.replace('.', "").parse().expect("a percentage");
    let due = COUNT * basis_points / 10_000;
    assert!(
        got.abs_diff(due) <= OFF_MAX,
        "{stage}: {got} of {COUNT}, not {due}"
    );
}

const STEPS: &str = "strategy=steps steps=10,25,50,100";
const FORWARD: &str = "v1=aaa v2=bbb";
/// As after an undo: the older ReplicaSet has the highest number.
const BACK: &str = "v1=aaa:3 v2=bbb";

#[test]
fn every_stage_of_a_played_roll_out_is_what_answers_add_up_to() {
    let promoted = |to: &str| format!("{STEPS} promote=bbb@{to}");
    let rig = Rig::with(&rig::config(), &web(STEPS, FORWARD, (10, 0)));
    check(&rig, "nothing of v2 is ready", "0.00");
    let stages = [
        (
            "the first step",
            STEPS.to_owned(),
            FORWARD,
            (10, 10),
            "10.00",
        ),
        (
            "promoted to the second",
            promoted("2"),
            FORWARD,
            (10, 10),
            "25.00",
        ),
        (
            "promoted to the third",
            promoted("3"),
            FORWARD,
            (10, 10),
            "50.00",
        ),
        (
            "v1 can carry three tenths",
            promoted("3"),
            FORWARD,
            (3, 10),
            "70.00",
        ),
        (
            "one pod of v2 is left",
            promoted("3"),
            FORWARD,
            (10, 1),
            "10.00",
        ),
        (
            "given up",
            format!("{STEPS} abort=bbb"),
            FORWARD,
            (10, 10),
            "0.00",
        ),
        (
            "given up, but v1 can carry only six tenths",
            format!("{STEPS} abort=bbb"),
            FORWARD,
            (6, 10),
            "40.00",
        ),
        (
            "promoted in full",
            promoted("full"),
            FORWARD,
            (10, 10),
            "100.00",
        ),
        (
            "undone, v1 half ready",
            STEPS.to_owned(),
            BACK,
            (5, 10),
            "50.00",
        ),
        ("undone", STEPS.to_owned(), BACK, (10, 10), "0.00"),
    ];
    for (stage, annotations, revisions, ready, percent) in stages {
        rig.apply(&web(&annotations, revisions, ready));
        check(&rig, stage, percent);
    }
    assert_eq!(rig.problems(), [""; 0]);
}

/// Blue and green as Services of their own, four pods each, and the one in front with these weights.
fn shop(weights: &str) -> String {
    let pods = |version: u32| {
        (1..=4)
            .map(|n| format!(" | 10.{version}.0.{n}"))
            .collect::<String>()
    };
    let (blue, green) = (pods(1), pods(2));
    cluster(&format!(
        "namespace shop
         headless web-blue.shop http:80
         headless web-green.shop http:80
         headless web.shop http:80 strategy=blue-green backends={weights}
         slice web-blue.shop http:80{blue}
         slice web-green.shop http:80{green}"
    ))
}

#[test]
fn a_flip_of_two_services_is_whole_in_the_next_answer() {
    let rig = Rig::with(&rig::config(), &shop("web-blue=100,web-green=0"));
    for (weights, version) in [
        ("web-blue=100,web-green=0", "1"),
        ("web-blue=0,web-green=100", "2"),
        ("web-blue=100,web-green=0", "1"),
    ] {
        rig.apply(&shop(weights));
        let [found] = answers(&rig, ["web.shop.svc.Z A"], 100);
        assert_eq!(of_version(&firsts(&found), version), 100, "{weights}");
        let [active] = answers(&rig, ["active._role.web.shop.svc.Z A"], 10);
        let [preview] = answers(&rig, ["preview._role.web.shop.svc.Z A"], 10);
        assert_eq!(of_version(&firsts(&active), version), 10, "{weights}");
        assert_eq!(of_version(&firsts(&preview), version), 0, "{weights}");
    }
    assert_eq!(rig.problems(), [""; 0]);
}

#[test]
fn roles_are_answered_by_where_the_roll_out_stands() {
    let rig = serve("namespace shop");
    rig.apply(&web(STEPS, FORWARD, (2, 1)));
    let ask = |name: &str| {
        let told = rig.ask(&format!("{name}.web.shop.svc.Z A"));
        let addresses = told.lines().filter(|line| line.contains(" A ")).count();
        let of_v2 = told.lines().filter(|line| line.contains(" 10.2.")).count();
        (addresses, of_v2)
    };
    assert_eq!(ask("stable"), (2, 0));
    assert_eq!(ask("canary._role"), (1, 1));
    assert_eq!(ask("all._role"), (3, 1));
    rig.apply(&web(STEPS, BACK, (2, 1)));
    // On the way back v1 is what was stable all the time; nothing is a canary.
    assert_eq!(ask("stable._role"), (2, 0));
    rig.check("canary.web.shop.svc.Z A", rig::NODATA);
    let told = rig.ask("_rollout.web.shop.svc.Z TXT");
    assert!(
        told.contains("state=RollingBack kind=rollback target=v1 stable=v1"),
        "{told}"
    );
}
