//! What the look-ups came to, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::schedule::Told;

/// Written by the task that looks up, read by whoever shows them. The numbers order nothing else, hence relaxed.
#[derive(Debug, Default)]
pub struct Counters {
    targets: AtomicU64,
    answered: AtomicU64,
    empty: AtomicU64,
    failed: AtomicU64,
    /// Seconds since the epoch; 0: never.
    last_success: AtomicU64,
}

/// The counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names that are looked up.
    pub targets: u64,
    /// Look-ups that gave addresses.
    pub answered: u64,
    /// Look-ups that found out that there are none.
    pub empty: u64,
    /// Look-ups to which no resolver had an answer.
    pub failed: u64,
    /// The second since the epoch of the last that did not fail; `None`: there was none.
    pub last_success: Option<u64>,
}

impl Counters {
    pub(super) fn set_targets(&self, count: usize) {
        self.targets.store(count as u64, Ordering::Relaxed);
    }

    pub(super) fn count(&self, told: &Told, now_secs: u64) {
        let counter = match told {
            Told::Addresses(..) => &self.answered,
            Told::Nothing(..) => &self.empty,
            Told::Failed(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if !matches!(told, Told::Failed(_)) {
            self.last_success.store(now_secs, Ordering::Relaxed);
        }
    }

    /// Each value is exact; they are not read at the same instant.
    pub fn read(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            targets: get(&self.targets),
            answered: get(&self.answered),
            empty: get(&self.empty),
            failed: get(&self.failed),
            last_success: Some(get(&self.last_success)).filter(|at| *at > 0),
        }
    }
}
