//! What people ask of a service: the `spec`, with the rules of its schema.
//!
//! Lists and texts are bounded, so that the cost of every rule is; bounds are those of the annotations where these
//! have some.

#![allow(
    unreachable_pub,
    reason = "the derived schema repeats structs inside of functions"
)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::ServiceRolloutStatus;

/// What is asked of the Service of the same name. It wins as a whole: of that Service no annotation of ShiftDNS is read.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema,
)]
#[kube(
    group = "shiftdns.io",
    version = "v1alpha1",
    kind = "ServiceRollout",
    plural = "servicerollouts",
    shortname = "sr",
    namespaced,
    status = "ServiceRolloutStatus",
    doc = "How a Service's DNS answers move from one revision of what is behind it to the next, and how far they are. It has the name of the Service.",
    derive = "PartialEq",
    printcolumn(name = "SERVICE", type_ = "string", json_path = ".status.service", description = "The Service, once a server has taken this up"),
    printcolumn(name = "STATE", type_ = "string", json_path = ".status.state", description = "Where its roll-out stands"),
    printcolumn(name = "STABLE", type_ = "string", json_path = ".status.stable", description = "The version it comes from"),
    printcolumn(name = "TARGET", type_ = "string", json_path = ".status.target", description = "The version it goes to"),
    printcolumn(name = "SHARE", type_ = "string", json_path = ".status.share", description = "What the target has of the answers"),
    printcolumn(name = "TTL", type_ = "integer", json_path = ".status.ttl", description = "How long an answer is kept, in seconds"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name is that of a Service: a DNS label of at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.ramp) || !has(self.strategy) || self.strategy in ['linear', 'exponential']").message("ramp is a part of the strategies linear and exponential").field_path(".ramp"),
    validation = Rule::new("!has(self.steps) || !has(self.strategy) || self.strategy == 'steps'").message("steps are a part of the strategy steps").field_path(".steps"),
    validation = Rule::new("!has(self.weights) || !has(self.strategy) || self.strategy == 'manual'").message("weights are a part of the strategy manual").field_path(".weights"),
    validation = Rule::new("!has(self.backends) || !has(self.strategy) || self.strategy in ['blue-green', 'manual']").message("backends are a part of the strategies blue-green and manual").field_path(".backends"),
    validation = Rule::new("!has(self.autoPromotion) || (has(self.strategy) ? self.strategy == 'blue-green' : !has(self.ramp) && !has(self.steps) && !has(self.weights) && !has(self.backends))").message("autoPromotion is a part of the strategy blue-green").field_path(".autoPromotion"),
    validation = Rule::new("has(self.strategy) || [has(self.ramp), has(self.steps), has(self.weights) || has(self.backends)].filter(asked, asked).size() <= 1").message("ramp, steps, and weights or backends ask for different strategies; name one with strategy"),
    validation = Rule::new("!has(self.weights) || !has(self.backends)").message("weights have no effect beside backends, which have their own").field_path(".weights"),
    validation = Rule::new("!has(self.strategy) || !(self.strategy in ['linear', 'exponential']) || has(self.ramp)").message("strategies linear and exponential want ramp").field_path(".strategy"),
    validation = Rule::new("!has(self.strategy) || self.strategy != 'steps' || has(self.steps)").message("strategy steps wants steps").field_path(".strategy"),
    validation = Rule::new("!has(self.strategy) || self.strategy != 'manual' || has(self.weights) || has(self.backends)").message("strategy manual wants weights or backends").field_path(".strategy"),
    validation = Rule::new("!has(self.backends) || !has(self.strategy) || self.strategy != 'blue-green' || self.backends.exists_one(most, self.backends.all(other, other.weight <= most.weight && (other.weight < most.weight || other.service == most.service)))").message("backends do not say which one is active, by the greatest weight").field_path(".backends")
)]
pub struct ServiceRolloutSpec {
    /// How shares move. Where it is left out, ramp means linear, steps means steps, weights or backends mean manual, and
    /// without those the server's default applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyName>,
    /// How long the target's share grows: a duration such as 90s, 10m or 1h30m, from 1s to 168h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,6}[hms])+$"), length(max = 16))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('168h')").message("a ramp takes from 1s to 168h"))]
    pub ramp: Option<String>,
    /// The target's share, step by step. After the last one's hold the target has the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new("self.map(step, step.weight).isSorted() && self.all(step, self.exists_one(other, other.weight == step.weight))").message("each step is above the one before it"))]
    pub steps: Option<Vec<StepOf>>,
    /// What versions have, as relative numbers; a version that is not listed has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new("self.exists(entry, entry.weight > 0)").message("no weight is above 0; to take a service out, delete it or its endpoints"))]
    #[x_kube(validation = Rule::new("self.all(entry, self.exists_one(other, other.version == entry.version))").message("a version stands twice"))]
    pub weights: Option<Vec<VersionWeight>>,
    /// Other Services of the namespace whose endpoints are answered. With blue-green the one with the greatest weight is
    /// asked to be active.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new("self.exists(entry, entry.weight > 0)").message("no weight is above 0; to take a service out, delete it or its endpoints"))]
    #[x_kube(validation = Rule::new("self.all(entry, self.exists_one(other, other.service == entry.service))").message("a service stands twice"))]
    pub backends: Option<Vec<BackendWeight>>,
    /// With blue-green: promoted by itself once it could carry the whole for so long, at most 168h. Left out: by a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,6}[hms])+$"), length(max = 16))]
    #[x_kube(validation = Rule::new("duration(self) <= duration('168h')").message("a duration is at most 168h"))]
    pub auto_promotion: Option<String>,
    /// How long an endpoint must have been ready, without a break, before a roll-out counts it; at most 168h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,6}[hms])+$"), length(max = 16))]
    #[x_kube(validation = Rule::new("duration(self) <= duration('168h')").message("a duration is at most 168h"))]
    pub soak: Option<String>,
    /// How long the weight of an endpoint grows after it became ready; at most 168h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,6}[hms])+$"), length(max = 16))]
    #[x_kube(validation = Rule::new("duration(self) <= duration('168h')").message("a duration is at most 168h"))]
    pub slow_start: Option<String>,
    /// Whether a version's share is limited by what its ready endpoints can carry; true where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamp: Option<bool>,
    /// Scales every version's capacity, in percent of what its workload declares, 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub headroom: Option<u32>,
    /// How shares become answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerName>,
    /// The largest number of records in a sampled answer, 1 to 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub records: Option<u8>,
    /// Whether a client keeps its version: source (by its address), source/1 to source/32 (by the first bits of it), ecs
    /// (by the client subnet option of its queries), or "off" (in quotes: YAML reads off as false).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^(off|ecs|source(/([1-9]|[12][0-9]|3[0-2]))?)$"),
        length(max = 9)
    )]
    pub sticky: Option<String>,
    /// A Service with a cluster IP answers its endpoints in place of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<bool>,
    /// The label of pods that names their version, before app.kubernetes.io/version and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(
            pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
        ),
        length(max = 317)
    )]
    pub version_label: Option<String>,
    /// How long answers are kept; the server's where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TtlSecs>,
    /// What becomes of a revision that fails while it is rolled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailureName>,
    /// How fast an undo takes the share back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackName>,
    /// Revisions that are not to wait before a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["revision".into()]))]
    pub promote: Option<Vec<PromotionOf>>,
    /// Hashes of revisions that stand still as long as they stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        inner(regex(pattern = r"^[A-Za-z0-9._-]+$"), length(max = 253))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub pause: Option<Vec<String>>,
    /// Hashes of revisions that are shifted back from as long as they stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        inner(regex(pattern = r"^[A-Za-z0-9._-]+$"), length(max = 253))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub abort: Option<Vec<String>>,
    /// Revisions whose failures are forgotten, once for each count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["revision".into()]))]
    pub retry: Option<Vec<RetryOf>>,
}

