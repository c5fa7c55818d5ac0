//! The snapshot of a cluster: read before anything else is known, and kept up while the server runs.
//!
//! Given where it lies and which cluster is followed, [`Keeping::load`] gives the objects of before to begin with, and
//! [`Keeping::start`] has them saved as they change, off the engine's thread. A snapshot that cannot be used, or not be
//! saved, is told and changes nothing else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::{self, JoinHandle};
use tokio::time::{self, Instant};
use tracing::{error, info, warn};

use super::Source;
use crate::config::Config;
use crate::engine::control::Handle;
use crate::files::snapshot::{self, Counters, Refused, Snapshot};
use crate::kubernetes;

/// How often it is looked whether there is something to save for the first time; a cluster is read in a second or two.
const FIRST_EVERY: Duration = Duration::from_secs(1);
/// From one to the next, at least, while things change: 100,000 pods are 15 MB, and whoever is this old is reconciled in a
/// second.
const EVERY: Duration = Duration::from_secs(30);
/// One that is as it was is saved again after this time, since it is as new as the last look says.
const AGAIN: Duration = Duration::from_secs(600);

/// Where the snapshot lies, and of which cluster it is.
#[derive(Debug)]
pub(super) struct Keeping {
    path: PathBuf,
    cluster: Vec<u8>,
    max_age: Duration,
    counters: Arc<Counters>,
}

impl Keeping {
    /// `None` where there is to be none: of manifests, which are on disk, or without a place for it.
    pub(super) async fn of(config: &Config, source: &Source) -> Option<Self> {
        let (Source::Kubernetes(settings), Some(state)) = (source, &config.state) else {
            return None;
        };
        let mut path = state.clone().into_os_string();
        path.push(".snapshot");
        let max_age = config.snapshot_max_age;
        // What is wrong with the way to the cluster is told by who follows it.
        let cluster = kubernetes::cluster(&settings.access).await.ok()?;
        (!max_age.is_zero()).then(|| Self {
            path: path.into(),
            cluster,
            max_age,
            counters: Arc::default(),
        })
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// What to begin with, if there is something.
    pub(super) async fn load(&self) -> Option<Snapshot> {
        let file = self.path.display().to_string();
        let (path, cluster, max_age) = (self.path.clone(), self.cluster.clone(), self.max_age);
        let load = move || snapshot::load(&path, &cluster, max_age, Timestamp::now());
        match task::spawn_blocking(load).await.ok()? {
            Ok(snapshot) => {
                let (taken, objects) = (snapshot.taken, snapshot.objects.len());
                info!(file, %taken, objects, "read the snapshot");
                self.counters.used(taken);
                Some(snapshot)
            }
            Err(Refused::Absent) => {
                info!(file, "there is no snapshot to begin with");
                None
            }
            Err(refused) => {
                let why = crate::telemetry::chain(&refused);
                warn!(
                    file,
                    why, "the snapshot is not used; names are answered when the API server is"
                );
                None
            }
        }
    }

    /// Saves what `engine` knows, until it is told to stop.
    pub(super) fn start(self, engine: Handle) -> Kept {
        let (stop, stopped) = oneshot::channel();
        let mut saver = Saver {
            keeping: self,
            engine,
            batch: 0,
            has_tried: false,
            trouble: None,
        };
        let task = tokio::spawn(async move {
            saver.run(stopped).await;
            saver.save().await;
        });
        Kept { stop, task }
    }
}

/// A snapshot that is kept up.
#[derive(Debug)]
pub(super) struct Kept {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Kept {
    /// Saves what is left, and ends.
    pub(super) async fn finish(self) {
        drop(self.stop);
        // A panic of the task has been told where it happened.
        let _ = self.task.await;
    }
}

struct Saver {
    keeping: Keeping,
    engine: Handle,
    /// The number of the batch that was saved last.
    batch: u64,
    /// It has had something to save.
    has_tried: bool,
    trouble: Option<String>,
}

impl Saver {
    async fn run(&mut self, mut stopped: oneshot::Receiver<()>) {
        let mut again_at = Instant::now() + AGAIN;
        loop {
            let wait = if self.has_tried { EVERY } else { FIRST_EVERY };
            tokio::select! {
                _ = &mut stopped => return,
                () = time::sleep(wait) => {}
            }
            if Instant::now() >= again_at {
                self.batch = 0;
            }
            if self.save().await {
                again_at = Instant::now() + AGAIN;
            }
        }
    }

    /// Saves what is known, if it is something else than before; whether it did.
    async fn save(&mut self) -> bool {
        let Ok(Some(known)) = self.engine.known(self.batch).await else {
            return false;
        };
        self.has_tried = true;
        let (path, cluster) = (self.keeping.path.clone(), self.keeping.cluster.clone());
        let (batch, at) = (known.batch, known.at);
        let save = move || snapshot::save(&path, &cluster, &known.objects, known.at);
        let Ok(saved) = task::spawn_blocking(save).await else {
            return false;
        };
        let file = self.keeping.path.display();
        match saved {
            Ok(octets) => {
                self.batch = batch;
                self.keeping.counters.saved(at, octets);
                if self.trouble.take().is_some() {
                    info!(%file, "the snapshot is saved again");
                }
                true
            }
            Err(error) => {
                self.keeping.counters.failed();
                let cause = error.to_string();
                if self.trouble.as_ref() != Some(&cause) {
                    error!(%file, cause, "the snapshot cannot be saved; the last one stays");
                    self.trouble = Some(cause);
                }
                false
            }
        }
    }
}
