//! `simulate`: what an update of these manifests would do to the shares of a service, second by second.
//!
//! The update is played by the upstream controllers' own arithmetic ([`crate::rollout::controllers`]); the objects of
//! each second go through the same index and the same evaluation as those of a cluster, with the second as the time.
//! Nothing is served and no clock is read, so the same file always gives the same table.

pub(super) mod reading;
mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::Value;

use super::check::resets;
use crate::model::{Policy, Problem, ServiceKey, ServiceView, Share, WorkloadKey};
use crate::objects::{Index, Object, Settings};
use crate::rollout::controllers::{
    Controller, DaemonSetUpdate, DeploymentUpdate, Event, Failure, PodManagement, Second, Snapshot,
    Start, StatefulSetUpdate, Template, play,
};
use crate::rollout::{self, Memory, Outcome};
use reading::{Cast, Player};
use table::{Cell, Row};

/// What to play.
#[derive(Args, Clone, Debug)]
pub(super) struct Flags {
    /// Manifests: a Service with its Deployment, StatefulSet or DaemonSet; pods and slices are made up
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The service to watch, where the file has several
    #[arg(long, value_name = "NS/SERVICE", value_parser = super::service_key)]
    pub(super) service: Option<ServiceKey>,
    /// The workload to update, where several stand behind the service; by default the last in the file
    #[arg(long, value_name = "NAME")]
    pub(super) workload: Option<String>,
    /// What changes at second 0; by default the version label, or the image where there is none
    #[arg(long, value_enum)]
    pub(super) update: Option<Update>,
    /// The new version fails
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "never-ready"
    )]
    pub(super) fail: Option<Fail>,
    /// `kubectl rollout undo`, so long after the update
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) undo_at: Option<u32>,
    /// From its creation until a pod is ready
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10s")]
    pub(super) ready_after: u32,
}

/// What an update changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Update {
    /// The tag of the first container's image.
    Image,
    /// The label that names the version.
    Version,
    /// Nothing: the workload is created at second 0.
    Create,
}

/// How a new version fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fail {
    /// Its pods never become ready.
    NeverReady,
    /// Its pods crash five seconds after they became ready, again and again.
    CrashLoop,
}

/// Reads `30s`, `5m` or a bare number of seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let (number, factor) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => (text, 1),
    };
    let secs = number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    secs.filter(|secs| *secs <= DAY_SECS)
        .ok_or_else(|| format!("`{text}` is not a time such as 30s or 5m, up to a day"))
}

const DAY_SECS: u32 = 86_400;

/// No update of a thousand pods, one by one, is longer.
const END: Second = 1_000_000_000;

/// A crash loop has no end; by then it has shown what it does.
const END_OF_CRASHES: Second = 120;

/// How often shares may move although no object does (an epoch tick), and for how long that is looked for at the end.
const TICK_SECS: Second = 5;
const SETTLE_SECS: Second = 600;

/// Reads the file and tells its play: the text, or what is wrong with the file.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn simulate(flags: &Flags) -> anyhow::Result<Result<String, Vec<Problem>>> {
    let path: &Path = &flags.file;
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(tell((&path.to_string_lossy(), &text), flags))
}

/// The play of a text of manifests, read from `file`.
fn tell((file, text): (&str, &str), flags: &Flags) -> Result<String, Vec<Problem>> {
    let epoch = Timestamp::UNIX_EPOCH;
    let service = flags.service.as_ref();
    let mut cast = reading::read((file, text), service, (epoch, flags.ready_after))?;
    let rolls = roller(&cast, flags)?;
    let plot = plot(&cast, rolls, flags).map_err(|problem| vec![problem])?;
    let player = &mut cast.workloads[rolls];
    player.stage.templates.extend(plot.template.clone());
    let seen = watch(&cast, rolls, &plot).map_err(|error| {
        // The manifest was an object before pods were made of it.
        vec![cast.workloads[rolls].problem(format!("cannot be played: {error}"))]
    })?;
    if seen.rows.is_empty() {
        let nameless = Problem::of_service(&cast.key, "gets no names".to_owned());
        let nameless = nameless.at(cast.service.origin().as_ref());
        return Err(seen.problems.into_iter().chain([nameless]).collect());
    }
    let mut told = title(&cast, rolls, flags, &seen);
    told.push('\n');
    told += &table::table(&seen.rows);
    told.push('\n');
    for line in conclusions(&cast.workloads[rolls], flags.fail, &seen) {
        told += &line;
        told.push('\n');
    }
    for problem in &seen.problems {
        told += &format!("problem: {problem}\n");
    }
    Ok(told)
}

