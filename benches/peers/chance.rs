//! Chance that is the same each time: SplitMix64.

pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, nearly evenly: by a bias of `limit` in 2^64.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// The time to the next of arrivals that come independently, `mean` apart on average (exponential).
    pub(crate) fn wait(&mut self, mean_nanos: f64) -> f64 {
        // In (0, 1]: the logarithm of zero is none.
        let even = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        -even.ln() * mean_nanos
    }
}
