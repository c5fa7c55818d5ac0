//! Folding objects in: for each kind, unlink the old one, link the new one, and mark the services that may look
//! different. Facts that no view shows are not compared.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::index::{Id, Index, Owner, id_of};
use super::labels::Labels;
use super::links::{Links, Named};
use super::marks::owner_of;
use super::meta::{Controller, Meta};
use super::network::{EndpointSlice, Namespace, Service, ServiceTarget};
use super::object::{Kind, Object};
use super::pods::Pod;
use super::resource::ServiceRollout;
use super::revisions::{ControllerRevision, ReplicaSet};
use super::workloads::{DaemonSet, Deployment, StatefulSet};
use crate::model::{Problem, ServiceKey};

impl Index {
    pub(super) fn put(&mut self, object: Object) {
        if self.has(&object) {
            return;
        }
        let id = id_of(object.meta());
        let is_sound = object.meta().flaws.is_empty() && self.flawed.is_empty();
        if !is_sound && !matches!(object, Object::Service(_) | Object::EndpointSlice(_)) {
            // Those of services and slices come with the service's view.
            self.note_flaws(object.kind(), &id, object.problems());
        }
        match object {
            Object::Namespace(new) => self.set_namespace(id, Some(new)),
            Object::Node(new) => {
                self.nodes.insert(id, new);
            }
            Object::Service(new) => self.set_service(id, Some(new)),
            Object::EndpointSlice(new) => self.set_slice(id, Some(new)),
            Object::Pod(new) => self.set_pod(id, Some(new)),
            Object::Deployment(new) => self.set_deployment(id, Some(new)),
            Object::ReplicaSet(new) => self.set_replica_set(id, Some(new)),
            Object::StatefulSet(new) => self.set_stateful_set(id, Some(new)),
            Object::DaemonSet(new) => self.set_daemon_set(id, Some(new)),
            Object::ControllerRevision(new) => self.set_controller_revision(id, Some(new)),
            Object::ServiceRollout(new) => self.set_resource(id, Some(new)),
        }
        self.puts += 1;
    }

    /// It is known, and stands where it stood: a list that is read again mostly brings what it brought before.
    fn has(&self, object: &Object) -> bool {
        let known = self.known(object.kind(), object.namespace(), object.name());
        known.is_some_and(|known| known.meta().stands_with(object.meta()) && known == *object)
    }

    fn known(&self, kind: Kind, namespace: &Arc<str>, name: &Arc<str>) -> Option<Object> {
        let key = || ServiceKey {
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
        };
        fn of<T>(objects: &Named<Arc<T>>, namespace: &str, name: &str) -> Option<Arc<T>> {
            objects.get(namespace, name).cloned()
        }
        Some(match kind {
            Kind::Namespace => Object::Namespace(of(&self.namespaces, namespace, name)?),
            Kind::Node => Object::Node(of(&self.nodes, namespace, name)?),
            Kind::Service => Object::Service(self.services.get(&key()).cloned()?),
            Kind::EndpointSlice => Object::EndpointSlice(of(&self.slices, namespace, name)?),
            Kind::Pod => Object::Pod(of(&self.pods, namespace, name)?),
            Kind::Deployment => Object::Deployment(of(&self.deployments, namespace, name)?),
            Kind::ReplicaSet => Object::ReplicaSet(of(&self.replica_sets, namespace, name)?),
            Kind::StatefulSet => Object::StatefulSet(of(&self.stateful_sets, namespace, name)?),
            Kind::DaemonSet => Object::DaemonSet(of(&self.daemon_sets, namespace, name)?),
            Kind::ControllerRevision => {
                Object::ControllerRevision(of(&self.controller_revisions, namespace, name)?)
            }
            Kind::ServiceRollout => Object::ServiceRollout(of(&self.resources, namespace, name)?),
        })
    }

