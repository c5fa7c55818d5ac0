//! Zones of files: in force beside the cluster's names, each as a whole.
//!
//! Whoever reads files tells which zones there are, and gives those that are another. The engine keeps the last good one of each
//! and puts all of them in force with the terms: in one step, and without a name of the cluster being touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Engine, sorted};
use crate::answer::Terms;
use crate::model::Problem;
use crate::wire::Name;
use crate::zone::{StaticZone, Zones};

/// The zones of files, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Statics {
    /// `None`: the file has never been right.
    zones: BTreeMap<Name, Option<Arc<StaticZone>>>,
    /// Sorted.
    problems: Vec<Problem>,
    /// The draws of weighted sets: a slot keeps its counter while the zone changes.
    slots: BTreeMap<(Name, u16), u32>,
}

/// What became of zones of files, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// It is served from here on.
    Begun(Name, u32, usize),
    /// Another one is served in its place: serial and records.
    Replaced(Name, u32, usize),
    /// Its file is gone, and it with it.
    Ended(Name),
}

impl Engine {
    /// Puts zones of files in force: all that there are, with those that are another; `None` of a zone that is not, or of whose
    /// file nothing is right. `problems` are all that the files have.
    pub fn set_static_zones(
        &mut self,
        zones: Vec<(Name, Option<Box<StaticZone>>)>,
        problems: Vec<Problem>,
    ) -> Vec<Served> {
        let mut before = std::mem::take(&mut self.statics.zones);
        let mut served = Vec::new();
        for (name, zone) in zones {
            let last = before.remove(&name).flatten();
            let zone = match zone {
                None => last,
                Some(mut zone) => {
                    self.give_slots(&mut zone);
                    let (serial, records) = (zone.serial(), zone.records());
                    served.push(match last {
                        Some(_) => Served::Replaced(name.clone(), serial, records),
                        None => Served::Begun(name.clone(), serial, records),
                    });
                    Some(Arc::from(zone))
                }
            };
            self.statics.zones.insert(name, zone);
        }
        let ended = before.into_iter().filter(|(_, zone)| zone.is_some());
        served.extend(ended.map(|(name, _)| Served::Ended(name)));
        self.free_slots();
        let (zones, left_out) = self.zones_with_files(&self.terms.zones);
        zones.continue_serials(&self.terms.zones);
        if !served.is_empty() {
            // Of zones that are the cluster's as well; that of a file is its author's.
            zones.bump_serials(0);
        }
        let terms = Terms {
            zones,
            identity: self.terms.identity.clone(),
            limits: self.terms.limits,
        };
        self.terms = Arc::new(terms);
        self.view.set_terms(Arc::clone(&self.terms));
        let left_out = left_out.into_iter().map(|(name, text)| Problem {
            origin: None,
            subject: format!("zone {}", name.to_string().trim_end_matches('.')),
            text,
        });
        let problems = sorted(problems.into_iter().chain(left_out).collect());
        self.problems.replace(&self.statics.problems, &problems);
        self.statics.problems = problems;
        served
    }

    /// These zones with those of files.
    pub(super) fn zones_with_files(&self, zones: &Zones) -> (Zones, Vec<(Name, String)>) {
        let files = self.statics.zones.iter();
        let files: Vec<_> = files
            .map(|(name, zone)| (name.clone(), zone.clone()))
            .collect();
        zones.with_files(&files)
    }

    fn give_slots(&mut self, zone: &mut StaticZone) {
        let (slots, free) = (&mut self.statics.slots, &mut self.slots);
        zone.set_slots(|name, rtype| {
            *slots
                .entry((name.clone(), rtype))
                .or_insert_with(|| free.draw())
        });
    }

    /// Gives back the slots of sets that no zone has any more.
    fn free_slots(&mut self) {
        let Statics { zones, slots, .. } = &mut self.statics;
        let free = &mut self.slots;
        let used = zones.values().flatten().flat_map(|zone| zone.weighted());
        let used: BTreeSet<&(Name, u16)> = used.collect();
        slots.retain(|key, slot| {
            let is_used = used.contains(key);
            if !is_used {
                free.give_back(*slot);
            }
            is_used
        });
    }
}
