//! Documents: manifests as the server reads them, beside what was written.
//!
//! A text is read twice: as the server reads it, which tells what is broken and where, and as plain values, because who
//! plays a roll-out or judges a manifest needs what no answer does (`minReadySeconds`, a partition, whole pod
//! templates). [`read()`] brings both together.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;

use crate::files;
use crate::model::{Problem, WorkloadKind};
use crate::objects::{Document, Kind, Object, Reader, Tree};

/// A document: what the server makes of it, beside what was written.
#[derive(Debug)]
pub(super) struct Known {
    /// As the server reads it.
    pub(super) object: Object,
    /// As it was written.
    pub(super) value: Value,
}

impl Known {
    /// A problem with it, at its place.
    pub(super) fn problem(&self, text: impl Into<String>) -> Problem {
        let kind = self.object.kind().as_str().to_lowercase();
        Problem {
            origin: self.object.origin(),
            subject: format!("{kind} {}/{}", self.object.namespace(), self.object.name()),
            text: text.into(),
        }
    }
}

/// The documents of a text, read from `file`, and what is wrong with it.
pub(super) fn read(file: &str, text: &str) -> (Vec<Known>, Vec<Problem>) {
    let (objects, mut problems) = files::parse(file, text);
    match values(text) {
        Ok(values) => (join(objects, values), problems),
        Err(text) => {
            // What the server found wrong says where.
            if problems.is_empty() {
                let subject = file.to_owned();
                let origin = None;
                problems.push(Problem {
                    origin,
                    subject,
                    text,
                });
            }
            (Vec::new(), problems)
        }
    }
}

/// All documents as plain values, the items of lists among them.
fn values(text: &str) -> Result<Vec<Value>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect();
    let documents: Vec<Value> = match json {
        Ok(values) => values,
        Err(_) => {
            // As `files` does: a cluster's export is far larger than a configuration.
            let options = serde_saphyr::options! {
                budget: serde_saphyr::budget! {
                    max_events: 40_000_000,
                    max_nodes: 20_000_000,
                    max_total_scalar_bytes: 512 * 1024 * 1024,
                },
                with_snippet: false,
            };
            serde_saphyr::from_multiple_with_options(text, options)
                .map_err(|error| format!("cannot be read as a whole: {error}"))?
        }
    };
    Ok(documents.into_iter().flat_map(items).collect())
}

fn items(value: Value) -> Vec<Value> {
    let is_list = value["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"));
    match (is_list, &value["items"]) {
        (true, Value::Array(list)) => list.iter().cloned().flat_map(items).collect(),
        _ => vec![value],
    }
}

/// Each object with the document it came from; of those with one kind and name the last counts.
fn join(objects: Vec<Object>, values: Vec<Value>) -> Vec<Known> {
    let mut by_id: BTreeMap<(String, String, String), Value> = BTreeMap::new();
    for value in values {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let namespace = match &value["metadata"]["namespace"] {
            Value::String(namespace) if !namespace.is_empty() => namespace.clone(),
            _ => "default".to_owned(),
        };
        let id = (
            text(&value["kind"]),
            namespace,
            text(&value["metadata"]["name"]),
        );
        by_id.insert(id, value);
    }
    let mut known: Vec<Known> = Vec::new();
    for object in objects {
        let namespace = match object.namespace().is_empty() {
            true => "default".to_owned(),
            false => object.namespace().to_string(),
        };
        let id = (
            object.kind().to_string(),
            namespace,
            object.name().to_string(),
        );
        let value = by_id.get(&id).cloned().unwrap_or_default();
        known.retain(|other| {
            let (one, other) = (&object, &other.object);
            (one.kind(), one.namespace(), one.name())
                != (other.kind(), other.namespace(), other.name())
        });
        known.push(Known { object, value });
    }
    known
}

/// Whether a service's selector matches a workload's pod template.
pub(super) fn selects(service: &Known, workload: &Known) -> bool {
    let labels = &workload.value["spec"]["template"]["metadata"]["labels"];
    let selector = service.value["spec"]["selector"].as_object();
    service.object.namespace() == workload.object.namespace()
        && selector.is_some_and(|selector| {
            !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
        })
}

/// What kind of workload an object is, if it is one.
pub(super) fn kind_of(kind: Kind) -> Option<WorkloadKind> {
    match kind {
        Kind::Deployment => Some(WorkloadKind::Deployment),
        Kind::StatefulSet => Some(WorkloadKind::StatefulSet),
        Kind::DaemonSet => Some(WorkloadKind::DaemonSet),
        _ => None,
    }
}

/// The service as a cluster would have it: with a cluster IP, unless it has one or is headless.
pub(super) fn with_address(service: &Known, address: Ipv4Addr) -> Result<Object, String> {
    let mut value = service.value.clone();
    if value["spec"]["clusterIP"].is_null() {
        value["spec"]["clusterIP"] = address.to_string().into();
    }
    let tree: Tree = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let mut reader = Reader::default();
    let origin = service.object.origin();
    if let Some(origin) = &origin {
        reader.open(Arc::clone(&origin.file));
    }
    let Document::Object(mut object) = reader.read(&tree) else {
        return Err("not a service".to_owned());
    };
    if let Some(origin) = origin {
        object.set_line(origin.line);
    }
    Ok(object)
}
