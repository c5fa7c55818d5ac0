//! The one conversion from what the engine reports to what is written into a cluster: statuses in the words of the
//! resource, and Events.

use std::sync::Arc;

use crate::engine::control::Tell;
use crate::engine::{self, Standing};
use crate::kubernetes::resource::{
    Condition, ConditionStatus, RevisionStatus, ServiceRolloutStatus, TrackStatus,
};
use crate::kubernetes::{Notice, Outbox, Report};
use crate::model::Share;
use crate::rollout::State;

/// Puts reports into the outbox.
pub(super) fn tell(outbox: Arc<Outbox>) -> Tell {
    Box::new(move |reports| outbox.put(reports.into_iter().map(report).collect()))
}

fn report(report: engine::Report) -> Report {
    let key = report.service;
    let notice = |notice: engine::Notice| Notice {
        reason: notice.occasion.as_str(),
        is_warning: notice.occasion.is_warning(),
        text: notice.text,
        id: notice.id,
    };
    let status = report.status.map(|told| {
        let version = Arc::clone(&told.version);
        (version, Box::new(status(key.to_string(), *told)))
    });
    Report {
        service: key,
        uid: report.uid,
        status,
        notices: report.notices.into_iter().map(notice).collect(),
    }
}

fn status(service: String, status: engine::Status) -> ServiceRolloutStatus {
    let conditions = conditions(&status).into();
    let engine::Status {
        generation,
        standing,
        revisions,
        tracks,
        memory,
        since,
        ..
    } = status;
    let Standing {
        state,
        reason,
        stable,
        target,
        share,
        ttl,
        ..
    } = standing;
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ServiceRolloutStatus {
        observed_generation: (generation > 0).then_some(generation),
        service: Some(service),
        state: Some(state.as_str().to_owned()),
        since: Some(since),
        reason: text(&reason),
        stable: text(&stable),
        target: text(&target),
        share: Some(percent(share)),
        share_basis_points: Some(share.basis_points().into()),
        ttl: Some(ttl),
        revisions: revisions.into_iter().map(revision).collect(),
        tracks: tracks.into_iter().map(track).collect(),
        memory: Some(memory),
        conditions,
    }
}

/// `Healthy`: nothing is under way and nothing is wrong. `Accepted`: what was written is in force.
fn conditions(status: &engine::Status) -> [Condition; 2] {
    let holds = |holds| match holds {
        true => ConditionStatus::True,
        false => ConditionStatus::False,
    };
    let Standing {
        state,
        reason,
        complaint,
        ..
    } = &status.standing;
    let observed_generation = (status.generation > 0).then_some(status.generation);
    let is_accepted = complaint.is_empty();
    let message = match is_accepted {
        true => "the policy is in force".to_owned(),
        false => complaint.clone(),
    };
    [
        Condition {
            kind: "Accepted".to_owned(),
            status: holds(is_accepted),
            observed_generation,
            last_transition_time: status.accepted_since,
            reason: if is_accepted { "InForce" } else { "Mistaken" }.to_owned(),
            message,
        },
        Condition {
            kind: "Healthy".to_owned(),
            status: holds(*state == State::Healthy),
            observed_generation,
            last_transition_time: status.since,
            reason: state.as_str().to_owned(),
            message: reason.clone(),
        },
    ]
}

fn revision(revision: engine::Revision) -> RevisionStatus {
    RevisionStatus {
        revision: revision.hash.to_string(),
        version: Some(revision.version.to_string()),
        workload: revision.workload.map(|workload| workload.to_string()),
        number: revision.number,
        role: revision.role.map(|role| role.as_str().to_owned()),
        share: Some(percent(revision.share)),
        ready: revision.ready,
        soaked: revision.soaked,
        endpoints: Some(revision.endpoints),
        reason: Some(revision.reason.as_str().to_owned()),
        failed: revision.failed.map(str::to_owned),
    }
}

fn track(track: engine::TrackStatus) -> TrackStatus {
    let hash = |hash: Arc<str>| Some(hash.to_string()).filter(|hash| !hash.is_empty());
    TrackStatus {
        workload: track.workload.map(|workload| workload.to_string()),
        state: track.state.as_str().to_owned(),
        kind: Some(track.kind.as_str().to_owned()),
        since: Some(track.since),
        stable: hash(track.stable),
        target: hash(track.target),
        share: track.share.map(percent),
        step: track.step.map(|(step, _)| step),
        steps: track.step.map(|(_, steps)| steps),
        note: track.note,
    }
}

/// `25%`, `33.33%`: as people write it.
fn percent(share: Share) -> String {
    let (whole, part) = (share.basis_points() / 100, share.basis_points() % 100);
    match part {
        0 => format!("{whole}%"),
        part => format!("{whole}.{part:02}%").replace("0%", "%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_as_people_write_them() {
        let texts = [0, 2500, 3333, 3350, 5, 10_000].map(|points| {
            let share = Share::from_basis_points(points);
            percent(share)
        });
        assert_eq!(texts, ["0%", "25%", "33.33%", "33.5%", "0.05%", "100%"]);
    }
}
