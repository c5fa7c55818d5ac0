//! Samples: which records of a weighted set are in an answer, and which of them comes first.
//!
//! Given the weights of a set's records in circular order, a [`Sampler`] is compiled once; after that [`Sampler::select`]
//! turns a draw into [`Picks`], the indices of the records in answer order. It knows no names, no addresses and no
//! encoding, and it rolls no dice: the draw is an argument.
//!
//! # Why not the order
//!
//! Resolvers shuffle and clients sort, so the order of an answer carries no weight; only the choice of its records does.
//! A client may pick one of them uniformly or take the first, and a weight has to hold for both.
//!
//! ```text
//! u         0     2     4     6     8    10    12
//! record    |        a        |     b     |  c  |      a = 3, b = 2, c = 1, so W = 6; two per answer, so k = 2
//! answer    |    a, b   | a, c|    b, a   | c, a|
//! phase     0           4     0           4     6
//! ```
//!
//! A number `u` in `[0, k*W)` is a point on the circle of all records, where each is as long as `k` times its weight.
//! The answer is what `u` hits, and what the `k - 1` points hit that follow it at distances of `W`: systematic sampling.
//! No record is longer than `W`, so none is hit twice. Which records are hit depends on `u mod W` alone, the *phase*;
//! all phases between two neighbouring borders are one *variant*. `u / W` says which of its records comes first. So a
//! record of weight `w` is in the answer for `k*w` of the `W` phases, and first for `k*w` of the `k*W` numbers, exactly.

#![deny(clippy::indexing_slicing)]

use std::num::NonZero;

use super::draw::pick;

/// The sum of all weights is below `2^TOTAL_BITS`, so that times 255 records (a `u8`) it is below 2^64.
const TOTAL_BITS: u32 = 56;

/// How the answers of one record set are composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// Every record in every answer; where it starts is uniform.
    All {
        /// How many records there are.
        len: u32,
    },
    /// Records of one version only, in every answer.
    Pure(Pure),
    /// Records of all versions, in proportion.
    Mixed(Mixed),
}

/// Chooses a version by its share, then a window of its records that starts anywhere with the same chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pure {
    total: u64,
    count_max: u32,
    runs: Vec<WeightedRun>,
}

/// The records of one version, all of the same weight; `end` is where its stretch of `[0, total)` ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WeightedRun {
    end: u64,
    weight: NonZero<u64>,
    start: u32,
    len: u32,
}

/// All variants of a systematic sample.
///
/// Memory is `records + 2` words or less for each record of the set, because there are no more variants than records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// The sum of all weights, and the distance of the points that hit records.
    step: NonZero<u64>,
    /// How many records an answer has: the module's `k`.
    count: usize,
    /// Where each variant's interval of phases ends, rising; the last one is `step`.
    ends: Vec<u64>,
    /// `count` records for each variant.
    members: Vec<u32>,
}

impl Sampler {
    /// Every one of `len` records, from a uniform start.
    ///
    /// # Panics
    ///
    /// If `len` does not fit in 32 bits; memory ends earlier.
    pub fn all(len: usize) -> Self {
        Self::All { len: index(len) }
    }

