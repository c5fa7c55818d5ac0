//! The census: how many targets of each version are ready, and for how long.
//!
//! Given a view and the version of each endpoint, [`Census::of`] counts targets: a pod with an address of each family is
//! one. A target is told by its UID, else by its pod's name; an address of neither is a target of its own.

use std::net::IpAddr;

use jiff::Timestamp;

use super::evaluate::{Basis, Outcome};
use super::ramp::after;
use crate::model::{Endpoint, ServiceView, Uid};

/// What is counted, by version.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    /// Targets that count for answers.
    pub(super) ready: u32,
    /// Targets that are ready in truth: what is published although unready does not make a roll-out progress.
    pub(super) up: u32,
    /// Targets that are not about to go.
    pub(super) staying: u32,
    /// When each of those that count had been ready for long enough, sorted; only moments up to the present.
    pub(super) soaked_at: Vec<Timestamp>,
    /// When the next of those that count will have been.
    pub(super) next_soak: Option<Timestamp>,
}

impl Count {
    /// Targets that count and have been ready for long enough.
    pub(super) fn soaked(&self) -> u32 {
        u32::try_from(self.soaked_at.len()).unwrap_or(u32::MAX)
    }
}

/// By version, in the outcome's order.
pub(super) struct Census(pub(super) Vec<Count>);

impl Census {
    /// `endpoint_versions` is parallel to the view's endpoints; an endpoint has soaked `soak_secs` after it became
    /// ready. A time in the future (a node's clock is ahead) reads as the present, so such a pod soaks when that time
    /// has come; one before its revision was made (a node's clock is behind) reads as that. Where no time is known there
    /// is nothing to wait for.
    pub(super) fn of(
        view: &ServiceView,
        endpoint_versions: &[usize],
        versions: usize,
        basis: Basis,
        soak_secs: u32,
        now: Timestamp,
    ) -> Self {
        let mut targets: Vec<(usize, Identity<'_>, usize)> = view
            .endpoints
            .iter()
            .zip(endpoint_versions)
            .enumerate()
            .map(|(index, (endpoint, version))| (*version, identity(endpoint), index))
            .collect();
        targets.sort_unstable();
        let mut counts = vec![Count::default(); versions];
        for target in targets.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let count = &mut counts[target[0].0];
            let endpoints = || target.iter().map(|(_, _, index)| &view.endpoints[*index]);
            let publish = view.publish_not_ready;
            let is_up = |e: &Endpoint| match publish {
                true => e.serving && !e.terminating,
                false => Basis::Ready.counts(e, false),
            };
            count.up += u32::from(endpoints().any(is_up));
            count.staying += u32::from(endpoints().any(|e| !e.terminating));
            let counting = || endpoints().filter(|e| basis.counts(e, publish));
            if counting().next().is_none() {
                continue;
            }
            count.ready += 1;
            let Some(soaked) = soaks_at(view, endpoints, basis, soak_secs, now) else {
                continue;
            };
            if soaked <= now {
                count.soaked_at.push(soaked);
            } else {
                count.next_soak = Some(count.next_soak.map_or(soaked, |next| next.min(soaked)));
            }
        }
        for count in &mut counts {
            count.soaked_at.sort_unstable();
        }
        Self(counts)
    }

    /// By version, what `what` says of its count.
    pub(super) fn each<T>(&self, what: impl Fn(&Count) -> T) -> Vec<T> {
        self.0.iter().map(what).collect()
    }
}

/// When a target, given its endpoints, has been ready for long enough; `None` where it does not count, or nobody can say.
fn soaks_at<'v, E: Iterator<Item = &'v Endpoint>>(
    view: &ServiceView,
    endpoints: impl Fn() -> E,
    basis: Basis,
    soak_secs: u32,
    now: Timestamp,
) -> Option<Timestamp> {
    let counting = || endpoints().filter(|e| basis.counts(e, view.publish_not_ready));
    // Where it is disputed, its moment is told with the news of its pod; anything before that would be a guess.
    if counting().all(|e| e.disputed) {
        return None;
    }
    let since = counting().filter_map(|e| e.ready_since).min();
    let revision = endpoints().find_map(|e| e.revision);
    let made = revision.and_then(|index| view.revisions.get(index)?.created);
    let made = made.filter(|made| *made <= now);
    let since = since.map(|since| made.map_or(since, |made| since.max(made)));
    Some(since.map_or(now, |since| after(since.min(now), soak_secs)))
}

/// Of each of the view's endpoints, whether its target has been ready for long enough at the moment of the outcome.
pub fn soaked(view: &ServiceView, outcome: &Outcome, now: Timestamp) -> Vec<bool> {
    let mut targets: Vec<(Identity<'_>, usize)> =
        view.endpoints.iter().map(identity).zip(0..).collect();
    targets.sort_unstable();
    let mut soaked = vec![false; view.endpoints.len()];
    let soak_secs = outcome.policy.soak_secs;
    for target in targets.chunk_by(|one, other| one.0 == other.0) {
        let endpoints = || target.iter().map(|(_, index)| &view.endpoints[*index]);
        let at = soaks_at(view, endpoints, outcome.basis, soak_secs, now);
        for (_, index) in target {
            soaked[*index] = at.is_some_and(|at| at <= now);
        }
    }
    soaked
}

/// UID, pod's name, address: the first of them that is known, the others empty.
type Identity<'v> = (&'v Uid, &'v str, Option<IpAddr>);

fn identity(endpoint: &Endpoint) -> Identity<'_> {
    let uid = &endpoint.uid;
    match endpoint.pod.as_deref() {
        _ if !uid.is_empty() => (uid, "", None),
        Some(pod) => (uid, pod, None),
        None => (uid, "", Some(endpoint.address)),
    }
}
