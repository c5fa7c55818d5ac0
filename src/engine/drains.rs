//! Drain deadlines: until when a cache that keeps to the rules may know an address that is not answered any more.
//!
//! A record may be kept for as long as its time to live said when it was handed out, and caches have a floor of their
//! own (CoreDNS keeps nothing for less than 5 seconds). So an address that leaves a service's answer is forgotten when
//! the time to live published last has passed, or the one before it, if that was larger and is not over.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// Deadlines kept of a service; of more, those that are over first are let go. A service has at most 1000 endpoints by
/// default, so this is one whole exchange of them.
const DRAINS_MAX: usize = 1000;

/// An address that left a service's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The address.
    pub address: IpAddr,
    /// What the version was called that it was answered for.
    pub alias: Arc<str>,
    /// When it left.
    pub unpublished: Timestamp,
    /// When the last well-behaved cache forgets it.
    pub deadline: Timestamp,
}

/// What one service answers, and what it answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Drains {
    /// Addresses in the answer with the aliases of their versions, sorted, each address once.
    answered: Box<[(IpAddr, Arc<str>)]>,
    /// The time to live they are published with.
    ttl: u32,
    /// Answers of a larger time to live are forgotten by then.
    longer_until: Option<Timestamp>,
    /// Sorted by deadline.
    left: Vec<Drain>,
}

impl Drains {
    /// Notes what is answered from `now` on, and with which time to live; `floor` is the least that caches keep.
    pub(super) fn publish(
        &mut self,
        mut answered: Vec<(IpAddr, Arc<str>)>,
        ttl: u32,
        floor: u32,
        now: Timestamp,
    ) {
        answered.sort();
        answered.dedup_by(|second, first| second.0 == first.0);
        let is_in = |list: &[(IpAddr, Arc<str>)], address: IpAddr| {
            list.binary_search_by(|(known, _)| known.cmp(&address))
                .is_ok()
        };
        let mut longer_until = self.longer_until;
        self.left.retain(|drain| {
            let is_back = is_in(&answered, drain.address);
            if is_back {
                longer_until = longer_until.max(Some(drain.deadline));
            }
            drain.deadline > now && !is_back
        });
        let forgotten = after(now, self.ttl.max(floor)).max(longer_until.unwrap_or(now));
        let gone = self
            .answered
            .iter()
            .filter(|(address, _)| !is_in(&answered, *address))
            .map(|(address, alias)| Drain {
                address: *address,
                alias: Arc::clone(alias),
                unpublished: now,
                deadline: forgotten,
            });
        self.left.extend(gone);
        self.left
            .sort_by_key(|drain| (drain.deadline, drain.address));
        let over = self.left.len().saturating_sub(DRAINS_MAX);
        self.left.drain(..over);
        if !answered.is_empty() {
            if ttl < self.ttl && !self.answered.is_empty() {
                longer_until = Some(forgotten);
            }
            self.ttl = ttl;
        }
        self.longer_until = longer_until.filter(|until| *until > now);
        self.answered = answered.into();
    }

    /// Those whose deadline has not passed, the earliest first.
    pub(super) fn standing(&self, now: Timestamp) -> Vec<Drain> {
        let standing = self.left.iter().filter(|drain| drain.deadline > now);
        standing.cloned().collect()
    }
}

fn after(now: Timestamp, secs: u32) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(secs.into()))
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// `second: addresses ttl`, one publication a line; then the deadlines that stand at the last of them.
    fn check(publications: &str, expected: &str) {
        let mut drains = Drains::default();
        let mut last = at(0);
        for line in publications.lines() {
            let (second, rest) = line.trim().split_once(": ").unwrap();
            let (addresses, ttl) = rest.rsplit_once(' ').unwrap();
            let answered = addresses
                .split(' ')
                .filter(|text| *text != "-")
                .map(|text| (format!("10.0.0.{text}").parse().unwrap(), "v1".into()));
            last = at(second.parse().unwrap());
            drains.publish(answered.collect(), ttl.parse().unwrap(), 5, last);
        }
        let standing = drains.standing(last);
        let told = standing.iter().map(|drain| {
            let text = drain.address.to_string();
            let [left, over] = [drain.unpublished, drain.deadline];
            let second = |at: Timestamp| at.as_second() - 1_800_000_000;
            format!("{} {}-{}", &text[7..], second(left), second(over))
        });
        assert_eq!(
            told.collect::<Vec<_>>().join(", "),
            expected,
            "{publications}"
        );
    }

    #[test]
    fn an_address_is_forgotten_when_its_time_to_live_has_passed() {
        check("0: 1 2 30\n100: 1 30", "2 100-130");
        check("0: 1 2 30\n100: 1 30\n129: 1 30", "2 100-130");
        check("0: 1 2 30\n100: 1 30\n130: 1 30", "");
        check("0: 1 2 30\n100: - 30", "1 100-130, 2 100-130");
        // It is answered again: then it does not drain.
        check("0: 1 2 30\n100: 1 30\n110: 1 2 30", "");
    }

    #[test]
    fn a_cache_keeps_what_it_got_before_the_time_to_live_was_lowered() {
        // Handed out for 30 seconds until second 99.
        check("0: 1 2 30\n100: 1 2 5\n110: 1 5", "2 110-130");
        check("0: 1 2 30\n100: 1 2 5\n127: 1 5", "2 127-132");
        check("0: 1 2 30\n100: 1 5", "2 100-130");
        check("0: 1 2 30\n100: 1 2 20\n101: 1 2 5\n102: 1 5", "2 102-130");
        // And the shorter of two lowered ones may last longer.
        check("0: 1 2 30\n100: 1 2 20\n115: 1 2 5\n116: 1 5", "2 116-135");
        // Gone for a moment, and back with the shorter one.
        check("0: 1 2 30\n100: 1 30\n101: 1 2 5\n102: 1 5", "2 102-131");
        check("0: 1 2 30\n100: - 30\n101: 1 2 5\n102: 1 5", "2 102-130");
    }

    #[test]
    fn caches_have_a_floor() {
        check("0: 1 2 0\n100: 1 0", "2 100-105");
    }

    #[test]
    fn of_too_many_the_latest_are_kept() {
        let mut drains = Drains::default();
        let many = |from: u32| {
            let addresses = (from..from + 900).map(|n| IpAddr::from(n.to_be_bytes()));
            addresses
                .map(|address| (address, Arc::from("v1")))
                .collect()
        };
        for (second, from) in [(0, 0), (1, 10_000), (2, 20_000)] {
            drains.publish(many(from), 30, 5, at(second));
        }
        let standing = drains.standing(at(2));
        assert_eq!(standing.len(), DRAINS_MAX);
        let latest = standing.iter().filter(|d| d.unpublished == at(2));
        assert_eq!(latest.count(), 900);
    }
}
