//! Weights: what one record of a set weighs, as an integer, from the shares of versions and the factors of endpoints.
//!
//! Given each version's share and its records' factors, [`record_weights`] finds integers in exactly that ratio, or the
//! nearest where they would not fit; [`srv_weights`] scales such integers to what an SRV record can hold. It knows
//! nothing of who asked for a share, and chooses nothing.

#![deny(clippy::indexing_slicing)]

/// The sum of all weights is below `2^TOTAL_BITS`, so that times 255 records (a `u8`) it is below 2^64.
pub(super) const TOTAL_BITS: u32 = 56;

/// The records of one version: what they carry together, and how they divide it.
#[derive(Clone, Copy, Debug)]
pub struct Group<'f> {
    /// The version's share, in any unit that is the same for all versions.
    pub share: u64,
    /// One a record: its part of the share is this divided by the sum of all. None is zero.
    pub factors: &'f [u8],
}

impl Group<'_> {
    /// What all factors can be divided by; where they are equal, that makes them ones.
    fn divisor(&self) -> u64 {
        let factors = self.factors.iter().map(|factor| u128::from(*factor));
        u64::try_from(factors.fold(0, gcd)).unwrap_or(1).max(1)
    }

    /// The factors without their common divisor.
    pub(super) fn parts(&self) -> impl Iterator<Item = u64> {
        let divisor = self.divisor();
        self.factors.iter().map(move |f| u64::from(*f) / divisor)
    }

    pub(super) fn is_even(&self) -> bool {
        self.parts().all(|part| part == 1)
    }
}

/// The weight of every record, in the order of the versions and of their records.
///
/// Weights are in the ratio of `share * factor / sum of the version's factors`, as integers; 0 for the records of a
/// version without share. Zero shares are kept apart from small ones: a version with a share has a weight.
///
/// The ratio is exact while the sum of all weights, `lcm(sums of factors) * sum(shares)` in the worst case, is below
/// 2^56: that is what [`Sampler::mixed`](super::sample::Sampler::mixed) can multiply by 255 records. A version's
/// factors count without their common divisor, so where all are equal their sum is the number of records. Shares in
/// basis points leave 42 bits to the common multiple: enough for any four versions of up to 1600 equal records each, or
/// for any two of up to 20,000 records with factors up to 100. Beyond that, weights are the nearest integers where the
/// sum is 2^55, and at least 1 for a factor of one. A unit of a factor whose chance is one in 2^30 or more (one percent
/// of one of 1000 records that have a basis point between them) is then off by at most 2^-26 of its weight, and a rarer
/// one by at most 2^-55 of the whole.
///
/// ```
/// use shiftdns::zone::weights::{Group, record_weights};
///
/// let of = |share, factors| Group { share, factors };
/// // 90 % on three records and 10 % on one: 30 to 10.
/// assert_eq!(record_weights(&[of(9000, &[100; 3]), of(1000, &[100])]), [3, 3, 3, 1]);
/// // The third has just come and has half of what the others have.
/// assert_eq!(record_weights(&[of(10_000, &[100, 100, 50])]), [2, 2, 1]);
/// assert_eq!(record_weights(&[of(10_000, &[100; 2]), of(0, &[100])]), [1, 1, 0]);
/// ```
pub fn record_weights(groups: &[Group<'_>]) -> Vec<u64> {
    let sums = groups.iter().map(|group| group.parts().sum());
    let shared = groups.iter().map(|group| group.share).zip(sums);
    let weights = groups.iter().zip(weights_per_piece(shared));
    weights
        .flat_map(|(group, weight)| group.parts().map(move |part| weight * part))
        .collect()
}

/// SRV weights in the ratio of `weights`, from 1 to 65535.
///
/// The smallest unit is 256, because 0 means down to some clients and a small weight loses against RFC 2782's own
/// selection. Where that does not fit, the largest weight becomes 65535 and the others the nearest integer: equal
/// weights stay equal, and none becomes 0.
///
/// ```
/// use shiftdns::zone::weights::srv_weights;
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

/// For each version the weight of *one* of its pieces, from `(share, number of pieces)` of all versions: in the ratio
/// of `share / number`, without a common divisor; 0 for a version without share or without pieces.
pub(super) fn weights_per_piece(shares: impl Iterator<Item = (u64, u64)>) -> Vec<u64> {
    let shares: Vec<(u128, u128)> = shares
        .map(|(share, pieces)| {
            if pieces == 0 {
                (0, 1)
            } else {
                (u128::from(share), u128::from(pieces))
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

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
