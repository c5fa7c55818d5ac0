//! The verdict: what a play comes to, in sentences for the person who is about to roll out.
//!
//! Given what was seen, [`verdict()`] tells who set the pace, whether the strategy had its way and, where it had not,
//! what to write so that it will; and what became of a version that failed.

use super::reading::Player;
use super::table;
use super::watch::{Forced, Seen};
use super::{END_OF_CRASHES, Fail, Flags, counted};
use crate::cli::recipe::{Needs, needs};
use crate::model::{OnFailure, Share};
use crate::rollout::State;
use crate::rollout::controllers::{
    Controller, DaemonSetUpdate, DeploymentUpdate, PodManagement, StatefulSetUpdate,
};

/// What the roll-out comes to.
pub(super) fn verdict(player: &Player, flags: &Flags, seen: &Seen) -> Vec<String> {
    let Some(last) = seen.aims.last().and_then(Option::as_ref) else {
        return Vec::new();
    };
    // Since pods were last sent another way.
    let since = seen.aims.iter().rev();
    let since = since.take_while(|aim| aim.as_ref().is_some_and(|aim| aim.hash == last.hash));
    let mut steps: Vec<Share> = since.flatten().map(|aim| aim.capacity).collect();
    steps.dedup();
    steps.reverse();
    let names = table::names(&seen.rows);
    let name = |hash: &str| {
        let name = names.iter().find(|(known, _)| known == hash);
        name.map_or("the new version", |(_, name)| name)
    };
    // The version that was rolled out, whatever was undone later.
    let rolled = seen.aims.iter().flatten().rev();
    let rolled = rolled.max_by_key(|aim| names.iter().position(|(hash, _)| *hash == aim.hash));
    let rolled = rolled.map_or("the new version", |aim| name(&aim.hash));
    let mut lines = vec![moves(name(&last.hash), &steps), pace(player)];
    let is_stuck = last.capacity < Share::WHOLE;
    if flags.fail == Some(Fail::CrashLoop) && flags.undo_at.is_none() {
        lines.push(format!(
            "A crash loop has no end; this is its first {END_OF_CRASHES} s."
        ));
    }
    if player.is_paused {
        lines.push("It is paused: nothing moves before `kubectl rollout resume`.".to_owned());
    } else if is_stuck && steps.iter().all(|step| *step == Share::ZERO) {
        let name = name(&last.hash);
        lines.push(format!(
            "{name} never gets a ready pod, so the roll-out stops where no more old pods may be missing."
        ));
    }
    lines.extend(strategy(player, rolled, seen));
    lines.extend(failure(rolled, seen));
    lines
}

/// Whether the strategy had its way.
fn strategy(player: &Player, name: &str, seen: &Seen) -> Vec<String> {
    let Some(needs) = needs(&seen.policy) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Some(Forced { at, .. }) = &seen.forced
        && needs.waits
        && needs.lacks(&player.workload).is_empty()
    {
        lines.push(format!(
            "{name} has to be promoted before {at} s (`shiftdns promote`): then the old pods are gone."
        ));
        return lines;
    }
    if let Some(forced) = &seen.forced {
        lines.push(no_op(&needs, forced, name));
        lines.push(String::new());
        lines.extend(needs.recipe(&player.workload));
    } else if let Some(at) = seen.whole_at {
        let what = the(&needs);
        lines.push(format!(
            "{what} real: {name} has everything at {at} s, and not before the strategy says so."
        ));
    }
    if let Some((State::Paused, Some(note))) = &seen.end
        && note.contains("promoted")
    {
        lines.push(format!("{name} waits: `shiftdns promote` goes on."));
    }
    lines
}

fn no_op(needs: &Needs, forced: &Forced, name: &str) -> String {
    // Where that comes in two steps, the last one tells more.
    let (at, share, wanted) = match forced.whole {
        Some((at, wanted)) => (at, Share::WHOLE, wanted),
        None => (forced.at, forced.share, forced.wanted),
    };
    let what = the(needs);
    // Where the strategy gave it less than half of what it had, the strategy did nothing worth its name.
    let had_a_say = 2 * forced.wanted.basis_points() >= forced.share.basis_points();
    let verdict = match had_a_say && !needs.is_flip {
        true => "cut short",
        false => "a no-op",
    };
    let (share, wanted) = (percent(share), percent(wanted));
    format!(
        "{what} {verdict}: at {at} s {name} has {share} where the strategy gives it {wanted} (fills-in), because \
         the old pods are gone."
    )
}

