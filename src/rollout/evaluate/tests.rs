//! Services as text, with the split they get.

use super::*;
use crate::rollout::testing::{minute, view};

fn outcome(services: &str, annotations: &str) -> Outcome {
    let view = view(services, annotations);
    evaluate(&view, &Policy::default(), &Memory::default(), minute(100))
}

fn problems(outcome: &Outcome) -> Vec<&str> {
    outcome.problems.iter().map(|p| &*p.text).collect()
}

/// The split, as hash, share and reason; without problems.
fn check(services: &str, annotations: &str, expected: &str) {
    check_problems(services, annotations, expected, &[]);
}

fn check_problems(services: &str, annotations: &str, expected: &str, expected_problems: &[&str]) {
    let outcome = outcome(services, annotations);
    let split: Vec<String> = outcome
        .versions
        .iter()
        .map(|version| format!("{} {} {}", version.hash, version.share, version.reason))
        .collect();
    assert_eq!(split.join(", "), expected, "{services} | {annotations}");
    assert_eq!(
        problems(&outcome),
        expected_problems,
        "{services} | {annotations}"
    );
}

#[test]
fn without_a_strategy_every_ready_endpoint_counts_the_same() {
    check(
        "v1 rev1 2 ready; v2 rev2 1 ready 5 unready; v3 rev3 4 unready",
        "",
        "v1 66.67% follow, v2 33.33% follow, v3 0.00% no-endpoints",
    );
    check(
        "v1 rev1 3 ready; unversioned 1 ready",
        "",
        "v1 75.00% follow, unversioned 25.00% follow",
    );
    check("", "", "");
    let followed = outcome("v1 rev1 2 ready", "");
    assert!(!followed.weighted);
    assert_eq!(
        (followed.versions[0].policy, followed.versions[0].capacity),
        (None, None)
    );
}

#[test]
fn weights_become_shares() {
    check(
        "v1 rev1 9 ready; v2 rev2 1 ready",
        "weights: v1=90,v2=10",
        "v1 90.00% policy, v2 10.00% policy",
    );
    check(
        "workload web N=3; a rev1 3 ready; b rev2 3 ready; c rev3 3 ready",
        "weights: c=1,b=1,a=1; clamp: off",
        "a 33.34% policy, b 33.33% policy, c 33.33% policy",
    );
    let weighed = outcome("v1 rev1 9 ready; v2 rev2 1 ready", "weights: v1=95,v2=5");
    assert!(weighed.weighted);
    let v2 = &weighed.versions[1];
    let shares = [v2.policy, v2.capacity].map(|share| share.map(|s| s.to_string()));
    assert_eq!(
        shares,
        [Some("5.00%".to_owned()), Some("10.00%".to_owned())]
    );
    assert_eq!(
        v2.share.to_string(),
        "10.00%",
        "v1 carries at most nine tenths"
    );
}

#[test]
fn a_share_is_limited_by_what_ready_endpoints_carry() {
    // Ten pods wanted, two may be missing: eight carry the whole load.
    let wanted = "workload web N=10 unavailable=2; v1 rev1 8 ready; v2 rev2 2 ready";
    let weights = "weights: v1=1,v2=1";
    check(
        wanted,
        weights,
        "v1 75.00% fills-in, v2 25.00% capacity-capped",
    );
    check(
        wanted,
        &format!("headroom: 200; {weights}"),
        "v1 50.00% policy, v2 50.00% policy",
    );
    check(
        wanted,
        &format!("clamp: off; {weights}"),
        "v1 50.00% policy, v2 50.00% policy",
    );
    check(
        "workload web N=10; v1 rev1 1 ready; v2 rev2 3 ready",
        weights,
        "v1 25.00% overload-shared, v2 75.00% overload-shared",
    );
    let unclamped = outcome(wanted, "clamp: off; weights: v1=1,v2=1");
    assert_eq!(unclamped.versions[0].capacity, None);
}

