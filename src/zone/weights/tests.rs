//! Weights, held to exact arithmetic.

use proptest::prelude::*;

use super::*;

/// Versions as share and factors.
type Versions = Vec<(u64, Vec<u8>)>;

fn check(versions: &[(u64, &[u8])], expected: &[u64]) {
    let groups: Vec<Group<'_>> = versions
        .iter()
        .map(|(share, factors)| Group {
            share: *share,
            factors,
        })
        .collect();
    assert_eq!(record_weights(&groups), expected, "{versions:?}");
}

/// The weights, by version.
fn weights_of(versions: &Versions) -> Vec<Vec<u64>> {
    let groups: Vec<Group<'_>> = versions
        .iter()
        .map(|(share, factors)| Group {
            share: *share,
            factors,
        })
        .collect();
    let mut weights = record_weights(&groups).into_iter();
    versions
        .iter()
        .map(|(_, factors)| weights.by_ref().take(factors.len()).collect())
        .collect()
}

fn sum(of: &[u8]) -> u128 {
    of.iter().copied().map(u128::from).sum()
}

/// Of every record: its weight, and what it ought to be in proportion to, as a fraction.
fn weights_and_parts(versions: &Versions) -> Vec<(u128, u128, u128)> {
    let weights = weights_of(versions);
    let versions = versions.iter().zip(&weights);
    versions
        .flat_map(|((share, factors), weights)| {
            let part = |factor: &u8| u128::from(*share) * u128::from(*factor);
            let sum = sum(factors);
            let both = factors.iter().zip(weights);
            both.map(move |(factor, weight)| (u128::from(*weight), part(factor), sum))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn are_exact(versions: &Versions) -> bool {
    let all = weights_and_parts(versions);
    let (_, first_part, first_sum) = all[0];
    let first = all[0].0;
    all.iter()
        .all(|(weight, part, sum)| weight * first_part * sum == first * part * first_sum)
}

/// Versions of up to `records` records, all with one factor or each with its own.
fn versions(
    shares: std::ops::RangeInclusive<u64>,
    records: usize,
    count: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = Versions> {
    let even = (1..=100u8, 1..=records).prop_map(|(factor, len)| vec![factor; len]);
    let uneven = prop::collection::vec(1..=100u8, 1..=records);
    prop::collection::vec((shares, prop_oneof![even, uneven]), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn weights_of_two_versions_are_exact(versions in versions(1..=10_000, 1000, 1..=2)) {
        prop_assert!(are_exact(&versions));
        let total: u64 = weights_of(&versions).iter().flatten().sum();
        prop_assert!(total < 1 << TOTAL_BITS);
    }

    #[test]
    fn weights_of_four_versions_without_factors_are_exact(
        versions in prop::collection::vec((1..=10_000u64, 1..=100u8, 1..=1600usize), 1..=4),
    ) {
        let versions: Versions = versions
            .into_iter()
            .map(|(share, factor, len)| (share, vec![factor; len]))
            .collect();
        prop_assert!(are_exact(&versions));
    }

    /// Too many different sums for a common multiple: 32 versions of up to 1000 records.
    #[test]
    fn weights_are_near_where_they_cannot_be_exact(versions in versions(1..=10_000, 1000, 20..=32)) {
        let whole: u128 = versions.iter().map(|(share, _)| u128::from(*share)).sum();
        let total: u128 = weights_and_parts(&versions).iter().map(|(weight, ..)| weight).sum();
        prop_assert!(total * 255 < 1 << 64);
        if are_exact(&versions) {
            return Ok(());
        }
        for (weight, part, sum) in weights_and_parts(&versions) {
            // A unit of a factor is off by half, and so is a record by half for each of its units, at most 100:
            // |weight - 2^55 * part / (sum * whole)| <= 50
            let (numerator, denominator) = (part << 55, sum * whole);
            prop_assert!((weight * denominator).abs_diff(numerator) <= 50 * denominator);
        }
    }

    #[test]
    fn srv_weights_are_in_range_and_in_order(weights in prop::collection::vec(1..=u64::MAX, 1..=20)) {
        let srv = srv_weights(&weights);
        for (a, srv_a) in weights.iter().zip(&srv) {
            prop_assert!(*srv_a > 0);
            for (b, srv_b) in weights.iter().zip(&srv) {
                prop_assert!(a != b || srv_a == srv_b);
                prop_assert!(a > b || srv_a <= srv_b);
            }
        }
    }
}

#[test]
fn factors_divide_what_their_version_has() {
    check(&[(100, &[100, 50, 50])], &[2, 1, 1]);
    check(&[(50, &[100, 50]), (50, &[10])], &[2, 1, 3]);
    // Where all are the same, they change nothing.
    check(&[(90, &[7, 7]), (10, &[100])], &[9, 9, 2]);
    check(&[(90, &[100, 100]), (10, &[1])], &[9, 9, 2]);
}

#[test]
fn weights_of_nothing_are_zero() {
    check(&[], &[]);
    check(&[(0, &[9; 3]), (0, &[])], &[0, 0, 0]);
    check(&[(9000, &[]), (1000, &[100; 2])], &[1, 1]);
    check(&[(u64::MAX >> 8, &[1]), (u64::MAX >> 8, &[1])], &[1, 1]);
}

/// A share that is too small for the approximation is not lost.
#[test]
fn weights_are_zero_only_without_share() {
    let mut versions: Versions = vec![(u64::MAX >> 8, vec![100]); 100];
    versions.push((1, vec![100, 99]));
    assert_eq!(weights_of(&versions).last(), Some(&vec![100, 99]));
}

#[test]
fn srv_weights_are_multiples_of_256_while_they_fit() {
    assert_eq!(srv_weights(&[9, 1]), [2304, 256]);
    assert_eq!(srv_weights(&[7, 7, 7]), [256, 256, 256]);
    assert_eq!(srv_weights(&[255, 1]), [65_280, 256]);
}

#[test]
fn srv_weights_beyond_65535_are_scaled() {
    assert_eq!(srv_weights(&[256, 1, 1]), [65_535, 256, 256]);
    assert_eq!(
        srv_weights(&[u64::MAX, 1, u64::MAX, 1]),
        [65_535, 1, 65_535, 1]
    );
}

/// 0 means down to HAProxy: neither a lone zero nor all zeros may come out.
#[test]
fn srv_weights_are_never_zero() {
    assert_eq!(srv_weights(&[0, 0]), [256, 256]);
    assert_eq!(srv_weights(&[0, 5]), [1, 256]);
    assert_eq!(srv_weights(&[]), Vec::<u16>::new());
}
