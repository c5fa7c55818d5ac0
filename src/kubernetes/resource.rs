//! The custom resource `ServiceRollout`: its types, and the schema by which an API server judges it.
//!
//! What `objects::ServiceRollout` reads slimly stands here in full, for those who write: the `spec` that people fill
//! and the `status` that servers fill. [`definition`] gives the CustomResourceDefinition; `deploy/base/crd.yaml` is
//! that as text, and a test says so. The schema refuses what the judge of annotations would call a mistake, as far as
//! that can be said without looking at other objects; it may be stricter, and is never laxer.

mod spec;
mod status;

#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt as _;

pub use spec::{
    AnswerName, BackendWeight, OnFailureName, PromotionOf, RetryOf, RollbackName, ServiceRollout,
    ServiceRolloutSpec, StepOf, StrategyName, TtlSecs, VersionWeight,
};
pub use status::{Condition, ConditionStatus, RevisionStatus, ServiceRolloutStatus, TrackStatus};

/// The definition of the resource, for an API server.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = ServiceRollout::crd();
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut();
        if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            simplify(schema);
        }
    }
    definition
}

/// Takes out what an API server does not know or need: a field that may be left out need not be null as well (nulls
/// are dropped then, as elsewhere in Kubernetes), nothing is filled in where nothing was written, formats of unsigned
/// numbers are warned of, and a description is one line.
fn simplify(schema: &mut JSONSchemaProps) {
    let text = schema.description.take();
    schema.description = text.map(|text| text.replace('\n', " "));
    (schema.nullable, schema.default, schema.title) = (None, None, None);
    if let Some(words) = &mut schema.enum_ {
        words.retain(|word| !word.0.is_null());
    }
    let format = schema.format.take();
    schema.format = format.filter(|format| !format.starts_with("uint"));
    let properties = schema.properties.iter_mut();
    properties
        .flat_map(|all| all.values_mut())
        .for_each(simplify);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        simplify(items);
    }
}
