//! The index: all objects, who belongs to whom, and which services changed.
//!
//! A change costs in proportion to itself: links lead from every object to the services that may look different.
//! Which workloads stand behind a service is learnt when its mark is taken ([`Index::take_dirty`]): a service that is
//! not marked has, by definition, the same workloads as before. Only two rare events walk further: a Namespace object
//! walks its namespace, and the first or last Namespace object of all walks the namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::backends;
use super::join::{self, Joined};
use super::labels::Labels;
use super::links::{Links, Strings};
use super::meta::Meta;
use super::network::{EndpointSlice, Namespace, Node, Service, ServiceTarget};
use super::object::{Change, Kind, Object};
use super::settings::Settings;
use super::workloads::{ControllerRevision, DaemonSet, Deployment, Pod, ReplicaSet, StatefulSet};
use crate::model::{Problem, ServiceKey, Workload};

/// Namespace and name of an object of a known kind.
pub(super) type Id = (Arc<str>, Arc<str>);

/// Kind, namespace and name of what controls others.
pub(super) type Owner = (Kind, Arc<str>, Arc<str>);

/// Namespace, label key and label value.
type Label = (Arc<str>, Arc<str>, Arc<str>);

/// All objects, joined.
#[derive(Debug, Default)]
pub struct Index {
    pub(super) settings: Settings,
    strings: Strings,

    namespaces: BTreeMap<Id, Namespace>,
    nodes: BTreeMap<Id, Node>,
    pub(super) services: BTreeMap<ServiceKey, Service>,
    pub(super) slices: BTreeMap<Id, EndpointSlice>,
    pub(super) pods: BTreeMap<Id, Pod>,
    pub(super) deployments: BTreeMap<Id, Deployment>,
    pub(super) replica_sets: BTreeMap<Id, ReplicaSet>,
    pub(super) stateful_sets: BTreeMap<Id, StatefulSet>,
    pub(super) daemon_sets: BTreeMap<Id, DaemonSet>,
    pub(super) controller_revisions: BTreeMap<Id, ControllerRevision>,

    /// Slices by service; slices by the pods their endpoints target.
    pub(super) slices_of_service: Links<ServiceKey, Arc<str>>,
    slices_of_pod: Links<Id, Arc<str>>,
    /// Kinds and names by controller.
    pub(super) children: Links<Owner, (Kind, Arc<str>)>,
    /// Services by one pair of their selector; workloads by every label of their template.
    services_by_label: Links<Label, Arc<str>>,
    workloads_by_label: Links<Label, (Kind, Arc<str>)>,
    /// Services by cluster IP, the oldest first.
    pub(super) claims: Links<IpAddr, (Option<Timestamp>, ServiceKey)>,
    /// Services by the Service they name as a backend.
    fronts: Links<ServiceKey, Arc<str>>,
    /// Services by what was behind them when their mark was taken, and the reverse.
    served_by: Links<Owner, ServiceKey>,
    behind: BTreeMap<ServiceKey, BTreeSet<Owner>>,

    /// How many pods have an address.
    pods_at: BTreeMap<(Arc<str>, IpAddr), u32>,
    /// Endpoint addresses of each namespace, and of each service in it.
    loads: BTreeMap<Arc<str>, Load>,
    flawed: BTreeMap<(Kind, Id), Vec<Problem>>,
    dirty: Dirty,
}

/// What may look different since the marks were last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Services, also those that are gone.
    pub services: BTreeSet<ServiceKey>,
    /// Namespaces that came, went or changed.
    pub namespaces: BTreeSet<Arc<str>>,
    /// Pod addresses that came or went.
    pub pods: BTreeSet<(Arc<str>, IpAddr)>,
}

#[derive(Debug, Default)]
struct Load {
    total: usize,
    by_service: BTreeMap<Arc<str>, usize>,
}

