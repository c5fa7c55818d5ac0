//! The split: what each version is asked to carry under the policy, and what it gets.
//!
//! Given the standing of all tracks and the census, [`split()`] fills in the shares of versions with their reasons. Every
//! strategy becomes wishes that sum to the whole at the most; what becomes of wishes is the weight function's part.
//!
//! ```text
//!   follow                         by ready targets; left out: nothing, or what failed where that was asked for
//!   linear exponential steps       each track has its portion; the target p of it, the stable revision the rest
//!   blue-green                     p is nothing, or the whole; of two Services the active one has the whole
//!   manual external                as written
//! ```

use super::Version;
use super::census::Census;
use super::scene::quarantines;
use super::shares::{Candidate, Capacity, Class, apportion, shares};
use super::track::{Placed, Role, Standing};
use super::wish::{Newness, Wish, wishes};
use crate::model::{OnFailure, Policy, Reason, ServiceView, Share, Strategy, Weights};

/// What the policy gives a version.
#[derive(Clone, Copy)]
struct Want {
    /// Part of the whole.
    share: Share,
    class: Class,
    uncapped: bool,
    /// As it is told to people; `None` where no weight names the version.
    policy: Option<Share>,
}

impl Want {
    const NOTHING: Self = Self {
        share: Share::ZERO,
        class: Class::Normal,
        uncapped: false,
        policy: Some(Share::ZERO),
    };

    fn ask(&mut self, part: u64) {
        self.share = Share::from_basis_points(part);
        self.policy = Some(self.share);
    }
}

const WHOLE: u64 = 10_000;

/// Gives every version its share, by the capacity that is returned; `None` where every endpoint that counts weighs the
/// same.
///
/// `weights` are the endpoints' weights by version, added up: their numbers, unless some start slowly.
pub(super) fn split(
    (view, policy): (&ServiceView, &Policy),
    standing: &Standing,
    census: &Census,
    versions: &mut [Version],
    weights: &[u64],
    problems: &mut Vec<String>,
) -> Option<Capacity> {
    let newness: Vec<Newness> = versions
        .iter()
        .map(|version| newness(view, version))
        .collect();
    let wants = match &policy.strategy {
        Strategy::Manual(written) => {
            let annotation = match view.has_backends {
                true => "backends",
                false => "weights",
            };
            by_weights(
                (annotation, written),
                standing,
                versions,
                &newness,
                problems,
            )
        }
        Strategy::External => match &view.external {
            Some(external) => {
                let written = (&*external.source, &external.weights);
                by_weights(written, standing, versions, &newness, problems)
            }
            None => {
                let text = "strategy: `external` finds no object that gives weights; every ready endpoint counts the same";
                problems.push(text.to_owned());
                None
            }
        },
        Strategy::BlueGreen {
            backends: Some(_), ..
        } => by_flip(view, standing, versions),
        Strategy::Linear { .. }
        | Strategy::Exponential { .. }
        | Strategy::Steps(_)
        | Strategy::BlueGreen { .. } => Some(by_tracks(view, standing, census, versions)),
        Strategy::Follow => None,
    };
    let has_failed = |version: &Version| {
        let cause = version.failed.filter(|cause| quarantines(policy, *cause));
        cause.is_some() && version.ready > 0
    };
    let wants = match wants {
        None if versions.iter().any(has_failed) => Some(by_pods(versions, weights, has_failed)),
        wants => wants,
    };
    let Some(mut wants) = wants else {
        follow(versions, weights);
        return None;
    };
    for (want, version) in wants.iter_mut().zip(&*versions) {
        if want.class != Class::Excluded && has_failed(version) {
            want.class = Class::Quarantined;
        }
    }
    let capacity = match standing.flip() {
        Some(_) => Capacity::of_backends(view, policy),
        None => Capacity {
            basis: capacity_basis(view, versions, census),
            headroom_percent: policy.headroom_percent,
            clamp: policy.clamp,
        },
    };
    let orders = fill_orders(versions, &newness);
    let candidates: Vec<Candidate<'_>> = versions
        .iter()
        .zip(orders)
        .zip(&wants)
        .map(|((version, order), want)| Candidate {
            name: &version.hash,
            ready: version.ready,
            soaked: version.soaked,
            order,
            class: want.class,
            want: want.share,
            uncapped: want.uncapped,
        })
        .collect();
    let strict = policy.on_failure == OnFailure::ShiftBackStrict;
    let dealt = shares(&candidates, &capacity, strict);
    for ((version, (share, reason)), want) in versions.iter_mut().zip(dealt).zip(wants) {
        version.share = share;
        version.reason = reason;
        let is_limited = capacity.clamp && !want.uncapped;
        version.capacity = is_limited.then(|| capacity.of(version.ready));
        version.policy = want.policy;
    }
    Some(capacity)
}

