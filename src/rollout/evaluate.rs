//! The evaluation of a service: which endpoints count, what share each version has, where its roll-outs stand.
//!
//! Given a view, the defaults, what is remembered and the time, [`evaluate`] returns an [`Outcome`] and never
//! fails: what was written wrongly becomes problems beside an outcome that serves.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::alias::{Named, aliases};
use super::memory::{Cause, Memory};
use super::policy;
use super::shares::{Candidate, Capacity, Class, apportion, shares};
use super::track::{self, Role, Standing, State, Track};
use super::wish::{Newness, Wish, wishes};
use crate::model::{
    Endpoint, Family, Policy, Problem, Reason, ServiceView, Share, Strategy, Weights,
};

/// The split of a service, with everything that explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What applies.
    pub policy: Policy,
    /// One per revision of the view, in its order; a last one, `unversioned`, if an endpoint has no revision.
    pub versions: Vec<Version>,
    /// Parallel to the view's endpoints: indices into `versions`.
    pub endpoint_versions: Vec<usize>,
    /// Which endpoints count.
    pub basis: Basis,
    /// The view's own; such a service answers whatever it lists.
    pub publish_not_ready: bool,
    /// Shares choose among versions. If not, every endpoint that counts weighs the same, and shares are for display.
    pub weighted: bool,
    /// One per workload of the view, in its order.
    pub tracks: Vec<Track>,
    /// The gravest of the tracks that have ready endpoints.
    pub state: State,
    /// Since when it is in that state, as far as is remembered.
    pub since: Timestamp,
    /// Any track has two revisions in play.
    pub rolling: bool,
    /// The time to live of endpoint records, in seconds.
    pub ttl: u32,
    /// When a great part of the share moves by itself: answers before must be forgotten by then.
    pub cut_over: Option<Timestamp>,
    /// Parallel to the view's endpoints: the weight of each inside its version, in percent. Empty while all weigh the same.
    pub factors: Vec<u8>,
    /// When to evaluate again although nothing changed; `None`: never.
    pub next: Option<Timestamp>,
    /// What could not be obeyed.
    pub problems: Vec<Problem>,
    /// What to hand to the next evaluation.
    pub memory: Memory,
}

impl Outcome {
    /// Whether an endpoint of the evaluated view may be answered.
    pub fn counts(&self, endpoint: &Endpoint) -> bool {
        self.basis.counts(endpoint, self.publish_not_ready)
    }
}

/// Which endpoints of a service count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The ready ones.
    Ready,
    /// None is ready: those that serve while they terminate, as a last resort. Their TTL is at most 5.
    Terminating,
    /// None at all.
    Nothing,
}

impl Basis {
    fn of(view: &ServiceView) -> Self {
        [Self::Ready, Self::Terminating]
            .into_iter()
            .find(|basis| {
                let mut endpoints = view.endpoints.iter();
                endpoints.any(|endpoint| basis.counts(endpoint, view.publish_not_ready))
            })
            .unwrap_or(Self::Nothing)
    }

    fn counts(self, endpoint: &Endpoint, publish_not_ready: bool) -> bool {
        match self {
            Self::Ready => endpoint.ready && (publish_not_ready || !endpoint.terminating),
            Self::Terminating => endpoint.serving && endpoint.terminating,
            Self::Nothing => false,
        }
    }
}

/// A revision with what became of it, or all endpoints without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Index into the view's revisions; `None` for `unversioned`.
    pub revision: Option<usize>,
    /// Its identity.
    pub hash: Arc<str>,
    /// What people call it.
    pub label: Arc<str>,
    /// The label as a DNS label; versions of the same label share it.
    pub alias: Arc<str>,
    /// Whether there are names of it; of very many versions only the newest have some.
    pub is_name: bool,
    /// Targets that count; a dual-stack pod counts once.
    pub ready: u32,
    /// Those that have been ready for long enough.
    pub soaked: u32,
    /// What it carries.
    pub share: Share,
    /// What the policy gives it; `None` where no weight names it, and under `follow`.
    pub policy: Option<Share>,
    /// What its ready targets may carry; `None` where nothing is limited: under `follow`, and with the clamp off.
    pub capacity: Option<Share>,
    /// Why it carries what it does.
    pub reason: Reason,
    /// What it is to a roll-out.
    pub role: Option<Role>,
    /// What it failed by, if it did.
    pub failed: Option<Cause>,
}

