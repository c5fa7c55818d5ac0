//! The snapshot: the objects of a cluster on disk, for a start while its API server does not answer.
//!
//! ```text
//! shiftdns-snapshot 1 SHAPE CLUSTER SECONDS COUNT     what it is; of which program, cluster and moment; how many objects
//! objects, as `objects::stored` writes them
//! 8 octets                                            the checksum of all before
//! ```
//!
//! [`load`] gives all of it or nothing, and says why. [`save`] writes it whole, beside the old one, which stays as it is
//! until the new one is on disk. Nothing in it is needed: the API server has the same, and newer.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::draft::Draft;
use crate::objects::{Object, stored};

/// The first word of the file.
const MAGIC: &str = "shiftdns-snapshot";
/// The version of what stands around the objects: another one is not read.
const VERSION: &str = "1";

/// More is neither written nor read: 100,000 pods with their slices are some 15 MB, and a start must not take the memory
/// that serving needs.
const OCTETS_MAX: u64 = 256 << 20;

/// What a first line has at most: six words, of which the longest has 20 octets.
const HEAD_MAX: usize = 128;

/// Objects, and until when they were all there was to know.
#[derive(Debug)]
pub struct Snapshot {
    /// All of them.
    pub objects: Vec<Object>,
    /// In whole seconds.
    pub taken: Timestamp,
}

/// Why a file is not used.
#[derive(Debug, Error)]
pub enum Refused {
    /// There is none.
    #[error("there is none")]
    Absent,
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    /// It is too large to be one.
    #[error("it has {octets} octets, and more than {OCTETS_MAX} are not read")]
    TooLarge {
        /// Its size.
        octets: u64,
    },
    /// It was cut off or changed, or is something else.
    #[error("it is broken: {0}")]
    Broken(&'static str),
    /// Another program wrote it.
    #[error("it is of another version of this program")]
    Version,
    /// It is of another cluster.
    #[error("it is of another cluster")]
    Cluster,
    /// It is older than it may be, or by as much newer than the clock.
    #[error("it is of {taken}, which is not within {} s", max_age.as_secs())]
    TooOld {
        /// When it was taken.
        taken: Timestamp,
        /// How old it may be.
        max_age: Duration,
    },
}

/// What came of snapshots, for people; written by who loads and saves them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Seconds since the epoch; 0 before the first.
    saved_at: AtomicI64,
    octets: AtomicU64,
    saved: AtomicU64,
    failed: AtomicU64,
    is_used: AtomicBool,
}

/// What came of snapshots by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Until when the objects in the file were all there was to know, in seconds since the epoch; 0 where none has been
    /// saved or used.
    pub taken: i64,
    /// The size of the last that was saved, in octets.
    pub octets: u64,
    /// How many were saved.
    pub saved: u64,
    /// How many could not be saved.
    pub failed: u64,
    /// This process began with one.
    pub used: bool,
}

impl Counters {
    /// What was counted.
    pub fn read(&self) -> Counts {
        Counts {
            taken: self.saved_at.load(Relaxed),
            octets: self.octets.load(Relaxed),
            saved: self.saved.load(Relaxed),
            failed: self.failed.load(Relaxed),
            used: self.is_used.load(Relaxed),
        }
    }

    /// This process begins with that one.
    pub fn used(&self, taken: Timestamp) {
        self.is_used.store(true, Relaxed);
        self.saved_at.store(taken.as_second(), Relaxed);
    }

    /// One was saved, of so many octets.
    pub fn saved(&self, taken: Timestamp, octets: u64) {
        self.saved.fetch_add(1, Relaxed);
        self.octets.store(octets, Relaxed);
        self.saved_at.store(taken.as_second(), Relaxed);
    }

    /// One could not be saved.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }
}

/// The snapshot in the file, of the cluster that is known by `cluster`, if it is not older than `max_age` at `now`.
///
/// # Errors
/// See [`Refused`]; whatever the file holds, it is all or nothing.
pub fn load(
    path: &Path,
    cluster: &[u8],
    max_age: Duration,
    now: Timestamp,
) -> Result<Snapshot, Refused> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refused::Absent,
        _ => Refused::Io(error),
    })?;
    // Also of what is no regular file.
    let octets = file.metadata().map_err(Refused::Io)?.len();
    if octets > OCTETS_MAX {
        return Err(Refused::TooLarge { octets });
    }
    let mut text = Vec::with_capacity(usize::try_from(octets).unwrap_or(0));
    let read = file.take(OCTETS_MAX + 1).read_to_end(&mut text);
    let octets = read.map_err(Refused::Io)? as u64;
    if octets > OCTETS_MAX {
        return Err(Refused::TooLarge { octets });
    }
    let (snapshot, of) = read_whole(&text)?;
    if of != sum_of(cluster) {
        return Err(Refused::Cluster);
    }
    let age = now.duration_since(snapshot.taken).unsigned_abs();
    if age > max_age {
        let taken = snapshot.taken;
        return Err(Refused::TooOld { taken, max_age });
    }
    Ok(snapshot)
}

