//! The engine: the only writer of the published names.
//!
//! It is given batches of [`Change`]s and the time. A batch is folded into the index, the services it really
//! changed are evaluated, compiled, encoded and published, one after another, and nothing else is touched. What
//! it gives is the [`View`] that queries read, and to people: lists, details, problems.
//!
//! ```text
//!   Changes ─> Index ─> dirty ─> rollout::evaluate ─> records::compile ─> zone::encode ─> Publisher
//!                                     ^    │                                  └ reverse names, namespaces, pods
//!                                   memory <┘
//! ```
//!
//! *Replay law:* for the same memory, folding changes one by one publishes what [`Engine::compile_from_scratch`]
//! gives. It reads no clock: [`Engine::apply`] is told the time, and [`control`] is the loop that tells it.

pub mod control;
mod reverse;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::answer::View;
use crate::model::{Policy, Problem, ServiceKey, ServiceView, Share};
use crate::objects::{self, Change, Index, Kind};
use crate::records::{self, Content, Records, address_label};
use crate::rollout::{self, Memory, Outcome, Role, State};
use crate::store::{Changed, Publisher};
use crate::wire::{Name, NameError};
use crate::zone::{self, Node, Slots, Zone, ZoneKind};

use reverse::ReverseNames;
pub use slots::CountedVersions;
use slots::ServiceSlots;

/// How pods are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pods {
    /// No names.
    #[default]
    Disabled,
    /// Any address in a namespace that exists.
    Unverified,
    /// Addresses of pods that live in the namespace.
    Verified,
}

/// What the engine is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What of the cluster is served.
    pub objects: objects::Settings,
    /// What a service is served by that asks for nothing.
    pub defaults: Policy,
    /// Times to live and naming.
    pub records: records::Settings,
    /// Names of pods.
    pub pods: Pods,
    /// The name server's name, and its addresses.
    pub name_server: (Name, Vec<IpAddr>),
}

/// The control loop's state.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    index: Index,
    view: Arc<View>,
    publisher: Publisher,
    services: BTreeMap<ServiceKey, Service>,
    reverse: ReverseNames,
    slots: slots::Allocator,
    /// Kinds of which no whole list has been read.
    missing_kinds: BTreeSet<Kind>,
    generation: u64,
}

/// What is kept of a published service.
#[derive(Debug, Default)]
struct Service {
    memory: Memory,
    slots: ServiceSlots,
    /// The age with which it claims reverse names.
    created: Option<Timestamp>,
    reverse: Vec<records::Reverse>,
    problems: Vec<Problem>,
    summary: Option<Arc<Summary>>,
}

/// A service in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which service.
    pub key: ServiceKey,
    /// `ClusterIP`, `Headless` or `ExternalName`.
    pub kind: &'static str,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// The strategy in force.
    pub strategy: &'static str,
    /// Endpoints that are ready, and all.
    pub ready: (usize, usize),
    /// Its versions; empty where a cluster IP answers.
    pub versions: Vec<VersionSummary>,
    /// The generation that published it last.
    pub generation: u64,
}

/// A version in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its DNS label.
    pub alias: Arc<str>,
    /// The revision's hash.
    pub hash: Arc<str>,
    /// What it has.
    pub share: Share,
    /// Ready targets.
    pub ready: u32,
    /// Stable or canary.
    pub role: Option<Role>,
}

/// All that is known of one service.
#[derive(Clone, Debug)]
pub struct Detail {
    /// As in the list.
    pub summary: Arc<Summary>,
    /// Its objects, joined.
    pub view: ServiceView,
    /// What follows from them.
    pub outcome: Outcome,
    /// What could not be obeyed.
    pub problems: Vec<Problem>,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The generation after it.
    pub generation: u64,
    /// Services that were compiled.
    pub services: usize,
    /// Names that changed.
    pub changed: Changed,
}

