//! The schedule: when each name is asked for again, and what is known of it meanwhile.
//!
//! A and AAAA are asked apart and each stands for itself: where the one fails, the other goes on.
//!
//! ```text
//!            asked            addresses, or none
//!   due ─────────────> open ─────────────────────> known ── its TTL ran out ──> due
//!                       │ failed                                                 ^
//!                       v                                                        │
//!                    failing ── retry_min, twice that, ... retry_max ────────────┘
//! ```
//! While it fails, the last addresses are answered until they have been out of date for [`Limits::keep`]; then the
//! CNAME stands alone again. Given lookups' results, the time and chance, it gives what is to be asked and what is known;
//! it asks nobody and reads no clock.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::model::{Family, Resolved};
use crate::wire::Name;

/// Addresses of one family that are answered, the first in order. With eight AAAA records of 28 octets behind a CNAME (255
/// at most) and a question (259), answers stay below the 1232 octets of a datagram, and a client has enough to try.
const ADDRESSES_MAX: usize = 8;

/// Bounds of what is asked, and of how long an answer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Names that are looked up; more have their CNAME alone, until others go.
    pub names: usize,
    /// The least time between two questions, however short the TTL.
    pub ttl_min: Duration,
    /// The most, however long it is.
    pub ttl_max: Duration,
    /// How long it is believed that there is nothing, where the answer does not tell.
    pub ttl_nothing: Duration,
    /// How long addresses are answered after their TTL ran out, while look-ups fail.
    pub keep: Duration,
    /// The wait after a first failure.
    pub retry_min: Duration,
    /// The longest wait after a failure.
    pub retry_max: Duration,
    /// How long one resolver is waited for.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Two questions each: at the least TTL 2000 in 5 s, 400 a second, which one resolver answers with ease.
            names: 1000,
            // The TTL with which the addresses are answered: what a client holds is out of date by this at the most.
            ttl_min: Duration::from_secs(5),
            // An address that moves although its TTL is a day is seen within minutes.
            ttl_max: Duration::from_secs(300),
            ttl_nothing: Duration::from_secs(30),
            // Longer than a resolver's restart or a network's trouble, shorter than a day's work: RFC 8767 (section 5) lets
            // operators keep data from hours to days, but here others look too, and a name that moved should not be lost.
            keep: Duration::from_secs(3600),
            retry_min: Duration::from_secs(5),
            retry_max: Duration::from_secs(60),
            // Three datagrams, 0.7 s apart.
            patience: Duration::from_secs(2),
        }
    }
}

/// What a look-up came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The name has these addresses, and its records are good for this long.
    Addresses(Vec<IpAddr>, Duration),
    /// It has none: whoever knows has said so, and for how long that is good.
    Nothing(Nothing, Option<Duration>),
    /// Nobody gave an answer; why, for people.
    Failed(Cow<'static, str>),
}

/// What there is instead of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// NXDOMAIN.
    Name,
    /// NODATA.
    Address,
}

/// All names that are wanted.
#[derive(Debug)]
pub(super) struct Schedule {
    limits: Limits,
    deny: Vec<IpNet>,
    targets: BTreeMap<Name, Target>,
    /// Wanted, and one too many.
    waiting: BTreeSet<Name>,
}

#[derive(Debug)]
struct Target {
    v4: Question,
    v6: Question,
    /// As it was last given to others.
    given: Resolved,
}

/// One name and type.
#[derive(Debug)]
struct Question {
    /// When it is asked; `None` while it is open.
    due: Option<Instant>,
    known: Known,
    /// Why the last look-up failed, and how many have failed in a row.
    failure: Option<(Cow<'static, str>, u32)>,
}

#[derive(Debug)]
enum Known {
    /// Not asked yet, or forgotten.
    Unknown,
    Addresses {
        answered: Vec<IpAddr>,
        /// Never answered, whoever says so.
        denied: Vec<IpAddr>,
        /// When they are forgotten unless they are learned again.
        until: Instant,
    },
    Nothing(Nothing),
}

impl Schedule {
    /// Addresses in `deny` are not given from here on; what was given stays until it is looked up again.
    pub(super) fn deny(&mut self, deny: Vec<IpNet>) {
        self.deny = deny;
    }

