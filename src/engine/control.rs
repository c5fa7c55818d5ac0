//! The control loop: events in, publications out, questions answered.
//!
//! One task owns the [`Engine`]; everybody else has a [`Handle`]. So there is one writer, and a question sees
//! the cluster between two batches, never inside one. The task runs on a thread of its own ([`start`]), or on that of a
//! source ([`prepare`]), where what the source gives need not wake another thread.
//!
//! ```text
//!   Event, or the next due moment ─> Engine ─> logs ─> reports: Tell; names to look up: Want; what is to be remembered: Keep
//!                                                                           the reply to who asked for an intent <─ kept ─┘
//! ```
//!
//! Batches that wait right behind each other are folded in as one.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::{task, time};
use tracing::{debug, error, info, warn};

use super::history::Happened;
use super::waiting::Waiting;
use super::{
    Acted, Applied, ConfigureError, Detail, Engine, Intent, IntentError, Known, Plan, Report,
    Served, Settings, Subject, Summary, Totals,
};
use crate::answer::Terms;
use crate::model::{Problem, Resolved, ServiceKey};
use crate::objects::Change;
use crate::rollout::{Memory, Transition};
use crate::wire::Name;
use crate::zone::StaticZone;

/// Batches that may wait; a source that is faster than the engine waits for it.
const QUEUE_LEN_MAX: usize = 64;
/// Changes that are folded in together where they wait together: a tenth of a second's work, so that questions and time
/// are not kept waiting.
const CHANGES_GATHERED_MAX: usize = 1024;
/// Problems logged one by one at a time; the rest is a number, all of them are in the API.
const PROBLEMS_LOGGED_MAX: usize = 20;
/// How long the engine waits without a look at the wall clock: it may have been set while it waited.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Keeps memories where they survive this process (`None`: of a service that is gone), and calls the second when that
/// is done.
pub type Keep = Box<dyn FnMut(Vec<(ServiceKey, Option<Memory>)>, Option<Kept>) + Send>;

/// Tells the people of a cluster; must not wait.
pub type Tell = Box<dyn FnMut(Vec<Report>) + Send>;

/// Is told which names outside our zones are to be looked up (`true`), and which not any more. It must not wait.
pub type Want = Box<dyn FnMut(Vec<(Name, bool)>) + Send>;

/// Is told when memories are kept, or why they are not.
pub type Kept = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What reaches the engine.
#[derive(Debug)]
pub enum Event {
    /// A source read something: fold it in as one batch.
    Batch {
        /// What changed.
        changes: Vec<Change>,
        /// What the source itself could not read, all of it at this moment; `None`: what it said before stands.
        problems: Option<Vec<Problem>>,
    },
    /// The source cannot be read, or not all of it; what it gave before is served on, until [`Event::SourceBack`].
    SourceLost {
        /// When it was last known to be all there; `None`: just before.
        since: Option<Timestamp>,
        /// The cause, for people.
        cause: String,
    },
    /// The source is read again.
    SourceBack,
    /// What was learned of names outside our zones: of each, all that is known of it.
    Resolved(Vec<(Name, Resolved)>),
    /// The configuration was read anew; answered when all of it is published.
    Configure(
        Box<(Settings, Terms)>,
        oneshot::Sender<Result<(), ConfigureError>>,
    ),
    /// Files of zones were read: all zones that there are, with those that are another, and all that is wrong.
    StaticZones(Vec<(Name, Option<Box<StaticZone>>)>, Vec<Problem>),
    /// What of the configuration is not in force, all of it at this moment.
    ConfigProblems(Vec<Problem>),
    /// All services.
    List(oneshot::Sender<Vec<Arc<Summary>>>),
    /// One service.
    Detail(ServiceKey, oneshot::Sender<Option<Box<Detail>>>),
    /// Some services, those of them that are there.
    Details(Vec<ServiceKey>, oneshot::Sender<Vec<Detail>>),
    /// Somebody waits until a subject moves after a turn.
    Moved(Subject, u64, oneshot::Sender<u64>),
    /// All problems.
    Problems(oneshot::Sender<Vec<Problem>>),
    /// How much there is of everything.
    Totals(oneshot::Sender<Totals>),
    /// What happened to one service.
    History(ServiceKey, oneshot::Sender<Option<Vec<Transition>>>),
    /// All objects, where there has been a batch after the one of this number.
    Known(u64, oneshot::Sender<Option<Known>>),
    /// Somebody asks something of a roll-out.
    Intent(Request, oneshot::Sender<Result<Acted, IntentError>>),
    /// Somebody wants to know where that would be written.
    Plan(Request, oneshot::Sender<Result<Plan, IntentError>>),
}

