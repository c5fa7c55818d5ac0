//! What an operator asked of a service.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Steps, Weights};

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
