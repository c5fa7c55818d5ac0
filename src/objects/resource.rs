//! Slim ServiceRollouts: a policy as a resource of its own, and what a server remembers in its status.
//!
//! The resource has the name of its Service. What its `spec` says is read into the words of the annotations, so that
//! there is one language of policies and one place that judges it. Here only types are looked at: a value that no
//! annotation could say, or that would say something else as one, is left out.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::fields::Fields;
use super::labels::Labels;
use super::meta::{self, ANNOTATIONS_MAX, Meta};
use super::object::Kind;
use super::tree::Tree;
use crate::model::Uid;

/// A ServiceRollout.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRollout {
    /// Name and namespace: those of the Service.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Uid,
    /// `metadata.resourceVersion`, by which who writes a status says which one was read; empty in a manifest.
    pub version: Arc<str>,
    /// `metadata.generation`, which counts up with each change of the spec; 0 in a manifest.
    pub generation: i64,
    /// What `spec` says, as annotations without their prefix would say it; sorted by key.
    pub written: Labels,
    /// What `status` says.
    pub told: Told,
    /// `status.memory`, as it was written.
    pub memory: Option<Arc<str>>,
}

/// What the status of a ServiceRollout says of where its service stands; empty where nothing was written yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `state`
    pub state: Arc<str>,
    /// `reason`
    pub reason: Arc<str>,
    /// `stable`
    pub stable: Arc<str>,
    /// `target`
    pub target: Arc<str>,
    /// `shareBasisPoints`
    pub share: Option<u32>,
    /// `ttl`
    pub ttl: Option<u32>,
    /// `observedGeneration`
    pub generation: i64,
    /// The condition `Accepted`.
    pub accepted: Option<Accepted>,
}

/// What a status says of the policy that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// It is in force.
    pub is: bool,
    /// Since when that is so.
    pub since: Option<Timestamp>,
    /// What is told of it.
    pub message: Arc<str>,
}

/// What a field of `spec` holds, by what becomes of it in an annotation.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A text, as it stands.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `on` or `off`, the words as YAML 1.1 reads them: kubectl makes `clamp: on` a true.
    Switch,
    /// A map of seconds.
    Ttl,
    /// Hashes of revisions.
    Hashes,
    /// A list of maps, each an entry.
    Entries(&'static Shape),
}

/// What the maps of a list hold, and how an entry is written.
pub(super) struct Shape {
    /// The keys there may be.
    keys: &'static [&'static str],
    write: fn(&Entry<'_>, &mut Fields<'_>) -> Option<String>,
}

/// Every field of `spec`, with the annotation that says the same.
pub(super) const FIELDS: [(&str, &str, Form); 22] = [
    ("abort", "abort", Form::Hashes),
    ("answer", "answer", Form::Text),
    ("autoPromotion", "auto-promotion", Form::Text),
    ("backends", "backends", Form::Entries(&BACKENDS)),
    ("clamp", "clamp", Form::Switch),
    ("endpoints", "endpoints", Form::Boolean),
    ("headroom", "headroom", Form::Number),
    ("onFailure", "on-failure", Form::Text),
    ("pause", "pause", Form::Hashes),
    ("promote", "promote", Form::Entries(&PROMOTIONS)),
    ("ramp", "ramp", Form::Text),
    ("records", "records", Form::Number),
    ("retry", "retry", Form::Entries(&RETRIES)),
    ("rollback", "rollback", Form::Text),
    ("slowStart", "slow-start", Form::Text),
    ("soak", "soak", Form::Text),
    ("steps", "steps", Form::Entries(&STEPS)),
    ("sticky", "sticky", Form::Text),
    ("strategy", "strategy", Form::Text),
    ("ttl", "ttl", Form::Ttl),
    ("versionLabel", "version-label", Form::Text),
    ("weights", "weights", Form::Entries(&WEIGHTS)),
];

const BACKENDS: Shape = Shape {
    keys: &["service", "weight"],
    write: |entry, fields| {
        let (service, weight) = (
            entry.word("service", fields),
            entry.number("weight", fields),
        );
        Some(format!("{}={}", service?, weight?))
    },
};

const WEIGHTS: Shape = Shape {
    keys: &["version", "weight"],
    write: |entry, fields| {
        let (version, weight) = (
            entry.word("version", fields),
            entry.number("weight", fields),
        );
        Some(format!("{}={}", version?, weight?))
    },
};

const STEPS: Shape = Shape {
    keys: &["weight", "hold"],
    write: |entry, fields| {
        let weight = entry.number("weight", fields)?;
        match entry.map.get("hold") {
            Tree::Null => Some(weight.to_string()),
            _ => Some(format!("{weight}@{}", entry.word("hold", fields)?)),
        }
    },
};