/// `The ramp of 10m is`.
fn the(needs: &Needs) -> String {
    format!("The {} {}", needs.what, needs.verb())
}

/// What became of a version that failed.
fn failure(name: &str, seen: &Seen) -> Option<String> {
    let (at, cause) = seen.failed?;
    let cause = cause.as_str();
    let (guarded, hold) = (
        seen.policy.guarded,
        seen.policy.on_failure == OnFailure::Hold,
    );
    let told = match (guarded, hold) {
        (false, _) => {
            "Nobody asked for a strategy, so shares follow its pods; `shiftdns.io/on-failure: shift-back` keeps it out."
        }
        (true, true) => "It keeps what it has, and gets no more.",
        (true, false) => {
            "Its share is shifted back, and stays there although its pods get ready again, until someone undoes it, or \
             asks for it by `shiftdns retry` or `shiftdns promote`."
        }
    };
    Some(format!("{name} fails at {at} s: {cause}. {told}"))
}

/// `37.50%`, `100%`.
fn percent(share: Share) -> String {
    match share.basis_points() % 100 {
        0 => format!("{}%", share.basis_points() / 100),
        _ => share.to_string(),
    }
}

/// More steps than that are told by their first and last.
const STEPS_TOLD: usize = 8;

fn moves(alias: &str, steps: &[Share]) -> String {
    let mut words: Vec<String> = steps.iter().copied().map(percent).collect();
    if words.len() > STEPS_TOLD {
        let last = words.split_off(words.len() - 2);
        words.truncate(STEPS_TOLD - 3);
        words.push("...".to_owned());
        words.extend(last);
    }
    let path = words.join(" -> ");
    match steps.len().saturating_sub(1) {
        0 => format!("The capacity of {alias} stays at {path}."),
        1 => format!("The capacity of {alias} moves in 1 step: {path}."),
        count => format!("The capacity of {alias} moves in {count} steps: {path}."),
    }
}

/// Who sets the pace.
fn pace(player: &Player) -> String {
    let workload = &player.workload;
    let pods = workload.replicas;
    let bounds = workload.controller.bounds(pods);
    let (surge, unavailable) = bounds.map_or((0, 0), |b| (b.surge, b.unavailable));
    match workload.controller {
        Controller::Deployment(DeploymentUpdate::Rolling { .. }) => format!(
            "The Deployment sets the pace: at most {surge} more and {unavailable} fewer than {}.",
            counted(pods, "pod")
        ),
        Controller::Deployment(DeploymentUpdate::Recreate) => {
            "The Deployment is recreated: no new pod starts before the last old one is gone.".into()
        }
        Controller::StatefulSet {
            update: StatefulSetUpdate::Rolling { partition, .. },
            management,
        } => {
            let order = match management {
                PodManagement::OrderedReady => "each pod waits for those before it",
                PodManagement::Parallel => "all at once within that",
            };
            let stay = match partition.min(pods) {
                0 => String::new(),
                stay => format!(
                    "\nThe {} below the partition stay as they are.",
                    counted(stay, "pod")
                ),
            };
            format!(
                "The StatefulSet sets the pace: at most {unavailable} of {} missing, the highest ordinal first; \
                 {order}.{stay}",
                counted(pods, "pod")
            )
        }
        Controller::DaemonSet(DaemonSetUpdate::Rolling { .. }) => match surge {
            0 => format!(
                "The DaemonSet sets the pace: at most {unavailable} of {} without an available pod.",
                counted(pods, "node")
            ),
            _ => format!(
                "The DaemonSet sets the pace: at most {surge} of {} run both versions.",
                counted(pods, "node")
            ),
        },
        Controller::StatefulSet { .. } | Controller::DaemonSet(DaemonSetUpdate::OnDelete) => {
            "OnDelete: a pod is replaced when someone deletes it.".into()
        }
    }
}
