//! SRV sets, encoded: what each record weighs, and the addresses of the targets.
//!
//! Where `glue` is asked for, it tells what a record's target is called and which addresses it has; `None` for a target
//! that no DNS name fits.

use std::net::IpAddr;

use super::kept::{Kept, Sticky};
use super::weights::{Group, record_weights, srv_weights};
use crate::records::{self, SrvTarget, TargetPort};
use crate::wire::{Name, Srv, SrvBuilder};

/// SRV sets stay below this many octets, so that header, question and OPT still fit in a message of 65,535.
const SRV_BYTES_MAX: usize = 65_000;
/// The weight of records among which nothing is to be chosen.
const WEIGHT_ALONE: u16 = 256;

/// The set, if it has a record, and how many did not fit. `hosts` is how many hosts the service has.
pub(super) fn encode_srv<'a>(
    records: &[records::Srv],
    ttl: u32,
    hosts: usize,
    glue: impl Fn(SrvTarget) -> Option<(&'a Name, &'a [IpAddr])>,
) -> (Option<Srv>, usize) {
    let targets = records.iter().filter_map(|record| glue(record.target));
    let targets_len = targets.map(|(target, _)| target.as_wire().len()).sum();
    let mut builder = SrvBuilder::with_capacity(records.len(), targets_len);
    let mut with_glue = vec![false; hosts.max(1)];
    let mut left_out = 0;
    for (record, weight) in records.iter().zip(weights(records)) {
        let Some((target, addresses)) = glue(record.target) else {
            continue;
        };
        if builder.len() + target.as_wire().len() + 18 > SRV_BYTES_MAX {
            left_out += 1;
            continue;
        }
        let host = match record.target {
            SrvTarget::Service => 0,
            SrvTarget::Host(index) => index,
        };
        let first = with_glue
            .get_mut(host)
            .is_some_and(|seen| !std::mem::replace(seen, true));
        let glue = if first { addresses } else { &[] };
        builder.push(ttl, weight, record.port, target, glue, ttl);
    }
    ((!builder.is_empty()).then(|| builder.build()), left_out)
}

/// The weight of each record: its version's share, divided among the version's records by their factors.
pub(super) fn weights(records: &[records::Srv]) -> Vec<u16> {
    // Records are ordered by version.
    let versions = || records.chunk_by(|a, b| a.version == b.version);
    let of = |run: &[records::Srv]| {
        let share = run.first().map_or(0, |record| record.share).max(1);
        (u64::from(share), run.len() as u64)
    };
    let alike = |run: &[records::Srv]| {
        let mut neighbours = run.windows(2);
        neighbours.all(|pair| matches!(pair, [a, b] if a.factor == b.factor))
    };
    let first = versions().next().map_or((1, 1), of);
    // Without shares every record weighs the same, however the versions divide them.
    let even = records.iter().all(|record| record.share == 0)
        || versions().all(|run| alike(run) && records::weigh_alike(first, of(run)));
    if even {
        return srv_weights(&vec![1; records.len()]);
    }
    let factors: Vec<u8> = records.iter().map(|record| record.factor).collect();
    let mut rest: &[u8] = &factors;
    let groups: Vec<Group<'_>> = versions()
        .map(|run| {
            let (factors, behind) = rest.split_at(run.len());
            rest = behind;
            let (share, _) = of(run);
            Group { share, factors }
        })
        .collect();
    srv_weights(&record_weights(&groups))
}

/// The records of one port, or of all (`None`), of which a client keeps one target's; `None` if there are none.
pub(super) fn kept_srv<'a>(
    sticky: &records::Sticky,
    port: Option<usize>,
    ttl: u32,
    counts: &[u32],
    glue: impl Fn(SrvTarget) -> Option<(&'a Name, &'a [IpAddr])>,
) -> Option<Kept> {
    let mut builder = SrvBuilder::default();
    let sticky = Sticky::new(sticky, counts, |target| {
        let mut seen: Vec<(usize, u16)> = Vec::new();
        for TargetPort { name, host, number } in &target.ports {
            let is_asked = port.is_none() || *name == port;
            if !is_asked || seen.contains(&(*host, *number)) {
                continue;
            }
            let Some((of, addresses)) = glue(SrvTarget::Host(*host)) else {
                continue;
            };
            // Nothing else is in the answer, so nothing else has brought the addresses along.
            let first = seen.iter().all(|(other, _)| other != host);
            let glue = if first { addresses } else { &[] };
            builder.push(ttl, WEIGHT_ALONE, *number, of, glue, ttl);
            seen.push((*host, *number));
        }
        u16::try_from(seen.len()).unwrap_or(u16::MAX)
    })?;
    let records = builder.build();
    Some(Kept { sticky, records })
}
