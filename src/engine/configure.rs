//! A configuration that is read anew: other settings and terms for the objects that are known.
//!
//! Every service is evaluated and compiled again, since nearly every setting is about all of them, and what differs is
//! published as after any change: a name that both configurations have goes from its old answer to its new one in one step.
//! Names that only the new one has come before its terms are in force, names that only the old one had go after.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

use super::hold::Answered;
use super::{Applied, Engine, Settings, sorted};
use crate::answer::Terms;
use crate::model::Problem;
use crate::objects::Dirty;
use crate::store::Changed;
use crate::wire::{Name, NameError};
use crate::zone::{Zone, ZoneKind};

/// Why everything stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigureError {
    /// Zones neither come nor go while names are published.
    #[error("the zones are other ones")]
    OtherZones,
    /// A zone's own names do not fit below its apex.
    #[error("a zone's own names do not fit")]
    Zone(#[source] NameError),
}

impl Engine {
    /// Puts `settings` and `terms` in force. What only a beginning decides stays: whose reports are made, and whether names
    /// outside are looked up.
    ///
    /// # Errors
    /// See [`ConfigureError`]; then nothing was done.
    pub fn configure(
        &mut self,
        settings: Settings,
        terms: Terms,
        now: Timestamp,
    ) -> Result<Applied, ConfigureError> {
        let is_of_file = |zone: &&Zone| zone.kind == ZoneKind::Static;
        let before = self.terms.zones.iter().filter(|zone| !is_of_file(zone));
        if !(terms.zones.iter().map(apex_and_kind)).eq(before.map(apex_and_kind)) {
            return Err(ConfigureError::OtherZones);
        }
        let (zones, _) = self.zones_with_files(&terms.zones);
        let terms = Terms { zones, ..terms };
        let mut own = Vec::new();
        for zone in terms.zones.iter() {
            let nodes = zone.own_nodes(&settings.name_server);
            let nodes = nodes.map_err(ConfigureError::Zone)?.into_iter();
            own.extend(nodes.map(|(name, node)| (name, zone.name.clone(), node)));
        }

        let before = self.names_below_zones();
        self.settings = Settings {
            in_cluster: self.settings.in_cluster,
            upstream: self.settings.upstream,
            ..settings
        };
        self.index.set_settings(self.settings.objects.clone());
        // Of half a cluster nothing is made; the marks stay until all of it is there.
        let dirty = match self.missing_kinds.is_empty() {
            true => self.index.take_dirty(),
            false => Dirty::default(),
        };
        for service in self.services.values_mut() {
            service.moving = None;
            // Endpoints that go because of the settings are not awaited; those that are awaited already still are.
            if service.answered.held().is_none() {
                service.answered = Answered::default();
            }
        }
        let mut applied = self.publish(dirty.services, Changed::default(), now, |engine| {
            let mut changed = Changed::default();
            for (name, apex, node) in own {
                changed.add(engine.publisher.publish(&name, &apex, Some(node)));
            }
            changed.add(engine.publish_namespaces(&dirty.namespaces));
            for (namespace, address) in &dirty.pods {
                changed.add(engine.publish_pod(namespace, *address));
            }
            let reverse: Vec<_> = engine.reverse.addresses().collect();
            changed.add(engine.publish_reverse(&reverse));
            engine.set_terms(terms);
            let after = engine.names_below_zones();
            for (name, apex) in before.difference(&after) {
                changed.add(engine.publisher.publish(name, apex, None));
            }
            changed
        });
        if !applied.changed.any() {
            // No name is another, but the SOA may be.
            let now_secs = u64::try_from(now.as_second()).unwrap_or(0);
            self.terms.zones.bump_serials(now_secs);
        }
        self.count_index_problems();
        applied.services = self.services.len();
        Ok(applied)
    }

    /// Replaces what of the configuration is not in force.
    pub fn set_config_problems(&mut self, problems: Vec<Problem>) {
        let problems = sorted(problems);
        self.problems.replace(&self.config_problems, &problems);
        self.config_problems = problems;
    }

    fn set_terms(&mut self, terms: Terms) {
        terms.zones.continue_serials(&self.terms.zones);
        self.terms = Arc::new(terms);
        self.view.set_terms(Arc::clone(&self.terms));
    }

    /// The names of namespaces and pods by the settings in force, with their apexes.
    fn names_below_zones(&self) -> BTreeSet<(Name, Name)> {
        let mut names = BTreeSet::new();
        for zone in self.terms.zones.clusters() {
            let mut add = |name| names.insert((name, zone.name.clone()));
            for namespace in self.index.namespaces() {
                for (name, _) in self.namespace_names(zone, namespace) {
                    name.map(&mut add);
                }
            }
            for (namespace, address) in self.index.pod_addresses() {
                self.pod_name(zone, namespace, address).map(&mut add);
            }
        }
        names
    }
}

fn apex_and_kind(zone: &Zone) -> (&Name, &ZoneKind) {
    (&zone.name, &zone.kind)
}
