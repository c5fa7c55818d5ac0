//! Instructions an answer, with one worker and with two: what workers share must not make an answer longer.
//!
//! Our server runs under callgrind, which counts the instructions of all its threads, the kernel's excepted. Counted is one stretch of
//! load; each of its loads has a port of its own, by which the kernel chooses the worker. What the server does besides, once a
//! second, is counted too, and is little. Every load keeps the same number of queries outstanding, so batches are alike.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::load::{Load, PATIENCE};
use crate::parts::Course;
use crate::peers;
use crate::questions::{Asked, Questions};
use crate::servers;
use crate::shape::Shape;
use crate::table;

/// Services with a cluster IP: to start takes fifty times as long under callgrind.
const SERVICES: usize = 1000;
/// Ports that ask, one after the other.
const PORTS: usize = 16;
const LENGTH: Duration = Duration::from_millis(500);

/// What was counted.
pub(crate) struct Counted {
    pub(crate) workers: usize,
    pub(crate) answers: u64,
    pub(crate) instructions: u64,
}

impl Course<'_> {
    pub(crate) fn instructions(&self) {
        let mut lines = Vec::new();
        for workers in [1, 2] {
            match self.counted(workers) {
                Ok(line) => lines.push(line),
                Err(error) => println!("{workers} workers: {error}"),
            }
        }
        table::instructions(&lines);
    }

    fn counted(&self, workers: usize) -> Result<Counted, String> {
        let shape = Shape::of(SERVICES);
        let server = servers::start_counted(workers, self.ground, shape)?;
        let questions = Questions::of(Asked::Mix, shape, 1);
        let told = |error: io::Error| error.to_string();
        let control = |arguments: &[&str]| -> Result<(), String> {
            let program = peers::installed("callgrind_control", "valgrind")?;
            let mut command = Command::new(program);
            command.args(arguments).arg(server.group().to_string());
            let output = command.output().map_err(told)?;
            let said = || String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.success().then_some(())).ok_or_else(said)
        };
        let load = || -> io::Result<u64> {
            let load = Load {
                server: server.address,
                questions: &questions,
                pace: self.full(),
                length: LENGTH,
                patience: PATIENCE,
            };
            Ok(load.run()?.answered)
        };
        control(&["--instr=on"])?;
        load().map_err(told)?;
        control(&["--zero"])?;
        let answers = (0..PORTS).map(|_| load()).sum::<io::Result<u64>>();
        let answers = answers.map_err(told)?;
        control(&["--dump=answers"])?;
        let home = self.ground.directory.join(format!("counted-{workers}"));
        let instructions = total(&home).ok_or("callgrind has written no total")?;
        Ok(Counted {
            workers,
            answers,
            instructions,
        })
    }
}

/// The sum that callgrind's dump in this directory ends with.
fn total(home: &Path) -> Option<u64> {
    let dumps = fs::read_dir(home).ok()?.flatten();
    let mut dumps = dumps.filter(|file| file.file_name().to_string_lossy().starts_with("counted."));
    let text = fs::read_to_string(dumps.next()?.path()).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}
