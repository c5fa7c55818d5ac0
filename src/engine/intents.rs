//! Intents: what a person asks of a roll-out under way, through this server rather than on the Service.
//!
//! [`act`] finds the track that is meant and writes the intent down in the stateless form of annotations, for the
//! revision that is the target at this moment; asked of another revision later, it has no effect. What follows from it
//! is decided by `rollout`.

use std::sync::Arc;

use thiserror::Error;

use super::plan::Plan;
use crate::model::{Intents, Promotion, ServiceKey, ServiceView, Strategy, WorkloadKey};
use crate::rollout::{ChangeKind, Memory, Outcome, State};

/// What a person asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Do not wait any longer: the next step, or the promotion that a blue/green roll-out waits for.
    Promote {
        /// The whole share at once, also for a revision that failed.
        full: bool,
    },
    /// Shift back, as long as this stands.
    Abort,
    /// Stand still, as long as this stands.
    Pause,
    /// Stand still no longer.
    Resume,
    /// Forget that the revision failed or was aborted.
    Retry,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// The workload that rolls; `None`: the backends of the service.
    pub workload: Option<WorkloadKey>,
    /// The revision that it was done for.
    pub target: Arc<str>,
    /// In words: `promoted to step 3 of 4`.
    pub done: String,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IntentError {
    /// Not every kind of object has been read: what rolls is not known.
    #[error("not every kind of object has been read yet; try again in a moment")]
    NotSynced,
    /// There is none of that name.
    #[error("there is no service `{0}`")]
    NoService(ServiceKey),
    /// Every track is Healthy, or the one that was named is.
    #[error("nothing is rolling out")]
    NothingRolls,
    /// No track has a workload of that name.
    #[error("no workload `{name}` is behind the service; there is {known}")]
    NoWorkload {
        /// As it was named.
        name: String,
        /// The workloads there are.
        known: String,
    },
    /// It has to be said which one is meant.
    #[error("several workloads roll out: {names}; name one")]
    SeveralRoll {
        /// Their names.
        names: String,
    },
    /// A ramp has no next step, and shares that follow something else have none either.
    #[error("strategy `{strategy}` has no step to promote to; promote in full")]
    NoSteps {
        /// The strategy in force.
        strategy: &'static str,
    },
    /// The next step would give a failed revision nothing.
    #[error("revision `{hash}` failed; retry it, or promote it in full")]
    Failed {
        /// The revision.
        hash: Arc<str>,
    },
    /// An undo goes as fast as its pods are ready, and asks nobody.
    #[error("revision `{hash}` is where an undo leads: it waits for nothing but ready pods")]
    Undo {
        /// The revision.
        hash: Arc<str>,
    },
    /// Between two Services goes what is written on the one in front of them.
    #[error("which Service is active is written in `{backends}`, or in `{promote}`")]
    Backends {
        /// Where the backends stand: `shiftdns.io/backends`, `spec.backends`.
        backends: String,
        /// Where a promotion does.
        promote: String,
    },
    /// What stands there was not written here.
    #[error("`{place}` names revision `{hash}`; take it away there")]
    Annotated {
        /// The annotation or the field of the ServiceRollout: `shiftdns.io/pause`, `spec.pause`.
        place: String,
        /// The revision.
        hash: Arc<str>,
    },
    /// Nobody paused it here.
    #[error("revision `{hash}` is not paused by hand{}", .note.as_ref().map(|n| format!(": {n}")).unwrap_or_default())]
    NotPaused {
        /// The revision.
        hash: Arc<str>,
        /// Why it stands still otherwise.
        note: Option<String>,
    },
    /// In a cluster it is written where every server reads it, by someone who may.
    #[error("this server follows a cluster and writes nobody's objects; run: {command}")]
    InCluster {
        /// What a person runs.
        command: String,
    },
    /// It was done, and would be forgotten by a restart.
    #[error("done, but it could not be written down: {0}")]
    NotKept(String),
}

