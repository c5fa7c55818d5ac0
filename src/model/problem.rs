//! Problems: bad input as a value, with the place to look at.

use std::fmt;
use std::sync::Arc;

/// Where an object was read from, so that a problem with it can be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file as the operator named it.
    pub file: Arc<str>,
    /// The object's first line, counted from 1.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something in the input that could not be obeyed; serving goes on without it.
///
/// Displayed as `cluster.yaml:120: service shop/web: weights: "v2=-1" is not a weight from 0 to 65535`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The file and line, where the object came from a file.
    pub origin: Option<Origin>,
    /// What it is about: `service shop/web`, `pod shop/web-1`, or empty for a whole file.
    pub subject: String,
    /// What is wrong and, where there is one, what to do: lower case, no full stop.
    pub text: String,
}

impl Problem {
    /// A problem with the service `key`, without a place.
    pub fn of_service(key: &super::ServiceKey, text: String) -> Self {
        Self {
            origin: None,
            subject: format!("service {key}"),
            text,
        }
    }

    /// The same problem, found at `origin` unless it has a place already.
    #[must_use]
    pub fn at(mut self, origin: Option<&Origin>) -> Self {
        if self.origin.is_none() {
            self.origin = origin.cloned();
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.subject.is_empty() {
            write!(f, "{}: ", self.subject)?;
        }
        f.write_str(&self.text)
    }
}
