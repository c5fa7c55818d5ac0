//! How long the cluster's changes took to become answers.
//!
//! Given the moments at which endpoints changed, as their controller writes them into slices, and the moment at which what
//! follows from it was published, this counts the time between: the network programming latency that Kubernetes' own SLIs
//! define, for DNS. It reads no clock. The controller writes whole seconds as a rule, so that single figures are of no use
//! below one.

use std::time::Duration;

use jiff::Timestamp;

/// How many bounds the histogram of CoreDNS has that means the same, for the dashboards that know it: 1 ms, doubled up to
/// 524 seconds.
const BOUNDS: usize = 20;

/// The distribution of delays from a change of endpoints to its publication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Programming {
    /// How many were at most as long as [`Programming::bounds`] has it and longer than the one before; a last one for the
    /// rest.
    pub buckets: [u64; BOUNDS + 1],
    /// All of them together.
    pub total: Duration,
}

impl Programming {
    /// The upper bounds of the buckets but the last, in seconds.
    pub fn bounds() -> impl Iterator<Item = f64> {
        (0..BOUNDS).map(|place| 0.001 * f64::from(1_u32 << place))
    }

    /// Counts a change of a moment that was published at another. One that comes from a clock ahead of ours took no time.
    pub(super) fn add(&mut self, changed: Timestamp, published: Timestamp) {
        let delay = Duration::try_from(published.duration_since(changed)).unwrap_or_default();
        let bucket = Self::bounds().position(|bound| delay.as_secs_f64() <= bound);
        self.buckets[bucket.unwrap_or(BOUNDS)] += 1;
        self.total = self.total.saturating_add(delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_counted_in_the_first_bucket_that_holds_it() {
        let at = |millis| Timestamp::from_millisecond(1_800_000_000_000_i64 + millis).unwrap();
        let mut programming = Programming::default();
        for (millis, expected) in [
            (-5_000, 0),
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (1_024, 10),
            (1_025, 11),
            (524_288, 19),
            (524_289, 20),
            (86_400_000, 20),
        ] {
            let before = programming.buckets;
            programming.add(at(0), at(millis));
            let grown = (0..=BOUNDS).filter(|b| programming.buckets[*b] > before[*b]);
            assert_eq!(grown.collect::<Vec<_>>(), [expected], "{millis}");
        }
        assert_eq!(programming.total.as_millis(), 87_450_632);
    }
}
