//! Pauses after failures, so that an error which lasts becomes neither a busy loop nor a flood of log lines.

use std::time::Duration;

use tokio::time::Instant;

/// A streak of failures ends when there was none for this long. Not with a success: without file descriptors accepts
/// fail and succeed by turns, as connections end.
const QUIET: Duration = Duration::from_secs(10);

/// Pauses that double from the first to the longest while failures go on.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    /// The last failure and the pause after it.
    last: Option<(Instant, Duration)>,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// How long to leave it alone.
    pub(super) length: Duration,
    /// Whether it is news.
    pub(super) begins_streak: bool,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            last: None,
        }
    }

    pub(super) fn fail(&mut self, now: Instant) -> Pause {
        let streak = self.last.filter(|(at, _)| now.duration_since(*at) < QUIET);
        let length = streak.map_or(self.first, |(_, last)| (last * 2).min(self.longest));
        self.last = Some((now, length));
        Pause {
            length,
            begins_streak: streak.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_until_it_was_quiet() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut backoff = Backoff::new(ms(10), ms(50));
        let pauses = [0, 20, 40, 60, 10_000, 20_000].map(|at| {
            let pause = backoff.fail(start + ms(at));
            (pause.length, pause.begins_streak)
        });
        assert_eq!(
            pauses,
            [
                (ms(10), true),
                (ms(20), false),
                (ms(40), false),
                (ms(50), false),
                (ms(50), false),
                (ms(10), true),
            ]
        );
    }
}
