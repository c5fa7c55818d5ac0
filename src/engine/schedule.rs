//! The schedule: when which service is to be evaluated again although nothing changed.
//!
//! Services at rest are not in it, so that a moment at which nothing is due costs one look, however large the cluster.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::ServiceKey;

/// One entry a service, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Schedule(BTreeSet<(Timestamp, ServiceKey)>);

impl Schedule {
    /// Moves a service's entry; `None` is no entry.
    pub(super) fn replace(
        &mut self,
        key: &ServiceKey,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.0.remove(&(before, key.clone()));
        }
        if let Some(after) = after {
            self.0.insert((after, key.clone()));
        }
    }

    /// The earliest moment.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The services that are due; they stay until they are moved.
    pub(super) fn due(&self, now: Timestamp) -> BTreeSet<ServiceKey> {
        let due = self.0.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, key)| key.clone()).collect()
    }

    /// All services that have an entry.
    pub(super) fn all(&self) -> BTreeSet<ServiceKey> {
        self.0.iter().map(|(_, key)| key.clone()).collect()
    }
}
