//! Views: the address and SRV sets of one name, over some of a service's versions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::compile::{Compiler, FACTOR_WHOLE};
use super::{Addresses, Choice, Member, PortName, Srv, SrvTarget, View};
use crate::model::{AnswerMode, Family, Protocol};

/// Plain views by the versions in them, each made once: most of a service's names have the same.
#[derive(Default)]
pub(super) struct PlainViews(Vec<(Vec<bool>, View)>);

impl PlainViews {
    pub(super) fn of(
        &mut self,
        compiler: &Compiler<'_>,
        ports: &[PortName],
        include: impl Fn(usize) -> bool,
    ) -> View {
        let versions = 0..compiler.outcome.versions.len();
        let included: Vec<bool> = versions.map(include).collect();
        if let Some((_, view)) = self.0.iter().find(|(known, _)| *known == included) {
            return view.clone();
        }
        let view = compiler.plain_view(ports, |version| included[version]);
        self.0.push((included, view.clone()));
        view
    }
}

impl Compiler<'_> {
    /// Whether shares choose among versions, or factors among endpoints.
    pub(super) fn is_weighted(&self) -> bool {
        self.outcome.weighted || !self.outcome.factors.is_empty()
    }

    /// What a version carries, in basis points.
    pub(super) fn share(&self, version: usize) -> u32 {
        u32::from(self.outcome.versions[version].share.basis_points())
    }

    /// The service's own name: endpoints by the split.
    pub(super) fn split_view(&self, ports: &[PortName], plain: &mut PlainViews) -> View {
        if !self.is_weighted() {
            return plain.of(self, ports, |_| true);
        }
        let share = |version| self.share(version);
        let mut view = self.view_of(ports, |version| share(version) > 0, |i| self.factor(i));
        let records = self.outcome.policy.records;
        for set in [&mut view.a, &mut view.aaaa] {
            let mut shares: Vec<(u16, u32)> = Vec::new();
            for member in &set.members {
                if shares
                    .last()
                    .is_none_or(|(version, _)| *version != member.version)
                {
                    shares.push((member.version, share(usize::from(member.version))));
                }
            }
            set.choice = match self.outcome.policy.answer {
                AnswerMode::All => Choice::Rotated,
                AnswerMode::Auto if equal_weights(set, &shares) => Choice::Rotated,
                AnswerMode::Auto | AnswerMode::Mixed => Choice::Mixed { shares, records },
                AnswerMode::Pure => Choice::Pure { shares, records },
            };
            if set.choice == Choice::Rotated {
                set.keep_first_of_each_address();
            }
        }
        for record in view.srv.iter_mut().flatten().chain(&mut view.srv_bare) {
            record.share = record
                .version
                .map_or(0, |version| share(usize::from(version)));
        }
        view
    }

    /// All counting endpoints of the versions that `include` takes, each with the same weight.
    fn plain_view(&self, ports: &[PortName], include: impl Fn(usize) -> bool) -> View {
        let mut view = self.view_of(ports, include, |_| FACTOR_WHOLE);
        if self.shared_addresses {
            view.a.keep_first_of_each_address();
            view.aaaa.keep_first_of_each_address();
        }
        view
    }

    /// The same with the factor of each endpoint; an address of two versions is a member of both: each has its share
    /// there.
    fn view_of(
        &self,
        ports: &[PortName],
        include: impl Fn(usize) -> bool,
        factor: impl Fn(usize) -> u8,
    ) -> View {
        let chosen: Vec<usize> = self
            .counting
            .iter()
            .copied()
            .filter(|index| include(self.version_of(*index)))
            .collect();
        let family = |family: Family| {
            let of_family = chosen.iter().copied();
            let of_family = of_family.filter(|index| self.endpoint(*index).family() == family);
            let member = |index| Member {
                address: self.endpoint(index).address,
                version: u16::try_from(self.version_of(index)).unwrap_or(u16::MAX),
                factor: factor(index),
            };
            Addresses {
                members: match self.shared_addresses {
                    true => once_a_version(of_family.map(member)),
                    false => of_family.map(member).collect(),
                },
                choice: Choice::Rotated,
            }
        };
        let srv = |wanted: &dyn Fn(Option<&Arc<str>>, Protocol) -> bool| {
            self.srv(&chosen, wanted, &factor)
        };
        View {
            a: family(Family::V4),
            aaaa: family(Family::V6),
            srv: ports
                .iter()
                .map(|port| srv(&|name, protocol| port.is(name, protocol)))
                .collect(),
            srv_bare: srv(&|_, _| true),
            text: Vec::new(),
        }
    }

    /// One record for each of the `chosen` endpoints' hosts and each of its slice's ports that `wanted` takes.
    fn srv(
        &self,
        chosen: &[usize],
        wanted: &dyn Fn(Option<&Arc<str>>, Protocol) -> bool,
        factor: impl Fn(usize) -> u8,
    ) -> Vec<Srv> {
        let mut records: Vec<Srv> = Vec::with_capacity(chosen.len());
        // Where every endpoint is a host of its own, only its own records may repeat.
        let shared_hosts = self.hosts.list.len() < self.counting.len();
        let mut seen = BTreeSet::new();
        for index in chosen {
            let host = self.hosts.of_endpoint(*index);
            let version = u16::try_from(self.version_of(*index)).ok();
            let first = records.len();
            for port in self.endpoint(*index).ports.iter() {
                if !wanted(port.name.as_ref(), port.protocol) {
                    continue;
                }
                let is_new = match shared_hosts {
                    true => seen.insert((host, port.number)),
                    false => records[first..].iter().all(|r| r.port != port.number),
                };
                if is_new {
                    records.push(Srv {
                        target: SrvTarget::Host(host),
                        port: port.number,
                        version,
                        share: 0,
                        factor: factor(*index),
                    });
                }
            }
        }
        records
    }
}

