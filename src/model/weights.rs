//! Weights, as people write them.

use std::sync::Arc;

use thiserror::Error;

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
