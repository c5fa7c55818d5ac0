//! What is known of a kind's objects, so that nothing goes backwards: events may come twice, out of order, or from a
//! server that is behind another.
//!
//! Given who an event is about, of which incarnation and how new, [`Known`] says whether it tells anything. It holds no
//! objects: of each only a hash of its name, one of its UID and its resource version, some 50 octets. It reads no clock.
//!
//! ```text
//!   never heard of ── apply ──> there ── delete ──> gone, remembered ── apply of another, newer incarnation ──> there
//! ```

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::quality::SeedableRandomState;

/// Gone objects that are remembered beyond as many as there are: late events about them come within seconds, in which
/// not more than this are deleted of any kind.
const GONE_MAX: usize = 4096;

/// Which incarnation of which object, and how new. Hashes are of 64 bits: among 100,000 objects two share one with a
/// chance of one in three thousand million, and then an event of one of them may be taken for an old one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Of namespace and name.
    pub(super) id: u64,
    /// Of the UID; 0 where there is none.
    pub(super) uid: u64,
    /// The resource version as a number, which servers promise since Kubernetes 1.35 and have always used (KEP-5504); 0
    /// where it is none, and then nothing is older than anything.
    pub(super) version: u64,
}

/// Of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    uid: u64,
    version: u64,
    is_gone: bool,
}

/// What is known of all objects of a kind.
#[derive(Debug, Default)]
pub(super) struct Known {
    // Hashed with a seed a second time: whoever names objects cannot choose where they lie.
    entries: HashMap<u64, Entry, foldhash::fast::RandomState>,
    gone: usize,
}

impl Known {
    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.gone
    }

    /// How many objects are remembered, those that are gone included.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.entries.len()
    }

    /// Whether an object's state is news; then it is known from here on.
    pub(super) fn apply(&mut self, mark: Mark) -> bool {
        let is_news = self
            .entries
            .get(&mark.id)
            .is_none_or(|entry| entry.is_told_by(mark));
        if is_news {
            self.put(mark, false);
        }
        is_news
    }

    /// Whether the end of an object is news; then it is known from here on, so that what is told late of the object does
    /// not bring it back.
    pub(super) fn delete(&mut self, mark: Mark) -> bool {
        let Some(entry) = self.entries.get(&mark.id).copied() else {
            self.put(mark, true);
            return false;
        };
        let is_same = entry.is_same(mark);
        // An incarnation ends once; a newer one ends after all older ones.
        if !is_same && entry.is_newer_than(mark) {
            return false;
        }
        let version = entry.version.max(mark.version);
        self.put(Mark { version, ..mark }, true);
        !entry.is_gone
    }

    /// How many of the objects that are there are not in `list`.
    pub(super) fn missing_in(&self, list: &Self) -> usize {
        let there = self.entries.iter().filter(|(_, entry)| !entry.is_gone);
        there
            .filter(|(id, _)| list.entries.get(id).is_none_or(|entry| entry.is_gone))
            .count()
    }

    fn put(&mut self, mark: Mark, is_gone: bool) {
        let entry = Entry {
            uid: mark.uid,
            version: mark.version,
            is_gone,
        };
        let before = self.entries.insert(mark.id, entry);
        self.gone -= usize::from(before.is_some_and(|entry| entry.is_gone));
        self.gone += usize::from(is_gone);
        if self.gone > self.len() + GONE_MAX {
            self.forget_gone();
        }
    }

    /// Forgets the half of the gone objects that went first.
    fn forget_gone(&mut self) {
        let gone = self.entries.values().filter(|entry| entry.is_gone);
        let mut versions: Vec<u64> = gone.map(|entry| entry.version).collect();
        let middle = versions.len() / 2;
        let (_, middle, _) = versions.select_nth_unstable(middle);
        let middle = *middle;
        self.entries
            .retain(|_, entry| !entry.is_gone || entry.version > middle);
        self.gone = self.entries.values().filter(|entry| entry.is_gone).count();
    }
}

impl Entry {
    fn is_same(&self, mark: Mark) -> bool {
        self.uid == mark.uid && mark.uid != 0
    }

    fn is_newer_than(&self, mark: Mark) -> bool {
        mark.version != 0 && self.version > mark.version
    }

    /// Whether this state says something new of an object of which this is known.
    fn is_told_by(&self, mark: Mark) -> bool {
        if self.is_gone && self.is_same(mark) {
            // UIDs do not come back.
            return false;
        }
        mark.version == 0 || mark.version > self.version
    }
}

/// Makes marks; of one process, with a seed of its own.
#[derive(Clone, Debug)]
pub(super) struct Marker(SeedableRandomState);

impl Default for Marker {
    fn default() -> Self {
        Self(SeedableRandomState::random())
    }
}

impl Marker {
    /// With the same seed every time, for tests.
    #[cfg(test)]
    pub(super) fn fixed() -> Self {
        Self(SeedableRandomState::fixed())
    }

    pub(super) fn mark(&self, namespace: &str, name: &str, uid: &str, version: &str) -> Mark {
        Mark {
            id: self.0.hash_one((namespace, name)),
            uid: match uid {
                "" => 0,
                uid => self.0.hash_one(uid).max(1),
            },
            version: number(version),
        }
    }
}

/// A resource version as a number; 0 where it is none.
pub(super) fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}
