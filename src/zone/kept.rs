//! Kept records: which target of a service a client keeps, from question to question and from server to server.
//!
//! Given the versions with their shares and targets, a [`Sticky`] is compiled once; after that [`Sticky::select`] turns
//! a client into one target. It has no chance and no memory: what a client keeps follows from who it is, so that all
//! replicas agree, before and after a restart.
//!
//! ```text
//!   0                                                        10000      a client's place: its hash, mixed with the service's
//!   | canary -->     | others        | stable                  |        the version: where the place lies
//!                  the share grows: its edge moves, and who is inside stays
//! ```
//! Inside the version the client keeps the target that wins its rendezvous: of the hashes of (client, target) the
//! greatest. So another target that comes takes the clients that it wins, and one that goes leaves its own to the
//! others; nobody else moves. Where targets have factors, a hash `h`, read as a fraction, counts as `h^(1/factor)`, which
//! makes chances proportional to factors, and a factor that grows takes clients and gives none away.
//!
//! Every record set decides by itself, yet the sets of a service agree: the same client has the same place in all of
//! them, and a target that wins among all wins among those that have an address of the family asked, or the port. In a
//! set in which a version has no target at all, its clients are dealt to the others by share, with a hash of its own.
//! (Then three versions are needed, and the stable one missing, for a share that grows to give clients away.)
//!
//! The hash is fixed and has no secret: who chooses their own address can choose their version, which harms nobody else.

#![deny(clippy::indexing_slicing)]

use super::draw::{mix64, pick};
use super::sample::Run;
use crate::model;
use crate::records;
use crate::wire::Srv;

/// Basis points: the whole of the line that versions lie on.
const WHOLE: u64 = 10_000;
/// Makes a second hash of a client, for the versions that are left where its own has nothing: the digits of pi.
const SECOND: u64 = 0x243F_6A88_85A3_08D3;
/// Binary digits behind the point of a logarithm.
const LOG_DIGITS: u32 = 40;

/// A record set of which a client keeps one target's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Who keeps which.
    pub sticky: Sticky,
    /// The records of all targets, a target's records one behind the other; with glue, if they are SRV records.
    pub records: Srv,
}

/// Which client keeps which records of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    by: model::Sticky,
    seed: u64,
    versions: Box<[Version]>,
    targets: Box<[Target]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    /// Where its stretch of the line ends.
    end: u32,
    /// The same on a line of those versions only that have targets here.
    present_end: u32,
    /// The index behind its last target.
    targets_end: u32,
    /// All its targets have the same factor.
    is_even: bool,
    /// The slot that counts its answers.
    count: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    identity: u64,
    start: u32,
    count: u16,
    factor: u8,
}

/// What a client keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeps {
    /// The target's records.
    pub run: Run,
    /// The slot that counts answers of its version.
    pub count: Option<u32>,
}

impl Sticky {
    /// `add` adds a target's records to the set and returns how many they are. `None` if the set has no record.
    pub(super) fn new(
        of: &records::Sticky,
        counts: &[u32],
        mut add: impl FnMut(&records::Target) -> u16,
    ) -> Option<Self> {
        let mut versions = Vec::with_capacity(of.versions.len());
        let mut targets: Vec<Target> = Vec::new();
        let (mut start, mut end, mut present_end) = (0, 0, 0);
        for version in &of.versions {
            let first = targets.len();
            for target in &version.targets {
                let count = add(target);
                if count > 0 {
                    targets.push(Target {
                        identity: fingerprint(target.identity.as_bytes()),
                        start,
                        count,
                        factor: target.factor.max(1),
                    });
                    start += u32::from(count);
                }
            }
            let own = targets.get(first..).unwrap_or_default();
            end += version.share;
            if !own.is_empty() {
                present_end += version.share;
            }
            versions.push(Version {
                end,
                present_end,
                targets_end: u32::try_from(targets.len()).unwrap_or(u32::MAX),
                is_even: own
                    .windows(2)
                    .all(|pair| matches!(pair, [one, other] if one.factor == other.factor)),
                count: counts.get(usize::from(version.version)).copied(),
            });
        }
        (!targets.is_empty()).then(|| Self {
            by: of.by,
            seed: fingerprint(of.service.as_bytes()),
            versions: versions.into(),
            targets: targets.into(),
        })
    }

