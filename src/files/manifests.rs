//! A directory of manifests, and what was last read from it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use super::parse;
use crate::model::{Origin, Problem};
use crate::objects::{Change, Kind, Object, Reader};

/// A directory of manifests that is read again and again.
#[derive(Debug)]
pub struct Manifests {
    dir: PathBuf,
    /// By the path as the operator would write it.
    files: BTreeMap<PathBuf, File>,
    reader: Reader,
    stamps: Vec<Stamp>,
    /// It could not be listed the last time.
    is_lost: bool,
}

/// All objects of a directory at one moment.
#[derive(Debug)]
pub struct Loaded {
    /// One reset a kind, so that applying them drops exactly what vanished.
    pub changes: Vec<Change>,
    /// What could not be read, sorted.
    pub problems: Vec<Problem>,
    /// How many files were looked at.
    pub files: usize,
}

/// The directory cannot be read; what was loaded before stays valid.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It does not exist, or listing it is forbidden.
    #[error("cannot read the manifests in `{}`", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What was last read from one file.
#[derive(Debug)]
struct File {
    hash: u64,
    /// The last good objects; where there never were any, what could be read.
    objects: Box<[Object]>,
    /// Whether `objects` are all the file ever held when it was whole.
    is_good: bool,
    problems: Vec<Problem>,
}

/// What of a file changes when its contents do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Stamp {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// The largest file that is read: as much as all objects of a large cluster.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Files are read in chunks of this size.
const CHUNK_BYTES: usize = 64 * 1024;

/// How deep directories are followed; deeper ones are a loop of mounts, not an order someone keeps.
const DEPTH_MAX: usize = 32;

impl Manifests {
    /// The manifests in `dir`, not yet read; `dir` may also be one file.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            files: BTreeMap::new(),
            reader: Reader::default(),
            stamps: Vec::new(),
            is_lost: false,
        }
    }

    /// Reads the directory; files whose contents did not change are not parsed again.
    ///
    /// # Errors
    /// The directory itself cannot be listed. A file that cannot be read is a Problem.
    pub fn load(&mut self) -> Result<Loaded, LoadError> {
        self.refresh()?;
        Ok(self.loaded())
    }

    /// Reads the directory; `None` where every file has the contents it had. A directory that is back after it was
    /// lost is news also where nothing in it changed.
    ///
    /// # Errors
    /// As [`Manifests::load`].
    pub fn load_if_changed(&mut self) -> Result<Option<Loaded>, LoadError> {
        let is_changed = self.refresh()?;
        Ok(is_changed.then(|| self.loaded()))
    }

    /// No file came, went, or was written, as far as the file system tells without reading them.
    pub fn is_unchanged(&self) -> bool {
        !self.is_lost && list(&self.dir).is_ok_and(|stamps| stamps == self.stamps)
    }

    /// What [`Manifests::is_unchanged`] looks at, in one number: two looks that are equal saw nobody write.
    pub(super) fn look(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        list(&self.dir).unwrap_or_default().hash(&mut hasher);
        hasher.finish()
    }

    fn refresh(&mut self) -> Result<bool, LoadError> {
        let was_lost = std::mem::replace(&mut self.is_lost, true);
        let stamps = list(&self.dir).map_err(|source| LoadError::Read {
            path: self.dir.clone(),
            source,
        })?;
        self.is_lost = false;
        let paths: BTreeSet<&PathBuf> = stamps.iter().map(|stamp| &stamp.path).collect();
        let before = self.files.len();
        self.files.retain(|path, _| paths.contains(path));
        let mut is_changed = was_lost || self.files.len() != before;
        for stamp in &stamps {
            is_changed |= self.read(stamp);
        }
        self.stamps = stamps;
        Ok(is_changed)
    }

    /// Reads a file and says whether it says something new.
    fn read(&mut self, stamp: &Stamp) -> bool {
        let name = stamp.path.display().to_string();
        let opened = open(stamp);
        let known = self.files.get(&stamp.path);
        let hash = opened.as_ref().map_or_else(hash_of, |(_, hash)| *hash);
        if known.is_some_and(|known| known.hash == hash) {
            return false;
        }
        let read = opened.and_then(|(mut source, hash)| {
            let contents = parse::read(&name, &mut source, &mut self.reader);
            contents
                .map(|contents| (contents, hash))
                .map_err(|error| cannot_read(&error))
        });
        let (contents, hash) = read.unwrap_or_else(|text| {
            let hash = hash_of(&text);
            (unreadable(&name, text), hash)
        });
        let mut file = File {
            hash,
            objects: contents.objects.into(),
            is_good: !contents.is_broken,
            problems: contents.problems,
        };
        let last = self.files.remove(&stamp.path).filter(|last| last.is_good);
        match last {
            Some(last) if contents.is_broken => {
                let count = last.objects.len();
                for problem in &mut file.problems {
                    problem.text +=
                        &format!(" (the last good {count} objects of this file are kept)");
                }
                file.objects = last.objects;
                file.is_good = true;
            }
            // Who writes a file anew empties it first, and may then think for seconds.
            Some(last) if contents.is_empty && !last.objects.is_empty() => {
                let text =
                    "is empty; its last good objects are kept, delete the file to remove them";
                file.problems = unreadable(&name, text.to_owned()).problems;
                file.objects = last.objects;
            }
            _ => {}
        }
        self.files.insert(stamp.path.clone(), file);
        true
    }

    fn loaded(&self) -> Loaded {
        let mut problems: Vec<Problem> = Vec::new();
        let mut all: Vec<&Object> = Vec::new();
        for file in self.files.values() {
            problems.extend(file.problems.iter().cloned());
            all.extend(&file.objects);
        }
        // Of two with one name the first file's stays the first: the sort is stable.
        fn id(object: &Object) -> (Kind, &str, &str) {
            (object.kind(), object.namespace(), object.name())
        }
        all.sort_by(|a, b| id(a).cmp(&id(b)));
        all.dedup_by(|second, first| {
            let is_twice = id(second) == id(first);
            if is_twice {
                problems.push(twice(second, first));
            }
            is_twice
        });
        problems.sort();
        let changes = Kind::ALL.map(|kind| {
            let begin = all.partition_point(|object| object.kind() < kind);
            let end = all.partition_point(|object| object.kind() <= kind);
            let objects = all[begin..end].iter().copied().cloned().collect();
            Change::Reset { kind, objects }
        });
        Loaded {
            changes: changes.into(),
            problems,
            files: self.files.len(),
        }
    }
}

