//! The parts of the table, each a question that someone has about a server.
//!
//! Given the running servers, each part asks them in its way and prints what came of it. What is compared with a reflector is measured in
//! [`crate::rounds`]; what happens once, as a flood, is measured here.

use std::io;
use std::time::Duration;

use crate::load::{Load, Outcome, PATIENCE, Pace};
use crate::machine;
use crate::questions::{Asked, Kind, Questions};
use crate::rounds::{Rounds, Series, measured};
use crate::servers::{self, Ground, Server, Which};
use crate::shape::Shape;
use crate::stream;
use crate::table;

/// The order of questions is the same in every run.
const SEED: u64 = 0x5817_F7D5;
/// Questions of each kind that are asked before anything is measured, and their answers looked at whole.
const SAMPLED: usize = 200;
/// How long the maximum is measured for those parts that are at a part, or a multiple, of it.
const PEAK: Duration = Duration::from_secs(1);
/// Of its own maximum.
const NEARLY: f64 = 0.95;
const NEARLY_FOR: Duration = Duration::from_secs(10);
/// Times the maximum.
const FLOOD: f64 = 3.0;
const FLOOD_FOR: Duration = Duration::from_secs(20);
/// What is asked before and after a flood.
const CALM: f64 = 20_000.0;
const CALM_FOR: Duration = Duration::from_secs(2);

/// Rounds at the most where there are many runs to a round.
const FEW: usize = 3;

/// What all parts need.
pub(crate) struct Course<'a> {
    pub(crate) running: &'a [Server],
    pub(crate) ground: &'a Ground,
    pub(crate) rounds: Rounds,
    pub(crate) outstanding: usize,
}

/// Asks over UDP.
fn ask(
    server: &Server,
    questions: &Questions,
    pace: Pace,
    length: Duration,
) -> io::Result<Outcome> {
    let load = Load {
        server: server.address,
        questions,
        pace,
        length,
        patience: PATIENCE,
    };
    load.run()
}

