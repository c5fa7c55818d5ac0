//! Blocking queries: a request that is answered once what it asks for has changed, or after a while.
//!
//! A client says which index it has seen. Ours is the engine's turn, counted from the moment at which this process began,
//! in milliseconds since the epoch: so it goes on growing over a restart, and an index that another replica gave is, but for
//! replicas that began in the same moment, one that this server has not given, and is answered at once.
//!
//! Who waits has a place in the engine's list and a connection; no thread, and no clock but one that rings at the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, watch};
use tokio::time;

use super::door::Stay;
use super::params::{BadParam, Given};
use crate::engine::Subject;
use crate::engine::control::{Handle, Stopped};

/// Requests that may wait at a time. Each is a connection with its buffers (16 KiB) and a file descriptor: 8 MiB in all, and
/// half of the 1024 descriptors that a process has where nobody gives it more.
const WAITERS_MAX: usize = 512;
/// How long a client waits that does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// The longest wait; who asks for more waits so long.
const WAIT_MAX: Duration = Duration::from_secs(10 * 60);

/// Those who wait.
#[derive(Debug)]
pub(super) struct Waits {
    places: Arc<Semaphore>,
    /// What is added to the engine's turns.
    base: u64,
    stopping: watch::Receiver<bool>,
}

/// What a client has seen, and how long it would wait for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// 0: nothing yet, so it does not wait.
    index: u64,
    wait: Duration,
}

/// Why a request does not wait.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoWait {
    #[error("{WAITERS_MAX} requests wait already; ask again later, or without `index`")]
    Full,
    #[error("shutting down")]
    Stopping,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Asked {
    /// Reads `index` and `wait`.
    pub(super) fn read(given: &Given) -> Result<Self, BadParam> {
        let index = given.number("index")?.unwrap_or(0);
        let wait = match given.one("wait")? {
            None => Duration::ZERO,
            Some(text) => duration(text).ok_or_else(|| BadParam::Value {
                name: "wait",
                wanted: "a duration such as `30s` or `5m`",
                value: text.to_owned(),
            })?,
        };
        let wait = match wait {
            Duration::ZERO => WAIT_DEFAULT,
            wait => wait.min(WAIT_MAX),
        };
        Ok(Self { index, wait })
    }
}

impl Waits {
    /// Counts from the moment `began`; nobody waits any more when `stopping` says so.
    pub(super) fn new(began: SystemTime, stopping: watch::Receiver<bool>) -> Self {
        let since = began.duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Self {
            places: Arc::new(Semaphore::new(WAITERS_MAX)),
            // An index is at least 1.
            base: u64::try_from(millis).unwrap_or(0).max(1),
            stopping,
        }
    }

    /// As many may wait as `places`.
    #[cfg(test)]
    pub(super) fn with_places(self, places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            ..self
        }
    }

    /// How many more may wait.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Less than any index that is given.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Waits until a subject moves after what was seen, for as long as was asked; gives its index. What is read of the
    /// subject after that is at least as new.
    pub(super) async fn index(
        &self,
        engine: &Handle,
        subject: Subject,
        asked: Asked,
        stay: &Stay,
    ) -> Result<u64, NoWait> {
        let index = |turn: u64| self.base.saturating_add(turn);
        // An index from before this process began is of no turn.
        let seen = asked.index.checked_sub(self.base);
        let last = index(engine.last_move(subject.clone()).await?);
        let Some(seen) = seen.filter(|_| asked.index >= last) else {
            return Ok(last);
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        stay.prolong(asked.wait, place.map_err(|_| NoWait::Full)?);
        let mut stopping = self.stopping.clone();
        tokio::select! {
            moved = engine.moved(subject, seen) => Ok(index(moved?)),
            () = time::sleep(asked.wait) => Ok(asked.index),
            // Also when no one is left to say so.
            _ = stopping.wait_for(|stopping| *stopping) => Err(NoWait::Stopping),
        }
    }
}

/// A duration as Go writes it, in whole numbers: `90s`, `1m30s`, `120000ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut all = Duration::ZERO;
    if rest == "0" {
        return Some(all);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let (after, millis) = units
            .iter()
            .find_map(|(unit, millis)| Some((after.strip_prefix(unit)?, millis)))?;
        all = all.checked_add(Duration::from_millis(number.checked_mul(*millis)?))?;
        rest = after;
    }
    (!text.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_consul() {
        for (text, millis) in [
            ("5m", Some(300_000)),
            ("1m30s", Some(90_000)),
            ("120000ms", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("5d", None),
            ("99999999999999999999s", None),
            ("9999999999999999h", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn a_wait_is_five_minutes_or_what_was_asked_up_to_ten() {
        for (query, index, secs) in [
            ("", 0, 300),
            ("index=7", 7, 300),
            ("index=7&wait=0s", 7, 300),
            ("index=7&wait=20s", 7, 20),
            ("wait=11m", 0, 600),
        ] {
            let uri = format!("/x?{query}").parse().unwrap();
            let given = Given::read(&uri, &["index", "wait"]).unwrap();
            let wait = Duration::from_secs(secs);
            assert_eq!(Asked::read(&given), Ok(Asked { index, wait }), "{query}");
        }
    }
}
