//! `dnsperf` beside this generator, over datagrams and over streams.
//!
//! Over datagrams both ask a server the same questions at a rate that either can hold, in turn: their counts should agree within what a
//! second more or less makes, and the server's processor time tells what each costs it. Over streams `dnsperf` asks every server as
//! much as it can, which checks the order of the table that this generator has made. It prints, and judges nothing.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::load::{Load, Outcome, PATIENCE, Pace};
use crate::parts::Course;
use crate::questions::{Asked, Questions};
use crate::rounds::measured;
use crate::servers::{Server, Which};
use crate::table;

const RATE: f64 = 50_000.0;
const LENGTH: Duration = Duration::from_secs(4);
/// Of the streams.
const CONNECTIONS: usize = 20;
/// Questions in the file, round and round: as many as our own list has.
const LINES: usize = 1 << 16;

impl Course<'_> {
    /// Both generators on Knot, or on ours where there is no Knot.
    pub(crate) fn dnsperf(&self) {
        let of = |which| self.running.iter().find(|server| server.which == which);
        let Some(server) = of(Which::Knot).or_else(|| of(Which::Ours)) else {
            return;
        };
        let questions = self.questions(Asked::Mix);
        let file = self.ground.directory.join("questions");
        if let Err(error) = write(&file, &questions) {
            return println!("`{}`: {error}", file.display());
        }
        let ours = |server: &Server, length| {
            let load = Load {
                server: server.address,
                questions: &questions,
                pace: Pace::Even { rate: RATE },
                length,
                patience: PATIENCE,
            };
            load.run()
        };
        let rate = format!("-Q{RATE}");
        let theirs =
            |server: &Server, length: Duration| run(server, &file, length, &["-q256", &rate]);
        let both = [
            ("this generator", measured(server, LENGTH, &ours)),
            ("dnsperf", measured(server, LENGTH, &theirs)),
        ];
        table::generators(server.which, RATE, LENGTH, &both);
        self.dnsperf_streams(&file);
    }

    /// `dnsperf` on streams, with many queries outstanding and few.
    fn dnsperf_streams(&self, file: &Path) {
        for outstanding in [1000, 100] {
            let (connections, queries) = (format!("-c{CONNECTIONS}"), format!("-q{outstanding}"));
            let asking = |server: &Server, length: Duration| {
                run(server, file, length, &["-mtcp", &connections, &queries])
            };
            let servers = self
                .running
                .iter()
                .filter(|s| !s.which.is_reflector() && s.which != Which::OursWildcard);
            let lines: Vec<_> = servers
                .map(|server| (server.which.name(), measured(server, LENGTH, &asking)))
                .collect();
            let title = format!(
                "dnsperf: TCP, {CONNECTIONS} connections, {outstanding} queries outstanding in all"
            );
            table::counted(&title, "server", &lines);
        }
    }
}

fn write(file: &Path, questions: &Questions) -> io::Result<()> {
    let mut writer = io::BufWriter::new(fs::File::create(file)?);
    for number in 0..LINES {
        let question = questions.get(number);
        writeln!(writer, "{} {}", question.name, question.rtype)?;
    }
    writer.flush()
}

/// Runs `dnsperf` with `arguments` and reads its statistics.
fn run(server: &Server, file: &Path, length: Duration, arguments: &[&str]) -> io::Result<Outcome> {
    let output = Command::new("dnsperf")
        .args(["-s", "127.0.0.1", "-p", &server.address.port().to_string()])
        .args(["-l", &length.as_secs().to_string()])
        .args(arguments)
        .args(["-e", "-b", "4096", "-d"])
        .arg(file)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |label: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let missing = || io::Error::other(format!("`dnsperf` says no numbers: {text}"));
    let mut outcome = Outcome::new();
    outcome.sent = number("Queries sent:").ok_or_else(missing)? as u64;
    outcome.answered = number("Queries completed:").ok_or_else(missing)? as u64;
    outcome.lost = number("Queries lost:").ok_or_else(missing)? as u64;
    outcome.length = Duration::from_secs_f64(number("Run time (s):").ok_or_else(missing)?);
    let codes = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Response codes:"));
    outcome.fault = codes.map(|codes| codes.trim().to_owned());
    Ok(outcome)
}
