//! What a query may see.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::store::Store;
use crate::wire::{Body, BodyBuilder, QueryName};
use crate::zone::Zones;

/// The published names, and the terms in force; shared by all workers, written by the engine alone.
#[derive(Debug)]
pub struct View {
    /// The published names.
    pub store: Store,
    /// Where the terms in force stand, to be compared with and never looked into: a worker that holds others takes
    /// these. Terms are not freed while a worker holds them, so no other terms stand where its own do.
    in_force: AtomicPtr<Terms>,
    /// The terms in force. Taken by the engine when it sets others, and by a worker when it takes them, once each; an
    /// answer takes no lock.
    terms: Mutex<Arc<Terms>>,
    synced: AtomicBool,
    /// Seconds since the epoch at which the source was lost; 0 while it is not.
    lost_at: AtomicU64,
    /// What is answered was known to an earlier process, and has not been read since.
    restored: AtomicBool,
    generation: AtomicU64,
}

/// On what terms answers are made. They never change: a configuration that is read anew puts others in their place, and
/// each answer is made on those of one configuration.
#[derive(Debug)]
pub struct Terms {
    /// The names that are ours.
    pub zones: Zones,
    /// What is told of this server.
    pub identity: Identity,
    /// What an answer may be.
    pub limits: Limits,
}

/// Limits and options of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest datagram sent, in octets, and what our OPT announces.
    pub udp_size: u16,
    /// RA is set, for resolvers that insist on it in front of a stub domain.
    pub recursion_available: bool,
    /// Names of pods are made from the question.
    pub pods_unverified: bool,
    /// Seconds after the loss of the source from which answers carry "stale answer".
    pub stale_after_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // DNS flag day 2020: fits every path without fragments.
            udp_size: 1232,
            recursion_available: false,
            pods_unverified: false,
            stale_after_secs: 60,
        }
    }
}

/// What is told of this server to those who ask; empty: nothing.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    id: String,
    chaos_id: Option<Body>,
    chaos_version: Option<Body>,
}

impl Identity {
    /// `id` for NSID, `id.server` and `hostname.bind`; `version` for `version.bind`; empty ones are refused.
    pub fn new(id: &str, version: &str) -> Self {
        let text = |text: &str| {
            let mut body = BodyBuilder::default();
            body.push_chaos_text(text);
            (!text.is_empty()).then(|| body.build())
        };
        Self {
            // NSID is an option in every sort of answer: short enough to leave room in the smallest.
            id: id.chars().take(64).collect(),
            chaos_id: text(id),
            chaos_version: text(version),
        }
    }

    /// `<replica>/<generation>`; `None` where no id is configured. Made for those who ask: rare.
    pub(super) fn nsid(&self, generation: u64) -> Option<String> {
        if self.id.is_empty() {
            return None;
        }
        let mut text = self.id.clone();
        let _ = write!(text, "/{generation}");
        Some(text)
    }

    pub(super) fn chaos(&self, name: &QueryName) -> Option<&Body> {
        match name.as_wire() {
            b"\x07version\x04bind\x00" => self.chaos_version.as_ref(),
            b"\x02id\x06server\x00" | b"\x08hostname\x04bind\x00" => self.chaos_id.as_ref(),
            _ => None,
        }
    }
}

impl View {
    /// A view of `store` and `zones`: not synced, generation 0.
    pub fn new(store: Store, zones: Zones, identity: Identity, limits: Limits) -> Self {
        let terms = Arc::new(Terms {
            zones,
            identity,
            limits,
        });
        Self {
            store,
            in_force: AtomicPtr::new(Arc::as_ptr(&terms).cast_mut()),
            terms: Mutex::new(terms),
            synced: AtomicBool::new(false),
            lost_at: AtomicU64::new(0),
            restored: AtomicBool::new(false),
            generation: AtomicU64::new(0),
        }
    }

    /// The terms in force.
    pub fn terms(&self) -> Arc<Terms> {
        // Whoever panicked holding it had not begun to write, or was done: one pointer is written.
        Arc::clone(&self.terms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts these terms in force, for every answer that begins after this.
    pub fn set_terms(&self, terms: Arc<Terms>) {
        let place = Arc::as_ptr(&terms).cast_mut();
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = terms;
        self.in_force.store(place, Ordering::Release);
    }

    /// The terms in force, for a worker that holds `known`: it keeps them in one comparison as long as nothing changed.
    pub(super) fn renew<'w>(&self, known: &'w mut Option<Arc<Terms>>) -> &'w Terms {
        let place = known.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
        if place != self.in_force.load(Ordering::Acquire).cast_const() {
            self.take_terms(known);
        }
        known.get_or_insert_with(|| self.terms())
    }

    /// Who has terms does not wait for the engine, which is setting others: for one more answer the old ones are in force.
    #[cold]
    fn take_terms(&self, known: &mut Option<Arc<Terms>>) {
        match self.terms.try_lock() {
            Ok(terms) => *known = Some(Arc::clone(&terms)),
            Err(TryLockError::Poisoned(poisoned)) => {
                *known = Some(Arc::clone(&poisoned.into_inner()))
            }
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Whether every kind of object has been read; before, no name is answered.
    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// From here on names are answered.
    pub fn set_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    /// Whether the source has been lost for at least `after_secs`, or has not been read by this process at all.
    pub fn is_stale(&self, now_secs: u64, after_secs: u64) -> bool {
        let lost_at = self.lost_at.load(Ordering::Relaxed);
        lost_at != 0 && (now_secs.saturating_sub(lost_at) >= after_secs || self.is_restored())
    }

    /// Seconds since the source was lost; 0 while it is not.
    pub fn data_age_secs(&self, now_secs: u64) -> u64 {
        match self.lost_at.load(Ordering::Relaxed) {
            0 => 0,
            lost_at => now_secs.saturating_sub(lost_at),
        }
    }

    /// The source was lost at this moment; an earlier loss stands.
    pub fn set_lost(&self, now_secs: u64) {
        let _ =
            self.lost_at
                .compare_exchange(0, now_secs.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// What is answered is what an earlier process knew at this moment, until [`View::set_fresh`].
    pub fn set_restored(&self, taken_secs: u64) {
        self.restored.store(true, Ordering::Relaxed);
        self.set_lost(taken_secs);
    }

    /// Whether nothing but what an earlier process knew is answered.
    pub fn is_restored(&self) -> bool {
        self.restored.load(Ordering::Relaxed)
    }

    /// The source is back, or was read for the first time.
    pub fn set_fresh(&self) {
        self.restored.store(false, Ordering::Relaxed);
        self.lost_at.store(0, Ordering::Relaxed);
    }

    /// The number of publications so far.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// One more publication.
    pub fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }
}