    /// Nothing is wanted yet. Addresses in `deny` are never given.
    pub(super) fn new(limits: Limits, deny: Vec<IpNet>) -> Self {
        Self {
            limits,
            deny,
            targets: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// How many names are looked up.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Begins to look a name up; what is to be said at once, where there are too many.
    pub(super) fn want(&mut self, name: Name, now: Instant) -> Option<Resolved> {
        if self.targets.len() >= self.limits.names && !self.targets.contains_key(&name) {
            let too_many = self.too_many();
            self.waiting.insert(name);
            return Some(too_many);
        }
        let target = || Target::new(now, Resolved::default());
        self.targets.entry(name).or_insert_with(target);
        None
    }

    /// Ceases to look a name up; another that waited has its place.
    pub(super) fn release(&mut self, name: &Name, now: Instant) {
        self.waiting.remove(name);
        self.targets.remove(name);
        if self.targets.len() < self.limits.names
            && let Some(next) = self.waiting.pop_first()
        {
            let target = Target::new(now, self.too_many());
            self.targets.insert(next, target);
        }
    }

    /// Takes up to `count` questions that are due, the one that waits longest first; each is open until it is answered.
    pub(super) fn take_due(&mut self, now: Instant, count: usize) -> Vec<(Name, Family)> {
        let mut due: Vec<(Instant, Family, &Name)> = self
            .questions()
            .filter_map(|(name, family, question)| Some((question.due?, family, name)))
            .filter(|(due, ..)| *due <= now)
            .collect();
        due.sort_by(|(one, _, a), (other, _, b)| one.cmp(other).then_with(|| a.cmp(b)));
        let taken: Vec<(Name, Family)> = due
            .into_iter()
            .take(count)
            .map(|(_, family, name)| (name.clone(), family))
            .collect();
        for (name, family) in &taken {
            if let Some(target) = self.targets.get_mut(name) {
                target.question(*family).due = None;
            }
        }
        taken
    }

    /// When the next question is due; `None` while all are open.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.questions()
            .filter_map(|(.., question)| question.due)
            .min()
    }

    /// When addresses are forgotten next.
    pub(super) fn next_forgotten(&self) -> Option<Instant> {
        self.questions()
            .filter_map(|(.., question)| question.forgotten_at())
            .min()
    }

    /// Takes the result of a look-up; what is known of the name, if that is news. `chance` spreads what is asked again
    /// after a failure.
    pub(super) fn answer(
        &mut self,
        name: &Name,
        family: Family,
        told: Told,
        now: Instant,
        chance: u64,
    ) -> Option<Resolved> {
        let (limits, deny) = (self.limits, &self.deny);
        // It may have ceased to be wanted while it was asked.
        let target = self.targets.get_mut(name)?;
        target
            .question(family)
            .answer(told, &limits, deny, now, chance);
        target.news()
    }

    /// Forgets addresses that nobody confirmed for too long.
    pub(super) fn forget(&mut self, now: Instant) -> Vec<(Name, Resolved)> {
        let mut news = Vec::new();
        for (name, target) in &mut self.targets {
            for question in [&mut target.v4, &mut target.v6] {
                if question.forgotten_at().is_some_and(|at| at <= now) {
                    question.known = Known::Unknown;
                }
            }
            news.extend(target.news().map(|resolved| (name.clone(), resolved)));
        }
        news
    }

    fn questions(&self) -> impl Iterator<Item = (&Name, Family, &Question)> {
        self.targets.iter().flat_map(|(name, target)| {
            [
                (name, Family::V4, &target.v4),
                (name, Family::V6, &target.v6),
            ]
        })
    }

    fn too_many(&self) -> Resolved {
        let most = self.limits.names;
        Resolved {
            addresses: Vec::new(),
            trouble: Some(format!(
                "is not looked up: more than {most} external names are in use"
            )),
        }
    }
}

impl Target {
    fn new(now: Instant, given: Resolved) -> Self {
        let question = || Question {
            due: Some(now),
            known: Known::Unknown,
            failure: None,
        };
        Self {
            v4: question(),
            v6: question(),
            given,
        }
    }