/// The index of the workload that is updated.
fn roller(cast: &Cast, flags: &Flags) -> Result<usize, Vec<Problem>> {
    let Some(name) = &flags.workload else {
        return Ok(cast.workloads.len().saturating_sub(1));
    };
    let mut workloads = cast.workloads.iter();
    workloads
        .position(|player| player.stage.name == *name)
        .ok_or_else(|| {
            let names: Vec<&str> = cast
                .workloads
                .iter()
                .map(|p| p.stage.name.as_str())
                .collect();
            let text = format!(
                "no workload `{name}` stands behind it; there is {}",
                names.join(", ")
            );
            vec![Problem::of_service(&cast.key, text).at(cast.service.origin().as_ref())]
        })
}

/// What is done to the workload that is updated.
struct Plot {
    start: Start,
    events: Vec<(Second, Event, String)>,
    /// The new template, number 1.
    template: Option<Value>,
    until: Second,
}

const OLD: Template = Template(0);
const NEW: Template = Template(1);

fn plot(cast: &Cast, rolls: usize, flags: &Flags) -> Result<Plot, Problem> {
    let player = &cast.workloads[rolls];
    let old = &player.stage.templates[0];
    let mut labels = cast.version_labels.iter();
    let label = labels.find(|key| old["metadata"]["labels"][key.as_str()].is_string());
    let update = flags.update.unwrap_or(match label {
        Some(_) => Update::Version,
        None => Update::Image,
    });
    let mut events = Vec::new();
    if player.is_paused {
        events.push((0, Event::Pause, "paused".to_owned()));
    }
    let (start, template, fails) = match update {
        Update::Create => {
            events.push((0, Event::Resume, "created".to_owned()));
            (Start::Created(OLD), None, OLD)
        }
        Update::Image | Update::Version => {
            let (template, what) = match update {
                Update::Image => with_next_image(old),
                _ => with_next_version(old, label),
            }
            .map_err(|text| player.problem(text))?;
            events.push((0, Event::Update(NEW), what));
            (Start::AtRest(OLD), Some(template), NEW)
        }
    };
    let mut until = END;
    let fail = flags.fail.map(|fail| match fail {
        Fail::NeverReady => (Failure::NeverReady, "its pods never get ready"),
        Fail::CrashLoop => {
            until = END_OF_CRASHES;
            (
                Failure::CrashLoop { after_secs: 5 },
                "its pods crash after 5 s",
            )
        }
    });
    if let Some((failure, what)) = fail {
        events.push((0, Event::Fail(fails, failure), what.to_owned()));
    }
    if let Some(at) = flags.undo_at {
        if template.is_none() || player.is_paused {
            let text = match player.is_paused {
                true => "is paused: `kubectl rollout undo` is refused; leave out `--undo-at`",
                false => {
                    "has just been created: there is nothing to go back to; leave out `--undo-at`"
                }
            };
            return Err(player.problem(text));
        }
        events.push((at.into(), Event::Undo, "undo".to_owned()));
    }
    Ok(Plot {
        start,
        events,
        template,
        until,
    })
}

/// The template with the next version in its version label, and what a person calls that.
pub(super) fn with_next_version(
    old: &Value,
    label: Option<&String>,
) -> Result<(Value, String), String> {
    let mut template = old.clone();
    let slot = label.map(|key| &mut template["metadata"]["labels"][key.as_str()]);
    let slot = slot.ok_or("the pod template has no version label; use `--update image`")?;
    let (from, to) = step(slot);
    let what = format!("version {from} -> {to}");
    *slot = to.into();
    Ok((template, what))
}

fn with_next_image(old: &Value) -> Result<(Value, String), String> {
    let mut template = old.clone();
    let slot = template.pointer_mut("/spec/containers/0/image");
    let slot = slot.ok_or("the pod template has no container with an image")?;
    let image = slot.as_str().unwrap_or_default().to_owned();
    let named = image
        .split_once('@')
        .map_or(image.as_str(), |(named, _)| named);
    let (name, tag) = match named.rsplit_once(':') {
        // What stands behind a colon before a slash is a port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (named, "latest"),
    };
    let next = next(tag);
    *slot = format!("{name}:{next}").into();
    Ok((template, format!("image {tag} -> {next}")))
}

fn step(slot: &Value) -> (String, String) {
    let from = slot.as_str().unwrap_or_default();
    (from.to_owned(), next(from))
}