impl Engine {
    /// An engine that publishes into `view`'s store; the zones' own names are there at once.
    ///
    /// # Errors
    /// Where a zone's own names do not fit below its apex.
    pub fn new(
        settings: Settings,
        view: Arc<View>,
        publisher: Publisher,
    ) -> Result<Self, NameError> {
        let mut engine = Self {
            index: Index::new(settings.objects.clone()),
            settings,
            view,
            publisher,
            services: BTreeMap::new(),
            reverse: ReverseNames::default(),
            slots: slots::Allocator::default(),
            missing_kinds: Kind::ALL.into_iter().collect(),
            generation: 0,
        };
        let (server, addresses) = &engine.settings.name_server;
        for zone in engine.view.zones.iter() {
            for (name, node) in zone.own_nodes(server, addresses)? {
                engine.publisher.publish(&name, &zone.name, Some(node));
            }
        }
        Ok(engine)
    }

    /// Folds a batch in and publishes what it changed.
    pub fn apply(&mut self, changes: Vec<Change>, now: Timestamp) -> Applied {
        for change in changes {
            if let Change::Reset { kind, .. } = &change {
                self.missing_kinds.remove(kind);
            }
            self.index.apply(change);
        }
        let dirty = self.index.take_dirty();
        let mut changed = self.publish_namespaces(&dirty.namespaces);
        let generation = self.generation + 1;
        for key in &dirty.services {
            changed.add(self.publish_service(key, generation, now));
        }
        for (namespace, address) in &dirty.pods {
            changed.add(self.publish_pod(namespace, *address));
        }
        if changed.any() {
            self.generation = generation;
            self.view.set_generation(generation);
            let now_secs = u64::try_from(now.as_second()).unwrap_or(0);
            self.view.zones.bump_serials(now_secs);
        }
        if self.missing_kinds.is_empty() && !self.view.is_synced() {
            self.view.set_synced();
        }
        Applied {
            generation: self.generation,
            services: dirty.services.len(),
            changed,
        }
    }

    /// The services, sorted.
    pub fn list(&self) -> Vec<Arc<Summary>> {
        let summaries = self
            .services
            .values()
            .filter_map(|service| service.summary.clone());
        summaries.collect()
    }

    /// One service in full; `None` if there is none of that name.
    pub fn detail(&self, key: &ServiceKey, now: Timestamp) -> Option<Detail> {
        let service = self.services.get(key)?;
        let view = self.index.view(key)?.view?;
        let outcome = rollout::evaluate(&view, &self.settings.defaults, &service.memory, now);
        Some(Detail {
            summary: service.summary.clone()?,
            view,
            outcome,
            problems: service.problems.clone(),
        })
    }

    /// All that could not be obeyed, sorted.
    pub fn problems(&self) -> Vec<Problem> {
        let of_services = self
            .services
            .values()
            .flat_map(|service| service.problems.iter().cloned());
        let mut problems: Vec<Problem> = of_services.chain(self.index.problems()).collect();
        problems.sort();
        problems.dedup();
        problems
    }

    /// How many objects of each kind are known.
    pub fn object_counts(&self) -> [(Kind, usize); 10] {
        self.index.counts()
    }

    /// Which version each answer count stands for.
    pub fn counted_versions(&self) -> Arc<CountedVersions> {
        self.slots.counted()
    }

    /// Everything that ought to be published for the objects known, by name: the other side of the replay law.
    /// Slots and memory are those of this engine.
    pub fn compile_from_scratch(&self, now: Timestamp) -> BTreeMap<Name, Node> {
        let mut nodes = BTreeMap::new();
        let mut reverse = ReverseNames::default();
        let (server, addresses) = &self.settings.name_server;
        for zone in self.view.zones.iter() {
            nodes.extend(zone.own_nodes(server, addresses).unwrap_or_default());
            for namespace in self.index.namespaces() {
                for (name, node) in self.namespace_names(zone, namespace) {
                    nodes.extend(name.map(|name| (name, node)));
                }
            }
            for (namespace, address) in self.index.pod_addresses() {
                nodes.extend(
                    self.pod_name(zone, namespace, address)
                        .map(|name| (name, self.pod_node(address))),
                );
            }
        }
        for (key, service) in &self.services {
            let Some(view) = self.index.view(key).and_then(|joined| joined.view) else {
                continue;
            };
            let outcome = rollout::evaluate(&view, &self.settings.defaults, &service.memory, now);
            let records = records::compile(&view, &outcome, &self.settings.records);
            reverse.replace(key, (None, &[]), (view.created, &records.reverse));
            let slots = service.slots.known(&outcome);
            for zone in self.view.zones.clusters() {
                let encoded = zone::encode(&records, &zone.name, &slots);
                nodes.extend(encoded.and_then(|e| Some((e.name, e.node?))));
            }
        }
        for address in reverse.addresses() {
            nodes.extend(
                self.reverse_node(&reverse, address)
                    .and_then(|(name, _, node)| Some((name, node?))),
            );
        }
        nodes
    }

