//! A real control plane: what controllers, scheduler and kubectl do, and what our server makes of it.
//!
//! Ignored by plain `cargo test`, since it builds and runs Kubernetes. `tests/cluster/run` builds the programs, once, and runs
//! these tests one after another.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a rig has more than one scenario needs, and tells what it measured"
)]

// The control plane itself.
#[path = "cluster/certificates.rs"]
mod certificates;
#[path = "cluster/plane.rs"]
mod plane;
#[path = "cluster/programs.rs"]
mod programs;

// DNS questions and answers as text.
mod rig;

// Our own server on it, and who judges what it answers.
#[path = "cluster/judge.rs"]
mod judge;
#[path = "cluster/ours.rs"]
mod ours;
#[path = "cluster/scenarios.rs"]
mod scenarios;
#[path = "cluster/theatre.rs"]
mod theatre;
#[path = "cluster/told.rs"]
mod told;

// The same where more than one server, a failing control plane or a resolver is in play.
#[path = "cluster/existence.rs"]
mod existence;
#[path = "cluster/outages.rs"]
mod outages;
#[path = "cluster/replicas.rs"]
mod replicas;
#[path = "cluster/resolvers.rs"]
mod resolvers;

// What is installed on it, with kubectl and with Helm.
#[path = "cluster/chart.rs"]
mod chart;
#[path = "cluster/deploy.rs"]
mod deploy;

// What is seen on it.
#[path = "cluster/workloads.rs"]
mod workloads;

// What it costs, beside CoreDNS.
#[path = "cluster/sidebyside.rs"]
mod sidebyside;