impl Course<'_> {
    fn all(&self) -> Vec<&Server> {
        self.running.iter().collect()
    }

    fn those(&self, wanted: impl Fn(Which) -> bool) -> Vec<&Server> {
        self.running.iter().filter(|s| wanted(s.which)).collect()
    }

    fn reflectors(&self) -> Vec<&Server> {
        self.those(Which::is_reflector)
    }

    pub(crate) fn questions(&self, asked: Asked) -> Questions {
        Questions::of(asked, self.ground.shape, SEED)
    }

    /// As much as the server can do.
    pub(crate) fn full(&self) -> Pace {
        Pace::Closed {
            outstanding: self.outstanding,
        }
    }

    fn few(&self) -> Rounds {
        Rounds {
            count: self.rounds.count.min(FEW),
            ..self.rounds
        }
    }

    /// Every server answers the same questions with the same records, or those that do not are told.
    pub(crate) fn alike(&self) {
        for server in self.those(|which| !which.is_reflector()) {
            let mut faults = 0;
            for kind in Kind::ALL {
                if kind == Kind::Weighted && !server.which.is_ours() {
                    continue;
                }
                let questions = self.questions(Asked::One(kind));
                for number in 0..SAMPLED {
                    let fault = match servers::ask(server.address, questions.query(number)) {
                        Ok(answer) => questions.get(number).fault_in(&answer),
                        Err(error) => Some(error.to_string()),
                    };
                    if let Some(fault) = fault {
                        faults += 1;
                        if faults == 1 {
                            println!("{}: {fault}", server.which.name());
                        }
                    }
                }
            }
            if faults > 0 {
                println!(
                    "{} answered {faults} sampled questions differently",
                    server.which.name()
                );
            }
        }
        println!(
            "{SAMPLED} sampled questions of each kind were asked of every server; what is not told here was answered alike by all."
        );
    }

    /// The mix, closed loop.
    pub(crate) fn mix(&self) {
        let questions = self.questions(Asked::Mix);
        let asking = |server: &Server, length| ask(server, &questions, self.full(), length);
        let series = (self.rounds).run(&self.all(), &self.reflectors(), &asking);
        let title = format!("The mix, {} queries outstanding", self.outstanding);
        table::costs(&title, &series);
        table::beside_ours(&series);
    }

    /// Each kind of question alone.
    pub(crate) fn kinds(&self) {
        let servers = self.those(|which| !which.is_reflector() && which != Which::OursWildcard);
        let mut columns: Vec<(&str, Vec<Series>)> = Vec::new();
        for kind in Kind::ALL {
            let questions = self.questions(Asked::One(kind));
            let asking = |server: &Server, length| ask(server, &questions, self.full(), length);
            let able: Vec<&Server> = (servers.iter().copied())
                .filter(|server| kind != Kind::Weighted || server.which.is_ours())
                .collect();
            eprintln!(" {}", kind.told());
            let rounds = Rounds {
                length: self.rounds.length.min(Duration::from_secs(1)),
                count: self.rounds.count.min(FEW),
            };
            columns.push((kind.told(), rounds.run(&able, &self.reflectors(), &asking)));
        }
        let which: Vec<Which> = servers.iter().map(|server| server.which).collect();
        table::kinds(&which, &columns);
    }

    /// Latency at fixed rates.
    pub(crate) fn rates(&self) {
        let questions = self.questions(Asked::Mix);
        for rate in [10_000.0, 20_000.0] {
            let pace = Pace::Even { rate };
            let asking = |server: &Server, length| ask(server, &questions, pace, length);
            let series = (self.few()).run(&self.all(), &self.reflectors(), &asking);
            table::latencies(&format!("At {rate:.0} queries a second"), &series);
        }
    }

    /// What is lost at nearly the maximum, when queries come independently of one another.
    pub(crate) fn loss(&self) {
        let questions = self.questions(Asked::Mix);
        let mut lines = Vec::new();
        for server in self.all() {
            let peak = self.peak(server, &questions);
            let pace = Pace::Poisson {
                rate: peak * NEARLY,
            };
            let asking = |server: &Server, length| ask(server, &questions, pace, length);
            match measured(server, NEARLY_FOR, &asking) {
                Ok(sample) => lines.push((server.which, peak, sample.outcome)),
                Err(error) => println!("{}: {error}", server.which.name()),
            }
        }
        table::losses(NEARLY, NEARLY_FOR, &lines);
    }

    /// Answers a second at the most.
    fn peak(&self, server: &Server, questions: &Questions) -> f64 {
        let asking = |server: &Server, length| ask(server, questions, self.full(), length);
        measured(server, PEAK, &asking).map_or(0.0, |sample| sample.outcome.rate())
    }

    /// Streams: many connections, few queries on their way and many, and one connection in rounds.
    pub(crate) fn tcp(&self) {
        let questions = self.questions(Asked::Mix);
        let servers = self.those(|which| !which.is_reflector() && which != Which::OursWildcard);
        for (title, connections, outstanding, in_rounds) in [
            (
                "TCP, 20 connections, 1,000 queries outstanding in all",
                20,
                1000,
                false,
            ),
            (
                "TCP, 20 connections, 100 queries outstanding in all",
                20,
                100,
                false,
            ),
            (
                "TCP, one connection, 100 queries written at once when the last 100 are answered",
                1,
                100,
                true,
            ),
        ] {
            let asking = |server: &Server, length| match server.which.is_reflector() {
                true => ask(server, &questions, self.full(), length),
                false => stream::Load {
                    server: server.address,
                    questions: &questions,
                    connections,
                    outstanding,
                    in_rounds,
                    length,
                }
                .run(),
            };
            eprintln!(" {title}");
            let series = (self.few()).run(&servers, &self.reflectors(), &asking);
            table::costs(title, &series);
        }
    }

    /// What a flood does to answers, to memory, and to who asks afterwards.
    pub(crate) fn overload(&self) {
        let questions = self.questions(Asked::Mix);
        let mut lines = Vec::new();
        for server in self.those(|which| !which.is_reflector() && which != Which::OursWildcard) {
            match self.flood(server, &questions) {
                Ok(line) => lines.push(line),
                Err(error) => println!("{}: {error}", server.which.name()),
            }
        }
        table::floods(FLOOD, FLOOD_FOR, CALM, &lines);
    }

    fn flood(&self, server: &Server, questions: &Questions) -> io::Result<Flood> {
        let calm = Pace::Even { rate: CALM };
        let peak = self.peak(server, questions);
        let quiet = ask(server, questions, calm, CALM_FOR)?;
        let megabytes_before = machine::resident_megabytes(server.group());
        let flood = Load {
            server: server.address,
            questions,
            pace: Pace::Poisson { rate: peak * FLOOD },
            length: FLOOD_FOR,
            // Who asks next does not wait until the last is given up.
            patience: Duration::ZERO,
        }
        .run()?;
        let megabytes_after = machine::resident_megabytes(server.group());
        let after = ask(server, questions, calm, CALM_FOR)?;
        // Back to normal: no tenth of a second from there on has a slower answer than twice the slowest of the quiet time, or loses.
        let slowest = quiet.tenths.iter().map(|tenth| tenth.1).max().unwrap_or(0);
        let wanted = (CALM / 10.0 * 0.99) as u64;
        let whole = (CALM_FOR.as_millis() / 100) as usize;
        let tenths = &after.tenths[..after.tenths.len().min(whole)];
        let bad = tenths
            .iter()
            .rposition(|(count, worst)| *count < wanted || *worst > (2 * slowest).max(20_000_000));
        eprintln!("  {:20} flooded", server.which.name());
        Ok(Flood {
            which: server.which,
            peak,
            outcome: flood,
            megabytes_before,
            megabytes_after,
            quiet,
            after,
            recovery: Duration::from_millis(bad.map_or(0, |bad| bad as u64 + 1) * 100),
        })
    }

    /// What our own server does in other circumstances: asked who it is, and with more and fewer services.
    pub(crate) fn variants(&self) {
        let is_one = |which: Which| matches!(which, Which::Ours | Which::Reflector);
        let questions = self.questions(Asked::MixWithNsid);
        let asking = |server: &Server, length| ask(server, &questions, self.full(), length);
        let series = (self.rounds).run(&self.those(is_one), &self.reflectors(), &asking);
        table::costs("The mix, NSID asked", &series);
    }

    /// Our own server with clusters of three sizes.
    pub(crate) fn sizes(&self) {
        let mut servers = Vec::new();
        let mut starts = Vec::new();
        for services in [1000, 10_000, 100_000] {
            let shape = Shape::of(services);
            match servers::start_with(Which::Ours, self.ground, shape) {
                Ok(server) => {
                    starts.push((
                        services,
                        server.start,
                        machine::resident_megabytes(server.group()),
                    ));
                    servers.push((Questions::of(Asked::Mix, shape, SEED), server));
                }
                Err(error) => println!("{services} services: {error}"),
            }
        }
        let all: Vec<&Server> = servers.iter().map(|(_, server)| server).collect();
        let small = self.questions(Asked::Mix);
        let asking = |server: &Server, length| {
            let own = servers.iter().find(|(_, s)| s.address == server.address);
            let questions = own.map_or(&small, |(questions, _)| questions);
            ask(server, questions, self.full(), length)
        };
        let series = (self.rounds).run(&all, &self.reflectors(), &asking);
        table::sizes(&starts, &series);
    }
}

/// What came of a flood.
pub(crate) struct Flood {
    pub(crate) which: Which,
    pub(crate) peak: f64,
    pub(crate) outcome: Outcome,
    pub(crate) megabytes_before: f64,
    pub(crate) megabytes_after: f64,
    pub(crate) quiet: Outcome,
    pub(crate) after: Outcome,
    pub(crate) recovery: Duration,
}
