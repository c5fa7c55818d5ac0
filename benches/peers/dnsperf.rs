//! The generator beside `dnsperf`: the same questions at the same rate, and how many answers each has counted.
//!
//! Both ask a server at a rate that either can hold, in turn. Their counts should agree within what a second more or less makes, and
//! the server's processor time tells what each costs it. It prints, and judges nothing.

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
        let theirs = |server: &Server, length: Duration| run(server, &file, length);
        let both = [
            ("this generator", measured(server, LENGTH, &ours)),
            ("dnsperf", measured(server, LENGTH, &theirs)),
        ];
        table::generators(server.which, RATE, LENGTH, &both);
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

/// Runs `dnsperf` and reads its statistics.
fn run(server: &Server, file: &Path, length: Duration) -> io::Result<Outcome> {
    let output = Command::new("dnsperf")
        .args(["-s", "127.0.0.1", "-p", &server.address.port().to_string()])
        .args(["-l", &length.as_secs().to_string(), "-Q", &RATE.to_string()])
        .args(["-q", "256", "-e", "-b", "4096", "-d"])
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