fn newness(view: &ServiceView, version: &Version) -> Newness {
    let revision = version.revision.map(|index| &view.revisions[index]);
    revision.map_or((None, None), |r| (r.number, r.created))
}

/// As written, across workloads.
fn by_weights(
    written: (&str, &Weights),
    standing: &Standing,
    versions: &[Version],
    newness: &[Newness],
    problems: &mut Vec<String>,
) -> Option<Vec<Want>> {
    let wishes = wishes(written, versions, newness, problems)?;
    let want = |(version, wish): (usize, Wish)| match wish {
        Wish::Part(share) => Want {
            share,
            class: class(standing, version),
            policy: Some(share),
            ..Want::NOTHING
        },
        Wish::Zero => Want {
            class: Class::Excluded,
            ..Want::NOTHING
        },
        Wish::Unlisted => Want {
            class: Class::Excluded,
            policy: None,
            ..Want::NOTHING
        },
    };
    Some(wishes.into_iter().enumerate().map(want).collect())
}

/// A target on its way carries no more than what has soaked.
fn class(standing: &Standing, version: usize) -> Class {
    let mut placed = standing.placed.iter();
    match placed.any(|placed| placed.is_canary && placed.track.target == Some(version)) {
        true => Class::Target,
        false => Class::Normal,
    }
}

/// The active one of two Services has everything; `None` where there are none, as while the annotation is malformed.
fn by_flip(view: &ServiceView, standing: &Standing, versions: &[Version]) -> Option<Vec<Want>> {
    let active = standing.flip()?.track.target?;
    let want = |index: usize| {
        let revision = versions[index].revision.map(|index| &view.revisions[index]);
        let share = match index == active {
            true => Share::WHOLE,
            false => Share::ZERO,
        };
        Want {
            share,
            policy: Some(share),
            uncapped: revision.is_some_and(|backend| backend.declared.is_none()),
            ..Want::NOTHING
        }
    };
    Some((0..versions.len()).map(want).collect())
}

/// Every workload has its portion by what it declares, and in it the target its part. Endpoints without a workload have
/// a portion by their number.
fn by_tracks(
    view: &ServiceView,
    standing: &Standing,
    census: &Census,
    versions: &[Version],
) -> Vec<Want> {
    let workload_of = |version: &Version| view.revisions[version.revision?].workload;
    let members = |placed: &Placed| -> Vec<usize> {
        let workload = placed.track.workload;
        let all = 0..versions.len();
        all.filter(|&v| workload.is_some() && workload_of(&versions[v]) == workload)
            .collect()
    };
    let mut portions: Vec<(&str, u64)> = Vec::new();
    for placed in &standing.placed {
        let ready: u64 = members(placed)
            .iter()
            .map(|&v| u64::from(versions[v].ready))
            .sum();
        let workload = placed.track.workload_in(view);
        let weight = match workload {
            _ if ready == 0 => 0,
            Some(workload) if workload.replicas > 0 => u64::from(workload.capacity_basis()),
            _ => ready,
        };
        portions.push((workload.map_or("", |w| &w.key.name), weight));
    }
    let loose: Vec<usize> = (0..versions.len())
        .filter(|&version| workload_of(&versions[version]).is_none())
        .collect();
    for &version in &loose {
        let weight = match versions[version].ready {
            0 => 0,
            ready => ready.max(census.0[version].staying),
        };
        portions.push((&versions[version].hash, u64::from(weight)));
    }
    let dealt = apportion(WHOLE, &portions);
    let (of_tracks, of_loose) = dealt.split_at(standing.placed.len());
    let mut wants = vec![Want::NOTHING; versions.len()];
    for (&version, &part) in loose.iter().zip(of_loose) {
        wants[version].ask(part);
    }
    for (placed, &portion) in standing.placed.iter().zip(of_tracks) {
        let track = &placed.track;
        let (Some(target), Some(stable)) = (track.target, track.stable) else {
            continue;
        };
        match track.wanted {
            _ if target == stable => wants[target].ask(portion),
            Some(wanted) => {
                let part = portion * u64::from(wanted.basis_points()) / WHOLE;
                wants[target].ask(part);
                wants[stable].ask(portion - part);
            }
            None => {
                let members = members(placed);
                let ready: Vec<(&str, u64)> = members
                    .iter()
                    .map(|&v| (&*versions[v].hash, u64::from(versions[v].ready)))
                    .collect();
                for (version, part) in members.iter().zip(apportion(portion, &ready)) {
                    wants[*version].ask(part);
                }
            }
        }
        wants[target].uncapped = placed.uncapped;
        // A restart is the same code: nothing of it has to prove itself.
        if placed.is_canary && track.wanted.is_some() {
            wants[target].class = Class::Target;
        }
    }
    wants
}

