//! What the engine tells people: lists, details, totals.

use std::sync::Arc;

use jiff::Timestamp;

use super::drains::Drain;
use super::history::{Durations, Flips, ResultCount};
use super::programming::Programming;
use crate::model::{
    Problem, Reason, Resolved, ServiceKey, ServiceKind, ServiceView, Share, WorkloadKey,
};
use crate::objects::Kind;
use crate::rollout::{Outcome, Role, State};

/// A service in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which service.
    pub key: ServiceKey,
    /// `ClusterIP`, `Headless` or `ExternalName`.
    pub kind: &'static str,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// The strategy in force.
    pub strategy: &'static str,
    /// Shares choose among its versions.
    pub weighted: bool,
    /// Of endpoint records, in seconds.
    pub ttl: u32,
    /// Endpoints that are ready, and all.
    pub ready: (usize, usize),
    /// Its versions; empty where a cluster IP answers.
    pub versions: Vec<VersionSummary>,
    /// Its tracks.
    pub tracks: Vec<TrackSummary>,
    /// How its roll-outs ended, counted since this process began.
    pub results: Vec<ResultCount>,
    /// The generation that last changed its names; 0 while it has none.
    pub generation: u64,
}

/// A version in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its DNS label.
    pub alias: Arc<str>,
    /// The revision's hash.
    pub hash: Arc<str>,
    /// What it has.
    pub share: Share,
    /// What the policy gives it, where it does.
    pub policy: Option<Share>,
    /// What its ready targets may carry, where that is limited.
    pub capacity: Option<Share>,
    /// Ready targets.
    pub ready: u32,
    /// Why it has what it has.
    pub reason: Reason,
    /// Stable or canary.
    pub role: Option<Role>,
}

/// A track in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackSummary {
    /// The workload that rolls; `None`: the backends of the service.
    pub workload: Option<WorkloadKey>,
    /// Where its roll-out stands.
    pub state: State,
    /// Where it leads, as an index into the versions of the summary.
    pub target: Option<usize>,
    /// Equal where replicas agree.
    pub digest: u64,
}

/// All that is known of one service.
#[derive(Clone, Debug)]
pub struct Detail {
    /// As in the list.
    pub summary: Arc<Summary>,
    /// Its objects, joined.
    pub view: ServiceView,
    /// What follows from them.
    pub outcome: Outcome,
    /// What could not be obeyed.
    pub problems: Vec<Problem>,
    /// Addresses that left its answer and may still be known to caches.
    pub drains: Vec<Drain>,
    /// Its endpoints are gone while their pods are well: what is published stays until then.
    pub held: Option<Timestamp>,
    /// What is known of the target of an ExternalName service, where it is looked up.
    pub resolved: Option<Resolved>,
    /// Of each of the view's endpoints, whether its target has been ready for long enough.
    pub soaked: Vec<bool>,
}

/// How much there is of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Objects known, by kind.
    pub objects: [(Kind, usize); 11],
    /// Problems that stand.
    pub problems: usize,
    /// How long roll-outs took that have ended.
    pub durations: Durations,
    /// How often traffic was shifted back.
    pub flips: Flips,
    /// How long changes of endpoints took to be published.
    pub programming: Programming,
}

pub(super) fn summary(
    view: &ServiceView,
    outcome: &Outcome,
    results: Vec<ResultCount>,
    generation: u64,
) -> Summary {
    let kind = match view.kind {
        ServiceKind::ClusterIp { .. } => "ClusterIP",
        ServiceKind::Headless => "Headless",
        ServiceKind::ExternalName { .. } => "ExternalName",
    };
    let ready = view
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.ready)
        .count();
    let versions = outcome.versions.iter().map(|version| VersionSummary {
        alias: Arc::clone(&version.alias),
        hash: Arc::clone(&version.hash),
        share: version.share,
        policy: version.policy,
        capacity: version.capacity,
        ready: version.ready,
        reason: version.reason,
        role: version.role,
    });
    let tracks = outcome.tracks.iter().map(|track| TrackSummary {
        workload: track.workload_in(view).map(|workload| workload.key.clone()),
        state: track.state,
        target: track.target,
        digest: track.digest,
    });
    Summary {
        key: view.key.clone(),
        kind,
        state: outcome.state,
        since: outcome.since,
        strategy: outcome.policy.strategy.as_str(),
        weighted: outcome.weighted,
        ttl: outcome.ttl,
        ready: (ready, view.endpoints.len()),
        versions: versions.collect(),
        tracks: tracks.collect(),
        results,
        generation,
    }
}
