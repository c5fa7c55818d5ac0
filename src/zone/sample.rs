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
use super::weights::{Group, TOTAL_BITS, weights_per_piece};

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

/// Chooses a version by its share, then a window of its records that starts anywhere with the same chance; or, where
/// its records differ in weight, a systematic sample of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pure {
    total: u64,
    count_max: u32,
    runs: Vec<WeightedRun>,
}

/// The records of one version; `end` is where its stretch of `[0, total)` ends, which is cut into pieces of `weight`.
/// A piece is a record, or a point of the `circle` of those that differ in weight.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WeightedRun {
    end: u64,
    weight: NonZero<u64>,
    start: u32,
    len: u32,
    circle: Option<Box<Mixed>>,
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
        match Mixed::new(weights, records, 0) {
            Some(mixed) => Self::Mixed(mixed),
            None => Self::all(weights.len()),
        }
    }

    /// Up to `records` records per answer, all of one version.
    ///
    /// Records are ordered by version; `groups` tells each version's. A version without records or without share is
    /// never chosen; if no version has a share, they are all taken to have one by their size. Shares are exact as far
    /// as [`record_weights`](super::weights::record_weights) are; of a version whose records differ, the pieces are as many as its answer has records
    /// times the sum of their factors, 800,000 for a thousand records with factors up to 100.
    pub fn pure(groups: &[Group<'_>], records: u8) -> Self {
        let circles: Vec<Option<Mixed>> = groups
            .iter()
            .zip(starts(groups))
            .map(|(group, start)| {
                let parts: Vec<u64> = group.parts().collect();
                (!group.is_even())
                    .then(|| Mixed::new(&parts, records, start))
                    .flatten()
            })
            .collect();
        let pieces = |(group, circle): (&Group<'_>, &Option<Mixed>)| match circle {
            Some(circle) => circle.points(),
            None => group.factors.len() as u64,
        };
        let pieces: Vec<u64> = groups.iter().zip(&circles).map(pieces).collect();
        let shared = groups.iter().map(|group| group.share).zip(pieces.clone());
        let mut weights = weights_per_piece(shared);
        if weights.iter().all(|weight| *weight == 0) {
            let sizes = groups.iter().map(|group| group.factors.len() as u64);
            weights = weights_per_piece(sizes.zip(pieces.clone()));
        }
        let mut total = 0;
        let mut runs = Vec::with_capacity(groups.len());
        let circles = circles.into_iter().map(|circle| circle.map(Box::new));
        for ((((group, start), circle), pieces), weight) in groups
            .iter()
            .zip(starts(groups))
            .zip(circles)
            .zip(pieces)
            .zip(weights)
        {
            if let Some(weight) = NonZero::new(weight) {
                total += weight.get() * pieces;
                runs.push(WeightedRun {
                    end: total,
                    weight,
                    start,
                    len: index(group.factors.len()),
                    circle,
                });
            }
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
        let Some(run) = self.runs.get(run) else {
            return Picks::default();
        };
        // Counted from the run's end, which saves keeping its beginning: the last piece is 0.
        let from_end = (run.end - 1 - u) / run.weight;
        if let Some(circle) = &run.circle {
            return circle.at(circle.points().saturating_sub(1 + from_end));
        }
        Picks(Shape::Window {
            base: run.start,
            len: run.len,
            next: (run.len - 1).saturating_sub(from_end as u32),
            count: run.len.min(self.count_max),
        })
    }
}

impl Mixed {
    /// All variants of records with these weights, whose indices begin at `base`; `None` if they have none.
    fn new(weights: &[u64], records: u8, base: u32) -> Option<Self> {
        let weights = scaled_down(weights);
        let total = weights.iter().sum();
        let weight_max = weights.iter().copied().max().and_then(NonZero::new);
        let (step, weight_max) = (NonZero::new(total)?, weight_max?);
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
            .map(|point| base + index(record_ends.partition_point(|end| *end <= point)))
            .collect();
        Some(Self {
            step,
            count: count as usize,
            ends,
            members,
        })
    }

    /// The length of the whole circle. Below 2^64: `TOTAL_BITS` and a count below 256.
    fn points(&self) -> u64 {
        self.step.get() * self.count as u64
    }

    fn select(&self, x: u64) -> Picks<'_> {
        self.at(pick(x, self.points()))
    }

    /// The answer at the point `u` of the circle.
    fn at(&self, u: u64) -> Picks<'_> {
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

/// Where the records of each version begin.
fn starts<'g>(groups: &'g [Group<'_>]) -> impl Iterator<Item = u32> + use<'g> {
    groups.iter().scan(0, |next, group| {
        let start = *next;
        *next += index(group.factors.len());
        Some(start)
    })
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

fn index(of: usize) -> u32 {
    u32::try_from(of).expect("a record set has fewer than 2^32 records")
}

#[cfg(test)]
mod tests;
