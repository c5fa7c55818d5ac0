//! Sorted maps of the index: objects by namespace and name, and who belongs to whom.
//!
//! A cluster has a hundred thousand of everything, so what a map costs for each entry counts: a namespace stands once
//! and not in every key, look-ups borrow texts, and one value needs no list.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::few::Few;
use super::index::Id;

/// Something for each namespace and name, sorted.
#[derive(Debug)]
pub(super) struct Named<T>(BTreeMap<Arc<str>, BTreeMap<Arc<str>, T>>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// Makes a map as small as it can be: building one of sorted entries fills its nodes.
pub(super) fn pack<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    *map = std::mem::take(map).into_iter().collect();
}

impl<T> Named<T> {
    /// All of it is taken apart before any of it is put together: so whole pages of the heap become empty, where map
    /// after map would leave every page half full.
    pub(super) fn pack(&mut self) {
        let apart = std::mem::take(&mut self.0).into_iter();
        let apart: Vec<_> = apart
            .map(|(namespace, names)| (namespace, names.into_iter().collect::<Vec<_>>()))
            .collect();
        let together = apart.into_iter();
        self.0 = together
            .map(|(namespace, names)| (namespace, names.into_iter().collect()))
            .collect();
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.0.get(namespace)?.get(name)
    }

    /// The name as it is kept.
    pub(super) fn name(&self, namespace: &str, name: &str) -> Option<&Arc<str>> {
        let (name, _) = self.0.get(namespace)?.get_key_value(name)?;
        Some(name)
    }

    pub(super) fn insert(&mut self, id: Id, value: T) -> Option<T> {
        self.0.entry(id.0).or_default().insert(id.1, value)
    }

    pub(super) fn remove(&mut self, id: &Id) -> Option<T> {
        let names = self.0.get_mut(&id.0)?;
        let removed = names.remove(&id.1);
        if names.is_empty() {
            self.0.remove(&id.0);
        }
        removed
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &T)> {
        let all = self.0.iter();
        all.flat_map(|(namespace, names)| {
            let names = names.iter();
            names.map(move |(name, value)| (namespace, name, value))
        })
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        let names = self.0.iter();
        names.flat_map(|(namespace, names)| names.keys().map(move |name| (namespace, name)))
    }
}

impl<V: Ord> Named<Few<V>> {
    pub(super) fn add_to(&mut self, id: Id, value: V) {
        let names = self.0.entry(id.0).or_default();
        names.entry(id.1).or_default().add(value);
    }

    pub(super) fn remove_from(&mut self, id: &Id, value: &V) {
        let names = self.0.get_mut(&id.0);
        let Some(values) = names.and_then(|names| names.get_mut(&id.1)) else {
            return;
        };
        values.remove(value);
        if values.is_empty() {
            self.remove(id);
        }
    }

    pub(super) fn of(&self, namespace: &str, name: &str) -> &[V] {
        self.get(namespace, name).map_or(&[], |values| values)
    }
}

/// Several values a key, sorted.
#[derive(Debug)]
pub(super) struct Links<K, V>(BTreeMap<K, Few<V>>);

impl<K, V> Default for Links<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Ord> Links<K, V> {
    pub(super) fn pack(&mut self) {
        pack(&mut self.0);
    }

    pub(super) fn add(&mut self, key: K, value: V) {
        self.0.entry(key).or_default().add(value);
    }

    pub(super) fn remove(&mut self, key: &K, value: &V) {
        let Some(values) = self.0.get_mut(key) else {
            return;
        };
        values.remove(value);
        if values.is_empty() {
            self.0.remove(key);
        }
    }

    pub(super) fn of(&self, key: &K) -> &[V] {
        self.0.get(key).map_or(&[], |values| values)
    }
}
