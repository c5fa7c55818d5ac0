//! The index: all objects, who belongs to whom, and which services changed.
//!
//! A change costs in proportion to itself: links lead from every object to the services that may look different.
//! Which workloads stand behind a service is learnt when marks are taken ([`Index::take_dirty`]), of those for which that
//! may have changed: what becomes ready or unready has the same workload as before. Three rare events walk further: a Namespace object walks
//! its namespace, the first or last Namespace object of all walks the namespaces, and a namespace with more endpoints
//! than it may have is walked when their number changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::few::Few;
use super::join::Joined;
use super::labels::Labels;
use super::links::{Links, Named, pack};
use super::meta::Meta;
use super::network::{EndpointSlice, Namespace, Node, Service, ServiceTarget};
use super::object::{Change, Kind, Object};
use super::pods::Pod;
use super::resource::ServiceRollout;
use super::revisions::{ControllerRevision, ReplicaSet};
use super::settings::Settings;
use super::workloads::{DaemonSet, Deployment, StatefulSet};
use crate::model::{Problem, ServiceKey, Weights};

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

    pub(super) namespaces: Named<Arc<Namespace>>,
    pub(super) nodes: Named<Arc<Node>>,
    pub(super) services: BTreeMap<ServiceKey, Arc<Service>>,
    pub(super) slices: Named<Arc<EndpointSlice>>,
    pub(super) pods: Named<Arc<Pod>>,
    pub(super) deployments: Named<Arc<Deployment>>,
    pub(super) replica_sets: Named<Arc<ReplicaSet>>,
    pub(super) stateful_sets: Named<Arc<StatefulSet>>,
    pub(super) daemon_sets: Named<Arc<DaemonSet>>,
    pub(super) controller_revisions: Named<Arc<ControllerRevision>>,
    pub(super) resources: Named<Arc<ServiceRollout>>,

    /// Slices by service; slices by the pods their endpoints target.
    pub(super) slices_of_service: Links<ServiceKey, Arc<str>>,
    pub(super) slices_of_pod: Named<Few<Arc<str>>>,
    /// Kinds and names by controller.
    pub(super) children: Links<Owner, (Kind, Arc<str>)>,
    /// Services by one pair of their selector; workloads by every label of their template.
    pub(super) services_by_label: Links<Label, Arc<str>>,
    pub(super) workloads_by_label: Links<Label, (Kind, Arc<str>)>,
    /// Services by cluster IP, the oldest first.
    pub(super) claims: Links<IpAddr, (Option<Timestamp>, ServiceKey)>,
    /// Services by the Service they name as a backend.
    pub(super) fronts: Links<ServiceKey, Arc<str>>,
    /// The backends in force of services where they are not those written; `None`: none are.
    pub(super) backends: BTreeMap<ServiceKey, Option<Weights>>,
    /// Services by what was behind them when their mark was taken, and the reverse.
    pub(super) served_by: Links<Owner, ServiceKey>,
    pub(super) behind: BTreeMap<ServiceKey, Box<[Owner]>>,

    /// How many pods have an address, by namespace.
    pub(super) pods_at: BTreeMap<Arc<str>, BTreeMap<IpAddr, u32>>,
    /// Endpoint addresses of each namespace, and of each service in it.
    pub(super) loads: BTreeMap<Arc<str>, Load>,
    pub(super) flawed: BTreeMap<(Kind, Id), Vec<Problem>>,
    /// What [`Index::problems`] tells may be another.
    pub(super) has_problem_news: bool,
    pub(super) dirty: Dirty,
    /// Services behind which something else may stand than what was learnt last.
    pub(super) unlearnt: BTreeSet<ServiceKey>,
    /// Objects put in that were not known.
    pub(super) puts: usize,
}

/// What may look different since the marks were last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Services, also those that are gone.
    pub services: BTreeSet<ServiceKey>,
    /// Services that stand, or a slice of which stands, in another place of the files: only their Problems differ.
    pub moved: BTreeSet<ServiceKey>,
    /// Namespaces that came, went or changed.
    pub namespaces: BTreeSet<Arc<str>>,
    /// Services whose ServiceRollout came, went, or is another, be it in its status alone.
    pub resources: BTreeSet<ServiceKey>,
    /// Pod addresses that came or went.
    pub pods: BTreeSet<(Arc<str>, IpAddr)>,
}

