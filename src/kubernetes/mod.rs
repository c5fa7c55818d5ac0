//! Kubernetes: following a live cluster, and telling its people what happens.
//!
//! Given a way to an API server, [`start`] lists and watches every [`Kind`] and hands what changes to whoever
//! takes [`Event`]s, as batches of [`Change`]s in the words of `objects`. It tells when the API server is lost and when it is
//! back; how each watch fares is in [`Status`]. It never drops an event: while nobody takes them, watches wait. It never
//! stops trying. All it ever writes is what is put into the [`Outbox`]: the status of ServiceRollouts, and Events.
//!
//! ```text
//!   kubeconfig ─> Clients ─┐
//!                          v
//!      a kind: Api ─> Encoding ─> Reading ─> Known (is it news?) ─> Guard (is the list to be believed?) ─> Event
//!                 └── Backoff, Lists (when again?)                        └── Losses (is the source there?) ──^
//!      Report ─> Outbox ─> Writer ─> statuses, Events
//! ```
//!
//! What a server does here runs on a thread of its own, with whoever works on what it gives: parsing ten thousand pods must not
//! keep a query waiting. What decides (`known`, `guard`, `pace`, `loss`) reads no clock and does no I/O.

// Decisions.
mod guard;
mod known;
mod loss;
mod pace;

// The API server: how it is reached, what it is asked, what it says.
mod access;
mod api;
mod encoding;
mod reading;

// Following, and what is told of it.
mod desk;
mod follow;
mod status;

// What is written.
mod reports;

// For people at a command line, by their own rights: a way to a server in a pod, and writing what they ask.
pub mod asking;
pub mod forward;

// The resource of ours, for who writes it and for its API server.
pub mod resource;

use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use thiserror::Error;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{self, JoinSet, LocalSet};
use tokio::time;
use tracing::error;

use crate::model::Problem;
use crate::objects::{Change, Kind};

use access::Clients;
use desk::Desk;
use follow::Follower;
use reports::Writer;

pub use access::{Access, AccessError, cluster};
pub use desk::{Sink, Stopped, Taking};
pub use pace::Pace;
pub use reports::{Notice, Outbox, Report, Written};
pub use status::{Following, KindReport, LastError, Status};

/// Which cluster is followed, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which cluster, and as whom.
    pub access: Access,
    /// How patiently.
    pub pace: Pace,
    /// The name of this server in Events.
    pub instance: String,
}

/// What happened in the cluster, or to the way there.
#[derive(Debug)]
pub enum Event {
    /// Objects came, changed or went; to be folded in as one batch.
    Batch {
        /// What changed.
        changes: Vec<Change>,
        /// Objects that cannot be read, all of them at this moment; `None`: what was said before stands.
        problems: Option<Vec<Problem>>,
    },
    /// Something that is needed cannot be followed.
    Lost {
        /// When it was last heard of; `None`: never.
        since: Option<Timestamp>,
        /// The cause, for people.
        cause: String,
    },
    /// Everything that is needed is followed again.
    Back,
}

/// Running watches; they end when this is dropped.
#[derive(Debug)]
pub struct Watches {
    /// How they fare.
    pub status: Arc<Status>,
    _stop: oneshot::Sender<()>,
}

/// Why nothing is watched.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no way to an API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The system gave no thread.
    #[error("cannot start the thread of the watches")]
    Thread(#[source] std::io::Error),
}

