//! The StatefulSet controller: what one look at its pods makes it do (`updateStatefulSet`).
//!
//! First every ordinal has a pod, then pods beyond the last ordinal go, then pods of other revisions, the highest
//! ordinal first. In order, each step waits until every pod is available: so a broken pod blocks what comes after
//! it, a way back too, until someone deletes it.

use super::fleet::{Fleet, Pod, Template};
use super::{PodManagement, StatefulSetUpdate};

/// One look of the controller.
pub(super) fn sync(fleet: &mut Fleet, update: StatefulSetUpdate, management: PodManagement) {
    fleet.make_target(false);
    forget(fleet);
    let is_ordered = management == PodManagement::OrderedReady;
    if fill(fleet, update, is_ordered) || scale_down(fleet, is_ordered) {
        return;
    }
    if let StatefulSetUpdate::Rolling { partition, .. } = update {
        replace(fleet, partition);
        complete(fleet);
    }
}

/// `processReplica` for each ordinal from 0; whether the look ends here.
fn fill(fleet: &mut Fleet, update: StatefulSetUpdate, is_ordered: bool) -> bool {
    for ordinal in 0..fleet.now.replicas {
        match fleet.in_slot(ordinal) {
            None => {
                let template = template_of_new(fleet, update, ordinal);
                fleet.create(template, Some(ordinal));
                if is_ordered {
                    return true;
                }
            }
            Some(pod) if is_ordered && !fleet.is_available(pod) => return true,
            Some(_) => {}
        }
    }
    false
}

/// `newVersionedStatefulSetPod`: below the partition, the current revision.
fn template_of_new(fleet: &Fleet, update: StatefulSetUpdate, ordinal: u32) -> Template {
    match update {
        StatefulSetUpdate::Rolling { partition, .. } if ordinal < partition => fleet.now.current,
        _ => fleet.now.template,
    }
}

/// `processCondemned`, the highest ordinal first; whether the look ends here.
fn scale_down(fleet: &mut Fleet, is_ordered: bool) -> bool {
    let replicas = fleet.now.replicas;
    let pods = fleet.now.pods.iter().filter(|pod| pod.slot >= replicas);
    let mut condemned: Vec<Pod> = pods.cloned().collect();
    condemned.sort_by_key(|pod| std::cmp::Reverse(pod.slot));
    if is_ordered {
        let first_unavailable = condemned.iter().rfind(|pod| !fleet.is_available(pod));
        let first_unavailable = first_unavailable.map(|pod| pod.serial);
        if let Some(pod) = condemned.first() {
            let waits = !pod.is_active()
                || !fleet.is_available(pod) && first_unavailable != Some(pod.serial);
            if !waits {
                fleet.delete(pod.serial);
            }
            return true;
        }
        return false;
    }
    for pod in condemned {
        fleet.delete(pod.serial);
    }
    false
}

/// `updateStatefulSetAfterInvariantEstablished`: as many as may be missing, the highest ordinal first.
///
/// A pod of another revision that is missing already costs nothing: only where pods are managed in parallel can
/// there be one.
fn replace(fleet: &mut Fleet, partition: u32) {
    let bounds = fleet.workload.controller.bounds(fleet.now.replicas);
    let allowed = bounds.map_or(1, |bounds| bounds.unavailable);
    let target = fleet.now.template;
    let ordinals = (0..fleet.now.replicas).rev();
    let pods: Vec<Pod> = ordinals.filter_map(|o| fleet.in_slot(o).cloned()).collect();
    let missing = pods.iter().filter(|pod| !fleet.is_available(pod)).count();
    let mut budget = (allowed as usize).saturating_sub(missing);
    for pod in pods {
        if pod.slot < partition || pod.template == target || !pod.is_active() {
            continue;
        }
        if !fleet.is_available(&pod) {
            fleet.delete(pod.serial);
        } else if budget > 0 {
            budget -= 1;
            fleet.delete(pod.serial);
        }
    }
}

/// `completeRollingUpdate`: all pods are updated and ready, so the target is the current revision.
fn complete(fleet: &mut Fleet) {
    let target = fleet.now.template;
    let is_done = fleet.now.ready(target) == fleet.now.replicas;
    if is_done && fleet.now.active().all(|pod| pod.template == target) {
        fleet.now.current = target;
    }
}

/// `truncateHistory`: revisions that nothing runs and nobody names.
fn forget(fleet: &mut Fleet) {
    fleet.forget_history(|fleet, r| {
        let now = &fleet.now;
        let is_named = r.template == now.template || r.template == now.current;
        !is_named && now.pods.iter().all(|pod| pod.template != r.template)
    });
}