/// `v1` and `v2`, `1.4.9` and `1.4.10`; what does not end in a number gets one.
fn next(version: &str) -> String {
    let name = version.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = version[name.len()..].parse::<u32>().ok();
    match number.and_then(|number| number.checked_add(1)) {
        Some(number) => format!("{name}{number}"),
        None => format!("{version}-2"),
    }
}

/// What was seen of a play.
#[derive(Default)]
struct Seen {
    rows: Vec<Row>,
    /// The version that pods were moved to, at each row.
    aims: Vec<Option<Aim>>,
    /// How many ready pods carry everything.
    basis: u32,
    /// What could not be obeyed at the end.
    problems: Vec<Problem>,
}

/// The target of the workload that is updated.
#[derive(Clone, PartialEq, Eq)]
struct Aim {
    hash: String,
    capacity: Share,
}

/// Plays all workloads and looks at the service at every second with a reason, and at every tick.
fn watch(cast: &Cast, rolls: usize, plot: &Plot) -> Result<Seen, serde_json::Error> {
    let events: Vec<(Second, Event)> = plot.events.iter().map(|(at, e, _)| (*at, *e)).collect();
    let workloads = cast.workloads.iter().enumerate();
    let timelines: Vec<Vec<Snapshot>> = workloads
        .map(|(index, player)| match index == rolls {
            true => play(&player.workload, plot.start, &events, plot.until),
            false => play(&player.workload, Start::AtRest(OLD), &[], 0),
        })
        .collect();
    let before = match plot.start {
        Start::AtRest(_) => play(&cast.workloads[rolls].workload, plot.start, &[], 0).pop(),
        Start::Created(_) => None,
    };

    let mut camera = Camera::new(cast, rolls);
    if before.is_some() || cast.workloads.len() > 1 {
        let objects = objects(cast, |index| match index == rolls {
            true => before.as_ref(),
            false => timelines[index].first(),
        })?;
        camera.set(objects);
        camera.look(-1, "rest".to_owned(), String::new());
    }
    let rolled = &timelines[rolls];
    let last = rolled.last().map_or(0, |snapshot| snapshot.at);
    let mut snapshots = rolled.iter().peekable();
    let mut second = 0;
    while second <= last + SETTLE_SECS {
        let mut changed = None;
        while let Some(snapshot) = snapshots.next_if(|snapshot| snapshot.at <= second) {
            changed = Some(snapshot);
        }
        if let Some(snapshot) = changed {
            camera.set(objects(cast, |index| match index == rolls {
                true => Some(snapshot),
                false => timelines[index].first(),
            })?);
        }
        let done = plot.events.iter().filter(|(at, _, _)| *at == second);
        let done: Vec<&str> = done.map(|(_, _, what)| what.as_str()).collect();
        camera.look(second, second.to_string(), done.join("; "));
        let tick = (second / TICK_SECS + 1) * TICK_SECS;
        let event = plot
            .events
            .iter()
            .map(|(at, _, _)| *at)
            .filter(|at| *at > second);
        let next = snapshots.peek().map(|snapshot| snapshot.at);
        // Where nothing moves by the clock yet, what lies far away is gone to directly.
        let near = Some(tick).filter(|tick| next.is_none_or(|next| next - tick < SETTLE_SECS));
        second = event.chain(next).chain(near).min().unwrap_or(tick);
    }
    Ok(camera.seen)
}

/// The objects of all workloads at a second; a workload without a snapshot does not exist yet.
fn objects<'s>(
    cast: &Cast,
    snapshot: impl Fn(usize) -> Option<&'s Snapshot>,
) -> Result<Vec<Object>, serde_json::Error> {
    let mut objects = vec![cast.service.clone()];
    for (index, player) in cast.workloads.iter().enumerate() {
        if let Some(snapshot) = snapshot(index) {
            objects.extend(player.stage.objects(snapshot)?);
        }
    }
    Ok(objects)
}

/// Looks at a service as the server would.
struct Camera<'c> {
    cast: &'c Cast,
    rolls: WorkloadKey,
    index: Index,
    memory: Memory,
    seen: Seen,
}

impl<'c> Camera<'c> {
    fn new(cast: &'c Cast, rolls: usize) -> Self {
        let stage = &cast.workloads[rolls].stage;
        Self {
            cast,
            rolls: WorkloadKey {
                kind: stage.kind,
                namespace: stage.namespace.as_str().into(),
                name: stage.name.as_str().into(),
            },
            index: Index::new(Settings::default()),
            memory: Memory::default(),
            seen: Seen::default(),
        }
    }