#[test]
fn several_workloads_carry_the_load_together() {
    let two = "workload blue N=6; v1 rev1 6 ready; workload green N=4; v2 rev1 4 ready";
    check(
        two,
        "weights: v1=9,v2=1",
        "v1 60.00% capacity-capped, v2 40.00% fills-in",
    );
    // One that is scaled to nothing declares nothing; what has no workload is as large as it is.
    let idle =
        "workload blue N=0; v1 rev1 0 ready; workload green N=4; v2 rev1 4 ready; v3 bare 4 ready";
    check(
        idle,
        "weights: v2=1,v3=1",
        "v1 0.00% no-endpoints, v2 50.00% policy, v3 50.00% policy",
    );
}

#[test]
fn stable_fills_in_first_then_newer_ones_and_the_target_last() {
    let services = "workload web N=10 unavailable=0; v1 rev1 2 ready; v2 rev2 2 ready; v3 rev3 5 ready; \
                    v4 rev4 3 ready; v5 rev5 6 ready";
    // v3 has most ready endpoints beside the target: it is the stable one.
    check(
        services,
        "weights: v1=1,v2=0,v3=0,v4=1,v5=1",
        "v1 20.00% capacity-capped, v2 0.00% excluded, v3 0.00% excluded, v4 30.00% capacity-capped, \
         v5 50.00% fills-in",
    );
    let names: Vec<u32> = {
        let view = view(services, "");
        let evaluated = evaluate(&view, &Policy::default(), &Memory::default(), minute(0));
        let revisions = view.revisions.iter();
        let newness: Vec<_> = revisions.map(|r| (r.number, r.created)).collect();
        split::fill_orders(&evaluated.versions, &newness)
    };
    assert_eq!(names, [5, 4, 0, 2, u32::MAX]);
}

#[test]
fn what_is_not_listed_is_left_out() {
    check(
        "v1 rev1 2 ready; v2 rev2 2 ready; v3 rev3 2 ready; unversioned 1 ready",
        "clamp: off; weights: v1=1,v2=0",
        "v1 100.00% policy, v2 0.00% excluded, v3 0.00% excluded, unversioned 0.00% excluded",
    );
    let two = outcome(
        "v1 rev1 2 ready; v2 rev2 2 ready; v3 rev3 2 ready",
        "weights: v1=1,v2=0",
    );
    let policies: Vec<Option<Share>> = two.versions.iter().map(|v| v.policy).collect();
    assert_eq!(policies, [Some(Share::WHOLE), Some(Share::ZERO), None]);
    // Unless nothing else is ready.
    check(
        "v1 rev1 2 unready; v2 rev2 2 ready",
        "weights: v1=1",
        "v1 0.00% no-endpoints, v2 100.00% overload-shared",
    );
}

#[test]
fn a_weight_names_a_version_by_hash_alias_or_label() {
    let services = "2.0.1 rev1 hash=aaa 1 ready; 2.0.2 rev2 hash=bbb 1 ready";
    for weights in ["aaa=3,bbb=1", "2-0-1=3,2-0-2=1", "2.0.1=3,2.0.2=1"] {
        let annotations = format!("clamp: off; weights: {weights}");
        check(
            services,
            &annotations,
            "aaa 75.00% policy, bbb 25.00% policy",
        );
    }
}

#[test]
fn a_label_is_divided_among_its_revisions_by_their_ready_endpoints() {
    let weights = "clamp: off; weights: v1=90,v2=10";
    check(
        "v1 rev1 hash=aaa 1 ready; v1 rev2 hash=bbb 2 ready; v2 rev3 hash=ccc 1 ready",
        weights,
        "aaa 30.00% policy, bbb 60.00% policy, ccc 10.00% policy",
    );
    // The newest has the wish while none is ready; it lands on v2 until then.
    let waiting =
        "v1 rev1 hash=aaa 1 unready; v1 rev2 hash=bbb 1 unready; v2 rev3 hash=ccc 1 ready";
    check(
        waiting,
        weights,
        "aaa 0.00% no-endpoints, bbb 0.00% no-endpoints, ccc 100.00% fills-in",
    );
    let policies: Vec<String> = outcome(waiting, weights)
        .versions
        .iter()
        .map(|version| {
            version
                .policy
                .map_or("-".to_owned(), |share| share.to_string())
        })
        .collect();
    assert_eq!(policies, ["0.00%", "90.00%", "10.00%"]);
}

