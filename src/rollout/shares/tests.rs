//! The weight function: the vectors and the worked examples.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    versions: Vec<CaseVersion>,
    want: BTreeMap<String, u64>,
    capacity_basis: u32,
    headroom_percent: u32,
    strict: bool,
    shares: BTreeMap<String, u16>,
    reasons: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct CaseVersion {
    name: String,
    ready: u32,
    soaked: u32,
    order: u32,
    class: String,
}

fn class(word: &str) -> Class {
    match word {
        "normal" => Class::Normal,
        "target" => Class::Target,
        "quarantined" => Class::Quarantined,
        "excluded" => Class::Excluded,
        other => panic!("`{other}` is not a class"),
    }
}

#[test]
fn every_vector_has_its_shares_and_reasons() {
    let text = include_str!("../../../tests/vectors/weights.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    assert_eq!(vectors.cases.len(), 400);
    for (number, case) in vectors.cases.iter().enumerate() {
        let candidates: Vec<Candidate<'_>> = case
            .versions
            .iter()
            .map(|version| Candidate {
                name: &version.name,
                ready: version.ready,
                soaked: version.soaked,
                order: version.order,
                class: class(&version.class),
                want: Share::from_basis_points(case.want.get(&version.name).copied().unwrap_or(0)),
                uncapped: false,
            })
            .collect();
        let capacity = Capacity {
            basis: case.capacity_basis,
            headroom_percent: case.headroom_percent,
            clamp: true,
        };
        let got = shares(&candidates, &capacity, case.strict);
        let names = || case.versions.iter().map(|version| version.name.clone());
        let got_shares: BTreeMap<_, _> = names()
            .zip(got.iter().map(|(share, _)| share.basis_points()))
            .collect();
        let got_reasons: BTreeMap<_, _> = names()
            .zip(got.iter().map(|(_, reason)| reason.to_string()))
            .collect();
        assert_eq!(got_shares, case.shares, "case {number}: {case:?}");
        assert_eq!(got_reasons, case.reasons, "case {number}: {case:?}");
    }
}

/// Reads `A=8 headroom=120 strict unclamped` and `v1 3 stable 90.00%; v2 5/2 target 10.00% uncapped`, where `5/2`
/// is ready/soaked and the fill order is the order of the text, targets last.
fn check(capacity: &str, versions: &str, expected: &str) {
    let mut given = Capacity {
        basis: 1,
        headroom_percent: 100,
        clamp: true,
    };
    let mut strict = false;
    for word in capacity.split_whitespace() {
        match word.split_once('=') {
            Some(("A", basis)) => given.basis = basis.parse().unwrap(),
            Some(("headroom", percent)) => given.headroom_percent = percent.parse().unwrap(),
            None if word == "strict" => strict = true,
            None if word == "unclamped" => given.clamp = false,
            _ => panic!("`{word}`"),
        }
    }
    let candidates: Vec<Candidate<'_>> = versions.split("; ").zip(0..).map(candidate).collect();
    let got: Vec<String> = candidates
        .iter()
        .zip(shares(&candidates, &given, strict))
        .map(|(candidate, (share, reason))| format!("{} {share} {reason}", candidate.name))
        .collect();
    assert_eq!(got.join(", "), expected, "{capacity}: {versions}");
}

fn candidate((text, order): (&str, u32)) -> Candidate<'_> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap();
    let counts = words.next().unwrap();
    let (ready, soaked) = counts.split_once('/').unwrap_or((counts, counts));
    let class = match words.next().unwrap() {
        "stable" | "other" => Class::Normal,
        word => class(word),
    };
    let want = words.next().map_or(0, |want| {
        let percent = want.strip_suffix('%').expect("a wish in percent");
        let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
        whole.parse::<u64>().unwrap() * 100 + format!("{part:0<2}").parse::<u64>().unwrap()
    });
    Candidate {
        name,
        ready: ready.parse().unwrap(),
        soaked: soaked.parse().unwrap(),
        order: order + if class == Class::Target { 100 } else { 0 },
        class,
        want: Share::from_basis_points(want),
        uncapped: words.next() == Some("uncapped"),
    }
}

#[test]
fn the_wish_is_carried_where_the_capacity_is() {
    check(
        "A=10",
        "v1 10 stable 90%; v2 1 target 10%",
        "v1 90.00% policy, v2 10.00% policy",
    );
    check(
        "A=10",
        "v1 10 stable 100%; v2 10/0 target 0%",
        "v1 100.00% policy, v2 0.00% policy",
    );
    // The ramp asks for 25 %, three soaked pods of ten allow it, two do not.
    check(
        "A=10",
        "v1 10 stable 75%; v2 3 target 25%",
        "v1 75.00% policy, v2 25.00% policy",
    );
    check(
        "A=10",
        "v1 10 stable 75%; v2 3/2 target 25%",
        "v1 80.00% fills-in, v2 20.00% capacity-capped",
    );
}

#[test]
fn kubernetes_sets_the_pace_of_a_plain_rolling_update() {
    // Ten replicas, 25 % / 25 %: eight carry the whole load; the ramp still stands at 0 %.
    check(
        "A=8",
        "v1 8 stable 100%; v2 0 target 0%",
        "v1 100.00% policy, v2 0.00% no-endpoints",
    );
    check(
        "A=8",
        "v1 3 stable 100%; v2 5 target 0%",
        "v1 37.50% capacity-capped, v2 62.50% fills-in",
    );
    check(
        "A=8",
        "v1 0 stable 67%; v2 10 target 33%",
        "v1 0.00% no-endpoints, v2 100.00% fills-in",
    );
    // With minReadySeconds the ramp is at 50 % when the old pods go.
    check(
        "A=8",
        "v1 3 stable 50%; v2 5 target 50%",
        "v1 37.50% capacity-capped, v2 62.50% fills-in",
    );
}

