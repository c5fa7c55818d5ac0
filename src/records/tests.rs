//! What a split makes of a service's names: roles, weights, texts.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::testing::{NOW, Split, split};
use super::*;
use crate::model::{self, AnswerMode, Share, Strategy, WorkloadKey, WorkloadKind};
use crate::rollout::{Cause, ChangeKind, State, Track};

fn names(split: &Split) -> Names {
    let records = compile(&split.view, &split.outcome, &Settings::default());
    assert_eq!(records.problems, []);
    match records.content {
        Content::Names(names) => *names,
        other => panic!("{other:?}"),
    }
}

/// The A records of each label of a list, as `label=10.1.0.1,10.1.0.2`.
fn views(names: &Names, of: &[(Arc<str>, usize)]) -> Vec<String> {
    let view = |(label, view): &(Arc<str>, usize)| {
        let members = names.views[*view].a.members.iter();
        let addresses: BTreeSet<String> = members.map(|m| m.address.to_string()).collect();
        let addresses: Vec<String> = addresses.into_iter().collect();
        format!("{label}={}", addresses.join(","))
    };
    of.iter().map(view).collect()
}

const BLUE_GREEN: Strategy = Strategy::BlueGreen {
    auto_promotion_secs: None,
    backends: None,
};

#[test]
fn roles_are_those_of_the_strategy() {
    let mut split = split("v2 preview 0%: a=10.2.0.1; v1 active 100%: b=10.1.0.1 c=10.1.0.2");
    split.outcome.policy.strategy = BLUE_GREEN;
    let expected = [
        "active=10.1.0.1,10.1.0.2",
        "all=10.1.0.1,10.1.0.2,10.2.0.1",
        "preview=10.2.0.1",
    ];
    let blue_green = names(&split);
    assert_eq!(views(&blue_green, &blue_green.roles), expected);
    let plain = views(&blue_green, &blue_green.plain);
    assert!(
        expected
            .iter()
            .all(|role| plain.contains(&(*role).to_owned()))
    );
    assert!(
        !plain
            .iter()
            .any(|p| p.starts_with("stable") || p.starts_with("canary"))
    );

    let split = self::split("v2 canary 5%: a=10.2.0.1; v1 stable 95%: b=10.1.0.1 c=10.1.0.2");
    let canary = names(&split);
    assert_eq!(
        views(&canary, &canary.roles),
        [
            "all=10.1.0.1,10.1.0.2,10.2.0.1",
            "canary=10.2.0.1",
            "stable=10.1.0.1,10.1.0.2"
        ]
    );
}

/// With the words of the other strategies a change of strategy would give clients of a version those of a role.
#[test]
fn no_version_has_a_roles_word_for_a_name_under_any_strategy() {
    for strategy in [Strategy::Follow, BLUE_GREEN] {
        for word in ["active", "preview", "stable", "canary", "all"] {
            let mut split = split(&format!("{word} - 50%: a=10.2.0.1; v1 - 50%: b=10.1.0.1"));
            split.outcome.policy.strategy = strategy.clone();
            let names = names(&split);
            let of_version = format!("{word}=10.2.0.1");
            assert!(!views(&names, &names.plain).contains(&of_version), "{word}");
            // It is reached as what it is.
            assert!(
                views(&names, &names.versions).contains(&of_version),
                "{word}"
            );
            let problem = &split.outcome.problems[0].to_string();
            assert!(problem.contains("is the name of a role"), "{problem}");
        }
    }
}

/// How the own name's A records are chosen, and each member's factor.
fn choice(split: &Split) -> (&'static str, Vec<u8>) {
    let own = &names(split).views[0].a;
    let mode = match own.choice {
        Choice::Fixed => "fixed",
        Choice::Rotated => "all",
        Choice::Mixed { .. } => "mixed",
        Choice::Pure { .. } => "pure",
    };
    (mode, own.members.iter().map(|m| m.factor).collect())
}

#[test]
fn all_are_answered_only_while_all_weigh_the_same() {
    for (text, expected) in [
        ("v1 stable 100%: a=10.1.0.1 b=10.1.0.2", "all"),
        (
            "v2 canary 50%: a=10.2.0.1; v1 stable 50%: b=10.1.0.1",
            "all",
        ),
        (
            "v2 canary 40%: a=10.2.0.1; v1 stable 60%: b=10.1.0.1",
            "mixed",
        ),
        // One has just come; or all of a version have, which leaves its share what it is.
        ("v1 stable 100%: a=10.1.0.1 b@99=10.1.0.2", "mixed"),
        ("v1 stable 100%: a@10=10.1.0.1 b@10=10.1.0.2", "all"),
        (
            "v2 canary 50%: a@10=10.2.0.1; v1 stable 50%: b=10.1.0.1",
            "all",
        ),
        (
            "v2 canary 50%: a=10.2.0.1; v1 stable 50%: b@9=10.1.0.1 c=10.1.0.2",
            "mixed",
        ),
    ] {
        let mut split = split(text);
        assert_eq!(choice(&split).0, expected, "{text}");
        split.outcome.policy.answer = AnswerMode::Pure;
        assert_eq!(choice(&split).0, "pure", "{text}");
        split.outcome.policy.answer = AnswerMode::All;
        assert_eq!(choice(&split).0, "all", "{text}");
    }
}