    fn question(&mut self, family: Family) -> &mut Question {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// What is known, if it is something else than was given before.
    fn news(&mut self) -> Option<Resolved> {
        let resolved = Resolved {
            addresses: [&self.v4, &self.v6].map(Question::addresses).concat(),
            trouble: self.trouble(),
        };
        if self.given == resolved {
            return None;
        }
        self.given = resolved.clone();
        Some(resolved)
    }

    fn trouble(&self) -> Option<String> {
        let failures = [&self.v4, &self.v6].map(|question| question.failure.as_ref());
        let why = match failures.map(|failure| failure.map(|(why, _)| why)) {
            // Where both fail one cause is enough: texts that change with each try would be new problems each time.
            [Some(both), Some(_)] => Some(both.to_string()),
            [Some(a), None] => Some(format!("{a} (A)")),
            [None, Some(aaaa)] => Some(format!("{aaaa} (AAAA)")),
            [None, None] => None,
        };
        if let Some(why) = why {
            let failing = [&self.v4, &self.v6].into_iter();
            let is_kept = |q: &Question| q.failure.is_some() && !q.addresses().is_empty();
            let kept = match failing.into_iter().any(is_kept) {
                true => "; its last addresses are answered",
                false => "",
            };
            return Some(format!("cannot be looked up: {why}{kept}"));
        }
        let denied = [&self.v4, &self.v6].map(Question::denied).concat();
        if !denied.is_empty() {
            let denied: Vec<String> = denied.iter().map(IpAddr::to_string).collect();
            let denied = denied.join(", ");
            return Some(format!("has addresses that are never answered: {denied}"));
        }
        match (&self.v4.known, &self.v6.known) {
            (Known::Nothing(one), Known::Nothing(other)) => {
                let is_name = [one, other].contains(&&Nothing::Name);
                Some(match is_name {
                    true => "does not exist".to_owned(),
                    false => "has no address".to_owned(),
                })
            }
            _ => None,
        }
    }
}

impl Question {
    fn answer(&mut self, told: Told, limits: &Limits, deny: &[IpNet], now: Instant, chance: u64) {
        let good_for = |ttl: Duration| ttl.clamp(limits.ttl_min, limits.ttl_max);
        let wait = match told {
            Told::Addresses(addresses, ttl) => {
                self.failure = None;
                let is_denied = |address: &IpAddr| {
                    let plain = address.to_canonical();
                    deny.iter()
                        .any(|net| net.contains(address) || net.contains(&plain))
                };
                let sorted: BTreeSet<IpAddr> = addresses.into_iter().collect();
                let (denied, mut answered): (Vec<IpAddr>, Vec<IpAddr>) =
                    sorted.into_iter().partition(is_denied);
                answered.truncate(ADDRESSES_MAX);
                self.known = Known::Addresses {
                    answered,
                    denied,
                    until: now + good_for(ttl) + limits.keep,
                };
                good_for(ttl)
            }
            Told::Nothing(nothing, ttl) => {
                self.failure = None;
                self.known = Known::Nothing(nothing);
                good_for(ttl.unwrap_or(limits.ttl_nothing))
            }
            Told::Failed(why) => {
                let before = self.failure.take().map_or(0, |(_, failures)| failures);
                self.failure = Some((why, before.saturating_add(1)));
                backoff(before, limits, chance)
            }
        };
        self.due = Some(now + wait);
    }

    /// When its addresses are forgotten: only a failure makes them old.
    fn forgotten_at(&self) -> Option<Instant> {
        match self.known {
            Known::Addresses { until, .. } if self.failure.is_some() => Some(until),
            _ => None,
        }
    }

    fn addresses(&self) -> &[IpAddr] {
        match &self.known {
            Known::Addresses { answered, .. } => answered,
            _ => &[],
        }
    }

    fn denied(&self) -> &[IpAddr] {
        match &self.known {
            Known::Addresses { denied, .. } => denied,
            _ => &[],
        }
    }
}

/// The wait after `before` failures and one more: between three quarters and the whole of twice the last, so that names
/// which failed together are not asked together for ever.
fn backoff(before: u32, limits: &Limits, chance: u64) -> Duration {
    let doubled = limits.retry_min.saturating_mul(1 << before.min(16));
    let whole = doubled.min(limits.retry_max);
    let part = u32::try_from(chance % 256).unwrap_or(0);
    whole - whole / 4 * part / 256
}

#[cfg(test)]
mod tests;
