//! What is asked of a service: what its ServiceRollout says, where there is one, and else its annotations.
//!
//! A ServiceRollout wins as a whole. Half of two policies would be a third one that nobody wrote, so of a service that
//! has one no annotation of ours is read, and that is told.

use std::sync::Arc;

use super::index::Index;
use super::labels::Labels;
use super::network::Service;
use super::resource::ServiceRollout;
use crate::model::{PolicySource, Problem, ServiceKey};

/// Words are keys of annotations without the prefix, sorted.
pub(super) struct Asked<'i> {
    service: &'i Service,
    resource: Option<&'i ServiceRollout>,
}

impl Asked<'_> {
    /// Where it is written.
    pub(super) fn source(&self) -> PolicySource {
        match self.resource {
            None => PolicySource::Annotations,
            Some(resource) => PolicySource::Resource {
                origin: resource.meta.origin(),
            },
        }
    }

    /// What is asked under a word.
    pub(super) fn word(&self, word: &str) -> Option<&Arc<str>> {
        match self.resource {
            None => self.service.annotation(word),
            Some(resource) => resource.written.get(word),
        }
    }

    /// All of it.
    pub(super) fn words(&self) -> Vec<(Arc<str>, Arc<str>)> {
        match self.resource {
            None => self.service.own_annotations(),
            Some(resource) => own(&resource.written),
        }
    }

    /// What is wrong with annotations beside a ServiceRollout.
    pub(super) fn unheard(&self) -> Option<String> {
        self.resource?;
        let (first, _) = self.service.annotations.iter().next()?;
        let count = self.service.annotations.iter().count();
        let others = match count {
            1 => format!("annotation `{first}` is ignored"),
            _ => format!("{count} annotations, from `{first}` on, are ignored"),
        };
        Some(format!(
            "{others}: the ServiceRollout of the service's name wins as a whole"
        ))
    }
}

fn own(labels: &Labels) -> Vec<(Arc<str>, Arc<str>)> {
    let all = labels.iter();
    all.map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
        .collect()
}

impl Index {
    /// What is asked of a service that is known.
    pub(super) fn asked<'i>(&'i self, key: &ServiceKey, service: &'i Service) -> Asked<'i> {
        let resource = self.resources.get(&key.namespace, &key.name);
        let resource = resource.map(|resource| &**resource);
        Asked { service, resource }
    }

    /// What is asked of a service, in the words of annotations of ours without their prefix, sorted; empty for one
    /// that does not exist.
    pub fn annotations(&self, key: &ServiceKey) -> Vec<(Arc<str>, Arc<str>)> {
        let service = self.services.get(key);
        service.map_or_else(Vec::new, |service| self.asked(key, service).words())
    }

    /// What is wrong with the annotations of a service beside its ServiceRollout.
    pub fn unheard(&self, key: &ServiceKey) -> Option<String> {
        let service = self.services.get(key)?;
        self.asked(key, service).unheard()
    }

    /// The ServiceRollouts that ask something of nobody. Not before any Service is known: then all are still to come.
    pub(super) fn forlorn(&self) -> impl Iterator<Item = Problem> {
        let resources = self.resources.iter();
        let resources = resources.filter(|_| !self.services.is_empty());
        resources.filter_map(|(namespace, name, resource)| {
            let key = ServiceKey {
                namespace: Arc::clone(namespace),
                name: Arc::clone(name),
            };
            let is_forlorn = self.serves(namespace) && !self.services.contains_key(&key);
            let origin = resource.meta.origin();
            let text = "has no effect: there is no Service of its name in the namespace";
            let source = PolicySource::Resource { origin };
            is_forlorn.then(|| source.problem(&key, text.to_owned()))
        })
    }
}