    fn set(&mut self, objects: Vec<Object>) {
        for change in resets(objects) {
            self.index.apply(change);
        }
        // The marks are for those who evaluate what changed; this is one service, looked at every time.
        self.index.take_dirty();
    }

    fn look(&mut self, second: Second, at: String, event: String) {
        let Some(joined) = self.index.view(&self.cast.key) else {
            return;
        };
        // What is wrong for a moment (a weight for a version that has yet to come) shows in the rows.
        self.seen.problems = joined.problems;
        let Some(view) = joined.view else {
            return;
        };
        let moment = self.cast.workloads[0].stage.moment(second);
        let outcome = rollout::evaluate(&view, &Policy::default(), &self.memory, moment);
        let versions = outcome.versions.iter();
        let cells = versions.map(|version| Cell {
            hash: version.hash.to_string(),
            alias: version.alias.to_string(),
            pods: version
                .revision
                .map_or(0, |index| view.revisions[index].pods),
            ready: version.ready,
            share: version.share.to_string(),
            reason: version.reason.as_str(),
        });
        let row = Row {
            at,
            cells: cells.collect(),
            state: outcome.state.as_str(),
            event,
        };
        let workloads = view
            .workloads
            .iter()
            .filter(|workload| workload.replicas > 0);
        let basis: u32 = workloads.map(|workload| workload.capacity_basis()).sum();
        self.seen.basis = basis.max(1);
        self.seen.problems.extend(outcome.problems.iter().cloned());
        let is_same = self
            .seen
            .rows
            .last()
            .is_some_and(|last| last.looks_like(&row));
        if !is_same || !row.event.is_empty() {
            let aim = aim(&outcome, &view, &self.rolls, self.seen.basis);
            self.seen.aims.push(aim);
            self.seen.rows.push(row);
        }
        self.memory = outcome.memory;
    }
}

fn aim(outcome: &Outcome, view: &ServiceView, rolls: &WorkloadKey, basis: u32) -> Option<Aim> {
    let mut tracks = outcome.tracks.iter();
    let track = tracks.find(|track| track.workload_in(view).is_some_and(|w| w.key == *rolls))?;
    let version = &outcome.versions[track.target?];
    let capacity = u64::from(version.ready) * 10_000 / u64::from(basis);
    Some(Aim {
        hash: version.hash.to_string(),
        capacity: Share::from_basis_points(capacity),
    })
}

/// Who plays, and by what rules.
fn title(cast: &Cast, rolls: usize, flags: &Flags, seen: &Seen) -> String {
    let player = &cast.workloads[rolls];
    let mut text = format!(
        "service {}: {}, {}; {} the whole load\n",
        cast.key,
        player.subject(),
        counted(player.workload.replicas, "pod"),
        match seen.basis {
            1 => "1 ready pod carries".to_owned(),
            basis => format!("{basis} ready pods carry"),
        },
    );
    let others = cast
        .workloads
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != rolls);
    for (_, other) in others {
        let pods = counted(other.workload.replicas, "pod");
        text += &format!("{} stands still, {pods}\n", other.subject());
    }
    text += &format!("pods are ready after {} s", flags.ready_after);
    match player.workload.min_ready_secs {
        0 => text.push('\n'),
        secs => text += &format!(" and available {secs} s later\n"),
    }
    text
}

fn counted(number: u32, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// What limits the roll-out, in sentences.
fn conclusions(player: &Player, fail: Option<Fail>, seen: &Seen) -> Vec<String> {
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
    let name = names.iter().find(|(hash, _)| *hash == last.hash);
    let name = name.map_or("the new version", |(_, name)| name);
    let mut lines = vec![moves(name, &steps), pace(player)];
    let is_stuck = last.capacity < Share::WHOLE;
    if fail == Some(Fail::CrashLoop) {
        lines.push(format!(
            "A crash loop has no end; this is its first {END_OF_CRASHES} s."
        ));
    }
    if player.is_paused {
        lines.push("It is paused: nothing moves before `kubectl rollout resume`.".to_owned());
    } else if is_stuck && steps.iter().all(|step| *step == Share::ZERO) {
        lines.push(format!(
            "{name} never gets a ready pod, so the roll-out stops where no more old pods may be missing."
        ));
    }
    lines
}

/// More steps than that are told by their first and last.
const STEPS_TOLD: usize = 8;

fn moves(alias: &str, steps: &[Share]) -> String {
    let told = |step: &Share| match step.basis_points() % 100 {
        0 => format!("{}%", step.basis_points() / 100),
        _ => step.to_string(),
    };
    let mut words: Vec<String> = steps.iter().map(told).collect();
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