    /// Up to `records` records per answer, by systematic sampling; `weights` are those of all records in circular order.
    ///
    /// An answer has `k = min(records, W / w_max)` records, and at least one: a record that deserves half of all picks
    /// of a uniform client cannot be in an answer of more than two.
    ///
    /// Weights are exact as long as their sum is below 2^56. A larger sum is scaled down by a power of two, which is
    /// an error below one in 2^55 of the whole for each record. Records of weight zero are the caller's to leave out, and
    /// a debug build insists; they would never be picked, unless nothing else is there: then all records are equal.
    pub fn mixed(weights: &[u64], records: u8) -> Self {
        debug_assert!(!weights.contains(&0), "records of weight zero are left out");
        let weights = scaled_down(weights);
        let total = weights.iter().sum();
        let weight_max = weights.iter().copied().max().and_then(NonZero::new);
        let (Some(step), Some(weight_max)) = (NonZero::new(total), weight_max) else {
            return Self::all(weights.len());
        };
        let count = u64::from(records).min(total / weight_max).max(1);

        let record_ends: Vec<u64> = running_sums(weights.iter().map(|weight| weight * count));
        // A border between two records is where the last phase of one variant ends and the next one begins. The end of
        // the circle is phase 0, and so `step`, the end of the last variant.
        let mut ends: Vec<u64> = record_ends
            .iter()
            .map(|end| *end % step)
            .filter(|phase| *phase > 0)
            .collect();
        ends.push(total);
        ends.sort_unstable();
        ends.dedup();

        let phases = std::iter::once(0).chain(ends.iter().copied());
        let members = phases
            .take(ends.len())
            .flat_map(|phase| (0..count).map(move |j| phase + j * total))
            .map(|point| index(record_ends.partition_point(|end| *end <= point)))
            .collect();
        Self::Mixed(Mixed {
            step,
            count: count as usize,
            ends,
            members,
        })
    }

    /// Up to `records` records per answer, all of one version.
    ///
    /// Records are ordered by version; `groups` gives for each version how many there are and the version's share, in
    /// any unit. A version without records or without share is never chosen; if no version has a share, all records are
    /// equal. Shares are exact as far as those of [`endpoint_weights`].
    pub fn pure(groups: &[(u32, u64)], records: u8) -> Self {
        let mut weights = weights_per_record(groups.iter().map(|(len, share)| (*share, *len)));
        if weights.iter().all(|weight| *weight == 0) {
            weights.fill(1);
        }
        let mut total = 0;
        let mut start = 0;
        let mut runs = Vec::with_capacity(groups.len());
        for (&(len, _), weight) in groups.iter().zip(weights) {
            if let Some(weight) = NonZero::new(weight) {
                total += weight.get() * u64::from(len);
                runs.push(WeightedRun {
                    end: total,
                    weight,
                    start,
                    len,
                });
            }
            start += len;
        }
        Self::Pure(Pure {
            total,
            count_max: u32::from(records.max(1)),
            runs,
        })
    }

    /// The records of the answer that belongs to the position `x` (of [`draw`](super::draw::draw)), in answer order.
    #[inline]
    pub fn select(&self, x: u64) -> Picks<'_> {
        match self {
            Self::All { len } => Picks(Shape::Window {
                base: 0,
                len: *len,
                next: pick(x, u64::from(*len)) as u32,
                count: *len,
            }),
            Self::Pure(pure) => pure.select(x),
            Self::Mixed(mixed) => mixed.select(x),
        }
    }
}

impl Pure {
    fn select(&self, x: u64) -> Picks<'_> {
        let u = pick(x, self.total);
        let run = self.runs.partition_point(|run| run.end <= u);
        let Some(&WeightedRun {
            end,
            weight,
            start,
            len,
        }) = self.runs.get(run)
        else {
            return Picks::default();
        };
        // Counted from the run's end, which saves keeping its beginning: the last record is `len - 1`.
        let from_end = (end - 1 - u) / weight;
        let first = (len - 1).saturating_sub(from_end as u32);
        Picks(Shape::Window {
            base: start,
            len,
            next: first,
            count: len.min(self.count_max),
        })
    }
}

impl Mixed {
    fn select(&self, x: u64) -> Picks<'_> {
        // Below 2^64: `TOTAL_BITS` and a count below 256.
        let u = pick(x, self.step.get() * self.count as u64);
        let phase = u % self.step;
        let first = (u / self.step) as usize;

        let variant = self.ends.partition_point(|end| *end <= phase);
        let from = variant * self.count;
        let members = self
            .members
            .get(from..from + self.count)
            .unwrap_or_default();
        let (back, front) = members.split_at_checked(first).unwrap_or_default();
        Picks(Shape::List { front, back })
    }
}

/// The records of one answer, as an iterator over their indices in answer order.
///
/// `len()` is how many are left.
#[derive(Clone, Debug, Default)]
pub struct Picks<'a>(Shape<'a>);

