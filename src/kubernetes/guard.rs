//! The guard of lists: a list that cannot be believed at once is held until a second one says the same.
//!
//! A list replaces everything that is known of a kind, so one bad list (of a server that has lost its data, or is far
//! behind) would take away names that exist. It costs little: what is deleted is told by watches at once, and only what
//! went while nobody listened, most of a kind at a time, stays for ten seconds more. So there is no number of objects below
//! which a list is believed. Given what a list would lose and how new it says it is, and the time,
//! [`Guard::judge`] says whether it counts. It reads no clock.

use std::time::{Duration, Instant};

/// What a list would do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    /// How many objects were known.
    pub(super) known: usize,
    /// How many of them it lacks.
    pub(super) missing: usize,
    /// Its resource version is below one that was known before it was asked for.
    pub(super) is_older: bool,
}

/// Why a list does not count yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It lacks more than half of what is known: what it has counts, what it lacks does not.
    Shrunk,
    /// It is older than what is known: from a server that is behind, or of a cluster that was restored from a backup.
    Older,
}

/// Whether a list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is how things are.
    Take,
    /// Another is to be read so much later.
    Hold(Doubt, Duration),
}

/// How long a doubt stands until a second list settles it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) shrunk: Duration,
    pub(super) older: Duration,
}

impl Patience {
    fn of(self, doubt: Doubt) -> Duration {
        match doubt {
            Doubt::Shrunk => self.shrunk,
            Doubt::Older => self.older,
        }
    }
}

/// Of one kind.
#[derive(Debug)]
pub(super) struct Guard {
    patience: Patience,
    doubted: Option<(Doubt, Instant)>,
}

impl Guard {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            doubted: None,
        }
    }

    /// Whether a list counts that was read completely at `now`.
    pub(super) fn judge(&mut self, listed: Listed, now: Instant) -> Verdict {
        let Listed {
            known,
            missing,
            is_older,
        } = listed;
        let doubt = if is_older {
            Doubt::Older
        } else if missing * 2 > known {
            Doubt::Shrunk
        } else {
            self.doubted = None;
            return Verdict::Take;
        };
        let since = match self.doubted {
            // A restored cluster is both, and is not asked three times.
            Some((_, since)) => since,
            None => now,
        };
        let patience = self.patience.of(doubt);
        let left = patience.saturating_sub(now.duration_since(since));
        if self.doubted.is_some() && left.is_zero() {
            self.doubted = None;
            return Verdict::Take;
        }
        self.doubted = Some((doubt, since));
        Verdict::Hold(doubt, left.max(Duration::from_millis(1)))
    }
}
