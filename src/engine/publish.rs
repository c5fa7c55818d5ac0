//! From a service to its names: evaluated, compiled, encoded, and handed to the store where something differs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::hold::Answered;
use super::reports::Seen;
use super::reverse::{Claims, ReverseNames};
use super::{Engine, Happened, Moving, Pods, Service, history, intents, sorted, told};
use crate::model::{Problem, ServiceKey, ServiceView, Weights};
use crate::objects::Joined;
use crate::records::{self, Content, Moved, Records, Shape, address_label};
use crate::rollout::{self, Memory, Outcome, Transition};
use crate::store::Changed;
use crate::wire::Name;
use crate::zone::{self, Node, Slots, Zone, ZoneKind};

impl Engine {
    pub(super) fn publish_service(
        &mut self,
        key: &ServiceKey,
        generation: u64,
        now: Timestamp,
    ) -> Changed {
        let known = self.services.get_mut(key);
        let (view, flaws, made) = match known.and_then(|service| service.moving.take()) {
            Some(moving) => (moving.view, moving.flaws, moving.made),
            None => match self.joined(key) {
                None => return self.withdraw_service(key),
                Some(Joined {
                    view: None,
                    problems,
                }) => return self.withdraw_names(key, problems),
                Some(Joined {
                    view: Some(view),
                    problems,
                }) => (view, problems, None),
            },
        };
        let mut service = self.services.remove(key).unwrap_or_default();
        let mut outcome = rollout::evaluate(&view, &self.settings.defaults, &service.memory, now);
        if let Some(until) = service.answered.hold(&view, &outcome, &self.index, now) {
            // As if nothing had been evaluated: what moved is not told either.
            self.schedule.replace(key, service.due, Some(until));
            service.due = Some(until);
            self.held.insert(key.clone());
            self.services.insert(key.clone(), service);
            return Changed::default();
        }
        self.held.remove(key);
        let shape = Shape::of(&outcome);
        let mut unencoded = Vec::new();
        let known = made.filter(|(_, known)| *known == shape);
        let known = known.and_then(|(mut records, _)| {
            let moved = records::reshare(&mut records, &view, &outcome);
            (moved != Moved::More).then_some((records, moved))
        });
        let (records, changed) = match known {
            Some((records, Moved::Nothing)) => (records, Changed::default()),
            Some((records, _)) => {
                let changed = self.publish_shares(&mut service, &records, generation);
                (records, changed)
            }
            None => {
                let seen = (&view, &outcome);
                self.publish_anew(&mut service, seen, (generation, now), &mut unencoded)
            }
        };
        let is_whole = unencoded.is_empty();
        let mut problems = std::mem::take(&mut outcome.problems);
        problems.append(&mut unencoded);
        problems.extend(flaws.iter().chain(&records.problems).cloned());
        let at_origin = |problem: Problem| problem.at(view.origin.as_ref());
        self.set_problems(&mut service, problems.into_iter().map(at_origin).collect());
        let transitions = self.keep_memory(&mut service, &view, &mut outcome);
        let more = self.report(&mut service, &view, &outcome, &transitions, now);
        let next = outcome.next.into_iter().chain(more).min();
        self.set_due(&mut service, key, next, now);
        let results = service.history.results();
        let summary = told::summary(&view, &outcome, results, service.generation);
        service.summary = Some(Arc::new(summary));
        self.moves.note(&mut service.seen, &view, &outcome);
        service.moving = service.due.map(|_| {
            let made = is_whole.then_some((records, shape));
            Box::new(Moving { view, flaws, made })
        });
        self.services.insert(key.clone(), service);
        changed
    }

    /// The service as it is, made of the backends that are in force. Its memory moves away from them only with the
    /// Service itself, so until then others may look into the index without asking again.
    fn joined(&mut self, key: &ServiceKey) -> Option<Joined> {
        let written = self.index.annotations(key);
        let backends = match self.services.get(key) {
            _ if written.is_empty() => None,
            Some(service) => self.backends_in_force(&written, &service.memory),
            None => self.backends_in_force(&written, &Memory::default()),
        };
        self.index.override_backends(key, backends);
        self.index.view(key)
    }

    fn backends_in_force(
        &self,
        written: &[(Arc<str>, Arc<str>)],
        memory: &Memory,
    ) -> Option<Option<Weights>> {
        rollout::backends_in_force(written, &self.settings.defaults, memory)
    }

