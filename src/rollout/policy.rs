//! Policies: what the operator wrote on a service, read into a [`Policy`].
//!
//! Given the annotations of a service (prefix `shiftdns.io/` removed), the defaults and what is remembered,
//! [`policy`] returns what applies and the problems with what was written. It knows the names of annotations of
//! later releases, so that a person is told that they have no effect.

use std::sync::Arc;

use super::memory::Memory;
use crate::model::{
    AnswerMode, Policy, Problem, ServiceKind, ServiceView, Strategy, TtlPolicy, Weights,
};

/// The policy of a service, and the problems with its annotations.
///
/// A malformed value keeps the whole of the last good policy, because half of two policies is a third one that
/// nobody wrote; without memory it is `follow` with the defaults. Weights that cannot act on this service (a
/// cluster IP is one address; unready peers are published on purpose) give `follow` too.
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
    let written = Reader::new(defaults).read(&view.annotations, &mut problems);
    let good = match written {
        Some(_) => Some(view.annotations.clone()).filter(|list| !list.is_empty()),
        None => memory.good.clone(),
    };
    // What was good once is good still, and its problems were told then.
    let remembered = || Reader::new(defaults).read(memory.good.as_ref()?, &mut Vec::new());
    let written = written.or_else(remembered);
    let mut policy = written.unwrap_or_else(|| Policy {
        strategy: Strategy::Follow,
        ..defaults.clone()
    });
    if let (Strategy::Manual(_), Some(why)) = (&policy.strategy, without_effect(view, &policy)) {
        policy.strategy = Strategy::Follow;
        // A default that cannot act here is nobody's mistake.
        let asked = ["strategy", "weights", "backends"];
        if asked.iter().any(|key| annotation(view, key).is_some()) {
            problems.push(format!("weights have no effect {why}"));
        }
    }
    let problems = problems
        .into_iter()
        .map(|text| Problem::of_service(&view.key, text).at(view.origin.as_ref()))
        .collect();
    Read {
        policy,
        good,
        problems,
    }
}

/// Whether the versions of a service are other services, named by the annotation `backends`.
pub(super) fn has_backends(view: &ServiceView) -> bool {
    annotation(view, "backends").is_some()
}

fn annotation<'v>(view: &'v ServiceView, key: &str) -> Option<&'v str> {
    let (_, value) = view.annotations.iter().find(|(known, _)| **known == *key)?;
    Some(value)
}

/// Why weights cannot act on this service.
fn without_effect(view: &ServiceView, policy: &Policy) -> Option<&'static str> {
    match view.kind {
        ServiceKind::ExternalName { .. } => Some("on an ExternalName service"),
        ServiceKind::ClusterIp { .. } if !policy.endpoints && !has_backends(view) => Some(
            "on a ClusterIP service without `shiftdns.io/endpoints: \"true\"` or `shiftdns.io/backends`",
        ),
        _ if view.publish_not_ready => Some("with `publishNotReadyAddresses`"),
        _ => None,
    }
}

/// All annotations of one service, in octets of keys and values. Kubernetes allows an object 256 KiB of them; a
/// policy is far below 1 KiB, and what is read here is read again at every change of the service.
const OCTETS_MAX: usize = 64 * 1024;

/// Annotations that act, or that others act on.
const BUILT: [&str; 10] = [
    "answer",
    "backends",
    "clamp",
    "endpoints",
    "headroom",
    "records",
    "strategy",
    "ttl",
    "version-label",
    "weights",
];

/// Annotations of later releases.
const LATER: [&str; 10] = [
    "abort",
    "on-failure",
    "pause",
    "promote",
    "ramp",
    "retry",
    "rollback",
    "soak",
    "steps",
    "sticky",
];

/// The annotation `strategy`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Follow,
    Manual,
    /// A strategy of a later release.
    Later,
}

/// The annotations while they are being read.
struct Reader {
    policy: Policy,
    asked: Option<Asked>,
    weights: Option<Weights>,
    backends: Option<Weights>,
}

impl Reader {
    fn new(defaults: &Policy) -> Self {
        Self {
            policy: defaults.clone(),
            asked: None,
            weights: None,
            backends: None,
        }
    }

    /// The policy as written; `None` if any value is malformed.
    fn read(
        mut self,
        annotations: &[(Arc<str>, Arc<str>)],
        problems: &mut Vec<String>,
    ) -> Option<Policy> {
        let octets: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
        if octets > OCTETS_MAX {
            problems.push(format!(
                "annotations: {octets} octets are more than {OCTETS_MAX}; none is read"
            ));
            return None;
        }
        let mut sound = true;
        for (key, value) in annotations {
            if LATER.contains(&&**key) {
                problems.push(format!("`{key}` is not built yet and has no effect"));
            } else if !BUILT.contains(&&**key) {
                problems.push(unknown(key));
            } else if let Err(text) = self.read_one(key, value.trim()) {
                problems.push(format!("{key}: {text}"));
                sound = false;
            }
        }
        if !sound {
            return None;
        }
        if self.asked == Some(Asked::Later) {
            let value = annotations.iter().find(|(key, _)| **key == *"strategy");
            let name = value.map_or("", |(_, value)| value.trim());
            problems.push(format!(
                "strategy `{name}` is not built yet; `follow` applies"
            ));
        }
        self.conclude(problems)
    }