    fn publish_service(&mut self, key: &ServiceKey, generation: u64, now: Timestamp) -> Changed {
        let joined = self.index.view(key);
        let Some(joined) = joined else {
            return self.withdraw_service(key);
        };
        let mut problems = joined.problems;
        let Some(view) = joined.view else {
            let changed = self.withdraw_service(key);
            let problems_only = Service {
                problems,
                ..Service::default()
            };
            self.services.insert(key.clone(), problems_only);
            return changed;
        };
        let mut service = self.services.remove(key).unwrap_or_default();
        let mut outcome = rollout::evaluate(&view, &self.settings.defaults, &service.memory, now);
        let records = records::compile(&view, &outcome, &self.settings.records);
        let slots = match &records.content {
            Content::Names(names) if names.versions.is_empty() => Slots::default(),
            Content::Names(_) => service.slots.assign(key, &outcome, &mut self.slots),
            Content::Absent | Content::Alias { .. } => Slots::default(),
        };
        problems.append(&mut outcome.problems);
        problems.extend(records.problems.iter().cloned());
        let mut changed = Changed::default();
        let view_of_zones = Arc::clone(&self.view);
        for zone in view_of_zones.zones.clusters() {
            changed.add(self.publish_in_zone(zone, &records, &slots, &mut problems));
        }
        let before = std::mem::replace(&mut service.reverse, records.reverse);
        let created_before = std::mem::replace(&mut service.created, view.created);
        let touched = self.reverse.replace(
            key,
            (created_before, &before),
            (view.created, &service.reverse),
        );
        changed.add(self.publish_reverse(&touched));
        for problem in &mut problems {
            *problem = problem.clone().at(view.origin.as_ref());
        }
        problems.sort();
        problems.dedup();
        service.problems = problems;
        service.memory = outcome.memory.clone();
        let generation = match &service.summary {
            Some(summary) if !changed.any() => summary.generation,
            _ => generation,
        };
        service.summary = Some(Arc::new(summary(&view, &outcome, generation)));
        self.services.insert(key.clone(), service);
        changed
    }

    fn publish_in_zone(
        &mut self,
        zone: &Zone,
        records: &Records,
        slots: &Slots,
        problems: &mut Vec<Problem>,
    ) -> Changed {
        let Some(encoded) = zone::encode(records, &zone.name, slots) else {
            let text = format!("the name is longer than 255 octets in zone `{}`", zone.name);
            problems.push(Problem::of_service(&records.key, text));
            return Changed::default();
        };
        problems.extend(encoded.problems);
        self.publisher
            .publish(&encoded.name, &zone.name, encoded.node)
    }

    fn withdraw_service(&mut self, key: &ServiceKey) -> Changed {
        let Some(mut service) = self.services.remove(key) else {
            return Changed::default();
        };
        let mut changed = Changed::default();
        let gone = Records {
            key: key.clone(),
            content: Content::Absent,
            reverse: Vec::new(),
            problems: Vec::new(),
        };
        let view = Arc::clone(&self.view);
        for zone in view.zones.clusters() {
            changed.add(self.publish_in_zone(zone, &gone, &Slots::default(), &mut Vec::new()));
        }
        service.slots.release(&mut self.slots);
        let touched = self
            .reverse
            .replace(key, (service.created, &service.reverse), (None, &[]));
        changed.add(self.publish_reverse(&touched));
        changed
    }

