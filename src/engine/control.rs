//! The control loop: events in, publications out, questions answered.
//!
//! One thread owns the [`Engine`]; everybody else has a [`Handle`]. So there is one writer, and a question sees
//! the cluster between two batches, never inside one.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::{Detail, Engine, Summary, Totals};
use crate::model::{Problem, ServiceKey};
use crate::objects::Change;

/// Batches that may wait; a source that is faster than the engine waits for it.
const QUEUE_LEN_MAX: usize = 64;
/// Problems logged one by one at a time; the rest is a number, all of them are in the API.
const PROBLEMS_LOGGED_MAX: usize = 20;

/// What reaches the engine.
#[derive(Debug)]
pub enum Event {
    /// A source read something: fold it in as one batch.
    Batch {
        /// What changed.
        changes: Vec<Change>,
        /// What the source itself could not read, all of it at this moment.
        problems: Vec<Problem>,
    },
    /// A source cannot be read; what it gave before is served on.
    SourceLost {
        /// The cause, for people.
        cause: String,
    },
    /// All services.
    List(oneshot::Sender<Vec<Arc<Summary>>>),
    /// One service.
    Detail(ServiceKey, oneshot::Sender<Option<Box<Detail>>>),
    /// All problems.
    Problems(oneshot::Sender<Vec<Problem>>),
    /// How much there is of everything.
    Totals(oneshot::Sender<Totals>),
}

/// The engine is gone: the process is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Stopped;

/// The way to the engine; clones reach the same one. When the last is dropped, the engine ends.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Event>);

impl Handle {
    /// Hands a batch over from a thread that may block; waits while the engine is behind.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub fn send_blocking(&self, event: Event) -> Result<(), Stopped> {
        self.0.blocking_send(event).map_err(|_| Stopped)
    }

    /// As [`Handle::send_blocking`], for tasks.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn send(&self, event: Event) -> Result<(), Stopped> {
        self.0.send(event).await.map_err(|_| Stopped)
    }

    /// All services.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn list(&self) -> Result<Vec<Arc<Summary>>, Stopped> {
        self.ask(Event::List).await
    }

    /// One service; `None` if there is none of that name.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn detail(&self, key: ServiceKey) -> Result<Option<Box<Detail>>, Stopped> {
        self.ask(|reply| Event::Detail(key, reply)).await
    }

    /// All problems.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn problems(&self) -> Result<Vec<Problem>, Stopped> {
        self.ask(Event::Problems).await
    }

    /// How much there is of everything, for a scrape that lists nothing.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn totals(&self) -> Result<Totals, Stopped> {
        self.ask(Event::Totals).await
    }

    /// Waits for the engine's end: it ends only when it is broken, or when nobody has a handle.
    pub async fn ended(&self) {
        self.0.closed().await;
    }

    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(event(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }
}

/// Starts the engine's thread.
///
/// # Errors
/// When the system gives no thread.
pub fn start(engine: Engine) -> std::io::Result<Handle> {
    let (sender, events) = mpsc::channel(QUEUE_LEN_MAX);
    thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || Loop { engine }.run(events))?;
    Ok(Handle(sender))
}

/// The wall clock in whole seconds, as finely as Kubernetes dates its objects.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

struct Loop {
    engine: Engine,
}

impl Loop {
    fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.blocking_recv() {
            match event {
                Event::Batch { changes, problems } => self.batch(changes, problems),
                Event::SourceLost { cause } => {
                    let now = now().as_second();
                    self.engine.view.set_lost(u64::try_from(now).unwrap_or(0));
                    error!(
                        cause,
                        "the source cannot be read; serving what it gave before"
                    );
                }
                // Who asked may have gone; then the answer goes nowhere.
                Event::List(reply) => drop(reply.send(self.engine.list())),
                Event::Detail(key, reply) => {
                    let detail = self.engine.detail(&key, now());
                    drop(reply.send(detail.map(Box::new)));
                }
                Event::Problems(reply) => drop(reply.send(self.engine.problems())),
                Event::Totals(reply) => drop(reply.send(self.engine.totals())),
            }
        }
    }

    fn batch(&mut self, changes: Vec<Change>, problems: Vec<Problem>) {
        let started = Instant::now();
        let was_synced = self.engine.view.is_synced();
        let applied = self.engine.apply(changes, now());
        self.engine.view.set_fresh();
        self.engine.set_source_problems(problems);
        let changed = applied.changed;
        if changed.any() {
            let micros = started.elapsed().as_micros();
            info!(
                generation = applied.generation,
                services = applied.services,
                added = changed.added,
                replaced = changed.replaced,
                removed = changed.removed,
                micros,
                "published"
            );
        }
        if !was_synced && self.engine.view.is_synced() {
            info!(
                services = self.engine.services.len(),
                "synced: names are answered"
            );
        }
        self.log_problems();
    }

    fn log_problems(&mut self) {
        let news = self.engine.take_problem_news();
        for problem in news.appeared.iter().take(PROBLEMS_LOGGED_MAX) {
            warn!("{problem}");
        }
        let more = news.appeared.len().saturating_sub(PROBLEMS_LOGGED_MAX);
        if more > 0 {
            warn!(more, "more problems; the API lists all of them");
        }
        for solved in news.solved.iter().take(PROBLEMS_LOGGED_MAX) {
            info!("solved: {solved}");
        }
    }
}
