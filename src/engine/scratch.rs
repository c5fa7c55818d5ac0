//! Compiling from scratch: the other side of the replay law, for tests and tools.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Engine;
use super::reverse::{Claims, ReverseNames};
use crate::model::ServiceKey;
use crate::rollout;
use crate::wire::Name;
use crate::zone::{self, Node};

impl Engine {
    /// Everything that ought to be published for the objects known, by name: the other side of the replay law.
    /// Slots and memory are those of this engine; of a service that is held, what is published is what ought to be.
    pub fn compile_from_scratch(&self, now: Timestamp) -> BTreeMap<Name, Node> {
        let mut nodes = BTreeMap::new();
        let mut reverse = ReverseNames::default();
        let addresses = &self.settings.name_server;
        for zone in self.terms.zones.iter() {
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
            if service.answered.held().is_some() {
                nodes.extend(self.published_nodes(key));
                reverse.replace(key, &Claims::default(), &service.claims);
                continue;
            }
            let Some(view) = self.index.view(key).and_then(|joined| joined.view) else {
                continue;
            };
            let now = self.clock(now);
            let outcome = rollout::evaluate(&view, &self.settings.defaults, &service.memory, now);
            let records = self.compiled(&view, &outcome);
            let claims = Claims {
                created: view.created,
                list: records.reverse.clone(),
            };
            reverse.replace(key, &Claims::default(), &claims);
            let slots = service
                .slots
                .known(&outcome, self.terms.zones.clusters().count());
            for (zone, slots) in self.terms.zones.clusters().zip(&slots) {
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

    fn published_nodes(&self, key: &ServiceKey) -> Vec<(Name, Node)> {
        let names = self.terms.zones.clusters();
        let names = names.filter_map(|zone| zone::service_name(key, &zone.name));
        names
            .filter_map(|name| {
                let node = self.view.store.find(name.as_wire(), Node::clone)?;
                Some((name, node))
            })
            .collect()
    }
}
