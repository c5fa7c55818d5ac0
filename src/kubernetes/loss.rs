//! Whether the source as a whole is there: it is lost when the first kind that is needed cannot be followed, and back
//! when all can be.
//!
//! A half of a cluster is no basis for moving shares: new pods without their slices look like a version that failed.

use std::collections::BTreeSet;

use crate::objects::Kind;

/// What became of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was there, and is lost.
    Lost,
    /// It was lost, and is there.
    Back,
}

/// Kinds that cannot be followed.
#[derive(Debug, Default)]
pub(super) struct Losses(BTreeSet<Kind>);

impl Losses {
    /// The kind cannot be followed. One that a cluster may be without is never missed.
    pub(super) fn fail(&mut self, kind: Kind) -> Option<Turn> {
        if kind.is_optional() {
            return None;
        }
        let was_there = self.0.is_empty();
        self.0.insert(kind);
        was_there.then_some(Turn::Lost)
    }

    /// The kind is followed.
    pub(super) fn mend(&mut self, kind: Kind) -> Option<Turn> {
        let was_missing = self.0.remove(&kind);
        (was_missing && self.0.is_empty()).then_some(Turn::Back)
    }
}