#[derive(Clone, Debug)]
enum Shape<'a> {
    /// `count` records of the circle of `len` records from `base`, beginning at its `next`-th.
    Window {
        base: u32,
        len: u32,
        next: u32,
        count: u32,
    },
    /// All of `front`, then all of `back`.
    List { front: &'a [u32], back: &'a [u32] },
}

/// `count` neighbouring records from `start`: bytes that may be copied in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The index of the first record.
    pub start: u32,
    /// How many there are, at least one.
    pub count: u32,
}

impl Picks<'_> {
    /// The record that comes first, if there is any.
    #[inline]
    pub fn first(&self) -> Option<u32> {
        match &self.0 {
            Shape::Window { count: 0, .. } => None,
            Shape::Window { base, next, .. } => Some(base + next),
            Shape::List { front, back } => front.first().or(back.first()).copied(),
        }
    }

    /// The same records as runs of neighbours: at most two of all records or of one version's, at most one for each
    /// record of a mixed answer.
    #[inline]
    pub fn runs(self) -> impl Iterator<Item = Run> {
        let mut rest = self;
        std::iter::from_fn(move || rest.next_run())
    }

    fn next_run(&mut self) -> Option<Run> {
        let start = self.first()?;
        let count = match &mut self.0 {
            Shape::Window {
                len, next, count, ..
            } => {
                let taken = (*count).min(*len - *next);
                *count -= taken;
                *next = 0;
                taken
            }
            Shape::List { .. } => {
                let mut taken = 0;
                while self.first() == Some(start + taken) {
                    self.next();
                    taken += 1;
                }
                taken
            }
        };
        Some(Run { start, count })
    }
}

impl Iterator for Picks<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let record = self.first()?;
        match &mut self.0 {
            Shape::Window {
                len, next, count, ..
            } => {
                *next = if *next + 1 == *len { 0 } else { *next + 1 };
                *count -= 1;
            }
            Shape::List { front, back } => {
                if front.is_empty() {
                    (*front, *back) = (*back, &[]);
                }
                *front = front.split_first().map_or(&[], |(_, rest)| rest);
            }
        }
        Some(record)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Shape::Window { count, .. } => *count as usize,
            Shape::List { front, back } => front.len() + back.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Picks<'_> {}

impl Default for Shape<'_> {
    fn default() -> Self {
        Self::List {
            front: &[],
            back: &[],
        }
    }
}

/// For each version the weight of *one* of its records, from `(share, number of records)` of all versions.
///
/// Weights are in the ratio of `share / number`, as integers without a common divisor; 0 for a version without share or
/// without records. Zero shares are kept apart from small ones: a version with a share has a weight.
///
/// The ratio is exact while the sum of all weights, `lcm(numbers) * sum(shares)` in the worst case, is below 2^56: that
/// is what [`Sampler::mixed`] can multiply by 255 records. Shares in basis points leave 42 bits to the common multiple,
/// enough for any four versions of up to 1600 records each. Beyond that, weights are the nearest integers where the sum
/// is 2^55, and at least 1. A record whose chance is one in 2^24 or more (one of 1600 records that have a basis point
/// between them) is then off by at most 2^-32 of its weight, and a rarer one by at most 2^-55 of the whole.
///
/// ```
/// use shiftdns::zone::sample::endpoint_weights;
///
/// // 90 % on three records and 10 % on one: 30 to 10.
/// assert_eq!(endpoint_weights(&[(9000, 3), (1000, 1)]), [3, 1]);
/// assert_eq!(endpoint_weights(&[(10_000, 3), (0, 1)]), [1, 0]);
/// ```
pub fn endpoint_weights(shares: &[(u32, u32)]) -> Vec<u64> {
    weights_per_record(shares.iter().map(|(share, len)| (u64::from(*share), *len)))
}

