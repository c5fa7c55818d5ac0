//! A histogram of latencies: constant memory, percentiles within 1.6 %.
//!
//! Given nanoseconds, it counts them in buckets: one each below 64, then 64 to every power of two. It keeps no single value.

use std::time::Duration;

/// Buckets to a power of two.
const STEPS: u64 = 64;
/// Powers of two above the first 64 values: up to 2^40 ns, eighteen minutes.
const POWERS: usize = 34;

#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; (POWERS + 1) * STEPS as usize],
            total: 0,
        }
    }

    /// Counts one value.
    pub(crate) fn add(&mut self, nanos: u64) {
        let last = self.counts.len() - 1;
        self.counts[bucket(nanos).min(last)] += 1;
        self.total += 1;
    }

    /// The value below or at which `per_mille` of 1000 lie: the middle of its bucket. Zero if nothing was counted.
    pub(crate) fn at(&self, per_mille: u64) -> Duration {
        let wanted = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(middle(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let power = u64::from(nanos.ilog2() - STEPS.ilog2());
    // The leading 1 and six bits behind it: 64 to 127.
    ((power + 1) * STEPS + (nanos >> power) - STEPS) as usize
}

fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let power = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS) << power) + ((1 << power) >> 1)
}