/// A track that somebody may mean.
#[derive(Clone, Debug)]
struct Candidate {
    workload: Option<WorkloadKey>,
    state: State,
    kind: ChangeKind,
    hash: Arc<str>,
    step: Option<(u8, u8)>,
    note: Option<String>,
}

/// What stands written, and what has been heard of it.
struct Standing<'a> {
    view: &'a ServiceView,
    strategy: &'a Strategy,
    /// All that is in force: from annotations, and from here.
    in_force: &'a Intents,
    memory: &'a Memory,
    /// What follows is written on the Service or its ServiceRollout, and so it can be taken away there.
    is_written_there: bool,
}

/// Writes the intent down: the intents as they stand afterwards, and what was done.
pub(super) fn act(
    view: &ServiceView,
    outcome: &Outcome,
    memory: &Memory,
    workload: Option<&str>,
    intent: Intent,
) -> Result<(Intents, Acted), IntentError> {
    let meant = meant(view, outcome, workload, intent)?;
    let standing = Standing {
        view,
        strategy: &outcome.policy.strategy,
        in_force: &outcome.policy.intents,
        memory,
        is_written_there: false,
    };
    let mut intents = memory.intents.clone();
    let done = standing.edit(&mut intents, &meant, intent)?;
    forget_past(&mut intents, view, outcome);
    Ok((intents, acted(meant, done)))
}

/// What has to be written on the Service or its ServiceRollout, by someone who may.
pub(super) fn plan(
    view: &ServiceView,
    outcome: &Outcome,
    memory: &Memory,
    workload: Option<&str>,
    intent: Intent,
) -> Result<Plan, IntentError> {
    let meant = meant(view, outcome, workload, intent)?;
    let before = &outcome.policy.intents;
    let standing = Standing {
        view,
        strategy: &outcome.policy.strategy,
        in_force: before,
        memory,
        is_written_there: true,
    };
    let mut intents = before.clone();
    let done = standing.edit(&mut intents, &meant, intent)?;
    let acted = acted(meant, done);
    Ok(Plan::of(view, acted, before, &intents, intent))
}

fn meant(
    view: &ServiceView,
    outcome: &Outcome,
    workload: Option<&str>,
    intent: Intent,
) -> Result<Candidate, IntentError> {
    let candidates: Vec<Candidate> = outcome
        .tracks
        .iter()
        .filter_map(|track| {
            Some(Candidate {
                workload: track.workload_in(view).map(|known| known.key.clone()),
                state: track.state,
                kind: track.kind,
                hash: Arc::clone(&outcome.versions.get(track.target?)?.hash),
                step: track.step,
                note: track.note.clone(),
            })
        })
        .collect();
    if candidates
        .iter()
        .any(|candidate| candidate.workload.is_none())
    {
        let place = |word| view.policy_of.place(word);
        return Err(IntentError::Backends {
            backends: place("backends"),
            promote: place("promote"),
        });
    }
    let meant = choose(&candidates, workload)?;
    if meant.is_undone() && intent != Intent::Resume {
        let hash = Arc::clone(&meant.hash);
        return Err(IntentError::Undo { hash });
    }
    Ok(meant.clone())
}

fn acted(meant: Candidate, done: String) -> Acted {
    Acted {
        workload: meant.workload,
        target: meant.hash,
        done,
    }
}

