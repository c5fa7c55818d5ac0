//! The Deployment controller: what one look at its ReplicaSets makes it do (`syncDeployment`).
//!
//! A rolling update scales the new ReplicaSet up while there is room below N + maxSurge, or else old ones down, the
//! unhealthy pods first, while N - maxUnavailable pods stay available. Scaling the Deployment itself spreads over
//! all ReplicaSets that have pods, in proportion; that is all a paused Deployment does.

use std::cmp::Reverse;

use super::DeploymentUpdate;
use super::fleet::{Fleet, Phase, Pod, Revision, Template};

/// One look of the Deployment controller, and one of the ReplicaSet controller at each ReplicaSet.
pub(super) fn sync(fleet: &mut Fleet, update: DeploymentUpdate) {
    if fleet.now.paused || is_scaling_event(fleet) {
        // A paused Deployment adopts a ReplicaSet that is there, and creates none.
        if fleet.now.revision(fleet.now.template).is_some() {
            fleet.make_target(true);
        }
        scale(fleet, update);
    } else {
        match update {
            DeploymentUpdate::Rolling { .. } => roll(fleet),
            DeploymentUpdate::Recreate => recreate(fleet),
        }
        if fleet.now.is_complete() {
            let wanted = fleet.now.template;
            fleet.forget_history(|fleet, r| {
                r.template != wanted && r.size == 0 && fleet.active_of(r.template) == 0
            });
        }
    }
    for index in 0..fleet.now.revisions.len() {
        replicate(fleet, index);
    }
}

/// `rolloutRolling`: up, or else down.
fn roll(fleet: &mut Fleet) {
    let is_new = fleet.now.revision(fleet.now.template).is_none();
    fleet.make_target(true);
    let grown = new_size(fleet);
    let target = fleet.now.template;
    if size(fleet, target) != grown {
        resize(fleet, target, grown);
        // A ReplicaSet is created with its first size; that is not yet a scaling.
        if !is_new {
            return;
        }
    }
    shrink_old(fleet);
}

/// `rolloutRecreate`: old ReplicaSets to 0, then nothing while any old pod is there, then the new one.
fn recreate(fleet: &mut Fleet) {
    let target = fleet.now.template;
    if fleet.now.revision(target).is_some() {
        fleet.make_target(true);
    }
    let old: Vec<Template> = active(fleet)
        .map(|r| r.template)
        .filter(|template| *template != target)
        .collect();
    if !old.is_empty() {
        for template in old {
            resize(fleet, template, 0);
        }
        return;
    }
    if fleet.now.pods.iter().any(|pod| pod.template != target) {
        return;
    }
    fleet.make_target(true);
    resize(fleet, target, fleet.now.replicas);
}

/// `NewRSNewReplicas`: as many as fit below the most pods.
fn new_size(fleet: &Fleet) -> u32 {
    let size = size(fleet, fleet.now.template);
    let wanted = fleet.now.replicas;
    let room = most(fleet).saturating_sub(total(fleet));
    if size > wanted {
        wanted
    } else {
        size + room.min(wanted - size)
    }
}

/// `reconcileOldReplicaSets`: unhealthy pods (`cleanupUnhealthyReplicas`), then those beyond what must stay
/// available (`scaleDownOldReplicaSetsForRollingUpdate`); of the oldest ReplicaSet first, both times.
fn shrink_old(fleet: &mut Fleet) {
    let target = fleet.now.template;
    let unavailable = bounds(fleet).1;
    let least = fleet.now.replicas - unavailable;
    let new_unavailable = size(fleet, target).saturating_sub(fleet.available_of(target));
    let mut budget = total(fleet).saturating_sub(least + new_unavailable);
    if budget == 0 {
        return;
    }
    let old: Vec<Template> = active(fleet)
        .map(|r| r.template)
        .filter(|template| *template != target)
        .collect();
    for &template in &old {
        let size = size(fleet, template);
        let unhealthy = size.saturating_sub(fleet.available_of(template));
        let fewer = unhealthy.min(budget);
        budget -= fewer;
        if fewer > 0 {
            resize(fleet, template, size - fewer);
        }
    }
    // ReplicaSets that were made smaller in this look still have all their pods.
    let available = fleet.now.available();
    let mut budget = available.saturating_sub(least);
    for &template in &old {
        let size = size(fleet, template);
        let fewer = size.min(budget);
        budget -= fewer;
        if fewer > 0 {
            resize(fleet, template, size - fewer);
        }
    }
}

/// `isScalingEvent`: a ReplicaSet with pods was last scaled for another number of desired pods.
fn is_scaling_event(fleet: &Fleet) -> bool {
    active(fleet).any(|r| r.scaled_for.0 != fleet.now.replicas)
}