/// The snapshot, and the sum of what its cluster is known by.
fn read_whole(text: &[u8]) -> Result<(Snapshot, u64), Refused> {
    use Refused::Broken;
    let first = text.get(..text.len().min(HEAD_MAX)).unwrap_or_default();
    let end = first.iter().position(|octet| *octet == b'\n');
    let end = end.ok_or(Broken("it has no first line"))?;
    let head = text.get(..end).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| Broken("its first line is no text"))?;
    let mut words = head.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(Broken("it does not begin as one"));
    }
    // What follows in another version, and what its checksum is of, is not known here.
    if words.next() != Some(VERSION) {
        return Err(Refused::Version);
    }
    let (body, told) = text
        .split_last_chunk()
        .ok_or(Broken("it has no checksum"))?;
    let mut sum = Sum::default();
    sum.add(body);
    if sum.0 != u64::from_le_bytes(*told) {
        return Err(Broken("its checksum is another: it was cut off or changed"));
    }
    // From here on it is what was written.
    let strange = || Broken("its first line is none");
    let mut number = |radix| {
        let word = words.next().ok_or_else(strange)?;
        u64::from_str_radix(word, radix).map_err(|_| strange())
    };
    let (shape, cluster, taken, count) = (number(16)?, number(16)?, number(10)?, number(10)?);
    if shape != stored::shape() {
        return Err(Refused::Version);
    }
    let taken = i64::try_from(taken).map_err(|_| strange())?;
    let taken = Timestamp::from_second(taken).map_err(|_| strange())?;
    let objects = stored::load(body.get(end + 1..).unwrap_or_default());
    let objects = objects.filter(|objects| objects.len() as u64 == count);
    let objects = objects.ok_or(Broken("its objects cannot be read"))?;
    Ok((Snapshot { objects, taken }, cluster))
}

/// Puts a snapshot of `objects` at `path`, and returns its size in octets. It blocks while the disk does.
///
/// # Errors
/// It cannot be written, or would be larger than is read; then what was there before is there.
pub fn save(path: &Path, cluster: &[u8], objects: &[Object], taken: Timestamp) -> io::Result<u64> {
    let draft = Draft::of(path)?;
    let written = write(&draft.file, cluster, objects, taken);
    match written {
        Ok(octets) => draft.publish(path).map(|()| octets),
        Err(error) => {
            // A disk that is full has room for others again.
            let _ = draft.discard();
            Err(error)
        }
    }
}

fn write(file: &File, cluster: &[u8], objects: &[Object], taken: Timestamp) -> io::Result<u64> {
    let mut out = BufWriter::new(file);
    let (mut sum, mut octets) = (Sum::default(), 8);
    let mut give = |piece: &[u8]| {
        sum.add(piece);
        octets += piece.len() as u64;
        if octets > OCTETS_MAX {
            return Err(io::Error::other(
                "there are too many objects for a snapshot",
            ));
        }
        out.write_all(piece)
    };
    let seconds = taken
        .duration_since(Timestamp::UNIX_EPOCH)
        .max(SignedDuration::ZERO);
    let head = format!(
        "{MAGIC} {VERSION} {:016x} {:016x} {} {}\n",
        stored::shape(),
        sum_of(cluster),
        seconds.as_secs(),
        objects.len()
    );
    give(head.as_bytes())?;
    stored::store(objects, &mut give)?;
    out.write_all(&sum.0.to_le_bytes())?;
    out.flush()?;
    Ok(octets)
}

/// FNV-1a: every step can be undone, so any one octet that differs makes another sum. It guards against accidents, not
/// against someone who may write the file.
struct Sum(u64);

impl Default for Sum {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Sum {
    fn add(&mut self, octets: &[u8]) {
        self.0 = octets.iter().fold(self.0, |sum, octet| {
            (sum ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01B3)
        });
    }
}

fn sum_of(octets: &[u8]) -> u64 {
    let mut sum = Sum::default();
    sum.add(octets);
    sum.0
}

#[cfg(test)]
mod tests;