impl Index {
    /// An empty index.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Folds a change in and marks what it changed; an object equal to the known one marks nothing.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Apply(object) => self.put(object),
            Change::Delete {
                kind,
                namespace,
                name,
            } => self.drop_object(kind, (namespace, name)),
            Change::Reset { kind, objects } => {
                let objects: Vec<Object> = objects
                    .into_iter()
                    .filter(|object| object.kind() == kind)
                    .collect();
                let kept: BTreeSet<Id> =
                    objects.iter().map(|object| id_of(object.meta())).collect();
                for id in self.ids(kind) {
                    if !kept.contains(&id) {
                        self.drop_object(kind, id);
                    }
                }
                objects.into_iter().for_each(|object| self.put(object));
            }
        }
    }

    /// Hands out the marks and forgets them.
    pub fn take_dirty(&mut self) -> Dirty {
        let dirty = std::mem::take(&mut self.dirty);
        for key in &dirty.services {
            self.learn_owners(key);
        }
        dirty
    }

    /// The service as it is; `None` where it does not exist or is not served.
    pub fn view(&self, key: &ServiceKey) -> Option<Joined> {
        let service = self.services.get(key)?;
        self.serves(&key.namespace).then(|| self.join(key, service))
    }

    /// The services that are served, sorted.
    pub fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.services
            .keys()
            .filter(|key| self.serves(&key.namespace))
    }

    /// The namespaces that are served, sorted: Namespace objects, or, where there are none at all (manifests
    /// rarely have them), the namespaces that hold a service.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        let explicit = self.namespaces.keys().map(|(_, name)| name);
        let implied = self.services.keys().map(|key| &key.namespace);
        let implied = implied.filter(|_| self.namespaces.is_empty());
        let mut last: Option<&Arc<str>> = None;
        // One of the two is empty, and both are sorted.
        explicit
            .chain(implied)
            .filter(move |name| last.replace(name).is_none_or(|last| last != *name))
            .filter(|name| self.serves(name))
            .map(|name| &**name)
    }

    /// A pod of a served namespace that is not done has the address.
    pub fn pod_exists(&self, namespace: &str, address: IpAddr) -> bool {
        self.serves(namespace) && self.pods_at.contains_key(&(namespace.into(), address))
    }

    /// Every namespace and address for which [`Index::pod_exists`] holds, sorted.
    pub fn pod_addresses(&self) -> impl Iterator<Item = (&Arc<str>, IpAddr)> {
        let all = self
            .pods_at
            .keys()
            .map(|(namespace, address)| (namespace, *address));
        all.filter(|(namespace, _)| self.serves(namespace))
    }

    /// Problems that do not belong to one served service, sorted; those of a service come with its view.
    pub fn problems(&self) -> Vec<Problem> {
        let flawed = self.flawed.iter();
        let seen = flawed.filter(|((kind, id), _)| match kind {
            Kind::Namespace => self.is_chosen(&id.1),
            Kind::Node => true,
            _ => self.serves(&id.0),
        });
        let mut problems: Vec<Problem> = seen
            .flat_map(|(_, problems)| problems.iter().cloned())
            .collect();
        for reserved in &self.settings.reserved_namespaces {
            let count = self.services_in(reserved).count();
            if count > 0 {
                problems.push(Problem {
                    origin: None,
                    subject: format!("namespace {reserved}"),
                    text: format!(
                        "its {count} services get no names: `{reserved}` is reserved; \
                         use another namespace or change `reservedNamespaces`"
                    ),
                });
            }
        }
        let limit = self.settings.endpoints_per_namespace;
        for (namespace, load) in &self.loads {
            if load.total > limit && self.serves(namespace) {
                problems.push(Problem {
                    origin: None,
                    subject: format!("namespace {namespace}"),
                    text: format!(
                        "{} endpoints are more than {limit}: services late in the alphabet lose theirs; \
                         raise `limits.endpointsPerNamespace`",
                        load.total
                    ),
                });
            }
        }
        problems.sort();
        problems
    }

    /// How many objects of each kind there are.
    pub fn counts(&self) -> [(Kind, usize); 10] {
        Kind::ALL.map(|kind| {
            let count = match kind {
                Kind::Namespace => self.namespaces.len(),
                Kind::Node => self.nodes.len(),
                Kind::Service => self.services.len(),
                Kind::EndpointSlice => self.slices.len(),
                Kind::Pod => self.pods.len(),
                Kind::Deployment => self.deployments.len(),
                Kind::ReplicaSet => self.replica_sets.len(),
                Kind::StatefulSet => self.stateful_sets.len(),
                Kind::DaemonSet => self.daemon_sets.len(),
                Kind::ControllerRevision => self.controller_revisions.len(),
            };
            (kind, count)
        })
    }

    /// The namespace's services get names.
    pub(super) fn serves(&self, namespace: &str) -> bool {
        self.is_chosen(namespace)
            && !self
                .settings
                .reserved_namespaces
                .iter()
                .any(|known| known == namespace)
    }

    /// The namespace passes the filters.
    fn is_chosen(&self, namespace: &str) -> bool {
        let listed = &self.settings.namespaces;
        let is_listed = listed.is_empty() || listed.iter().any(|known| known == namespace);
        is_listed
            && self
                .settings
                .namespace_selector
                .as_ref()
                .is_none_or(|selector| {
                    let object = self.namespaces.get(&("".into(), namespace.into()));
                    object.is_some_and(|object| selector.matches(&object.meta.labels))
                })
    }

    /// How many endpoints the service may have: its own limit, and what services before it left of the namespace's.
    pub(super) fn allowance(&self, key: &ServiceKey) -> usize {
        let own = self.settings.endpoints_per_service;
        let limit = self.settings.endpoints_per_namespace;
        match self.loads.get(&key.namespace) {
            Some(load) if load.total > limit => {
                let before: usize = load
                    .by_service
                    .range(..Arc::clone(&key.name))
                    .map(|(_, n)| n)
                    .sum();
                own.min(limit.saturating_sub(before))
            }
            _ => own,
        }
    }

    /// Workloads of the namespace whose pods the selector matches; an empty selector matches nothing.
    pub(super) fn workloads_selected(&self, namespace: &Arc<str>, selector: &Labels) -> Vec<Owner> {
        let by_pair = selector.iter().map(|(key, value)| {
            let label = (Arc::clone(namespace), Arc::clone(key), Arc::clone(value));
            self.workloads_by_label.of(&label)
        });
        let fewest = by_pair
            .min_by_key(|workloads| workloads.len())
            .unwrap_or_default();
        let owners = fewest
            .iter()
            .map(|(kind, name)| (*kind, Arc::clone(namespace), Arc::clone(name)));
        owners
            .filter(|owner| {
                self.template_labels(owner)
                    .is_some_and(|labels| selector.select(labels))
            })
            .collect()
    }

    fn template_labels(&self, owner: &Owner) -> Option<&Labels> {
        let id = (Arc::clone(&owner.1), Arc::clone(&owner.2));
        match owner.0 {
            Kind::Deployment => self.deployments.get(&id).map(|w| &w.template.labels),
            Kind::StatefulSet => self.stateful_sets.get(&id).map(|w| &w.template.labels),
            Kind::DaemonSet => self.daemon_sets.get(&id).map(|w| &w.template.labels),
            _ => None,
        }
    }

    fn services_in(&self, namespace: &str) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        let first = ServiceKey::new(namespace, "");
        let all = self.services.range(first..);
        all.take_while(move |(key, _)| *key.namespace == *namespace)
    }

    fn ids(&self, kind: Kind) -> Vec<Id> {
        match kind {
            Kind::Namespace => self.namespaces.keys().cloned().collect(),
            Kind::Node => self.nodes.keys().cloned().collect(),
            Kind::Service => {
                let keys = self.services.keys();
                keys.map(|key| (Arc::clone(&key.namespace), Arc::clone(&key.name)))
                    .collect()
            }
            Kind::EndpointSlice => self.slices.keys().cloned().collect(),
            Kind::Pod => self.pods.keys().cloned().collect(),
            Kind::Deployment => self.deployments.keys().cloned().collect(),
            Kind::ReplicaSet => self.replica_sets.keys().cloned().collect(),
            Kind::StatefulSet => self.stateful_sets.keys().cloned().collect(),
            Kind::DaemonSet => self.daemon_sets.keys().cloned().collect(),
            Kind::ControllerRevision => self.controller_revisions.keys().cloned().collect(),
        }
    }
}

