//! Amounts: how a workload's spec says how many pods may be missing, or too many.

/// A number of pods, or a percentage of the desired ones (`IntOrString` in Kubernetes' API).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl Amount {
    /// The amount of `all`, a fraction rounded down, as controllers take what may be missing.
    pub fn floor(self, all: u32) -> u32 {
        self.of(all, 0)
    }

    /// The amount of `all`, a fraction rounded up, as controllers take what may be too many.
    pub fn ceil(self, all: u32) -> u32 {
        self.of(all, 99)
    }

    fn of(self, all: u32, rounding: u64) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                // At most (2^32 - 1)^2 + 99, which fits 64 bits.
                let scaled = (u64::from(all) * u64::from(percent) + rounding) / 100;
                u32::try_from(scaled).unwrap_or(u32::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn percentages_round_down_or_up() {
        for (amount, all, floor, ceil) in [
            (Amount::Percent(25), 10, 2, 3),
            (Amount::Percent(25), 4, 1, 1),
            (Amount::Percent(0), 10, 0, 0),
            (Amount::Percent(100), u32::MAX, u32::MAX, u32::MAX),
            (Amount::Percent(u32::MAX), u32::MAX, u32::MAX, u32::MAX),
            (Amount::Count(7), 3, 7, 7),
        ] {
            assert_eq!(
                (amount.floor(all), amount.ceil(all)),
                (floor, ceil),
                "{amount:?} of {all}"
            );
        }
    }
}