    /// Compiles and encodes a service, and publishes what differs.
    fn publish_anew(
        &mut self,
        service: &mut Service,
        (view, outcome): (&ServiceView, &Outcome),
        (generation, now): (u64, Timestamp),
        problems: &mut Vec<Problem>,
    ) -> (Records, Changed) {
        let records = self.compiled(view, outcome);
        let target = self.outside(&records);
        self.targets.want(&view.key, target);
        let zones = self.terms.zones.clusters().count();
        let slots = match &records.content {
            Content::Names(names) if !names.versions.is_empty() => {
                let from = &mut self.slots;
                service.slots.assign(&view.key, outcome, zones, from)
            }
            _ => vec![Slots::default(); zones],
        };
        let mut changed = self.publish_names(service, &records, &slots, generation, problems);
        self.note_answered(service, view, outcome, &records, now);
        let claims = match self.has_reverse {
            true => Claims {
                created: view.created,
                list: records.reverse.clone(),
            },
            false => Claims::default(),
        };
        let touched = self.reverse.replace(&view.key, &service.claims, &claims);
        service.claims = claims;
        changed.add(self.publish_reverse(&touched));
        (records, changed)
    }

    /// Publishes records of which nothing but shares and strings moved; so what is answered, and its reverse, stay.
    fn publish_shares(
        &mut self,
        service: &mut Service,
        records: &Records,
        generation: u64,
    ) -> Changed {
        let terms = Arc::clone(&self.terms);
        service.generation = generation;
        let mut changed = Changed::default();
        for zone in terms.zones.clusters() {
            let Some(name) = zone::service_name(&records.key, &zone.name) else {
                continue;
            };
            let reshared = |node: Option<&Node>| zone::reshared(node?, records, generation);
            let node = self.publisher.read(&name, reshared);
            if let Some(node) = node {
                changed.add(self.publisher.publish(&name, &zone.name, Some(node)));
            }
        }
        changed
    }

    /// A service that cannot have names; its memory stays, as it may have some again.
    fn withdraw_names(&mut self, key: &ServiceKey, problems: Vec<Problem>) -> Changed {
        let memory = self.services.get(key).map(|service| service.memory.clone());
        let changed = self.withdraw_service(key);
        let mut service = Service {
            memory: memory.unwrap_or_default(),
            ..Service::default()
        };
        self.set_problems(&mut service, problems);
        self.services.insert(key.clone(), service.into());
        changed
    }

    /// Notes which addresses and pods are answered from `now` on.
    fn note_answered(
        &self,
        service: &mut Service,
        view: &ServiceView,
        outcome: &Outcome,
        records: &Records,
        now: Timestamp,
    ) {
        let (mut answered, mut ttl) = (Vec::new(), 0);
        let mut of_endpoints = false;
        if let Content::Names(names) = &records.content {
            ttl = names.ttl;
            of_endpoints = !names.versions.is_empty();
            let own = names.views.iter().take(1);
            let members = own.flat_map(|view| view.a.members.iter().chain(&view.aaaa.members));
            answered.extend(members.map(|member| {
                // A cluster IP is of no version.
                let version = outcome.versions.get(usize::from(member.version));
                let version = version.filter(|_| of_endpoints);
                let alias = version.map(|version| Arc::clone(&version.alias));
                (member.address, alias.unwrap_or_default())
            }));
        }
        let floor = self.settings.cache_floor;
        service.drains.publish(answered, ttl, floor, now);
        // A cluster IP does not come and go with the endpoints behind it.
        service.answered = match of_endpoints {
            true => Answered::of(view, outcome),
            false => Answered::default(),
        };
    }