/// The one that was named, else the only one that rolls.
fn choose<'c>(
    candidates: &'c [Candidate],
    workload: Option<&str>,
) -> Result<&'c Candidate, IntentError> {
    let list = |all: &[&Candidate]| {
        let names: Vec<String> = all.iter().map(|c| format!("`{}`", c.name())).collect();
        names.join(", ")
    };
    let named: Vec<&Candidate> = match workload {
        None => candidates.iter().collect(),
        Some(name) => candidates.iter().filter(|c| c.is_called(name)).collect(),
    };
    if let (Some(name), []) = (workload, named.as_slice()) {
        return Err(IntentError::NoWorkload {
            name: name.to_owned(),
            known: match candidates {
                [] => "none".to_owned(),
                all => list(&all.iter().collect::<Vec<_>>()),
            },
        });
    }
    let rolling: Vec<&Candidate> = named
        .into_iter()
        .filter(|candidate| candidate.state != State::Healthy)
        .collect();
    // A workload scaled to nothing is Unavailable for ever, and beside one that rolls nobody means it.
    let at_work = rolling.iter().filter(|c| c.state != State::Unavailable);
    let at_work: Vec<&Candidate> = at_work.copied().collect();
    match (at_work.as_slice(), rolling.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one),
        ([], []) => Err(IntentError::NothingRolls),
        ([], several) | (several, _) => Err(IntentError::SeveralRoll {
            names: list(several),
        }),
    }
}

impl Candidate {
    /// Kind and name; the namespace is the service's.
    fn name(&self) -> String {
        match &self.workload {
            Some(key) => format!("{}/{}", key.kind, key.name),
            None => "backends".to_owned(),
        }
    }

    /// It is on its way back, whether or not that succeeds.
    fn is_undone(&self) -> bool {
        match self.state {
            State::RollingBack => true,
            State::Degraded => self.kind == ChangeKind::Rollback,
            _ => false,
        }
    }

    /// `web`, or `Deployment/web`.
    fn is_called(&self, name: &str) -> bool {
        let bare = self.workload.as_ref().map(|key| &*key.name);
        bare == Some(name) || self.name().eq_ignore_ascii_case(name)
    }
}

impl Standing<'_> {
    fn edit(
        &self,
        intents: &mut Intents,
        meant: &Candidate,
        intent: Intent,
    ) -> Result<String, IntentError> {
        let hash = &meant.hash;
        match intent {
            Intent::Promote { full: true } => {
                self.refuse_annotated("pause", &self.in_force.pause, &intents.pause, hash)?;
                self.refuse_annotated("abort", &self.in_force.abort, &intents.abort, hash)?;
                drop_hash(&mut intents.pause, hash);
                drop_hash(&mut intents.abort, hash);
                promote(intents, hash, Promotion::Full);
                Ok("promoted in full".to_owned())
            }
            Intent::Promote { full: false } => {
                if matches!(meant.state, State::Aborted | State::Degraded) {
                    let hash = Arc::clone(hash);
                    return Err(IntentError::Failed { hash });
                }
                let (step, done) = self.next_step(meant)?;
                promote(intents, hash, Promotion::Step(step));
                Ok(done)
            }
            Intent::Abort => {
                intents.promote.retain(|(known, _)| known != hash);
                add_hash(&mut intents.abort, hash);
                Ok("aborted".to_owned())
            }
            Intent::Pause => {
                add_hash(&mut intents.pause, hash);
                Ok("paused".to_owned())
            }
            Intent::Resume => {
                self.refuse_annotated("pause", &self.in_force.pause, &intents.pause, hash)?;
                if !intents.pause.contains(hash) {
                    return Err(IntentError::NotPaused {
                        hash: Arc::clone(hash),
                        note: meant.note.clone(),
                    });
                }
                drop_hash(&mut intents.pause, hash);
                Ok("resumed".to_owned())
            }
            Intent::Retry => {
                self.refuse_annotated("abort", &self.in_force.abort, &intents.abort, hash)?;
                drop_hash(&mut intents.abort, hash);
                let number = self.heard(meant).saturating_add(1);
                intents.retry.retain(|(known, _)| known != hash);
                intents.retry.push((Arc::clone(hash), number));
                Ok("retried".to_owned())
            }
        }
    }

    fn next_step(&self, meant: &Candidate) -> Result<(u8, String), IntentError> {
        match self.strategy {
            Strategy::Steps(_) => {
                let (current, count) = meant.step.unwrap_or((0, 0));
                let next = current.saturating_add(1);
                let done = match meant.step {
                    Some(_) if next > count => "promoted past its last step".to_owned(),
                    Some(_) => format!("promoted to step {next} of {count}"),
                    None => format!("promoted to step {next}"),
                };
                Ok((next, done))
            }
            Strategy::BlueGreen { .. } => Ok((1, "promoted".to_owned())),
            other => Err(IntentError::NoSteps {
                strategy: other.as_str(),
            }),
        }
    }

    /// What was written on the Service or its ServiceRollout stands there, whatever is taken away here.
    fn refuse_annotated(
        &self,
        annotation: &'static str,
        in_force: &[Arc<str>],
        here: &[Arc<str>],
        hash: &Arc<str>,
    ) -> Result<(), IntentError> {
        if self.is_written_there {
            return Ok(());
        }
        let written = self.view.annotations.iter();
        let mut written = written.filter(|(key, _)| **key == *annotation);
        let names = |list: &str| list.split(',').any(|entry| entry.trim() == &**hash);
        let stands = written.any(|(_, value)| names(value));
        if stands || (in_force.contains(hash) && !here.contains(hash)) {
            let hash = Arc::clone(hash);
            let place = self.view.policy_of.place(annotation);
            return Err(IntentError::Annotated { place, hash });
        }
        Ok(())
    }

    /// The greatest number of a retry of this revision so far.
    fn heard(&self, meant: &Candidate) -> u32 {
        let tracks = self.memory.tracks.iter();
        let mine = tracks.filter(|track| track.workload == meant.workload);
        let heard = mine.flat_map(|track| &track.retries);
        let standing = self.in_force.retry.iter().chain(&self.memory.intents.retry);
        let numbers = heard.chain(standing);
        let of_target = numbers.filter(|(hash, _)| *hash == meant.hash);
        of_target.map(|(_, number)| *number).max().unwrap_or(0)
    }
}

