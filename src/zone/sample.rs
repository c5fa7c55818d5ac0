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
mod tests;
