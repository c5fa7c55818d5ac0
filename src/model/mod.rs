//! The domain's values: services, endpoints, revisions, shares, policies, problems.
//!
//! Everything here is data with its own arithmetic; nothing here knows of DNS messages, Kubernetes' wire
//! format, sockets or clocks. The words are those of the crate's front page and are not varied.

mod amount;
mod key;
mod policy;
mod problem;
mod service;
mod share;

pub use amount::Amount;
pub use key::{ServiceKey, WorkloadKey, WorkloadKind};
pub use policy::{
    AnswerMode, DURATION_SECS_MAX, DURATION_WORDS, Intents, OnFailure, Policy, Promotion,
    RollbackMode, Step, Steps, StepsError, Sticky, Strategy, StrategyKind, TtlPolicy, Weights,
    WeightsError, parse_duration,
};
pub use problem::{Origin, Problem};
pub use service::{
    Endpoint, EndpointPort, External, Family, Port, Protocol, Revision, ServiceKind, ServiceView,
    Trouble, Workload,
};
pub use share::{Reason, Share};
