//! Views: the address and SRV sets of one name, over some of a service's versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compile::Compiler;
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
    /// The service's own name: endpoints by the split.
    pub(super) fn split_view(&self, ports: &[PortName], plain: &mut PlainViews) -> View {
        let weighted = self.outcome.weighted;
        let share = |version: usize| u32::from(self.outcome.versions[version].share.basis_points());
        if !weighted {
            return plain.of(self, ports, |_| true);
        }
        let mut view = self.weighted_view(ports, |version| share(version) > 0);
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
        let mut view = self.weighted_view(ports, include);
        if self.shared_addresses {
            view.a.keep_first_of_each_address();
            view.aaaa.keep_first_of_each_address();
        }
        view
    }

    /// The same, an address of two versions being a member of both: each has its share there.
    fn weighted_view(&self, ports: &[PortName], include: impl Fn(usize) -> bool) -> View {
        let chosen: Vec<usize> = self
            .counting
            .iter()
            .copied()
            .filter(|index| include(self.version_of(*index)))
            .collect();
        let family = |family: Family| {
            let mut seen = BTreeSet::new();
            let of_family = chosen
                .iter()
                .filter(|index| self.endpoint(**index).family() == family);
            let members = of_family.map(|index| Member {
                address: self.endpoint(*index).address,
                version: u16::try_from(self.version_of(*index)).unwrap_or(u16::MAX),
            });
            Addresses {
                // Pods of a node's own network share its address.
                members: members
                    .filter(|member| {
                        !self.shared_addresses || seen.insert((member.version, member.address))
                    })
                    .collect(),
                choice: Choice::Rotated,
            }
        };
        View {
            a: family(Family::V4),
            aaaa: family(Family::V6),
            srv: ports
                .iter()
                .map(|port| self.srv(&chosen, |name, protocol| port.is(name, protocol)))
                .collect(),
            srv_bare: self.srv(&chosen, |_, _| true),
            text: Vec::new(),
        }
    }

    /// One record for each of the `chosen` endpoints' hosts and each of its slice's ports that `wanted` takes.
    fn srv(
        &self,
        chosen: &[usize],
        wanted: impl Fn(Option<&Arc<str>>, Protocol) -> bool,
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

/// Whether every member weighs the same: share divided by count is one ratio for all versions.
fn equal_weights(set: &Addresses, shares: &[(u16, u32)]) -> bool {
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