#[test]
fn the_most_exact_name_takes_a_version() {
    let services = "v1 rev1 hash=aaa 1 ready; v1 rev2 hash=bbb 1 ready";
    let clamp_off = |weights: &str| format!("clamp: off; weights: {weights}");
    check(
        services,
        &clamp_off("v1=90,bbb=10"),
        "aaa 90.00% policy, bbb 10.00% policy",
    );
    check(
        services,
        &clamp_off("v1=90,bbb=0"),
        "aaa 100.00% policy, bbb 0.00% excluded",
    );
    check_problems(
        services,
        &clamp_off("aaa=1,bbb=1,v1=8"),
        "aaa 50.00% policy, bbb 50.00% policy",
        &["weights: other entries name all of `v1` more exactly"],
    );
}

#[test]
fn an_unknown_version_is_told_and_the_known_ones_share() {
    let services = "v1 rev1 1 ready; v2 rev2 1 ready";
    check_problems(
        services,
        "clamp: off; weights: v1=3,v2=1,v9=4",
        "v1 75.00% policy, v2 25.00% policy",
        &["weights: no version `v9` behind this service; known: v1, v2"],
    );
    check_problems(
        services,
        "weights: v1=0,v9=4",
        "v1 50.00% follow, v2 50.00% follow",
        &[
            "weights: no version `v9` behind this service; known: v1, v2",
            "weights: no version with a weight above 0 is there; every ready endpoint counts the same",
        ],
    );
    let many: Vec<String> = (10..20).map(|n| format!("v{n} rev{n} 1 ready")).collect();
    let got = outcome(&many.join("; "), "weights: v10=1,v9=1");
    assert_eq!(
        problems(&got),
        [
            "weights: no version `v9` behind this service; known: v10, v11, v12, v13, v14, v15, v16, v17 and 2 more"
        ]
    );
    check_problems(
        "",
        "weights: v1=1",
        "",
        &[
            "weights: no version `v1` behind this service; known: none",
            "weights: no version with a weight above 0 is there; every ready endpoint counts the same",
        ],
    );
}

#[test]
fn backends_are_versions_of_their_own() {
    let services = "service clusterip; web-blue bare 2 ready; web-green bare 1 ready";
    check(
        services,
        "backends: web-blue=3,web-green=1",
        "web-blue 75.00% policy, web-green 25.00% policy",
    );
    check_problems(
        services,
        "backends: web-blue=1,web-red=1",
        "web-blue 100.00% policy, web-green 0.00% excluded",
        &["backends: no version `web-red` behind this service; known: web-blue, web-green"],
    );
}

#[test]
fn a_dual_stack_pod_is_one_target() {
    check(
        "v1 rev1 dual 1 ready; v2 rev2 1 ready",
        "",
        "v1 50.00% follow, v2 50.00% follow",
    );
    let dual = outcome("v1 rev1 dual 3 ready", "");
    assert_eq!(
        (dual.versions[0].ready, dual.endpoint_versions.len()),
        (3, 6)
    );
}

#[test]
fn a_family_without_a_version_is_told() {
    check_problems(
        "v1 rev1 dual 1 ready; v2 rev2 1 ready",
        "weights: v1=1,v2=1",
        "v1 50.00% policy, v2 50.00% policy",
        &["no IPv6 address in version v2; its AAAA share goes to the others"],
    );
    check_problems(
        "v1 rev1 dual 1 ready; v2 rev2 v6 1 ready; v3 rev3 1 ready",
        "weights: v1=1,v2=1,v3=0; clamp: off",
        "v1 50.00% policy, v2 50.00% policy, v3 0.00% excluded",
        &["no IPv4 address in version v2; its A share goes to the others"],
    );
    check(
        "v1 rev1 dual 1 ready; v2 rev2 1 ready",
        "",
        "v1 50.00% follow, v2 50.00% follow",
    );
}

