//! A directory of zone files, and what was last read from it.
//!
//! `NAME.zone` is the zone NAME, whose names begin below NAME; `NAME.weights.yaml` beside it are the weights of its addresses.
//! Everything else is looked at where it is included. A file that is wrong is told, and what it said when it was right stays in
//! force; it is the engine that keeps it.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::listing::Listing;
use super::manifests::LoadError;
use super::zone_weights;
use crate::model::{Origin, Problem};
use crate::wire::Name;
use crate::zone::master::{self, Included};
use crate::zone::{Finding, StaticZone, Weights};

const ZONE: &str = ".zone";
const WEIGHTS: &str = ".weights.yaml";
/// The largest file that is read, and the most that one zone includes; five million records are not longer.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// So often a directory is read again that changes while it is read.
const READS_MAX: usize = 5;

/// What the directory says of a zone.
#[derive(Debug)]
pub enum Said {
    /// Another thing than before.
    Another(Box<StaticZone>),
    /// The same, or nothing that is right.
    Nothing,
}

/// What a directory gives at one moment.
#[derive(Debug, Default)]
pub struct LoadedZones {
    /// Every zone that there is, by its apex.
    pub zones: Vec<(Name, Said)>,
    /// All that is wrong, sorted.
    pub problems: Vec<Problem>,
}

impl LoadedZones {
    /// Whether an error is among the problems: a zone is not served as it stands.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| !is_warning(problem))
    }
}

/// Whether it is told and does no harm.
pub fn is_warning(problem: &Problem) -> bool {
    problem.text.starts_with("warning: ")
}

/// How zone files fare that are read anew: counted by whoever reads them, told among the metrics.
#[derive(Debug, Default)]
pub struct ZoneCounters {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl ZoneCounters {
    /// Zones that were read and are in force, and zones that could not be, since the process began.
    pub fn read(&self) -> (u64, u64) {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        (read(&self.succeeded), read(&self.failed))
    }
}

/// A directory of zone files that is read again and again.
#[derive(Debug)]
pub struct ZoneFiles {
    dir: PathBuf,
    /// By the path of the zone's file.
    known: BTreeMap<PathBuf, Known>,
    listing: Listing,
    is_read: bool,
    counters: Arc<ZoneCounters>,
}

/// What was last read of a zone.
#[derive(Clone, Debug)]
struct Known {
    name: Name,
    /// Of all that was read for it.
    hash: u64,
    problems: Vec<Problem>,
    /// It was right once, and what it said then is served.
    is_served: bool,
}

impl ZoneFiles {
    /// The zones in `dir`, not yet read; `dir` may also be one file.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            known: BTreeMap::new(),
            listing: Listing::default(),
            is_read: false,
            counters: Arc::default(),
        }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How its zones fare.
    pub fn counters(&self) -> Arc<ZoneCounters> {
        Arc::clone(&self.counters)
    }

    /// Reads the directory where it is another; `None` where it is not.
    ///
    /// # Errors
    /// It cannot be listed. A file that cannot be read is a Problem.
    pub fn load_if_changed(&mut self) -> Result<Option<LoadedZones>, LoadError> {
        let mut listing = self.list()?;
        if self.is_read && listing == self.listing {
            return Ok(None);
        }
        let mut loaded = LoadedZones::default();
        let before = self.known.clone();
        for _ in 0..READS_MAX {
            let again = self.read_all(&listing);
            // Of a zone that was another at an earlier look the later one counts, or that one where the later is the same.
            loaded.problems = again.problems;
            let earlier = std::mem::replace(&mut loaded.zones, again.zones);
            for (name, said) in earlier {
                let now = loaded.zones.iter_mut().find(|(known, _)| *known == name);
                if let Some((_, now @ Said::Nothing)) = now {
                    *now = said;
                }
            }
            let next = match self.list() {
                Ok(next) => next,
                Err(error) => {
                    // What was read is not handed over, so it is not known either.
                    self.known = before;
                    return Err(error);
                }
            };
            self.listing = std::mem::replace(&mut listing, next);
            if listing == self.listing {
                break;
            }
        }
        self.is_read = true;
        Ok(Some(loaded))
    }

