//! Samples, held to exact arithmetic.

use proptest::prelude::*;

use super::super::draw::draw;
use super::super::weights::record_weights;
use super::*;

/// The smallest position that `pick` scales to `u`.
fn position(u: u64, total: u64) -> u64 {
    let x = (u128::from(u) << 64).div_ceil(u128::from(total));
    u64::try_from(x).expect("`u` is below `total`")
}

/// The first and the last position that `pick` scales to `u`.
fn positions(u: u64, total: u64) -> [u64; 2] {
    let last = if u + 1 == total {
        u64::MAX
    } else {
        position(u + 1, total) - 1
    };
    [position(u, total), last]
}

fn answer(sampler: &Sampler, x: u64) -> Vec<u32> {
    sampler.select(x).collect()
}

/// The answers for every `u` in `[0, total)`, each asked for at both ends of its positions.
fn answers(sampler: &Sampler, total: u64) -> Vec<Vec<u32>> {
    (0..total)
        .map(|u| {
            let [from_first, from_last] = positions(u, total).map(|x| answer(sampler, x));
            assert_eq!(from_first, from_last);
            from_first
        })
        .collect()
}

fn compile_mixed(weights: &[u64], records: u8) -> Mixed {
    match Sampler::mixed(weights, records) {
        Sampler::Mixed(mixed) => mixed,
        other => panic!("{other:?} is not mixed"),
    }
}

/// The definition, without a table: what `u` and the points that follow it hit, by walking along the circle.
fn hits(weights: &[u64], count: u64, u: u64) -> Vec<u32> {
    let step: u64 = weights.iter().sum();
    (0..count)
        .map(|j| {
            let mut left = (u + j * step) % (step * count);
            let hit = weights
                .iter()
                .position(|weight| match left.checked_sub(weight * count) {
                    Some(beyond) => {
                        left = beyond;
                        false
                    }
                    None => true,
                });
            hit.expect("the point is on the circle") as u32
        })
        .collect()
}

/// Versions as share and factors: up to `max` of them, of up to six records, of three where they differ; small numbers, so that every point of the
/// whole circle can be asked for.
fn groups(max: usize) -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
    let factors = prop_oneof![
        (1..=100u8, 0..=6usize).prop_map(|(factor, len)| vec![factor; len]),
        prop::collection::vec(1..=3u8, 0..=3)
            .prop_map(|parts| parts.iter().map(|p| p * 25).collect()),
    ];
    prop::collection::vec((0..=6u64, factors), 0..=max)
}

fn borrowed(groups: &[(u64, Vec<u8>)]) -> Vec<Group<'_>> {
    groups
        .iter()
        .map(|(share, factors)| Group {
            share: *share,
            factors,
        })
        .collect()
}

#[test]
fn all_starts_everywhere_equally_often() {
    let sampler = Sampler::all(4);
    assert_eq!(
        answers(&sampler, 4),
        [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]]
    );
}

#[test]
fn all_of_nothing_is_nothing() {
    assert_eq!(answer(&Sampler::all(0), u64::MAX), Vec::<u32>::new());
    assert_eq!(Sampler::all(0).select(0).first(), None);
    assert_eq!(Sampler::mixed(&[], 8), Sampler::all(0));
    assert_eq!(answer(&Sampler::pure(&[], 8), u64::MAX), Vec::<u32>::new());
}

/// The picture at the top of the module.
#[test]
fn mixed_answers_are_those_of_the_picture() {
    let sampler = Sampler::mixed(&[3, 2, 1], 2);
    let [ab, ac, ba, ca] = [[0, 1], [0, 2], [1, 0], [2, 0]];
    assert_eq!(
        answers(&sampler, 12),
        [ab, ab, ab, ab, ac, ac, ba, ba, ba, ba, ca, ca]
    );
}

/// One record of 90 % fits into no answer of two: a uniform client would give it half.
#[test]
fn mixed_answers_are_short_where_one_record_is_heavy() {
    assert_eq!(compile_mixed(&[90, 10], 8).count, 1);
    assert_eq!(compile_mixed(&[50, 50], 8).count, 2);
    assert_eq!(compile_mixed(&[1; 20], 8).count, 8);
    assert_eq!(compile_mixed(&[1; 20], 0).count, 1);
}

