//! Records encoded ahead of the queries that ask for them.
//!
//! A [`Body`] is a run of records whose owner is a pointer to the question (octet 12), so one body serves every
//! name that has these records, whatever its length or the case it was asked in. It knows where each record
//! ends: an answer is cut between records, never inside one.

use std::net::IpAddr;
use std::sync::Arc;

use super::name::Name;
use super::{class, rtype};

/// A pointer to octet 12: the name in the question.
pub(super) const QUESTION_POINTER: [u8; 2] = [0xC0, 0x0C];

/// Encoded records of one set, each with the question as its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    bytes: Box<[u8]>,
    ends: Ends,
}

/// Where records end. Addresses, by far the most, all have one length and need no table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Ends {
    Every(u32),
    At(Box<[u32]>),
}

impl Body {
    /// The number of records.
    pub fn count(&self) -> usize {
        match &self.ends {
            Ends::Every(len) => self.bytes.len() / (*len).max(1) as usize,
            Ends::At(ends) => ends.len(),
        }
    }

    /// The octets of `count` records from `first` on; empty if there are not so many.
    pub fn run(&self, first: usize, count: usize) -> &[u8] {
        let range = self.start(first)..self.start(first.saturating_add(count));
        self.bytes.get(range).unwrap_or_default()
    }

    /// Where record `index` starts, which is where the one before it ends.
    pub(super) fn start(&self, index: usize) -> usize {
        match &self.ends {
            Ends::Every(len) => (*len as usize).saturating_mul(index),
            Ends::At(_) if index == 0 => 0,
            Ends::At(ends) => ends.get(index - 1).map_or(usize::MAX, |end| *end as usize),
        }
    }

    /// All octets of all records.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One encoded address record with the question as its owner, held in place: most sets are a single address, and a
/// record behind pointers costs an answer a miss of the cache for each of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressRecord {
    /// Owner 2, type to RDATA length 10, an address of 4 or 16; the rest is zero.
    bytes: [u8; 28],
    len: u8,
}

impl AddressRecord {
    /// An A or AAAA record.
    pub fn new(ttl: u32, address: IpAddr) -> Self {
        let (fixed, v4, v6);
        let rdata: &[u8] = match address {
            IpAddr::V4(address) => {
                fixed = fixed_part(rtype::A, ttl, 4);
                v4 = address.octets();
                &v4
            }
            IpAddr::V6(address) => {
                fixed = fixed_part(rtype::AAAA, ttl, 16);
                v6 = address.octets();
                &v6
            }
        };
        let mut record = Self {
            bytes: [0; 28],
            len: 0,
        };
        let octets = QUESTION_POINTER.iter().chain(&fixed).chain(rdata);
        for (place, octet) in record.bytes.iter_mut().zip(octets) {
            *place = *octet;
            record.len += 1;
        }
        record
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Collects the records of a [`Body`].
#[derive(Debug, Default)]
pub struct BodyBuilder {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl BodyBuilder {
    /// A builder with room for `count` records whose RDATA has `rdata_len` octets together, so that it is
    /// allocated once and kept as it is.
    pub fn with_capacity(count: usize, rdata_len: usize) -> Self {
        Self {
            // Owner 2, type to RDATA length 10.
            bytes: Vec::with_capacity(count * 12 + rdata_len),
            ends: Vec::with_capacity(count),
        }
    }

    /// The body's length so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a record of class IN. RDATA above 65,535 octets cannot be written and is left out.
    pub fn push(&mut self, rtype: u16, ttl: u32, rdata: &[u8]) {
        let Ok(len) = u16::try_from(rdata.len()) else {
            return;
        };
        self.bytes.extend_from_slice(&QUESTION_POINTER);
        self.bytes.extend_from_slice(&fixed_part(rtype, ttl, len));
        self.bytes.extend_from_slice(rdata);
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.ends.push(end);
    }

    /// Adds a TXT record of class CH with TTL 0 (RFC 4892); a longer string is cut at 255 octets.
    pub fn push_chaos_text(&mut self, text: &str) {
        let text = text.as_bytes().get(..255).unwrap_or(text.as_bytes());
        let before = self.bytes.len();
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.push(rtype::TXT, 0, &[&[len], text].concat());
        // Owner 2, type 2, then the class.
        if let Some(place) = self.bytes.get_mut(before + 4..before + 6) {
            place.copy_from_slice(&class::CH.to_be_bytes());
        }
    }

    /// Adds an A or AAAA record.
    pub fn push_address(&mut self, ttl: u32, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.push(rtype::A, ttl, &address.octets()),
            IpAddr::V6(address) => self.push(rtype::AAAA, ttl, &address.octets()),
        }
    }

    /// The finished body.
    pub fn build(self) -> Body {
        let len = self.ends.first().copied().unwrap_or(0);
        let even = |(end, count): (&u32, u32)| u64::from(*end) == u64::from(len) * u64::from(count);
        let ends = if self.ends.iter().zip(1..).all(even) {
            Ends::Every(len)
        } else {
            Ends::At(self.ends.into())
        };
        Body {
            bytes: self.bytes.into(),
            ends,
        }
    }
}

/// Type, class IN, TTL and RDATA length.
pub(super) fn fixed_part(rtype: u16, ttl: u32, rdata_len: u16) -> [u8; 10] {
    let [t0, t1] = rtype.to_be_bytes();
    let [c0, c1] = class::IN.to_be_bytes();
    let [l0, l1, l2, l3] = ttl.to_be_bytes();
    let [d0, d1] = rdata_len.to_be_bytes();
    [t0, t1, c0, c1, l0, l1, l2, l3, d0, d1]
}

/// SRV records, and the addresses of their targets for the additional section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Srv {
    /// The SRV records.
    pub answers: Body,
    /// The addresses of their targets.
    pub glue: Glue,
}

impl Srv {
    /// Whether any target's addresses are known.
    pub fn has_glue(&self) -> bool {
        !self.glue.units.is_empty()
    }