    /// No file came, went, or was written, as far as the file system tells without reading them.
    pub(super) fn is_unchanged(&self) -> bool {
        self.look().as_ref() == Some(&self.listing)
    }

    /// Two looks that are equal saw nobody write. `None` where there is nothing to see.
    pub(super) fn look(&self) -> Option<Listing> {
        self.list().ok()
    }

    fn list(&self) -> Result<Listing, LoadError> {
        Listing::of_all(&self.dir).map_err(|source| LoadError::Zones {
            path: self.dir.clone(),
            source,
        })
    }

    fn read_all(&mut self, listing: &Listing) -> LoadedZones {
        let mut loaded = LoadedZones::default();
        for hidden in &listing.hidden {
            let text = format!(
                "cannot be read: {}; what is known of it is kept",
                hidden.why
            );
            loaded.problems.push(of_file(&hidden.path, text));
        }
        let mut known: BTreeMap<PathBuf, Known> = BTreeMap::new();
        for (path, of) in &self.known {
            if listing.hides(path) {
                known.insert(path.clone(), of.clone());
            }
        }
        let paths = || listing.stamps.iter().map(|stamp| &stamp.path);
        for path in paths().filter(|path| stem(path, WEIGHTS).is_some()) {
            let zone = stem(path, WEIGHTS).map(|stem| path.with_file_name(stem.to_owned() + ZONE));
            if !paths().any(|path| Some(path) == zone.as_ref()) {
                let text =
                    "weights of no zone: there is no file of that name that ends with `.zone`";
                loaded.problems.push(of_file(path, text.to_owned()));
            }
        }
        for path in paths() {
            let Some(stem) = stem(path, ZONE) else {
                continue;
            };
            let name = match Name::parse(stem) {
                Ok(name) => name,
                Err(error) => {
                    loaded
                        .problems
                        .push(of_file(path, format!("not the name of a zone: {error}")));
                    continue;
                }
            };
            if let Some((first, _)) = known.iter().find(|(_, known)| known.name == name) {
                let text = format!(
                    "ignored: zone `{name}` stands a first time in `{}`",
                    first.display()
                );
                loaded.problems.push(of_file(path, text));
                continue;
            }
            let said = self.read_zone(path, &name, &mut known);
            loaded.zones.push((name, said));
        }
        for (path, of) in &known {
            if listing.hides(path) {
                loaded.zones.push((of.name.clone(), Said::Nothing));
            }
        }
        loaded
            .problems
            .extend(known.values().flat_map(|known| known.problems.clone()));
        loaded.problems.sort();
        self.known = known;
        loaded
    }

