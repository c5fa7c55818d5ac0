//! The engine: the only writer of the published names.
//!
//! It is given batches of [`Change`]s, the time, and what people ask of a roll-out. A batch is folded into the index,
//! the services it really changed are evaluated, compiled, encoded and published, one after another, and nothing else
//! is touched; so are those whose time has come ([`Engine::tick`]). What it gives is the [`View`] that queries read, to
//! people: lists, details, histories, problems; and what is to be remembered.
//!
//! ```text
//!   Changes ─> Index ─> dirty ─┐
//!   time ───> Schedule ─> due ─┼─> rollout::evaluate ─> records::compile ─> zone::encode ─> Publisher
//!   Intent ──> memory ─────────┘      ^    │    │  ^                           └ reverse names, namespaces, pods
//!                                   memory <┘    │  └ targets: what was learned of names outside
//!                                                └> Schedule, History
//! ```
//!
//! *Replay law:* for the same memory, folding changes one by one publishes what [`Engine::compile_from_scratch`]
//! gives. It reads no clock: [`Engine::apply`] is told the time, and [`control`] is the loop that tells it.

pub mod control;

// From a service to its names, and the other side of the replay law.
mod publish;
mod reverse;
mod scratch;
mod slots;
mod statics;
mod targets;

// What time does.
mod drains;
mod hold;
mod restore;
mod schedule;

// A configuration that is read anew.
mod configure;

// People: what they ask, and what they are told.
mod history;
mod intents;
mod moves;
mod plan;
mod problems;
mod programming;
mod reports;
mod told;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::answer::{Terms, View};
use crate::model::{Policy, Problem, ServiceKey, ServiceView};
use crate::objects::{self, Change, Dirty, Index, Kind};
use crate::records::{self, Records, Shape};
use crate::rollout::{self, Memory, Outcome, Transition};
use crate::store::{Changed, Publisher};
use crate::wire::NameError;
use crate::zone::{Zone, ZoneKind};

use drains::Drains;
use history::{Happened, History};
use hold::Answered;
use moves::{Moves, Seen};
use problems::{News, Problems};
use reports::Reported;
use reverse::{Claims, ReverseNames};
use schedule::Schedule;
use slots::ServiceSlots;
use statics::Statics;
use targets::Targets;

pub use configure::ConfigureError;
pub use drains::Drain;
pub use history::{DURATION_BOUNDS, Durations, Flips, ResultCount, Took};
pub use intents::{Acted, Intent, IntentError};
pub use moves::Subject;
pub use plan::{Edit, Place, Plan};
pub use programming::Programming;
pub use reports::{Notice, Occasion, Report, Revision, Standing, Status, TrackStatus};
pub use restore::Known;
pub use slots::CountedVersions;
pub use statics::Served;
pub use told::{Detail, Summary, Totals, TrackSummary, VersionSummary};

/// How pods are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pods {
    /// No names.
    #[default]
    Disabled,
    /// Any address in a namespace that exists.
    Unverified,
    /// Addresses of pods that live in the namespace.
    Verified,
}

/// What the engine is told at its beginning, and when the configuration is read anew.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What of the cluster is served.
    pub objects: objects::Settings,
    /// What a service is served by that asks for nothing.
    pub defaults: Policy,
    /// Times to live and naming.
    pub records: records::Settings,
    /// Names of pods.
    pub pods: Pods,
    /// The addresses of each zone's name server.
    pub name_server: Vec<IpAddr>,
    /// The least that caches in front keep an answer for, in seconds, whatever its time to live.
    pub cache_floor: u32,
    /// Objects come from the API of a cluster: reports are made for the people there, and what they ask of a roll-out
    /// is written there.
    pub in_cluster: bool,
    /// Somebody looks up names outside our zones: [`Engine::take_wanted`], [`Engine::learn`].
    pub upstream: bool,
}

