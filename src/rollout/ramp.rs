//! Ramps: what share a target has so many seconds after its ramp began.
//!
//! Integers only, and time in ticks of [`TICK_SECS`] on the Unix epoch, so that every replica comes to the same share.
//! A ramp knows nothing of readiness or capacity.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Share, Steps};

/// Shares that grow with time change at multiples of so many seconds on the Unix epoch.
pub const TICK_SECS: i64 = 5;

/// The last tick at or before `at`.
pub(super) fn tick(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(TICK_SECS)).unwrap_or(at)
}

/// The first tick at or after `at`.
pub(super) fn tick_from(at: Timestamp) -> Timestamp {
    match tick(at) {
        tick if tick == at => at,
        tick => after(tick, TICK_SECS),
    }
}

/// So many seconds later; the end of time where that is beyond it.
pub(super) fn after(at: Timestamp, secs: impl Into<i64>) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(secs.into()))
        .unwrap_or(Timestamp::MAX)
}

/// Whole seconds from one moment to a later one; 0 where it is not later.
pub(super) fn secs_between(from: Timestamp, to: Timestamp) -> u32 {
    let secs = to.as_second().saturating_sub(from.as_second());
    u32::try_from(secs.max(0)).unwrap_or(u32::MAX)
}

const WHOLE: u64 = 10_000;

/// An even ramp: `elapsed / over` of the whole.
pub(super) fn linear(elapsed_secs: u32, over_secs: u32) -> Share {
    let over = u64::from(over_secs.max(1));
    Share::from_basis_points(WHOLE * u64::from(elapsed_secs) / over)
}

/// 1/128 of the whole at first, doubled seven times, straight between the doublings; the whole at `over`.
pub(super) fn exponential(elapsed_secs: u32, over_secs: u32) -> Share {
    let over = u64::from(over_secs.max(1));
    let sevenths = 7 * u64::from(elapsed_secs);
    let doublings = sevenths / over;
    if doublings >= 7 {
        return Share::WHOLE;
    }
    // 10000 * 2^6 * (a week and as much again) is far below 2^64.
    let rest = sevenths % over;
    Share::from_basis_points((WHOLE << doublings) * (over + rest) / (128 * over))
}

/// Where a target stands in its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The step, counted from 0; as many as there are steps: past the last.
    pub(super) index: u8,
    /// The second of the ramp in which it was entered.
    pub(super) entered_secs: u32,
}

impl Place {
    /// The place in steps that may have been rewritten since the target got `share`: where it would mean more than that,
    /// the last step that does not, entered at this second. A share of nothing was given by no step, or by the first.
    pub(super) fn found_again(self, steps: &Steps, share: Share, elapsed_secs: u32) -> Self {
        if share == Share::ZERO || self.share(steps) <= share {
            return self;
        }
        let below = steps.as_slice().iter().take_while(|s| s.share <= share);
        let index = below.count().saturating_sub(1);
        Self {
            index: u8::try_from(index).unwrap_or(u8::MAX),
            entered_secs: elapsed_secs,
        }
    }

    /// Goes on as far as holds have passed. A hold is counted from the moment at which caches have forgotten the share
    /// before, `ttl_secs` after the step was entered.
    ///
    /// `elapsed_secs` moves in whole ticks, so a step is entered at the first of them at which its turn has come: that
    /// does not depend on who looks when.
    pub(super) fn advance(self, steps: &Steps, elapsed_secs: u32, ttl_secs: u32) -> Self {
        let mut place = self;
        while let Some(due) = place
            .due_secs(steps, ttl_secs)
            .filter(|due| *due <= elapsed_secs)
        {
            let tick = u32::try_from(TICK_SECS).unwrap_or(1);
            place = Self {
                index: place.index + 1,
                entered_secs: due + (elapsed_secs - due) % tick,
            };
        }
        place
    }

    /// The second of the ramp at which the next step's turn comes; `None` where it waits, or there is none.
    pub(super) fn due_secs(self, steps: &Steps, ttl_secs: u32) -> Option<u32> {
        let step = steps.as_slice().get(usize::from(self.index))?;
        if step.share == Share::WHOLE {
            return None;
        }
        let hold = step.hold_secs?;
        Some(
            self.entered_secs
                .saturating_add(ttl_secs)
                .saturating_add(hold),
        )
    }

