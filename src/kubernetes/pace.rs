//! How fast things are tried: back-off after failures, and how often lists may be read.
//!
//! Both are told the time and the chance. An API server that is in trouble is not helped by eleven clients that ask
//! without a pause, nor by all replicas of this one asking in step.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The pace of watches. The defaults are for clusters; tests are in a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For how long the API server is asked to let a watch run, in whole seconds below 295.
    pub watch: Duration,
    /// How long a watch may be silent until a new one is begun: servers send a bookmark every 60 seconds, as a rule.
    pub silence: Duration,
    /// How long the beginning of an answer may take. With `silence`, what is lost is noticed within 90 seconds.
    pub head: Duration,
    /// How long one page of a list may take: 500 objects of 100 kB are 50 MB, at one a second.
    pub page: Duration,
    /// How long a whole list may take: 100,000 objects are 200 pages, at half a second each, and as much again.
    pub list: Duration,
    /// The first wait after a failure; it doubles with each.
    pub retry_min: Duration,
    /// The longest.
    pub retry_max: Duration,
    /// A watch that ended sooner counts as a failure for the next wait.
    pub settled: Duration,
    /// Lists are read at most twice in this time, but for those that settle a doubt.
    pub lists: Duration,
    /// How often everything is listed anew, at least; up to twice as long, by chance.
    pub relist: Duration,
    /// When a list that loses most of what is known is checked by another.
    pub confirm_shrunk: Duration,
    /// When a list that is older than what is known is checked by another.
    pub confirm_older: Duration,
    /// How often it is looked whether an optional kind is there.
    pub absent: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(240),
            silence: Duration::from_secs(70),
            head: Duration::from_secs(15),
            page: Duration::from_secs(60),
            list: Duration::from_secs(200),
            retry_min: Duration::from_millis(800),
            retry_max: Duration::from_secs(30),
            settled: Duration::from_secs(10),
            lists: Duration::from_secs(60),
            relist: Duration::from_secs(30 * 60),
            confirm_shrunk: Duration::from_secs(10),
            confirm_older: Duration::from_secs(5),
            absent: Duration::from_secs(60),
        }
    }
}

/// A part of a time by chance: from half of it up to all of it.
pub(super) fn jittered(time: Duration, draw: u64) -> Duration {
    // 1024 steps are fine enough to keep replicas apart.
    let part = u32::try_from(draw % 1024).unwrap_or(0);
    time / 2 + (time / 2) * part / 1024
}

/// Waits after failures, each up to twice as long as the one before.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(pace: &Pace) -> Self {
        Self {
            min: pace.retry_min,
            max: pace.retry_max,
            next: pace.retry_min,
        }
    }

    /// The next wait; what the server asks for is waited at least, but not for ever.
    pub(super) fn wait(&mut self, asked: Option<Duration>, draw: u64) -> Duration {
        let wait = jittered(self.next, draw);
        self.next = (self.next * 2).min(self.max);
        wait.max(asked.unwrap_or_default().min(self.max * 4))
    }

    /// It works again.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }
}

/// How many lists may be read in the time of [`Pace::lists`].
const LISTS_MAX: usize = 2;

/// When lists were begun.
#[derive(Debug, Default)]
pub(super) struct Lists(VecDeque<Instant>);

impl Lists {
    /// How long to wait until one may be begun: none for the first two, and then so long that there are never more than
    /// two in `span`, and some more by chance.
    pub(super) fn wait(&self, span: Duration, now: Instant, draw: u64) -> Duration {
        match self.0.front() {
            Some(first) if self.0.len() >= LISTS_MAX => {
                let left = span.saturating_sub(now.duration_since(*first));
                left + (left / 4) * u32::try_from(draw % 1024).unwrap_or(0) / 1024
            }
            _ => Duration::ZERO,
        }
    }

    /// One is begun.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.0.len() >= LISTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }
}
