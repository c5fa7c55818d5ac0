//! Watching single files, named one by one: a configuration, a secret.
//!
//! ```text
//! event in a file's directory -> wait until it is quiet -> compare stamps -> tell, where one differs
//! two seconds without one     ------------------------->   the same
//! ```
//!
//! The directory is watched and not the file, since editors put a new file in its place, and mounted ConfigMaps and Secrets
//! swap a link beside it (`config.yaml -> ..data/config.yaml`, `..data -> ..2026_11_30`). Stamps are those of what the path
//! leads to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use notify::RecursiveMode;

use super::listing::{Stamp, stamp};
use super::watch::{POLL, Signal, Stopped, WatchError, settle, subscribe};

/// A running watch; it ends when this is dropped.
#[derive(Debug)]
pub struct NamedWatch {
    signals: Sender<Signal>,
    /// Taken for a copy.
    paths: Arc<Mutex<Vec<PathBuf>>>,
}

/// Calls `on_change` from a thread of its own whenever one of the files at `paths` is another than before, comes or goes.
///
/// # Errors
/// The thread cannot be started. Without file system events the watch polls.
pub fn watch_named(
    paths: Vec<PathBuf>,
    on_change: impl FnMut() + Send + 'static,
) -> Result<NamedWatch, WatchError> {
    let (signals, received) = mpsc::channel();
    let touched = signals.clone();
    // Before the thread begins: what changes from here on is told.
    let seen = look(&paths);
    let paths = Arc::new(Mutex::new(paths));
    let named = Arc::clone(&paths);
    let builder = thread::Builder::new().name("config".into());
    builder
        .spawn(move || run(&named, seen, &touched, &received, on_change))
        .map_err(WatchError::Thread)?;
    Ok(NamedWatch { signals, paths })
}

impl NamedWatch {
    /// Watches these files from here on.
    pub fn set(&self, paths: Vec<PathBuf>) {
        *self.paths.lock().unwrap_or_else(PoisonError::into_inner) = paths;
        // It may be gone already, which is as well.
        let _ = self.signals.send(Signal::Touched);
    }
}

impl Drop for NamedWatch {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}

fn run(
    named: &Mutex<Vec<PathBuf>>,
    mut seen: Vec<Option<Stamp>>,
    touched: &Sender<Signal>,
    signals: &Receiver<Signal>,
    mut on_change: impl FnMut(),
) {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut _events = Vec::new();
    loop {
        let wanted = named.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if wanted != paths {
            if !paths.is_empty() {
                seen = look(&wanted);
            }
            // Dropped with the thread, which ends the events.
            _events = directories(&wanted)
                .iter()
                .filter_map(|dir| subscribe(dir, RecursiveMode::NonRecursive, touched.clone()))
                .collect();
            paths = wanted;
        }
        let now = look(&paths);
        if now != seen {
            seen = now;
            on_change();
        }
        match signals.recv_timeout(POLL) {
            Ok(Signal::Touched) => match settle(signals) {
                Ok(()) => {}
                Err(Stopped) => return,
            },
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What the paths lead to; `None`: nothing.
fn look(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let look = |path: &PathBuf| Some(stamp(path.clone(), &fs::metadata(path).ok()?));
    paths.iter().map(look).collect()
}

/// The directories that the files stand in.
fn directories(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let directory = |path: &PathBuf| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    paths.iter().map(directory).collect()
}
