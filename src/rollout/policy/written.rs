//! Annotations together: each is read by itself, then those that make up the strategy are judged against each other.

use std::sync::Arc;

use super::names::{NAMES, unknown};
use super::{intents, values};
use crate::model::{
    AnswerMode, OnFailure, Policy, RollbackMode, Steps, Strategy, StrategyKind, Weights,
};

/// All annotations of one service, in octets of keys and values. Kubernetes allows an object 256 KiB of them; a
/// policy is far below 1 KiB, and what is read here is read again at every change of the service.
pub(super) const OCTETS_MAX: usize = 64 * 1024;

/// The annotations that make up a strategy, beside its name.
const PARTS: [&str; 5] = ["auto-promotion", "backends", "ramp", "steps", "weights"];

/// What a part means where no strategy is named.
const MEANT: [(&str, StrategyKind); 4] = [
    ("backends", StrategyKind::Manual),
    ("ramp", StrategyKind::Linear),
    ("steps", StrategyKind::Steps),
    ("weights", StrategyKind::Manual),
];

/// The parts that a strategy has.
fn parts(kind: StrategyKind) -> &'static [&'static str] {
    match kind {
        StrategyKind::Follow | StrategyKind::External => &[],
        StrategyKind::Linear | StrategyKind::Exponential => &["ramp"],
        StrategyKind::Steps => &["steps"],
        StrategyKind::BlueGreen => &["auto-promotion", "backends"],
        StrategyKind::Manual => &["backends", "weights"],
    }
}

/// The policy as written, over the defaults; `None` if any value is malformed, or two contradict each other.
pub(super) fn written(
    annotations: &[(Arc<str>, Arc<str>)],
    defaults: &Policy,
    problems: &mut Vec<String>,
) -> Option<Policy> {
    let octets = octets(annotations);
    if octets > OCTETS_MAX {
        problems.push(format!(
            "annotations: {octets} octets are more than {OCTETS_MAX}; none is read"
        ));
        return None;
    }
    let mut written = Written {
        annotations,
        policy: defaults.clone(),
        kind: None,
        auto_promotion_secs: None,
        backends: None,
        ramp_secs: None,
        steps: None,
        weights: None,
    };
    let mut is_sound = true;
    for (key, value) in annotations {
        if !NAMES.contains(&&**key) {
            problems.push(unknown(key));
        } else if let Err(text) = written.read(key, value.trim()) {
            problems.push(format!("{key}: {text}"));
            is_sound = false;
        }
    }
    is_sound.then(|| written.conclude(problems)).flatten()
}

/// Whether what stands beside the annotation `backends` lets it be, as far as that can be read.
pub(super) fn has_place_for_backends(annotations: &[(Arc<str>, Arc<str>)]) -> bool {
    let is_part = |kind| parts(kind).contains(&"backends");
    let value = |key: &str| annotations.iter().find(|(known, _)| **known == *key);
    let named = value("strategy").and_then(|(_, value)| values::strategy(value.trim()).ok());
    let fits = match named {
        Some(kind) => kind == StrategyKind::Follow || is_part(kind),
        None => MEANT
            .iter()
            .all(|(key, kind)| is_part(*kind) || value(key).is_none()),
    };
    fits && octets(annotations) <= OCTETS_MAX
}

pub(super) fn octets(annotations: &[(Arc<str>, Arc<str>)]) -> usize {
    annotations.iter().map(|(k, v)| k.len() + v.len()).sum()
}

/// The annotations while they are being read.
struct Written<'a> {
    annotations: &'a [(Arc<str>, Arc<str>)],
    policy: Policy,
    kind: Option<StrategyKind>,
    auto_promotion_secs: Option<u32>,
    backends: Option<Weights>,
    ramp_secs: Option<u32>,
    steps: Option<Steps>,
    weights: Option<Weights>,
}

