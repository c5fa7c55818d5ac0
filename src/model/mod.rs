//! The domain's values: services, endpoints, revisions, shares, policies, problems.
//!
//! Everything here is data with its own arithmetic; nothing here knows of DNS messages, Kubernetes' wire
//! format, sockets or clocks. The words are those of the crate's front page and are not varied.

mod amount;
mod key;
mod policy;
mod problem;
mod resolved;
mod service;
mod share;
mod steps;
mod uid;
mod weights;

pub use amount::Amount;
pub use key::{ServiceKey, WorkloadKey, WorkloadKind};
pub use policy::{
    AnswerMode, Intents, OnFailure, Policy, Promotion, RollbackMode, Sticky, Strategy,
    StrategyKind, TtlPolicy,
};
pub use problem::{Origin, Problem};
pub use resolved::Resolved;
pub use service::{
    Endpoint, EndpointPort, External, Family, PolicySource, Port, Protocol, Revision, ServiceKind,
    ServiceView, Trouble, Workload,
};
pub use share::{Reason, Share};
pub use steps::{DURATION_SECS_MAX, DURATION_WORDS, Step, Steps, StepsError, parse_duration};
pub use uid::Uid;
pub use weights::{Weights, WeightsError};