/// SRV weights in the ratio of `weights`, from 1 to 65535.
///
/// The smallest unit is 256, because 0 means down to some clients and a small weight loses against RFC 2782's own
/// selection. Where that does not fit, the largest weight becomes 65535 and the others the nearest integer: equal
/// weights stay equal, and none becomes 0.
///
/// ```
/// use shiftdns::zone::sample::srv_weights;
///
/// assert_eq!(srv_weights(&[90, 10]), [2304, 256]);
/// assert_eq!(srv_weights(&[1_000_000, 10, 1]), [65535, 1, 1]);
/// ```
pub fn srv_weights(weights: &[u64]) -> Vec<u16> {
    let divisor = weights
        .iter()
        .fold(0, |divisor, weight| gcd(divisor, u128::from(*weight)));
    let weight_max = weights.iter().copied().max().map_or(0, u128::from);
    if weight_max == 0 {
        return vec![256; weights.len()];
    }
    let largest = u128::from(u16::MAX);
    let exact = 256 * weight_max / divisor <= largest;
    let scaled = |weight| {
        if exact {
            256 * weight / divisor
        } else {
            (2 * largest * weight + weight_max) / (2 * weight_max)
        }
    };
    weights
        .iter()
        .map(|weight| u16::try_from(scaled(u128::from(*weight)).max(1)).unwrap_or(u16::MAX))
        .collect()
}

/// [`endpoint_weights`] for shares in any unit.
fn weights_per_record(shares: impl Iterator<Item = (u64, u32)>) -> Vec<u64> {
    let shares: Vec<(u128, u128)> = shares
        .map(|(share, len)| {
            if len == 0 {
                (0, 1)
            } else {
                (u128::from(share), u128::from(len))
            }
        })
        .collect();
    exact_weights(&shares).unwrap_or_else(|| nearest_weights(&shares))
}

/// `None` if the sum of the weights would pass [`TOTAL_BITS`].
fn exact_weights(shares: &[(u128, u128)]) -> Option<Vec<u64>> {
    let multiple = shares.iter().try_fold(1, |multiple, (share, len)| {
        let denominator = len / gcd(*share, *len);
        denominator.checked_mul(multiple / gcd(multiple, denominator))
    })?;
    let total = shares
        .iter()
        .map(|(share, _)| share)
        .sum::<u128>()
        .checked_mul(multiple)?;
    let weights: Vec<u128> = shares
        .iter()
        .map(|(share, len)| multiple * share / len)
        .collect();
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    if (total / divisor) >> TOTAL_BITS > 0 {
        return None;
    }
    weights
        .iter()
        .map(|weight| u64::try_from(weight / divisor).ok())
        .collect()
}

/// The nearest integers where the sum is `2^(TOTAL_BITS - 1)`, which leaves the other half to what rounding adds.
fn nearest_weights(shares: &[(u128, u128)]) -> Vec<u64> {
    let whole: u128 = shares.iter().map(|(share, _)| share).sum();
    shares
        .iter()
        .map(|(share, len)| match share {
            0 => 0,
            share => ((share << TOTAL_BITS) + len * whole) / (2 * len * whole),
        })
        .zip(shares)
        .map(|(weight, (share, _))| u64::try_from(weight.max((*share).min(1))).unwrap_or(u64::MAX))
        .collect()
}

/// The weights, halved as often as it takes for their sum to be about [`TOTAL_BITS`] long.
fn scaled_down(weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().copied().map(u128::from).sum();
    let excess = (u128::BITS - total.leading_zeros()).saturating_sub(TOTAL_BITS);
    weights
        .iter()
        .map(|weight| (weight >> excess).max((*weight).min(1)))
        .collect()
}

