//! Draws: numbers that are spread evenly over the whole range at every moment, yet look random to everybody who sees
//! only some of them.
//!
//! Given a seed and a counter, [`draw`] returns a position in `[0, 2^64)`, and [`pick`] scales it to the positions that
//! a weighted set has. It keeps no state: who counts, and where the seed comes from, is the caller's business.
//!
//! # Why block-shuffled strata
//!
//! Think of the range as a ruler, on which every variant owns a stretch as long as its weight.
//!
//! *Random positions* are right on average and wrong today: after `n` draws the count of a variant is off by something
//! like the square root of `n`, so a canary of 10 % has had some hundred clients too many or too few after 10^5 draws,
//! and it is the canary's error rate that somebody computes from it.
//!
//! *Evenly spaced positions* (a round robin, or steps of the golden ratio) are off by a handful at any `n`, but they
//! resonate. A client that asks twice for every connection takes every second draw; behind a balancer a client may take
//! every eighth. Such a client sees a regular grid of its own, and may never meet the canary, or meet nothing else.
//! Steps of the golden ratio are at their worst where the stride is a Fibonacci number.
//!
//! Here both are had, on different scales:
//!
//! ```text
//! counter     0 .. 15          16 .. 31         32 .. 47
//! block       0                1                2
//! stratum     each of the 16   each of the 16   each of the 16      once per block, in an order made from a hash
//! offset      one for all      the next         the next            a golden-ratio step from block to block
//! ```
//!
//! The ruler is cut into sixteen strata. A block of sixteen draws visits every stratum once, so that it gives a variant
//! one pick for every whole stratum of its stretch: exact, whatever the order. What remains are the two strata in which
//! the stretch begins and ends. Whether a block's visit falls inside depends on the offset within the stratum alone,
//! which all visits of a block share and which moves on by the golden ratio; such a sequence is never more than a few
//! hits away from what it should have. With the block that is still open, that makes an error of about six picks, after
//! a hundred draws as after a million.
//!
//! The order inside a block is a permutation made from a hash of the block's number. So the draws that a client with
//! any stride takes lie in strata that hash chose, and they behave like random ones: its error grows with the square
//! root, as everywhere else in the world, and no stride is special.

/// 2^64 divided by the golden ratio, odd: the step between the offsets of neighbouring blocks.
const PHI: u64 = 0x9E37_79B9_7F4A_7C15;

/// The `i`-th position of the sequence that belongs to `seed`.
///
/// The upper four bits are the stratum, the rest is the offset within it. Sixteen successive draws, counted from a
/// multiple of sixteen, are in sixteen different strata:
///
/// ```
/// use shiftdns::zone::draw::draw;
///
/// let mut strata: Vec<u64> = (32..48).map(|i| draw(7, i) >> 60).collect();
/// strata.sort_unstable();
/// assert_eq!(strata, (0..16).collect::<Vec<u64>>());
/// ```
#[inline]
pub fn draw(seed: u64, i: u64) -> u64 {
    let golden = (i >> 4).wrapping_mul(PHI);
    let h = mix64(seed ^ golden);

    // An odd factor, an addend and a mask are three permutations of sixteen elements; so is their chain.
    let factor = (h | 1) & 15;
    let addend = (h >> 20) & 15;
    let mask = (h >> 40) & 15;
    let stratum = (((i & 15) * factor + addend) & 15) ^ mask;

    stratum << 60 | seed.wrapping_add(golden) >> 4
}

/// The seed of one slot of one worker, where a slot is a weighted (name, type).
///
/// Slots count separately and must not walk in step: with a shared order a client that asks for A and AAAA in turn would
/// find all versions of one family in one kind of draw. Different slots of a worker never have the same seed, because
/// this is the `slot`-th output of a splitmix64 generator that starts at `worker_seed`.
#[inline]
pub fn seed_of(worker_seed: u64, slot: u32) -> u64 {
    mix64(worker_seed.wrapping_add((u64::from(slot) + 1).wrapping_mul(PHI)))
}

