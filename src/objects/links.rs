//! Who belongs to whom: sorted many-valued maps; and texts that are kept once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::labels::Labels;
use super::object::Object;

/// Several values a key, sorted. Most keys have one or two, so a vector costs a fraction of a set.
#[derive(Debug)]
pub(super) struct Links<K, V>(BTreeMap<K, Vec<V>>);

impl<K, V> Default for Links<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Ord> Links<K, V> {
    pub(super) fn add(&mut self, key: K, value: V) {
        let values = self.0.entry(key).or_default();
        if let Err(at) = values.binary_search(&value) {
            values.insert(at, value);
        }
    }

    pub(super) fn remove(&mut self, key: &K, value: &V) {
        let Some(values) = self.0.get_mut(key) else {
            return;
        };
        if let Ok(at) = values.binary_search(value) {
            values.remove(at);
        }
        if values.is_empty() {
            self.0.remove(key);
        }
    }

    pub(super) fn of(&self, key: &K) -> &[V] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}

/// Texts that occur many times (labels, zones, nodes, names), each kept once.
#[derive(Debug, Default)]
pub(super) struct Strings {
    known: HashSet<Arc<str>, foldhash::fast::RandomState>,
    sweep_at: usize,
}

impl Strings {
    /// Makes the texts of an object the ones that are known already.
    pub(super) fn share_all(&mut self, object: &mut Object) {
        self.sweep();
        let meta = object.meta_mut();
        self.share(&mut meta.namespace);
        self.share(&mut meta.name);
        self.share(&mut meta.uid);
        self.share_labels(&mut meta.labels);
        self.share_labels(&mut meta.annotations);
        if let Some(controller) = &mut meta.controller {
            self.share(&mut controller.name);
            self.share(&mut controller.uid);
        }
        match object {
            Object::EndpointSlice(slice) => {
                for endpoint in &mut slice.endpoints {
                    self.share(&mut endpoint.uid);
                    let named = [
                        &mut endpoint.pod,
                        &mut endpoint.hostname,
                        &mut endpoint.zone,
                        &mut endpoint.node,
                    ];
                    named
                        .into_iter()
                        .flatten()
                        .for_each(|text| self.share(text));
                }
            }
            Object::Pod(pod) => pod.tag.iter_mut().for_each(|tag| self.share(tag)),
            Object::Service(service) => self.share_labels(&mut service.selector),
            Object::ReplicaSet(set) => self.share_labels(&mut set.template.labels),
            Object::ControllerRevision(set) => self.share_labels(&mut set.template.labels),
            _ => {}
        }
    }

    fn share(&mut self, text: &mut Arc<str>) {
        match self.known.get(text) {
            Some(known) => *text = Arc::clone(known),
            None => {
                self.known.insert(Arc::clone(text));
            }
        }
    }

    fn share_labels(&mut self, labels: &mut Labels) {
        for (key, value) in labels.iter_mut() {
            self.share(key);
            self.share(value);
        }
    }

    /// Forgets texts that nobody else holds, each time their number has doubled.
    fn sweep(&mut self) {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|text| Arc::strong_count(text) > 1);
            self.sweep_at = self.known.len() * 2 + 1024;
        }
    }
}