/// By ready targets, but for those of failed revisions.
fn by_pods(
    versions: &[Version],
    weights: &[u64],
    has_failed: impl Fn(&Version) -> bool,
) -> Vec<Want> {
    let counted: Vec<(&str, u64)> = versions
        .iter()
        .zip(weights)
        .map(|(version, weight)| {
            (
                &*version.hash,
                if has_failed(version) { 0 } else { *weight },
            )
        })
        .collect();
    let parts = apportion(WHOLE, &counted).into_iter();
    let want = |part| Want {
        share: Share::from_basis_points(part),
        policy: None,
        ..Want::NOTHING
    };
    parts.map(want).collect()
}

/// Shares as every ready endpoint counts the same; nothing is left out.
fn follow(versions: &mut [Version], weights: &[u64]) {
    let counts: Vec<(&str, u64)> = versions
        .iter()
        .zip(weights)
        .map(|(version, weight)| (&*version.hash, *weight))
        .collect();
    let parts = apportion(WHOLE, &counts);
    for (version, part) in versions.iter_mut().zip(parts) {
        version.share = Share::from_basis_points(part);
        version.reason = match version.ready {
            0 => Reason::NoEndpoints,
            _ => Reason::Follow,
        };
    }
}

/// How many targets carry the whole load: what the workloads declare, and whatever has no workload and is not about to
/// go.
///
/// A workload scaled to nothing declares nothing.
pub(super) fn capacity_basis(view: &ServiceView, versions: &[Version], census: &Census) -> u32 {
    let workloads = view.workloads.iter().filter(|w| w.replicas > 0);
    let declared = workloads.map(|w| w.capacity_basis());
    let loose = versions.iter().zip(&census.0).filter(|(version, _)| {
        let workload = version.revision.map(|index| view.revisions[index].workload);
        workload.flatten().is_none()
    });
    declared
        .chain(loose.map(|(_, count)| count.staying))
        .fold(0, u32::saturating_add)
        .max(1)
}

/// Who fills in first: stable revisions, then others newest first, targets last.
pub(super) fn fill_orders(versions: &[Version], newness: &[Newness]) -> Vec<u32> {
    let mut oldest_first = newness.to_vec();
    oldest_first.sort_unstable();
    versions
        .iter()
        .zip(newness)
        .map(|(version, mine)| match version.role {
            Some(Role::Stable | Role::Active) => 0,
            Some(Role::Canary | Role::Preview) => u32::MAX,
            None => {
                let newer = versions.len() - oldest_first.partition_point(|other| other <= mine);
                u32::try_from(newer).map_or(u32::MAX - 1, |newer| newer + 1)
            }
        })
        .collect()
}

/// What each track's split comes to: equal where two replicas agree. It is made of hashes and shares, in the order of
/// the versions, by FNV-1a.
pub(super) fn digest(placed: &Placed, versions: &[Version]) -> u64 {
    let mut digest: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for end in [placed.track.target, placed.track.stable] {
        add(end.map_or(&[][..], |index| versions[index].hash.as_bytes()));
        add(&[0]);
    }
    for version in versions {
        add(version.hash.as_bytes());
        add(&version.share.basis_points().to_be_bytes());
    }
    digest
}
