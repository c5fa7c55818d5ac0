//! Rounds: servers in turns, A B C ... A B C ..., each run between two short ones of the reflector.
//!
//! Given running servers and a load, [`Rounds::run`] gives the medians of every server. A run in which something else used a
//! processor is repeated; the ratio to the reflector is taken inside a round, so that slow spells of a machine fall out of it.

use std::time::Duration;

use crate::load::{Load, Outcome, Pace};
use crate::machine::{self, Clocks, Used};
use crate::questions::Questions;
use crate::servers::{Server, Which};

/// How long the reflector runs before and after.
const REFLECTOR: Duration = Duration::from_millis(300);
/// Of one core: a run with more use by others does not count.
const OTHERS_MAX: f64 = 0.05;
/// So often is a run repeated before it counts after all, with a remark.
const REPEATS: usize = 4;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    pub(crate) length: Duration,
}

/// One run of one server.
pub(crate) struct Sample {
    pub(crate) outcome: Outcome,
    pub(crate) used: Used,
    /// Processor time an answer divided by the reflector's.
    pub(crate) x: f64,
    /// Its own percentiles divided by the reflector's.
    pub(crate) p50_x: f64,
    pub(crate) p99_x: f64,
}

/// All runs of one server.
pub(crate) struct Series {
    pub(crate) which: Which,
    pub(crate) samples: Vec<Sample>,
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
}

impl Sample {
    /// Microseconds of processor time an answer.
    pub(crate) fn micros(&self, of: impl Fn(Used) -> Duration) -> f64 {
        of(self.used).as_secs_f64() * 1e6 / (self.outcome.answered as f64).max(1.0)
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

impl Rounds {
    /// Measures `servers` with the same load; `reflectors` run in between.
    pub(crate) fn run(
        self,
        servers: &[&Server],
        reflectors: &[&Server],
        questions: &Questions,
        pace: Pace,
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
                let load = |server: &Server, length| Load {
                    server: server.address,
                    questions,
                    pace,
                    length,
                };
                let beside = || reflector.map(|r| measured(r, &load(r, REFLECTOR)));
                let before = beside();
                let mut sample = measured(server, &load(server, self.length));
                let after = beside();
                let both: Vec<Sample> = before.into_iter().chain(after).collect();
                let mean = |of: &dyn Fn(&Sample) -> f64| {
                    both.iter().map(of).sum::<f64>() / both.len() as f64
                };
                let own = |s: &Sample| s.micros(Used::total);
                sample.x = own(&sample) / mean(&own);
                let at = |s: &Sample, per_mille| s.outcome.latency.at(per_mille).as_secs_f64();
                sample.p50_x = at(&sample, 500) / mean(&|s| at(s, 500));
                sample.p99_x = at(&sample, 990) / mean(&|s| at(s, 990));
                eprintln!(
                    "  round {} {:20} {:>9.0}/s  {:6.3} us  x {:5.2}  p50 {:?} p99 {:?}{}",
                    round + 1,
                    server.which.name(),
                    sample.outcome.rate(),
                    sample.micros(Used::total),
                    sample.x,
                    sample.outcome.latency.at(500),
                    sample.outcome.latency.at(990),
                    remark(&sample.outcome, server.which),
                );
                series.samples.push(sample);
                series.megabytes = machine::resident_megabytes(server.group());
            }
        }
        all
    }
}

fn remark(outcome: &Outcome, which: Which) -> String {
    let mut remark = String::new();
    if outcome.lost > 0 {
        remark += &format!("  lost {}", outcome.lost);
    }
    if outcome.wrong > 0 && !which.is_reflector() {
        let fault = outcome.fault.as_deref().unwrap_or_default();
        remark += &format!("  wrong {}: {fault}", outcome.wrong);
    }
    remark
}

/// Runs a load on a server until nothing else ran beside it.
pub(crate) fn measured(server: &Server, load: &Load<'_>) -> Sample {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = (
            Clocks::of_group(server.group()),
            Clocks::own(),
            machine::busy(),
        );
        let outcome = load.run().expect("loopback takes datagrams");
        let busy = machine::busy() - before.2;
        let used = Clocks::of_group(server.group()).since(before.0);
        let own = Clocks::own().since(before.1);
        let others = busy.saturating_sub(used.total() + own.total());
        let share = others.as_secs_f64() / outcome.length.as_secs_f64();
        // In a short run a tick is too much of it to say.
        let is_quiet = outcome.length < Duration::from_secs(1) || share < OTHERS_MAX;
        if is_quiet || attempt == REPEATS {
            if !is_quiet {
                eprintln!("  something else used {:.0} % of a core", share * 100.0);
            }
            return Sample {
                outcome,
                used,
                x: f64::NAN,
                p50_x: f64::NAN,
                p99_x: f64::NAN,
            };
        }
    }
}
