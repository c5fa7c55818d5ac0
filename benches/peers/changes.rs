//! Changes under load: what clients notice while a thousand EndpointSlices change a second, and how soon answers follow.
//!
//! Our server reads the bench's API server. One endpoint after the other becomes unready, and ready again; one service is asked about all
//! the time, so that the moment in which its answer changes can be set beside the moment in which its slice did. The work of the API
//! server itself, which has the generator's core, is in the quiet run too: there it changes what nobody watches.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::api::UNWATCHED;
use crate::histogram::Histogram;
use crate::load::{Load, Outcome, PATIENCE, Pace};
use crate::objects;
use crate::parts::Course;
use crate::questions::{Asked, Questions};
use crate::rounds::{Sample, measured};
use crate::servers::{self, Server, Which};
use crate::shape::{ENDPOINTS, Sort};
use crate::table;

/// Between two changes: a thousand a second.
const STEP: Duration = Duration::from_millis(1);
/// Of so many changes one is of the service that is watched.
const WATCHED: usize = 20;
/// The endpoint that comes and goes.
const MOVING: usize = ENDPOINTS - 1;
/// What is asked, besides as much as the server can do.
const RATE: f64 = 20_000.0;
/// Long enough for some hundred changes of the service that is watched.
const LENGTH: Duration = Duration::from_secs(5);

/// One pace, quiet and with changes.
pub(crate) struct Beside {
    pub(crate) title: String,
    pub(crate) quiet: Sample,
    pub(crate) busy: Sample,
    pub(crate) changes: usize,
    /// From the change of the slice to the first answer that shows it.
    pub(crate) lag: Histogram,
    /// Changes of the watched service that no answer has shown.
    pub(crate) unseen: usize,
}

impl Course<'_> {
    /// Latency with and without changes, at a fixed rate and at the maximum.
    pub(crate) fn changes(&self) {
        let server = match servers::start(Which::OursWatching, self.ground) {
            Ok(server) => server,
            Err(error) => return println!("changes: {error}"),
        };
        let questions = self.questions(Asked::Moving);
        let mut lines = Vec::new();
        for (title, pace) in [
            (
                format!("{RATE:.0} queries a second"),
                Pace::Even { rate: RATE },
            ),
            (format!("{} outstanding", self.outstanding), self.full()),
        ] {
            match self.beside(title, &server, &questions, pace) {
                Ok(line) => lines.push(line),
                Err(error) => println!("changes: {error}"),
            }
        }
        table::changes(&lines);
    }

    fn beside(
        &self,
        title: String,
        server: &Server,
        questions: &Questions,
        pace: Pace,
    ) -> io::Result<Beside> {
        let asking = |server: &Server, length| {
            let load = Load {
                server: server.address,
                questions,
                pace,
                length,
                patience: PATIENCE,
            };
            load.run()
        };
        let (quiet, _) = self.changing(UNWATCHED, || measured(server, LENGTH, &asking))?;
        let (busy, changed) =
            self.changing("endpointslices", || measured(server, LENGTH, &asking))?;
        let (lag, unseen) = lags(&changed.watched, &busy.outcome);
        Ok(Beside {
            title,
            quiet,
            busy,
            changes: changed.count,
            lag,
            unseen,
        })
    }

    /// Does `work` while slices change, stored as `plural`.
    fn changing<T>(
        &self,
        plural: &str,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(T, Changed)> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let changer = scope.spawn(|| self.change_until(&over, plural));
            let done = work();
            over.store(true, Ordering::Relaxed);
            let changed = changer.join().expect("it does not panic");
            Ok((done?, changed))
        })
    }

    fn change_until(&self, over: &AtomicBool, plural: &str) -> Changed {
        let shape = self.ground.shape;
        let mut changed = Changed {
            count: 0,
            watched: Vec::new(),
        };
        let mut is_ready = vec![true; shape.headless];
        let mut next = Instant::now();
        while !over.load(Ordering::Relaxed) {
            next += STEP;
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let is_watched = changed.count.is_multiple_of(WATCHED);
            let number = match is_watched {
                true => 0,
                false => 1 + changed.count % (shape.headless - 1),
            };
            is_ready[number] = !is_ready[number];
            let unready = (!is_ready[number]).then_some(MOVING);
            let slice = objects::slice(shape.service(Sort::Headless, number), unready);
            if is_watched {
                let count = ENDPOINTS - usize::from(unready.is_some());
                let count = u16::try_from(count).expect("ten");
                changed.watched.push((Instant::now(), count));
            }
            self.ground.api.replace(plural, slice);
            changed.count += 1;
        }
        // As it was, for whoever is measured next.
        for (number, _) in is_ready.iter().enumerate().filter(|(_, ready)| !**ready) {
            let slice = objects::slice(shape.service(Sort::Headless, number), None);
            self.ground.api.replace(plural, slice);
        }
        changed
    }
}

/// What was changed.
struct Changed {
    count: usize,
    /// When the service that is watched changed, and how many records it should have from then on.
    watched: Vec<(Instant, u16)>,
}

/// From each change to the first answer with its count that came before the next change; and how many had none.
fn lags(changes: &[(Instant, u16)], outcome: &Outcome) -> (Histogram, usize) {
    let (mut lag, mut unseen) = (Histogram::new(), 0);
    let (Some((first, _)), Some((last, _))) = (outcome.flips.first(), outcome.flips.last()) else {
        return (lag, changes.len());
    };
    for (at, count) in changes.iter().filter(|(at, _)| at > first && at <= last) {
        let seen = outcome
            .flips
            .iter()
            .find(|(when, c)| when > at && c == count);
        match seen {
            Some((when, _)) => {
                let nanos = when.duration_since(*at).as_nanos();
                lag.add(u64::try_from(nanos).expect("short"));
            }
            None => unseen += 1,
        }
    }
    (lag, unseen)
}