/// Evaluates one service at the moment `now`.
pub fn evaluate(view: &ServiceView, defaults: &Policy, memory: &Memory, now: Timestamp) -> Outcome {
    let read = policy::read(view, defaults, memory);
    let basis = Basis::of(view);
    let counts = |endpoint: &Endpoint| basis.counts(endpoint, view.publish_not_ready);
    let mut texts = Vec::new();
    let (mut versions, endpoint_versions) = versions(view, &mut texts);

    let counting = targets(view, &endpoint_versions, versions.len(), counts);
    for (version, ready) in versions.iter_mut().zip(counting) {
        version.ready = ready;
        version.soaked = ready;
    }
    // What is published although unready does not make a roll-out progress.
    let is_up = |endpoint: &Endpoint| match view.publish_not_ready {
        true => endpoint.serving && !endpoint.terminating,
        false => Basis::Ready.counts(endpoint, false),
    };
    let up = targets(view, &endpoint_versions, versions.len(), is_up);
    let standing = track::standing(view, &up, now);
    for (index, version) in versions.iter_mut().enumerate() {
        version.role = standing.role(index);
    }

    let weighted = match &read.policy.strategy {
        Strategy::Manual(weights) => weigh(
            view,
            (&read.policy, weights),
            &standing,
            (&mut versions, &endpoint_versions),
            &mut texts,
        ),
        _ => false,
    };
    if weighted {
        let endpoints = view.endpoints.iter().zip(&endpoint_versions);
        let counting = endpoints.filter(|(endpoint, _)| counts(endpoint));
        missing_families(
            &versions,
            counting.map(|(e, v)| (e.family(), *v)),
            &mut texts,
        );
    } else {
        follow(&mut versions);
    }

    let state = standing.state;
    let remembered = memory.since.filter(|_| memory.state == Some(state));
    let since = remembered.unwrap_or(now);
    let mut ttl = read.policy.ttl.endpoints;
    if standing.rolling {
        ttl = ttl.min(read.policy.ttl.rollout);
    }
    let mut problems = read.problems;
    problems.extend(
        texts
            .into_iter()
            .map(|text| Problem::of_service(&view.key, text).at(view.origin.as_ref())),
    );
    Outcome {
        policy: read.policy,
        versions,
        endpoint_versions,
        basis,
        publish_not_ready: view.publish_not_ready,
        weighted,
        tracks: standing.tracks,
        state,
        since,
        rolling: standing.rolling,
        ttl,
        cut_over: None,
        factors: Vec::new(),
        next: None,
        problems,
        memory: Memory {
            good: read.good,
            state: Some(state),
            since: Some(since),
            ..memory.clone()
        },
    }
}

/// The name of what has no revision: endpoints written by hand, or of pods that are not known.
const UNVERSIONED: &str = "unversioned";

/// The versions, without counts and shares, and the version of each endpoint.
fn versions(view: &ServiceView, problems: &mut Vec<String>) -> (Vec<Version>, Vec<usize>) {
    let unversioned = view.revisions.len();
    let endpoint_versions: Vec<usize> = view
        .endpoints
        .iter()
        .map(|endpoint| endpoint.revision.unwrap_or(unversioned))
        .collect();
    let in_use: BTreeSet<usize> = endpoint_versions.iter().copied().collect();
    let mut named: Vec<Named<'_>> = view
        .revisions
        .iter()
        .enumerate()
        .map(|(index, revision)| Named {
            label: &revision.label,
            hash: &revision.hash,
            has_endpoints: in_use.contains(&index),
            number: revision.number,
            created: revision.created,
        })
        .collect();
    if in_use.contains(&unversioned) {
        named.push(Named {
            label: UNVERSIONED,
            hash: UNVERSIONED,
            has_endpoints: true,
            number: None,
            created: None,
        });
    }
    let (aliases, texts) = aliases(&named);
    problems.extend(texts);
    let versions = named
        .into_iter()
        .zip(aliases)
        .enumerate()
        .map(|(index, (named, alias))| Version {
            revision: (index < unversioned).then_some(index),
            hash: named.hash.into(),
            label: named.label.into(),
            alias: alias.alias,
            is_name: alias.is_name,
            ready: 0,
            soaked: 0,
            share: Share::ZERO,
            policy: None,
            capacity: None,
            reason: Reason::NoEndpoints,
            role: None,
            failed: None,
        })
        .collect();
    (versions, endpoint_versions)
}

/// How many targets of each version have an endpoint that `belongs`.
///
/// A target is told by its UID, else by its pod's name; an address of neither is a target of its own.
fn targets(
    view: &ServiceView,
    endpoint_versions: &[usize],
    versions: usize,
    belongs: impl Fn(&Endpoint) -> bool,
) -> Vec<u32> {
    let mut seen: BTreeSet<(usize, &str, Option<IpAddr>)> = BTreeSet::new();
    let mut counts = vec![0; versions];
    for (endpoint, &version) in view.endpoints.iter().zip(endpoint_versions) {
        let identity = match (&*endpoint.uid, endpoint.pod.as_deref()) {
            ("", None) => ("", Some(endpoint.address)),
            ("", Some(pod)) => (pod, None),
            (uid, _) => (uid, None),
        };
        if belongs(endpoint) && seen.insert((version, identity.0, identity.1)) {
            counts[version] += 1;
        }
    }
    counts
}

