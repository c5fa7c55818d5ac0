//! What an operator asked of a service, and the weights they wrote.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Share;

/// What an operator asked of one service; the default asks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How shares move.
    pub strategy: Strategy,
    /// How shares become answers.
    pub answer: AnswerMode,
    /// The largest number of records in a sampled answer, 1 to 8.
    pub records: u8,
    /// Whether a version's share is limited by what its ready endpoints can carry.
    pub clamp: bool,
    /// Scales every version's capacity, in percent; 100 is the workload's own declaration.
    pub headroom_percent: u32,
    /// A ClusterIP service answers its endpoints.
    pub endpoints: bool,
    /// Times to live of endpoint records.
    pub ttl: TtlPolicy,
    /// How long an endpoint must have been ready, without a break, before a roll-out counts it.
    pub soak_secs: u32,
    /// How long the weight of an endpoint grows after it became ready; 0: it is whole at once.
    pub slow_start_secs: u32,
    /// What becomes of a revision that fails while it is rolled out.
    pub on_failure: OnFailure,
    /// How fast an undo takes the share back.
    pub rollback: RollbackMode,
    /// Someone asked for a strategy or for what happens on failure. If nobody did, no failure leaves anything out.
    pub guarded: bool,
    /// Whether a client keeps its version.
    pub sticky: Sticky,
    /// What people ask of the roll-out under way.
    pub intents: Intents,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Follow,
            answer: AnswerMode::Auto,
            records: 8,
            clamp: true,
            headroom_percent: 100,
            endpoints: false,
            ttl: TtlPolicy::default(),
            soak_secs: 0,
            slow_start_secs: 0,
            on_failure: OnFailure::ShiftBack,
            rollback: RollbackMode::Capacity,
            guarded: false,
            sticky: Sticky::Off,
            intents: Intents::default(),
        }
    }
}

/// How shares move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Every ready endpoint counts the same; nothing is left out, but for revisions that failed where
    /// [`Policy::guarded`] says so.
    Follow,
    /// The target's share grows evenly.
    Linear {
        /// From nothing to the whole.
        over_secs: u32,
    },
    /// The target's share doubles seven times, from 1/128.
    Exponential {
        /// From 1/128 to the whole.
        over_secs: u32,
    },
    /// The target's share rises in steps.
    Steps(Steps),
    /// The target has nothing until it is promoted, and then everything.
    BlueGreen {
        /// Promoted by itself once it could carry the whole for so long; `None`: by a person.
        auto_promotion_secs: Option<u32>,
        /// Two Services; the one with the greatest weight is asked to be active. `None`: revisions of one workload.
        backends: Option<Weights>,
    },
    /// Versions have the weights that someone wrote; a version not listed is excluded.
    Manual(Weights),
    /// Versions have the weights that another object of the cluster gives ([`super::ServiceView::external`]).
    External,
}

impl Strategy {
    /// Which strategy it is.
    pub fn kind(&self) -> StrategyKind {
        match self {
            Self::Follow => StrategyKind::Follow,
            Self::Linear { .. } => StrategyKind::Linear,
            Self::Exponential { .. } => StrategyKind::Exponential,
            Self::Steps(_) => StrategyKind::Steps,
            Self::BlueGreen { .. } => StrategyKind::BlueGreen,
            Self::Manual(_) => StrategyKind::Manual,
            Self::External => StrategyKind::External,
        }
    }

    /// The annotation's word for it.
    pub fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }
}

/// A strategy by its name, without what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are described on `Strategy`")]
pub enum StrategyKind {
    Follow,
    Linear,
    Exponential,
    Steps,
    BlueGreen,
    Manual,
    External,
}

impl StrategyKind {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Follow,
        Self::Linear,
        Self::Exponential,
        Self::Steps,
        Self::BlueGreen,
        Self::Manual,
        Self::External,
    ];

    /// The annotation's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
            Self::Steps => "steps",
            Self::BlueGreen => "blue-green",
            Self::Manual => "manual",
            Self::External => "external",
        }
    }
}

/// The steps of a roll-out: at least one, rising; after the last hold the target has the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps(Vec<Step>);

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the target has.
    pub share: Share,
    /// How long, counted from the moment caches have forgotten the step before; `None`: until it is promoted.
    pub hold_secs: Option<u32>,
}