    /// What makes a client.
    pub fn by(&self) -> model::Sticky {
        self.by
    }

    /// What `client` keeps, which is told by a number: equal for all questions of one client.
    ///
    /// It takes some ten instructions for each target of one version, and allocates nothing.
    pub fn select(&self, client: u128) -> Option<Keeps> {
        let [low, high] = [client as u64, (client >> 64) as u64];
        let hash = mix64(mix64(self.seed ^ high) ^ low);
        let place = pick(hash, WHOLE);
        let last = self.versions.len().checked_sub(1)?;
        let mut index = self.versions.partition_point(|v| u64::from(v.end) <= place);
        // Shares sum to the whole; what rounding might leave is the last one's.
        index = index.min(last);
        if self.targets_of(index).is_empty() {
            let present = self.versions.get(last)?.present_end;
            let place = pick(mix64(hash ^ SECOND), present.into());
            index = self
                .versions
                .partition_point(|v| u64::from(v.present_end) <= place);
        }
        let version = self.versions.get(index)?;
        let targets = self.targets_of(index).iter();
        let score = |target: &Target| mix64(hash ^ target.identity);
        let target = match version.is_even {
            true => targets.max_by_key(|target| score(target))?,
            false => weighted(targets.map(|target| (target, score(target))))?,
        };
        Some(Keeps {
            run: Run {
                start: target.start,
                count: target.count.into(),
            },
            count: version.count,
        })
    }

    fn targets_of(&self, version: usize) -> &[Target] {
        let end = |version: usize| self.versions.get(version).map_or(0, |v| v.targets_end);
        let start = version.checked_sub(1).map_or(0, end);
        let range = start as usize..end(version) as usize;
        self.targets.get(range).unwrap_or_default()
    }
}

/// The target whose score, to the power of one by its factor, is the greatest: whose logarithm divided by the factor
/// is the nearest to zero.
fn weighted<'t>(targets: impl Iterator<Item = (&'t Target, u64)>) -> Option<&'t Target> {
    let mut best: Option<(&Target, u64)> = None;
    for (target, score) in targets {
        // Crosswise instead of divided; logarithms are below 2^46 and factors below 2^8.
        let beats = |log: u64| {
            best.is_none_or(|(other, least)| {
                log * u64::from(other.factor) < least * u64::from(target.factor)
            })
        };
        // The logarithm is never nearer to zero than the score is to the whole: that spares it for nearly all.
        if !beats(!score >> (u64::BITS - LOG_DIGITS)) {
            continue;
        }
        let log = minus_log2(score);
        if beats(log) {
            best = Some((target, log));
        }
    }
    best.map(|(target, _)| target)
}

/// The logarithm to the base 2 of `score / 2^64`, its sign dropped, in units of `2^-LOG_DIGITS`: digit by digit, since
/// squaring a number doubles its logarithm. In integers, because libraries differ in the last digit of theirs.
fn minus_log2(score: u64) -> u64 {
    let zeros = score.leading_zeros().min(u64::BITS - 1);
    let mut rest = score.max(1) << zeros;
    let mut log = u64::from(zeros);
    for _ in 0..LOG_DIGITS {
        rest = ((u128::from(rest) * u128::from(rest)) >> 64) as u64;
        let digit = u64::from(rest >> 63 == 0);
        rest <<= digit;
        log = log << 1 | digit;
    }
    log
}

/// FNV-1a, its bits mixed: of names, not of what an attacker would choose.
fn fingerprint(octets: &[u8]) -> u64 {
    let step = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01B3);
    mix64(octets.iter().fold(0xCBF2_9CE4_8422_2325, step))
}

#[cfg(test)]
mod tests;