/// Scales a position to a number in `[0, total)`; 0 where `total` is 0.
///
/// It takes the upper half of the 128-bit product, which keeps the order of positions. A remainder would not, and with
/// the order the strata would be lost. Every number is hit by `2^64 / total` positions, give or take one.
///
/// ```
/// use shiftdns::zone::draw::pick;
///
/// assert_eq!(pick(u64::MAX, 10), 9);
/// assert_eq!(pick(1 << 63, 10), 5);
/// assert_eq!(pick((1 << 63) - 1, 10), 4);
/// ```
#[inline]
pub fn pick(x: u64, total: u64) -> u64 {
    ((u128::from(x) * u128::from(total)) >> 64) as u64
}

/// The finaliser of splitmix64: a permutation of the 64-bit numbers in which every bit depends on all others.
#[inline]
pub fn mix64(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKERS: usize = 16;

    fn seeds() -> [u64; WORKERS] {
        std::array::from_fn(|worker| seed_of(0x5EED, worker as u32))
    }

    /// The published first outputs of splitmix64 for the seed 1234567.
    #[test]
    fn mix64_is_the_finaliser_of_splitmix64() {
        let first_outputs: Vec<u64> = (0..5).map(|slot| seed_of(1_234_567, slot)).collect();
        assert_eq!(
            first_outputs,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn every_block_visits_every_stratum_once() {
        for seed in seeds() {
            for block in [0, 1, 2, 1000, u64::MAX >> 4] {
                let visited = (0..16).fold(0u16, |seen, i| {
                    seen | 1 << (draw(seed, block << 4 | i) >> 60)
                });
                assert_eq!(visited, u16::MAX);
            }
        }
    }

    /// Every order of a block begins with every stratum about equally often; so does every other place in it.
    #[test]
    fn every_place_in_a_block_meets_every_stratum() {
        const BLOCKS: u64 = 16_000;
        for place in 0..16 {
            let mut visits = [0i64; 16];
            for block in 0..BLOCKS {
                visits[(draw(3, block << 4 | place) >> 60) as usize] += 1;
            }
            for count in visits {
                // Four standard deviations of 16000 tosses at 1/16: 4 * 30.6.
                assert!((count - 1000).abs() <= 123, "place {place}: {visits:?}");
            }
        }
    }

    #[test]
    fn picks_cover_the_total_in_order() {
        for total in [1, 2, 3, 10, 1_000_003, u64::MAX] {
            assert_eq!(pick(0, total), 0);
            assert_eq!(pick(u64::MAX, total), total - 1);
        }
        assert_eq!(pick(u64::MAX, 0), 0);
    }

    /// Counts per variant, with the largest error seen so far.
    struct Tally {
        ends: Vec<u64>,
        counts: Vec<u64>,
        total: u64,
        draws: u64,
        /// In units of `1 / total` picks, so that it is an integer.
        worst: u64,
    }

    impl Tally {
        fn new(weights: &[u64]) -> Self {
            let ends: Vec<u64> = weights
                .iter()
                .scan(0, |end, weight| {
                    *end += weight;
                    Some(*end)
                })
                .collect();
            Self {
                counts: vec![0; ends.len()],
                total: ends[ends.len() - 1],
                ends,
                draws: 0,
                worst: 0,
            }
        }

        /// Between two of its picks a variant's error moves in one direction, so looking before and after each pick, and
        /// once at the end, sees every extreme.
        fn count(&mut self, x: u64) {
            let u = pick(x, self.total);
            let variant = self.ends.partition_point(|end| *end <= u);
            self.note_error(variant);
            self.draws += 1;
            self.counts[variant] += 1;
            self.note_error(variant);
        }

        fn note_error(&mut self, variant: usize) {
            let weight =
                self.ends[variant] - variant.checked_sub(1).map_or(0, |before| self.ends[before]);
            let error = (self.counts[variant] * self.total).abs_diff(self.draws * weight);
            self.worst = self.worst.max(error);
        }

        fn finish(mut self) -> f64 {
            for variant in 0..self.ends.len() {
                self.note_error(variant);
            }
            self.worst as f64 / self.total as f64
        }
    }

    fn random_weights(n: u64) -> Vec<u64> {
        (0..n).map(|i| mix64(i) % 1000 + 1).collect()
    }

    /// At most 8 per worker and at most 40 over sixteen workers, at every count on the way.
    fn check_deviation(weights: &[u64], draws: u64) {
        let mut per_worker = seeds().map(|seed| (seed, Tally::new(weights)));
        let mut together = Tally::new(weights);
        for i in 0..draws {
            for (seed, tally) in &mut per_worker {
                let x = draw(*seed, i);
                tally.count(x);
                together.count(x);
            }
        }
        for (_, tally) in per_worker {
            let worst = tally.finish();
            assert!(
                worst <= 8.0,
                "{weights:?}: a worker is off by {worst} picks"
            );
        }
        let worst = together.finish();
        assert!(
            worst <= 40.0,
            "{weights:?}: all workers together are off by {worst} picks"
        );
    }

    /// One worker, for the million that sixteen would take too long for without optimisation.
    fn check_deviation_of_one(weights: &[u64]) {
        let mut tally = Tally::new(weights);
        for i in 0..1_000_000 {
            tally.count(draw(seed_of(1, 1), i));
        }
        let worst = tally.finish();
        assert!(
            worst <= 8.0,
            "{weights:?}: off by {worst} picks in a million"
        );
    }

    #[test]
    fn counts_stay_near_their_weights() {
        check_deviation(&[90, 10], 200_000);
        check_deviation(&[50, 50], 200_000);
        check_deviation(&[999, 1], 200_000);
        check_deviation(&[70, 20, 10], 200_000);
        check_deviation(&[1; 10], 200_000);
        check_deviation(&random_weights(32), 200_000);
    }

    #[test]
    fn counts_stay_near_their_weights_for_a_million() {
        check_deviation_of_one(&[90, 10]);
        check_deviation_of_one(&random_weights(32));
    }

    /// All distributions, all workers, a million each: the same law without a shortcut.
    #[test]
    fn counts_stay_near_their_weights_for_a_million_on_all_workers() {
        for weights in [
            vec![90, 10],
            vec![50, 50],
            vec![999, 1],
            vec![70, 20, 10],
            vec![1; 10],
            random_weights(32),
        ] {
            check_deviation(&weights, 1_000_000);
        }
    }

    /// Odd and even draws, and every q-th draw where a golden-ratio sequence alone would resonate (q a Fibonacci number)
    /// or where the block would (q a power of two): no worse than four standard deviations of independent picks.
    #[test]
    fn subsequences_behave_like_random_picks() {
        const TAKEN: u64 = 20_000;
        let strides = [
            2, 3, 5, 8, 13, 16, 21, 32, 34, 55, 89, 144, 233, 377, 610, 987, 1597,
        ];
        let four_deviations = 4.0 * (TAKEN as f64 * 0.9 * 0.1).sqrt();
        for seed in &seeds()[..4] {
            for stride in strides {
                for start in [0, 1] {
                    let hits = (0..TAKEN)
                        .filter(|i| pick(draw(*seed, i * stride + start), 100) >= 90)
                        .count();
                    let error = (hits as f64 - TAKEN as f64 * 0.1).abs();
                    assert!(
                        error <= four_deviations,
                        "stride {stride}, start {start}: {hits} of {TAKEN}"
                    );
                }
            }
        }
    }

    /// A client that asks for A and then for AAAA draws from two slots; the families agree no more often than chance has
    /// it: 0.9 * 0.9 + 0.1 * 0.1.
    #[test]
    fn slots_are_independent() {
        const PAIRS: u64 = 20_000;
        let canary = |slot, i| pick(draw(seed_of(9, slot), i), 100) >= 90;
        let agreeing = (0..PAIRS)
            .filter(|i| canary(0, *i) == canary(1, *i))
            .count();
        let four_deviations = 4.0 * (PAIRS as f64 * 0.82 * 0.18).sqrt();
        assert!(
            (agreeing as f64 - PAIRS as f64 * 0.82).abs() <= four_deviations,
            "{agreeing} of {PAIRS}"
        );
    }
}