    fn read_zone(&self, path: &Path, name: &Name, known: &mut BTreeMap<PathBuf, Known>) -> Said {
        let mut hasher = DefaultHasher::new();
        let read = read_zone(&self.dir, path, name, &mut hasher);
        let hash = hasher.finish();
        if let Some(last) = self.known.get(path).filter(|last| last.hash == hash) {
            known.insert(path.to_owned(), last.clone());
            return Said::Nothing;
        }
        let (zone, mut problems) = read;
        let was_served = self.known.get(path).is_some_and(|last| last.is_served);
        if zone.is_none() && was_served {
            let first = problems.iter_mut().find(|problem| !is_warning(problem));
            if let Some(first) = first {
                first.text += " (what the zone was before is served on)";
            }
        }
        let counter = match zone.is_some() {
            true => &self.counters.succeeded,
            false => &self.counters.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let of = Known {
            name: name.clone(),
            hash,
            problems,
            is_served: was_served || zone.is_some(),
        };
        known.insert(path.to_owned(), of);
        zone.map_or(Said::Nothing, |zone| Said::Another(Box::new(zone)))
    }
}

/// Reads the zone `name` of the file at `path`, in the directory `dir`; `hasher` is fed with all that was read.
fn read_zone(
    dir: &Path,
    path: &Path,
    name: &Name,
    hasher: &mut DefaultHasher,
) -> (Option<StaticZone>, Vec<Problem>) {
    let subject = format!("zone {}", name.to_string().trim_end_matches('.'));
    let problem = |finding: &Finding| Problem {
        origin: Some(finding.origin.clone().unwrap_or_else(|| first_line(path))),
        subject: subject.clone(),
        text: finding.to_string(),
    };
    let text = match contents(path) {
        Ok(text) => text,
        Err(error) => {
            let text = format!("cannot be read: {error}");
            text.hash(hasher);
            return (None, vec![of_file(path, text)]);
        }
    };
    text.hash(hasher);
    let root = match dir.is_file() {
        true => dir
            .parent()
            .filter(|dir| *dir != Path::new(""))
            .unwrap_or(Path::new(".")),
        false => dir,
    };
    let mut left = FILE_BYTES_MAX;
    let mut include = |from: &str, file: &str| {
        let included = included(root, Path::new(from), file, &mut left);
        included.hash(hasher);
        included
    };
    let read = master::read(&path.display().to_string(), &text, name, &mut include);
    let (weights, mut problems) = weights(path, name, hasher);
    let is_broken = !problems.is_empty();
    let (zone, findings) = StaticZone::of(&read, name, &weights);
    problems.extend(findings.iter().map(problem));
    problems.sort();
    (zone.filter(|_| !is_broken), problems)
}

/// The weights beside a zone's file, where there are any.
fn weights(path: &Path, name: &Name, hasher: &mut DefaultHasher) -> (Weights, Vec<Problem>) {
    let Some(stem) = stem(path, ZONE) else {
        return Default::default();
    };
    let path = path.with_file_name(stem.to_owned() + WEIGHTS);
    match contents(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
        Err(error) => {
            let text = format!("cannot be read: {error}");
            text.hash(hasher);
            (Weights::default(), vec![of_file(&path, text)])
        }
        Ok(text) => {
            text.hash(hasher);
            zone_weights::parse(&path.display().to_string(), &text, name)
        }
    }
}

/// What stands in `file`, named in the file `from`: beside that, and inside the directory, whatever links say. So many octets
/// are `left` for what the zone includes.
fn included(root: &Path, from: &Path, file: &str, left: &mut u64) -> Result<Included, String> {
    let path = from.parent().unwrap_or(Path::new("")).join(file);
    let cannot = |error: io::Error| format!("cannot include `{file}`: {error}");
    let inside = path.canonicalize().map_err(cannot)?;
    if !inside.starts_with(root.canonicalize().map_err(cannot)?) {
        return Err(format!(
            "cannot include `{file}`: it is outside of `{}`",
            root.display()
        ));
    }
    let text = contents(&inside).map_err(cannot)?;
    *left = left.checked_sub(text.len() as u64).ok_or_else(|| {
        format!("cannot include `{file}`: more than {FILE_BYTES_MAX} octets are included")
    })?;
    Ok((path.display().to_string().into(), text))
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    // A pipe or a device never ends.
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        let text = format!("not a file of at most {FILE_BYTES_MAX} octets");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    fs::read(path)
}

/// The name of a file without what it ends with; `None` where that is something else.
fn stem<'p>(path: &'p Path, end: &str) -> Option<&'p str> {
    path.file_name()?.to_str()?.strip_suffix(end)
}

fn of_file(path: &Path, text: String) -> Problem {
    Problem {
        origin: Some(first_line(path)),
        subject: String::new(),
        text,
    }
}

fn first_line(path: &Path) -> Origin {
    Origin {
        file: path.display().to_string().into(),
        line: 1,
    }
}
