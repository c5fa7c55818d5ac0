//! What one caller keeps: the terms it answers on, chance and counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Terms, Transport, View};
use crate::wire::{Rcode, rtype};
use crate::zone::draw::{draw, mix64, seed_of};

/// The types that are counted by name; all others are `other`.
pub const TYPES: [(u16, &str); 10] = [
    (rtype::A, "A"),
    (rtype::AAAA, "AAAA"),
    (rtype::SRV, "SRV"),
    (rtype::PTR, "PTR"),
    (rtype::TXT, "TXT"),
    (rtype::CNAME, "CNAME"),
    (rtype::SOA, "SOA"),
    (rtype::NS, "NS"),
    (rtype::ANY, "ANY"),
    // Last: everything else, and messages without a readable question.
    (0, "other"),
];

/// Slots a chunk of the slab holds, and how many chunks there may be: 4 million slots, of which only the chunks
/// in use take memory.
const CHUNK: usize = 1024;
const CHUNKS_MAX: usize = 4096;

/// What one caller of [`super::respond`] keeps from answer to answer.
#[derive(Debug)]
pub struct Worker {
    /// Those its last answer was made on.
    terms: Option<Arc<Terms>>,
    tally: Tally,
}

/// Chance and counts.
#[derive(Debug)]
pub(super) struct Tally {
    seed: u64,
    /// By slot: how many draws were made. Grows when a slot is drawn for the first time.
    draws: Vec<u64>,
    /// Draws without a slot.
    common: u64,
    counts: Arc<Counts>,
}

/// What one worker has counted. The worker alone writes, so plain loads and stores do; others read at scrape.
///
/// Two cache lines (processors fetch them in pairs) are its own from the first to the last: what a neighbour in memory
/// wrote would have to be fetched for every answer.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counts {
    queries: [[[AtomicU64; Rcode::ALL.len()]; TYPES.len()]; Transport::ALL.len()],
    dropped: [AtomicU64; Transport::ALL.len()],
    answers: Box<[OnceLock<Box<Chunk>>]>,
}

/// Counts of neighbouring slots.
#[derive(Debug)]
#[repr(align(128))]
struct Chunk([AtomicU64; CHUNK]);

impl Chunk {
    fn of_zeros() -> Box<Self> {
        Box::new(Self([const { AtomicU64::new(0) }; CHUNK]))
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            queries: Default::default(),
            dropped: Default::default(),
            answers: (0..CHUNKS_MAX).map(|_| OnceLock::new()).collect(),
        }
    }
}

impl Counts {
    /// Queries answered, by transport, index into [`TYPES`] and code.
    pub fn queries(&self, transport: Transport, type_index: usize, rcode: Rcode) -> u64 {
        let of_type = self
            .queries
            .get(transport as usize)
            .and_then(|t| t.get(type_index));
        let cell = of_type.and_then(|codes| codes.get(rcode_index(rcode)));
        cell.map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Messages left unanswered.
    pub fn dropped(&self, transport: Transport) -> u64 {
        self.dropped
            .get(transport as usize)
            .map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Answers in which the version of this slot came first.
    pub fn answers(&self, slot: u32) -> u64 {
        let chunk = self
            .answers
            .get(slot as usize / CHUNK)
            .and_then(OnceLock::get);
        let cell = chunk.and_then(|chunk| chunk.0.get(slot as usize % CHUNK));
        cell.map_or(0, |cell| cell.load(Ordering::Relaxed))
    }
}

/// The place of a code in [`Rcode::ALL`]; a table rather than a search, since every answer asks.
fn rcode_index(rcode: Rcode) -> usize {
    match rcode {
        Rcode::NoError => 0,
        Rcode::FormErr => 1,
        Rcode::ServFail => 2,
        Rcode::NxDomain => 3,
        Rcode::NotImp => 4,
        Rcode::Refused => 5,
        Rcode::YxDomain => 6,
        Rcode::NotAuth => 7,
        Rcode::BadVers => 8,
    }
}

/// The place of a type in [`TYPES`].
fn type_index(qtype: u16) -> usize {
    match qtype {
        rtype::A => 0,
        rtype::AAAA => 1,
        rtype::SRV => 2,
        rtype::PTR => 3,
        rtype::TXT => 4,
        rtype::CNAME => 5,
        rtype::SOA => 6,
        rtype::NS => 7,
        rtype::ANY => 8,
        _ => TYPES.len() - 1,
    }
}

/// Adds one to a cell that only this thread writes: no locked instruction is needed.
fn add_one(cell: &AtomicU64) {
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

impl Worker {
    /// A worker whose draws follow from `seed`, which should differ from worker to worker.
    pub fn new(seed: u64) -> Self {
        Self {
            terms: None,
            tally: Tally {
                seed,
                draws: Vec::new(),
                common: 0,
                counts: Arc::default(),
            },
        }
    }

    /// Its counts, to be read by others.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.tally.counts)
    }

    /// What an answer is made with: the terms in force, chance and counts.
    pub(super) fn begin(&mut self, view: &View) -> (&Terms, &mut Tally) {
        (view.renew(&mut self.terms), &mut self.tally)
    }
}

impl Tally {
    /// The next draw of a slot, or of the common sequence.
    pub(super) fn draw(&mut self, slot: Option<u32>) -> u64 {
        let Some(slot) = slot else {
            self.common = self.common.wrapping_add(1);
            return mix64(self.seed ^ self.common.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        };
        let index = slot as usize;
        if index >= self.draws.len() {
            self.draws.resize((index + 1).next_power_of_two(), 0);
        }
        let Some(count) = self.draws.get_mut(index) else {
            return 0;
        };
        let number = *count;
        *count = number.wrapping_add(1);
        draw(seed_of(self.seed, slot), number)
    }

    pub(super) fn count_answer(&self, slot: Option<u32>) {
        let Some(slot) = slot else {
            return;
        };
        if let Some(chunk) = self.counts.answers.get(slot as usize / CHUNK) {
            let chunk = chunk.get_or_init(Chunk::of_zeros);
            if let Some(cell) = chunk.0.get(slot as usize % CHUNK) {
                add_one(cell);
            }
        }
    }

    pub(super) fn count_query(&self, transport: Transport, qtype: Option<u16>, rcode: Rcode) {
        let index = qtype.map_or(TYPES.len() - 1, type_index);
        let of_type = self.counts.queries.get(transport as usize);
        let of_type = of_type.and_then(|types| types.get(index));
        if let Some(cell) = of_type.and_then(|codes| codes.get(rcode_index(rcode))) {
            add_one(cell);
        }
    }

    pub(super) fn count_dropped(&self, transport: Transport) {
        if let Some(cell) = self.counts.dropped.get(transport as usize) {
            add_one(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_agree_with_their_lists() {
        for (index, (qtype, _)) in TYPES.iter().enumerate() {
            assert_eq!(type_index(*qtype), index);
        }
        for (index, rcode) in Rcode::ALL.into_iter().enumerate() {
            assert_eq!(rcode_index(rcode), index);
        }
    }
}