    /// It waits until someone promotes.
    pub(super) fn waits(self, steps: &Steps) -> bool {
        let step = steps.as_slice().get(usize::from(self.index));
        step.is_some_and(|step| step.hold_secs.is_none() && step.share != Share::WHOLE)
    }

    /// What the target has there.
    pub(super) fn share(self, steps: &Steps) -> Share {
        let step = steps.as_slice().get(usize::from(self.index));
        step.map_or(Share::WHOLE, |step| step.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ticks_are_multiples_of_five_seconds_of_the_epoch() {
        for (second, last, next) in [(0, 0, 0), (4, 0, 5), (5, 5, 5), (-1, -5, 0)] {
            assert_eq!(tick(at(second)), at(last), "{second}");
            assert_eq!(tick_from(at(second)), at(next), "{second}");
        }
        let between = Timestamp::new(5, 1).unwrap();
        assert_eq!(tick_from(between), at(10));
    }

    #[test]
    fn a_linear_ramp_is_even_and_ends_at_the_whole() {
        for (elapsed, over, share) in [
            (0, 60, 0),
            (5, 60, 833),
            (45, 60, 7500),
            (60, 60, 10_000),
            (61, 60, 10_000),
            (0, 0, 0),
            (1, 0, 10_000),
        ] {
            assert_eq!(
                linear(elapsed, over).basis_points(),
                share,
                "{elapsed} of {over}"
            );
        }
    }

    #[test]
    fn an_exponential_ramp_doubles_seven_times() {
        for (elapsed, share) in [
            (0, 78),
            (10, 156),
            (15, 234),
            (20, 312),
            (60, 5000),
            (65, 7500),
            (70, 10_000),
            (71, 10_000),
        ] {
            assert_eq!(exponential(elapsed, 70).basis_points(), share, "{elapsed}");
        }
        let shares: Vec<Share> = (0..1000).map(|elapsed| exponential(elapsed, 997)).collect();
        assert!(shares.is_sorted());
    }

    #[test]
    fn a_hold_begins_when_caches_have_forgotten_the_step_before() {
        let steps = Steps::parse("5@30s,25@60s,50,100").unwrap();
        let start = Place {
            index: 0,
            entered_secs: 0,
        };
        // elapsed, step, share, entered, waits: with a TTL of 5.
        for (elapsed, index, share, entered, waits) in [
            (0, 0, 500, 0, false),
            (34, 0, 500, 0, false),
            (35, 1, 2500, 35, false),
            (37, 1, 2500, 37, false),
            (99, 1, 2500, 39, false),
            (100, 2, 5000, 100, true),
            (9999, 2, 5000, 104, true),
        ] {
            let place = start.advance(&steps, elapsed, 5);
            assert_eq!(
                (place.index, place.entered_secs),
                (index, entered),
                "{elapsed}"
            );
            assert_eq!(place.share(&steps).basis_points(), share, "{elapsed}");
            assert_eq!(place.waits(&steps), waits, "{elapsed}");
        }
        let last = Place {
            index: 3,
            entered_secs: 0,
        };
        assert_eq!(
            (last.share(&steps), last.waits(&steps)),
            (Share::WHOLE, false)
        );
        let past = Place {
            index: 4,
            entered_secs: 0,
        };
        assert_eq!(past.share(&steps), Share::WHOLE);
    }

    #[test]
    fn steps_come_out_the_same_however_often_one_looks() {
        let steps = Steps::parse("5@30s,25@61s,50@3s").unwrap();
        let start = Place {
            index: 0,
            entered_secs: 0,
        };
        let mut often = start;
        for elapsed in (2..400).step_by(5) {
            often = often.advance(&steps, elapsed, 7);
            assert_eq!(often, start.advance(&steps, elapsed, 7), "{elapsed}");
        }
        assert_eq!(often.share(&steps), Share::WHOLE);
    }
}