/// The control loop's state.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    index: Index,
    view: Arc<View>,
    /// Those that are in force there.
    terms: Arc<Terms>,
    publisher: Publisher,
    services: BTreeMap<ServiceKey, Box<Service>>,
    reverse: ReverseNames,
    targets: Targets,
    /// Whether there is a reverse zone; without one nobody's claims are kept.
    has_reverse: bool,
    slots: slots::Allocator,
    statics: Statics,
    problems: Problems,
    /// Those of the index and of the source, as they were last counted among `problems`.
    index_problems: Vec<Problem>,
    source_problems: Vec<Problem>,
    /// What of the configuration is not in force, and why.
    config_problems: Vec<Problem>,
    /// Kinds of which no whole list has been read.
    missing_kinds: BTreeSet<Kind>,
    generation: u64,
    schedule: Schedule,
    /// The last moment that was told.
    last_tick: Option<Timestamp>,
    /// Since when the source cannot be read; time stands still for roll-outs, which are not driven blind.
    lost: Option<Timestamp>,
    /// Nothing but what an earlier process knew at this moment is published; see [`Engine::lost_since`].
    restored: Option<Timestamp>,
    /// Counts the batches that were folded in.
    batches: u64,
    /// Services whose endpoints are gone while their pods are well.
    held: BTreeSet<ServiceKey>,
    /// Memories from before this process, until it is known which services there are.
    remembered: BTreeMap<ServiceKey, Memory>,
    /// Services whose memory is another than when it was last taken.
    memory_news: BTreeSet<ServiceKey>,
    happened: Vec<Happened>,
    reports: Vec<Report>,
    moves: Moves,
    /// Services that were evaluated while the source was lost: what was seen then is told when it is back.
    untold: BTreeSet<ServiceKey>,
    durations: Durations,
    flips: Flips,
    programming: Programming,
    /// When the changes of the last batch had happened.
    triggered: Vec<Timestamp>,
}

/// What is kept of a published service.
#[derive(Debug, Default)]
struct Service {
    memory: Memory,
    slots: ServiceSlots,
    claims: Claims,
    /// Sorted.
    problems: Vec<Problem>,
    /// The last that changed its node; `_rollout` tells it.
    generation: u64,
    summary: Option<Arc<Summary>>,
    /// Its entry in the schedule.
    due: Option<Timestamp>,
    answered: Answered,
    reported: Reported,
    /// What discovery clients see of it.
    seen: Seen,
    drains: Drains,
    history: History,
    /// What it was made of, while it moves with time.
    moving: Option<Box<Moving>>,
}

/// What a service was last made of, while it moves with time.
#[derive(Debug)]
struct Moving {
    /// Its objects, joined; all of this is dropped when one of them changes.
    view: ServiceView,
    /// What is wrong with them.
    flaws: Vec<Problem>,
    /// Its records and the shape of the outcome they were compiled of: as long as that stays, shares are all that moves.
    /// `None` where not everything could be encoded.
    made: Option<(Records, Shape)>,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The generation after it.
    pub generation: u64,
    /// Services that were compiled.
    pub services: usize,
    /// Names that changed.
    pub changed: Changed,
}

impl Engine {
    /// An engine that publishes into `view`'s store; the zones' own names are there at once.
    ///
    /// # Errors
    /// Where a zone's own names do not fit below its apex.
    pub fn new(
        settings: Settings,
        view: Arc<View>,
        publisher: Publisher,
    ) -> Result<Self, NameError> {
        let is_reverse = |zone: &Zone| matches!(zone.kind, ZoneKind::Reverse(_));
        let terms = view.terms();
        let has_reverse = terms.zones.iter().any(is_reverse);
        let mut engine = Self {
            index: Index::new(settings.objects.clone()),
            settings,
            view,
            terms,
            publisher,
            services: BTreeMap::new(),
            has_reverse,
            reverse: ReverseNames::default(),
            targets: Targets::default(),
            slots: slots::Allocator::default(),
            statics: Statics::default(),
            problems: Problems::default(),
            index_problems: Vec::new(),
            source_problems: Vec::new(),
            config_problems: Vec::new(),
            missing_kinds: Kind::ALL.into_iter().collect(),
            generation: 0,
            schedule: Schedule::default(),
            last_tick: None,
            lost: None,
            restored: None,
            batches: 0,
            held: BTreeSet::new(),
            remembered: BTreeMap::new(),
            memory_news: BTreeSet::new(),
            happened: Vec::new(),
            reports: Vec::new(),
            moves: Moves::default(),
            untold: BTreeSet::new(),
            durations: Durations::default(),
            flips: Flips::default(),
            programming: Programming::default(),
            triggered: Vec::new(),
        };
        let addresses = &engine.settings.name_server;
        for zone in engine.terms.zones.iter() {
            for (name, node) in zone.own_nodes(addresses)? {
                engine.publisher.publish(&name, &zone.name, Some(node));
            }
        }
        Ok(engine)
    }