#[test]
fn terminating_endpoints_are_the_last_resort() {
    let check = |services, basis, expected: &[bool]| {
        let view = view(services, "");
        let outcome = evaluate(&view, &Policy::default(), &Memory::default(), minute(0));
        let counting: Vec<bool> = view.endpoints.iter().map(|e| outcome.counts(e)).collect();
        assert_eq!((outcome.basis, &*counting), (basis, expected), "{services}");
    };
    check(
        "v1 rev1 1 ready 1 unready 1 terminating",
        Basis::Ready,
        &[true, false, false],
    );
    check(
        "v1 rev1 1 unready 1 terminating",
        Basis::Terminating,
        &[false, true],
    );
    check("v1 rev1 1 unready", Basis::Nothing, &[false]);
    check(
        "service publish; v1 rev1 1 ready 1 unready 1 terminating",
        Basis::Ready,
        &[true, true, true],
    );
    let last = outcome("v1 rev1 1 unready 2 terminating", "");
    assert_eq!(
        (last.state, last.versions[0].ready),
        (State::Unavailable, 2)
    );
}

#[test]
fn a_state_is_dated_by_its_first_evaluation() {
    let still = view("v1 rev1 1 ready", "");
    let rolls = view("v1 rev1 1 ready; v2 rev2 1 ready", "");
    let at = |view: &ServiceView, memory: &Memory, minutes| {
        evaluate(view, &Policy::default(), memory, minute(minutes))
    };
    let first = at(&still, &Memory::default(), 1);
    assert_eq!(first.since, minute(1));
    let second = at(&still, &first.memory, 2);
    assert_eq!((second.since, &second.memory), (minute(1), &first.memory));
    let third = at(&rolls, &second.memory, 3);
    assert_eq!(
        (third.since, third.memory.since),
        (minute(3), Some(minute(3)))
    );
}

#[test]
fn a_malformed_policy_keeps_the_last_split() {
    let services = "v1 rev1 9 ready; v2 rev2 1 ready";
    let good = outcome(services, "weights: v1=100,v2=0; clamp: off");
    let bad = view(services, "weights: v1=100%; clamp: off");
    let kept = evaluate(&bad, &Policy::default(), &good.memory, minute(200));
    assert_eq!(kept.versions, good.versions);
    assert_eq!(kept.memory, good.memory);
    assert_eq!(kept.problems.len(), 1);
}

mod properties {
    use proptest::prelude::{ProptestConfig, prop_assert_eq};
    use proptest::proptest;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_shares_sum_to_the_whole_iff_anything_counts(
            pods in proptest::collection::vec((0..9u32, 0..3u32, 0..3u32), 0..5),
            wanted in 0..20u32,
            key in "weights|backends|strategy|records|headroom|clamp|ttl|x{0,2}",
            value in "v[0-4]=[0-9]{1,3}(,v[0-4]=[0-9]{1,2}){0,3}|manual|follow|[0-9]{1,4}|off|\\PC{0,9}",
            weights in "v[0-4]=[0-9]{1,3}(,v[5-9]=[0-9]{1,2}){0,1}",
        ) {
            let versions: Vec<String> = pods.iter().enumerate().map(|(n, (ready, unready, terminating))| {
                format!("v{n} rev{n} {ready} ready {unready} unready {terminating} terminating")
            }).collect();
            let text = format!("workload web N={wanted}; {}", versions.join("; "));
            let view = view(&text, &format!("weights: {weights}; {key}: {value}"));
            let first = evaluate(&view, &Policy::default(), &Memory::default(), minute(1));
            let sum: u16 = first.versions.iter().map(|v| v.share.basis_points()).sum();
            prop_assert_eq!(sum, if first.basis == Basis::Nothing { 0 } else { 10_000 });
            // The same again, remembered, changes nothing.
            let second = evaluate(&view, &Policy::default(), &first.memory, minute(1));
            prop_assert_eq!(second, first);
        }
    }
}