fn running_sums(lengths: impl Iterator<Item = u64>) -> Vec<u64> {
    lengths
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect()
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn index(of: usize) -> u32 {
    u32::try_from(of).expect("a record set has fewer than 2^32 records")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::draw::draw;
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
                let hit =
                    weights
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

        /// A version's chance is its share and its records are first equally often; an answer is a window of them.
        #[test]
        fn pure_gives_every_version_its_exact_share(
            groups in prop::collection::vec((0..=6u32, 0..=20u64), 1..=5),
            records in 1..=8u8,
        ) {
            let whole: u64 = groups.iter().map(|(len, share)| if *len > 0 { *share } else { 0 }).sum();
            prop_assume!(whole > 0);
            let sampler = Sampler::pure(&groups, records);
            let Sampler::Pure(Pure { total, .. }) = sampler else { panic!("{sampler:?} is not pure") };
            let answers = answers(&sampler, total);

            let mut start = 0;
            for (len, share) in groups {
                let window = |first: u32| -> Vec<u32> {
                    (0..len.min(u32::from(records))).map(|i| start + (first + i) % len).collect()
                };
                for first in 0..len {
                    // times / total == share / whole / len
                    let times = answers.iter().filter(|answer| **answer == window(first)).count() as u64;
                    prop_assert_eq!(times * whole * u64::from(len), share * total);
                }
                start += len;
            }
        }

        #[test]
        fn endpoint_weights_are_exact(shares in prop::collection::vec((0..=10_000u32, 1..=1600u32), 1..=4)) {
            let weights = endpoint_weights(&shares);
            for (a, (share_a, len_a)) in weights.iter().zip(&shares) {
                for (b, (share_b, len_b)) in weights.iter().zip(&shares) {
                    prop_assert_eq!(
                        u128::from(*a) * u128::from(*len_a) * u128::from(*share_b),
                        u128::from(*b) * u128::from(*len_b) * u128::from(*share_a)
                    );
                }
            }
            let total: u128 = weights.iter().zip(&shares).map(|(w, (_, len))| u128::from(*w) * u128::from(*len)).sum();
            prop_assert!(total < 1 << TOTAL_BITS);
        }

        /// Too many different numbers of records for a common multiple.
        #[test]
        fn endpoint_weights_are_near_where_they_cannot_be_exact(
            shares in prop::collection::vec((1..=10_000u32, 1..=65_536u32), 20..=40),
        ) {
            let weights = endpoint_weights(&shares);
            let whole: u128 = shares.iter().map(|(share, _)| u128::from(*share)).sum();
            let total: u128 = weights.iter().zip(&shares).map(|(w, (_, len))| u128::from(*w) * u128::from(*len)).sum();
            prop_assert!(total * 255 < 1 << 64);
            for (weight, (share, len)) in weights.iter().zip(&shares) {
                // |weight - 2^55 * share / (len * whole)| <= 1/2
                let (numerator, denominator) = (u128::from(*share) << 55, u128::from(*len) * whole);
                prop_assert!(2 * (u128::from(*weight) * denominator).abs_diff(numerator) <= denominator);
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

        /// Runs are the same records, in the same order.
        #[test]
        fn runs_are_the_picks(
            weights in prop::collection::vec(1..=9u64, 1..=12),
            groups in prop::collection::vec((0..=6u32, 0..=3u64), 0..=4),
            records in 1..=8u8,
            x in any::<u64>(),
        ) {
            let samplers = [
                (Sampler::all(weights.len()), 2),
                (Sampler::pure(&groups, records), 2),
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
        let sampler = Sampler::pure(&[(2, 0), (0, 0), (1, 0)], 8);
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

    #[test]
    fn endpoint_weights_of_nothing_are_zero() {
        assert_eq!(endpoint_weights(&[]), Vec::<u64>::new());
        assert_eq!(endpoint_weights(&[(0, 3), (0, 0)]), [0, 0]);
        assert_eq!(endpoint_weights(&[(9000, 0), (1000, 7)]), [0, 1]);
        assert_eq!(endpoint_weights(&[(u32::MAX, 1), (u32::MAX, 1)]), [1, 1]);
    }

    /// A share that is too small for the approximation is not lost.
    #[test]
    fn endpoint_weights_are_zero_only_without_share() {
        let mut shares = vec![(u32::MAX, 1); 100];
        shares.push((1, u32::MAX - 4));
        assert_eq!(endpoint_weights(&shares).last(), Some(&1));
    }

    #[test]
    fn srv_weights_are_multiples_of_256_while_they_fit() {
        let one_each = endpoint_weights(&[(9000, 1), (1000, 1)]);
        assert_eq!(srv_weights(&one_each), [2304, 256]);
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
}