    /// Has the addresses of its targets in common with `other` where they are the same.
    pub fn share_glue(&mut self, other: &Self) {
        if self.glue.bytes == other.glue.bytes {
            self.glue.bytes = Arc::clone(&other.glue.bytes);
        }
        if self.glue.units == other.glue.units {
            self.glue.units = Arc::clone(&other.glue.units);
        }
    }

    /// The same records with other weights, in their order; a record without one keeps its own.
    #[must_use]
    pub fn with_weights(&self, weights: &[u16]) -> Self {
        let mut answers = self.answers.clone();
        for (index, weight) in weights.iter().enumerate().take(answers.count()) {
            // Behind the owner (2 octets), the fixed part (10) and the priority (2).
            let at = answers.start(index) + 14;
            if let Some(octets) = answers.bytes.get_mut(at..at + 2) {
                octets.copy_from_slice(&weight.to_be_bytes());
            }
        }
        Self {
            answers,
            glue: self.glue.clone(),
        }
    }
}

/// Addresses of targets; each owner is a pointer to the target's name inside the answer, set while copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Glue {
    pub(super) bytes: Arc<[u8]>,
    pub(super) units: Arc<[GlueUnit]>,
}

/// All addresses of one target: sent together or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GlueUnit {
    /// Where the target's name stands, counted from the start of the answers.
    pub(super) target: u32,
    /// Where its records start and end in the glue's octets, owners left out.
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Collects the records of an [`Srv`].
#[derive(Debug, Default)]
pub struct SrvBuilder {
    answers: BodyBuilder,
    glue: Vec<u8>,
    units: Vec<GlueUnit>,
    rdata: Vec<u8>,
}

impl SrvBuilder {
    /// A builder with room for `count` records whose targets have `targets_len` octets together, and for an IPv4
    /// address of each.
    pub fn with_capacity(count: usize, targets_len: usize) -> Self {
        Self {
            // Priority, weight and port take 6 octets.
            answers: BodyBuilder::with_capacity(count, count * 6 + targets_len),
            glue: Vec::with_capacity(count * 14),
            units: Vec::with_capacity(count),
            rdata: Vec::with_capacity(64),
        }
    }

    /// The answers' length so far.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Adds an SRV record of priority 0; the target is not compressed (RFC 2782). `glue` are the target's
    /// addresses: to be given once a target, the repeated ones are left out by giving none.
    pub fn push(
        &mut self,
        ttl: u32,
        weight: u16,
        port: u16,
        target: &Name,
        glue: &[IpAddr],
        glue_ttl: u32,
    ) {
        self.rdata.clear();
        self.rdata.extend_from_slice(&0_u16.to_be_bytes());
        self.rdata.extend_from_slice(&weight.to_be_bytes());
        self.rdata.extend_from_slice(&port.to_be_bytes());
        self.rdata.extend_from_slice(target.as_wire());
        let rdata = std::mem::take(&mut self.rdata);
        let glue = glue.iter().map(|address| (glue_ttl, *address));
        // Priority, weight and port take 6 octets.
        self.add(rtype::SRV, ttl, &rdata, 6, glue);
        self.rdata = rdata;
    }

    /// Adds a record of any type whose target stands at `target_at` of its RDATA; `glue` are the target's addresses with
    /// their times to live, as for [`SrvBuilder::push`].
    pub fn push_record(
        &mut self,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
        target_at: usize,
        glue: &[(u32, IpAddr)],
    ) {
        self.add(rtype, ttl, rdata, target_at, glue.iter().copied());
    }

    fn add(
        &mut self,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
        target_at: usize,
        glue: impl Iterator<Item = (u32, IpAddr)>,
    ) {
        // The owner takes 2 octets, the fixed part 10.
        let target_at = self.answers.len() + 12 + target_at;
        self.answers.push(rtype, ttl, rdata);
        let start = self.glue.len();
        for (ttl, address) in glue {
            match address {
                IpAddr::V4(v4) => {
                    self.glue.extend_from_slice(&fixed_part(rtype::A, ttl, 4));
                    self.glue.extend_from_slice(&v4.octets());
                }
                IpAddr::V6(v6) => {
                    self.glue
                        .extend_from_slice(&fixed_part(rtype::AAAA, ttl, 16));
                    self.glue.extend_from_slice(&v6.octets());
                }
            }
        }
        if self.glue.len() == start {
            return;
        }
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.units.push(GlueUnit {
            target: offset(target_at),
            start: offset(start),
            end: offset(self.glue.len()),
        });
    }

    /// The finished records.
    pub fn build(self) -> Srv {
        Srv {
            answers: self.answers.build(),
            glue: Glue {
                bytes: self.glue.into(),
                units: self.units.into(),
            },
        }
    }
}
