//! A directory of manifests, and what was last read from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Seek};
use std::path::PathBuf;

use thiserror::Error;

use super::listing::{Listing, Stamp};
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
    /// What was there when it was read.
    listing: Listing,
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

/// The largest file that is read: as much as all objects of a large cluster.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Files are read in chunks of this size.
const CHUNK_BYTES: usize = 64 * 1024;

/// So often a directory is read again that changes while it is read; after that, the next look finds it changed.
const READS_MAX: usize = 5;

impl Manifests {
    /// The manifests in `dir`, not yet read; `dir` may also be one file.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            files: BTreeMap::new(),
            reader: Reader::default(),
            listing: Listing::default(),
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
        !self.is_lost && self.look().as_ref() == Some(&self.listing)
    }

    /// What [`Manifests::is_unchanged`] looks at: two looks that are equal saw nobody write. `None` where there is
    /// nothing to see.
    pub(super) fn look(&self) -> Option<Listing> {
        Listing::of(&self.dir).ok()
    }

    /// Reads what there is. Files that belong together change together, as when `..data` of a ConfigMap mount leads
    /// elsewhere; so what was read counts only when the directory was the same before and after.
    fn refresh(&mut self) -> Result<bool, LoadError> {
        let was_lost = std::mem::replace(&mut self.is_lost, true);
        let list = |dir: &PathBuf| {
            Listing::of(dir).map_err(|source| LoadError::Read {
                path: dir.clone(),
                source,
            })
        };
        let mut is_changed = was_lost;
        let mut listing = list(&self.dir)?;
        for _ in 0..READS_MAX {
            is_changed |= self.read_all(listing);
            listing = list(&self.dir)?;
            if listing == self.listing {
                break;
            }
        }
        self.is_lost = false;
        Ok(is_changed)
    }

    fn read_all(&mut self, listing: Listing) -> bool {
        let paths: BTreeSet<&PathBuf> = listing.stamps.iter().map(|stamp| &stamp.path).collect();
        let before = self.files.len();
        self.files
            .retain(|path, _| paths.contains(path) || listing.hides(path));
        let mut is_changed = self.files.len() != before || self.listing.hidden != listing.hidden;
        for stamp in &listing.stamps {
            is_changed |= self.read(stamp);
        }
        self.listing = listing;
        is_changed
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
        for hidden in &self.listing.hidden {
            let name = hidden.path.display().to_string();
            let text = format!(
                "cannot be read: {}; what is known of it is kept",
                hidden.why
            );
            problems.extend(unreadable(&name, text).problems);
        }
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
