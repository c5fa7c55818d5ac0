//! Beginning with what an earlier process knew: names are answered before the source has been read.
//!
//! ```text
//!   Engine::new ── restore(objects) ──> answers from them, stale ── every kind was read ──> as if there had been none
//! ```
//!
//! Until every kind was read nothing that the source gives is published, so that no answer is made of half of either; and
//! nothing moves by time, as while the source is lost. Then everything is made of what was read, with the memory from
//! before this process: what was concluded from the old objects is forgotten with them.

use jiff::Timestamp;

use super::hold::Answered;
use super::{Applied, Engine, secs};
use crate::model::Problem;
use crate::objects::{Change, Dirty, Kind, Object};

/// All objects at a moment, for who keeps them beyond this process; clones share them.
#[derive(Clone, Debug)]
pub struct Known {
    /// In the order of [`Kind::ALL`].
    pub objects: Vec<Object>,
    /// Counts the batches that brought them: equal numbers, equal objects.
    pub batch: u64,
    /// Until when this was all there was to know.
    pub at: Timestamp,
}

impl Engine {
    /// Publishes what an earlier process knew at `taken`; to be called before the first batch, once, and after
    /// [`Engine::remember`].
    pub fn restore(&mut self, objects: Vec<Object>, taken: Timestamp, now: Timestamp) -> Applied {
        let taken = taken.min(now);
        for kind in Kind::ALL {
            // As a list: it is packed as one.
            let of_kind = objects.iter().filter(|object| object.kind() == kind);
            let objects = of_kind.cloned().collect();
            self.index.apply(Change::Reset { kind, objects });
        }
        drop(objects);
        self.restored = Some(taken);
        self.view.set_restored(secs(taken));
        let problem = problem(taken);
        self.problems.replace(&[], std::slice::from_ref(&problem));
        // It is needed again when the source was read.
        let remembered = self.remembered.clone();
        self.begin_with_memory();
        self.remembered = remembered;
        let dirty = self.index.take_dirty();
        let applied = self.publish_dirty(dirty, now);
        self.view.set_synced();
        applied
    }

    /// Every kind was read for the first time: forgets what was concluded from what was restored.
    pub(super) fn forget_restored(&mut self, dirty: &mut Dirty) {
        let Some(taken) = self.restored.take() else {
            return;
        };
        self.problems.replace(&[problem(taken)], &[]);
        self.memory_news.clear();
        for service in self.services.values_mut() {
            service.memory = Default::default();
            service.answered = Answered::default();
        }
        dirty.services.extend(self.services.keys().cloned());
    }

    /// Since when what is known may not be all there is to know: as long as nothing else was read than an earlier process
    /// has, and while the source is lost.
    pub(super) fn lost_since(&self) -> Option<Timestamp> {
        self.restored.or(self.lost)
    }

    /// All objects, where they have been read from the source, and there has been a batch after the one of number
    /// `known`; zero is before all of them.
    pub(super) fn known(&self, known: u64, now: Timestamp) -> Option<Known> {
        let is_read = self.missing_kinds.is_empty() && self.restored.is_none();
        (is_read && self.batches > known).then(|| Known {
            objects: self.index.objects(),
            batch: self.batches,
            at: self.lost.map_or(now, |lost| lost.min(now)),
        })
    }
}

fn problem(taken: Timestamp) -> Problem {
    Problem {
        origin: None,
        subject: "snapshot".to_owned(),
        text: format!(
            "names are answered from the snapshot of {taken}, until every kind of object has been read from the API server"
        ),
    }
}
