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
mod problems;
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

use problems::{News, Problems};
use reverse::{Claims, ReverseNames};
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
    /// The addresses of each zone's name server.
    pub name_server: Vec<IpAddr>,
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
    /// Whether there is a reverse zone; without one nobody's claims are kept.
    has_reverse: bool,
    slots: slots::Allocator,
    problems: Problems,
    /// Those of the index and of the source, as they were last counted among `problems`.
    index_problems: Vec<Problem>,
    source_problems: Vec<Problem>,
    /// Kinds of which no whole list has been read.
    missing_kinds: BTreeSet<Kind>,
    generation: u64,
}

/// What is kept of a published service.
#[derive(Debug, Default)]
struct Service {
    memory: Memory,
    slots: ServiceSlots,
    claims: Claims,
    /// Sorted.
    problems: Vec<Problem>,
    /// The last that changed its node; `_rollout` tells it.
    generation: u64,
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
    /// The generation that last changed its names; 0 while it has none.
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

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Objects known, by kind.
    pub objects: [(Kind, usize); 10],
    /// Problems that stand.
    pub problems: usize,
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
        let is_reverse = |zone: &Zone| zone.kind != ZoneKind::Cluster;
        let has_reverse = view.zones.iter().any(is_reverse);
        let mut engine = Self {
            index: Index::new(settings.objects.clone()),
            settings,
            view,
            publisher,
            services: BTreeMap::new(),
            has_reverse,
            reverse: ReverseNames::default(),
            slots: slots::Allocator::default(),
            problems: Problems::default(),
            index_problems: Vec::new(),
            source_problems: Vec::new(),
            missing_kinds: Kind::ALL.into_iter().collect(),
            generation: 0,
        };
        let addresses = &engine.settings.name_server;
        for zone in engine.view.zones.iter() {
            for (name, node) in zone.own_nodes(addresses)? {
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
        for key in dirty.moved.difference(&dirty.services) {
            let known = self.services.get(key);
            if known.is_some_and(|service| !service.problems.is_empty()) {
                changed.add(self.publish_service(key, generation, now));
            }
        }
        for (namespace, address) in &dirty.pods {
            changed.add(self.publish_pod(namespace, *address));
        }
        if let Some(of_index) = self.index.changed_problems() {
            self.problems.replace(&self.index_problems, &of_index);
            self.index_problems = of_index;
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

    /// Replaces what the source itself could not read.
    pub fn set_source_problems(&mut self, problems: Vec<Problem>) {
        let problems = sorted(problems);
        self.problems.replace(&self.source_problems, &problems);
        self.source_problems = problems;
    }

    /// All that could not be obeyed, sorted.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.all()
    }

    /// Which problems came and went since this was last called.
    fn take_problem_news(&mut self) -> News {
        self.problems.take_news()
    }

    /// How much there is of everything.
    pub fn totals(&self) -> Totals {
        Totals {
            objects: self.index.counts(),
            problems: self.problems.count(),
        }
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
        let addresses = &self.settings.name_server;
        for zone in self.view.zones.iter() {
            nodes.extend(zone.own_nodes(addresses).unwrap_or_default());
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
            let claims = Claims {
                created: view.created,
                list: records.reverse.clone(),
            };
            reverse.replace(key, &Claims::default(), &claims);
            let slots = service
                .slots
                .known(&outcome, self.view.zones.clusters().count());
            for (zone, slots) in self.view.zones.clusters().zip(&slots) {
                let encoded = zone::encode(&records, &zone.name, slots, service.generation);
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
        let Some(joined) = self.index.view(key) else {
            return self.withdraw_service(key);
        };
        let mut problems = joined.problems;
        let Some(view) = joined.view else {
            let changed = self.withdraw_service(key);
            let mut service = Service::default();
            self.set_problems(&mut service, problems);
            self.services.insert(key.clone(), service);
            return changed;
        };
        let mut service = self.services.remove(key).unwrap_or_default();
        let mut outcome = rollout::evaluate(&view, &self.settings.defaults, &service.memory, now);
        let mut records = records::compile(&view, &outcome, &self.settings.records);
        let zones = self.view.zones.clusters().count();
        let slots = match &records.content {
            Content::Names(names) if !names.versions.is_empty() => {
                service.slots.assign(key, &outcome, zones, &mut self.slots)
            }
            _ => vec![Slots::default(); zones],
        };
        problems.append(&mut outcome.problems);
        problems.append(&mut records.problems);
        let mut changed =
            self.publish_names(&mut service, &records, &slots, generation, &mut problems);
        let claims = match self.has_reverse {
            true => Claims {
                created: view.created,
                list: records.reverse,
            },
            false => Claims::default(),
        };
        let touched = self.reverse.replace(key, &service.claims, &claims);
        service.claims = claims;
        changed.add(self.publish_reverse(&touched));
        let at_origin = |problem: Problem| problem.at(view.origin.as_ref());
        self.set_problems(&mut service, problems.into_iter().map(at_origin).collect());
        service.summary = Some(Arc::new(summary(&view, &outcome, service.generation)));
        service.memory = outcome.memory;
        self.services.insert(key.clone(), service);
        changed
    }

    fn set_problems(&mut self, service: &mut Service, problems: Vec<Problem>) {
        let problems = sorted(problems);
        self.problems.replace(&service.problems, &problems);
        service.problems = problems;
    }

    /// Publishes a service's node in every cluster zone.
    ///
    /// The node tells the generation that changed it last. So it is made with the old one first: what is published
    /// already stays as it is, and only another node gets this generation.
    fn publish_names(
        &mut self,
        service: &mut Service,
        records: &Records,
        slots: &[Slots],
        generation: u64,
        problems: &mut Vec<Problem>,
    ) -> Changed {
        let view = Arc::clone(&self.view);
        let mut nodes = Vec::with_capacity(1);
        for (zone, slots) in view.zones.clusters().zip(slots) {
            match zone::encode(records, &zone.name, slots, service.generation) {
                Some(encoded) => {
                    problems.extend(encoded.problems);
                    nodes.push((zone, encoded.name, encoded.node));
                }
                None => problems.push(unnamed(records, zone)),
            }
        }
        let is_published = |name: &Name, node: Option<&Node>| self.publisher.holds(name, node);
        if nodes
            .iter()
            .all(|(_, name, node)| is_published(name, node.as_ref()))
        {
            return Changed::default();
        }
        service.generation = generation;
        let mut changed = Changed::default();
        for (zone, name, node) in nodes {
            let node = node.map(|node| zone::stamped(node, records, generation));
            changed.add(self.publisher.publish(&name, &zone.name, node));
        }
        changed
    }

    fn withdraw_service(&mut self, key: &ServiceKey) -> Changed {
        let Some(mut service) = self.services.remove(key) else {
            return Changed::default();
        };
        self.problems.replace(&service.problems, &[]);
        let mut changed = Changed::default();
        let view = Arc::clone(&self.view);
        for zone in view.zones.clusters() {
            if let Some(name) = zone::service_name(key, &zone.name) {
                changed.add(self.publisher.publish(&name, &zone.name, None));
            }
        }
        service.slots.release(&mut self.slots);
        let touched = self
            .reverse
            .replace(key, &service.claims, &Claims::default());
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
        let node = reverse.node(address, origin, self.settings.records.ttl_cluster_ip);
        Some((name, apex, node))
    }

    fn publish_namespaces(&mut self, dirty: &BTreeSet<Arc<str>>) -> Changed {
        let mut changed = Changed::default();
        if dirty.is_empty() {
            return changed;
        }
        let existing: BTreeSet<&str> = self.index.namespaces().collect();
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
        zone::address_node(&[address], self.settings.records.ttl_cluster_ip)
    }
}

/// In order, each once.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems
}

fn unnamed(records: &Records, zone: &Zone) -> Problem {
    let text = format!("the name is longer than 255 octets in zone `{}`", zone.name);
    Problem::of_service(&records.key, text)
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

#[cfg(test)]
mod tests;