/// How far a revision is promoted is never taken back.
fn promote(intents: &mut Intents, hash: &Arc<str>, to: Promotion) {
    let known = intents.promote.iter_mut().find(|(known, _)| known == hash);
    match known {
        Some((_, promotion)) => *promotion = to.max(*promotion),
        None => intents.promote.push((Arc::clone(hash), to)),
    }
}

fn add_hash(list: &mut Vec<Arc<str>>, hash: &Arc<str>) {
    if !list.contains(hash) {
        list.push(Arc::clone(hash));
    }
}

fn drop_hash(list: &mut Vec<Arc<str>>, hash: &Arc<str>) {
    list.retain(|known| known != hash);
}

/// Drops what was asked of revisions for which it is over: targets that are stable, and those that are on their way to
/// nowhere and have no pods. A later roll-out of the same revision starts clean.
pub(super) fn forget_past(intents: &mut Intents, view: &ServiceView, outcome: &Outcome) {
    let targets: Vec<(&Arc<str>, State)> = outcome
        .tracks
        .iter()
        .filter_map(|track| Some((&outcome.versions.get(track.target?)?.hash, track.state)))
        .collect();
    let is_at = |hash: &Arc<str>, healthy: bool| {
        let mut tracks = targets.iter();
        tracks.any(|(target, state)| *target == hash && (*state == State::Healthy) == healthy)
    };
    let has_pods = |hash: &Arc<str>| {
        let mut revisions = view.revisions.iter();
        revisions.any(|revision| revision.hash == *hash && revision.pods > 0)
    };
    let stands = |hash: &Arc<str>| is_at(hash, false) || (has_pods(hash) && !is_at(hash, true));
    intents.promote.retain(|(hash, _)| stands(hash));
    intents.pause.retain(stands);
    intents.abort.retain(stands);
    intents.retry.retain(|(hash, _)| stands(hash));
}
