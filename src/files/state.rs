//! The state file: what is remembered of roll-outs, kept where it survives the process.
//!
//! ```text
//! shiftdns-state 1 6c62272e07bb0142            what it is, its version, the checksum of all that follows
//! {"shop/web":{"tracks":[...],...},...}        the memories, sorted by service
//! ```
//!
//! [`load`] reads it, and [`Keeper`] writes it: whole, into a file beside it which then takes its name, so that at no
//! moment half of it is there. Nothing that is remembered is needed to serve: a file that is broken is put aside, and
//! what is lost with it is told.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;
use tracing::{error, info, warn};

use super::draft::Draft;
use crate::model::ServiceKey;
use crate::rollout::Memory;

/// All memories by service.
pub type Memories = BTreeMap<ServiceKey, Memory>;

/// The first word of the file.
const MAGIC: &str = "shiftdns-state";
/// The version of the format: another one is not read.
const VERSION: &str = "1";

/// While nobody waits for it, the file is written at most so often: a ramp moves every 5 seconds, and the whole of
/// 10,000 services is some 5 MB.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Why there are no memories.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file is there and cannot be read, or its directory cannot be written.
    #[error("cannot use the state file `{}`", path.display())]
    Io {
        /// As it was named.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not one that this program wrote, or not as it wrote it.
    #[error("the state file `{}` is broken: {why}", path.display())]
    Broken {
        /// As it was named.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The memories in a file; a file that is not there is as good as an empty one.
///
/// # Errors
/// See [`StateError`].
pub fn load(path: &Path) -> Result<Memories, StateError> {
    let octets = match fs::read(path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Memories::new()),
        Err(source) => {
            let path = path.to_owned();
            return Err(StateError::Io { path, source });
        }
    };
    read(&octets).map_err(|why| StateError::Broken {
        path: path.to_owned(),
        why,
    })
}

fn read(octets: &[u8]) -> Result<Memories, String> {
    let end = octets.iter().position(|octet| *octet == b'\n');
    let (head, body) = octets.split_at(end.ok_or("it has no first line")?);
    let body = &body[1..];
    let head = std::str::from_utf8(head).unwrap_or_default();
    let words: Vec<&str> = head.split(' ').collect();
    let checksum = match words[..] {
        [MAGIC, VERSION, checksum] => checksum,
        [MAGIC, version, _] => {
            return Err(format!(
                "it is of version `{version}`, this program reads version {VERSION}"
            ));
        }
        _ => return Err(format!("it does not begin with `{MAGIC}`")),
    };
    if *checksum != checksum_of(body) {
        return Err("its checksum is another: it was cut off or changed".to_owned());
    }
    let by_name: BTreeMap<String, Memory> =
        serde_json::from_slice(body).map_err(|error| format!("it cannot be read: {error}"))?;
    let keyed = by_name.into_iter().map(|(name, memory)| {
        let key = ServiceKey::parse(&name).ok_or_else(|| format!("`{name}` is no service"))?;
        Ok((key, memory))
    });
    keyed.collect()
}

fn written(memories: &Memories) -> Result<Vec<u8>, serde_json::Error> {
    let by_name: BTreeMap<String, &Memory> = memories
        .iter()
        .map(|(key, memory)| (key.to_string(), memory))
        .collect();
    let mut body = serde_json::to_vec(&by_name)?;
    body.push(b'\n');
    let mut octets = format!("{MAGIC} {VERSION} {}\n", checksum_of(&body)).into_bytes();
    octets.append(&mut body);
    Ok(octets)
}

/// FNV-1a: every step can be undone, so any one octet that differs makes another sum. It guards against accidents, not
/// against someone who may write the file.
fn checksum_of(octets: &[u8]) -> String {
    let sum = octets.iter().fold(0xCBF2_9CE4_8422_2325_u64, |sum, octet| {
        (sum ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    format!("{sum:016x}")
}

/// Called when what was put is on disk, or with why it is not.
pub type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Writes memories to a file, from a thread of its own; [`Keeper::finish`] writes what is left.
#[derive(Debug)]
pub struct Keeper {
    sink: Sink,
    thread: JoinHandle<()>,
}

/// The way to the [`Keeper`]'s thread.
#[derive(Clone, Debug)]
pub struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
}

/// What has not been written. Of a service only the latest memory is, so that a disk that hangs costs no more memory
/// than there are services.
#[derive(Default)]
struct Pending {
    changes: BTreeMap<ServiceKey, Option<Memory>>,
    waiting: Vec<Done>,
    stop: bool,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("changes", &self.changes.len())
            .field("waiting", &self.waiting.len())
            .field("stop", &self.stop)
            .finish()
    }
}

impl Sink {
    /// Takes changes, `None` of a service that is gone. Without `done` they may wait a moment for others.
    pub fn put(&self, changes: Vec<(ServiceKey, Option<Memory>)>, done: Option<Done>) {
        let mut pending = self.0.lock();
        pending.changes.extend(changes);
        pending.waiting.extend(done);
        drop(pending);
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // What is pending means something at any point.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Begins with the file's memories, and writes whatever changes. Reads the file at `path` first: one that is broken
    /// is told, left as it is until there is a good one, and then kept as `<path>.broken`.
    ///
    /// # Errors
    /// The file cannot be read or written, or there is no thread.
    pub fn start(path: &Path) -> Result<(Self, Memories), StateError> {
        let failed = |source| StateError::Io {
            path: path.to_owned(),
            source,
        };
        let mut store = Store::new(path);
        let memories = match load(path) {
            Ok(memories) => memories,
            Err(StateError::Broken { path, why }) => {
                warn!(
                    file = %path.display(),
                    why,
                    aside = %store.aside.display(),
                    "the state file is broken and is put aside; what is lost: how long roll-outs were paused, which \
                     revisions failed, where ramps began, what was asked through this server, and last good policies"
                );
                store.is_broken = true;
                Memories::new()
            }
            Err(error) => return Err(error),
        };
        // That it can be written is known before it matters.
        store.probe().map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let sink = Sink(Arc::clone(&shared));
        let known = memories.clone();
        let thread = thread::Builder::new().name("state".to_owned());
        let thread = thread.spawn(move || run(&shared, &mut store, known));
        let thread = thread.map_err(failed)?;
        Ok((Self { sink, thread }, memories))
    }

    /// The way to it.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Writes what is left, and ends. It blocks while the disk does.
    pub fn finish(self) {
        self.sink.0.lock().stop = true;
        self.sink.0.wake.notify_one();
        // A panic of the thread has been told where it happened.
        let _ = self.thread.join();
    }
}

/// Waits for changes, and writes them.
fn run(shared: &Shared, store: &mut Store, mut memories: Memories) {
    let mut last = Instant::now().checked_sub(WRITE_EVERY);
    let mut is_dirty = false;
    let mut trouble: Option<String> = None;
    loop {
        let mut pending = shared.lock();
        loop {
            let is_urgent = pending.stop || !pending.waiting.is_empty();
            let is_wanted = is_dirty || !pending.changes.is_empty();
            let since = last.map(|last| last.elapsed());
            let rest = since.map_or(Duration::ZERO, |since| WRITE_EVERY.saturating_sub(since));
            pending = if is_urgent || (is_wanted && rest.is_zero()) {
                break;
            } else if is_wanted {
                let woken = shared.wake.wait_timeout(pending, rest);
                woken.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let woken = shared.wake.wait(pending);
                woken.unwrap_or_else(PoisonError::into_inner)
            };
        }
        let changes = std::mem::take(&mut pending.changes);
        let waiting = std::mem::take(&mut pending.waiting);
        let stop = pending.stop;
        drop(pending);
        for (key, memory) in changes {
            match memory {
                Some(memory) if memories.get(&key) == Some(&memory) => {}
                Some(memory) => {
                    memories.insert(key, memory);
                    is_dirty = true;
                }
                None => is_dirty |= memories.remove(&key).is_some(),
            }
        }
        let result = match is_dirty {
            true => store.write(&memories).map_err(|error| error.to_string()),
            false => Ok(()),
        };
        is_dirty = result.is_err();
        last = Some(Instant::now());
        tell(store, &mut trouble, &result);
        for done in waiting {
            done(result.clone());
        }
        if stop {
            return;
        }
    }
}

/// Logs trouble once, and its end.
fn tell(store: &Store, trouble: &mut Option<String>, result: &Result<(), String>) {
    let file = store.path.display();
    match result {
        Err(cause) if trouble.as_ref() != Some(cause) => {
            error!(%file, cause, "the state file cannot be written; a restart forgets what happens meanwhile");
            *trouble = Some(cause.clone());
        }
        Ok(()) if trouble.take().is_some() => info!(%file, "the state file is written again"),
        _ => {}
    }
}

/// Where the file is, and where one is put that is broken.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    aside: PathBuf,
    /// What stands there is not ours to overwrite.
    is_broken: bool,
}

impl Store {
    fn new(path: &Path) -> Self {
        let with = |ending: &str| {
            let mut name = OsString::from(path);
            name.push(ending);
            PathBuf::from(name)
        };
        Self {
            path: path.to_owned(),
            aside: with(".broken"),
            is_broken: false,
        }
    }

    /// Whether a file can be made there.
    fn probe(&self) -> io::Result<()> {
        match Draft::of(&self.path) {
            // The process whose place this one takes.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            draft => draft?.discard(),
        }
    }

    fn write(&mut self, memories: &Memories) -> io::Result<()> {
        let octets = written(memories)?;
        let mut draft = Draft::of(&self.path)?;
        draft.file.write_all(&octets)?;
        draft.file.sync_all()?;
        if self.is_broken {
            match fs::rename(&self.path, &self.aside) {
                // Whoever was told that it is broken may have taken it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
            self.is_broken = false;
        }
        draft.publish(&self.path)
    }
}

#[cfg(test)]
mod tests;
