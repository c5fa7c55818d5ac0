//! The rules of both listeners, which may be set anew while requests are answered.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::guard::Guard;

/// Who is answered, and what is done for them.
#[derive(Clone, PartialEq, Eq)]
pub struct Rules {
    pub(super) guard: Guard,
    pub(super) actions: bool,
    pub(super) unready_after: Duration,
}

impl Rules {
    /// `token` is what a request to the API must bear; without one, only requests that name the server by `localhost` or
    /// an address are answered, and an empty one is borne by nobody. `actions`: the API does what people ask of roll-outs.
    /// `unready_after` is the age of data from which this process is not ready; zero: it stays ready.
    pub fn new(token: Option<&str>, actions: bool, unready_after: Duration) -> Self {
        Self {
            guard: Guard::new(token),
            actions,
            unready_after,
        }
    }

    /// Whether requests to the API must bear a token.
    pub fn wants_token(&self) -> bool {
        self.guard.wants_token()
    }
}

/// The token is a secret: it is told that there is one, not which.
impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("guard", &self.guard)
            .field("actions", &self.actions)
            .field("unready_after", &self.unready_after)
            .finish()
    }
}

/// The rules in force; clones are the same ones. A request keeps to those that it found.
#[derive(Clone, Debug)]
pub struct InForce(Arc<RwLock<Arc<Rules>>>);

impl InForce {
    pub(super) fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// The rules in force.
    pub fn get(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts these in force, for every request that comes after this.
    pub fn set(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}
