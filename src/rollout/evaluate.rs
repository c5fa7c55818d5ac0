//! The evaluation of a service: which endpoints count, what share each version has, where its roll-outs stand.
//!
//! Given a view, the defaults, what is remembered and the time, [`evaluate`] returns an [`Outcome`] and never
//! fails: what was written wrongly becomes problems beside an outcome that serves.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::alias::{Named, aliases};
use super::census::Census;
use super::memory::{Cause, Memory, TrackMemory};
use super::ramp::{self, after, secs_between, tick};
use super::shares::Capacity;
use super::track::{self, Role, Standing, State, Track};
use super::{policy, split};
use crate::model::{
    Endpoint, Family, Policy, Problem, Promotion, Reason, ServiceView, Share, Strategy,
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
    /// What limits shares; `None` where they follow the endpoints.
    pub capacity: Option<Capacity>,
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

    pub(super) fn counts(self, endpoint: &Endpoint, publish_not_ready: bool) -> bool {
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
    let policy = read.policy;
    let basis = Basis::of(view);
    let counts = |endpoint: &Endpoint| basis.counts(endpoint, view.publish_not_ready);
    let (mut texts, mut asked) = (Vec::new(), Vec::new());
    let (mut versions, endpoint_versions) = versions(view, &mut texts);
    let census = Census::of(
        view,
        &endpoint_versions,
        versions.len(),
        basis,
        policy.soak_secs,
        now,
    );
    let mut standing = track::standing(view, &policy, &census, memory, now);
    for (index, version) in versions.iter_mut().enumerate() {
        version.ready = census.0[index].ready;
        version.soaked = census.0[index].soaked();
        version.role = standing.role(index);
        version.failed = standing.failed(view, version.revision);
    }
    intents_unheard(view, &policy, memory, &standing, &mut asked);

    let (factors, next_growth) = slow_start(view, &policy, counts, now);
    let weights = endpoint_weights(view, &endpoint_versions, &census, counts, &factors);
    let capacity = split::split(
        (view, &policy),
        &standing,
        &census,
        &mut versions,
        &weights,
        &mut asked,
    );
    if capacity.is_some() {
        let endpoints = view.endpoints.iter().zip(&endpoint_versions);
        let counting = endpoints.filter(|(endpoint, _)| counts(endpoint));
        missing_families(
            &versions,
            counting.map(|(e, v)| (e.family(), *v)),
            &mut texts,
        );
    }
    for placed in &mut standing.placed {
        placed.track.digest = split::digest(placed, &versions);
    }

    let state = standing.state;
    let remembered = memory.since.filter(|_| memory.state == Some(state));
    let since = remembered.unwrap_or(now);
    let short_until = short_ttl_until(&policy, &standing, memory, now);
    let is_short = standing.rolling || short_until.is_some();
    let ttl = match is_short {
        true => policy.ttl.endpoints.min(policy.ttl.rollout),
        false => policy.ttl.endpoints,
    };
    let mut problems = read.problems;
    problems.extend(asked.into_iter().map(|text| view.policy_problem(text)));
    problems.extend(
        texts
            .into_iter()
            .map(|text| Problem::of_service(&view.key, text).at(view.origin.as_ref())),
    );
    // Of whatever version: how many have soaked is told too.
    let soaks = census.0.iter().filter_map(|count| count.next_soak).min();
    let next = [standing.next, next_growth, short_until, soaks];
    let (tracks, memories): (Vec<Track>, Vec<_>) = standing
        .placed
        .into_iter()
        .map(|placed| (placed.track, placed.memory))
        .unzip();
    Outcome {
        policy,
        versions,
        endpoint_versions,
        basis,
        publish_not_ready: view.publish_not_ready,
        weighted: capacity.is_some() || !factors.is_empty(),
        capacity,
        tracks,
        state,
        since,
        rolling: standing.rolling,
        ttl,
        cut_over: standing.cut_over,
        factors,
        next: next.into_iter().flatten().min(),
        problems,
        memory: Memory {
            good: read.good,
            intents: memory.intents.clone(),
            state: Some(state),
            since: Some(since),
            short_ttl_until: short_until,
            tracks: memories.into_iter().flatten().collect(),
        },
    }
}

/// Caches that took an answer at the end of a roll-out took it with the short time to live; but one that came back to
/// rest a moment ago may be disturbed again, so the long one returns a long one later.
fn short_ttl_until(
    policy: &Policy,
    standing: &Standing,
    memory: &Memory,
    now: Timestamp,
) -> Option<Timestamp> {
    if standing.rolling {
        return None;
    }
    let rolls = |t: &TrackMemory| {
        t.stable != t.target || !matches!(t.state, State::Healthy | State::Unavailable)
    };
    if memory.tracks.iter().any(rolls) {
        return Some(after(now, policy.ttl.endpoints));
    }
    memory.short_ttl_until.filter(|until| *until > now)
}

/// An endpoint that has just become ready starts with a tenth of its weight: enough to warm caches and connections.
const SLOW_START_LEAST: u32 = 10;

/// The weight of each endpoint inside its version in percent, and when the next of them grows; nothing where all are
/// whole. Weights grow in whole ticks.
fn slow_start(
    view: &ServiceView,
    policy: &Policy,
    counts: impl Fn(&Endpoint) -> bool,
    now: Timestamp,
) -> (Vec<u8>, Option<Timestamp>) {
    let window = policy.slow_start_secs;
    if window == 0 || view.publish_not_ready {
        return (Vec::new(), None);
    }
    let factor = |endpoint: &Endpoint| {
        let since = match endpoint.disputed {
            true => Some(now),
            false => endpoint.ready_since,
        };
        let since = since.filter(|_| counts(endpoint))?;
        let age = u64::from(secs_between(since.min(now), tick(now)));
        let percent = u32::try_from(100 * age / u64::from(window)).unwrap_or(100);
        (percent < 100).then(|| percent.max(SLOW_START_LEAST))
    };
    let factors: Vec<Option<u32>> = view.endpoints.iter().map(factor).collect();
    if factors.iter().all(Option::is_none) {
        return (Vec::new(), None);
    }
    let percent = |factor: Option<u32>| u8::try_from(factor.unwrap_or(100)).unwrap_or(100);
    let next = after(tick(now), ramp::TICK_SECS);
    (factors.into_iter().map(percent).collect(), Some(next))
}

/// By version: how many targets count, or their weights added up where some start slowly.
fn endpoint_weights(
    view: &ServiceView,
    endpoint_versions: &[usize],
    census: &Census,
    counts: impl Fn(&Endpoint) -> bool,
    factors: &[u8],
) -> Vec<u64> {
    let mut weights = census.each(|count| match factors {
        [] => u64::from(count.ready),
        _ => 0,
    });
    for ((endpoint, version), factor) in view.endpoints.iter().zip(endpoint_versions).zip(factors) {
        if counts(endpoint) {
            weights[*version] += u64::from(*factor);
        }
    }
    weights
}

/// Tells of intents for revisions that nothing rolls to, and of those that can change nothing; what was asked of the
/// server itself is refused or dropped there.
fn intents_unheard(
    view: &ServiceView,
    policy: &Policy,
    memory: &Memory,
    standing: &Standing,
    problems: &mut Vec<String>,
) {
    let (asked, given) = (&policy.intents, &memory.intents);
    if asked.is_empty() {
        return;
    }
    let targets: Vec<&Arc<str>> = standing
        .placed
        .iter()
        .filter_map(|placed| Some(&view.revisions[placed.track.target?].hash))
        .collect();
    let promote = asked.promote.iter().filter(|p| !given.promote.contains(p));
    let promote = promote.map(|(hash, to)| match to {
        Promotion::Full => ("promote", hash, format!("{hash}@full"), false),
        Promotion::Step(step) => ("promote", hash, format!("{hash}@{step}"), true),
    });
    let pause = asked
        .pause
        .iter()
        .filter(|hash| !given.pause.contains(hash));
    let pause = pause.map(|hash| ("pause", hash, hash.to_string(), false));
    let abort = asked
        .abort
        .iter()
        .filter(|hash| !given.abort.contains(hash));
    let abort = abort.map(|hash| ("abort", hash, hash.to_string(), false));
    let retry = asked.retry.iter().filter(|r| !given.retry.contains(r));
    let retry = retry.map(|(hash, number)| ("retry", hash, format!("{hash}@{number}"), false));
    for (key, hash, value, is_step) in promote.chain(pause).chain(abort).chain(retry) {
        let why = if standing.flip().is_some() && key != "promote" {
            "has no effect on `backends`".to_owned()
        } else if !targets.contains(&hash) {
            let known = targets.iter().map(|hash| &***hash).collect::<Vec<_>>();
            let known = match &known[..] {
                [] => "nothing rolls out".to_owned(),
                known => format!("the target is `{}`", known.join("`, `")),
            };
            format!("is for another revision; {known}")
        } else if is_step && let Some(hint) = without_steps(&policy.strategy, hash) {
            let strategy = policy.strategy.as_str();
            format!("has no effect with strategy `{strategy}`{hint}")
        } else {
            continue;
        };
        problems.push(format!("{key}: `{value}` {why}"));
    }
}

/// What to write for a strategy that has no steps to promote to, if anything.
fn without_steps(strategy: &Strategy, hash: &str) -> Option<String> {
    match strategy {
        Strategy::Steps(_) | Strategy::BlueGreen { .. } => None,
        Strategy::Linear { .. } | Strategy::Exponential { .. } => {
            Some(format!("; `{hash}@full` has"))
        }
        Strategy::Follow | Strategy::Manual(_) | Strategy::External => Some(String::new()),
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
