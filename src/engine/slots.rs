//! Slots: the places where a service's draws and answers are counted, kept across its generations.
//!
//! A draw's counter goes on while weights change, so that a new generation does not start every worker at the
//! same point. An answer's count belongs to one revision of one service and is what `/metrics` shows of it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::ServiceKey;
use crate::rollout::Outcome;
use crate::zone::Slots;

/// A service, and a version of it by alias and hash.
type Counted = (ServiceKey, Arc<str>, Arc<str>);

/// Which service and version each answer count stands for.
///
/// Behind a lock because the engine writes it when versions come and go while a scrape reads it; queries never
/// look at it.
#[derive(Debug, Default)]
pub struct CountedVersions(RwLock<BTreeMap<u32, Counted>>);

impl CountedVersions {
    /// Slot, service, alias and hash of every counted version.
    pub fn snapshot(&self) -> Vec<(u32, ServiceKey, Arc<str>, Arc<str>)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = |(slot, (key, alias, hash)): (&u32, &Counted)| {
            (*slot, key.clone(), Arc::clone(alias), Arc::clone(hash))
        };
        known.iter().map(entry).collect()
    }

    /// The slots that count, sorted.
    pub fn slots(&self) -> Vec<u32> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.keys().copied().collect()
    }

    /// The slots of one service with the hashes of their versions.
    pub fn of(&self, service: &ServiceKey) -> Vec<(u32, Arc<str>)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_service = known.iter().filter(|(_, (key, ..))| key == service);
        let slots = of_service.map(|(slot, (.., hash))| (*slot, Arc::clone(hash)));
        slots.collect()
    }
}

/// Gives slots out.
#[derive(Debug, Default)]
pub(super) struct Allocator {
    next_draw: u32,
    free_draws: Vec<u32>,
    /// Counts are not reused: a series that starts at another's value would read as answers.
    /// TODO-scale: one of 4 million for each revision a service ever had; at a roll-out a second, six weeks.
    next_count: u32,
    counted: Arc<CountedVersions>,
}

impl Allocator {
    pub(super) fn counted(&self) -> Arc<CountedVersions> {
        Arc::clone(&self.counted)
    }

    pub(super) fn draw(&mut self) -> u32 {
        self.free_draws.pop().unwrap_or_else(|| {
            self.next_draw += 1;
            self.next_draw - 1
        })
    }

    pub(super) fn give_back(&mut self, draw: u32) {
        self.free_draws.push(draw);
    }

    fn count(&mut self, key: &ServiceKey, alias: &Arc<str>, hash: &Arc<str>) -> u32 {
        let slot = self.next_count;
        self.next_count = self.next_count.saturating_add(1);
        self.name_count(slot, key, alias, hash);
        slot
    }

    fn name_count(&self, slot: u32, key: &ServiceKey, alias: &Arc<str>, hash: &Arc<str>) {
        let mut known = self
            .counted
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known.insert(slot, (key.clone(), Arc::clone(alias), Arc::clone(hash)));
    }

    fn forget_count(&self, slot: u32) {
        let mut known = self
            .counted
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known.remove(&slot);
    }
}

/// The slots of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceSlots {
    /// Of A and AAAA, by cluster zone: a set of each zone is another set, drawn by itself.
    draws: Vec<(u32, u32)>,
    /// By revision hash: alias and slot.
    counts: BTreeMap<Arc<str>, (Arc<str>, u32)>,
}

impl ServiceSlots {
    /// Slots for the versions of `outcome` in each of `zones` cluster zones: known ones stay, new ones are given
    /// out, those of revisions that are gone are forgotten.
    pub(super) fn assign(
        &mut self,
        key: &ServiceKey,
        outcome: &Outcome,
        zones: usize,
        from: &mut Allocator,
    ) -> Vec<Slots> {
        self.draws.resize_with(zones, || (from.draw(), from.draw()));
        for version in &outcome.versions {
            match self.counts.get_mut(&version.hash) {
                Some((alias, _)) if *alias == version.alias => {}
                Some((alias, slot)) => {
                    *alias = Arc::clone(&version.alias);
                    from.name_count(*slot, key, alias, &version.hash);
                }
                None => {
                    let slot = from.count(key, &version.alias, &version.hash);
                    let entry = (Arc::clone(&version.alias), slot);
                    self.counts.insert(Arc::clone(&version.hash), entry);
                }
            }
        }
        self.counts.retain(|hash, (_, slot)| {
            let known = outcome.versions.iter().any(|version| version.hash == *hash);
            if !known {
                from.forget_count(*slot);
            }
            known
        });
        self.known(outcome, zones)
    }

    /// The slots given out already, by zone; none where none were.
    pub(super) fn known(&self, outcome: &Outcome, zones: usize) -> Vec<Slots> {
        let slot = |hash: &Arc<str>| self.counts.get(hash).map(|(_, slot)| *slot);
        let versions = outcome.versions.iter();
        let versions: Vec<u32> = versions.filter_map(|version| slot(&version.hash)).collect();
        let mut slots = vec![Slots::default(); zones];
        for (slots, (a, aaaa)) in slots.iter_mut().zip(&self.draws) {
            *slots = Slots {
                a: Some(*a),
                aaaa: Some(*aaaa),
                versions: versions.clone(),
            };
        }
        slots
    }

    /// Gives everything back.
    pub(super) fn release(&mut self, to: &mut Allocator) {
        for (a, aaaa) in self.draws.drain(..) {
            to.free_draws.extend([a, aaaa]);
        }
        for (_, slot) in self.counts.values() {
            to.forget_count(*slot);
        }
        self.counts.clear();
    }
}