    pub(super) fn drop_object(&mut self, kind: Kind, id: Id) {
        self.note_flaws(kind, &id, Vec::new());
        match kind {
            Kind::Namespace => self.set_namespace(id, None),
            Kind::Node => {
                self.nodes.remove(&id);
            }
            Kind::Service => self.set_service(id, None),
            Kind::EndpointSlice => self.set_slice(id, None),
            Kind::Pod => self.set_pod(id, None),
            Kind::Deployment => self.set_deployment(id, None),
            Kind::ReplicaSet => self.set_replica_set(id, None),
            Kind::StatefulSet => self.set_stateful_set(id, None),
            Kind::DaemonSet => self.set_daemon_set(id, None),
            Kind::ControllerRevision => self.set_controller_revision(id, None),
            Kind::ServiceRollout => self.set_resource(id, None),
        }
    }

    fn note_flaws(&mut self, kind: Kind, id: &Id, problems: Vec<Problem>) {
        let entry = (kind, id.clone());
        if self.flawed.get(&entry).map_or(&[][..], |known| known) == problems {
            return;
        }
        self.has_problem_news = true;
        if problems.is_empty() {
            self.flawed.remove(&entry);
        } else {
            self.flawed.insert(entry, problems);
        }
    }

    fn set_namespace(&mut self, id: Id, new: Option<Arc<Namespace>>) {
        let name = Arc::clone(&id.1);
        let facts = |object: &Arc<Namespace>| object.meta.labels.clone();
        let is_same = self.namespaces.get(&id.0, &id.1).map(facts) == new.as_ref().map(facts);
        let had_any = !self.namespaces.is_empty();
        replace(&mut self.namespaces, id, new);
        if is_same {
            return;
        }
        self.has_problem_news = true;
        if had_any == self.namespaces.is_empty() {
            // The namespaces that services imply count only while there is no Namespace object.
            let implied = self.services.keys().map(|key| Arc::clone(&key.namespace));
            self.dirty.namespaces.extend(implied);
        }
        let keys: Vec<ServiceKey> = self
            .services_in(&name)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.mark_claimants(&key);
            self.unlearnt.insert(key.clone());
            self.dirty.services.insert(key);
        }
        if self.settings.namespace_selector.is_some() {
            let addresses = self.pods_at.get(&name).into_iter().flat_map(BTreeMap::keys);
            let pods = addresses.map(|address| (Arc::clone(&name), *address));
            self.dirty.pods.extend(pods);
        }
        self.dirty.namespaces.insert(name);
    }

    fn set_service(&mut self, id: Id, new: Option<Arc<Service>>) {
        let key = ServiceKey {
            namespace: id.0,
            name: id.1,
        };
        if self.services.get(&key) == new.as_ref() {
            let Some(new) = new else { return };
            let meta = &self.services[&key].meta;
            if !meta.stands_with(&new.meta) {
                self.mark_moved(&key);
            }
            self.services.insert(key, new);
            return;
        }
        if !self.serves(&key.namespace) {
            // Of a reserved namespace it is told how many services it has.
            self.has_problem_news = true;
        }
        self.mark_and_learn(&key);
        let had_any = self.services_in(&key.namespace).next().is_some();
        let (was_there, was_empty) = (self.services.contains_key(&key), self.services.is_empty());
        self.mark_claimants(&key);
        if let Some(old) = self.services.remove(&key) {
            self.link_service(&key, &old, false);
            // What is in force instead of the new text is for others to say.
            self.backends.remove(&key);
        }
        if let Some(new) = new {
            self.link_service(&key, &new, true);
            self.services.insert(key.clone(), new);
            self.mark_claimants(&key);
        }
        let has_any = self.services_in(&key.namespace).next().is_some();
        if had_any != has_any && self.namespaces.is_empty() {
            self.dirty.namespaces.insert(Arc::clone(&key.namespace));
        }
        // A ServiceRollout without its Service is told of.
        let is_other = was_there != self.services.contains_key(&key);
        let has_resource = || self.resources.get(&key.namespace, &key.name).is_some();
        if was_empty != self.services.is_empty() || (is_other && has_resource()) {
            self.has_problem_news = true;
        }
        self.weigh(&key);
    }

    fn link_service(&mut self, key: &ServiceKey, service: &Service, is_new: bool) {
        if let Some((label, value)) = service.selector.iter().next() {
            let label = (
                Arc::clone(&key.namespace),
                Arc::clone(label),
                Arc::clone(value),
            );
            link(
                &mut self.services_by_label,
                label,
                Arc::clone(&key.name),
                is_new,
            );
        }
        if let ServiceTarget::Addresses(addresses) = &service.target {
            for address in addresses {
                let claim = (service.created, key.clone());
                link(&mut self.claims, *address, claim, is_new);
            }
        }
        self.link_backends(key, service, is_new);
    }

    pub(super) fn link_backends(&mut self, key: &ServiceKey, service: &Service, is_new: bool) {
        if let Some(Ok(weights)) = self.backends_of(key, service) {
            for (name, _) in weights.iter() {
                let backend = ServiceKey {
                    namespace: Arc::clone(&key.namespace),
                    name: Arc::clone(name),
                };
                link(&mut self.fronts, backend, Arc::clone(&key.name), is_new);
            }
        }
    }

    fn set_slice(&mut self, id: Id, new: Option<Arc<EndpointSlice>>) {
        let known = self.slices.get(&id.0, &id.1);
        if known == new.as_ref() {
            if let (Some(known), Some(new)) = (known, new) {
                let service = new
                    .service
                    .as_ref()
                    .filter(|_| !known.meta.stands_with(&new.meta));
                if let Some(name) = service.cloned() {
                    let namespace = Arc::clone(&id.0);
                    self.mark_moved(&ServiceKey { namespace, name });
                }
                self.slices.insert(id, new);
            }
            return;
        }
        let mut new = new;
        if let Some(new) = new.as_mut().and_then(Arc::get_mut) {
            self.share_pod_names(&id, new);
        }
        let old = match &new {
            Some(new) => self.slices.insert(id.clone(), Arc::clone(new)),
            None => self.slices.remove(&id),
        };
        let service = |slice: &EndpointSlice| {
            slice.service.as_ref().map(|name| ServiceKey {
                namespace: Arc::clone(&id.0),
                name: Arc::clone(name),
            })
        };
        let pair = [old.as_deref(), new.as_deref()];
        let services = pair.map(|slice| slice.and_then(service));
        let is_other = self.link_slice(&id, pair, [services[0].as_ref(), services[1].as_ref()]);
        for key in services.iter().flatten() {
            if self.services.contains_key(key) {
                match is_other {
                    true => self.mark_and_learn(key),
                    false => self.mark(key),
                }
                self.weigh(key);
            }
        }
    }

    /// A slice that was read alone has its pods' names for itself; here they are those of the pods.
    fn share_pod_names(&self, id: &Id, slice: &mut EndpointSlice) {
        let known = self.slices.get(&id.0, &id.1);
        let mut known = known.into_iter().flat_map(|slice| slice.endpoints.iter());
        for endpoint in &mut slice.endpoints {
            // Mostly the same ones in the same order.
            let same = known.next().and_then(|endpoint| endpoint.pod.as_ref());
            let Some(name) = &mut endpoint.pod else {
                continue;
            };
            let pod = || Some(&self.pods.get(&id.0, name)?.meta.name);
            let shared = same.filter(|same| *same == name).or_else(pod);
            if let Some(shared) = shared {
                *name = Arc::clone(shared);
            }
        }
    }

    /// Links an old slice and a new one where they differ; whether they do, in whose it is or in its pods.
    fn link_slice(
        &mut self,
        id: &Id,
        slices: [Option<&EndpointSlice>; 2],
        services: [Option<&ServiceKey>; 2],
    ) -> bool {
        let is_moved = services[0] != services[1];
        if is_moved {
            for (key, is_new) in services.into_iter().zip([false, true]) {
                if let Some(key) = key {
                    let name = Arc::clone(&id.1);
                    link(&mut self.slices_of_service, key.clone(), name, is_new);
                }
            }
        }
        let pods = slices.map(|slice| {
            let endpoints = slice.into_iter().flat_map(|slice| slice.endpoints.iter());
            endpoints.filter_map(|endpoint| endpoint.pod.as_ref())
        });
        let [old, new] = pods;
        if old.clone().eq(new.clone()) {
            return is_moved;
        }
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.collect(), new.collect());
        for pod in old.difference(&new) {
            let pod = (Arc::clone(&id.0), Arc::clone(pod));
            self.slices_of_pod.remove_from(&pod, &id.1);
        }
        for pod in new.difference(&old) {
            let pod = (Arc::clone(&id.0), Arc::clone(pod));
            self.slices_of_pod.add_to(pod, Arc::clone(&id.1));
        }
        true
    }

    fn set_pod(&mut self, id: Id, new: Option<Arc<Pod>>) {
        if self.pods.get(&id.0, &id.1) == new.as_ref() {
            if let Some(new) = new {
                self.pods.insert(id, new);
            }
            return;
        }
        let (mut id, mut new) = (id, new);
        if let Some(new) = new.as_mut().and_then(Arc::get_mut) {
            // One that was read alone has its name for itself; here it is that of its endpoints.
            if let Some(name) = self.slices_of_pod.name(&id.0, &id.1) {
                new.meta.name = Arc::clone(name);
                id.1 = Arc::clone(name);
            }
        }
        let old = match &new {
            Some(new) => self.pods.insert(id.clone(), Arc::clone(new)),
            None => self.pods.remove(&id),
        };
        let pair = [old.as_deref(), new.as_deref()];
        let is_kept = self.link_pod(&id, pair);
        let shows = pair[0].map(endpoint_facts) != pair[1].map(endpoint_facts);
        let moves = pair[0].map(member_facts) != pair[1].map(member_facts);
        let mut keys = Vec::new();
        if shows {
            keys.extend(self.services_of_pod(&id));
        }
        if moves {
            let owners = pair.into_iter().flatten().map(|pod| self.owners_of(pod));
            for owner in owners.flatten() {
                keys.extend(self.served_by.of(&owner).iter().cloned());
            }
        }
        for key in keys {
            match is_kept {
                true => self.mark(&key),
                false => self.mark_and_learn(&key),
            }
        }
    }

    /// Links an old pod and a new one where they differ; whether it was there before, and of the same owner.
    fn link_pod(&mut self, id: &Id, pods: [Option<&Pod>; 2]) -> bool {
        let owners = pods.map(|pod| pod.and_then(|pod| owner_of(&pod.meta)));
        let is_kept = owners[0] == owners[1] && pods.iter().all(Option::is_some);
        if owners[0] != owners[1] {
            for (owner, is_new) in owners.into_iter().zip([false, true]) {
                if let Some(owner) = owner {
                    let child = (Kind::Pod, Arc::clone(&id.1));
                    link(&mut self.children, owner, child, is_new);
                }
            }
        }
        if self.settings.pod_addresses {
            // The new one's addresses come first, so that one that stays is not seen to go.
            let [old, new] = pods;
            for (pod, is_new) in [(new, true), (old, false)] {
                let living = pod.filter(|pod| !pod.terminal);
                for address in living.iter().flat_map(|pod| pod.addresses.iter()) {
                    self.count_address(&id.0, *address, is_new);
                }
            }
        }
        is_kept
    }

    pub(super) fn count_address(&mut self, namespace: &Arc<str>, address: IpAddr, is_new: bool) {
        let addresses = self.pods_at.entry(Arc::clone(namespace)).or_default();
        let count = addresses.entry(address).or_insert(0);
        let before = *count;
        *count = if is_new {
            before + 1
        } else {
            before.saturating_sub(1)
        };
        let after = *count;
        if after == 0 {
            addresses.remove(&address);
        }
        if addresses.is_empty() {
            self.pods_at.remove(namespace);
        }
        if (before == 0) != (after == 0) && self.serves(namespace) {
            self.dirty.pods.insert((Arc::clone(namespace), address));
        }
    }

    fn set_deployment(&mut self, id: Id, new: Option<Arc<Deployment>>) {
        let facts = |object: &Arc<Deployment>| {
            let told = (object.deadline_exceeded.clone(), object.stalled.clone());
            (object.workload(), object.uid.clone(), told)
        };
        let was = self.deployments.get(&id.0, &id.1);
        let is_same = was.map(facts) == new.as_ref().map(facts);
        let labels = [was, new.as_ref()].map(|w| w.map(|w| w.template.labels.clone()));
        replace(&mut self.deployments, id.clone(), new);
        self.workload_changed((Kind::Deployment, id.0, id.1), is_same, labels);
    }

    fn set_stateful_set(&mut self, id: Id, new: Option<Arc<StatefulSet>>) {
        let facts = |object: &Arc<StatefulSet>| (object.workload(), object.uid.clone());
        let was = self.stateful_sets.get(&id.0, &id.1);
        let is_same = was.map(facts) == new.as_ref().map(facts);
        let labels = [was, new.as_ref()].map(|w| w.map(|w| w.template.labels.clone()));
        replace(&mut self.stateful_sets, id.clone(), new);
        self.workload_changed((Kind::StatefulSet, id.0, id.1), is_same, labels);
    }

    fn set_daemon_set(&mut self, id: Id, new: Option<Arc<DaemonSet>>) {
        let facts = |object: &Arc<DaemonSet>| (object.workload(), object.uid.clone());
        let was = self.daemon_sets.get(&id.0, &id.1);
        let is_same = was.map(facts) == new.as_ref().map(facts);
        let labels = [was, new.as_ref()].map(|w| w.map(|w| w.template.labels.clone()));
        replace(&mut self.daemon_sets, id.clone(), new);
        self.workload_changed((Kind::DaemonSet, id.0, id.1), is_same, labels);
    }

    /// `labels` are those of the old and the new template.
    fn workload_changed(&mut self, owner: Owner, is_same: bool, labels: [Option<Labels>; 2]) {
        if !is_same {
            self.mark_served_by(&owner);
        }
        if labels[0] == labels[1] {
            return;
        }
        let selects = |service: &Service, labels: &Option<Labels>| {
            let labels = labels.as_ref();
            labels.is_some_and(|labels| service.selector.select(labels))
        };
        for (some, is_new) in labels.iter().zip([false, true]) {
            for (key, value) in some.iter().flat_map(Labels::iter) {
                let label = (Arc::clone(&owner.1), Arc::clone(key), Arc::clone(value));
                for name in self.services_by_label.of(&label).to_vec() {
                    let namespace = Arc::clone(&owner.1);
                    let key = ServiceKey { namespace, name };
                    let service = self.services.get(&key);
                    if service.is_some_and(|s| selects(s, &labels[0]) != selects(s, &labels[1])) {
                        self.mark_and_learn(&key);
                    }
                }
                let workload = (owner.0, Arc::clone(&owner.2));
                link(&mut self.workloads_by_label, label, workload, is_new);
            }
        }
    }

    fn set_replica_set(&mut self, id: Id, new: Option<Arc<ReplicaSet>>) {
        let old = self.replica_sets.get(&id.0, &id.1).cloned();
        let facts = |set: &ReplicaSet| {
            let identity = (set.uid.clone(), set.created, set.number, set.reused);
            let says = (set.template.clone(), set.content.clone());
            (identity, child_facts(&set.meta), says, set.stalled.clone())
        };
        let is_same = old.as_deref().map(facts) == new.as_deref().map(facts);
        replace(&mut self.replica_sets, id.clone(), new.clone());
        let metas = [&old, &new].map(|set| set.as_ref().map(|set| &set.meta));
        self.child_changed(Kind::ReplicaSet, &id, is_same, metas);
    }

    fn set_controller_revision(&mut self, id: Id, new: Option<Arc<ControllerRevision>>) {
        let old = self.controller_revisions.get(&id.0, &id.1).cloned();
        let facts = |set: &ControllerRevision| {
            let identity = (set.created, set.number);
            let says = (set.template.clone(), set.content.clone());
            (identity, child_facts(&set.meta), says)
        };
        let is_same = old.as_deref().map(facts) == new.as_deref().map(facts);
        replace(&mut self.controller_revisions, id.clone(), new.clone());
        let metas = [&old, &new].map(|set| set.as_ref().map(|set| &set.meta));
        self.child_changed(Kind::ControllerRevision, &id, is_same, metas);
    }

    fn set_resource(&mut self, id: Id, new: Option<Arc<ServiceRollout>>) {
        let key = ServiceKey {
            namespace: Arc::clone(&id.0),
            name: Arc::clone(&id.1),
        };
        let old = self.resources.get(&id.0, &id.1);
        let facts = |object: &Arc<ServiceRollout>| (object.written.clone(), object.uid.clone());
        let is_same = old.map(facts) == new.as_ref().map(facts);
        let stays = match (old, &new) {
            (Some(old), Some(new)) => old.meta.stands_with(&new.meta),
            (None, None) => true,
            _ => false,
        };
        let service = self.services.get(&key).filter(|_| !is_same).cloned();
        if let Some(service) = &service {
            self.link_backends(&key, service, false);
            // What is in force instead of the new words is for others to say.
            self.backends.remove(&key);
        }
        replace(&mut self.resources, id, new);
        if let Some(service) = &service {
            self.link_backends(&key, service, true);
        }
        if !is_same {
            self.dirty.services.insert(key.clone());
        } else if !stays {
            self.mark_moved(&key);
        }
        if !stays && !self.services.contains_key(&key) {
            self.has_problem_news = true;
        }
        // What its status remembers shows in no view.
        self.dirty.resources.insert(key);
    }

    /// `metas` are the old one and the new one.
    fn child_changed(&mut self, kind: Kind, id: &Id, is_same: bool, metas: [Option<&Meta>; 2]) {
        if is_same {
            return;
        }
        self.mark_served_by(&(kind, Arc::clone(&id.0), Arc::clone(&id.1)));
        for (meta, is_new) in metas.into_iter().zip([false, true]) {
            let Some(meta) = meta else { continue };
            self.link_child(kind, &id.1, meta, is_new);
            if let Some(owner) = owner_of(meta) {
                self.mark_served_by(&owner);
            }
        }
    }

    fn link_child(&mut self, kind: Kind, name: &Arc<str>, meta: &Meta, is_new: bool) {
        if let Some(owner) = owner_of(meta) {
            link(&mut self.children, owner, (kind, Arc::clone(name)), is_new);
        }
    }
}

fn link<K: Ord, V: Ord>(links: &mut Links<K, V>, key: K, value: V, is_new: bool) {
    if is_new {
        links.add(key, value);
    } else {
        links.remove(&key, &value);
    }
}

fn replace<T>(objects: &mut Named<T>, id: Id, new: Option<T>) {
    match new {
        Some(new) => objects.insert(id, new),
        None => objects.remove(&id),
    };
}

/// What of a pod shows at its endpoints.
fn endpoint_facts(pod: &Pod) -> impl PartialEq + use<'_> {
    let shown = (&pod.addresses, pod.ready_since, pod.restarts);
    (shown, member_facts(pod))
}

/// What of a pod shows at its revision and its workload.
fn member_facts(pod: &Pod) -> impl PartialEq + use<'_> {
    (
        &pod.meta.controller,
        &pod.meta.labels,
        &pod.meta.tag,
        &pod.ailment,
        pod.ready == Some(false),
        pod.counts(),
    )
}

/// What of a revision's metadata shows: neither where it was read from nor what was ignored in it.
fn child_facts(meta: &Meta) -> (Labels, Option<Controller>) {
    (meta.labels.clone(), meta.controller.clone())
}
