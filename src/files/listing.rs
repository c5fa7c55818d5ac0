//! Which files a directory of manifests holds, as far as the file system tells without reading them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files below a directory at one moment, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) stamps: Vec<Stamp>,
    /// The links that lead whole mounts from one version to the next.
    mounts: Vec<Stamp>,
    /// What could not be looked into. Files below it may be there or not.
    pub(super) hidden: Vec<Hidden>,
}

/// The manifest files below `path`, which may also be one file, sorted.
///
/// # Errors
/// It cannot be listed; directories below it that cannot are passed over.
pub fn paths(path: &Path) -> io::Result<Vec<PathBuf>> {
    let stamps = Listing::of(path)?.stamps.into_iter();
    Ok(stamps.map(|stamp| stamp.path).collect())
}

/// What of a file changes when its contents do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// A path that cannot be looked into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hidden {
    pub(super) path: PathBuf,
    /// The error, for people.
    pub(super) why: String,
}

/// The link of a ConfigMap mount, made anew with each version: it tells also of a version that came and went.
const MOUNT: &str = "..data";

/// How deep directories are followed; deeper ones are a loop of mounts, not an order someone keeps.
const DEPTH_MAX: usize = 32;

impl Listing {
    /// Lists `dir`, which may also be one file.
    ///
    /// # Errors
    /// The directory itself cannot be listed; one below it is hidden, no more.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        Self::of_those(dir, is_manifest, Files::ByPlace)
    }

    /// The same with every file, whatever it is called, and as often as it is called: where its name says what it is, a second
    /// name makes it a second one.
    ///
    /// # Errors
    /// As [`Listing::of`].
    pub(super) fn of_all(dir: &Path) -> io::Result<Self> {
        Self::of_those(dir, |_| true, Files::ByName)
    }

    fn of_those(dir: &Path, is_wanted: fn(&Path) -> bool, files: Files) -> io::Result<Self> {
        let mut walk = Walk {
            listing: Self::default(),
            seen: HashSet::new(),
            is_wanted,
            files,
        };
        if fs::metadata(dir)?.is_file() {
            let stamp = stamp(dir.to_owned(), &fs::metadata(dir)?);
            walk.listing.stamps.push(stamp);
        } else {
            walk.enter(dir, 0)?;
        }
        let mut listing = walk.listing;
        listing.stamps.sort();
        listing.mounts.sort();
        listing.hidden.sort();
        Ok(listing)
    }

    /// The file may be there although it is not listed.
    pub(super) fn hides(&self, file: &Path) -> bool {
        self.hidden
            .iter()
            .any(|hidden| file.starts_with(&hidden.path))
    }
}

/// When two paths are one file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    /// Where they lead to the same place.
    ByPlace,
    /// Never.
    ByName,
}

struct Walk {
    listing: Listing,
    files: Files,
    /// Which files are listed.
    is_wanted: fn(&Path) -> bool,
    /// Where it was already, by the path without links.
    seen: HashSet<PathBuf>,
}

impl Walk {
    /// Follows symlinks, each directory once, and each file as `files` says. Names with a leading dot are passed over: the `..data` of a
    /// ConfigMap mount (its files are read through their links), and what editors and version control leave about.
    fn enter(&mut self, dir: &Path, depth: usize) -> io::Result<()> {
        if !self.seen.insert(fs::canonicalize(dir)?) || depth > DEPTH_MAX {
            return Ok(());
        }
        let entries: io::Result<Vec<fs::DirEntry>> = fs::read_dir(dir)?.collect();
        let mut paths: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                if name == MOUNT
                    && let Ok(metadata) = fs::symlink_metadata(&path)
                {
                    self.listing.mounts.push(stamp(path, &metadata));
                }
                continue;
            }
            let entered = fs::metadata(&path).and_then(|metadata| {
                if metadata.is_dir() {
                    return self.enter(&path, depth + 1);
                }
                let place = fs::canonicalize(&path)?;
                let is_new = self.files == Files::ByName || self.seen.insert(place);
                if (self.is_wanted)(&path) && is_new {
                    self.listing.stamps.push(stamp(path.clone(), &metadata));
                }
                Ok(())
            });
            match entered {
                // What vanished since the listing is not there, and a link may lead nowhere.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let why = error.to_string();
                    self.listing.hidden.push(Hidden { path, why });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

pub(super) fn stamp(path: PathBuf, metadata: &fs::Metadata) -> Stamp {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Stamp {
        path,
        length: metadata.len(),
        modified: metadata.modified().ok(),
        inode,
    }
}
