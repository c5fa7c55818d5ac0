//! The invariants of the weight function, over random versions and capacities.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq};
use proptest::proptest;

use super::*;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn any_class() -> impl Strategy<Value = Class> {
    prop::sample::select(vec![
        Class::Normal,
        Class::Target,
        Class::Quarantined,
        Class::Excluded,
    ])
}

/// Candidates whose wishes sum to the whole over those that may have one.
fn any_candidates() -> impl Strategy<Value = Vec<Candidate<'static>>> {
    let one = (any_class(), 0..20u32, 0..=20u32, 0..4u32, 0..100u64);
    vec(one, 1..=NAMES.len()).prop_map(|drawn| {
        let weights: Vec<(&str, u64)> = drawn
            .iter()
            .zip(NAMES)
            .map(|((class, .., weight), name)| match class {
                Class::Normal | Class::Target => (name, *weight),
                Class::Quarantined | Class::Excluded => (name, 0),
            })
            .collect();
        let wants = apportion(10_000, &weights);
        drawn
            .into_iter()
            .zip(NAMES)
            .zip(wants)
            .map(
                |(((class, ready, soaked, order, _), name), want)| Candidate {
                    name,
                    ready,
                    soaked: soaked.min(ready),
                    order: order + if class == Class::Target { 100 } else { 0 },
                    class,
                    want: Share::from_basis_points(want),
                    uncapped: false,
                },
            )
            .collect()
    })
}

fn any_capacity() -> impl Strategy<Value = Capacity> {
    (0..60u32, 1..300u32, any::<bool>()).prop_map(|(basis, headroom_percent, clamp)| Capacity {
        basis,
        headroom_percent,
        clamp,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_sum_to_the_whole_iff_anything_is_ready(
        candidates in any_candidates(), capacity in any_capacity(), strict: bool,
    ) {
        let sum: u16 = shares(&candidates, &capacity, strict).iter().map(|(s, _)| s.basis_points()).sum();
        let any_ready = candidates.iter().any(|c| c.ready > 0);
        prop_assert_eq!(sum, if any_ready { 10_000 } else { 0 });
    }

    #[test]
    fn an_excluded_version_has_nothing_while_anything_else_is_ready(
        candidates in any_candidates(), capacity in any_capacity(),
    ) {
        let other = candidates.iter().any(|c| c.ready > 0 && c.class != Class::Excluded);
        for (candidate, (share, _)) in candidates.iter().zip(shares(&candidates, &capacity, false)) {
            if other && candidate.class == Class::Excluded {
                prop_assert_eq!(share, Share::ZERO);
            }
        }
    }

    #[test]
    fn without_a_ready_endpoint_there_is_no_share(
        candidates in any_candidates(), capacity in any_capacity(), strict: bool,
    ) {
        for (candidate, (share, reason)) in candidates.iter().zip(shares(&candidates, &capacity, strict)) {
            prop_assert_eq!(candidate.ready == 0, reason == Reason::NoEndpoints);
            prop_assert!(candidate.ready > 0 || share == Share::ZERO);
        }
    }

    #[test]
    fn nobody_is_above_capacity_unless_all_are_overloaded_alike(
        candidates in any_candidates(), capacity in any_capacity(), strict: bool,
    ) {
        let got = shares(&candidates, &capacity, strict);
        let sharing: u64 = candidates
            .iter()
            .zip(&got)
            .filter(|(_, (_, reason))| *reason == Reason::OverloadShared)
            .map(|(candidate, _)| u64::from(candidate.ready))
            .sum();
        for (candidate, (share, reason)) in candidates.iter().zip(got) {
            if reason == Reason::OverloadShared {
                let exact = 10_000 * u64::from(candidate.ready);
                let difference = exact.abs_diff(basis_points(share) * sharing);
                prop_assert!(difference < sharing, "{} of {exact}/{sharing}", share);
            } else {
                prop_assert!(share <= capacity.of(candidate.ready));
            }
        }
    }

    #[test]
    fn the_target_never_loses_by_a_larger_wish(
        candidates in any_candidates(), capacity in any_capacity(), strict: bool,
        wishes in (0..=10_000u64, 0..=10_000u64), soaked in 0..20u32,
    ) {
        let with = |wish: u64| {
            let mut candidates: Vec<_> = candidates.clone();
            for candidate in &mut candidates {
                candidate.want = Share::ZERO;
                if candidate.class == Class::Target {
                    candidate.class = Class::Normal;
                }
            }
            let role = |name, class, want, order| Candidate {
                name, ready: soaked + 1, soaked, order, class,
                want: Share::from_basis_points(want), uncapped: false,
            };
            candidates.push(role("stable", Class::Normal, 10_000 - wish, 0));
            candidates.push(role("target", Class::Target, wish, 200));
            shares(&candidates, &capacity, strict).last().map(|(share, _)| *share)
        };
        let (one, other) = wishes;
        prop_assert!(with(one.min(other)) <= with(one.max(other)));
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        candidates in any_candidates(), capacity in any_capacity(), strict: bool, turn in 0..6usize,
    ) {
        let expected: BTreeMap<_, _> =
            candidates.iter().map(|c| c.name).zip(shares(&candidates, &capacity, strict)).collect();
        let mut turned = candidates.clone();
        turned.rotate_left(turn % candidates.len());
        turned[..candidates.len() / 2].reverse();
        let got: BTreeMap<_, _> =
            turned.iter().map(|c| c.name).zip(shares(&turned, &capacity, strict)).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_quarantined_version_carries_only_what_is_beyond_all_others(
        candidates in any_candidates(), capacity in any_capacity(), strict: bool,
    ) {
        let got = shares(&candidates, &capacity, strict);
        let overflow = candidates.iter().zip(&got).any(|(candidate, (share, reason))| {
            candidate.class == Class::Quarantined
                && *share > Share::ZERO
                && *reason != Reason::OverloadShared
        });
        for (candidate, (share, _)) in candidates.iter().zip(&got) {
            if overflow && candidate.takes_part() {
                prop_assert_eq!(*share, capacity.of(candidate.ready));
            }
        }
    }
}
