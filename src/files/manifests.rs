//! A directory of manifests, and what was last read from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Seek};
use std::path::PathBuf;

use thiserror::Error;

use super::given::{self, Given};
use super::listing::{Listing, Stamp};
use super::parse;
use crate::model::{Origin, Problem};
use crate::objects::{Change, Object, Reader};

/// A directory of manifests that is read again and again.
#[derive(Debug)]
pub struct Manifests {
    dir: PathBuf,
    /// By the path as the operator would write it.
    files: BTreeMap<PathBuf, File>,
    reader: Reader,
    /// What was there when it was read.
    listing: Listing,
    given: Given,
    /// All objects were given once.
    is_given: bool,
    /// It could not be listed the last time.
    is_lost: bool,
}

/// What a directory gives at one moment.
#[derive(Debug)]
pub struct Loaded {
    /// For all objects, one reset a kind, so that applying them drops exactly what vanished; else what differs.
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
    /// The same of zone files.
    #[error("cannot read the zone files in `{}`", path.display())]
    Zones {
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
    /// The last good objects, sorted; where there never were any, what could be read.
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
            given: Given::default(),
            is_given: false,
            is_lost: false,
        }
    }

    /// Reads the directory and gives all objects; files whose contents did not change are not parsed again.
    ///
    /// # Errors
    /// The directory itself cannot be listed. A file that cannot be read is a Problem.
    pub fn load(&mut self) -> Result<Loaded, LoadError> {
        self.refresh()?;
        self.is_given = true;
        let files = self.files.values().map(|file| &*file.objects);
        let changes = self.given.everything(files);
        Ok(self.loaded(changes))
    }

    /// Reads the directory and gives the objects that differ from those given before, the first time all of them;
    /// `None` where every file has the contents it had. A directory that is back after it was
    /// lost is news also where nothing in it changed.
    ///
    /// # Errors
    /// As [`Manifests::load`].
    pub fn load_if_changed(&mut self) -> Result<Option<Loaded>, LoadError> {
        if !self.is_given {
            return self.load().map(Some);
        }
        if !self.refresh()? {
            return Ok(None);
        }
        let files = self.files.values().map(|file| &*file.objects);
        let changes = self.given.changes(files);
        Ok(Some(self.loaded(changes)))
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
        let mut is_changed = self.listing.hidden != listing.hidden;
        self.files.retain(|path, file| {
            let is_kept = paths.contains(path) || listing.hides(path);
            if !is_kept {
                self.given.replaced(&file.objects, &[]);
                is_changed = true;
            }
            is_kept
        });
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
        let (mut contents, hash) = read.unwrap_or_else(|text| {
            let hash = hash_of(&text);
            (unreadable(&name, text), hash)
        });
        given::sort(&mut contents.objects);
        let mut file = File {
            hash,
            objects: contents.objects.into(),
            is_good: !contents.is_broken,
            problems: contents.problems,
        };
        match self.files.remove(&stamp.path) {
            Some(last) if last.is_good && contents.is_broken => {
                let count = last.objects.len();
                for problem in &mut file.problems {
                    problem.text +=
                        &format!(" (the last good {count} objects of this file are kept)");
                }
                file.objects = last.objects;
                file.is_good = true;
            }
            // Who writes a file anew empties it first, and may then think for seconds.
            Some(last) if last.is_good && contents.is_empty && !last.objects.is_empty() => {
                let text =
                    "is empty; its last good objects are kept, delete the file to remove them";
                file.problems = unreadable(&name, text.to_owned()).problems;
                file.objects = last.objects;
            }
            Some(last) => self.given.replaced(&last.objects, &file.objects),
            None => self.given.replaced(&[], &file.objects),
        }
        self.files.insert(stamp.path.clone(), file);
        true
    }

    fn loaded(&self, changes: Vec<Change>) -> Loaded {
        let mut problems: Vec<Problem> = Vec::new();
        for hidden in &self.listing.hidden {
            let name = hidden.path.display().to_string();
            let text = format!(
                "cannot be read: {}; what is known of it is kept",
                hidden.why
            );
            problems.extend(unreadable(&name, text).problems);
        }
        for file in self.files.values() {
            problems.extend(file.problems.iter().cloned());
        }
        problems.extend(self.given.problems().cloned());
        problems.sort();
        Loaded {
            changes,
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
