//! Asking: what a person asks of a roll-out, written into the cluster by that person's own rights.
//!
//! Given which entries for a revision are to stand in the annotations of a Service, or in the `spec` of its
//! ServiceRollout, [`ask`] reads the object and writes a merge patch that fails where somebody else wrote in between;
//! then it reads anew. Entries for other revisions stay as they stand. The server never calls this: it writes nobody's
//! objects.

use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::runtime::Builder;
use tokio::time;

use super::access::{Access, AccessError};

/// Who wrote it, in `metadata.managedFields`.
const MANAGER: &str = "kubectl-shiftdns";

/// How often somebody else may be quicker.
const ATTEMPTS: usize = 5;

/// How long anything said to the API server may take; a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The namespace of the Service.
    pub namespace: String,
    /// Its name, and that of its ServiceRollout.
    pub name: String,
    /// The UID of the Service that is meant; empty: not known.
    pub uid: String,
    /// It is written into the ServiceRollout; else on the Service.
    pub in_resource: bool,
    /// The hash of the revision that is meant.
    pub revision: String,
    /// What is to stand for it.
    pub entries: Vec<Entry>,
}

/// An entry for the revision that is to stand, or not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `promote`, `pause`, `abort` or `retry`.
    pub word: String,
    /// What stands behind the revision: a step or `full`, the number of a retry.
    pub to: Option<String>,
    /// Whether it is to stand.
    pub stands: bool,
}

/// Why it was not written.
#[derive(Debug, Error)]
pub enum AskError {
    /// There is no way to the API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The system gave nothing to wait with.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    /// It did not answer in time.
    #[error("the API server of the cluster does not answer")]
    Silent,
    /// The object cannot be read.
    #[error("cannot read {what}")]
    Read {
        /// Kind, namespace and name.
        what: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// The server that was asked follows another cluster.
    #[error(
        "the service `{service}` of this cluster is not the one that the server told of: its UID is `{found}`, not `{told}`"
    )]
    Another {
        /// Namespace and name.
        service: String,
        /// That of this cluster.
        found: String,
        /// That of the server.
        told: String,
    },
    /// The API server refused it.
    #[error("cannot write {what}")]
    Write {
        /// Kind, namespace and name.
        what: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Writes it; blocks until that is done. Gives whether anything had to be written.
///
/// # Errors
/// See [`AskError`].
pub fn ask(access: &Access, request: &Request) -> Result<bool, AskError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AskError::Runtime)?;
    runtime.block_on(async {
        let client = access.client(PATIENCE * 2).await?;
        write(&client, request).await
    })
}

async fn write(client: &Client, request: &Request) -> Result<bool, AskError> {
    let Request {
        namespace, name, ..
    } = request;
    let of = |resource: &ApiResource| -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, resource)
    };
    let service = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Service"));
    let rollout = GroupVersionKind::gvk("shiftdns.io", "v1alpha1", "ServiceRollout");
    let rollout = ApiResource::from_gvk(&rollout);
    let services = of(&service);
    let (objects, kind) = match request.in_resource {
        true => (of(&rollout), "servicerollout"),
        false => (services.clone(), "service"),
    };
    let mut refused = None;
    for _ in 0..ATTEMPTS {
        let found = read(&services, "service", request).await?;
        let uid = found.metadata.uid.clone().unwrap_or_default();
        if !request.uid.is_empty() && uid != request.uid {
            return Err(AskError::Another {
                service: format!("{namespace}/{name}"),
                found: uid,
                told: request.uid.clone(),
            });
        }
        let object = match request.in_resource {
            true => read(&objects, kind, request).await?,
            false => found,
        };
        let object = serde_json::to_value(&object).unwrap_or_default();
        let Some(patch) = patch(&object, request) else {
            return Ok(false);
        };
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(&patch);
        let written = time::timeout(PATIENCE, objects.patch(name, &params, &patch)).await;
        match written.map_err(|_| AskError::Silent)? {
            Ok(_) => return Ok(true),
            // Somebody was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                refused = Some(kube::Error::Api(status));
            }
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    Err(match refused {
        Some(source) => AskError::Write {
            what: format!("{kind} `{namespace}/{name}`"),
            source: Box::new(source),
        },
        None => AskError::Silent,
    })
}

async fn read(
    objects: &Api<DynamicObject>,
    kind: &str,
    request: &Request,
) -> Result<DynamicObject, AskError> {
    let Request {
        namespace, name, ..
    } = request;
    let got = time::timeout(PATIENCE, objects.get(name)).await;
    got.map_err(|_| AskError::Silent)?
        .map_err(|source| AskError::Read {
            what: format!("{kind} `{namespace}/{name}`"),
            source: Box::new(source),
        })
}

/// The merge patch (RFC 7396) that makes the object say what is asked; `None` where it does already.
fn patch(object: &Value, request: &Request) -> Option<Value> {
    let changes: Vec<(String, Value)> = request
        .entries
        .iter()
        .filter_map(|entry| match request.in_resource {
            true => in_spec(object, &request.revision, entry),
            false => in_annotations(object, &request.revision, entry),
        })
        .collect();
    if changes.is_empty() {
        return None;
    }
    let changes = Value::Object(Map::from_iter(changes));
    let mut metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
    Some(match request.in_resource {
        true => json!({"metadata": metadata, "spec": changes}),
        false => {
            metadata["annotations"] = changes;
            json!({"metadata": metadata})
        }
    })
}

