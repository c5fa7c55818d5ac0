//! What an operator asked of a service, and the weights they wrote.

use std::sync::Arc;

use thiserror::Error;

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
    /// Time-to-live values other than the server's.
    pub ttl: TtlPolicy,
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
        }
    }
}

/// How shares move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Every ready endpoint counts the same; nothing is left out.
    Follow,
    /// Versions have the weights that someone wrote; a version not listed is excluded.
    Manual(Weights),
}

impl Strategy {
    /// The annotation's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Manual(_) => "manual",
        }
    }
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

/// Time-to-live values an operator asked for, in seconds; `None` leaves the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TtlPolicy {
    /// Of endpoint addresses.
    pub endpoints: Option<u32>,
    /// The most while a roll-out is under way.
    pub rollout: Option<u32>,
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
        let mut weights: Vec<(Arc<str>, u16)> = Vec::new();
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
        if weights.len() > Self::MAX {
            let count = weights.len();
            return Err(WeightsError::TooMany { count });
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
    }
}
