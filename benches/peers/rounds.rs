//! Rounds: servers in turns, A B C ... A B C ..., each run between two short ones of the reflector.
//!
//! Given running servers and how to ask them, [`Rounds::run`] gives the samples of every server. A run in which something else used a
//! processor is repeated; the ratio to the reflector is taken inside a round, so that slow spells of a machine fall out of it.

use std::io;
use std::time::Duration;

use crate::load::Outcome;
use crate::machine::{self, Clocks, Others, Used};
use crate::servers::{Server, Which};

/// How long the reflector runs before and after.
const REFLECTOR: Duration = Duration::from_millis(300);
/// Of one core: a run with more use by others does not count.
const OTHERS_MAX: f64 = 0.05;
/// So often is a run repeated before it counts after all, with a remark.
const REPEATS: usize = 3;

/// Asks a server for so long.
pub(crate) type Asking<'a> = &'a dyn Fn(&Server, Duration) -> io::Result<Outcome>;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    pub(crate) length: Duration,
}

/// One run of one server.
pub(crate) struct Sample {
    pub(crate) outcome: Outcome,
    /// By the server's processes.
    pub(crate) used: Used,
    /// Processor time an answer divided by the reflector's, if one ran beside it.
    pub(crate) x: f64,
}

/// All runs of one server.
pub(crate) struct Series {
    pub(crate) which: Which,
    pub(crate) samples: Vec<Sample>,
    /// At the end of the last.
    pub(crate) megabytes: f64,
}

impl Series {
    /// The median of what `of` takes from each sample.
    pub(crate) fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(of).collect())
    }

    pub(crate) fn sum(&self, of: impl Fn(&Outcome) -> u64) -> u64 {
        self.samples.iter().map(|sample| of(&sample.outcome)).sum()
    }

    /// Microseconds of processor time an answer.
    pub(crate) fn micros(&self, of: fn(Used) -> Duration) -> f64 {
        self.median(|sample| sample.micros(of))
    }

    /// The percentile of latencies in microseconds.
    pub(crate) fn latency(&self, per_mille: u64) -> f64 {
        self.median(|sample| sample.outcome.latency.at(per_mille).as_secs_f64() * 1e6)
    }
}

impl Sample {
    /// Microseconds of processor time an answer.
    pub(crate) fn micros(&self, of: fn(Used) -> Duration) -> f64 {
        of(self.used).as_secs_f64() * 1e6 / (self.outcome.answered as f64).max(1.0)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

impl Rounds {
    /// Measures `servers`; `reflectors` run before and after each, asked alike. A server that cannot be asked has no samples.
    pub(crate) fn run(
        self,
        servers: &[&Server],
        reflectors: &[&Server],
        asking: Asking<'_>,
    ) -> Vec<Series> {
        let mut all: Vec<Series> = (servers.iter())
            .map(|server| Series {
                which: server.which,
                samples: Vec::new(),
                megabytes: 0.0,
            })
            .collect();
        for round in 0..self.count {
            for (server, series) in servers.iter().zip(&mut all) {
                let wanted = server.which.reflector();
                let reflector = reflectors.iter().find(|r| r.which == wanted);
                let beside = || measured(reflector?, REFLECTOR, asking).ok();
                let before = beside();
                let mut sample = match measured(server, self.length, asking) {
                    Ok(sample) => sample,
                    Err(error) => {
                        println!("{}: {error}", server.which.name());
                        continue;
                    }
                };
                let after = beside();
                let both: Vec<f64> = (before.iter().chain(&after))
                    .map(|sample| sample.micros(Used::total))
                    .collect();
                let mean = both.iter().sum::<f64>() / both.len() as f64;
                sample.x = sample.micros(Used::total) / mean;
                tell(round, server.which, &sample);
                series.samples.push(sample);
                series.megabytes = machine::resident_megabytes(server.group());
            }
        }
        all
    }
}

/// What is going on, for who waits.
fn tell(round: usize, which: Which, sample: &Sample) {
    let outcome = &sample.outcome;
    let mut remark = String::new();
    if outcome.lost > 0 {
        remark += &format!("  lost {}", outcome.lost);
    }
    if outcome.wrong > 0 && !which.is_reflector() {
        let fault = outcome.fault.as_deref().unwrap_or_default();
        remark += &format!("  wrong {}: {fault}", outcome.wrong);
    }
    eprintln!(
        "  round {} {:20} {:>9.0}/s  {:6.3} us  x {:5.2}  p50 {:?} p99 {:?}{remark}",
        round + 1,
        which.name(),
        outcome.rate(),
        sample.micros(Used::total),
        sample.x,
        outcome.latency.at(500),
        outcome.latency.at(990),
    );
}

/// One run, or as many as it takes until nothing else ran beside it.
pub(crate) fn measured(
    server: &Server,
    length: Duration,
    asking: Asking<'_>,
) -> io::Result<Sample> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        // In a short run a tick is too much of it to say.
        let looks = length >= Duration::from_secs(1);
        let others_before = looks.then(|| Others::than(server.group()));
        let before = Clocks::of_group(server.group());
        let outcome = asking(server, length)?;
        let used = Clocks::of_group(server.group()).since(before);
        let others = others_before.map_or(Duration::ZERO, |before| {
            Others::than(server.group()).since(&before)
        });
        let share = others.as_secs_f64() / outcome.length.as_secs_f64();
        let is_quiet = share < OTHERS_MAX;
        if is_quiet || attempt == REPEATS {
            if !is_quiet {
                eprintln!("  something else used {:.0} % of a core", share * 100.0);
            }
            return Ok(Sample {
                outcome,
                used,
                x: f64::NAN,
            });
        }
    }
}