    /// Folds a batch in and publishes what it changed.
    pub fn apply(&mut self, changes: Vec<Change>, now: Timestamp) -> Applied {
        self.triggered.clear();
        self.batches += u64::from(!changes.is_empty());
        for change in changes {
            self.triggered.extend(self.index.triggered(&change));
            if let Change::Reset { kind, .. } = &change {
                self.missing_kinds.remove(kind);
            }
            self.index.apply(change);
        }
        if !self.missing_kinds.is_empty() {
            // Nothing is answered of half a cluster, and what would be made of it would be made again with every kind that
            // is still to come; the marks stay until all are there.
            self.triggered.clear();
            self.count_index_problems();
            return Applied {
                generation: self.generation,
                ..Applied::default()
            };
        }
        let mut dirty = self.index.take_dirty();
        let is_first = !self.view.is_synced() || self.restored.is_some();
        if is_first {
            self.forget_restored(&mut dirty);
            self.begin_with_memory();
        }
        let applied = self.publish_dirty(dirty, now);
        if is_first {
            self.view.set_fresh();
            if let Some(lost) = self.lost {
                self.view.set_lost(secs(lost));
            }
            self.view.set_synced();
        }
        applied
    }

    /// Publishes what is marked.
    fn publish_dirty(&mut self, mut dirty: Dirty, now: Timestamp) -> Applied {
        self.learn_from_resources(&dirty.resources);
        dirty.services.extend(std::mem::take(&mut dirty.resources));
        let changed = self.publish_namespaces(&dirty.namespaces);
        let moved = dirty.moved.iter().filter(|key| {
            let known = self.services.get(key);
            known.is_some_and(|service| !service.problems.is_empty())
        });
        let lost_pods = self.held.iter().filter(|key| {
            let known = self.services.get(key);
            known.is_none_or(|s| !s.answered.are_ready(&key.namespace, &self.index))
        });
        let also: Vec<ServiceKey> = moved.chain(lost_pods).cloned().collect();
        let compiled = dirty.services.len();
        dirty.services.extend(also);
        for key in dirty.services.iter().chain(&dirty.moved) {
            let service = self.services.get_mut(key);
            if let Some(service) = service {
                service.moving = None;
            }
        }
        let applied = self.publish(dirty.services, changed, now, |engine| {
            let mut changed = Changed::default();
            for (namespace, address) in &dirty.pods {
                changed.add(engine.publish_pod(namespace, *address));
            }
            changed
        });
        self.count_index_problems();
        Applied {
            services: compiled,
            ..applied
        }
    }

    fn count_index_problems(&mut self) {
        if let Some(of_index) = self.index.changed_problems() {
            self.problems.replace(&self.index_problems, &of_index);
            self.index_problems = of_index;
        }
    }

    /// Counts how long what the last batch told took until it was published, which is now.
    fn programmed(&mut self, now: Timestamp) {
        for triggered in self.triggered.drain(..) {
            self.programming.add(triggered, now);
        }
    }