/// What somebody asks of a roll-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The service.
    pub service: ServiceKey,
    /// The workload, where several roll.
    pub workload: Option<String>,
    /// What is asked.
    pub intent: Intent,
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

    /// Puts other settings and terms in force; answered when every name is as they want it.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn configure(
        &self,
        settings: Settings,
        terms: Terms,
    ) -> Result<Result<(), ConfigureError>, Stopped> {
        let configured = Box::new((settings, terms));
        self.ask(|reply| Event::Configure(configured, reply)).await
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

    /// Some services in full, without those that are not there. All of them are made in one go, while everything else
    /// waits: who wants many asks for a few at a time.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn details(&self, keys: Vec<ServiceKey>) -> Result<Vec<Detail>, Stopped> {
        self.ask(|reply| Event::Details(keys, reply)).await
    }

    /// Waits until a subject moves after the turn `after`, and gives the turn in which it did. That may have been before,
    /// and it is now where `after` is a turn that has not been: the number of another server, or of one before a restart.
    /// It costs the engine an entry in a list, however long it takes; whoever waits no more drops the future.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn moved(&self, subject: Subject, after: u64) -> Result<u64, Stopped> {
        self.ask(|reply| Event::Moved(subject, after, reply)).await
    }

    /// The turn that moved a subject last; 0: none.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn last_move(&self, subject: Subject) -> Result<u64, Stopped> {
        self.moved(subject, u64::MAX).await
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

    /// What happened to one service, the oldest first; `None` if there is none of that name.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn history(&self, key: ServiceKey) -> Result<Option<Vec<Transition>>, Stopped> {
        self.ask(|reply| Event::History(key, reply)).await
    }

    /// All objects as they were read from the source, where there has been a batch after the one of number `known`; zero
    /// is before all of them.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn known(&self, known: u64) -> Result<Option<Known>, Stopped> {
        self.ask(|reply| Event::Known(known, reply)).await
    }

    /// Does what somebody asks of a roll-out; answered when it is published, and kept where memories are.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn act(&self, request: Request) -> Result<Result<Acted, IntentError>, Stopped> {
        self.ask(|reply| Event::Intent(request, reply)).await
    }

    /// Tells where what somebody asks of a roll-out is to be written, and does nothing.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn plan(&self, request: Request) -> Result<Result<Plan, IntentError>, Stopped> {
        self.ask(|reply| Event::Plan(request, reply)).await
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

/// Where the engine's thread hands over what it does not keep to itself; none of them may wait.
#[derive(Default)]
pub struct Sinks {
    /// What it remembers.
    pub keep: Option<Keep>,
    /// What it reports.
    pub tell: Option<Tell>,
    /// Which names outside our zones it wants looked up.
    pub want: Option<Want>,
}

/// A loop that is to run somewhere, and the way to it.
pub fn prepare(engine: Engine, sinks: Sinks) -> (Handle, Loop) {
    let (sender, events) = mpsc::channel(QUEUE_LEN_MAX);
    let control = Loop {
        engine,
        sinks,
        events,
        waiting: Waiting::default(),
    };
    (Handle(sender), control)
}

/// Starts a loop on a thread of its own.
///
/// # Errors
/// When the system gives no thread, or no clock to wait by.
pub fn start(engine: Engine, sinks: Sinks) -> std::io::Result<Handle> {
    let (handle, control) = prepare(engine, sinks);
    control.start()?;
    Ok(handle)
}

/// The wall clock in whole seconds, as finely as Kubernetes dates its objects.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The loop, before it runs.
pub struct Loop {
    engine: Engine,
    sinks: Sinks,
    events: mpsc::Receiver<Event>,
    waiting: Waiting,
}

/// What ended a wait.
enum Woken {
    Event(Event),
    Time,
    /// Nobody has a handle.
    Ended,
}

impl Loop {
    /// Runs on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread, or no clock to wait by.
    pub fn start(self) -> std::io::Result<()> {
        // It only waits for events and for time.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || runtime.block_on(self.run()))?;
        Ok(())
    }

