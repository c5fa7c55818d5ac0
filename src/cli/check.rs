//! `check`: what would be wrong with manifests, zone files and configuration files, without serving them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;

use crate::app;
use crate::config::{self, ConfigError, Flags};
use crate::files::{self, Manifests, ZoneFiles};
use crate::model::Problem;
use crate::objects::{Change, Kind, Object};

/// All problems of all paths, in their order.
pub(super) fn check(paths: &[PathBuf]) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for path in paths {
        problems.extend(
            check_path(path).with_context(|| format!("cannot check `{}`", path.display()))?,
        );
    }
    Ok(problems)
}

fn check_path(path: &Path) -> anyhow::Result<Vec<Problem>> {
    if path.is_dir() {
        let loaded = Manifests::new(path.to_owned()).load()?;
        let mut problems = loaded.problems;
        if has_zones(path) {
            // Weights stand beside zones in YAML, and are no manifests.
            problems.retain(|problem| !is_of_weights(problem));
            problems.extend(check_zones(path)?);
        }
        return check_objects(loaded.changes, problems);
    }
    if is_zone(path) {
        return check_zones(path);
    }
    let text = fs::read_to_string(path)?;
    if is_config(&text) {
        return match config::load(Some(path), &Flags::default()) {
            Ok(_) => Ok(Vec::new()),
            Err(ConfigError::Invalid { problems }) => Ok(problems),
            Err(error) => Err(error.into()),
        };
    }
    let (objects, problems) = files::parse(&path.to_string_lossy(), &text);
    check_objects(resets(objects), problems)
}

fn is_zone(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "zone")
}

/// Whether there is a zone file in a directory, or in one of those in it.
fn has_zones(dir: &Path) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.any(|path| is_zone(&path) || (path.is_dir() && !path.is_symlink() && has_zones(&path)))
}

fn is_of_weights(problem: &Problem) -> bool {
    let file = problem.origin.as_ref().map(|origin| &origin.file);
    file.is_some_and(|file| file.ends_with(".weights.yaml"))
}

fn check_zones(path: &Path) -> anyhow::Result<Vec<Problem>> {
    let loaded = ZoneFiles::new(path.to_owned()).load_if_changed()?;
    Ok(loaded.unwrap_or_default().problems)
}

/// A configuration file says so in its first lines.
fn is_config(text: &str) -> bool {
    let line = |wanted: &str| text.lines().any(|line| line.trim_end() == wanted);
    line("kind: Config")
        && text
            .lines()
            .any(|line| line.starts_with("apiVersion: shiftdns.io/"))
}

/// The objects as whole lists, one a kind.
pub(super) fn resets(objects: Vec<Object>) -> Vec<Change> {
    let of = |kind: Kind| Change::Reset {
        kind,
        objects: objects
            .iter()
            .filter(|object| object.kind() == kind)
            .cloned()
            .collect(),
    };
    Kind::ALL.into_iter().map(of).collect()
}

/// What the engine makes of the objects, beside what could not be read.
fn check_objects(changes: Vec<Change>, mut problems: Vec<Problem>) -> anyhow::Result<Vec<Problem>> {
    let config = config::load(None, &Flags::default())?;
    let (mut engine, _view) = app::offline(&config)?;
    engine.apply(changes, Timestamp::UNIX_EPOCH);
    problems.extend(engine.problems());
    problems.sort();
    problems.dedup();
    Ok(problems)
}
