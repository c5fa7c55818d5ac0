//! How the configuration fares that is read anew: counted by whoever reads it, told among the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts since this process began, which is itself a configuration that was read.
#[derive(Debug)]
pub struct Reloads {
    succeeded: AtomicU64,
    failed: AtomicU64,
    last_succeeded: AtomicBool,
    /// Seconds since the epoch.
    in_force_since: AtomicU64,
    /// Keys that wait for a restart.
    waiting: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) last_succeeded: bool,
    pub(super) in_force_since: u64,
    pub(super) waiting: u64,
}

impl Reloads {
    /// The configuration of the beginning was read at `now_secs`.
    pub fn new(now_secs: u64) -> Self {
        Self {
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_succeeded: AtomicBool::new(true),
            in_force_since: AtomicU64::new(now_secs),
            waiting: AtomicU64::new(0),
        }
    }

    /// It was read and is in force, but for `waiting` keys that wait for a restart.
    pub fn succeeded(&self, waiting: usize, now_secs: u64) {
        self.succeeded.fetch_add(1, Ordering::Relaxed);
        self.last_succeeded.store(true, Ordering::Relaxed);
        self.waiting.store(waiting as u64, Ordering::Relaxed);
        self.in_force_since.store(now_secs, Ordering::Relaxed);
    }

    /// It could not be obeyed; what was in force before still is.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.last_succeeded.store(false, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Read {
        Read {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            last_succeeded: self.last_succeeded.load(Ordering::Relaxed),
            in_force_since: self.in_force_since.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}
