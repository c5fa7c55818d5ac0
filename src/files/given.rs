//! Which objects the files give: of all that have one name, the first in the order of the files.
//!
//! What a file says anew is compared with what it said, name by name, so that a change of one object costs what that
//! object does, however large the cluster is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::Problem;
use crate::objects::{Change, Kind, Object};

/// Kind, namespace and name.
type Id = (Kind, Arc<str>, Arc<str>);

/// What changed in the files since it was last given on, and what stands in them more than once.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The names whose objects came, went, changed or moved in some file.
    touched: BTreeSet<Id>,
    twice: BTreeMap<Id, Vec<Problem>>,
}

/// A file with so many times more objects than are sought is searched, not walked through.
const SEARCHED_FROM: usize = 16;

/// The order of a file's objects; two of one name stay as they were.
pub(super) fn sort(objects: &mut [Object]) {
    objects.sort_by(|a, b| id(a).cmp(&id(b)));
}

impl Given {
    /// Notes how the objects of a file differ from those it had; both are sorted.
    pub(super) fn replaced(&mut self, before: &[Object], after: &[Object]) {
        let groups = |objects| -> BTreeMap<_, _> {
            <[Object]>::chunk_by(objects, |a, b| id(a) == id(b))
                .map(|group| (id(&group[0]), group))
                .collect()
        };
        let (old, new) = (groups(before), groups(after));
        let changed = new
            .iter()
            .filter(|(id, group)| !old.get(*id).is_some_and(|old| is_same(old, group)));
        let gone = old.iter().filter(|(id, _)| !new.contains_key(*id));
        for (_, group) in changed.chain(gone) {
            let first = &group[0];
            let (namespace, name) = (Arc::clone(first.namespace()), Arc::clone(first.name()));
            self.touched.insert((first.kind(), namespace, name));
        }
    }

    /// What became of all that was touched; `files` in their order.
    pub(super) fn changes<'f>(&mut self, files: impl Iterator<Item = &'f [Object]>) -> Vec<Change> {
        let touched = std::mem::take(&mut self.touched);
        let ids = touched
            .iter()
            .map(|(kind, ns, name)| (*kind, &**ns, &**name));
        let mut found: BTreeMap<_, Vec<&Object>> = ids.map(|id| (id, Vec::new())).collect();
        for objects in files {
            if found.len() < objects.len() / SEARCHED_FROM {
                for (wanted, found) in &mut found {
                    let begin = objects.partition_point(|object| id(object) < *wanted);
                    found.extend(objects[begin..].iter().take_while(|o| id(o) == *wanted));
                }
            } else {
                for object in objects {
                    if let Some(found) = found.get_mut(&id(object)) {
                        found.push(object);
                    }
                }
            }
        }
        let mut changes = Vec::with_capacity(touched.len());
        for (id, objects) in touched.iter().zip(found.values()) {
            self.note_twice(id, objects);
            changes.push(match objects.first() {
                Some(object) => Change::Apply((*object).clone()),
                None => Change::Delete {
                    kind: id.0,
                    namespace: Arc::clone(&id.1),
                    name: Arc::clone(&id.2),
                },
            });
        }
        changes
    }

    /// All there is, one reset a kind.
    pub(super) fn everything<'f>(
        &mut self,
        files: impl Iterator<Item = &'f [Object]>,
    ) -> Vec<Change> {
        self.touched.clear();
        self.twice.clear();
        let mut all: Vec<&Object> = files.flatten().collect();
        // Of two with one name the first file's stays the first: the sort is stable.
        all.sort_by(|a, b| id(a).cmp(&id(b)));
        for group in all.chunk_by(|a, b| id(a) == id(b)) {
            if let [first, _, ..] = group {
                let (namespace, name) = (Arc::clone(first.namespace()), Arc::clone(first.name()));
                self.note_twice(&(first.kind(), namespace, name), group);
            }
        }
        all.dedup_by(|second, first| id(second) == id(first));
        let reset = |kind: Kind| {
            let begin = all.partition_point(|object| object.kind() < kind);
            let end = all.partition_point(|object| object.kind() <= kind);
            let objects = all[begin..end].iter().copied().cloned().collect();
            Change::Reset { kind, objects }
        };
        Kind::ALL.into_iter().map(reset).collect()
    }

    /// The objects that are ignored because another has their name.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.twice.values().flatten()
    }

    fn note_twice(&mut self, id: &Id, objects: &[&Object]) {
        match objects {
            [first, others @ ..] if !others.is_empty() => {
                let problems = others.iter().map(|other| twice(other, first));
                self.twice.insert(id.clone(), problems.collect());
            }
            _ => {
                self.twice.remove(id);
            }
        }
    }
}

fn id(object: &Object) -> (Kind, &str, &str) {
    (object.kind(), object.namespace(), object.name())
}

/// They say the same in the same places.
fn is_same(old: &[Object], new: &[Object]) -> bool {
    let mut pairs = old.iter().zip(new);
    old.len() == new.len() && pairs.all(|(a, b)| a == b && a.meta().stands_with(b.meta()))
}

fn twice(object: &Object, first: &Object) -> Problem {
    let kind = object.kind().as_str().to_lowercase();
    let name = match &**object.namespace() {
        "" => object.name().to_string(),
        namespace => format!("{namespace}/{}", object.name()),
    };
    let place = first
        .origin()
        .map(|first| format!(" at {first}"))
        .unwrap_or_default();
    Problem {
        origin: object.origin(),
        subject: format!("{kind} {name}"),
        text: format!("ignored: it stands a first time{place}; remove one of the two"),
    }
}
