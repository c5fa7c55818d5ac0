//! Targets of ExternalName services that lie outside our zones: which of them are wanted, and what is known of each.
//!
//! Whoever looks them up is told the names as they begin and cease to be wanted ([`Engine::take_wanted`]), and says what it
//! learned ([`Engine::learn`]); nothing here asks anybody. What was learned is an input like the objects: it is completed
//! into the records of a service both when a change is published and when everything is compiled from scratch.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::{Applied, Engine};
use crate::model::{Problem, Resolved, ServiceKey, ServiceView};
use crate::records::{self, Content, Records};
use crate::rollout::Outcome;
use crate::store::Changed;
use crate::wire::{Name, QueryName};

/// The names outside, and who wants them.
#[derive(Debug, Default)]
pub(super) struct Targets {
    known: BTreeMap<Name, Target>,
    of_service: BTreeMap<ServiceKey, Name>,
    /// Those of which somebody began or ceased to want them since they were last taken.
    touched: BTreeSet<Name>,
}

#[derive(Debug, Default)]
struct Target {
    wanted_by: BTreeSet<ServiceKey>,
    /// It was said that it is wanted.
    is_told: bool,
    resolved: Resolved,
}

impl Targets {
    /// From here on `key` wants `target`, and nothing else.
    pub(super) fn want(&mut self, key: &ServiceKey, target: Option<Name>) {
        let before = self.of_service.get(key);
        if before == target.as_ref() {
            return;
        }
        if let Some(before) = self.of_service.remove(key) {
            if let Some(known) = self.known.get_mut(&before) {
                known.wanted_by.remove(key);
            }
            self.touched.insert(before);
        }
        if let Some(target) = target {
            let known = self.known.entry(target.clone()).or_default();
            known.wanted_by.insert(key.clone());
            self.touched.insert(target.clone());
            self.of_service.insert(key.clone(), target);
        }
    }

    /// Takes what is known of a target; the services it is news for. A target that nobody wants is none's.
    fn learn(&mut self, target: &Name, resolved: Resolved) -> BTreeSet<ServiceKey> {
        match self.known.get_mut(target) {
            Some(known) if known.resolved != resolved => {
                known.resolved = resolved;
                known.wanted_by.clone()
            }
            _ => BTreeSet::new(),
        }
    }

    /// The names that are wanted (`true`), or not any more, since this was last called. What was known of the latter is
    /// forgotten here and not before: a name that goes from one service to another within a batch stays known.
    fn take_wanted(&mut self) -> Vec<(Name, bool)> {
        let mut news = Vec::new();
        for name in std::mem::take(&mut self.touched) {
            let Some(known) = self.known.get_mut(&name) else {
                continue;
            };
            let is_wanted = !known.wanted_by.is_empty();
            let was_told = std::mem::replace(&mut known.is_told, is_wanted);
            if !is_wanted {
                self.known.remove(&name);
            }
            if is_wanted != was_told {
                news.push((name, is_wanted));
            }
        }
        news
    }
}

impl Engine {
    /// The records of a service, its target's addresses included: one way for a change and for everything from scratch.
    pub(super) fn compiled(&self, view: &ServiceView, outcome: &Outcome) -> Records {
        let mut records = records::compile(view, outcome, &self.settings.records);
        let Some(name) = self.outside(&records) else {
            return records;
        };
        let known = self.targets.known.get(&name);
        let known = known.map(|target| &target.resolved);
        if let Content::Alias {
            target,
            ttl,
            addresses,
        } = &mut records.content
        {
            if let Some(known) = known {
                // They were looked up when other addresses may have been denied.
                let deny = &self.settings.objects.address_deny;
                let is_denied = |address: &IpAddr| deny.iter().any(|net| net.contains(address));
                addresses.clone_from(&known.addresses);
                addresses.retain(|address| !is_denied(address));
            }
            if addresses.is_empty() {
                // Caches take it for all there is, and it may be more in a moment.
                *ttl = Content::TTL_TARGET.min(*ttl);
            }
            let trouble = known.and_then(|known| known.trouble.as_ref());
            let problem = trouble.map(|trouble| {
                let text = format!("externalName: `{target}` {trouble}");
                Problem::of_service(&view.key, text)
            });
            records.problems.extend(problem);
        }
        records
    }

    /// The target of an ExternalName service, where it is looked up: those in our own zones are followed in the answer, and
    /// asking others for them would come back to us.
    pub(super) fn outside(&self, records: &Records) -> Option<Name> {
        let Content::Alias { target, .. } = &records.content else {
            return None;
        };
        // What is no name is told where it is encoded.
        let name = Name::parse(target)
            .ok()
            .filter(|_| self.settings.upstream)?;
        let is_ours = self.terms.zones.locate(&QueryName::from(&name)).is_some();
        (!is_ours).then_some(name)
    }

    /// Takes what was learned of targets, and publishes the services whose target it changes.
    pub fn learn(&mut self, learned: Vec<(Name, Resolved)>, now: Timestamp) -> Applied {
        let mut dirty = BTreeSet::new();
        for (name, resolved) in learned {
            dirty.extend(self.targets.learn(&name, resolved));
        }
        for key in &dirty {
            if let Some(service) = self.services.get_mut(key) {
                service.moving = None;
            }
        }
        self.publish(dirty, Changed::default(), now, |_| Changed::default())
    }

    /// The names outside our zones that are to be looked up (`true`), or not any more, since this was last called; none
    /// where they are not looked up at all.
    pub fn take_wanted(&mut self) -> Vec<(Name, bool)> {
        self.targets.take_wanted()
    }

    /// What is known of the target of an ExternalName service.
    pub(super) fn resolved(&self, key: &ServiceKey) -> Option<&Resolved> {
        let name = self.targets.of_service.get(key)?;
        Some(&self.targets.known.get(name)?.resolved)
    }
}
