//! A load of datagrams: asks in batches, times every answer and checks it.
//!
//! Given a server's address, [`Questions`] and a [`Pace`], [`Load::run`] gives an [`Outcome`]. One thread on a core of its own that
//! never sleeps: waking it would be work of the server. *Closed* keeps so many queries outstanding, which shows what a server can
//! do; *open* asks at given moments whether or not there are answers, which shows what clients see. In an open loop latency
//! counts from the moment when the query was due.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::calls::{Incoming, Outgoing, Told};
use crate::chance::Chance;
use crate::histogram::Histogram;
use crate::questions::Questions;

/// Of so many answers one is looked at whole.
const LOOKED_AT: u64 = 1024;
/// A query without an answer after this time is lost.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// In a closed loop answers are collected this long before queries follow them, so that both sides have batches to work on.
const COLLECTING: Duration = Duration::from_micros(50);
/// Receive buffer of the generator: it must not be what loses answers.
const BUFFER: usize = 4 << 20;

/// When queries leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As many as are answered, so that so many are on their way.
    Closed { outstanding: usize },
    /// So many a second, evenly.
    Even { rate: f64 },
    /// So many a second on average, independently of one another.
    Poisson { rate: f64 },
}

/// What a load does.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) questions: &'a Questions,
    pub(crate) pace: Pace,
    pub(crate) length: Duration,
    /// How long to wait for answers when all has been asked.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Of the answered: not what they should be.
    pub(crate) wrong: u64,
    pub(crate) lost: u64,
    pub(crate) latency: Histogram,
    /// From the first query to the last answer that counts.
    pub(crate) length: Duration,
    /// What was wrong with the first wrong one.
    pub(crate) fault: Option<String>,
    /// Answers and the slowest of them in nanoseconds, by the tenth of a second in which they came.
    pub(crate) tenths: Vec<(u64, u64)>,
    /// When the count of records of the service that is watched was another one, and which.
    pub(crate) flips: Vec<(Instant, u16)>,
}

impl Outcome {
    /// Nothing asked yet.
    pub(crate) fn new() -> Self {
        Self {
            sent: 0,
            answered: 0,
            wrong: 0,
            lost: 0,
            latency: Histogram::new(),
            length: Duration::ZERO,
            fault: None,
            tenths: Vec::new(),
            flips: Vec::new(),
        }
    }

    /// Counts an answer that came at `now`, nanoseconds after the start, to what was asked at `since`.
    pub(crate) fn count(&mut self, since: u64, now: u64) {
        let latency = now.saturating_sub(since);
        self.answered += 1;
        self.latency.add(latency);
        let tenth = (now / 100_000_000) as usize;
        if tenth >= self.tenths.len() {
            self.tenths.resize(tenth + 1, (0, 0));
        }
        let (count, slowest) = &mut self.tenths[tenth];
        *count += 1;
        *slowest = latency.max(*slowest);
    }

    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.length.as_secs_f64()
    }
}

/// A query on its way, by its ID.
#[derive(Clone, Copy, Default)]
struct Flight {
    /// Nanoseconds since the start.
    since: u64,
    question: u32,
    is_open: bool,
}

impl Load<'_> {
    pub(crate) fn run(&self) -> io::Result<Outcome> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.server)?;
        let options = SockRef::from(&socket);
        // Up to the system's limit (`net.core.rmem_max`).
        options.set_recv_buffer_size(BUFFER)?;
        Run {
            load: *self,
            socket,
            incoming: Incoming::new(Told::Octets),
            outgoing: Outgoing::new(),
            flights: vec![Flight::default(); 1 << 16],
            started: Instant::now(),
            next: 0,
            open: 0,
            outcome: Outcome::new(),
        }
        .run()
    }
}

struct Run<'a> {
    load: Load<'a>,
    socket: UdpSocket,
    incoming: Incoming,
    outgoing: Outgoing,
    flights: Vec<Flight>,
    started: Instant,
    /// The number of the next query; its low half is its ID.
    next: u32,
    open: usize,
    outcome: Outcome,
}