/// Shares as every ready endpoint counts the same; nothing is left out.
fn follow(versions: &mut [Version]) {
    let counts: Vec<(&str, u64)> = versions
        .iter()
        .map(|version| (&*version.hash, u64::from(version.ready)))
        .collect();
    let parts = apportion(u64::from(Share::WHOLE.basis_points()), &counts);
    for (version, part) in versions.iter_mut().zip(parts) {
        version.share = Share::from_basis_points(part);
        version.reason = match version.ready {
            0 => Reason::NoEndpoints,
            _ => Reason::Follow,
        };
    }
}

/// Shares by weights; false, and nothing touched, if the weights name nothing that is there.
fn weigh(
    view: &ServiceView,
    (policy, weights): (&Policy, &Weights),
    standing: &Standing,
    (versions, endpoint_versions): (&mut [Version], &[usize]),
    problems: &mut Vec<String>,
) -> bool {
    let newness: Vec<Newness> = versions
        .iter()
        .map(|version| {
            let revision = version.revision.map(|index| &view.revisions[index]);
            revision.map_or((None, None), |r| (r.number, r.created))
        })
        .collect();
    let annotation = match policy::has_backends(view) {
        true => "backends",
        false => "weights",
    };
    let Some(wishes) = wishes((annotation, weights), versions, &newness, problems) else {
        return false;
    };
    let capacity = Capacity {
        basis: capacity_basis(view, versions, endpoint_versions),
        headroom_percent: policy.headroom_percent,
        clamp: policy.clamp,
    };
    let orders = fill_orders(versions, standing, &newness);
    let candidates: Vec<Candidate<'_>> = versions
        .iter()
        .zip(orders)
        .zip(&wishes)
        .map(|((version, order), wish)| {
            let (class, want) = match wish {
                Wish::Part(share) => (Class::Normal, *share),
                Wish::Zero | Wish::Unlisted => (Class::Excluded, Share::ZERO),
            };
            Candidate {
                name: &version.hash,
                ready: version.ready,
                soaked: version.soaked,
                order,
                class,
                want,
                uncapped: false,
            }
        })
        .collect();
    let dealt = shares(&candidates, &capacity, false);
    for ((version, (share, reason)), wish) in versions.iter_mut().zip(dealt).zip(wishes) {
        version.share = share;
        version.reason = reason;
        version.capacity = capacity.clamp.then(|| capacity.of(version.ready));
        version.policy = match wish {
            Wish::Part(share) => Some(share),
            Wish::Zero => Some(Share::ZERO),
            Wish::Unlisted => None,
        };
    }
    true
}

/// How many targets carry the whole load: what the workloads declare, and whatever has no workload and is not about to
/// go.
///
/// A workload scaled to nothing declares nothing.
pub(super) fn capacity_basis(
    view: &ServiceView,
    versions: &[Version],
    endpoint_versions: &[usize],
) -> u32 {
    let staying = |endpoint: &Endpoint| !endpoint.terminating;
    let staying = targets(view, endpoint_versions, versions.len(), staying);
    let workloads = view.workloads.iter().filter(|w| w.replicas > 0);
    let declared = workloads.map(|w| w.capacity_basis());
    let loose = versions.iter().zip(staying).filter(|(version, _)| {
        let workload = version.revision.map(|index| view.revisions[index].workload);
        workload.flatten().is_none()
    });
    declared
        .chain(loose.map(|(_, staying)| staying))
        .fold(0, u32::saturating_add)
        .max(1)
}

/// Who fills in first: stable revisions, then others newest first, targets last.
fn fill_orders(versions: &[Version], standing: &Standing, newness: &[Newness]) -> Vec<u32> {
    versions
        .iter()
        .enumerate()
        .map(|(index, _)| match standing.role(index) {
            Some(Role::Stable | Role::Active) => 0,
            Some(Role::Canary | Role::Preview) => u32::MAX,
            None => {
                let newer = newness.iter().filter(|other| **other > newness[index]);
                u32::try_from(newer.count()).map_or(u32::MAX - 1, |newer| newer + 1)
            }
        })
        .collect()
}

/// Families that some versions with a share have addresses of, and others have not.
fn missing_families(
    versions: &[Version],
    counting: impl Iterator<Item = (Family, usize)>,
    problems: &mut Vec<String>,
) {
    let present: BTreeSet<(Family, usize)> = counting.collect();
    for (family, record) in [(Family::V4, "A"), (Family::V6, "AAAA")] {
        let carriers = || (0..versions.len()).filter(|&index| versions[index].share > Share::ZERO);
        if !carriers().any(|index| present.contains(&(family, index))) {
            continue;
        }
        for index in carriers().filter(|&index| !present.contains(&(family, index))) {
            let alias = &versions[index].alias;
            problems.push(format!(
                "no {family} address in version {alias}; its {record} share goes to the others"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
