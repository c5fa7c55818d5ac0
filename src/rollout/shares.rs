//! The weight function: from what is asked for and what is ready to shares that sum to the whole.
//!
//! Given the versions behind a service with their ready endpoints, a wish per version and what the workloads
//! declare sufficient, [`shares`] gives each version the share it carries and the reason. Integers only. It does
//! not know who wished or why.
//!
//! ```text
//!   wish        min(wish, limit)          policy | capacity-capped
//!   left over   others, up to limit       fills-in
//!   left over   targets, up to ready      fills-in
//!   left over   quarantined, up to ready  quarantine-overflow
//!   left over   nobody has capacity: equal load on every ready endpoint   overload-shared
//! ```

use crate::model::{Policy, Reason, ServiceView, Share};

/// How far a version may take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Carries up to what its ready endpoints can.
    Normal,
    /// The revision being rolled out: its wish is limited by its soaked endpoints, and it fills in last.
    Target,
    /// A failed revision: carries only what nobody else has the capacity for.
    Quarantined,
    /// Left out by the policy; carries something only where nothing else is ready.
    Excluded,
}

/// One version as the weight function sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Breaks ties: the smaller name comes first. Equal names keep the order of the input.
    pub name: &'a str,
    /// Endpoints that count.
    pub ready: u32,
    /// Those that have been ready for long enough; at most `ready`.
    pub soaked: u32,
    /// Fill order, smaller first: stable revisions, then others newest first, targets last.
    pub order: u32,
    /// How far it may take part.
    pub class: Class,
    /// What the policy gives it. The wishes of all candidates sum to at most the whole.
    pub want: Share,
    /// No capacity limits its wish: the target of an immediate roll-back.
    pub uncapped: bool,
}

/// How much a ready endpoint may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The number of endpoints that carry the whole load; 0 counts as 1.
    pub basis: u32,
    /// Scales every endpoint's capacity; 100 is the declaration itself.
    pub headroom_percent: u32,
    /// Off: any ready endpoint may carry everything, and wishes are obeyed as written.
    pub clamp: bool,
}

impl Capacity {
    /// That of two Services of which one carries everything: the greater of what they declare.
    pub(super) fn of_backends(view: &ServiceView, policy: &Policy) -> Self {
        let declared = view.revisions.iter().filter_map(|backend| backend.declared);
        Self {
            basis: declared.max().unwrap_or(0),
            headroom_percent: policy.headroom_percent,
            clamp: policy.clamp,
        }
    }

    /// The part of the whole load that `endpoints` may carry.
    pub fn of(&self, endpoints: u32) -> Share {
        if !self.clamp {
            return if endpoints > 0 {
                Share::WHOLE
            } else {
                Share::ZERO
            };
        }
        // 10000 * 2^32 * 2^32 does not fit 64 bits.
        let carried = WHOLE_WIDE * u128::from(endpoints) * u128::from(self.headroom_percent);
        let share = carried / (100 * u128::from(self.basis.max(1)));
        Share::from_basis_points(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

const WHOLE: u64 = 10_000;
const WHOLE_WIDE: u128 = 10_000;

/// The share and the reason of each candidate, in the order of the candidates.
///
/// They sum to the whole if any candidate has a ready endpoint, else all are zero. With `strict`, quarantined
/// candidates get nothing as long as a normal one or the target has a ready endpoint.
///
/// The result does not depend on the order of the candidates, as long as their names differ.
pub fn shares(
    candidates: &[Candidate<'_>],
    capacity: &Capacity,
    strict: bool,
) -> Vec<(Share, Reason)> {
    let mut split = Split::of_wishes(candidates, capacity);
    split.fill(Reason::FillsIn, |c| {
        c.takes_part().then(|| c.limit(capacity))
    });
    split.fill(Reason::FillsIn, |c| {
        (c.class == Class::Target).then(|| basis_points(capacity.of(c.ready)))
    });
    let failed_may = !(strict && candidates.iter().any(Candidate::takes_part));
    if failed_may {
        split.fill(Reason::QuarantineOverflow, |c| {
            (c.class == Class::Quarantined).then(|| basis_points(capacity.of(c.ready)))
        });
    }
    if split.left > 0 {
        split.overload(failed_may);
    }
    split
        .parts
        .into_iter()
        .map(|(share, reason)| (Share::from_basis_points(share), reason))
        .collect()
}

impl Candidate<'_> {
    /// Whether its wish is heard: it is neither kept out nor empty.
    fn takes_part(&self) -> bool {
        self.ready > 0 && matches!(self.class, Class::Normal | Class::Target)
    }

    /// The most it carries before targets are asked for more than they have soaked.
    fn limit(&self, capacity: &Capacity) -> u64 {
        if self.uncapped {
            return WHOLE;
        }
        let endpoints = match self.class {
            Class::Target => self.soaked,
            Class::Normal | Class::Quarantined | Class::Excluded => self.ready,
        };
        basis_points(capacity.of(endpoints))
    }
}

/// The shares while they are being dealt out.
struct Split<'c, 'n> {
    candidates: &'c [Candidate<'n>],
    /// Indices of the candidates with a ready endpoint, in fill order.
    fill_order: Vec<usize>,
    /// Parallel to `candidates`.
    parts: Vec<(u64, Reason)>,
    /// What nobody carries yet.
    left: u64,
}

impl<'c, 'n> Split<'c, 'n> {
    fn of_wishes(candidates: &'c [Candidate<'n>], capacity: &Capacity) -> Self {
        let mut left = WHOLE;
        let mut parts = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let want = basis_points(candidate.want);
            let limit = candidate.limit(capacity);
            let part = match candidate.class {
                _ if candidate.ready == 0 => (0, Reason::NoEndpoints),
                Class::Excluded => (0, Reason::Excluded),
                Class::Quarantined => (0, Reason::Quarantined),
                _ if want > limit => (limit.min(left), Reason::CapacityCapped),
                _ => (want.min(left), Reason::Policy),
            };
            left -= part.0;
            parts.push(part);
        }
        let mut fill_order: Vec<usize> = (0..candidates.len())
            .filter(|&index| candidates[index].ready > 0)
            .collect();
        fill_order.sort_by_key(|&index| (candidates[index].order, candidates[index].name));
        Self {
            candidates,
            fill_order,
            parts,
            left,
        }
    }

