//! The laws of the weight function: the vectors, the invariants, the worked examples.

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
    let text = include_str!("../../tests/vectors/weights.json");
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