impl Addresses {
    /// A set has no two equal records (RFC 2181, section 5).
    fn keep_first_of_each_address(&mut self) {
        let mut seen = BTreeSet::new();
        self.members.retain(|member| seen.insert(member.address));
    }
}

/// Members, an address once a version: pods of a node's own network share it, and the one that is ready longest
/// speaks for it.
fn once_a_version(members: impl Iterator<Item = Member>) -> Vec<Member> {
    let mut kept: Vec<Member> = Vec::new();
    let mut places: BTreeMap<(u16, IpAddr), usize> = BTreeMap::new();
    for member in members {
        let place = *places
            .entry((member.version, member.address))
            .or_insert(kept.len());
        match kept.get_mut(place) {
            Some(known) => known.factor = known.factor.max(member.factor),
            None => kept.push(member),
        }
    }
    kept
}

/// Whether every member weighs the same: within each version, and share divided by count is one ratio for all.
pub(super) fn equal_weights(set: &Addresses, shares: &[(u16, u32)]) -> bool {
    let mut neighbours = set.members.windows(2);
    if neighbours.any(|pair| {
        matches!(pair, [one, other] if one.version == other.version && one.factor != other.factor)
    }) {
        return false;
    }
    let count = |version: u16| set.members.iter().filter(|m| m.version == version).count() as u64;
    let mut ratios = shares
        .iter()
        .map(|(version, share)| (u64::from(*share), count(*version)));
    let first = ratios.next();
    first.is_none_or(|first| ratios.all(|other| weigh_alike(first, other)))
}

/// Whether the members of two versions weigh the same, given each version's share and number of members.
///
/// A share is rounded to a basis point, so two thirds for two endpoints and one third for one are alike although
/// 6667 is not twice 3333.
pub(crate) fn weigh_alike(one: (u64, u64), other: (u64, u64)) -> bool {
    let ((share, members), (others_share, others)) = (one, other);
    // Either share is off by less than 1, so equal ratios differ by less than this.
    (share * others).abs_diff(others_share * members) < members + others
}