/// How shares move, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "`model::Strategy` describes them, and the schema has no place for it"
)]
pub enum StrategyName {
    Follow,
    Linear,
    Exponential,
    Steps,
    BlueGreen,
    Manual,
    External,
}

/// How shares become answers, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "`model::AnswerMode` describes them, and the schema has no place for it"
)]
pub enum AnswerName {
    Auto,
    All,
    Mixed,
    Pure,
}

/// What becomes of a revision that fails, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "`model::OnFailure` describes them, and the schema has no place for it"
)]
pub enum OnFailureName {
    ShiftBack,
    ShiftBackStrict,
    Hold,
}

/// How fast an undo is, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "`model::RollbackMode` describes them, and the schema has no place for it"
)]
pub enum RollbackName {
    Capacity,
    Immediate,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct StepOf {
    /// What the target has, in percent, 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub weight: u8,
    /// How long, counted from the moment caches have forgotten the step before, at most 168h. Left out: until it is
    /// promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,6}[hms])+$"), length(max = 16))]
    #[x_kube(validation = Rule::new("duration(self) <= duration('168h')").message("a duration is at most 168h"))]
    pub hold: Option<String>,
}

/// What a version has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionWeight {
    /// Its hash, its alias or its label.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"), length(max = 253))]
    pub version: String,
    /// A number relative to the others', 0 to 65535.
    #[schemars(range(min = 0, max = 65535))]
    pub weight: u16,
}

/// What a Service among the backends has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendWeight {
    /// The Service's name.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub service: String,
    /// A number relative to the others', 0 to 65535.
    #[schemars(range(min = 0, max = 65535))]
    pub weight: u16,
}

/// How long answers are kept, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TtlSecs {
    /// At rest, 0 to 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub endpoints: Option<u32>,
    /// The most while a roll-out is under way, 0 to 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub rollout: Option<u32>,
}

/// How far a revision is promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.step) != (has(self.full) && self.full)").message("a promotion has either a step or full: true"))]
pub struct PromotionOf {
    /// The hash of the revision.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]+$"), length(max = 253))]
    pub revision: String,
    /// To that step, counted from 1, at most 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub step: Option<u8>,
    /// To the whole share, failed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<bool>,
}

/// A revision that is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryOf {
    /// The hash of the revision.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]+$"), length(max = 253))]
    pub revision: String,
    /// A number above those of earlier retries, 1 to 4294967295.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub count: u32,
}
