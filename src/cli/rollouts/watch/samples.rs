//! Samples: the shares of the last minutes, as they were told while somebody looked.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::super::told::Service;

/// How far back: five minutes are a step of most roll-outs, and a column of a narrow terminal is some seconds.
pub(super) const SPAN_SECS: i64 = 300;

/// The shares at some moments, the oldest first: at most one a second, and so at most 301.
#[derive(Debug, Default)]
pub(super) struct Samples(VecDeque<Sample>);

#[derive(Debug)]
struct Sample {
    at: i64,
    /// By hash, in basis points.
    shares: Vec<(String, u16)>,
}

impl Samples {
    /// Notes what a service has; of two within a second, the later.
    pub(super) fn note(&mut self, service: &Service, now: Timestamp) {
        let at = now.as_second();
        // A clock that was set back begins anew.
        while self.0.back().is_some_and(|sample| sample.at >= at) {
            self.0.pop_back();
        }
        let shares = service.versions.iter();
        let shares = shares.map(|v| (v.hash.clone(), v.share.basis_points));
        self.0.push_back(Sample {
            at,
            shares: shares.collect(),
        });
        while self
            .0
            .front()
            .is_some_and(|sample| sample.at < at - SPAN_SECS)
        {
            self.0.pop_front();
        }
    }

    /// What a revision had, in `columns` equal parts of the last minutes up to `now`; `None` where nobody looked. A moment
    /// at which it was not there yet is nothing.
    pub(super) fn of(&self, hash: &str, now: Timestamp, columns: u16) -> Vec<Option<u64>> {
        let columns = i64::from(columns);
        let mut parts = vec![None; usize::try_from(columns).unwrap_or(0)];
        for sample in &self.0 {
            let ago = now.as_second() - sample.at;
            if !(0..SPAN_SECS).contains(&ago) {
                continue;
            }
            let column = columns - 1 - ago * columns / SPAN_SECS;
            let share = sample.shares.iter().find(|(known, _)| known == hash);
            let share = share.map_or(0, |(_, share)| u64::from(*share));
            let part = usize::try_from(column).ok();
            if let Some(part) = part.and_then(|part| parts.get_mut(part)) {
                *part = Some(share);
            }
        }
        // On a wide screen a column is less than the time between two questions: what was seen stands until the next look.
        let gap = usize::try_from(columns * 3 / SPAN_SECS).unwrap_or(0);
        let mut last: Option<(usize, u64)> = None;
        for (column, part) in parts.iter_mut().enumerate() {
            match (*part, last) {
                (Some(share), _) => last = Some((column, share)),
                (None, Some((seen, share))) if column - seen <= gap => *part = Some(share),
                (None, _) => {}
            }
        }
        parts
    }
}