    fn read_one(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "strategy" => self.asked = Some(strategy(value)?),
            "weights" => self.weights = Some(weights(value)?),
            "backends" => self.backends = Some(weights(value)?),
            "answer" => self.policy.answer = answer(value)?,
            "records" => {
                // Some clients (musl before 1.2.4) cannot ask again over TCP, so a sample is small.
                self.policy.records = u8::try_from(number(value, 1, 8)?).unwrap_or(8);
            }
            // Ten times the declaration switches the clamp off for all purposes; that has its own word.
            "headroom" => self.policy.headroom_percent = number(value, 1, 1000)?,
            "clamp" => self.policy.clamp = either(value, "on", "off")?,
            "endpoints" => self.policy.endpoints = either(value, "true", "false")?,
            "ttl" => self.policy.ttl = ttl(value, self.policy.ttl)?,
            _ => {}
        }
        Ok(())
    }

    /// Joins `strategy`, `weights` and `backends`, which only make sense together.
    fn conclude(mut self, problems: &mut Vec<String>) -> Option<Policy> {
        if self.backends.is_some() {
            // A backend may be one cluster IP for any number of pods: its addresses say nothing of its capacity.
            self.policy.clamp = false;
            if self.weights.is_some() {
                problems.push("weights have no effect beside `backends`".to_owned());
            }
        }
        let listed = self.backends.or(self.weights);
        match (self.asked, listed) {
            (None, None) => {}
            (None | Some(Asked::Manual), Some(weights)) => {
                self.policy.strategy = Strategy::Manual(weights);
            }
            (Some(Asked::Manual), None) => {
                problems.push("strategy `manual` wants `weights` or `backends`".to_owned());
                return None;
            }
            (Some(Asked::Follow), listed) => {
                if listed.is_some() {
                    problems.push("weights have no effect with strategy `follow`".to_owned());
                }
                self.policy.strategy = Strategy::Follow;
            }
            (Some(Asked::Later), _) => self.policy.strategy = Strategy::Follow,
        }
        Some(self.policy)
    }
}

fn strategy(value: &str) -> Result<Asked, String> {
    match value {
        "follow" => Ok(Asked::Follow),
        "manual" => Ok(Asked::Manual),
        "linear" | "exponential" | "steps" | "blue-green" | "external" => Ok(Asked::Later),
        _ => Err(format!(
            "`{value}` is not a strategy; there are `follow` and `manual`"
        )),
    }
}

fn weights(value: &str) -> Result<Weights, String> {
    Weights::parse(value).map_err(|error| error.to_string())
}

fn answer(value: &str) -> Result<AnswerMode, String> {
    let modes = [
        AnswerMode::Auto,
        AnswerMode::All,
        AnswerMode::Mixed,
        AnswerMode::Pure,
    ];
    modes
        .into_iter()
        .find(|mode| mode.as_str() == value)
        .ok_or_else(|| format!("`{value}` is none of `auto`, `all`, `mixed`, `pure`"))
}

fn number(value: &str, least: u32, most: u32) -> Result<u32, String> {
    let read = value.parse().ok();
    read.filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("`{value}` is not a number from {least} to {most}"))
}

fn either(value: &str, yes: &str, no: &str) -> Result<bool, String> {
    match value {
        _ if value == yes => Ok(true),
        _ if value == no => Ok(false),
        _ => Err(format!("`{value}` is neither `{yes}` nor `{no}`")),
    }
}

/// The range that the cluster's usual DNS server allows for the same names. Above an hour, a share that moves
/// would be forgotten by caches later than most roll-outs take.
const TTL_SECS_MAX: u32 = 3600;

/// Reads `endpoints=30,rollout=5`; either may be left out, and is then the server's.
fn ttl(value: &str, servers: TtlPolicy) -> Result<TtlPolicy, String> {
    let mut ttl = servers;
    let mut seen: Vec<&str> = Vec::new();
    for entry in value.split(',') {
        let (name, secs) = entry.split_once('=').unwrap_or((entry, ""));
        let slot = match name.trim() {
            "endpoints" => &mut ttl.endpoints,
            "rollout" => &mut ttl.rollout,
            _ => {
                let entry = entry.trim();
                return Err(format!(
                    "`{entry}` is neither `endpoints=seconds` nor `rollout=seconds`"
                ));
            }
        };
        if seen.contains(&name.trim()) {
            return Err(format!("`{}` stands twice", name.trim()));
        }
        seen.push(name.trim());
        *slot = number(secs.trim(), 0, TTL_SECS_MAX)?;
    }
    Ok(ttl)
}

/// The problem of a key that is not ours, with the name that was probably meant.
fn unknown(key: &str) -> String {
    let near = BUILT
        .iter()
        .chain(&LATER)
        .map(|known| (edits(key, known), known))
        .min()
        .filter(|(edits, known)| *edits <= 2 && *edits < known.len());
    let text = format!("`shiftdns.io/{key}` is not an annotation of ShiftDNS");
    match near {
        Some((_, known)) => format!("{text}; did you mean `{known}`?"),
        None => text,
    }
}

/// The number of octets to insert, delete or replace to get from one text to the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests;