#[test]
fn factors_weigh_also_where_shares_do_not() {
    let mut split = split("v1 stable 100%: a=10.1.0.1 b@30=10.1.0.2 c=10.1.0.3");
    split.outcome.weighted = false;
    assert_eq!(choice(&split), ("mixed", vec![100, 30, 100]));
    let own = names(&split);
    let srv: Vec<u8> = own.views[0].srv_bare.iter().map(|srv| srv.factor).collect();
    assert_eq!(srv, [100, 30, 100]);
    // A view that is asked for by name has them all alike.
    let (_, stable) = own
        .roles
        .iter()
        .find(|(label, _)| **label == *"stable")
        .unwrap();
    assert!(own.views[*stable].a.members.iter().all(|m| m.factor == 100));
    split.outcome.factors.clear();
    assert_eq!(choice(&split), ("all", vec![100; 3]));
}

/// Pods on the network of their node: the address is as good as the best of them.
#[test]
fn an_address_of_two_pods_has_the_greater_factor() {
    let split = split("v1 - 100%: a@30=10.1.0.1 b@80=10.1.0.1 c=10.1.0.2");
    assert_eq!(choice(&split), ("mixed", vec![80, 100]));
}

/// The versions of a sticky answer in their order, each with its targets, their addresses and ports.
fn kept(split: &Split) -> Option<String> {
    let sticky = names(split).sticky?;
    let target = |target: &Target| {
        let addresses: Vec<String> = target.addresses.iter().map(|a| a.to_string()).collect();
        let port = |port: &TargetPort| match port.name {
            Some(name) => format!("{name}:{}", port.number),
            None => format!(":{}", port.number),
        };
        let ports: Vec<String> = target.ports.iter().map(port).collect();
        let (identity, factor) = (&target.identity, target.factor);
        format!(
            "{identity}@{factor} {} {}",
            addresses.join(","),
            ports.join(",")
        )
    };
    let version = |version: &StickyVersion| {
        let targets: Vec<String> = version.targets.iter().map(target).collect();
        format!(
            "{} {}: {}",
            version.version,
            version.share,
            targets.join("; ")
        )
    };
    let versions: Vec<String> = sticky.versions.iter().map(version).collect();
    Some(format!("{} | {}", sticky.service, versions.join(" | ")))
}

#[test]
fn clients_come_to_what_is_rolled_out_first_and_to_the_stable_version_last() {
    let by = model::Sticky::Source { bits: 24 };
    for (roles, order) in [
        (["stable", "-", "canary"], ["2 ", "1 ", "0 "]),
        (["canary", "stable", "-"], ["0 ", "2 ", "1 "]),
        (["active", "-", "preview"], ["2 ", "1 ", "0 "]),
    ] {
        let [a, b, c] = roles;
        let mut split = split(&format!(
            "v1 {a} 20%: a=10.1.0.1; v2 {b} 30%: b=10.2.0.1; v3 {c} 50%: c=10.3.0.1; v4 - 0%: d=10.4.0.1"
        ));
        split.outcome.policy.sticky = by;
        let kept = kept(&split).unwrap();
        let versions: Vec<&str> = kept.split(" | ").skip(1).collect();
        assert_eq!(versions.len(), 3, "without a share nobody comes: {kept}");
        for (version, index) in versions.iter().zip(order) {
            assert!(version.starts_with(index), "{roles:?}: {kept}");
        }
    }
}

#[test]
fn a_target_is_a_pod_with_all_of_its_addresses_and_ports() {
    let mut split = split("v1 stable 100%: a+@40=10.1.0.1,fd00::1 b=10.1.0.2");
    split.outcome.policy.sticky = model::Sticky::Ecs;
    // Ports are sorted by name: 0 is admin.
    let of_a = "a@40 10.1.0.1,fd00::1 1:8080,0:9000,:7000,1:8080,0:9000,:7000";
    let expected = |uid: &str| format!("{uid} | 0 10000: {of_a}; b@100 10.1.0.2 1:8080");
    assert_eq!(kept(&split), Some(expected("web-uid")));
    split.view.uid = "".into();
    assert_eq!(kept(&split), Some(expected("shop/web")));
    // Without a UID it is the pod's name that stays, and without that the address.
    for endpoint in &mut split.view.endpoints {
        if endpoint.uid.text() == "a" {
            endpoint.pod = Some("web-0".into());
        }
        endpoint.uid = "".into();
    }
    let by_name = expected("shop/web")
        .replace("a@", "web-0@")
        .replace("b@", "10.1.0.2@");
    let found = kept(&split).unwrap();
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text
            .split([';', '|', ':'])
            .map(|p| p.trim().to_owned())
            .collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(&found), sorted(&by_name));
}