/// Opens a file at its beginning, with the hash of its contents: most files that are read again say the same.
fn open(stamp: &Stamp) -> Result<(BufReader<fs::File>, u64), String> {
    if stamp.length > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} octets; split it"));
    }
    let read = || {
        let mut file = BufReader::with_capacity(CHUNK_BYTES, fs::File::open(&stamp.path)?);
        let mut hasher = DefaultHasher::new();
        loop {
            let chunk = file.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            hasher.write(chunk);
            let read = chunk.len();
            file.consume(read);
        }
        file.rewind()?;
        Ok((file, hasher.finish()))
    };
    read().map_err(|error: io::Error| cannot_read(&error))
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

fn unreadable(name: &str, text: String) -> parse::Contents {
    let origin = Origin {
        file: name.into(),
        line: 1,
    };
    parse::Contents {
        objects: Vec::new(),
        problems: vec![Problem {
            origin: Some(origin),
            subject: String::new(),
            text,
        }],
        is_broken: true,
        is_empty: false,
    }
}

fn hash_of(text: &String) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn twice(object: &Object, first: &Object) -> Problem {
    let kind = object.kind().as_str().to_lowercase();
    let name = match &**object.namespace() {
        "" => object.name().to_string(),
        namespace => format!("{namespace}/{}", object.name()),
    };
    let place = first
        .origin()
        .map(|first| format!(" at {first}"))
        .unwrap_or_default();
    Problem {
        origin: object.origin(),
        subject: format!("{kind} {name}"),
        text: format!("ignored: it stands a first time{place}; remove one of the two"),
    }
}

/// The manifest files below a directory, sorted by path.
fn list(dir: &Path) -> io::Result<Vec<Stamp>> {
    let mut stamps = Vec::new();
    if fs::metadata(dir)?.is_file() {
        stamps.extend(stamp(dir.to_owned()));
        return Ok(stamps);
    }
    let mut seen = HashSet::new();
    walk(dir, 0, &mut seen, &mut stamps)?;
    stamps.sort();
    Ok(stamps)
}

/// Follows symlinks, each file and directory once. Names with a leading dot are passed over: the `..data` of a
/// ConfigMap mount (its files are read through their links), and what editors and version control leave about.
fn walk(
    dir: &Path,
    depth: usize,
    seen: &mut HashSet<PathBuf>,
    stamps: &mut Vec<Stamp>,
) -> io::Result<()> {
    if !seen.insert(fs::canonicalize(dir)?) || depth > DEPTH_MAX {
        return Ok(());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        // What vanished since the listing is not there.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            // A directory below that cannot be listed hides its files; a mount that flaps must not drop them all.
            walk(&path, depth + 1, seen, stamps)?;
        } else if is_manifest(&path) && fs::canonicalize(&path).is_ok_and(|real| seen.insert(real))
        {
            stamps.extend(stamp(path));
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

fn stamp(path: PathBuf) -> Option<Stamp> {
    let metadata = fs::metadata(&path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp {
        path,
        length: metadata.len(),
        modified: metadata.modified().ok(),
        inode,
    })
}
