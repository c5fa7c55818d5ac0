//! What discovery clients see of a service, as a number that moves when it does.
//!
//! The generation of a service's names is not that number: the name of a cluster IP stays while the endpoints behind it come
//! and go. So what was made of a service is digested whenever it is made, and where the digest is another, the service has
//! moved in this turn. Who waits for that is not known here.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::{ServiceKey, ServiceKind, ServiceView};
use crate::rollout::{Outcome, Role};

/// What somebody looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Which services have endpoints, and which versions and roles they have.
    Catalogue,
    /// One service, whether it is there or not.
    Service(ServiceKey),
}

/// What is kept of a service: 24 octets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Of all that is told of it.
    whole: u64,
    /// Of what a list of all services tells of it; 0 where it is not in the list.
    listed: u64,
    /// The turn that moved it last.
    turn: u64,
}

/// The turns of the loop in which something moved, counted.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// The last turn that is over.
    last: u64,
    catalogue: u64,
    moved: Vec<Subject>,
}

impl Moves {
    /// A service was made.
    pub(super) fn note(&mut self, known: &mut Seen, view: &ServiceView, outcome: &Outcome) {
        let (whole, listed) = (whole(view, outcome), listed(view, outcome));
        if known.turn == 0 || known.whole != whole {
            known.turn = self.last + 1;
            self.moved.push(Subject::Service(view.key.clone()));
        }
        if known.listed != listed {
            self.move_catalogue();
        }
        (known.whole, known.listed) = (whole, listed);
    }

    /// A service is gone. What is not there has moved with the list, so the list moves too.
    pub(super) fn gone(&mut self, key: &ServiceKey) {
        self.moved.push(Subject::Service(key.clone()));
        self.move_catalogue();
    }

    fn move_catalogue(&mut self) {
        let turn = self.last + 1;
        if self.catalogue != turn {
            self.catalogue = turn;
            self.moved.push(Subject::Catalogue);
        }
    }

    /// The turn that moved a subject last; 0: none. `known` is what is kept of it if it is a service that is there.
    pub(super) fn of(&self, known: Option<&Seen>) -> u64 {
        known.map_or(self.catalogue, |seen| seen.turn)
    }

    /// The last turn in which anything moved.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// What moved since this was last called, which ends the turn.
    pub(super) fn take(&mut self) -> Vec<Subject> {
        if !self.moved.is_empty() {
            self.last += 1;
        }
        std::mem::take(&mut self.moved)
    }
}

fn whole(view: &ServiceView, outcome: &Outcome) -> u64 {
    let mut hasher = DefaultHasher::new();
    for port in &view.ports {
        (&port.name, port.protocol, port.number).hash(&mut hasher);
    }
    for version in &outcome.versions {
        let role = version.role.map(Role::as_str);
        let share = version.share.basis_points();
        (&version.alias, &version.hash, role, share).hash(&mut hasher);
    }
    (outcome.weighted, &outcome.factors).hash(&mut hasher);
    for (endpoint, version) in view.endpoints.iter().zip(&outcome.endpoint_versions) {
        (endpoint.address, &endpoint.pod, &endpoint.hostname).hash(&mut hasher);
        (endpoint.ready, endpoint.serving, endpoint.terminating).hash(&mut hasher);
        (&endpoint.zone, &endpoint.node, &endpoint.ports, version).hash(&mut hasher);
    }
    hasher.finish()
}

fn listed(view: &ServiceView, outcome: &Outcome) -> u64 {
    if view.endpoints.is_empty() || matches!(view.kind, ServiceKind::ExternalName { .. }) {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    for version in &outcome.versions {
        (&version.alias, version.role.map(Role::as_str)).hash(&mut hasher);
    }
    hasher.finish().max(1)
}
