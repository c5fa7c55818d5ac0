//! Marks: which services may look different after a change, found by links and not by looking at all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::index::{Id, Index, Owner};
use super::join;
use super::meta::{Common, Meta};
use super::network::{Service, ServiceTarget};
use super::object::Kind;
use super::pods::Pod;
use crate::model::ServiceKey;

impl Index {
    /// Marks a service and those that name it as a backend.
    pub(super) fn mark(&mut self, key: &ServiceKey) {
        if self.serves(&key.namespace) {
            let keys = self.with_fronts(key);
            self.dirty.services.extend(keys);
        }
    }

    /// The same, where only the places in files differ, which no name shows.
    pub(super) fn mark_moved(&mut self, key: &ServiceKey) {
        if self.serves(&key.namespace) {
            let keys = self.with_fronts(key);
            self.dirty.moved.extend(keys);
        }
    }

    fn with_fronts(&self, key: &ServiceKey) -> Vec<ServiceKey> {
        let fronts = self.fronts.of(key).iter().map(|name| ServiceKey {
            namespace: Arc::clone(&key.namespace),
            name: Arc::clone(name),
        });
        fronts.chain([key.clone()]).collect()
    }

    /// Marks a service behind which something else may stand.
    pub(super) fn mark_and_learn(&mut self, key: &ServiceKey) {
        self.mark(key);
        if self.serves(&key.namespace) {
            self.unlearnt.insert(key.clone());
        }
    }

    pub(super) fn mark_served_by(&mut self, owner: &Owner) {
        let keys = self.served_by.of(owner).to_vec();
        keys.iter().for_each(|key| self.mark_and_learn(key));
    }

    /// The services that have an endpoint of the pod.
    pub(super) fn services_of_pod(&self, id: &Id) -> Vec<ServiceKey> {
        let slices = self.slices_of_pod.of(&id.0, &id.1).iter();
        let slices = slices.filter_map(|slice| self.slices.get(&id.0, slice));
        let keys = slices.filter_map(|slice| {
            let (namespace, name) = (Arc::clone(&id.0), Arc::clone(slice.service.as_ref()?));
            Some(ServiceKey { namespace, name })
        });
        keys.filter(|key| self.services.contains_key(key)).collect()
    }

    /// Marks the services that share a cluster IP with this one: who is told of it may change.
    pub(super) fn mark_claimants(&mut self, key: &ServiceKey) {
        let Some(ServiceTarget::Addresses(addresses)) = self.services.get(key).map(|s| &s.target)
        else {
            return;
        };
        let claims = addresses.iter().flat_map(|address| self.claims.of(address));
        let others: Vec<ServiceKey> = claims
            .map(|(_, other)| other.clone())
            .filter(|other| other != key)
            .collect();
        others.iter().for_each(|other| self.mark(other));
    }

    /// Counts the endpoints of a service; while its namespace has too many, later services lose or regain theirs.
    pub(super) fn weigh(&mut self, key: &ServiceKey) {
        let limit = self.settings.endpoints_per_namespace;
        let count = match self.services.get(key) {
            None => 0,
            Some(service) if matches!(service.target, ServiceTarget::External(_)) => 0,
            Some(_) => {
                let slices = self.slices_of(key);
                let endpoints = slices.flat_map(|slice| slice.endpoints.iter());
                let sum: usize = endpoints.map(|endpoint| endpoint.addresses.len()).sum();
                sum.min(self.settings.endpoints_per_service)
            }
        };
        let load = self.loads.entry(Arc::clone(&key.namespace)).or_default();
        let old_total = load.total;
        let old = match count {
            0 => load.by_service.remove(&key.name),
            _ => load.by_service.insert(Arc::clone(&key.name), count),
        };
        load.total = load.total + count - old.unwrap_or(0);
        if load.total == 0 && old_total <= limit {
            self.loads.remove(&key.namespace);
            return;
        }
        if old.unwrap_or(0) == count || old_total.max(load.total) <= limit {
            return;
        }
        self.has_problem_news = true;
        let later: Vec<Arc<str>> = if (old_total > limit) == (load.total > limit) {
            let later = load.by_service.range(Arc::clone(&key.name)..);
            later.map(|(name, _)| Arc::clone(name)).collect()
        } else {
            load.by_service.keys().cloned().collect()
        };
        for name in later {
            let namespace = Arc::clone(&key.namespace);
            self.mark(&ServiceKey { namespace, name });
        }
    }

    /// Learns what stands behind a service, so that a change of it finds the service.
    pub(super) fn learn_owners(&mut self, key: &ServiceKey) {
        let owners = match self.services.get(key) {
            // One that is made of others has none, but may be a backend itself, and backends are not followed.
            Some(service) if join::has_endpoints(service) => self.owners_behind(key, service),
            _ => BTreeSet::new(),
        };
        let known = self.behind.remove(key).unwrap_or_default();
        for owner in known.iter().filter(|owner| !owners.contains(owner)) {
            self.served_by.remove(owner, key);
        }
        for owner in owners.iter().filter(|owner| !known.contains(owner)) {
            self.served_by.add(owner.clone(), key.clone());
        }
        if !owners.is_empty() {
            self.behind
                .insert(key.clone(), owners.into_iter().collect());
        }
    }

    fn owners_behind(&self, key: &ServiceKey, service: &Service) -> BTreeSet<Owner> {
        let mut owners = BTreeSet::new();
        let endpoints = self.slices_of(key).flat_map(|slice| &slice.endpoints);
        let names = endpoints.filter_map(|endpoint| endpoint.pod.as_ref());
        let pods = names.filter_map(|name| self.pods.get(&key.namespace, name));
        let mut last: Option<&Arc<Common>> = None;
        for pod in pods {
            // Pods of one revision have it in common who owns them.
            let before = last.replace(&pod.meta.common);
            if !before.is_some_and(|before| Arc::ptr_eq(before, &pod.meta.common)) {
                owners.extend(self.owners_of(pod));
            }
        }
        owners.extend(self.workloads_selected(&key.namespace, &service.selector));
        owners
    }

    /// What controls the pod, and what controls that; known or not, for it may come.
    pub(super) fn owners_of(&self, pod: &Pod) -> Vec<Owner> {
        let Some(owner) = owner_of(&pod.meta) else {
            return Vec::new();
        };
        let above = match owner.0 {
            Kind::ReplicaSet => {
                let set = self.replica_sets.get(&owner.1, &owner.2);
                set.and_then(|set| owner_of(&set.meta))
            }
            _ => None,
        };
        [Some(owner), above].into_iter().flatten().collect()
    }
}

/// What controls the object, if it is of a known kind.
pub(super) fn owner_of(meta: &Meta) -> Option<Owner> {
    let controller = meta.controller.as_ref()?;
    let name = Arc::clone(&controller.name);
    controller
        .kind
        .map(|kind| (kind, Arc::clone(&meta.namespace), name))
}