#[test]
fn equal_records_alternate_in_windows() {
    assert_eq!(compile_mixed(&[5; 6], 3).members, [0, 2, 4, 1, 3, 5]);
    assert_eq!(compile_mixed(&[5; 3], 3).members, [0, 1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Over all phases of all variants, record `i` is in the answer for `k * w_i` of `W` phases; over all `u`, it is
    /// first for `k * w_i` of `k * W`.
    #[test]
    fn mixed_gives_every_record_its_exact_share(
        weights in prop::collection::vec(1..=1_000_000u64, 1..=40),
        records in 1..=8u8,
    ) {
        let total: u64 = weights.iter().sum();
        let mixed = compile_mixed(&weights, records);
        let k = mixed.count as u64;
        prop_assert_eq!(k, u64::from(records).min(total / weights.iter().max().unwrap()).max(1));
        prop_assert!(mixed.ends.len() <= weights.len());
        prop_assert_eq!(mixed.members.len(), mixed.ends.len() * mixed.count);

        let sampler = Sampler::Mixed(mixed.clone());
        let mut included = vec![0; weights.len()];
        let mut first = vec![0; weights.len()];
        let mut begin = 0;
        for end in &mixed.ends {
            for j in 0..k {
                let answer = answer(&sampler, position(begin + j * total, k * total));
                first[answer[0] as usize] += end - begin;
                let mut distinct = answer.clone();
                distinct.sort_unstable();
                distinct.dedup();
                prop_assert_eq!(distinct.len() as u64, k);
                if j == 0 {
                    for record in answer {
                        included[record as usize] += end - begin;
                    }
                }
            }
            begin = *end;
        }
        prop_assert_eq!(begin, total);
        for (i, weight) in weights.iter().enumerate() {
            // included / W == k * w / W, and first / (k * W) == w / W.
            prop_assert_eq!(u128::from(included[i]) * u128::from(total), u128::from(k * weight) * u128::from(total));
            prop_assert_eq!(u128::from(first[i]) * u128::from(total), u128::from(*weight) * u128::from(k * total));
        }
    }

    /// Around every border of every variant, the table says what the definition says.
    #[test]
    fn mixed_borders_are_where_the_definition_has_them(
        weights in prop::collection::vec(1..=1_000_000u64, 1..=40),
        records in 1..=8u8,
    ) {
        let total: u64 = weights.iter().sum();
        let mixed = compile_mixed(&weights, records);
        let k = mixed.count as u64;
        let ends = mixed.ends.clone();
        let sampler = Sampler::Mixed(mixed);
        for j in 0..k {
            for end in &ends {
                let border = j * total + end;
                for u in [border - 1, border % (k * total), (border + 1) % (k * total)] {
                    for x in positions(u, k * total) {
                        prop_assert_eq!(answer(&sampler, x), hits(&weights, k, u));
                    }
                }
            }
        }
    }

    /// Small circles as a whole: every `u`, nothing left out.
    #[test]
    fn mixed_agrees_with_its_definition_everywhere(
        weights in prop::collection::vec(1..=12u64, 1..=8),
        records in 1..=8u8,
    ) {
        let mixed = compile_mixed(&weights, records);
        let (k, total) = (mixed.count as u64, mixed.step.get() * mixed.count as u64);
        for (u, answer) in answers(&Sampler::Mixed(mixed), total).into_iter().enumerate() {
            prop_assert_eq!(answer, hits(&weights, k, u as u64));
        }
    }

    /// A version's chance is its share, and a record's its factor's part of that; an answer is of one version. Records
    /// that weigh the same are a window of their version's, others what the definition of a mixed answer hits.
    #[test]
    fn pure_gives_every_record_its_exact_share(
        groups in groups(3),
        records in 1..=8u8,
    ) {
        let whole: u64 = groups.iter().map(|(share, factors)| if factors.is_empty() { 0 } else { *share }).sum();
        prop_assume!(whole > 0);
        let sampler = Sampler::pure(&borrowed(&groups), records);
        let Sampler::Pure(Pure { total, .. }) = sampler else { panic!("{sampler:?} is not pure") };
        let answers = answers(&sampler, total);

        let mut start = 0;
        for (share, factors) in groups {
            let len = factors.len() as u32;
            let sum: u64 = factors.iter().copied().map(u64::from).sum();
            let is_even = factors.windows(2).all(|pair| pair[0] == pair[1]);
            let of_version: Vec<&Vec<u32>> =
                answers.iter().filter(|answer| (start..start + len).contains(&answer[0])).collect();
            let count = u64::from(records).min(factors.iter().max().map_or(0, |max| sum / u64::from(*max))).max(1);
            for answer in &of_version {
                prop_assert_eq!(answer.len() as u64, count);
                prop_assert!(answer.iter().all(|record| (start..start + len).contains(record)));
                prop_assert_eq!(answer.iter().collect::<std::collections::BTreeSet<_>>().len() as u64, count);
                let window = (0..answer.len() as u32).map(|i| start + (answer[0] - start + i) % len);
                prop_assert!(!is_even || answer.iter().copied().eq(window));
            }
            for (record, factor) in (start..).zip(&factors) {
                // times / total == share / whole * factor / sum; and k times that are included.
                let first = of_version.iter().filter(|answer| answer[0] == record).count() as u64;
                let included = of_version.iter().filter(|answer| answer.contains(&record)).count() as u64;
                prop_assert_eq!(first * whole * sum, share * u64::from(*factor) * total);
                prop_assert_eq!(included, first * count);
            }
            start += len;
        }
    }

    /// Runs are the same records, in the same order.
    #[test]
    fn runs_are_the_picks(
        weights in prop::collection::vec(1..=9u64, 1..=12),
        groups in groups(3),
        records in 1..=8u8,
        x in any::<u64>(),
    ) {
        let samplers = [
            (Sampler::all(weights.len()), 2),
            (Sampler::pure(&borrowed(&groups), records), usize::from(records).max(2)),
            (Sampler::mixed(&weights, records), usize::from(records)),
        ];
        for (sampler, runs_max) in samplers {
            let picks = sampler.select(x);
            let runs: Vec<Run> = picks.clone().runs().collect();
            prop_assert!(runs.len() <= runs_max);
            prop_assert_eq!(picks.first(), runs.first().map(|run| run.start));
            prop_assert_eq!(picks.len(), runs.iter().map(|run| run.count as usize).sum::<usize>());
            let records: Vec<u32> = runs.iter().flat_map(|run| run.start..run.start + run.count).collect();
            prop_assert_eq!(picks.collect::<Vec<u32>>(), records);
        }
    }
}

/// With the draw, first records are as near to their weights as the draw is, and inclusions `k` times that.
#[test]
fn mixed_counts_stay_near_their_weights() {
    let weights = [9, 9, 9, 9, 9, 9, 2, 2, 2];
    let sampler = Sampler::mixed(&weights, 4);
    let total: u64 = weights.iter().sum();
    let (mut first, mut included) = ([0u64; 9], [0u64; 9]);
    for i in 0..50_000 {
        let picks = sampler.select(draw(11, i));
        first[picks.first().unwrap() as usize] += 1;
        picks.for_each(|record| included[record as usize] += 1);
        for (record, weight) in weights.iter().enumerate() {
            assert!((first[record] * total).abs_diff((i + 1) * weight) <= 8 * total);
            assert!((included[record] * total).abs_diff((i + 1) * 4 * weight) <= 4 * 8 * total);
        }
    }
}

#[test]
fn pure_without_shares_gives_every_record_the_same() {
    let groups = [(0, vec![9; 2]), (0, vec![]), (0, vec![5])];
    let sampler = Sampler::pure(&borrowed(&groups), 8);
    assert_eq!(answers(&sampler, 3), [vec![0, 1], vec![1, 0], vec![2]]);
}

/// Sums at and far beyond the bound, with as many records as there can be.
#[test]
fn mixed_scales_large_weights_down() {
    let half = 1 << (TOTAL_BITS - 1);
    for (weights, count) in [
        (vec![half, half - 1], 1),
        (vec![half, half], 2),
        (vec![u64::MAX, 1], 1),
        (vec![u64::MAX; 300], 255),
        (vec![(1 << TOTAL_BITS) / 255; 255], 255),
    ] {
        let mixed = compile_mixed(&weights, u8::MAX);
        assert_eq!(mixed.count, count);
        let total = mixed.step.get().checked_mul(count as u64);
        let sampler = Sampler::Mixed(mixed);
        let total = total.expect("the whole circle fits in 64 bits");
        for u in [0, total / 2, total - 1] {
            assert_eq!(answer(&sampler, position(u, total)).len(), count);
        }
    }
    assert_eq!(answer(&Sampler::mixed(&[1 << 63; 2], 2), 0), [0, 1]);
    assert_eq!(answer(&Sampler::mixed(&[1 << 63; 2], 2), 1 << 63), [1, 0]);
}

#[test]
#[should_panic(expected = "records of weight zero are left out")]
#[cfg(debug_assertions)]
fn mixed_wants_zero_weights_left_out() {
    Sampler::mixed(&[1, 0], 8);
}

/// Nine tenths on three endpoints of which one has just come, a tenth on one: by enumeration, each is in the answer and
/// first by exactly its part.
#[test]
fn mixed_divides_a_share_by_factors() {
    let groups = [(9000, vec![100, 100, 50]), (1000, vec![30])];
    let weights = record_weights(&borrowed(&groups));
    assert_eq!(weights, [18, 18, 9, 5]);
    let answers = answers(&Sampler::mixed(&weights, 2), 100);
    for (record, part) in [(0, 36), (1, 36), (2, 18), (3, 10)] {
        let first = answers.iter().filter(|answer| answer[0] == record);
        assert_eq!(first.count(), part, "record {record}");
        let included = answers.iter().filter(|answer| answer.contains(&record));
        assert_eq!(included.count(), 2 * part, "record {record}");
    }
}
