//! Labels, and the selectors that match them.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Texts by key, sorted by key; a key stands once. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// Sorts entries; of two with one key the last counts.
    pub fn new(mut entries: Vec<(Arc<str>, Arc<str>)>) -> Self {
        entries.reverse();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(a, _), (b, _)| a == b);
        Self(entries.into())
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Arc<str>> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(key));
        at.ok().map(|at| &self.0[at].1)
    }

    /// Keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every entry of `self` is among `labels`: a Service's selector matches a pod.
    pub fn select(&self, labels: &Labels) -> bool {
        self.iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }

    /// As they are shared.
    pub(super) fn entries(&self) -> &Arc<[(Arc<str>, Arc<str>)]> {
        &self.0
    }

    /// There are clones of it.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// A choice by labels, written as kubectl's `-l`: `env=prod,tier!=db,team,!old`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

/// A selector that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{part}` is none of `key=value`, `key!=value`, `key`, `!key`")]
pub struct SelectorError {
    /// The part of the selector that was not understood.
    pub part: String,
}

impl LabelSelector {
    /// Reads a comma-separated list of requirements, all of which must hold; an empty text chooses everything.
    ///
    /// # Errors
    /// A part that is none of the four forms (`in (…)` and `notin (…)` are not among them).
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Ok(Self(Vec::new()));
        }
        text.split(',')
            .map(Requirement::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether every requirement holds for `labels`; `!=` holds also without the label, as in Kubernetes.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Is(key, value) => labels.get(key).is_some_and(|v| **v == **value),
            Requirement::IsNot(key, value) => labels.get(key).is_none_or(|v| **v != **value),
            Requirement::Has(key) => labels.get(key).is_some(),
            Requirement::HasNot(key) => labels.get(key).is_none(),
        })
    }
}

impl Requirement {
    fn parse(part: &str) -> Result<Self, SelectorError> {
        let part = part.trim();
        let refuse = || SelectorError { part: part.into() };
        let word = |text: &str| -> Result<String, SelectorError> {
            let text = text.trim();
            let fits = text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
            if fits { Ok(text.into()) } else { Err(refuse()) }
        };
        let key =
            |text: &str| word(text).and_then(|t| if t.is_empty() { Err(refuse()) } else { Ok(t) });
        if let Some((name, value)) = part.split_once("!=") {
            return Ok(Self::IsNot(key(name)?, word(value)?));
        }
        if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            return Ok(Self::Is(key(name)?, word(value)?));
        }
        match part.strip_prefix('!') {
            Some(name) => Ok(Self::HasNot(key(name)?)),
            None => Ok(Self::Has(key(part)?)),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, requirement) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::Is(key, value) => write!(f, "{key}={value}")?,
                Requirement::IsNot(key, value) => write!(f, "{key}!={value}")?,
                Requirement::Has(key) => f.write_str(key)?,
                Requirement::HasNot(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split_whitespace().filter_map(|p| p.split_once('='));
        Labels::new(pairs.map(|(k, v)| (k.into(), v.into())).collect())
    }

    #[track_caller]
    fn check(selector: &str, on: &str, expected: bool) {
        let parsed = LabelSelector::parse(selector).unwrap();
        assert_eq!(parsed.matches(&labels(on)), expected, "{selector} on {on}");
    }

    #[test]
    fn every_requirement_must_hold() {
        check("", "", true);
        check("env=prod", "env=prod", true);
        check("env==prod", "env=prod", true);
        check("env=prod,tier!=x", "env=prod tier=y", true);
        check("env=prod,tier!=x", "env=prod", true);
        check("env=prod, tier!=x", "env=prod tier=x", false);
        check("team", "team=a", true);
        check("team", "", false);
        check("!team", "", true);
    }

    #[test]
    fn what_is_no_requirement_is_named() {
        for bad in ["env in (a)", "=x", "env=prod,,", "a=b=c"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
        let error = LabelSelector::parse("env in (a)").unwrap_err().to_string();
        assert_eq!(
            error,
            "`env in (a)` is none of `key=value`, `key!=value`, `key`, `!key`"
        );
    }
}
