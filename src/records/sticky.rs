//! Sticky: what a service answers where a client keeps its endpoint.
//!
//! Given the split, the versions that have a share are laid out in the order in which clients come to them, each with
//! its targets and everything by which a target is reached. Which client keeps which target is not decided here: that
//! takes a hash, and records know none.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::PortName;
use super::compile::Compiler;
use crate::model::{self, AnswerMode, Endpoint};
use crate::rollout::Role;

/// The targets that clients keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// What makes a client.
    pub by: model::Sticky,
    /// What tells this service from others, which deal the same clients another way: its UID, else its key.
    pub service: Arc<str>,
    /// What is rolled out comes first and what it comes from last. A share that grows takes clients from its
    /// neighbour's edge and gives none away; and versions in between are those whose share goes first.
    pub versions: Vec<StickyVersion>,
}

/// A version with a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyVersion {
    /// Index into the outcome's versions.
    pub version: u16,
    /// Its share, in basis points.
    pub share: u32,
    /// Its targets, in circular order.
    pub targets: Vec<Target>,
}

/// What a client is sent to: a pod, mostly, with the addresses of both families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its UID, else its pod's name, else its address: the same as long as it is the same target.
    pub identity: Arc<str>,
    /// Its part of the version's share, in percent of a whole one.
    pub factor: u8,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Where its ports are.
    pub ports: Vec<TargetPort>,
}

/// A port of a target under one of its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPort {
    /// Index into [`super::Names::ports`]; `None`: unnamed.
    pub name: Option<usize>,
    /// Index into [`super::Names::hosts`].
    pub host: usize,
    /// The port.
    pub number: u16,
}

impl Compiler<'_> {
    /// `None` where clients keep nothing: they are not asked to, or every answer has every endpoint.
    pub(super) fn sticky(&self, ports: &[PortName]) -> Option<Sticky> {
        let policy = &self.outcome.policy;
        let keeps = policy.sticky != model::Sticky::Off && policy.answer != AnswerMode::All;
        if !keeps || !self.is_weighted() {
            return None;
        }
        let rank = |version: &usize| match self.outcome.versions[*version].role {
            Some(Role::Canary | Role::Preview) => 0,
            None => 1,
            Some(Role::Stable | Role::Active) => 2,
        };
        let mut versions: Vec<usize> = (0..self.outcome.versions.len()).collect();
        versions.retain(|version| self.share(*version) > 0);
        versions.sort_by_key(rank);
        let service = self.service();
        Some(Sticky {
            by: policy.sticky,
            service: match service.uid.is_empty() {
                true => service.key.to_string().into(),
                false => service.uid.text().into(),
            },
            versions: versions
                .into_iter()
                .map(|version| StickyVersion {
                    version: u16::try_from(version).unwrap_or(u16::MAX),
                    share: self.share(version),
                    targets: self.targets(version, ports),
                })
                .collect(),
        })
    }

    fn targets(&self, version: usize, ports: &[PortName]) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        let mut places: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        let of_version = self.counting.iter().copied();
        for index in of_version.filter(|index| self.version_of(*index) == version) {
            let endpoint = self.endpoint(index);
            let identity = identity(endpoint);
            let place = *places.entry(Arc::clone(&identity)).or_insert_with(|| {
                targets.push(Target {
                    identity,
                    factor: self.factor(index),
                    addresses: Vec::with_capacity(1),
                    ports: Vec::with_capacity(endpoint.ports.len()),
                });
                targets.len() - 1
            });
            let target = &mut targets[place];
            target.addresses.push(endpoint.address);
            let host = self.hosts.of_endpoint(index);
            target.ports.extend(endpoint.ports.iter().map(|port| {
                let is_it = |name: &PortName| name.is(port.name.as_ref(), port.protocol);
                TargetPort {
                    name: ports.iter().position(is_it),
                    host,
                    number: port.number,
                }
            }));
        }
        targets
    }
}

/// Endpoints of one identity are one target, as they are where targets are counted.
fn identity(endpoint: &Endpoint) -> Arc<str> {
    match &endpoint.pod {
        _ if !endpoint.uid.is_empty() => endpoint.uid.text().into(),
        Some(pod) => Arc::clone(pod),
        None => endpoint.address.to_string().into(),
    }
}