#[test]
fn an_undo_half_way_goes_as_fast_as_the_old_pods_come_back() {
    check(
        "A=8",
        "v2 5 other 0%; v1 3 target 100%",
        "v2 62.50% fills-in, v1 37.50% capacity-capped",
    );
    check(
        "A=8",
        "v2 5 other 0%; v1 3 target 100% uncapped",
        "v2 0.00% policy, v1 100.00% policy",
    );
    check(
        "A=8",
        "v2 10 other 0%; v1 0 target 100%",
        "v2 100.00% fills-in, v1 0.00% no-endpoints",
    );
    check(
        "A=8",
        "v2 3 other 0%; v1 5 target 100%",
        "v2 37.50% fills-in, v1 62.50% capacity-capped",
    );
}

#[test]
fn a_paused_canary_is_capped_by_its_pods() {
    check(
        "A=10",
        "v1 10 stable 90%; v2 3 target 10%",
        "v1 90.00% policy, v2 10.00% policy",
    );
    check(
        "A=10",
        "v1 10 stable 50%; v2 3 target 50%",
        "v1 70.00% fills-in, v2 30.00% capacity-capped",
    );
}

#[test]
fn blue_carries_what_green_cannot_yet() {
    check(
        "A=10",
        "blue 10 stable 0%; green 7 other 100%",
        "blue 30.00% fills-in, green 70.00% capacity-capped",
    );
    check(
        "A=10",
        "blue 10 stable 0%; green 10 other 100%",
        "blue 0.00% policy, green 100.00% policy",
    );
    check(
        "A=10",
        "blue 0 stable 100%; green 10 other 0%",
        "blue 0.00% no-endpoints, green 100.00% fills-in",
    );
}

#[test]
fn a_partitioned_stateful_set_forces_shares_until_headroom_is_given() {
    check(
        "A=4",
        "cur 4 stable 90%; upd 1 target 10%",
        "cur 90.00% policy, upd 10.00% policy",
    );
    check(
        "A=4",
        "cur 3 stable 90%; upd 1 target 10%",
        "cur 75.00% capacity-capped, upd 25.00% fills-in",
    );
    check(
        "A=4",
        "cur 3 stable 90%; upd 2 target 10%",
        "cur 75.00% capacity-capped, upd 25.00% fills-in",
    );
    check(
        "A=4",
        "cur 3 stable 50%; upd 2 target 50%",
        "cur 50.00% policy, upd 50.00% policy",
    );
    check(
        "A=4 headroom=120",
        "cur 3 stable 90%; upd 2 target 10%",
        "cur 90.00% policy, upd 10.00% policy",
    );
    check(
        "A=4 unclamped",
        "cur 3 stable 90%; upd 1 target 10%",
        "cur 90.00% policy, upd 10.00% policy",
    );
}

#[test]
fn a_superseded_revision_bridges_the_gap() {
    check(
        "A=8",
        "v1 3 stable 100%; v2 5 other 0%; v3 0 target 0%",
        "v1 37.50% capacity-capped, v2 62.50% fills-in, v3 0.00% no-endpoints",
    );
    check(
        "A=8",
        "v1 0 stable 100%; v2 3 other 0%; v3 5 target 0%",
        "v1 0.00% no-endpoints, v2 37.50% fills-in, v3 62.50% fills-in",
    );
}

#[test]
fn a_quarantined_revision_keeps_what_nobody_else_can_carry() {
    let (loose, strict) = ("A=75", "A=75 strict");
    let half_gone = "old 26 stable 100%; new 74 quarantined";
    check(
        loose,
        half_gone,
        "old 34.66% capacity-capped, new 65.34% quarantine-overflow",
    );
    check(
        strict,
        half_gone,
        "old 100.00% overload-shared, new 0.00% quarantined",
    );
    check(
        strict,
        "old 0 stable 100%; new 75 quarantined",
        "old 0.00% no-endpoints, new 100.00% quarantine-overflow",
    );
    check(
        "A=8",
        "v1 3 stable 100%; v2 5 quarantined; v3 0 target",
        "v1 37.50% capacity-capped, v2 62.50% quarantine-overflow, v3 0.00% no-endpoints",
    );
    check(
        "A=8",
        "v1 0 stable 100%; v2 3 quarantined; v3 5 target",
        "v1 0.00% no-endpoints, v2 37.50% quarantine-overflow, v3 62.50% fills-in",
    );
}

#[test]
fn an_excluded_version_answers_only_where_nothing_else_is_ready() {
    check(
        "A=10",
        "v1 1 stable 100%; v2 9 excluded",
        "v1 100.00% overload-shared, v2 0.00% excluded",
    );
    check(
        "A=10",
        "v1 0 stable 100%; v2 9 excluded",
        "v1 0.00% no-endpoints, v2 100.00% overload-shared",
    );
}

#[test]
fn capacity_does_not_overflow() {
    let most = Capacity {
        basis: u32::MAX,
        headroom_percent: u32::MAX,
        clamp: true,
    };
    assert_eq!(most.of(u32::MAX), Share::WHOLE);
    assert_eq!(most.of(0), Share::ZERO);
}