fn in_annotations(object: &Value, revision: &str, entry: &Entry) -> Option<(String, Value)> {
    let key = format!("shiftdns.io/{}", entry.word);
    let before = object["metadata"]["annotations"][&key].as_str();
    let standing = before.unwrap_or_default().split(',').map(str::trim);
    let is_of_another = |entry: &&str| {
        let hash = entry.split('@').next().unwrap_or_default().trim();
        !hash.is_empty() && hash != revision
    };
    let mut entries: Vec<String> = standing.filter(is_of_another).map(str::to_owned).collect();
    if entry.stands {
        entries.push(match &entry.to {
            Some(to) => format!("{revision}@{to}"),
            None => revision.to_owned(),
        });
    }
    let after = (!entries.is_empty()).then(|| entries.join(","));
    (before != after.as_deref()).then(|| (key, json!(after)))
}

fn in_spec(object: &Value, revision: &str, entry: &Entry) -> Option<(String, Value)> {
    let before = &object["spec"][&entry.word];
    let is_of_another = |entry: &&Value| {
        let hash = entry.as_str().or_else(|| entry["revision"].as_str());
        hash != Some(revision)
    };
    let standing = before.as_array().into_iter().flatten();
    let mut entries: Vec<Value> = standing.filter(is_of_another).cloned().collect();
    if entry.stands {
        let number = |to: &str| to.parse::<u32>().map_or_else(|_| json!(to), Value::from);
        entries.push(match (&*entry.word, entry.to.as_deref()) {
            ("promote", Some("full")) => json!({"revision": revision, "full": true}),
            ("promote", Some(step)) => json!({"revision": revision, "step": number(step)}),
            ("retry", Some(count)) => json!({"revision": revision, "count": number(count)}),
            _ => json!(revision),
        });
    }
    let after = match entries.is_empty() {
        true => Value::Null,
        false => Value::Array(entries),
    };
    (*before != after).then(|| (entry.word.clone(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries read `+pause`, `-abort`, `+promote@2`.
    fn check(in_resource: bool, stands: Value, entries: &str, expected: Value) {
        let entry = |text: &str| {
            let (word, to) = match text[1..].split_once('@') {
                Some((word, to)) => (word, Some(to.to_owned())),
                None => (&text[1..], None),
            };
            Entry {
                word: word.to_owned(),
                to,
                stands: text.starts_with('+'),
            }
        };
        let request = Request {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: String::new(),
            in_resource,
            revision: "b".to_owned(),
            entries: entries.split(' ').map(entry).collect(),
        };
        let object = match in_resource {
            true => json!({"metadata": {"resourceVersion": "7"}, "spec": stands}),
            false => json!({"metadata": {"resourceVersion": "7", "annotations": stands}}),
        };
        let patch = patch(&object, &request);
        let told = patch.map(|patch| {
            assert_eq!(patch["metadata"]["resourceVersion"], "7");
            match in_resource {
                true => patch["spec"].clone(),
                false => patch["metadata"]["annotations"].clone(),
            }
        });
        assert_eq!(told.unwrap_or_default(), expected, "{entries}");
    }

    #[test]
    fn annotations_are_written_beside_what_stands_for_other_revisions() {
        let standing =
            json!({"shiftdns.io/pause": "a, b", "shiftdns.io/promote": "a@full,b@1", "other": "x"});
        let asked = |entries, expected| check(false, standing.clone(), entries, expected);
        asked("+abort", json!({"shiftdns.io/abort": "b"}));
        asked("-pause", json!({"shiftdns.io/pause": "a"}));
        asked(
            "+promote@2 -pause",
            json!({"shiftdns.io/promote": "a@full,b@2", "shiftdns.io/pause": "a"}),
        );
        // It is there, or is not.
        asked("+promote@1", Value::Null);
        asked("-abort", Value::Null);
        check(
            false,
            json!({"shiftdns.io/pause": "b"}),
            "-pause",
            json!({"shiftdns.io/pause": null}),
        );
        check(
            false,
            Value::Null,
            "+retry@3",
            json!({"shiftdns.io/retry": "b@3"}),
        );
    }

    #[test]
    fn fields_are_written_beside_what_stands_for_other_revisions() {
        let standing = json!({"pause": ["a", "b"], "promote": [{"revision": "a", "full": true}, {"revision": "b", "step": 1}]});
        let asked = |entries, expected| check(true, standing.clone(), entries, expected);
        asked("+abort", json!({"abort": ["b"]}));
        asked("-pause", json!({"pause": ["a"]}));
        asked(
            "+promote@2",
            json!({"promote": [{"revision": "a", "full": true}, {"revision": "b", "step": 2}]}),
        );
        asked(
            "+promote@full -pause",
            json!({
            "promote": [{"revision": "a", "full": true}, {"revision": "b", "full": true}], "pause": ["a"]}),
        );
        asked(
            "+retry@2",
            json!({"retry": [{"revision": "b", "count": 2}]}),
        );
        asked("+promote@1", Value::Null);
        check(
            true,
            json!({"pause": ["b"]}),
            "-pause",
            json!({"pause": null}),
        );
    }
}
