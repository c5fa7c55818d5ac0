//! What was answered lately: which part of a service's answers each version had in the last minute.
//!
//! Workers count answers by slot and never take a count back; every 10 seconds all counts are noted, and the difference
//! to the oldest note is what was answered since. Nothing is counted on behalf of this.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::answer::Counts;
use crate::engine::CountedVersions;
use crate::model::{ServiceKey, Share};

/// How often counts are noted.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// Notes that are kept: the oldest is a minute old when the next one comes.
const NOTES_MAX: usize = 7;

/// Counts by slot, sorted.
type Note = Vec<(u32, u64)>;

/// The notes of the last minute.
#[derive(Debug, Default)]
struct Notes(VecDeque<Note>);

impl Notes {
    fn add(&mut self, note: Note) {
        if self.0.len() == NOTES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(note);
    }

    /// How much a slot's count has grown since the oldest note. A slot that is not in it was new then, and began at 0.
    fn growth(&self, slot: u32, count: u64) -> u64 {
        let Some(oldest) = self.0.front() else {
            return 0;
        };
        let known = oldest.binary_search_by_key(&slot, |(slot, _)| *slot);
        let then = known.ok().and_then(|place| oldest.get(place));
        count.saturating_sub(then.map_or(0, |(_, count)| *count))
    }
}

/// What all workers have answered.
#[derive(Debug)]
pub(super) struct Answered {
    workers: Vec<Arc<Counts>>,
    versions: Arc<CountedVersions>,
    notes: Mutex<Notes>,
}

impl Answered {
    /// Counts from here on.
    pub(super) fn new(workers: Vec<Arc<Counts>>, versions: Arc<CountedVersions>) -> Self {
        let answered = Self {
            workers,
            versions,
            notes: Mutex::default(),
        };
        answered.note();
        answered
    }

    /// Notes all counts; to be called once in [`EVERY`].
    pub(super) fn note(&self) {
        let slots = self.versions.slots().into_iter();
        let note = slots.map(|slot| (slot, self.count(slot))).collect();
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.add(note);
    }

    /// What was answered for one service in the last minute.
    pub(super) fn lately(&self, service: &ServiceKey) -> Lately {
        let slots = self.versions.of(service);
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_hash = BTreeMap::new();
        for (slot, hash) in slots {
            *by_hash.entry(hash).or_default() += notes.growth(slot, self.count(slot));
        }
        Lately(by_hash)
    }

    fn count(&self, slot: u32) -> u64 {
        let counts = self.workers.iter().map(|worker| worker.answers(slot));
        counts.fold(0, u64::wrapping_add)
    }
}

/// Answers of the versions of one service in the last minute, by hash.
#[derive(Debug, Default)]
pub(super) struct Lately(BTreeMap<Arc<str>, u64>);

impl Lately {
    /// The part that a version had of all answers, and how many those of it were; `None` while there are none at all.
    pub(super) fn of(&self, hash: &str) -> Option<(Share, u64)> {
        let all: u64 = self
            .0
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count));
        let count = *self.0.get(hash)?;
        let part = u128::from(count) * 10_000;
        let part = part.checked_div(u128::from(all))?;
        let share = Share::from_basis_points(u64::try_from(part).unwrap_or(u64::MAX));
        Some((share, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_since_the_oldest_note_was_answered_in_the_last_minute() {
        let mut notes = Notes::default();
        assert_eq!(notes.growth(1, 5), 0);
        for count in [100, 110, 120, 130, 140, 150, 160] {
            notes.add(vec![(1, count), (4, 7)]);
        }
        assert_eq!(notes.growth(1, 165), 65);
        notes.add(vec![(1, 170), (4, 7)]);
        assert_eq!(notes.growth(1, 175), 65);
        assert_eq!(notes.growth(4, 7), 0);
        // A version that came since.
        assert_eq!(notes.growth(3, 9), 9);
    }

    #[test]
    fn shares_are_parts_of_all_answers_if_there_are_any() {
        let lately = |counts: &[(&str, u64)]| {
            let counts = counts.iter();
            Lately(
                counts
                    .map(|(hash, count)| ((*hash).into(), *count))
                    .collect(),
            )
        };
        let some = lately(&[("a", 91), ("b", 9), ("c", 0)]);
        let share = |points| Share::from_basis_points(points);
        assert_eq!(some.of("a"), Some((share(9100), 91)));
        assert_eq!(some.of("c"), Some((share(0), 0)));
        assert_eq!(some.of("x"), None);
        assert_eq!(lately(&[("a", 0)]).of("a"), None);
        let many = lately(&[("a", u64::MAX / 2), ("b", u64::MAX / 2)]);
        assert_eq!(many.of("a"), Some((share(5000), u64::MAX / 2)));
    }
}