    /// Runs until nobody has a handle. It keeps its thread busy while there is work, and lets other tasks of the thread
    /// have their turn between two events. To be run on a runtime with time.
    pub async fn run(mut self) {
        let mut next = None;
        loop {
            let wait = wait(self.engine.next_due(), Timestamp::now());
            let woken = match next.take() {
                Some(event) => {
                    task::yield_now().await;
                    Woken::Event(event)
                }
                None => match time::timeout(wait, self.events.recv()).await {
                    Ok(Some(event)) => Woken::Event(event),
                    Ok(None) => Woken::Ended,
                    Err(_) => Woken::Time,
                },
            };
            match woken {
                Woken::Event(event) => {
                    let event = gathered(event, || {
                        next = self.events.try_recv().ok();
                        next.take_if(|event| matches!(event, Event::Batch { .. }))
                    });
                    self.event(event);
                }
                Woken::Time => {}
                Woken::Ended => return,
            }
            // Also after events: a source that always has another one does not stop the clock.
            self.tick();
            self.settle(None);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Batch { changes, problems } => self.batch(changes, problems),
            Event::SourceLost { since, cause } => {
                self.engine.set_lost(since.unwrap_or_else(now));
                error!(
                    cause,
                    "the source cannot be read; serving what it gave before"
                );
            }
            Event::SourceBack => {
                if self.engine.set_back() {
                    info!("the source is read again");
                }
            }
            Event::Resolved(learned) => {
                let started = Instant::now();
                log_published(&self.engine.learn(learned, now()), started);
            }
            Event::Configure(configured, reply) => {
                let started = Instant::now();
                let (settings, terms) = *configured;
                let applied = self.engine.configure(settings, terms, now());
                drop(reply.send(applied.map(|applied| log_published(&applied, started))));
            }
            Event::StaticZones(zones, problems) => {
                log_served(&self.engine.set_static_zones(zones, problems));
            }
            Event::ConfigProblems(problems) => self.engine.set_config_problems(problems),
            // Who asked may have gone; then the answer goes nowhere.
            Event::List(reply) => drop(reply.send(self.engine.list())),
            Event::Detail(key, reply) => {
                let detail = self.engine.detail(&key, now());
                drop(reply.send(detail.map(Box::new)));
            }
            Event::Details(keys, reply) => {
                let (now, keys) = (now(), keys.iter());
                let details = keys.filter_map(|key| self.engine.detail(key, now));
                drop(reply.send(details.collect()));
            }
            Event::Moved(subject, after, reply) => {
                let (moved, last) = self.engine.moved(&subject);
                match moved > after || after > last {
                    true => drop(reply.send(moved)),
                    false => self.waiting.add(subject, reply),
                }
            }
            Event::Problems(reply) => drop(reply.send(self.engine.problems())),
            Event::Totals(reply) => drop(reply.send(self.engine.totals())),
            Event::History(key, reply) => drop(reply.send(self.engine.history(&key))),
            Event::Known(known, reply) => drop(reply.send(self.engine.known(known, now()))),
            Event::Intent(request, reply) => self.intent(&request, reply),
            Event::Plan(asked, reply) => {
                let workload = asked.workload.as_deref();
                let planned = self
                    .engine
                    .plan(&asked.service, workload, asked.intent, now());
                drop(reply.send(planned));
            }
        }
    }

    fn batch(&mut self, changes: Vec<Change>, problems: Option<Vec<Problem>>) {
        let started = Instant::now();
        let was_synced = self.engine.view.is_synced() && self.engine.restored.is_none();
        let applied = self.engine.apply(changes, now());
        if let Some(problems) = problems {
            self.engine.set_source_problems(problems);
        }
        self.engine.programmed(Timestamp::now());
        log_published(&applied, started);
        if !was_synced && self.engine.view.is_synced() && self.engine.restored.is_none() {
            info!(
                services = self.engine.services.len(),
                "synced: names are answered"
            );
        }
    }

    fn tick(&mut self) {
        let started = Instant::now();
        let applied = self.engine.tick(now());
        log_published(&applied, started);
    }

    fn intent(&mut self, request: &Request, reply: oneshot::Sender<Result<Acted, IntentError>>) {
        let Request {
            service,
            workload,
            intent,
        } = request;
        let started = Instant::now();
        let acted = self
            .engine
            .act(service, workload.as_deref(), *intent, now());
        match acted {
            Err(error) => drop(reply.send(Err(error))),
            Ok((acted, applied)) => {
                let Acted { target, done, .. } = &acted;
                info!(%service, %target, done, "asked");
                log_published(&applied, started);
                let kept = move |kept: Result<(), String>| {
                    drop(reply.send(kept.map(|()| acted).map_err(IntentError::NotKept)));
                };
                self.settle(Some(Box::new(kept)));
            }
        }
    }

