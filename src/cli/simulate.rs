//! `simulate`: what an update of these manifests would do to the shares of a service, second by second.
//!
//! The update is played by the upstream controllers' own arithmetic ([`crate::rollout::controllers`]); the objects of
//! each second go through the same index and the same evaluation as those of a cluster, with the second as the time.
//! Nothing is served and no clock is read, so the same file always gives the same table.

pub(super) mod reading;
mod table;
mod verdict;
mod watch;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::Value;

use crate::model::{Problem, ServiceKey};
use crate::rollout::controllers::{Event, Failure, Second, Start, Template};
use reading::Cast;
use watch::{Seen, watch};

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
        default_missing_value = "crash-loop"
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

/// After an undo a crash loop ends, unless the controller waits for the broken pods.
const END_AFTER_UNDO: Second = 600;

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
    told += &table::table(&table::thinned(&seen.rows));
    told.push('\n');
    for line in verdict::verdict(&cast.workloads[rolls], flags, &seen) {
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
            let undone = flags
                .undo_at
                .map_or(0, |at| END_AFTER_UNDO + Second::from(at));
            until = END_OF_CRASHES.max(undone);
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

/// Whether an update of what a text describes overtakes the strategy of its service.
#[cfg(test)]
pub(super) fn is_forced(manifests: &str) -> bool {
    let flags = Flags {
        file: PathBuf::new(),
        service: None,
        workload: None,
        update: None,
        fail: None,
        undo_at: None,
        ready_after: 10,
    };
    let cast = reading::read(("", manifests), None, (Timestamp::UNIX_EPOCH, 10))
        .expect("it can be played");
    let plot = plot(&cast, 0, &flags).expect("it has a version");
    let mut cast = cast;
    cast.workloads[0]
        .stage
        .templates
        .extend(plot.template.clone());
    watch(&cast, 0, &plot)
        .expect("it has objects")
        .forced
        .is_some()
}