// Folding objects in: for each kind, unlink the old, link the new, mark the services that may look different.
impl Index {
    fn put(&mut self, mut object: Object) {
        self.strings.share_all(&mut object);
        let id = id_of(object.meta());
        if !matches!(object, Object::Service(_) | Object::EndpointSlice(_)) {
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
        }
    }

    fn drop_object(&mut self, kind: Kind, id: Id) {
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
        }
    }

    fn note_flaws(&mut self, kind: Kind, id: &Id, problems: Vec<Problem>) {
        let entry = (kind, id.clone());
        if problems.is_empty() {
            self.flawed.remove(&entry);
        } else {
            self.flawed.insert(entry, problems);
        }
    }

    fn set_namespace(&mut self, id: Id, new: Option<Namespace>) {
        let name = Arc::clone(&id.1);
        let facts = |object: &Namespace| object.meta.labels.clone();
        let is_same = self.namespaces.get(&id).map(facts) == new.as_ref().map(facts);
        let had_any = !self.namespaces.is_empty();
        replace(&mut self.namespaces, id, new);
        if is_same {
            return;
        }
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
            self.dirty.services.insert(key);
        }
        let first = (Arc::clone(&name), IpAddr::from([0, 0, 0, 0]));
        let pods = self.pods_at.range(first..).map(|(at, _)| at);
        let pods: Vec<_> = pods.take_while(|at| at.0 == name).cloned().collect();
        if self.settings.namespace_selector.is_some() {
            self.dirty.pods.extend(pods);
        }
        self.dirty.namespaces.insert(name);
    }

    fn set_service(&mut self, id: Id, new: Option<Service>) {
        let key = ServiceKey {
            namespace: id.0,
            name: id.1,
        };
        if self.services.get(&key) == new.as_ref() {
            return;
        }
        self.mark(&key);
        let had_any = self.services_in(&key.namespace).next().is_some();
        self.mark_claimants(&key);
        if let Some(old) = self.services.remove(&key) {
            self.link_service(&key, &old, false);
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
                let claim = (service.meta.created, key.clone());
                link(&mut self.claims, *address, claim, is_new);
            }
        }
        if let Some(Ok(weights)) = backends::wished(service) {
            for (name, _) in weights.iter() {
                let backend = ServiceKey {
                    namespace: Arc::clone(&key.namespace),
                    name: Arc::clone(name),
                };
                link(&mut self.fronts, backend, Arc::clone(&key.name), is_new);
            }
        }
    }

    fn set_slice(&mut self, id: Id, new: Option<EndpointSlice>) {
        if self.slices.get(&id) == new.as_ref() {
            return;
        }
        let old = self.slices.remove(&id);
        let service = |slice: &EndpointSlice| {
            slice.service().map(|name| ServiceKey {
                namespace: Arc::clone(&id.0),
                name: Arc::clone(name),
            })
        };
        let services = [
            old.as_ref().and_then(service),
            new.as_ref().and_then(service),
        ];
        if let Some(old) = &old {
            self.link_slice(&id, services[0].as_ref(), old, false);
        }
        if let Some(new) = new {
            self.link_slice(&id, services[1].as_ref(), &new, true);
            self.slices.insert(id, new);
        }
        for key in services.iter().flatten() {
            if self.services.contains_key(key) {
                self.mark(key);
                self.weigh(key);
            }
        }
    }

    fn link_slice(
        &mut self,
        id: &Id,
        key: Option<&ServiceKey>,
        slice: &EndpointSlice,
        is_new: bool,
    ) {
        if let Some(key) = key {
            let name = Arc::clone(&id.1);
            link(&mut self.slices_of_service, key.clone(), name, is_new);
        }
        for pod in slice
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.pod.as_ref())
        {
            let pod = (Arc::clone(&id.0), Arc::clone(pod));
            link(&mut self.slices_of_pod, pod, Arc::clone(&id.1), is_new);
        }
    }

    fn set_pod(&mut self, id: Id, new: Option<Pod>) {
        let old = self.pods.remove(&id);
        if let Some(new) = &new {
            self.link_pod(&id, new, true);
        }
        // The new one's addresses came first, so that one that stays is not seen to go.
        if let Some(old) = &old {
            self.unlink_pod(&id, old, new.as_ref());
        }
        let pair = (old.as_ref(), new.as_ref());
        let shows = pair.0.map(endpoint_facts) != pair.1.map(endpoint_facts);
        let moves = pair.0.map(member_facts) != pair.1.map(member_facts);
        if shows {
            self.mark_services_of_pod(&id);
        }
        for pod in old.iter().chain(new.iter()).filter(|_| moves) {
            let owners = self.owners_of(pod);
            owners.iter().for_each(|owner| self.mark_served_by(owner));
        }
        if let Some(new) = new {
            self.pods.insert(id, new);
        }
    }

    fn link_pod(&mut self, id: &Id, pod: &Pod, is_new: bool) {
        self.link_child(Kind::Pod, &id.1, &pod.meta, is_new);
        for address in pod.addresses.iter().filter(|_| !pod.terminal) {
            let at = (Arc::clone(&id.0), *address);
            let count = self.pods_at.entry(at.clone()).or_insert(0);
            let before = *count;
            *count = if is_new {
                before + 1
            } else {
                before.saturating_sub(1)
            };
            let after = *count;
            if after == 0 {
                self.pods_at.remove(&at);
            }
            if (before == 0) != (after == 0) && self.serves(&id.0) {
                self.dirty.pods.insert(at);
            }
        }
    }

    fn unlink_pod(&mut self, id: &Id, old: &Pod, new: Option<&Pod>) {
        self.link_pod(id, old, false);
        if let Some(new) = new {
            // The same controller has lost its child with the old one.
            self.link_child(Kind::Pod, &id.1, &new.meta, true);
        }
    }

    fn set_deployment(&mut self, id: Id, new: Option<Deployment>) {
        let facts = |object: &Deployment| workload_facts(object.workload(), &object.meta);
        let was = self.deployments.get(&id);
        let is_same = was.map(facts) == new.as_ref().map(facts);
        let labels = [was, new.as_ref()].map(|w| w.map(|w| w.template.labels.clone()));
        replace(&mut self.deployments, id.clone(), new);
        self.workload_changed((Kind::Deployment, id.0, id.1), is_same, labels);
    }

    fn set_stateful_set(&mut self, id: Id, new: Option<StatefulSet>) {
        let facts = |object: &StatefulSet| workload_facts(object.workload(), &object.meta);
        let was = self.stateful_sets.get(&id);
        let is_same = was.map(facts) == new.as_ref().map(facts);
        let labels = [was, new.as_ref()].map(|w| w.map(|w| w.template.labels.clone()));
        replace(&mut self.stateful_sets, id.clone(), new);
        self.workload_changed((Kind::StatefulSet, id.0, id.1), is_same, labels);
    }

    fn set_daemon_set(&mut self, id: Id, new: Option<DaemonSet>) {
        let facts = |object: &DaemonSet| workload_facts(object.workload(), &object.meta);
        let was = self.daemon_sets.get(&id);
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
                        self.mark(&key);
                    }
                }
                let workload = (owner.0, Arc::clone(&owner.2));
                link(&mut self.workloads_by_label, label, workload, is_new);
            }
        }
    }

    fn set_replica_set(&mut self, id: Id, new: Option<ReplicaSet>) {
        let old = self.replica_sets.get(&id);
        let is_same = same_but_place(old, new.as_ref(), |set| &set.meta, |set| &set.template);
        let metas = [
            old.map(|set| set.meta.clone()),
            new.as_ref().map(|set| set.meta.clone()),
        ];
        replace(&mut self.replica_sets, id.clone(), new);
        self.child_changed(Kind::ReplicaSet, &id, is_same, metas);
    }

    fn set_controller_revision(&mut self, id: Id, new: Option<ControllerRevision>) {
        let old = self.controller_revisions.get(&id);
        let facts = |set: &ControllerRevision| (set.number, set.template.clone());
        let is_same = old.map(facts) == new.as_ref().map(facts)
            && same_but_place(old, new.as_ref(), |set| &set.meta, |set| &set.template);
        let metas = [
            old.map(|set| set.meta.clone()),
            new.as_ref().map(|set| set.meta.clone()),
        ];
        replace(&mut self.controller_revisions, id.clone(), new);
        self.child_changed(Kind::ControllerRevision, &id, is_same, metas);
    }

    fn child_changed(&mut self, kind: Kind, id: &Id, is_same: bool, metas: [Option<Meta>; 2]) {
        if is_same {
            return;
        }
        self.mark_served_by(&(kind, Arc::clone(&id.0), Arc::clone(&id.1)));
        for (meta, is_new) in metas.iter().zip([false, true]) {
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

// Marks.
impl Index {
    /// Marks a service and those that name it as a backend.
    fn mark(&mut self, key: &ServiceKey) {
        if !self.serves(&key.namespace) {
            return;
        }
        for name in self.fronts.of(key) {
            let namespace = Arc::clone(&key.namespace);
            let name = Arc::clone(name);
            self.dirty.services.insert(ServiceKey { namespace, name });
        }
        self.dirty.services.insert(key.clone());
    }

    fn mark_served_by(&mut self, owner: &Owner) {
        let keys = self.served_by.of(owner).to_vec();
        keys.iter().for_each(|key| self.mark(key));
    }

    fn mark_services_of_pod(&mut self, id: &Id) {
        for slice in self.slices_of_pod.of(id).to_vec() {
            let slice = self.slices.get(&(Arc::clone(&id.0), slice));
            let Some(name) = slice.and_then(EndpointSlice::service).cloned() else {
                continue;
            };
            let namespace = Arc::clone(&id.0);
            let key = ServiceKey { namespace, name };
            if self.services.contains_key(&key) {
                self.mark(&key);
            }
        }
    }

    /// Marks the services that share a cluster IP with this one: who is told of it may change.
    fn mark_claimants(&mut self, key: &ServiceKey) {
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
    fn weigh(&mut self, key: &ServiceKey) {
        let limit = self.settings.endpoints_per_namespace;
        let count = match self.services.get(key) {
            None => 0,
            Some(service) if matches!(service.target, ServiceTarget::External(_)) => 0,
            Some(_) => {
                let slices = self.slices_of_service.of(key).iter();
                let slices = slices.filter_map(|name| {
                    self.slices
                        .get(&(Arc::clone(&key.namespace), Arc::clone(name)))
                });
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
    fn learn_owners(&mut self, key: &ServiceKey) {
        let owners = match self.services.get(key) {
            Some(service) if join::has_own_endpoints(service) => self.owners_behind(key, service),
            _ => BTreeSet::new(),
        };
        let known = self.behind.remove(key).unwrap_or_default();
        for owner in known.difference(&owners) {
            self.served_by.remove(owner, key);
        }
        for owner in owners.difference(&known) {
            self.served_by.add(owner.clone(), key.clone());
        }
        if !owners.is_empty() {
            self.behind.insert(key.clone(), owners);
        }
    }

    fn owners_behind(&self, key: &ServiceKey, service: &Service) -> BTreeSet<Owner> {
        let mut owners = BTreeSet::new();
        for slice in self.slices_of(key) {
            for pod in slice
                .endpoints
                .iter()
                .filter_map(|endpoint| endpoint.pod.as_ref())
            {
                if let Some(pod) = self
                    .pods
                    .get(&(Arc::clone(&key.namespace), Arc::clone(pod)))
                {
                    owners.extend(self.owners_of(pod));
                }
            }
        }
        owners.extend(self.workloads_selected(&key.namespace, &service.selector));
        owners
    }

    /// What controls the pod, and what controls that; known or not, for it may come.
    fn owners_of(&self, pod: &Pod) -> Vec<Owner> {
        let Some(owner) = owner_of(&pod.meta) else {
            return Vec::new();
        };
        let above = match owner.0 {
            Kind::ReplicaSet => {
                let set = self
                    .replica_sets
                    .get(&(Arc::clone(&owner.1), Arc::clone(&owner.2)));
                set.and_then(|set| owner_of(&set.meta))
            }
            _ => None,
        };
        [Some(owner), above].into_iter().flatten().collect()
    }
}

fn id_of(meta: &Meta) -> Id {
    (Arc::clone(&meta.namespace), Arc::clone(&meta.name))
}

fn owner_of(meta: &Meta) -> Option<Owner> {
    let controller = meta.controller.as_ref()?;
    let name = Arc::clone(&controller.name);
    controller
        .kind
        .map(|kind| (kind, Arc::clone(&meta.namespace), name))
}

fn link<K: Ord, V: Ord>(links: &mut Links<K, V>, key: K, value: V, is_new: bool) {
    if is_new {
        links.add(key, value);
    } else {
        links.remove(&key, &value);
    }
}

fn replace<T>(objects: &mut BTreeMap<Id, T>, id: Id, new: Option<T>) {
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

/// What of a pod shows at its revision.
fn member_facts(pod: &Pod) -> impl PartialEq + use<'_> {
    (
        &pod.meta.controller,
        &pod.meta.labels,
        &pod.tag,
        pod.counts(),
    )
}

fn workload_facts(workload: Workload, meta: &Meta) -> (Workload, Arc<str>) {
    (workload, Arc::clone(&meta.uid))
}

/// Equal apart from where they were read from and what was ignored in them.
fn same_but_place<T, P: PartialEq>(
    old: Option<&T>,
    new: Option<&T>,
    meta: impl Fn(&T) -> &Meta,
    template: impl Fn(&T) -> &P,
) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return old.is_none() && new.is_none();
    };
    let facts = |meta: &Meta| {
        let identity = (meta.uid.clone(), meta.created, meta.controller.clone());
        (identity, meta.labels.clone(), meta.annotations.clone())
    };
    facts(meta(old)) == facts(meta(new)) && template(old) == template(new)
}