    /// Logs what happened and hands over what is to be remembered.
    fn settle(&mut self, kept: Option<Kept>) {
        for happened in self.engine.take_happened() {
            log_happened(&happened);
        }
        self.log_problems();
        for subject in self.engine.take_moved() {
            let (moved, _) = self.engine.moved(&subject);
            self.waiting.tell(&subject, moved);
        }
        let reports = self.engine.take_reports();
        if let Some(tell) = self.sinks.tell.as_mut().filter(|_| !reports.is_empty()) {
            tell(reports);
        }
        let wanted = self.engine.take_wanted();
        if let Some(want) = self.sinks.want.as_mut().filter(|_| !wanted.is_empty()) {
            want(wanted);
        }
        let memories = self.engine.take_remembered();
        match (&mut self.sinks.keep, kept) {
            (Some(keep), kept) if kept.is_some() || !memories.is_empty() => keep(memories, kept),
            (_, Some(kept)) => kept(Ok(())),
            (_, None) => {}
        }
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

/// A batch with those that wait right behind it, as one: a service that many of them change is made once. `waiting` gives
/// the next event if it is a batch.
fn gathered(event: Event, mut waiting: impl FnMut() -> Option<Event>) -> Event {
    let Event::Batch {
        mut changes,
        mut problems,
    } = event
    else {
        return event;
    };
    while changes.len() < CHANGES_GATHERED_MAX
        && let Some(Event::Batch {
            changes: more,
            problems: newer,
        }) = waiting()
    {
        changes.extend(more);
        problems = newer.or(problems);
    }
    Event::Batch { changes, problems }
}

/// How long to wait for an event: until the next moment is due, and never so long that a clock that was set meanwhile
/// is not seen.
fn wait(due: Option<Timestamp>, now: Timestamp) -> Duration {
    let until = due.map_or(WAIT_MAX, |due| {
        // In the past it is negative, which is no wait.
        Duration::try_from(due.duration_since(now)).unwrap_or_default()
    });
    until.min(WAIT_MAX)
}

fn log_published(applied: &Applied, started: Instant) {
    let changed = applied.changed;
    if changed.any() {
        let micros = started.elapsed().as_micros();
        debug!(
            generation = applied.generation,
            services = applied.services,
            added = changed.added,
            replaced = changed.replaced,
            removed = changed.removed,
            micros,
            "published"
        );
    }
}

/// Tells which zones of files are served.
pub fn log_served(served: &[Served]) {
    for served in served {
        match served {
            Served::Begun(zone, serial, records) => {
                info!(%zone, serial, records, "serving a static zone");
            }
            Served::Replaced(zone, serial, records) => {
                info!(%zone, serial, records, "a static zone is another");
            }
            Served::Ended(zone) => info!(%zone, "a static zone is served no more"),
        }
    }
}

fn log_happened(happened: &Happened) {
    let Happened {
        service,
        transition,
    } = happened;
    let workload = transition.workload.as_ref();
    let workload = workload.map_or_else(|| "backends".to_owned(), ToString::to_string);
    let took = happened.took();
    info!(
        %service,
        workload,
        from = transition.from.map(|state| state.as_str()),
        to = transition.to.as_str(),
        target = &*transition.target,
        kind = transition.kind.as_str(),
        result = took.map(|(result, _)| result.as_str()),
        seconds = took.map(|(_, seconds)| seconds),
        cause = transition.cause.map(|cause| cause.as_str()),
        "roll-out"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_wait_together_are_folded_in_together() {
        let batch = |count: usize, text: Option<&str>| {
            let change = Change::Delete {
                kind: crate::objects::Kind::Pod,
                namespace: "shop".into(),
                name: "web-1".into(),
            };
            let problem = |text: &str| Problem {
                origin: None,
                subject: String::new(),
                text: text.to_owned(),
            };
            Event::Batch {
                changes: vec![change; count],
                problems: text.map(|text| vec![problem(text)]),
            }
        };
        let check = |waiting: Vec<Event>, count: usize, text: Option<&str>, left: usize| {
            let mut waiting = waiting.into_iter();
            let event = gathered(batch(1, Some("old")), || waiting.next());
            let Event::Batch { changes, problems } = event else {
                panic!("a batch stays one");
            };
            let found = problems.map(|problems| problems[0].text.clone());
            assert_eq!((changes.len(), found.as_deref()), (count, text));
            assert_eq!(waiting.len(), left);
        };
        check(vec![], 1, Some("old"), 0);
        check(
            vec![batch(2, None), batch(3, Some("new"))],
            6,
            Some("new"),
            0,
        );
        check(vec![batch(2, None)], 3, Some("old"), 0);
        check(
            vec![batch(2000, None), batch(1, None)],
            2001,
            Some("old"),
            1,
        );
        let event = gathered(Event::SourceBack, || panic!("only batches are gathered"));
        assert!(matches!(event, Event::SourceBack));
    }

    #[test]
    fn it_waits_for_what_is_due_and_looks_at_the_clock_once_a_minute() {
        let at = |millis: i64| Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap();
        for (due, millis) in [
            (Some(at(5000)), 5000),
            (Some(at(1)), 1),
            (Some(at(0)), 0),
            (Some(at(-3_600_000)), 0),
            (Some(at(3_600_000)), 60_000),
            (Some(Timestamp::MAX), 60_000),
            (None, 60_000),
        ] {
            assert_eq!(wait(due, at(0)), Duration::from_millis(millis), "{due:?}");
        }
    }
}