impl Run<'_> {
    fn run(mut self) -> io::Result<Outcome> {
        match self.load.pace {
            Pace::Closed { outstanding } => self.closed(outstanding)?,
            Pace::Even { rate } => {
                let mut due = 0.0;
                self.open(|| {
                    due += 1e9 / rate;
                    due
                })?;
            }
            Pace::Poisson { rate } => {
                let mut chance = Chance::new(0x5EED);
                let mut due = 0.0;
                self.open(|| {
                    due += chance.wait(1e9 / rate);
                    due
                })?;
            }
        }
        self.outcome.length = self.started.elapsed();
        self.last_answers()?;
        Ok(self.outcome)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).expect("a run ends within 500 years")
    }

    fn closed(&mut self, outstanding: usize) -> io::Result<()> {
        let length = self.load.length.as_nanos() as u64;
        let collecting = COLLECTING.as_nanos() as u64;
        // What is sent at once: with a quarter of all on each side and on the way, nobody waits.
        let chunk = (outstanding / 4).clamp(1, crate::calls::BATCH);
        let mut heard = 0;
        loop {
            let now = self.now();
            if now >= length {
                return Ok(());
            }
            if self.receive()? > 0 {
                heard = now;
            } else if now > heard + PATIENCE.as_nanos() as u64 {
                // Nothing at all for so long: what was on its way is lost.
                self.give_up();
                heard = now;
            }
            let missing = outstanding.saturating_sub(self.open);
            if missing >= chunk || (missing > 0 && now > heard + collecting) {
                let now = self.now();
                for _ in 0..missing {
                    self.ask(now)?;
                }
                self.flush()?;
            }
        }
    }

    fn open(&mut self, mut next: impl FnMut() -> f64) -> io::Result<()> {
        let length = self.load.length.as_nanos() as u64;
        let mut due = next() as u64;
        loop {
            let now = self.now();
            if now >= length {
                return Ok(());
            }
            let mut count = 0;
            while due <= now && count < crate::calls::BATCH {
                self.ask(due)?;
                due = next() as u64;
                count += 1;
            }
            self.flush()?;
            self.receive()?;
        }
    }

    /// Puts the next query into the batch, which leaves when it is full.
    fn ask(&mut self, due: u64) -> io::Result<()> {
        let id = self.next as u16;
        let question = self.next;
        self.next = self.next.wrapping_add(1);
        let flight = &mut self.flights[usize::from(id)];
        if flight.is_open {
            // All IDs have been used since.
            self.outcome.lost += 1;
            self.open -= 1;
        }
        *flight = Flight {
            since: due,
            question,
            is_open: true,
        };
        self.open += 1;
        let query = self.load.questions.query(question as usize);
        self.outgoing.push(query, id);
        self.outcome.sent += 1;
        if self.outgoing.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.outgoing.len() {
            0 => Ok(()),
            _ => self.outgoing.send(&self.socket),
        }
    }

    /// Takes in what is there, and gives how many answers it was.
    fn receive(&mut self) -> io::Result<usize> {
        let received = self.incoming.poll(&self.socket)?;
        if received == 0 {
            return Ok(0);
        }
        let now = self.now();
        for index in 0..received {
            let answer = self.incoming.get(index);
            let [high, low, ..] = *answer else { continue };
            let flight = &mut self.flights[usize::from(u16::from_be_bytes([high, low]))];
            if !flight.is_open {
                // Late, and given up already.
                continue;
            }
            flight.is_open = false;
            self.open -= 1;
            self.outcome.count(flight.since, now);
            let question = self.load.questions.get(flight.question as usize);
            if question.is_probe
                && let Some(count) = answer.get(6..8)
            {
                let count = u16::from_be_bytes([count[0], count[1]]);
                let flips = &mut self.outcome.flips;
                if flips.last().is_none_or(|(_, last)| *last != count) {
                    flips.push((self.started + Duration::from_nanos(now), count));
                }
            }
            let is_right = question.is_answered_by(answer);
            // Once something is wrong the rest is only counted: to look at every answer would slow the load down.
            let looks = self.outcome.answered.is_multiple_of(LOOKED_AT) && self.outcome.wrong == 0;
            if looks || (!is_right && self.outcome.fault.is_none()) {
                self.outcome.fault = question.fault_in(answer).or_else(|| {
                    (!is_right).then(|| "a header that is not the right answer's".to_owned())
                });
            }
            if !is_right || (looks && self.outcome.fault.is_some()) {
                self.outcome.wrong += 1;
            }
        }
        Ok(received)
    }

    fn give_up(&mut self) {
        for flight in self.flights.iter_mut().filter(|flight| flight.is_open) {
            flight.is_open = false;
            self.outcome.lost += 1;
        }
        self.open = 0;
    }

    /// What is still to come is answered too: it is neither counted as time nor as lost, unless it stays out.
    fn last_answers(&mut self) -> io::Result<()> {
        let patience = self.now() + self.load.patience.as_nanos() as u64;
        while self.open > 0 && self.now() < patience {
            self.receive()?;
        }
        self.give_up();
        Ok(())
    }
}