    /// Raises candidates in fill order to what `up_to` allows them, as long as something is left.
    fn fill(&mut self, reason: Reason, up_to: impl Fn(&Candidate<'_>) -> Option<u64>) {
        for &index in &self.fill_order {
            let Some(limit) = up_to(&self.candidates[index]) else {
                continue;
            };
            let (part, why) = &mut self.parts[index];
            let more = limit.saturating_sub(*part).min(self.left);
            if more > 0 {
                *part += more;
                *why = reason;
                self.left -= more;
            }
        }
    }

    /// Gives every ready endpoint the same; excluded ones only where nothing else is ready.
    fn overload(&mut self, failed_may: bool) {
        let others: Vec<usize> =
            self.indices_where(|c| c.takes_part() || (failed_may && c.class == Class::Quarantined));
        let sharing = if others.is_empty() {
            self.indices_where(|_| true)
        } else {
            others
        };
        let counts: Vec<(&str, u64)> = sharing
            .iter()
            .map(|&index| (self.candidates[index].name, self.candidates[index].ready))
            .map(|(name, ready)| (name, u64::from(ready)))
            .collect();
        for (index, share) in sharing.into_iter().zip(apportion(WHOLE, &counts)) {
            self.parts[index] = (share, Reason::OverloadShared);
        }
    }

    fn indices_where(&self, belongs: impl Fn(&Candidate<'_>) -> bool) -> Vec<usize> {
        let mut indices = self.fill_order.clone();
        indices.retain(|&index| belongs(&self.candidates[index]));
        indices
    }
}

/// Divides `whole` in proportion to weights by largest remainder; of equal remainders the smaller name's is served.
///
/// The parts are parallel to `weights` and sum to `whole`, or are all zero where the weights are.
pub(super) fn apportion(whole: u64, weights: &[(&str, u64)]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|(_, weight)| u128::from(*weight)).sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut by_remainder = Vec::with_capacity(weights.len());
    for (index, (name, weight)) in weights.iter().enumerate() {
        let scaled = u128::from(whole) * u128::from(*weight);
        let floor = scaled / total;
        by_remainder.push((std::cmp::Reverse(scaled % total), *name, index));
        parts.push(u64::try_from(floor).expect("a part is at most the whole, which fits"));
    }
    by_remainder.sort_unstable();
    let missing = whole - parts.iter().sum::<u64>();
    // Fewer are missing than there are parts with a remainder, so none is served twice.
    for (&(_, _, index), _) in by_remainder.iter().zip(0..missing) {
        parts[index] += 1;
    }
    parts
}

fn basis_points(share: Share) -> u64 {
    u64::from(share.basis_points())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
