//! The DaemonSet controller: what one look at its nodes makes it do (`manage` and `rollingUpdate`).
//!
//! Without a surge, old pods are deleted while no more than maxUnavailable nodes lack an available pod, and the
//! next look fills the node. With a surge, new pods start beside old ones on at most maxSurge nodes, and an old pod
//! goes when its successor is available. An old pod that is not available is replaced at once; it makes no other
//! wait for a surge, and is one of those that may be missing.

use super::DaemonSetUpdate;
use super::fleet::{Fleet, Phase, Pod};

/// One look of the controller.
pub(super) fn sync(fleet: &mut Fleet, update: DaemonSetUpdate) {
    fleet.make_target(false);
    forget(fleet);
    manage(fleet, update);
    if let DaemonSetUpdate::Rolling { .. } = update {
        let bounds = fleet.workload.controller.bounds(fleet.now.replicas);
        match bounds.map_or((0, 1), |b| (b.surge as usize, b.unavailable as usize)) {
            (0, unavailable) => replace(fleet, unavailable),
            (surge, _) => surge_over(fleet, surge),
        }
    }
}

/// `podsShouldBeOnNode`: a node without any pod gets one; pods too many, and those of nodes that are gone, go.
fn manage(fleet: &mut Fleet, update: DaemonSetUpdate) {
    let nodes = fleet.now.replicas;
    let surge = match update {
        DaemonSetUpdate::Rolling { surge, .. } => surge.ceil(nodes),
        DaemonSetUpdate::OnDelete => 0,
    };
    let stray = fleet.now.active().filter(|pod| pod.slot >= nodes);
    let mut spare: Vec<u32> = stray.map(|pod| pod.serial).collect();
    for node in 0..nodes {
        spare.extend(spare_on(fleet, node, surge > 0));
        // With a surge, a pod that is going does not keep its node from the next one.
        let blocks = |pod: &Pod| pod.slot == node && (pod.is_active() || surge == 0);
        if !fleet.now.pods.iter().any(blocks) {
            fleet.create(fleet.now.template, Some(node));
        }
    }
    for serial in spare {
        fleet.delete(serial);
    }
}

/// Pods that a node has too many: with a surge, all but the oldest of the target and, while that one is needed, the
/// oldest other one; without, all but the oldest.
fn spare_on(fleet: &Fleet, node: u32, has_surge: bool) -> Vec<u32> {
    let pods = fleet.now.active().filter(|pod| pod.slot == node);
    if !has_surge {
        return pods.skip(1).map(|pod| pod.serial).collect();
    }
    let pair = Pair::on(fleet, node);
    let is_needed = |old: &Pod| {
        let is_covered = pair.new.as_ref().is_some_and(|new| fleet.is_available(new));
        pair.new.is_none() || old.phase == Phase::Ready && !is_covered
    };
    let kept = pair.old.as_ref().filter(|old| is_needed(old));
    let kept = [&pair.new, &kept.cloned()].map(|pod| pod.as_ref().map(|pod| pod.serial));
    let serials = pods.map(|pod| pod.serial);
    serials
        .filter(|serial| !kept.contains(&Some(*serial)))
        .collect()
}

/// The oldest pods of a node that have not been deleted: of the target, and of other revisions.
struct Pair {
    new: Option<Pod>,
    old: Option<Pod>,
}

impl Pair {
    fn on(fleet: &Fleet, node: u32) -> Self {
        let oldest = |is_new: bool| {
            let mut pods = fleet.now.active();
            let is_meant =
                |pod: &&Pod| pod.slot == node && (pod.template == fleet.now.template) == is_new;
            pods.find(is_meant).cloned()
        };
        Self {
            new: oldest(true),
            old: oldest(false),
        }
    }
}

fn pairs(fleet: &Fleet) -> impl Iterator<Item = Pair> {
    (0..fleet.now.replicas).map(|node| Pair::on(fleet, node))
}

fn replace(fleet: &mut Fleet, unavailable: usize) {
    let mut missing = 0;
    let mut free: Vec<u32> = Vec::new();
    let mut candidates: Vec<u32> = Vec::new();
    for pair in pairs(fleet) {
        match (&pair.new, &pair.old) {
            (None, Some(old)) if fleet.is_available(old) => candidates.push(old.serial),
            (None, Some(old)) => {
                missing += 1;
                free.push(old.serial);
            }
            (Some(new), None) if fleet.is_available(new) => {}
            _ => missing += 1,
        }
    }
    candidates.truncate(unavailable.saturating_sub(missing));
    for serial in free.into_iter().chain(candidates) {
        fleet.delete(serial);
    }
}

fn surge_over(fleet: &mut Fleet, surge: usize) {
    let mut surging = 0;
    let mut free: Vec<u32> = Vec::new();
    let mut candidates: Vec<u32> = Vec::new();
    for pair in pairs(fleet) {
        match (&pair.new, &pair.old) {
            (Some(_), Some(_)) => surging += 1,
            (None, Some(old)) if fleet.is_available(old) => candidates.push(old.slot),
            (None, Some(old)) => free.push(old.slot),
            (_, None) => {}
        }
    }
    candidates.truncate(surge.saturating_sub(surging));
    for node in free.into_iter().chain(candidates) {
        fleet.create(fleet.now.template, Some(node));
    }
}

/// `cleanupHistory`: revisions that nothing runs.
fn forget(fleet: &mut Fleet) {
    fleet.forget_history(|fleet, r| {
        let now = &fleet.now;
        r.template != now.template && now.pods.iter().all(|pod| pod.template != r.template)
    });
}
