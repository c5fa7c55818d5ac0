//! Policies: what the operator wrote on a service, read into a [`Policy`].
//!
//! Given the annotations of a service (prefix `shiftdns.io/` removed, or what its ServiceRollout says in the same
//! words), the defaults and what is remembered,
//! [`policy`] returns what applies and the problems with what was written. Annotations are judged one by one, against
//! each other and against the kind of service; whether versions, steps and revisions that they name are there is for
//! others to find.

use std::sync::Arc;

use super::memory::Memory;
use crate::model::{Policy, PolicySource, Problem, ServiceKind, ServiceView, Strategy, Weights};

// Which annotations there are, what each may say, and what they say together.
mod intents;
mod names;
mod values;
mod written;

pub use names::NAMES as ANNOTATIONS;
pub use values::default_strategy;
use written::{OCTETS_MAX, has_place_for_backends, octets, written};

/// The policy of a service, and the problems with its annotations.
///
/// A malformed value keeps the whole of the last good policy, because half of two policies is a third one that
/// nobody wrote; without memory it is `follow` with the defaults. Intents are no part of it: each is heard for itself. A
/// strategy that cannot act on this service (a
/// cluster IP is one address; unready peers are published on purpose) gives `follow` too. What people ask of a
/// roll-out counts whether they wrote it or told this server.
pub fn policy(view: &ServiceView, defaults: &Policy, memory: &Memory) -> (Policy, Vec<Problem>) {
    let read = read(view, defaults, memory);
    (read.policy, read.problems)
}

/// Keys and values, prefix removed, sorted by key.
type Annotations = Vec<(Arc<str>, Arc<str>)>;

/// What became of the annotations.
pub(super) struct Read {
    /// The policy that applies.
    pub(super) policy: Policy,
    /// What to remember as the last good policy: the annotations, whether or not they can act.
    pub(super) good: Option<Annotations>,
    /// What is wrong with the annotations.
    pub(super) problems: Vec<Problem>,
}

pub(super) fn read(view: &ServiceView, defaults: &Policy, memory: &Memory) -> Read {
    let mut problems = Vec::new();
    let sound = written(&view.annotations, defaults, &mut problems);
    let good = match sound {
        Some(_) => Some(view.annotations.clone()).filter(|list| !list.is_empty()),
        None => memory.good.clone(),
    };
    // What was good once is good still, and its problems were told then.
    let remembered = || written(memory.good.as_ref()?, defaults, &mut Vec::new());
    let mut policy = match sound {
        Some(policy) => policy,
        None => {
            let mut policy = remembered().unwrap_or_else(|| Policy {
                strategy: Strategy::Follow,
                guarded: false,
                ..defaults.clone()
            });
            if octets(&view.annotations) <= OCTETS_MAX {
                policy.intents = intents::standing(&view.annotations, policy.intents);
            }
            policy
        }
    };
    if let Some(obstacle) = Obstacle::of(view, &policy) {
        // A default that cannot act here is nobody's mistake.
        if let Some((key, value)) = asking(view, &policy) {
            let why = obstacle.told(&view.policy_of);
            problems.push(format!("{key}: `{value}` has no effect {why}"));
        }
        policy.strategy = Strategy::Follow;
        policy.guarded = false;
    }
    policy.intents = intents::joined(policy.intents, &memory.intents);
    let problems = problems
        .into_iter()
        .map(|text| view.policy_problem(text))
        .collect();
    Read {
        policy,
        good,
        problems,
    }
}

/// The backends that a service with these annotations (prefix removed) is made of, where they are not those that are
/// written: `None` where they are, `Some(None)` where it is made of none.
///
/// Backends go with the policy that names them: a mistake keeps the last good ones, for others would be answered by a
/// policy that nobody wrote for them. Where none is remembered, those that are written stand, unless what stands beside
/// them asks for versions of the service's own.
pub fn backends_in_force(
    annotations: &[(Arc<str>, Arc<str>)],
    defaults: &Policy,
    memory: &Memory,
) -> Option<Option<Weights>> {
    fn named(list: &[(Arc<str>, Arc<str>)]) -> Option<&Arc<str>> {
        let (_, value) = list.iter().find(|(key, _)| **key == *"backends")?;
        Some(value)
    }
    let good = memory.good.as_deref();
    let is_concerned = named(annotations).or_else(|| named(good?)).is_some();
    if !is_concerned || written(annotations, defaults, &mut Vec::new()).is_some() {
        return None;
    }
    match good {
        Some(good) => Some(named(good).and_then(|value| Weights::parse(value).ok())),
        None if has_place_for_backends(annotations) => None,
        None => Some(None),
    }
}

fn annotation<'v>(view: &'v ServiceView, key: &str) -> Option<&'v str> {
    let (_, value) = view.annotations.iter().find(|(known, _)| **known == *key)?;
    Some(value.trim())
}

/// The annotation that asks for shares to move, with its value; `None`: at most a default does.
fn asking<'v>(view: &'v ServiceView, policy: &Policy) -> Option<(&'static str, &'v str)> {
    let keys: &[&str] = match policy.strategy {
        Strategy::Follow if policy.guarded => &["on-failure"],
        Strategy::Follow => &[],
        _ => &["strategy", "backends", "ramp", "steps", "weights"],
    };
    let mut written = keys.iter().map(|key| Some((*key, annotation(view, key)?)));
    written.find_map(|asking| asking)
}

/// Why shares cannot move on a service.
#[derive(Clone, Copy)]
enum Obstacle {
    ExternalName,
    ClusterIp,
    Unready,
}

impl Obstacle {
    fn of(view: &ServiceView, policy: &Policy) -> Option<Self> {
        match view.kind {
            ServiceKind::ExternalName { .. } => Some(Self::ExternalName),
            ServiceKind::ClusterIp { .. } if !policy.endpoints && !view.has_backends => {
                Some(Self::ClusterIp)
            }
            _ if view.publish_not_ready => Some(Self::Unready),
            _ => None,
        }
    }

    /// For a person who writes at `source`.
    fn told(self, source: &PolicySource) -> String {
        match self {
            Self::ExternalName => "on an ExternalName service".to_owned(),
            Self::ClusterIp => {
                let yes = match source {
                    PolicySource::Annotations => "\"true\"",
                    PolicySource::Resource { .. } => "true",
                };
                let (endpoints, backends) = (source.place("endpoints"), source.place("backends"));
                format!("on a ClusterIP service without `{endpoints}: {yes}` or `{backends}`")
            }
            Self::Unready => "with `publishNotReadyAddresses`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
