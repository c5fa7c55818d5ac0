//! Plans: where what a person asks of a roll-out is written in a cluster, and what.
//!
//! Given what stands and what is to stand, [`Plan::of`] says which entries of the Service's annotations, or of its
//! ServiceRollout's `spec`, have to come and go for that: as data for a program that has the rights to write it, and as a command
//! for a person. It writes nothing.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::intents::{Acted, Intent};
use crate::model::{Intents, PolicySource, Promotion, ServiceKey, ServiceView, Uid};

/// Where what was asked is to be written, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What will have been done.
    pub acted: Acted,
    /// The UID of the Service, so that nobody writes it on its namesake in another cluster.
    pub uid: Uid,
    /// `None`: this server keeps it itself, when it is asked to.
    pub place: Option<Place>,
    /// What is to be written there, all of it for the revision of `acted`.
    pub edits: Vec<Edit>,
    /// The same as what a person runs.
    pub command: Option<String>,
}

/// The object that says what is asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The Service, in annotations.
    Service,
    /// The ServiceRollout of its name, in `spec`.
    ServiceRollout,
}

impl Place {
    /// The kind of the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::ServiceRollout => "ServiceRollout",
        }
    }
}

/// An entry for one revision that is to stand, or not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// `promote`, `pause`, `abort` or `retry`: the annotation, or the field.
    pub word: &'static str,
    /// What stands behind the revision: a step or `full`, the number of a retry.
    pub to: Option<String>,
    /// Whether it is to stand there; if not, what stands there for the revision is taken away.
    pub stands: bool,
}

impl Plan {
    /// From what stands to what is to stand.
    pub(super) fn of(
        view: &ServiceView,
        acted: Acted,
        before: &Intents,
        after: &Intents,
        intent: Intent,
    ) -> Self {
        let edits = edits(before, after, &acted.target, intent);
        let place = match view.policy_of {
            PolicySource::Annotations => Place::Service,
            PolicySource::Resource { .. } => Place::ServiceRollout,
        };
        Self {
            command: Some(command(view, place, &edits, &acted.target)),
            uid: view.uid.clone(),
            place: Some(place),
            edits,
            acted,
        }
    }

    /// Nothing is to be written: this server keeps it itself.
    pub(super) fn kept_here(view: &ServiceView, acted: Acted) -> Self {
        Self {
            acted,
            uid: view.uid.clone(),
            place: None,
            edits: Vec::new(),
            command: None,
        }
    }
}

/// What a revision has in `after` and not in `before`, or the other way round; and what was asked, though it stands.
fn edits(before: &Intents, after: &Intents, hash: &Arc<str>, intent: Intent) -> Vec<Edit> {
    let asked = match intent {
        Intent::Promote { .. } => "promote",
        Intent::Abort => "abort",
        Intent::Pause | Intent::Resume => "pause",
        Intent::Retry => "retry",
    };
    let words = entries_of(before, hash)
        .into_iter()
        .zip(entries_of(after, hash));
    let changed = words.filter(|((word, before), (_, after))| before != after || *word == asked);
    changed
        .map(|(_, (word, entry))| Edit {
            word,
            stands: entry.is_some(),
            to: entry.flatten(),
        })
        .collect()
}

/// What stands for a revision, by word, and what stands behind it.
fn entries_of(intents: &Intents, hash: &Arc<str>) -> [(&'static str, Option<Option<String>>); 4] {
    let mut promoted = intents.promote.iter();
    let promoted = promoted.find(|(known, _)| known == hash);
    let promoted = promoted.map(|(_, to)| match to {
        Promotion::Step(step) => Some(step.to_string()),
        Promotion::Full => Some("full".to_owned()),
    });
    let mut retried = intents.retry.iter();
    let retried = retried.find(|(known, _)| known == hash);
    let named = |list: &[Arc<str>]| list.contains(hash).then_some(None);
    [
        ("promote", promoted),
        ("pause", named(&intents.pause)),
        ("abort", named(&intents.abort)),
        ("retry", retried.map(|(_, number)| Some(number.to_string()))),
    ]
}

/// The edits as a command, beside what stands there for other revisions.
fn command(view: &ServiceView, place: Place, edits: &[Edit], target: &str) -> String {
    let ServiceKey { namespace, name } = &view.key;
    let lists = edits.iter().map(|edit| {
        let mut standing = view.annotations.iter();
        let standing = standing.find(|(key, _)| **key == *edit.word);
        let standing = standing.map_or("", |(_, value)| value).split(',');
        let is_of_another = |entry: &&str| {
            let hash = entry.split('@').next().unwrap_or_default();
            !hash.is_empty() && hash != target
        };
        let entries = standing.map(str::trim).filter(is_of_another);
        let mut entries: Vec<String> = entries.map(str::to_owned).collect();
        entries.extend(edit.stands.then(|| match &edit.to {
            Some(to) => format!("{target}@{to}"),
            None => target.to_owned(),
        }));
        (edit.word, entries)
    });
    match place {
        Place::Service => {
            let pairs = lists.map(|(word, entries)| match entries.as_slice() {
                [] => format!("shiftdns.io/{word}-"),
                entries => format!("shiftdns.io/{word}={}", entries.join(",")),
            });
            format!(
                "kubectl annotate --overwrite service {name} -n {namespace} {}",
                pairs.collect::<Vec<_>>().join(" ")
            )
        }
        Place::ServiceRollout => {
            let fields = lists.map(|(word, entries)| {
                let entries: Vec<Value> = entries.iter().map(|entry| field(word, entry)).collect();
                let value = match entries.is_empty() {
                    true => Value::Null,
                    false => entries.into(),
                };
                (word.to_owned(), value)
            });
            let patch = json!({"spec": Map::from_iter(fields)});
            format!("kubectl patch servicerollout {name} -n {namespace} --type merge -p '{patch}'")
        }
    }
}

/// An entry as `spec` has it.
fn field(word: &str, entry: &str) -> Value {
    match (word, entry.split_once('@')) {
        ("promote", Some((hash, "full"))) => json!({"revision": hash, "full": true}),
        ("promote", Some((hash, step))) => {
            json!({"revision": hash, "step": step.parse::<u8>().unwrap_or(1)})
        }
        ("retry", Some((hash, count))) => {
            json!({"revision": hash, "count": count.parse::<u32>().unwrap_or(1)})
        }
        _ => json!(entry),
    }
}