#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) total: usize,
    pub(super) by_service: BTreeMap<Arc<str>, usize>,
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
                let mine = objects.iter().filter(|object| object.kind() == kind);
                let kept = mine.map(|object| (&**object.namespace(), &**object.name()));
                // A list nearly always comes sorted.
                let mut kept: Vec<_> = kept.collect();
                kept.sort_unstable();
                for id in self.ids_without(kind, &kept) {
                    self.drop_object(kind, id);
                }
                let puts = self.puts;
                // Piece by piece: of a list that is read again, what is known already is let go.
                let mine = objects.into_iter().filter(|object| object.kind() == kind);
                mine.for_each(|object| self.put(object));
                self.pack_after_flood(kind, self.puts - puts);
            }
        }
    }

    /// Hands out the marks and forgets them.
    pub fn take_dirty(&mut self) -> Dirty {
        let dirty = std::mem::take(&mut self.dirty);
        let unlearnt = std::mem::take(&mut self.unlearnt);
        for key in &unlearnt {
            self.learn_owners(key);
        }
        if unlearnt.len() > self.behind.len() / 2 {
            self.served_by.pack();
            pack(&mut self.behind);
        }
        dirty
    }

    /// A map that was filled entry by entry is little more than half full. After a list that brought most of a kind anew,
    /// packing the large ones saves a tenth of what is kept; after anything less it would not be worth its time.
    fn pack_after_flood(&mut self, kind: Kind, news: usize) {
        let known = self.counts().into_iter().find(|(of, _)| *of == kind);
        if news == 0 || known.is_none_or(|(_, count)| news <= count / 2) {
            return;
        }
        match kind {
            Kind::Pod => {
                self.pods.pack();
                self.children.pack();
                self.pods_at.values_mut().for_each(pack);
            }
            Kind::EndpointSlice => {
                self.slices.pack();
                self.slices_of_pod.pack();
                self.slices_of_service.pack();
            }
            Kind::Service => {
                pack(&mut self.services);
                self.services_by_label.pack();
                self.claims.pack();
            }
            Kind::Deployment => {
                self.deployments.pack();
                self.workloads_by_label.pack();
            }
            Kind::ReplicaSet => {
                self.replica_sets.pack();
                self.children.pack();
            }
            _ => {}
        }
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
        let explicit = self.namespaces.ids().map(|(_, name)| name);
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

    /// The ServiceRollout of a service that is served.
    pub fn resource(&self, key: &ServiceKey) -> Option<&Arc<ServiceRollout>> {
        let resource = self.resources.get(&key.namespace, &key.name)?;
        self.serves(&key.namespace).then_some(resource)
    }

    /// When that happened which is told by a change that is about to be folded in, as far as a controller says so: of a new
    /// state of a slice whose Service is headless and has a selector.
    pub fn triggered(&self, change: &Change) -> Option<Timestamp> {
        let Change::Apply(Object::EndpointSlice(slice)) = change else {
            return None;
        };
        let triggered = slice.triggered?;
        let (namespace, name) = (&slice.meta.namespace, &slice.meta.name);
        let known = self.slices.get(namespace, name);
        if known.is_some_and(|known| known.triggered == Some(triggered)) {
            return None;
        }
        let service = self.services.get(&ServiceKey {
            namespace: Arc::clone(namespace),
            name: Arc::clone(slice.service.as_ref()?),
        })?;
        let is_headless = service.target == ServiceTarget::Headless;
        (is_headless && !service.selector.is_empty() && self.serves(namespace)).then_some(triggered)
    }

    /// A pod of a served namespace that is not done has the address.
    pub fn pod_exists(&self, namespace: &str, address: IpAddr) -> bool {
        let addresses = self.pods_at.get(namespace);
        self.serves(namespace) && addresses.is_some_and(|all| all.contains_key(&address))
    }

    /// The pod is known, Ready, and neither done nor going away.
    pub fn is_pod_ready(&self, namespace: &str, pod: &str) -> bool {
        let pod = self.pods.get(namespace, pod);
        pod.is_some_and(|pod| pod.ready == Some(true) && pod.counts())
    }

    /// Every namespace and address for which [`Index::pod_exists`] holds, sorted.
    pub fn pod_addresses(&self) -> impl Iterator<Item = (&Arc<str>, IpAddr)> {
        let served = self.pods_at.iter();
        let served = served.filter(|(namespace, _)| self.serves(namespace));
        served.flat_map(|(namespace, all)| all.keys().map(move |address| (namespace, *address)))
    }

    /// What [`Index::problems`] tells, if that may have changed since this was last called.
    pub fn changed_problems(&mut self) -> Option<Vec<Problem>> {
        std::mem::take(&mut self.has_problem_news).then(|| self.problems())
    }

    /// Problems that do not belong to one served service, sorted, each once; those of a service come with its view.
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
        problems.extend(self.forlorn());
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
        problems.dedup();
        problems
    }

    /// All objects, in the order of [`Kind::ALL`].
    pub fn objects(&self) -> Vec<Object> {
        fn of<'i, T>(
            all: &'i Named<Arc<T>>,
            object: fn(Arc<T>) -> Object,
        ) -> impl Iterator<Item = Object> + 'i {
            all.iter().map(move |(_, _, one)| object(Arc::clone(one)))
        }
        let services = self.services.values();
        let services = services.map(|service| Object::Service(Arc::clone(service)));
        let mut objects = Vec::with_capacity(self.counts().iter().map(|(_, count)| count).sum());
        objects.extend(of(&self.namespaces, Object::Namespace));
        objects.extend(of(&self.nodes, Object::Node));
        objects.extend(of(&self.deployments, Object::Deployment));
        objects.extend(of(&self.stateful_sets, Object::StatefulSet));
        objects.extend(of(&self.daemon_sets, Object::DaemonSet));
        objects.extend(of(&self.replica_sets, Object::ReplicaSet));
        objects.extend(of(&self.controller_revisions, Object::ControllerRevision));
        objects.extend(of(&self.pods, Object::Pod));
        objects.extend(of(&self.resources, Object::ServiceRollout));
        objects.extend(services);
        objects.extend(of(&self.slices, Object::EndpointSlice));
        objects
    }

    /// How many objects of each kind there are.
    pub fn counts(&self) -> [(Kind, usize); 11] {
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
                Kind::ServiceRollout => self.resources.len(),
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
                    let object = self.namespaces.get("", namespace);
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
        let (kind, namespace, name) = owner;
        let template = match kind {
            Kind::Deployment => &self.deployments.get(namespace, name)?.template,
            Kind::StatefulSet => &self.stateful_sets.get(namespace, name)?.template,
            Kind::DaemonSet => &self.daemon_sets.get(namespace, name)?.template,
            _ => return None,
        };
        Some(&template.labels)
    }

    pub(super) fn services_in(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        let first = ServiceKey::new(namespace, "");
        let all = self.services.range(first..);
        all.take_while(move |(key, _)| *key.namespace == *namespace)
            .map(|(key, service)| (key, &**service))
    }

    /// The objects of a kind that are not among `kept`, which is sorted.
    fn ids_without(&self, kind: Kind, kept: &[(&str, &str)]) -> Vec<Id> {
        let without = |ids: &mut dyn Iterator<Item = (&Arc<str>, &Arc<str>)>| {
            ids.filter(|(namespace, name)| kept.binary_search(&(&***namespace, &***name)).is_err())
                .map(|(namespace, name)| (Arc::clone(namespace), Arc::clone(name)))
                .collect()
        };
        match kind {
            Kind::Namespace => without(&mut self.namespaces.ids()),
            Kind::Node => without(&mut self.nodes.ids()),
            Kind::Service => {
                let keys = self.services.keys();
                without(&mut keys.map(|key| (&key.namespace, &key.name)))
            }
            Kind::EndpointSlice => without(&mut self.slices.ids()),
            Kind::Pod => without(&mut self.pods.ids()),
            Kind::Deployment => without(&mut self.deployments.ids()),
            Kind::ReplicaSet => without(&mut self.replica_sets.ids()),
            Kind::StatefulSet => without(&mut self.stateful_sets.ids()),
            Kind::DaemonSet => without(&mut self.daemon_sets.ids()),
            Kind::ControllerRevision => without(&mut self.controller_revisions.ids()),
            Kind::ServiceRollout => without(&mut self.resources.ids()),
        }
    }
}

/// Namespace and name of an object.
pub(super) fn id_of(meta: &Meta) -> Id {
    (Arc::clone(&meta.namespace), Arc::clone(&meta.name))
}