/// Why a text is not a list of steps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StepsError {
    /// Not `percent@hold` or `percent`.
    #[error(
        "`{entry}` is not `percent@hold` or `percent`, such as `5@30s`, with a percentage from 0 to 100"
    )]
    Entry {
        /// The entry as written.
        entry: String,
    },
    /// A step is not above the one before.
    #[error("`{entry}` is not above the step before it")]
    Falls {
        /// The entry as written.
        entry: String,
    },
    /// More steps than [`Steps::MAX`].
    #[error("{count} steps are more than {max}", max = Steps::MAX)]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl Steps {
    /// The largest number of steps: one a percent would be a ramp.
    pub const MAX: usize = 32;

    /// Reads `5@30s,25@60s,50,100`: a step without a hold waits to be promoted, and the whole needs none.
    ///
    /// # Errors
    /// See [`StepsError`].
    pub fn parse(text: &str) -> Result<Self, StepsError> {
        let mut steps: Vec<Step> = Vec::new();
        for entry in text.split(',') {
            let entry = entry.trim();
            let wrong = || StepsError::Entry {
                entry: entry.to_owned(),
            };
            let (percent, hold) = match entry.split_once('@') {
                Some((percent, hold)) => (percent, Some(parse_duration(hold).ok_or_else(wrong)?)),
                None => (entry, None),
            };
            let percent: u8 = percent.trim().parse().map_err(|_| wrong())?;
            if percent > 100 {
                return Err(wrong());
            }
            let step = Step {
                share: Share::from_basis_points(u64::from(percent) * 100),
                hold_secs: hold,
            };
            if steps.last().is_some_and(|last| last.share >= step.share) {
                return Err(StepsError::Falls {
                    entry: entry.to_owned(),
                });
            }
            steps.push(step);
        }
        match steps.len() {
            count if count > Self::MAX => Err(StepsError::TooMany { count }),
            _ => Ok(Self(steps)),
        }
    }

    /// The steps, the first one first.
    pub fn as_slice(&self) -> &[Step] {
        &self.0
    }
}

/// The longest duration a policy may ask for, a week: a longer ramp is a mistyped one.
pub const DURATION_SECS_MAX: u32 = 7 * 24 * 3600;

/// What [`parse_duration`] reads, in words for a person who wrote something else.
pub const DURATION_WORDS: &str = "a duration such as `90s`, `10m` or `1h`, of at most 168h";

/// Reads whole seconds, minutes or hours such as `90s`, `10m`, `1h30m`, at most [`DURATION_SECS_MAX`].
pub fn parse_duration(text: &str) -> Option<u32> {
    let mut rest = text.trim();
    let mut total: u32 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = match tail.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        let secs = number.parse::<u32>().ok()?.checked_mul(unit)?;
        total = total.checked_add(secs)?;
        rest = &tail[1..];
    }
    (total <= DURATION_SECS_MAX).then_some(total)
}

/// What becomes of a revision that fails while it is rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Others take its share, as far as they have the capacity.
    ShiftBack,
    /// Others take all of its share while any of them is ready.
    ShiftBackStrict,
    /// It keeps the share it has, which grows no further.
    Hold,
}

impl OnFailure {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::ShiftBack, Self::ShiftBackStrict, Self::Hold];

    /// The annotation's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShiftBack => "shift-back",
            Self::ShiftBackStrict => "shift-back-strict",
            Self::Hold => "hold",
        }
    }
}

/// How fast an undo takes the share back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackMode {
    /// As fast as ready endpoints can carry it.
    Capacity,
    /// At once, however few they are.
    Immediate,
}

impl RollbackMode {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Capacity, Self::Immediate];

    /// The annotation's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Immediate => "immediate",
        }
    }
}

/// Whether a client keeps its version, and what makes a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// Every answer is drawn anew.
    Off,
    /// By the first bits of the address that asks. Behind a cache that is the cache's.
    Source {
        /// Of an IPv4 address, 1 to 32. Of an IPv6 address it is 64 where this is below 32, else 128.
        bits: u8,
    },
    /// By the client subnet option (RFC 7871) where a query has one, else by the whole source address.
    Ecs,
}

/// What people ask of a roll-out, each for the revision it was meant for: asked of another one it has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intents {
    /// Do not wait before that point; a failed revision gets its share all the same when it is promoted in full.
    pub promote: Vec<(Arc<str>, Promotion)>,
    /// Stand still as long as this stands.
    pub pause: Vec<Arc<str>>,
    /// Shift back as long as this stands.
    pub abort: Vec<Arc<str>>,
    /// Forget its failures, once for each number.
    pub retry: Vec<(Arc<str>, u32)>,
}

impl Intents {
    /// Nobody asks anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How far a revision is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Promotion {
    /// To that step, counted from 1.
    Step(u8),
    /// To the whole share.
    Full,
}

/// How shares become answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// `all` while every endpoint weighs the same, else `mixed`.
    Auto,
    /// Every eligible endpoint, rotated.
    All,
    /// A systematic sample over all versions: each answer holds them in proportion.
    Mixed,
    /// Endpoints of one version, chosen by share.
    Pure,
}

