//! Roll-outs: what share of a service each of its versions has, and why.
//!
//! Given a [`ServiceView`](crate::model::ServiceView), the defaults, what is remembered of the service and the
//! time, [`evaluate()`] returns an [`Outcome`]: versions with shares that sum to the whole, the state of every
//! track, problems with what was written, and what to remember. It reads no clock, rolls no dice, does no I/O
//! and uses no floating point, so that every replica comes to the same result from the same objects.

// What was written, what versions are called, what of them is ready.
mod alias;
mod census;
mod policy;

// Where each workload stands in its roll-out, and what is remembered of it.
mod failure;
mod flip;
mod history;
mod lineage;
mod machine;
mod memory;
mod ramp;
mod recall;
mod scene;
mod track;

// What is asked of each version, and what it gets.
mod shares;
mod split;
mod wish;

// How Kubernetes itself moves pods: the pace that shares have to keep.
pub mod controllers;

// All of it together, and the same told to a person.
mod evaluate;
mod explain;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod played;
#[cfg(test)]
mod testing;

pub use alias::is_role_word;
pub use census::soaked;
pub use evaluate::{Basis, Outcome, Version, evaluate};
pub use explain::explain;
pub use history::{RolloutResult, Transition, transitions};
pub use memory::{Cause, Latch, Memory, TrackMemory};
pub use policy::{ANNOTATIONS, backends_in_force, default_strategy, policy};
pub use ramp::TICK_SECS;
pub use shares::{Candidate, Capacity, Class, shares};
pub use track::{ChangeKind, Role, State, Track};