const PROMOTIONS: Shape = Shape {
    keys: &["revision", "step", "full"],
    write: |entry, fields| {
        let revision = entry.word("revision", fields)?;
        let full = fields.boolean(entry.map.get("full"), entry.place);
        let is_step = *entry.map.get("step") != Tree::Null;
        match (full, is_step) {
            (Some(true), false) => Some(format!("{revision}@full")),
            (None | Some(false), true) => {
                let step = entry.number("step", fields)?;
                Some(format!("{revision}@{step}"))
            }
            _ => {
                entry.spoil("wants either `step` or `full: true`", fields);
                None
            }
        }
    },
};

const RETRIES: Shape = Shape {
    keys: &["revision", "count"],
    write: |entry, fields| {
        let (revision, count) = (
            entry.word("revision", fields),
            entry.number("count", fields),
        );
        Some(format!("{}@{}", revision?, count?))
    },
};

/// One map of a list.
struct Entry<'e> {
    map: &'e Tree,
    place: fmt::Arguments<'e>,
}

impl Entry<'_> {
    /// Notes why the field that the entry is in is ignored.
    fn spoil(&self, why: &str, fields: &mut Fields<'_>) {
        fields.note(format_args!("`{}` is ignored: an entry {why}", self.place));
    }

    /// A text that stays one entry among others.
    fn word(&self, key: &str, fields: &mut Fields<'_>) -> Option<String> {
        match self.map.get(key) {
            Tree::Null => {
                self.spoil(&format!("has no `{key}`"), fields);
                None
            }
            tree => {
                let text = fields.text(tree, self.place)?;
                is_word(text, self.place, fields).then(|| text.to_owned())
            }
        }
    }

    fn number(&self, key: &str, fields: &mut Fields<'_>) -> Option<u32> {
        match self.map.get(key) {
            Tree::Null => {
                self.spoil(&format!("has no `{key}`"), fields);
                None
            }
            tree => fields.count(tree, self.place),
        }
    }
}

/// Whether a text says the same among others of an annotation as it does here.
fn is_word(text: &str, place: fmt::Arguments<'_>, fields: &mut Fields<'_>) -> bool {
    let is_word = !text.is_empty() && text.trim() == text && !text.contains([',', '=', '@']);
    if !is_word {
        let text = Tree::Text(text.into());
        fields.note(format_args!(
            "`{place}` is ignored: `{text}` is not one word, without `,`, `=` and `@`"
        ));
    }
    is_word
}

impl Form {
    /// The value as an annotation has it; `None` where it is absent, or spoiled by something that was noted.
    fn read(
        self,
        tree: &Tree,
        place: fmt::Arguments<'_>,
        fields: &mut Fields<'_>,
    ) -> Option<String> {
        match (self, tree) {
            (Self::Text, tree) => fields.text(tree, place).map(str::to_owned),
            (Self::Number, tree) => fields.count(tree, place).map(|number| number.to_string()),
            (Self::Switch, Tree::Text(text)) if matches!(&**text, "on" | "off") => {
                Some(text.to_string())
            }
            (Self::Switch, tree) => {
                let is_on = fields.boolean(tree, place)?;
                Some(if is_on { "on" } else { "off" }.to_owned())
            }
            (Self::Boolean, tree) => fields.boolean(tree, place).map(|value| value.to_string()),
            (Self::Ttl, tree) => ttl(tree, place, fields),
            (Self::Hashes, Tree::Null) => None,
            (Self::Hashes, tree) => {
                let mut hashes = Vec::new();
                for tree in all(tree, place, fields)? {
                    let Tree::Text(hash) = tree else {
                        fields.note(format_args!(
                            "`{place}` is ignored: `{tree}` is not a text; put it in quotes"
                        ));
                        return None;
                    };
                    hashes.push(is_word(hash, place, fields).then(|| hash.to_string())?);
                }
                // Nothing is asked.
                (!hashes.is_empty()).then(|| hashes.join(","))
            }
            (Self::Entries(_), Tree::Null) => None,
            (Self::Entries(shape), tree) => {
                let mut written = Vec::new();
                for map in all(tree, place, fields)? {
                    let entry = Entry { map, place };
                    only(map, shape.keys, place, fields).then_some(())?;
                    written.push((shape.write)(&entry, fields)?);
                }
                let is_intent = shape.keys[0] == "revision";
                (!written.is_empty() || !is_intent).then(|| written.join(","))
            }
        }
    }
}

