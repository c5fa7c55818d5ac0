//! Roll-outs: what share of a service each of its versions has, and why.
//!
//! Given a [`ServiceView`](crate::model::ServiceView), the defaults, what is remembered of the service and the
//! time, [`evaluate()`] returns an [`Outcome`]: versions with shares that sum to the whole, the state of every
//! track, problems with what was written, and what to remember. It reads no clock, rolls no dice, does no I/O
//! and uses no floating point, so that every replica comes to the same result from the same objects.
//!
//! Reading order: what the operator wrote (`policy`), what versions are called (`alias`), where each workload
//! stands (`track`), what was asked of each version (`wish`), the weight function (`shares`), all of it together
//! (`evaluate`), and the same told to a person (`explain`).

mod shares;

pub use shares::{Candidate, Capacity, Class, shares};