impl Written<'_> {
    fn read(&mut self, key: &str, value: &str) -> Result<(), String> {
        let policy = &mut self.policy;
        match key {
            "abort" | "pause" | "promote" | "retry" => {
                intents::read(&mut policy.intents, key, value)?;
            }
            "answer" => policy.answer = values::word(value, &AnswerMode::ALL, AnswerMode::as_str)?,
            "auto-promotion" => self.auto_promotion_secs = Some(values::duration(value)?),
            "backends" => self.backends = Some(values::weights(value)?),
            "clamp" => policy.clamp = values::either(value, "on", "off")?,
            "endpoints" => policy.endpoints = values::either(value, "true", "false")?,
            // Ten times the declaration switches the clamp off for all purposes; that has its own word.
            "headroom" => policy.headroom_percent = values::number(value, 1, 1000)?,
            "on-failure" => {
                policy.on_failure = values::word(value, &OnFailure::ALL, OnFailure::as_str)?;
            }
            "ramp" => self.ramp_secs = Some(values::ramp(value)?),
            "records" => {
                // Some clients (musl before 1.2.4) cannot ask again over TCP, so a sample is small.
                policy.records = u8::try_from(values::number(value, 1, 8)?).unwrap_or(8);
            }
            "rollback" => {
                policy.rollback = values::word(value, &RollbackMode::ALL, RollbackMode::as_str)?;
            }
            "slow-start" => policy.slow_start_secs = values::duration(value)?,
            "soak" => policy.soak_secs = values::duration(value)?,
            "steps" => self.steps = Some(values::steps(value)?),
            "sticky" => policy.sticky = values::sticky(value)?,
            "strategy" => self.kind = Some(values::strategy(value)?),
            "ttl" => policy.ttl = values::ttl(value, policy.ttl)?,
            "weights" => self.weights = Some(values::weights(value)?),
            // `version-label` is for those who name versions.
            _ => {}
        }
        Ok(())
    }

    /// The value of an annotation, if it was written.
    fn value(&self, key: &str) -> Option<&str> {
        let (_, value) = self.annotations.iter().find(|(known, _)| **known == *key)?;
        Some(value.trim())
    }

    /// Joins the parts of the strategy.
    fn conclude(mut self, problems: &mut Vec<String>) -> Option<Policy> {
        match self.join(problems) {
            Ok(strategy) => self.policy.strategy = strategy,
            Err(text) => {
                problems.push(text);
                return None;
            }
        }
        let is_asked = |key| self.value(key).is_some();
        let has_backends = is_asked("backends");
        let is_guarded = is_asked("strategy") || is_asked("on-failure");
        if let Strategy::Manual(_) = self.policy.strategy
            && has_backends
        {
            // A backend may be one cluster IP for any number of pods: its addresses say nothing of its capacity.
            self.policy.clamp = false;
        }
        self.policy.guarded = is_guarded || self.policy.strategy != Strategy::Follow;
        Some(self.policy)
    }

    fn join(&mut self, problems: &mut Vec<String>) -> Result<Strategy, String> {
        let kind = self.kind()?;
        let default = self.policy.strategy.kind();
        self.check_parts(kind.unwrap_or(default), problems)?;
        self.strategy(kind)
    }

    /// Which strategy is asked for, by its name or by the parts that are there; `None`: the default applies.
    fn kind(&self) -> Result<Option<StrategyKind>, String> {
        if self.kind.is_some() {
            return Ok(self.kind);
        }
        let meant = || {
            MEANT
                .iter()
                .filter_map(|(key, kind)| Some((key, self.value(key)?, *kind)))
        };
        let kind = meant().map(|(_, _, kind)| kind).next();
        if meant().any(|(_, _, other)| Some(other) != kind) {
            let texts = meant().map(|(key, value, _)| format!("`{key}: {value}`"));
            let texts: Vec<String> = texts.collect();
            let texts = texts.join(" and ");
            return Err(format!(
                "{texts} ask for different strategies; name one with `strategy`"
            ));
        }
        Ok(kind)
    }

    /// Whether what was written fits the strategy; what has merely no effect is only told.
    fn check_parts(&self, kind: StrategyKind, problems: &mut Vec<String>) -> Result<(), String> {
        let strategy = kind.as_str();
        for key in PARTS {
            let Some(value) = self.value(key) else {
                continue;
            };
            if !parts(kind).contains(&key) {
                if key == "backends" && kind != StrategyKind::Follow {
                    return Err(format!(
                        "{key}: `{value}` have no place in strategy `{strategy}`, which moves between revisions of a \
                         workload; use `blue-green` or `manual`"
                    ));
                }
                problems.push(format!(
                    "{key}: `{value}` has no effect with strategy `{strategy}`"
                ));
            } else if key == "weights" && self.backends.is_some() {
                problems.push(format!("{key}: `{value}` has no effect beside `backends`"));
            }
        }
        Ok(())
    }

    fn strategy(&mut self, kind: Option<StrategyKind>) -> Result<Strategy, String> {
        let Some(kind) = kind else {
            let mut default = self.policy.strategy.clone();
            if let Strategy::BlueGreen {
                auto_promotion_secs,
                ..
            } = &mut default
            {
                *auto_promotion_secs = self.auto_promotion_secs.or(*auto_promotion_secs);
            }
            return Ok(default);
        };
        let wants = |what: &str| format!("strategy: `{}` wants {what}", kind.as_str());
        Ok(match kind {
            StrategyKind::Follow => Strategy::Follow,
            StrategyKind::External => Strategy::External,
            StrategyKind::Linear => Strategy::Linear {
                over_secs: self.ramp_secs.ok_or_else(|| wants("`ramp`"))?,
            },
            StrategyKind::Exponential => Strategy::Exponential {
                over_secs: self.ramp_secs.ok_or_else(|| wants("`ramp`"))?,
            },
            StrategyKind::Steps => {
                Strategy::Steps(self.steps.take().ok_or_else(|| wants("`steps`"))?)
            }
            StrategyKind::BlueGreen => Strategy::BlueGreen {
                auto_promotion_secs: self.auto_promotion_secs,
                backends: self.active_of_backends()?,
            },
            StrategyKind::Manual => {
                let listed = self.backends.take().or(self.weights.take());
                Strategy::Manual(listed.ok_or_else(|| wants("`weights` or `backends`"))?)
            }
        })
    }

    /// The backends, of which one is asked to be active.
    fn active_of_backends(&mut self) -> Result<Option<Weights>, String> {
        let Some(backends) = self.backends.take() else {
            return Ok(None);
        };
        let most = backends.iter().map(|(_, weight)| weight).max();
        if backends.iter().filter(|(_, w)| Some(*w) == most).count() > 1 {
            let value = self.value("backends").unwrap_or_default();
            return Err(format!(
                "backends: `{value}` does not say which one is active, by the greatest weight"
            ));
        }
        Ok(Some(backends))
    }
}