/// `scale`: the one ReplicaSet with pods gets all; of several, each its proportion, and the largest what is left.
fn scale(fleet: &mut Fleet, update: DeploymentUpdate) {
    let wanted = fleet.now.replicas;
    let mut sets: Vec<Revision> = active(fleet).cloned().collect();
    if sets.len() <= 1 {
        // `FindActiveOrLatest`: without pods, the new one, else the youngest.
        let target = fleet.now.revision(fleet.now.template);
        let latest = target.or_else(|| fleet.now.revisions.last());
        if let Some(template) = sets.first().or(latest).map(|r| r.template) {
            resize(fleet, template, wanted);
        }
        return;
    }
    let target = fleet.now.template;
    let is_saturated = fleet.now.revision(target).is_some_and(|r| {
        r.size == wanted && r.scaled_for.0 == wanted && fleet.available_of(target) == wanted
    });
    if is_saturated {
        for set in sets.iter().filter(|r| r.template != target) {
            resize(fleet, set.template, 0);
        }
        return;
    }
    if update == DeploymentUpdate::Recreate {
        return;
    }
    let allowed = if wanted == 0 { 0 } else { most(fleet) };
    let total = i64::from(total(fleet));
    let change = i64::from(allowed) - total;
    // Larger ones first; of equal ones the younger where pods are added, the older where they are taken.
    if change > 0 {
        sets.sort_by_key(|r| (Reverse(r.size), Reverse(r.created)));
    } else {
        sets.sort_by_key(|r| (Reverse(r.size), r.created));
    }
    let mut left = change;
    let mut sizes: Vec<i64> = Vec::new();
    for set in &sets {
        let part = proportion(set, wanted, most(fleet), left);
        left -= part;
        sizes.push(i64::from(set.size) + part);
    }
    if let Some(largest) = sizes.first_mut() {
        *largest += left;
    }
    for (set, size) in sets.iter().zip(sizes) {
        resize(fleet, set.template, u32::try_from(size).unwrap_or(0));
    }
}

/// `GetReplicaSetProportion`: what a ReplicaSet gets of a change of which `left` is not yet dealt.
fn proportion(set: &Revision, wanted: u32, most: u32, left: i64) -> i64 {
    let size = i64::from(set.size);
    let fraction = match (wanted, i64::from(set.scaled_for.1)) {
        (0, _) => -size,
        (_, 0) => 0,
        // Rounded half up; all of it is positive.
        (_, before) => (2 * size * i64::from(most) + before) / (2 * before) - size,
    };
    if left > 0 {
        fraction.clamp(0, left)
    } else {
        fraction.clamp(left, 0)
    }
}

/// The ReplicaSet controller: as many pods as its size says; the worst go first (`ActivePodsWithRanks`).
fn replicate(fleet: &mut Fleet, index: usize) {
    let (template, size) = {
        let set = &fleet.now.revisions[index];
        (set.template, set.size)
    };
    let count = fleet.active_of(template);
    for _ in count..size {
        fleet.create(template, None);
    }
    if count > size {
        let pods = fleet.now.active().filter(|pod| pod.template == template);
        let mut pods: Vec<Pod> = pods.cloned().collect();
        // Not ready before ready, then ready more recently, more restarts, younger.
        pods.sort_by_key(|pod| {
            let is_ready = pod.phase == Phase::Ready;
            let since = is_ready.then_some(Reverse(pod.since));
            (
                is_ready,
                since,
                Reverse((pod.restarts, pod.created, pod.serial)),
            )
        });
        for pod in pods.iter().take((count - size) as usize) {
            fleet.delete(pod.serial);
        }
    }
}

/// `scaleReplicaSet`: a size, and what it was computed for.
fn resize(fleet: &mut Fleet, template: Template, size: u32) {
    let scaled_for = (fleet.now.replicas, most(fleet));
    let revisions = fleet.now.revisions.iter_mut();
    for revision in revisions.filter(|r| r.template == template) {
        revision.size = size;
        revision.scaled_for = scaled_for;
    }
}

/// ReplicaSets with a size, the oldest first.
fn active(fleet: &Fleet) -> impl Iterator<Item = &Revision> {
    fleet.now.revisions.iter().filter(|r| r.size > 0)
}

fn size(fleet: &Fleet, template: Template) -> u32 {
    fleet.now.revision(template).map_or(0, |r| r.size)
}

fn total(fleet: &Fleet) -> u32 {
    active(fleet).map(|r| r.size).sum()
}

fn most(fleet: &Fleet) -> u32 {
    fleet.now.replicas.saturating_add(bounds(fleet).0)
}

/// Surge and unavailable.
fn bounds(fleet: &Fleet) -> (u32, u32) {
    let bounds = fleet.workload.controller.bounds(fleet.now.replicas);
    bounds.map_or((0, 0), |bounds| (bounds.surge, bounds.unavailable))
}