impl AnswerMode {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Auto, Self::All, Self::Mixed, Self::Pure];

    /// The annotation's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::All => "all",
            Self::Mixed => "mixed",
            Self::Pure => "pure",
        }
    }
}

/// Times to live of endpoint records, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlPolicy {
    /// At rest.
    pub endpoints: u32,
    /// The most while a roll-out is under way.
    pub rollout: u32,
}

impl Default for TtlPolicy {
    fn default() -> Self {
        Self {
            endpoints: 5,
            rollout: 5,
        }
    }
}

/// Relative integers by name, in the order they were written; never empty, never all zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights(Vec<(Arc<str>, u16)>);

/// Why a text is not a list of weights.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WeightsError {
    /// Not `name=number`, or the number does not fit.
    #[error("`{entry}` is not `name=weight` with a weight from 0 to 65535")]
    Entry {
        /// The entry as written.
        entry: String,
    },
    /// A name stands twice.
    #[error("`{name}` stands twice")]
    Twice {
        /// The repeated name.
        name: String,
    },
    /// All weights are zero: nothing could be answered.
    #[error("`{text}` has no weight above 0; to take a service out, delete it or its endpoints")]
    AllZero {
        /// The whole text.
        text: String,
    },
    /// More names than [`Weights::MAX`].
    #[error("{count} versions are more than {max}", max = Weights::MAX)]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl Weights {
    /// The largest number of names: far above any real roll-out, and low enough that a split stays readable and
    /// its exact arithmetic (products of at most 32 endpoint counts) stays in bounds.
    pub const MAX: usize = 32;

    /// Reads `v1=90,v2=10`; spaces around names and numbers are allowed.
    ///
    /// # Errors
    /// See [`WeightsError`]; an empty text is an entry that is not `name=weight`.
    pub fn parse(text: &str) -> Result<Self, WeightsError> {
        // Before names are compared, each with all others.
        let count = text.split(',').count();
        if count > Self::MAX {
            return Err(WeightsError::TooMany { count });
        }
        let mut weights: Vec<(Arc<str>, u16)> = Vec::with_capacity(count);
        for entry in text.split(',') {
            let parsed = entry
                .split_once('=')
                .map(|(name, weight)| (name.trim(), weight.trim().parse::<u16>()));
            let Some((name, Ok(weight))) = parsed.filter(|(name, _)| !name.is_empty()) else {
                let entry = entry.trim().to_owned();
                return Err(WeightsError::Entry { entry });
            };
            if weights.iter().any(|(known, _)| **known == *name) {
                return Err(WeightsError::Twice { name: name.into() });
            }
            weights.push((name.into(), weight));
        }
        if weights.iter().all(|(_, weight)| *weight == 0) {
            return Err(WeightsError::AllZero { text: text.into() });
        }
        Ok(Self(weights))
    }

    /// Names and weights in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, u16)> {
        self.0.iter().map(|(name, weight)| (name, *weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(&str, u16)], &str>) {
        let got = Weights::parse(text)
            .map(|weights| {
                weights
                    .iter()
                    .map(|(name, weight)| (name.to_string(), weight))
                    .collect::<Vec<_>>()
            })
            .map_err(|error| error.to_string());
        let expected = expected
            .map(|list| list.iter().map(|(n, w)| ((*n).to_owned(), *w)).collect())
            .map_err(str::to_owned);
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn weights_are_names_with_small_integers() {
        check("v1=90,v2=10", Ok(&[("v1", 90), ("v2", 10)]));
        check(" v1 = 0 , v2 = 65535 ", Ok(&[("v1", 0), ("v2", 65535)]));
    }

    #[test]
    fn what_is_not_a_weight_is_named() {
        let entry = |e: &str| format!("`{e}` is not `name=weight` with a weight from 0 to 65535");
        for bad in ["v2=-1", "v2=65536", "v2=1.5", "v2", "=1", "", "v2=NaN"] {
            check(bad, Err(&entry(bad)));
            check(&format!("v1=1,{bad}"), Err(&entry(bad)));
        }
        check("v1=1,v1=2", Err("`v1` stands twice"));
        check(
            "v1=0,v2=0",
            Err(
                "`v1=0,v2=0` has no weight above 0; to take a service out, delete it or its endpoints",
            ),
        );
        let many: Vec<String> = (0..33).map(|n| format!("v{n}=1")).collect();
        check(&many.join(","), Err("33 versions are more than 32"));
        // Counted before they are looked at.
        check(&["v=1"; 40].join(","), Err("40 versions are more than 32"));
    }
}