/// The elements of a list; `None` where it is none.
fn all<'t>(
    tree: &'t Tree,
    place: fmt::Arguments<'_>,
    fields: &mut Fields<'_>,
) -> Option<&'t [Tree]> {
    let list = fields.list(tree, place);
    matches!(tree, Tree::List(_)).then_some(list)
}

/// Whether it is a map with no other keys: what is mistyped would change what the others mean.
fn only(tree: &Tree, keys: &[&str], place: fmt::Arguments<'_>, fields: &mut Fields<'_>) -> bool {
    let Some(entries) = fields.map(tree, place) else {
        if *tree == Tree::Null {
            fields.note(format_args!("`{place}` is ignored: an entry is empty"));
        }
        return false;
    };
    let mut unknown = entries.iter().filter(|(key, _)| !keys.contains(&&**key));
    let Some((key, _)) = unknown.next() else {
        return true;
    };
    let (key, keys) = (Tree::Text(key.clone()), keys.join("`, `"));
    fields.note(format_args!(
        "`{place}` is ignored: `{key}` is none of `{keys}`"
    ));
    false
}

fn ttl(tree: &Tree, place: fmt::Arguments<'_>, fields: &mut Fields<'_>) -> Option<String> {
    const KEYS: [&str; 2] = ["endpoints", "rollout"];
    if *tree == Tree::Null || !only(tree, &KEYS, place, fields) {
        return None;
    }
    let mut written = Vec::new();
    for key in KEYS {
        match tree.get(key) {
            Tree::Null => {}
            secs => written.push(format!("{key}={}", fields.count(secs, place)?)),
        }
    }
    (!written.is_empty()).then(|| written.join(","))
}

impl ServiceRollout {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::ServiceRollout, fields, |_| false)?;
        let place = format_args!("metadata.resourceVersion");
        let version = fields.own(tree.at(&["metadata", "resourceVersion"]), place);
        let memory = fields.text(
            tree.at(&["status", "memory"]),
            format_args!("status.memory"),
        );
        let memory = memory.map(Arc::from);
        Some(Self {
            uid: meta::uid(tree, fields),
            version,
            generation: meta::generation(tree, fields),
            written: written(tree.get("spec"), fields),
            told: Told::read(tree.get("status"), fields),
            memory,
            meta,
        })
    }
}

impl Told {
    fn read(status: &Tree, fields: &mut Fields<'_>) -> Self {
        let mut text = |key: &str| fields.shared(status.get(key), format_args!("status.{key}"));
        let (state, reason) = (text("state"), text("reason"));
        let (stable, target) = (text("stable"), text("target"));
        let place = format_args!("status.shareBasisPoints");
        let share = fields.count(status.get("shareBasisPoints"), place);
        let place = format_args!("status.observedGeneration");
        let generation = fields.number(status.get("observedGeneration"), place);
        let ttl = fields.count(status.get("ttl"), format_args!("status.ttl"));
        let place = format_args!("status.conditions");
        let conditions = fields.list(status.get("conditions"), place);
        let mut conditions = conditions.iter();
        let accepted = conditions.find(|c| c.get("type").text() == Some("Accepted"));
        let accepted = accepted.map(|condition| {
            let place = format_args!("status.conditions.lastTransitionTime");
            let since = fields.time(condition.get("lastTransitionTime"), place);
            let place = format_args!("status.conditions.message");
            Accepted {
                is: condition.get("status").text() == Some("True"),
                since,
                message: fields.shared(condition.get("message"), place),
            }
        });
        Self {
            state,
            reason,
            stable,
            target,
            share,
            ttl,
            generation: generation.unwrap_or(0),
            accepted,
        }
    }
}

/// What `spec` says, in the words of the annotations.
fn written(spec: &Tree, fields: &mut Fields<'_>) -> Labels {
    let Some(entries) = fields.map(spec, format_args!("spec")) else {
        return Labels::default();
    };
    let is_known = |key: &str| FIELDS.iter().any(|(field, ..)| *field == key);
    for (key, _) in entries.iter().filter(|(key, _)| !is_known(key)) {
        let key = Tree::Text(key.clone());
        fields.note(format_args!(
            "`spec.{key}` is ignored: a ServiceRollout has no such field"
        ));
    }
    let mut written = Vec::new();
    for (field, word, form) in FIELDS {
        if let Some(value) = form.read(spec.get(field), format_args!("spec.{field}"), fields) {
            written.push((word, value));
        }
    }
    let size: usize = written.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > ANNOTATIONS_MAX {
        fields.note(format_args!(
            "`spec` is ignored: {size} octets are more than {ANNOTATIONS_MAX}"
        ));
        return Labels::default();
    }
    fields.words(&written)
}