/// Begins to follow the cluster; `sink` takes what happens, and what is put into `outbox` is written. An API server that
/// does not answer is no error: it is tried until it does.
///
/// `beside` runs on the thread of the watches, and longer than they do: whoever works on what `sink` takes is woken there
/// without a change of threads, which costs more than reading an event. The thread ends when it does.
///
/// # Errors
/// Where nothing says which cluster, or the credentials cannot be read.
pub async fn start<F: Future<Output = ()>>(
    settings: Settings,
    outbox: Arc<Outbox>,
    sink: Sink,
    beside: impl FnOnce() -> F + Send + 'static,
) -> Result<Watches, StartError> {
    let status = Arc::new(Status::new(Instant::now(), Arc::clone(&outbox)));
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = oneshot::channel();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Thread)?;
    let of_thread = Arc::clone(&status);
    thread::Builder::new()
        .name("kubernetes".to_owned())
        .spawn(move || {
            let local = LocalSet::new();
            let end = Arc::clone(&sink);
            let following = async move {
                // The client's tasks belong to this runtime.
                let made = clients(&settings).await;
                let (made, clients) = match made {
                    Ok(clients) => (Ok(()), Some(clients)),
                    Err(error) => (Err(error), None),
                };
                let is_waited_for = ready.send(made).is_ok();
                if let Some(clients) = clients.filter(|_| is_waited_for) {
                    let desk = Rc::new(Desk::new(clients, settings.pace, of_thread, sink));
                    let writer = Writer::new(Rc::clone(&desk), outbox, settings.instance);
                    // On its own: a fault in it is no fault of the watches.
                    let writer = task::spawn_local(writer.run());
                    tokio::select! {
                        // Told by dropping the other end.
                        _ = stopped => {}
                        _ = follow_all(desk) => {}
                    }
                    writer.abort();
                }
            };
            // A task: a fault in it is told, and is no fault of what runs beside it.
            let following = async {
                if task::spawn_local(following).await.is_err() {
                    error!("the watches have ended by a fault of the program; restart it");
                    let cause = "the watches have ended".to_owned();
                    let lost = Event::Lost { since: None, cause };
                    // Whoever is told and is gone has no use for it.
                    let _ = end(lost).await;
                }
                // With it a way to whoever takes events is given up.
                drop(end);
            };
            let both = async { tokio::join!(following, beside()) };
            runtime.block_on(local.run_until(both));
            // A plugin for credentials may still run.
            runtime.shutdown_background();
        })
        .map_err(StartError::Thread)?;
    match is_ready.await {
        Ok(made) => made?,
        // The thread would have to panic.
        Err(_) => {
            return Err(StartError::Thread(std::io::Error::other(
                "the thread has ended",
            )));
        }
    }
    Ok(Watches {
        status,
        _stop: stop,
    })
}

async fn clients(settings: &Settings) -> Result<Clients, AccessError> {
    let Settings { access, pace, .. } = settings;
    // A second fence behind `silence` and the limits of pages, for connections nobody waits for.
    let read_timeout = pace.silence.max(pace.page) + Duration::from_secs(10);
    let client = access.client(read_timeout).await?;
    Ok(Clients::new(access.clone(), read_timeout, client))
}

/// Follows every kind until nobody takes events any more. A kind whose task panics begins anew.
async fn follow_all(desk: Rc<Desk>) -> Stopped {
    let mut tasks = JoinSet::new();
    let spawn = |tasks: &mut JoinSet<_>, kind| {
        let follower = Follower::new(Rc::clone(&desk), kind);
        tasks.spawn_local(follower.run()).id()
    };
    let mut kinds: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| (spawn(&mut tasks, kind), kind))
        .collect();
    loop {
        match tasks.join_next().await {
            Some(Ok(stopped)) => return stopped,
            None => return Stopped,
            Some(Err(panic)) => {
                let found = kinds.iter().position(|(id, _)| *id == panic.id());
                let Some(at) = found else { continue };
                let (_, kind) = kinds.swap_remove(at);
                error!(%kind, "the watch has panicked; beginning anew");
                if let Err(stopped) = desk.fail(kind, "the watch has panicked").await {
                    return stopped;
                }
                time::sleep(Duration::from_secs(1)).await;
                kinds.push((spawn(&mut tasks, kind), kind));
            }
        }
    }
}

#[cfg(test)]
mod tests;
