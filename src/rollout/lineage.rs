//! Lineage: which revision a workload rolls to, which one it comes from, and what kind of change that is.
//!
//! Given the revisions of a workload, how many endpoints of each are ready and what is remembered, [`lineage()`] tells
//! target, stable revision and kind. Numbers order roll-outs and ages order revisions: an undo gives an old revision a
//! new number, so a target that is not the youngest is a roll-back, whatever tool made it.

use super::ChangeKind;
use super::memory::TrackMemory;
use crate::model::{Revision, ServiceView, Workload};

/// Where a workload comes from and goes to: indices into the view's revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    pub(super) target: usize,
    pub(super) stable: usize,
    pub(super) kind: ChangeKind,
    /// Other revisions than the target have ready endpoints.
    pub(super) others_up: bool,
}

pub(super) fn revisions_of(view: &ServiceView, workload: usize) -> impl Iterator<Item = usize> {
    let revisions = view.revisions.iter().enumerate();
    revisions
        .filter(move |(_, revision)| revision.workload == Some(workload))
        .map(|(index, _)| index)
}

/// `None` where no revision of the workload is known. `up` counts ready targets by version.
pub(super) fn lineage(
    view: &ServiceView,
    workload: usize,
    up: &[u32],
    known: Option<&TrackMemory>,
) -> Option<Lineage> {
    let revision = |index: usize| &view.revisions[index];
    let newest = |index: &usize| (revision(*index).number, revision(*index).created);
    let target = revisions_of(view, workload).max_by_key(newest)?;
    let others: Vec<usize> = revisions_of(view, workload)
        .filter(|&other| other != target)
        .collect();
    let others_up = others.iter().any(|&other| up[other] > 0);
    // Of one without a number only pods have been seen so far. It is newer than those that have one, and nobody comes
    // from there.
    let is_told =
        |other: usize| revision(other).number.is_some() || revision(target).number.is_none();
    let most_ready = others
        .iter()
        .copied()
        .filter(|&other| up[other] > 0 && is_told(other))
        .max_by_key(|&other| (up[other], std::cmp::Reverse(revision(other).number)));
    // A remembered revision that is gone altogether is nobody's way back.
    let remembered = known.and_then(|known| {
        revisions_of(view, workload).find(|&index| revision(index).hash == known.stable)
    });
    let declared = &view.workloads[workload];
    // Objects arrive one by one: a workload that is complete without a ready pod of its target has not heard of it.
    let is_complete = declared.complete && up[target] > 0;
    let stable = remembered.unwrap_or(match most_ready {
        Some(other) if !is_complete => other,
        _ => target,
    });
    let from = match stable == target {
        true => others.iter().copied().max_by_key(newest),
        false => Some(stable),
    };
    let others: Vec<&Revision> = others.into_iter().map(revision).collect();
    let mut kind = kind(revision(target), &others, from.map(revision), known);
    let alone = others.iter().all(|other| other.pods == 0);
    if stable == target && alone && kind != ChangeKind::Initial {
        kind = at_rest(kind, revision(target), declared);
    }
    Some(Lineage {
        target,
        stable,
        kind,
        others_up,
    })
}

/// What leads from `from` to the target, `others` being all revisions but the target.
fn kind(
    target: &Revision,
    others: &[&Revision],
    from: Option<&Revision>,
    known: Option<&TrackMemory>,
) -> ChangeKind {
    if others.iter().any(|other| is_younger(other, target)) {
        return ChangeKind::Rollback;
    }
    if target.reused {
        return ChangeKind::Reroll;
    }
    // With its history gone an old template comes back as a new revision of the same hash.
    let seen = known.map_or(&[][..], |known| &known.seen[..]);
    let order = seen.iter().position(|hash| *hash == target.hash);
    if order.is_some_and(|order| order + 1 < seen.len()) {
        return ChangeKind::Rollback;
    }
    let Some(from) = from else {
        return ChangeKind::Initial;
    };
    let is_same_version = from.label == target.label && from.images == target.images;
    match (from.template, target.template) {
        (Some(one), Some(other)) if one == other => ChangeKind::Restart,
        (Some(_), Some(_)) if is_same_version && target.images.is_some() => ChangeKind::ConfigOnly,
        _ => ChangeKind::Update,
    }
}

/// Nothing rolls: perhaps it scales.
fn at_rest(kind: ChangeKind, target: &Revision, workload: &Workload) -> ChangeKind {
    match target.pods == workload.replicas {
        true => kind,
        false => ChangeKind::Scale,
    }
}

/// Without an age nothing is younger: what is not known is not called a roll-back.
fn is_younger(one: &Revision, other: &Revision) -> bool {
    match (one.created, other.created) {
        (Some(one), Some(other)) => one > other,
        _ => false,
    }
}
