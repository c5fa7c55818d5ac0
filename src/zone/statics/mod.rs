//! Static zones: what stands in a master file, checked, and ready to be answered.
//!
//! Given what [`super::master::read`] gave, [`StaticZone::of`] gives the zone and what is wrong with it. A zone is made as a
//! whole and never changes; another one takes its place, so every answer is of one file as it was at one moment.
//!
//! ```text
//!  name ── stands here ──> Node, or a delegation (DS is asked of this side, RFC 4035, section 3.1.4.1)
//!   │
//!   └ missing ── labels are stripped until a name exists, the closest encloser (RFC 4592, section 3.3.1)
//!                  ├ delegated ──> referral
//!                  ├ DNAME ──────> another name
//!                  ├ `*` below ──> its Node
//!                  └ else ───────> missing
//! ```
//!
//! Names below a delegation or a DNAME are not there, but for glue in the referral. So a name that exists costs one look-up,
//! whatever the zone is like; only missing names pay for wildcards and delegations, a look-up a label.
//!
//! # Weights
//!
//! Which share each address of a name has stands in a file of its own beside the zone ([`Weights`]), and not in a directive:
//! `named-checkzone`, a secondary, and every other tool that reads the zone refuses what it does not know, and none of them
//! has a place for it. What has no weight there is answered whole, as everywhere.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod check;
mod compile;
mod targets;
mod weights;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::node::{Alias, Node};
use super::zones::Soa;
use crate::wire::{Body, Name, QueryName, Srv, rtype};

pub use check::{Finding, Severity};
pub use weights::{Weighted, Weights};

/// A zone of a file.
#[derive(Debug)]
pub struct StaticZone {
    name: Name,
    soa: Soa,
    names: HashMap<Box<[u8]>, Standing, FixedState>,
    /// The most labels that a name has: deeper ones exist in no zone.
    depth: usize,
    labels: usize,
    records: usize,
    /// The weighted sets, in their order.
    weighted: Vec<(Name, u16)>,
}

/// What stands at a name, and for those below it.
#[derive(Debug, Default)]
struct Standing {
    node: Node,
    below: Option<BelowIt>,
}

/// What stands for all names below one.
#[derive(Debug)]
enum BelowIt {
    /// They are somebody else's.
    Delegated(Arc<Delegation>),
    /// They have the same names elsewhere.
    Renamed(Arc<Renaming>),
}

/// A delegation: NS records, and the addresses of those servers that this zone knows.
#[derive(Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The NS records and their glue.
    pub records: Srv,
    /// So many servers, the first of those with glue, lie below the delegation: without their addresses nobody gets there
    /// (RFC 9471).
    pub required: usize,
}

/// A DNAME record.
#[derive(Debug, PartialEq, Eq)]
pub struct Renaming {
    /// The record.
    pub body: Body,
    /// Seconds, which the CNAME made of it has as well (RFC 6672, section 2.2).
    pub ttl: u32,
    /// Where names below go.
    pub target: QueryName,
}

/// What a look-up found.
#[derive(Clone, Copy, Debug)]
pub enum Stands<'z> {
    /// The name exists, or a wildcard stands for it.
    Node(&'z Node),
    /// It is at or below a delegation, whose name has so many labels.
    Delegated(usize, &'z Delegation),
    /// It is below a DNAME, whose name has so many labels.
    Renamed(usize, &'z Renaming),
    /// It does not exist.
    Missing,
}

impl StaticZone {
    /// The apex.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How many records are served.
    pub fn records(&self) -> usize {
        self.records
    }

    /// The serial of its SOA record.
    pub fn serial(&self) -> u32 {
        self.soa.serial()
    }

    pub(super) fn soa(&self) -> &Soa {
        &self.soa
    }

    /// The names with weights and the types of their sets.
    pub fn weighted(&self) -> &[(Name, u16)] {
        &self.weighted
    }

    /// Gives each weighted set a slot for its draws, which `slot` is to know again when the zone is another.
    pub fn set_slots(&mut self, mut slot: impl FnMut(&Name, u16) -> u32) {
        for (name, of) in &self.weighted {
            let slot = slot(name, *of);
            if let Some(standing) = self.names.get_mut(name.as_wire()) {
                standing.node.set_slot(*of, slot);
            }
        }
    }

    /// The names directly below the apex with these labels, if any: `svc` where the zone has `web.shop.svc`.
    pub fn has_below(&self, label: &[u8]) -> bool {
        let name = self.name.below([label]);
        name.is_ok_and(|name| self.names.contains_key(name.as_wire()))
    }

    /// Whether exactly this name is somebody else's.
    pub fn delegates(&self, name: &QueryName) -> bool {
        let standing = self.names.get(name.as_wire());
        let below = standing.and_then(|standing| standing.below.as_ref());
        matches!(below, Some(BelowIt::Delegated(_)))
    }

    /// What stands at exactly this name, which others know to exist.
    pub fn find_known(&self, name: &QueryName) -> Option<&Node> {
        let standing = self.names.get(name.as_wire())?;
        Some(&standing.node)
    }

    /// What stands at a name of the zone for a question of type `qtype`. Where names of somebody else are in the zone as well,
    /// `exists` knows them.
    pub fn find(&self, name: &QueryName, qtype: u16, exists: impl Fn(&[u8]) -> bool) -> Stands<'_> {
        let labels = name.label_count();
        if labels <= self.depth
            && let Some(standing) = self.names.get(name.as_wire())
        {
            return match &standing.below {
                Some(BelowIt::Delegated(delegation)) if qtype != rtype::DS => {
                    Stands::Delegated(labels, delegation)
                }
                _ => Stands::Node(&standing.node),
            };
        }
        self.find_above(name, exists)
    }

    #[cold]
    fn find_above(&self, name: &QueryName, exists: impl Fn(&[u8]) -> bool) -> Stands<'_> {
        let most = name.label_count().saturating_sub(1);
        for labels in (self.labels..=most).rev() {
            let over = name.suffix(labels);
            let may_stand = labels <= self.depth;
            let standing = may_stand.then(|| self.names.get(over)).flatten();
            match standing.map(|standing| &standing.below) {
                Some(Some(BelowIt::Delegated(delegation))) => {
                    return Stands::Delegated(labels, delegation);
                }
                Some(Some(BelowIt::Renamed(renaming))) => return Stands::Renamed(labels, renaming),
                Some(None) => return self.wildcard(over),
                None if exists(over) => return Stands::Missing,
                None => {}
            }
        }
        Stands::Missing
    }

    fn wildcard(&self, over: &[u8]) -> Stands<'_> {
        let mut key = [0; 257];
        let Some((front, behind)) = key
            .get_mut(..over.len() + 2)
            .and_then(|key| key.split_at_mut_checked(2))
        else {
            return Stands::Missing;
        };
        front.copy_from_slice(b"\x01*");
        behind.copy_from_slice(over);
        let key = key.get(..over.len() + 2).unwrap_or_default();
        let standing = self.names.get(key);
        standing.map_or(Stands::Missing, |standing| Stands::Node(&standing.node))
    }
}

impl Renaming {
    /// The name that `name`, below a DNAME of `labels` labels, is instead, and its CNAME; `None`: it is too long (RFC 6672,
    /// section 2.2).
    pub fn renamed(&self, name: &QueryName, labels: usize) -> Option<Alias> {
        let front = name
            .as_wire()
            .len()
            .checked_sub(name.suffix(labels).len())?;
        let front = name.as_wire().get(..front)?;
        let target = Name::from_wire(&[front, self.target.as_wire()].concat())?;
        Some(Alias::to(&target, self.ttl))
    }
}