    /// Reports where the people of the cluster look; gives when there may be more to tell by time alone.
    fn report(
        &mut self,
        service: &mut Service,
        view: &ServiceView,
        outcome: &Outcome,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Option<Timestamp> {
        if !self.settings.in_cluster {
            return None;
        }
        if self.lost_since().is_some() {
            self.untold.insert(view.key.clone());
            return None;
        }
        let resource = self.index.resource(&view.key);
        let (report, next) = service.reported.report(&Seen {
            view,
            outcome,
            memory: &service.memory,
            problems: &service.problems,
            transitions,
            resource: resource.map(|resource| &**resource),
            unheard: self.index.unheard(&view.key),
            now,
        });
        self.reports.extend(report);
        next
    }

    /// Keeps what is to be remembered; gives what happened on the way there.
    pub(super) fn keep_memory(
        &mut self,
        service: &mut Service,
        view: &ServiceView,
        outcome: &mut Outcome,
    ) -> Vec<Transition> {
        let mut memory = std::mem::take(&mut outcome.memory);
        if !memory.intents.is_empty() {
            intents::forget_past(&mut memory.intents, view, outcome);
        }
        if memory == service.memory {
            return Vec::new();
        }
        let transitions = rollout::transitions(&service.memory, &memory);
        for transition in &transitions {
            service.history.add(transition);
            self.durations.add(transition);
            self.flips.add(transition);
            if !history::is_first_sight_at_rest(transition) {
                self.happened.push(Happened {
                    service: view.key.clone(),
                    transition: transition.clone(),
                });
            }
        }
        memory.shrink_to_fit();
        service.memory = memory;
        self.memory_news.insert(view.key.clone());
        transitions
    }

    /// Schedules the next evaluation, in a second at the earliest: time is told in whole seconds.
    fn set_due(
        &mut self,
        service: &mut Service,
        key: &ServiceKey,
        next: Option<Timestamp>,
        now: Timestamp,
    ) {
        let due = next.map(|next| {
            let part = i64::from(next.subsec_nanosecond() > 0);
            let second = (next.as_second() + part).max(now.as_second() + 1);
            Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
        });
        self.schedule.replace(key, service.due, due);
        service.due = due;
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
        let terms = Arc::clone(&self.terms);
        let mut nodes = Vec::with_capacity(1);
        for (zone, slots) in terms.zones.clusters().zip(slots) {
            let encoded = zone::encode(records, &zone.name, slots, service.generation);
            match encoded {
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
        if service.summary.is_some() {
            self.moves.gone(key);
        }
        self.schedule.replace(key, service.due, None);
        self.held.remove(key);
        self.targets.want(key, None);
        self.memory_news.insert(key.clone());
        let mut changed = Changed::default();
        let terms = Arc::clone(&self.terms);
        for zone in terms.zones.clusters() {
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

    pub(super) fn publish_reverse(&mut self, touched: &[IpAddr]) -> Changed {
        let mut changed = Changed::default();
        for address in touched {
            if let Some((name, apex, node)) = self.reverse_node(&self.reverse, *address) {
                changed.add(self.publisher.publish(&name, &apex, node));
            }
        }
        changed
    }

    /// The reverse name of an address in our zones, its apex, and what stands there.
    pub(super) fn reverse_node(
        &self,
        reverse: &ReverseNames,
        address: IpAddr,
    ) -> Option<(Name, Name, Option<Node>)> {
        let name = zone::reverse_name(address)?;
        let zone = self.terms.zones.locate_reverse(&(&name).into())?;
        let apex = zone.name.clone();
        let origin = &self.terms.zones.clusters().next()?.name;
        let node = reverse.node(address, origin, self.settings.records.ttl_cluster_ip);
        Some((name, apex, node))
    }

    pub(super) fn publish_namespaces(&mut self, dirty: &BTreeSet<Arc<str>>) -> Changed {
        let mut changed = Changed::default();
        if dirty.is_empty() {
            return changed;
        }
        let existing: BTreeSet<&str> = self.index.namespaces().collect();
        let terms = Arc::clone(&self.terms);
        for zone in terms.zones.clusters() {
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
    pub(super) fn namespace_names(
        &self,
        zone: &Zone,
        namespace: &str,
    ) -> Vec<(Option<Name>, Node)> {
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

    pub(super) fn publish_pod(&mut self, namespace: &str, address: IpAddr) -> Changed {
        let mut changed = Changed::default();
        let exists = self.index.pod_exists(namespace, address);
        let terms = Arc::clone(&self.terms);
        for zone in terms.zones.clusters() {
            if let Some(name) = self.pod_name(zone, namespace, address) {
                let node = exists.then(|| self.pod_node(address));
                changed.add(self.publisher.publish(&name, &zone.name, node));
            }
        }
        changed
    }

    pub(super) fn pod_name(&self, zone: &Zone, namespace: &str, address: IpAddr) -> Option<Name> {
        if self.settings.pods != Pods::Verified || zone.kind != ZoneKind::Cluster {
            return None;
        }
        let label = address_label(address);
        zone.name
            .below([label.as_bytes(), namespace.as_bytes(), b"pod"])
            .ok()
    }

    pub(super) fn pod_node(&self, address: IpAddr) -> Node {
        zone::address_node(&[address], self.settings.records.ttl_cluster_ip)
    }
}

fn unnamed(records: &Records, zone: &Zone) -> Problem {
    let text = format!("the name is longer than 255 octets in zone `{}`", zone.name);
    Problem::of_service(&records.key, text)
}