#[test]
fn nothing_is_kept_where_every_answer_has_every_endpoint() {
    let sticky = |change: &dyn Fn(&mut Split)| {
        let mut split = split("v2 canary 50%: a=10.2.0.1; v1 stable 50%: b=10.1.0.1");
        split.outcome.policy.sticky = model::Sticky::Ecs;
        change(&mut split);
        names(&split).sticky.is_some()
    };
    // Shares that are even by chance stay with their clients.
    assert!(sticky(&|_| {}));
    assert!(sticky(
        &|split| split.outcome.policy.answer = AnswerMode::Pure
    ));
    assert!(!sticky(
        &|split| split.outcome.policy.answer = AnswerMode::All
    ));
    assert!(!sticky(
        &|split| split.outcome.policy.sticky = model::Sticky::Off
    ));
    assert!(!sticky(&|split| split.outcome.weighted = false));
    assert!(sticky(&|split| {
        split.outcome.weighted = false;
        split.outcome.factors = vec![50, 100];
    }));
}

fn track() -> Track {
    let at = |secs: i64| Timestamp::from_second(NOW + secs).unwrap();
    Track {
        workload: Some(0),
        state: State::Progressing,
        since: at(-60),
        kind: ChangeKind::Update,
        target: Some(0),
        stable: Some(1),
        started: at(-90),
        wanted: None,
        step: None,
        next_move: None,
        note: None,
        digest: 0,
    }
}

fn with_track(track: Track) -> Split {
    let mut split = split("v2 canary 5%: a=10.2.0.1; v1 stable 95%: b=10.1.0.1");
    split.view.workloads.push(model::Workload {
        key: WorkloadKey {
            kind: WorkloadKind::Deployment,
            namespace: "shop".into(),
            name: "web".into(),
        },
        replicas: 2,
        max_unavailable: 0,
        paused: false,
        paused_since: None,
        complete: false,
        observed: true,
        min_ready_secs: 0,
        partition: 0,
        on_delete: false,
    });
    split.outcome.tracks = vec![track];
    split.outcome.ttl = 7;
    split
}

fn rollout_line(track: Track) -> String {
    let names = names(&with_track(track));
    let lines: Vec<String> = names
        .rollout_text
        .iter()
        .map(|text| text.line(12))
        .collect();
    lines.join("\n")
}

#[test]
fn a_track_tells_where_it_stands_and_leaves_out_what_it_has_not() {
    let bare = "workload=web state=Progressing kind=update target=v2 stable=v1 strategy=follow \
                since=2027-01-15T07:59:00Z";
    assert_eq!(rollout_line(track()), format!("{bare} ttl=7 generation=12"));
    let full = Track {
        wanted: Some(Share::from_basis_points(2500)),
        step: Some((2, 4)),
        next_move: Some(Timestamp::from_millisecond(NOW * 1000 + 61_500).unwrap()),
        note: Some("waits to be promoted".to_owned()),
        digest: 0xBEEF,
        ..track()
    };
    assert_eq!(
        rollout_line(full),
        format!(
            "{bare} wanted=25.00% step=2/4 next=2027-01-15T08:01:01Z digest=000000000000beef ttl=7 generation=12 \
             note=waits to be promoted"
        )
    );
    let backends = Track {
        workload: None,
        ..track()
    };
    assert!(rollout_line(backends).starts_with("workload=backends "));
    let unknown = Track {
        target: None,
        stable: None,
        ..track()
    };
    assert_eq!(
        rollout_line(unknown),
        "workload=web state=Progressing kind=update strategy=follow ttl=7 generation=12"
    );
}

#[test]
fn a_version_that_failed_tells_by_what() {
    let mut split = split("v2 canary 5%: a=10.2.0.1; v1 stable 95%: b=10.1.0.1");
    split.outcome.versions[0].failed = Some(Cause::Restarts);
    let lines = names(&split).versions_text;
    assert!(
        lines[0].ends_with(" failed=container restarts"),
        "{lines:?}"
    );
    assert!(!lines[1].contains("failed"), "{lines:?}");
}
