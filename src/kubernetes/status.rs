//! How the watches fare, for people: ages, counts and the last error of each kind. Written by the watches, read by anyone
//! at any time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::reports::{Outbox, Written};
use crate::objects::Kind;

/// How all watches fare.
#[derive(Debug)]
pub struct Status {
    kinds: BTreeMap<Kind, KindStatus>,
    /// The API server's clock minus ours, in milliseconds; [`UNKNOWN`] until it has told its time.
    clock_offset: AtomicI64,
    outbox: Arc<Outbox>,
}

/// No clock is so far off.
const UNKNOWN: i64 = i64::MIN;

/// How a kind is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// It has not been asked for successfully yet.
    Starting,
    /// It is up to date.
    Following,
    /// It cannot be read; what was known of it is kept.
    Failing,
    /// The cluster does not have it, or nobody may read it, and it is not needed.
    Absent,
}

impl Following {
    const ALL: [Self; 4] = [Self::Starting, Self::Following, Self::Failing, Self::Absent];

    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Following => "following",
            Self::Failing => "failing",
            Self::Absent => "absent",
        }
    }
}

/// How the watch of one kind fares.
#[derive(Debug)]
pub(super) struct KindStatus {
    following: AtomicU8,
    synced: AtomicBool,
    begun: Instant,
    /// Milliseconds after `begun` at which the API server was last heard, plus one; 0 if never. A clock that is set does
    /// not change it.
    heard: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) lists: AtomicU64,
    pub(super) lists_held: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) undecodable: AtomicU64,
    pub(super) outdated: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) objects: AtomicU64,
    last_error: Mutex<Option<LastError>>,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What, for people.
    pub text: String,
}

/// How the watch of one kind fares at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct KindReport {
    /// The kind.
    pub kind: Kind,
    /// How it is followed.
    pub following: Following,
    /// Whether it has been read as a whole once; also if there is nothing of it.
    pub synced: bool,
    /// How long ago the API server was last heard in its matter, be it by a bookmark; `None`: never. A watch that works is
    /// heard every minute.
    pub age: Option<Duration>,
    /// Objects that are known.
    pub objects: u64,
    /// Watches that began after the first.
    pub restarts: u64,
    /// Lists that were read completely.
    pub lists: u64,
    /// Lists that were held until another confirmed them.
    pub lists_held: u64,
    /// Events that were read.
    pub events: u64,
    /// Requests and watches that failed.
    pub failures: u64,
    /// Objects and lines that could not be read.
    pub undecodable: u64,
    /// Events older than what was known, which changed nothing.
    pub outdated: u64,
    /// What went wrong last, however long ago.
    pub last_error: Option<LastError>,
}

impl Status {
    /// Of watches that have not begun: nothing is known of any kind. What is written is counted in `outbox`.
    pub fn new(begun: Instant, outbox: Arc<Outbox>) -> Self {
        let kinds = Kind::ALL.map(|kind| (kind, KindStatus::new(begun)));
        Self {
            kinds: kinds.into(),
            clock_offset: AtomicI64::new(UNKNOWN),
            outbox,
        }
    }

    /// What has been written to the API.
    pub fn written(&self) -> Written {
        self.outbox.written()
    }

    pub(super) fn of(&self, kind: Kind) -> &KindStatus {
        self.kinds.get(&kind).expect("`new` has every kind")
    }

    /// Every kind, in the order of [`Kind::ALL`].
    pub fn report(&self) -> Vec<KindReport> {
        let report = |kind| self.of(kind).report(kind);
        Kind::ALL.into_iter().map(report).collect()
    }

    /// Kinds of which no complete list has been read.
    pub fn missing(&self) -> Vec<Kind> {
        let missing = Kind::ALL.into_iter();
        missing
            .filter(|kind| !self.of(*kind).synced.load(Ordering::Relaxed))
            .collect()
    }

    /// By how many seconds the API server's clock is ahead of ours, to about half a second, which is as well as it tells
    /// its time; `None` until it does.
    pub fn clock_offset_secs(&self) -> Option<f64> {
        let millis = self.clock_offset.load(Ordering::Relaxed);
        // Exact for any offset that a clock can have.
        (millis != UNKNOWN).then_some(millis as f64 / 1000.0)
    }

    /// What an answer that has just come says in its `Date`.
    pub(super) fn hear_date(&self, date: &str) {
        let Ok(date) = jiff::fmt::rfc2822::parse(date) else {
            return;
        };
        // It is cut to whole seconds: half a second later is the best guess.
        let told = date.timestamp() + SignedDuration::from_millis(500);
        let offset = told.duration_since(Timestamp::now()).as_millis();
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        self.clock_offset.store(offset, Ordering::Relaxed);
    }
}

impl KindStatus {
    fn new(begun: Instant) -> Self {
        Self {
            following: AtomicU8::new(0),
            synced: AtomicBool::new(false),
            begun,
            heard: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            lists_held: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
            outdated: AtomicU64::new(0),
            events: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    /// The API server was heard.
    pub(super) fn hear(&self) {
        let millis = self.begun.elapsed().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.heard
            .store(millis.saturating_add(1), Ordering::Relaxed);
    }

    /// How long ago it was; `None`: never.
    pub(super) fn age(&self) -> Option<Duration> {
        match self.heard.load(Ordering::Relaxed) {
            0 => None,
            heard => {
                let heard = Duration::from_millis(heard - 1);
                Some(self.begun.elapsed().saturating_sub(heard))
            }
        }
    }

    /// How it was followed before.
    pub(super) fn set(&self, following: Following) -> Following {
        let number = Following::ALL.iter().position(|one| *one == following);
        let number = number.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
        from_number(self.following.swap(number, Ordering::Relaxed))
    }

    pub(super) fn set_synced(&self) {
        self.synced.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Relaxed)
    }

    pub(super) fn set_error(&self, text: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let error = LastError {
            at: Timestamp::now(),
            text,
        };
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn report(&self, kind: Kind) -> KindReport {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        KindReport {
            kind,
            following: from_number(self.following.load(Ordering::Relaxed)),
            synced: self.is_synced(),
            age: self.age(),
            objects: get(&self.objects),
            restarts: get(&self.restarts),
            lists: get(&self.lists),
            lists_held: get(&self.lists_held),
            events: get(&self.events),
            failures: get(&self.failures),
            undecodable: get(&self.undecodable),
            outdated: get(&self.outdated),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

fn from_number(number: u8) -> Following {
    let known = Following::ALL.get(usize::from(number));
    known.copied().unwrap_or(Following::Starting)
}
