//! A load over TCP: connections that stay open and have many queries on their way.
//!
//! Given a server and questions, [`Load::run`] gives what the UDP load gives. One thread that never sleeps looks after all connections.
//! *Flowing* asks again as answers come; *in rounds* writes all queries of a connection at once and waits for all answers, in which a
//! server that writes its answers one by one meets Nagle's algorithm and the delayed acknowledgements of the other side.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::load::{Outcome, PATIENCE};
use crate::questions::Questions;

/// Of so many answers one is looked at whole.
const LOOKED_AT: u64 = 1024;
/// Room for what one read brings.
const ROOM: usize = 1 << 16;

#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) questions: &'a Questions,
    pub(crate) connections: usize,
    /// Of all connections together.
    pub(crate) outstanding: usize,
    pub(crate) in_rounds: bool,
    pub(crate) length: Duration,
}

struct Connection {
    stream: TcpStream,
    /// What has come of the next answers.
    received: Vec<u8>,
    /// What the system has not taken of the next queries.
    unsent: Vec<u8>,
    /// By ID, which counts on: the number of the question and when it was asked, while it has no answer.
    flights: Vec<Option<(u32, u64)>>,
    next: u16,
    open: usize,
}

impl Load<'_> {
    pub(crate) fn run(&self) -> io::Result<Outcome> {
        let each = (self.outstanding / self.connections).max(1);
        let connect = || -> io::Result<Connection> {
            let stream = TcpStream::connect_timeout(&self.server, Duration::from_secs(2))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(Connection {
                stream,
                received: Vec::new(),
                unsent: Vec::new(),
                flights: vec![None; 1 << 16],
                next: 0,
                open: 0,
            })
        };
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(connect()?);
        }
        let started = Instant::now();
        let now =
            || u64::try_from(started.elapsed().as_nanos()).expect("a run ends within 500 years");
        let length = self.length.as_nanos() as u64;
        let mut outcome = Outcome::new();
        let mut question = 0;
        let mut room = vec![0; ROOM];
        let mut heard = 0;
        loop {
            let time = now();
            if time >= length || time > heard + PATIENCE.as_nanos() as u64 {
                break;
            }
            for connection in &mut connections {
                let answered = outcome.answered;
                connection.receive(&mut room, self.questions, &mut outcome, now)?;
                if outcome.answered > answered {
                    heard = time;
                }
                let ready = match self.in_rounds {
                    true => connection.open == 0,
                    false => connection.open < each,
                };
                if ready {
                    for _ in connection.open..each {
                        connection.ask(self.questions, &mut question, now());
                        outcome.sent += 1;
                    }
                }
                connection.flush()?;
            }
        }
        outcome.length = started.elapsed();
        if now() < length {
            // Nothing more came: the connections stand still.
            outcome.lost = connections.iter().map(|c| c.open as u64).sum();
            outcome
                .fault
                .get_or_insert("no answers for half a second".to_owned());
        }
        Ok(outcome)
    }
}

impl Connection {
    fn ask(&mut self, questions: &Questions, question: &mut u32, now: u64) {
        let query = questions.query(*question as usize);
        let length = u16::try_from(query.len()).expect("a query is short");
        self.unsent.extend_from_slice(&length.to_be_bytes());
        self.unsent.extend_from_slice(&self.next.to_be_bytes());
        self.unsent.extend_from_slice(&query[2..]);
        self.flights[usize::from(self.next)] = Some((*question, now));
        self.next = self.next.wrapping_add(1);
        *question = question.wrapping_add(1);
        self.open += 1;
    }

    /// Hands over what the system takes.
    fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.unsent) {
            Ok(written) => {
                self.unsent.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn receive(
        &mut self,
        room: &mut [u8],
        questions: &Questions,
        outcome: &mut Outcome,
        now: impl Fn() -> u64,
    ) -> io::Result<()> {
        match self.stream.read(room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(received) => self.received.extend_from_slice(&room[..received]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let now = now();
        let mut at = 0;
        while let Some((answer, _)) =
            self.received[at..]
                .split_first_chunk()
                .and_then(|(length, rest)| {
                    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
                })
        {
            at += 2 + answer.len();
            let [high, low, ..] = *answer else { continue };
            let flight = &mut self.flights[usize::from(u16::from_be_bytes([high, low]))];
            let Some((question, since)) = flight.take() else {
                outcome.wrong += 1;
                continue;
            };
            self.open -= 1;
            outcome.count(since, now);
            let question = questions.get(question as usize);
            let is_right = question.is_answered_by(answer);
            let looks = outcome.answered.is_multiple_of(LOOKED_AT) && outcome.wrong == 0;
            if looks || (!is_right && outcome.fault.is_none()) {
                outcome.fault = question.fault_in(answer).or_else(|| {
                    (!is_right).then(|| "a header that is not the right answer's".to_owned())
                });
            }
            if !is_right || (looks && outcome.fault.is_some()) {
                outcome.wrong += 1;
            }
        }
        self.received.drain(..at);
        Ok(())
    }
}
