//! Watching a directory of manifests.
//!
//! ```text
//! event of the file system -> wait until it is quiet -> read, and tell if the contents changed
//! two seconds without one  -> compare stamps         -> where one differs: wait until two looks are equal, and
//!                                                       the same
//! ```
//!
//! Events alone are not enough: network file systems have none, and symlinks to elsewhere are not followed by them.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use notify::{EventKind, RecursiveMode, Watcher};
use thiserror::Error;

use super::listing::Listing;
use super::manifests::{LoadError, Loaded, Manifests};
use super::zones::{LoadedZones, ZoneFiles};

/// A running watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    signals: Sender<Signal>,
}

/// The watch could not begin.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The operating system gives no thread.
    #[error("cannot start the thread that watches files")]
    Thread(#[source] std::io::Error),
}

#[derive(Debug)]
pub(super) enum Signal {
    Touched,
    Stop,
}

/// Writers write a file in several steps; so long must nothing happen before it is read.
const QUIET: Duration = Duration::from_millis(200);

/// And so long is it waited for that, when somebody never stops writing.
const QUIET_LATEST: Duration = Duration::from_secs(2);

/// How often stamps are compared without an event.
pub(super) const POLL: Duration = Duration::from_secs(2);

/// Calls `on_load` from a thread of its own whenever the manifests in `dir` say something new; `first` is what was
/// loaded before. An error is told once, and again when it is another.
///
/// # Errors
/// The thread cannot be started. Without file system events the watch polls.
pub fn watch(
    dir: PathBuf,
    first: Manifests,
    on_load: impl FnMut(Result<Loaded, LoadError>) + Send + 'static,
) -> Result<Watch, WatchError> {
    begin("manifests", dir, first, on_load)
}

/// The same for zone files; `on_load` is called whenever a file is another.
///
/// # Errors
/// As [`watch()`].
pub fn watch_zones(
    dir: PathBuf,
    first: ZoneFiles,
    on_load: impl FnMut(Result<LoadedZones, LoadError>) + Send + 'static,
) -> Result<Watch, WatchError> {
    begin("zones", dir, first, on_load)
}

/// A directory that is read again and again.
trait Directory: Send + 'static {
    /// What it gives.
    type Loaded;

    fn load_if_changed(&mut self) -> Result<Option<Self::Loaded>, LoadError>;
    fn is_unchanged(&self) -> bool;
    fn look(&self) -> Option<Listing>;
}

impl Directory for Manifests {
    type Loaded = Loaded;

    fn load_if_changed(&mut self) -> Result<Option<Loaded>, LoadError> {
        Self::load_if_changed(self)
    }

    fn is_unchanged(&self) -> bool {
        Self::is_unchanged(self)
    }

    fn look(&self) -> Option<Listing> {
        Self::look(self)
    }
}

impl Directory for ZoneFiles {
    type Loaded = LoadedZones;

    fn load_if_changed(&mut self) -> Result<Option<LoadedZones>, LoadError> {
        Self::load_if_changed(self)
    }

    fn is_unchanged(&self) -> bool {
        Self::is_unchanged(self)
    }

    fn look(&self) -> Option<Listing> {
        Self::look(self)
    }
}

fn begin<D: Directory>(
    name: &str,
    dir: PathBuf,
    first: D,
    on_load: impl FnMut(Result<D::Loaded, LoadError>) + Send + 'static,
) -> Result<Watch, WatchError> {
    let (signals, received) = mpsc::channel();
    let touched = signals.clone();
    let builder = thread::Builder::new().name(name.into());
    builder
        .spawn(move || {
            // Dropped with the thread, which ends the events.
            let _events = subscribe(&dir, RecursiveMode::Recursive, touched);
            run(first, &received, on_load);
        })
        .map_err(WatchError::Thread)?;
    Ok(Watch { signals })
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread may be gone already, which is as well.
        let _ = self.signals.send(Signal::Stop);
    }
}

pub(super) fn subscribe(
    dir: &Path,
    mode: RecursiveMode,
    touched: Sender<Signal>,
) -> Option<notify::RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading files is an event too, and ours would wake us for ever.
        let is_read = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
        if !is_read {
            let _ = touched.send(Signal::Touched);
        }
    };
    let watcher = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(dir, mode)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| {
            tracing::warn!(dir = %dir.display(), %error, "no file system events, polling");
        })
        .ok()
}

fn run<D: Directory>(
    mut manifests: D,
    signals: &Receiver<Signal>,
    mut on_load: impl FnMut(Result<D::Loaded, LoadError>),
) {
    let mut last_error: Option<String> = None;
    // What changed before the events began is found at once.
    let mut is_touched = true;
    loop {
        if is_touched {
            match manifests.load_if_changed() {
                Ok(loaded) => {
                    last_error = None;
                    if let Some(loaded) = loaded {
                        on_load(Ok(loaded));
                    }
                }
                Err(error) => {
                    let text = format!("{error:?}");
                    if last_error.as_ref() != Some(&text) {
                        last_error = Some(text);
                        on_load(Err(error));
                    }
                }
            }
        }
        is_touched = match signals.recv_timeout(POLL) {
            Ok(Signal::Touched) => match settle(signals) {
                Ok(()) => true,
                Err(Stopped) => return,
            },
            Err(RecvTimeoutError::Timeout) if manifests.is_unchanged() => false,
            Err(RecvTimeoutError::Timeout) => match settle_stamps(&manifests, signals) {
                Ok(()) => true,
                Err(Stopped) => return,
            },
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        };
    }
}

pub(super) struct Stopped;

/// Waits until two looks at the stamps, some time apart, see the same: where there are no events, this is how a
/// writer is noticed who has not finished.
fn settle_stamps(manifests: &impl Directory, signals: &Receiver<Signal>) -> Result<(), Stopped> {
    let latest = Instant::now() + QUIET_LATEST;
    let mut seen = manifests.look();
    while Instant::now() < latest {
        match signals.recv_timeout(QUIET) {
            Ok(Signal::Touched) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
        }
        let look = manifests.look();
        if look == seen {
            break;
        }
        seen = look;
    }
    Ok(())
}

/// Waits until nothing has been touched for a while.
pub(super) fn settle(signals: &Receiver<Signal>) -> Result<(), Stopped> {
    let latest = Instant::now() + QUIET_LATEST;
    while Instant::now() < latest {
        match signals.recv_timeout(QUIET) {
            Ok(Signal::Touched) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
        }
    }
    Ok(())
}