    fn publish_reverse(&mut self, touched: &[IpAddr]) -> Changed {
        let mut changed = Changed::default();
        for address in touched {
            if let Some((name, apex, node)) = self.reverse_node(&self.reverse, *address) {
                changed.add(self.publisher.publish(&name, &apex, node));
            }
        }
        changed
    }

    /// The reverse name of an address in our zones, its apex, and what stands there.
    fn reverse_node(
        &self,
        reverse: &ReverseNames,
        address: IpAddr,
    ) -> Option<(Name, Name, Option<Node>)> {
        let name = zone::reverse_name(address)?;
        let place = self.view.zones.locate(&(&name).into())?;
        let apex = place.zone.name.clone();
        let origin = &self.view.zones.clusters().next()?.name;
        let node = reverse.node(address, origin, self.settings.records.ttls.cluster_ip);
        Some((name, apex, node))
    }

    fn publish_namespaces(&mut self, dirty: &BTreeSet<Arc<str>>) -> Changed {
        let mut changed = Changed::default();
        if dirty.is_empty() {
            return changed;
        }
        let existing: BTreeSet<String> = self.index.namespaces().map(str::to_owned).collect();
        let view = Arc::clone(&self.view);
        for zone in view.zones.clusters() {
            for namespace in dirty {
                let exists = existing.contains(&**namespace);
                for (name, node) in self.namespace_names(zone, namespace) {
                    let Some(name) = name else { continue };
                    changed.add(
                        self.publisher
                            .publish(&name, &zone.name, exists.then_some(node)),
                    );
                }
            }
        }
        changed
    }

    /// A namespace exists below `svc` and, where pods have names, below `pod`, also while it is empty.
    fn namespace_names(&self, zone: &Zone, namespace: &str) -> Vec<(Option<Name>, Node)> {
        if zone.kind != ZoneKind::Cluster {
            return Vec::new();
        }
        let below = |kind: &[u8]| {
            (
                zone.name.below([namespace.as_bytes(), kind]).ok(),
                Node::default(),
            )
        };
        let mut names = vec![below(b"svc")];
        if self.settings.pods != Pods::Disabled {
            names.push(below(b"pod"));
        }
        names
    }

    fn publish_pod(&mut self, namespace: &str, address: IpAddr) -> Changed {
        let mut changed = Changed::default();
        let exists = self.index.pod_exists(namespace, address);
        let view = Arc::clone(&self.view);
        for zone in view.zones.clusters() {
            if let Some(name) = self.pod_name(zone, namespace, address) {
                let node = exists.then(|| self.pod_node(address));
                changed.add(self.publisher.publish(&name, &zone.name, node));
            }
        }
        changed
    }

    fn pod_name(&self, zone: &Zone, namespace: &str, address: IpAddr) -> Option<Name> {
        if self.settings.pods != Pods::Verified || zone.kind != ZoneKind::Cluster {
            return None;
        }
        let label = address_label(address);
        zone.name
            .below([label.as_bytes(), namespace.as_bytes(), b"pod"])
            .ok()
    }

    fn pod_node(&self, address: IpAddr) -> Node {
        zone::address_node(&[address], self.settings.records.ttls.cluster_ip)
    }
}

fn summary(view: &ServiceView, outcome: &Outcome, generation: u64) -> Summary {
    let kind = match view.kind {
        crate::model::ServiceKind::ClusterIp { .. } => "ClusterIP",
        crate::model::ServiceKind::Headless => "Headless",
        crate::model::ServiceKind::ExternalName { .. } => "ExternalName",
    };
    let ready = view
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.ready)
        .count();
    let versions = outcome.versions.iter().map(|version| VersionSummary {
        alias: Arc::clone(&version.alias),
        hash: Arc::clone(&version.hash),
        share: version.share,
        ready: version.ready,
        role: version.role,
    });
    Summary {
        key: view.key.clone(),
        kind,
        state: outcome.state,
        since: outcome.since,
        strategy: outcome.policy.strategy.as_str(),
        ready: (ready, view.endpoints.len()),
        versions: versions.collect(),
        generation,
    }
}
