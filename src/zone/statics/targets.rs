//! Targets: whether a name that a record points to has an address in its own zone.

use std::collections::HashSet;

use super::check::{Names, SetsOfName};
use crate::wire::{Name, rtype};

/// What a resolver would come to that asks for the addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has at least one, be it glue.
    Address,
    /// A CNAME.
    Alias,
    /// This name above it has a DNAME.
    Redirected(Name),
    /// This name above it is delegated, and no glue is there.
    Elsewhere(Name),
    /// It has none.
    Nothing,
}

/// A zone's names, and those that exist because others stand below them.
pub(super) struct Existing<'z> {
    names: &'z Names,
    apex: &'z Name,
    all: HashSet<Name>,
}

impl<'z> Existing<'z> {
    pub(super) fn of(names: &'z Names, apex: &'z Name) -> Self {
        let mut all = HashSet::with_capacity(names.len());
        for name in names.keys() {
            let mut next = Some(name.clone());
            while let Some(name) = next.filter(|name| name.is_within(apex)) {
                next = name.parent();
                if !all.insert(name) {
                    break;
                }
            }
        }
        Self { names, apex, all }
    }

    /// What becomes of a name in the zone.
    pub(super) fn fate(&self, target: &Name) -> Fate {
        let mut above: Vec<Name> = Vec::new();
        let mut next = target.parent().filter(|_| target != self.apex);
        while let Some(over) = next {
            next = over.parent().filter(|_| over != *self.apex);
            above.push(over);
        }
        let own = self.names.get(target);
        // What stands nearest the apex decides.
        match above.iter().rev().find_map(|over| self.covering(over)) {
            Some(Fate::Elsewhere(_)) if own.is_some_and(has_address) => return Fate::Address,
            Some(fate) => return fate,
            None => {}
        }
        if let Some(sets) = own {
            let is_cut = target != self.apex && has(sets, rtype::NS);
            return match of_sets(sets) {
                Fate::Nothing if is_cut => Fate::Elsewhere(target.clone()),
                fate => fate,
            };
        }
        if self.all.contains(target) {
            return Fate::Nothing;
        }
        // The closest name above that exists decides which wildcard there is (RFC 4592, section 3.3.1).
        let closest = above.iter().find(|over| self.all.contains(*over));
        let wildcard = closest.and_then(|over| over.below([b"*".as_slice()]).ok());
        let sets = wildcard.and_then(|wildcard| self.names.get(&wildcard));
        sets.map_or(Fate::Nothing, of_sets)
    }

    /// What a name does to those below it.
    fn covering(&self, over: &Name) -> Option<Fate> {
        let sets = self.names.get(over)?;
        let is_cut = over != self.apex && has(sets, rtype::NS);
        match (is_cut, has(sets, rtype::DNAME)) {
            (true, _) => Some(Fate::Elsewhere(over.clone())),
            (false, true) => Some(Fate::Redirected(over.clone())),
            (false, false) => None,
        }
    }
}

fn of_sets(sets: &SetsOfName) -> Fate {
    match (has(sets, rtype::CNAME), has_address(sets)) {
        (true, _) => Fate::Alias,
        (false, true) => Fate::Address,
        (false, false) => Fate::Nothing,
    }
}

fn has(sets: &SetsOfName, of: u16) -> bool {
    sets.contains_key(&of)
}

fn has_address(sets: &SetsOfName) -> bool {
    has(sets, rtype::A) || has(sets, rtype::AAAA)
}
