//! The program's allocator, which can count the octets that are alive.
//!
//! It does not count until it is told to, so that benches of time pay one look at a flag that never changes.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

use mimalloc::MiMalloc;

/// mimalloc, as in the program.
pub struct Allocator;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALIVE: AtomicIsize = AtomicIsize::new(0);
static TAKEN: AtomicIsize = AtomicIsize::new(0);
static BLOCKS: AtomicIsize = AtomicIsize::new(0);

/// What was asked for and not given back since counting started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alive {
    /// Octets that were asked for.
    pub octets: isize,
    /// Octets of the blocks that were given for them: mimalloc has blocks of four sizes between a power of two and the next.
    pub taken: isize,
    /// How many blocks.
    pub blocks: isize,
}

/// Counts from here on.
pub fn start() {
    COUNTS.store(true, Relaxed);
}

/// What is alive of what was asked for since counting started.
pub fn alive() -> Alive {
    Alive {
        octets: ALIVE.load(Relaxed),
        taken: TAKEN.load(Relaxed),
        blocks: BLOCKS.load(Relaxed),
    }
}

fn taken(octets: usize) -> usize {
    let words = octets.div_ceil(8);
    let step = match words {
        0..=8 => 2,
        _ => 1 << ((words - 1).ilog2() - 2),
    };
    words.next_multiple_of(step) * 8
}

fn count(octets: usize, sign: isize, blocks: isize) {
    if COUNTS.load(Relaxed) {
        ALIVE.fetch_add(sign * octets.cast_signed(), Relaxed);
        TAKEN.fetch_add(sign * taken(octets).cast_signed(), Relaxed);
        BLOCKS.fetch_add(blocks, Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to mimalloc, which keeps the contract.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1, 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1, 1);
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(layout.size(), -1, -1);
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1, 0);
        count(size, 1, 0);
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(place, layout, size) }
    }
}