    /// When [`Engine::tick`] has something to do, as far as is known; `None`: only after something else happened.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next().filter(|_| self.lost_since().is_none())
    }

    /// Evaluates the services whose time has come, and publishes what that changes. Where nothing is due it costs one
    /// look.
    pub fn tick(&mut self, now: Timestamp) -> Applied {
        let was_set_back = self.last_tick.replace(now).is_some_and(|last| now < last);
        let untold = self.untold();
        let mut due = match (self.lost_since(), was_set_back) {
            (Some(_), _) => BTreeSet::new(),
            // The moments were counted from a time that was not.
            (None, true) => self.schedule.all(),
            (None, false) => self.schedule.due(now),
        };
        due.extend(untold);
        self.publish(due, Changed::default(), now, |_| Changed::default())
    }

    /// The source, or a part of it, cannot be read from here on: what was published stays, and nothing moves by time
    /// alone until [`Engine::set_back`].
    pub fn set_lost(&mut self, now: Timestamp) {
        self.lost.get_or_insert(now);
        self.view.set_lost(secs(now));
    }

    /// The source is read again; whether it was lost.
    pub fn set_back(&mut self) -> bool {
        if self.restored.is_none() {
            self.view.set_fresh();
        }
        self.lost.take().is_some()
    }

    /// Services of which something may have to be told that was not while the source was lost.
    fn untold(&mut self) -> BTreeSet<ServiceKey> {
        match self.lost_since() {
            Some(_) => BTreeSet::new(),
            None => std::mem::take(&mut self.untold),
        }
    }

    /// The time for roll-outs.
    fn clock(&self, now: Timestamp) -> Timestamp {
        self.lost_since().map_or(now, |lost| lost.min(now))
    }

    /// Evaluates services; `also` publishes what belongs to the same generation.
    fn publish(
        &mut self,
        services: BTreeSet<ServiceKey>,
        mut changed: Changed,
        now: Timestamp,
        also: impl FnOnce(&mut Self) -> Changed,
    ) -> Applied {
        let generation = self.generation + 1;
        let clock = self.clock(now);
        for key in &services {
            changed.add(self.publish_service(key, generation, clock));
        }
        changed.add(also(self));
        if changed.any() {
            self.generation = generation;
            self.view.set_generation(generation);
            self.terms.zones.bump_serials(secs(now));
        }
        Applied {
            generation: self.generation,
            services: services.len(),
            changed,
        }
    }

    /// Gives the memories from before this process; to be called before the first batch.
    pub fn remember(&mut self, memories: BTreeMap<ServiceKey, Memory>) {
        self.remembered = memories;
    }

    /// Which services there are is known: each begins with its memory from before. What remains is of services that are
    /// gone.
    fn begin_with_memory(&mut self) {
        let mut remembered = std::mem::take(&mut self.remembered);
        self.memory_news.extend(remembered.keys().cloned());
        for key in self.index.services() {
            let memory = remembered.remove(key);
            // What all servers read, and what this one wrote down for itself: the later one knows more.
            let of_resource = self.index.resource(key);
            let of_resource = of_resource.and_then(|resource| reports::remembered(resource));
            let latest = |memory: &Memory| memory.latest();
            let memory = of_resource.into_iter().chain(memory).max_by_key(latest);
            if let Some(memory) = memory {
                self.services.entry(key.clone()).or_default().memory = memory;
            }
        }
    }

    /// Of ServiceRollouts that are another: their status may have been written by a server that saw the same, and wrote
    /// first, or that saw more. Its own words, and older ones of its own, teach it nothing.
    fn learn_from_resources(&mut self, changed: &BTreeSet<ServiceKey>) {
        if !self.view.is_synced() {
            return;
        }
        for key in changed {
            let first = self
                .index
                .resource(key)
                .and_then(|r| reports::remembered(r));
            if let (Some(service), Some(first)) = (self.services.get_mut(key), first) {
                let before = service.memory.clone();
                service.memory.learn_from(&first);
                if service.memory != before {
                    self.memory_news.insert(key.clone());
                }
            }
        }
    }

    /// What is to be told outside of DNS since this was last called.
    fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// The memories that changed since this was last called; `None` of a service that is gone.
    pub fn take_remembered(&mut self) -> Vec<(ServiceKey, Option<Memory>)> {
        if self.restored.is_some() {
            // What is remembered of services that the objects of before lack is needed when all were read.
            return Vec::new();
        }
        let news = std::mem::take(&mut self.memory_news).into_iter();
        news.map(|key| {
            let known = self.services.get(&key);
            let memory = known.map(|service| service.memory.clone());
            (key, memory.filter(|memory| *memory != Memory::default()))
        })
        .collect()
    }

    /// Does what a person asks of the roll-out behind a service, and publishes what follows. Where several workloads
    /// roll, it has to be said which one.
    ///
    /// # Errors
    /// See [`IntentError`]; then nothing was done.
    pub fn act(
        &mut self,
        key: &ServiceKey,
        workload: Option<&str>,
        intent: Intent,
        now: Timestamp,
    ) -> Result<(Acted, Applied), IntentError> {
        if self.settings.in_cluster {
            let command = self.plan(key, workload, intent, now)?.command;
            let command = command.unwrap_or_default();
            return Err(IntentError::InCluster { command });
        }
        let (view, outcome) = self.at_work(key, now)?;
        let service = self.services.get_mut(key);
        let service = service.ok_or_else(|| IntentError::NoService(key.clone()))?;
        let (intents, acted) = intents::act(&view, &outcome, &service.memory, workload, intent)?;
        if service.memory.intents != intents {
            service.memory.intents = intents;
            self.memory_news.insert(key.clone());
        }
        let applied = self.publish([key.clone()].into(), Changed::default(), now, |_| {
            Changed::default()
        });
        Ok((acted, applied))
    }

    /// Where what a person asks is to be written, and what; nothing is done.
    ///
    /// # Errors
    /// As [`Engine::act`].
    pub fn plan(
        &self,
        key: &ServiceKey,
        workload: Option<&str>,
        intent: Intent,
        now: Timestamp,
    ) -> Result<Plan, IntentError> {
        let (view, outcome) = self.at_work(key, now)?;
        let service = self.services.get(key);
        let memory = &service
            .ok_or_else(|| IntentError::NoService(key.clone()))?
            .memory;
        if self.settings.in_cluster {
            return intents::plan(&view, &outcome, memory, workload, intent);
        }
        let (_, acted) = intents::act(&view, &outcome, memory, workload, intent)?;
        Ok(Plan::kept_here(&view, acted))
    }

    /// A service at this moment, for somebody who asks something of it.
    fn at_work(
        &self,
        key: &ServiceKey,
        now: Timestamp,
    ) -> Result<(ServiceView, Outcome), IntentError> {
        if !self.view.is_synced() || self.restored.is_some() {
            return Err(IntentError::NotSynced);
        }
        let missing = || IntentError::NoService(key.clone());
        let view = self.index.view(key).and_then(|joined| joined.view);
        let view = view.ok_or_else(missing)?;
        let service = self.services.get(key).ok_or_else(missing)?;
        let (defaults, clock) = (&self.settings.defaults, self.clock(now));
        let outcome = rollout::evaluate(&view, defaults, &service.memory, clock);
        Ok((view, outcome))
    }

    /// The services, sorted.
    pub fn list(&self) -> Vec<Arc<Summary>> {
        let summaries = self
            .services
            .values()
            .filter_map(|service| service.summary.clone());
        summaries.collect()
    }

    /// One service in full; `None` if there is none of that name.
    pub fn detail(&self, key: &ServiceKey, now: Timestamp) -> Option<Detail> {
        let service = self.services.get(key)?;
        let view = self.index.view(key)?.view?;
        let clock = self.clock(now);
        let outcome = rollout::evaluate(&view, &self.settings.defaults, &service.memory, clock);
        let soaked = rollout::soaked(&view, &outcome, clock);
        Some(Detail {
            summary: service.summary.clone()?,
            view,
            outcome,
            problems: service.problems.clone(),
            drains: service.drains.standing(now),
            held: service.answered.held(),
            resolved: self.resolved(key).cloned(),
            soaked,
        })
    }

    /// What happened to the tracks of a service since this process began, the oldest first, at most 32; `None` if there
    /// is no service of that name.
    pub fn history(&self, key: &ServiceKey) -> Option<Vec<Transition>> {
        let service = self.services.get(key)?;
        service.summary.as_ref()?;
        Some(service.history.transitions())
    }

    /// The turn of the loop that moved a subject last, and the last that moved any.
    fn moved(&self, subject: &Subject) -> (u64, u64) {
        let known = match subject {
            Subject::Catalogue => None,
            Subject::Service(key) => self.services.get(key),
        };
        // Of a service that never had names nothing was seen; it is as one that is not there.
        let known = known.filter(|service| service.summary.is_some());
        let seen = known.map(|service| &service.seen);
        (self.moves.of(seen), self.moves.last())
    }

    /// What moved since this was last called, which ends a turn.
    fn take_moved(&mut self) -> Vec<Subject> {
        self.moves.take()
    }

    /// Replaces what the source itself could not read.
    pub fn set_source_problems(&mut self, problems: Vec<Problem>) {
        let problems = sorted(problems);
        self.problems.replace(&self.source_problems, &problems);
        self.source_problems = problems;
    }

    /// All that could not be obeyed, sorted.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.all()
    }

    /// Which problems came and went since this was last called.
    fn take_problem_news(&mut self) -> News {
        self.problems.take_news()
    }

    /// How much there is of everything.
    pub fn totals(&self) -> Totals {
        Totals {
            objects: self.index.counts(),
            problems: self.problems.count(),
            durations: self.durations.clone(),
            flips: self.flips.clone(),
            programming: self.programming,
        }
    }

    /// What happened since this was last called, for a log.
    fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// Which version each answer count stands for.
    pub fn counted_versions(&self) -> Arc<CountedVersions> {
        self.slots.counted()
    }
}

/// Seconds since the epoch.
fn secs(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_second()).unwrap_or(0)
}

/// In order, each once.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems
}

#[cfg(test)]
mod tests;
