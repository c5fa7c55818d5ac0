//! ShiftDNS beside its peers: CoreDNS, Knot, NSD, BIND and PowerDNS, and beside what the kernel alone costs.
//!
//! ```text
//! cargo bench --bench peers                                               # the whole table: about 20 minutes
//! cargo bench --bench peers -- mix --rounds 3 --only ours,reflector       # a part of it: a minute
//! cargo bench --bench peers -- mix --server-binary PATH                   # another build of ours
//! cargo bench --bench peers -- --help                                     # parts, servers, options
//! ```
//!
//! Every server has the same cluster ([`shape`]) and one worker on core 0; the generator has core 1 to itself. Servers run in turns,
//! and processor time an answer is divided by that of the [`reflector`] in the same round: that is *x*. It starts every process
//! itself, on loopback, and ends it; it changes nothing outside a temporary directory.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is what this program is for, and it says what it is doing"
)]

mod api;
mod calls;
mod chance;
mod changes;
mod children;
mod dnsperf;
mod histogram;
mod instructions;
mod load;
mod machine;
mod objects;
mod parts;
mod peers;
mod questions;
mod reflector;
mod rounds;
mod servers;
mod shape;
mod stream;
mod table;
mod zonefile;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use api::Api;
use children::Reaper;
use parts::Course;
use rounds::Rounds;
use servers::{Ground, Server, Which};
use shape::Shape;

#[derive(Parser)]
#[command(about = "measures ShiftDNS beside its peers and prints a table")]
struct Arguments {
    #[command(subcommand)]
    helper: Option<Helper>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Helper {
    /// What this program starts itself as.
    #[command(hide = true)]
    Reflect {
        port: u16,
        #[arg(long)]
        pktinfo: bool,
    },
}

#[derive(Args)]
struct Options {
    /// Which parts of the table; all of them by default.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Which servers; all of them by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Which>,
    /// Rounds of each part that has any.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Queries on their way in a closed loop.
    #[arg(long, default_value_t = 128)]
    outstanding: usize,
    /// Services with a cluster IP.
    #[arg(long, default_value_t = 10_000)]
    services: usize,
    /// Our program; the release build by default.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_shiftdns"))]
    server_binary: PathBuf,
    /// What cargo says to a bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The mix of questions, closed loop.
    Mix,
    /// Each kind of question alone.
    Kinds,
    /// Latency at fixed rates.
    Rates,
    /// Loss at 95 % of each server's maximum.
    Loss,
    /// Streams.
    Tcp,
    /// Three times each server's maximum.
    Overload,
    /// Ours asked for NSID.
    Variants,
    /// Ours with clusters of three sizes.
    Sizes,
    /// Ours while a thousand slices change a second.
    Changes,
    /// This generator's counts beside those of `dnsperf`, and streams as `dnsperf` sees them.
    Dnsperf,
    /// Ours: instructions an answer, with one worker and with two.
    Instructions,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(Helper::Reflect { port, pktinfo }) = arguments.helper {
        reflector::reflect(port, pktinfo).expect("loopback takes datagrams");
        return;
    }
    let options = arguments.options;
    if !options.bench && options.parts.is_empty() {
        // `cargo test` runs benches too, to see that they do.
        println!("nothing was asked for: cargo bench --bench peers");
        return;
    }
    measure(&options);
}

fn measure(options: &Options) {
    calls::stay_on(servers::HOME_CORE).expect("this machine has two cores");
    let directory = tempfile::tempdir().expect("a directory");
    let shape = Shape::of(options.services);
    let ground = Ground {
        directory: directory.path().to_owned(),
        shape,
        reaper: Reaper::start(directory.path()).expect("bash"),
        program: options.server_binary.clone(),
        api: Api::start(shape).expect("a port on loopback"),
    };
    let wanted = match options.only.is_empty() {
        true => Which::value_variants(),
        false => &options.only,
    };
    let mut running: Vec<Server> = Vec::new();
    for which in wanted {
        match servers::start(*which, &ground) {
            Ok(server) => {
                eprintln!(
                    "{} {} answers after {:.1} s",
                    which.name(),
                    server.version,
                    server.start.as_secs_f64()
                );
                running.push(server);
            }
            Err(reason) => println!("{} is missing: {reason}", which.name()),
        }
    }
    table::machine(&running);
    let course = Course {
        running: &running,
        ground: &ground,
        rounds: Rounds {
            count: options.rounds,
            length: Duration::from_secs_f64(options.seconds),
        },
        outstanding: options.outstanding,
    };
    course.alike();
    let parts = match options.parts.is_empty() {
        true => Part::value_variants(),
        false => &options.parts,
    };
    for part in parts {
        eprintln!("{part:?}");
        match part {
            Part::Mix => course.mix(),
            Part::Kinds => course.kinds(),
            Part::Rates => course.rates(),
            Part::Loss => course.loss(),
            Part::Tcp => course.tcp(),
            Part::Overload => course.overload(),
            Part::Variants => course.variants(),
            Part::Sizes => course.sizes(),
            Part::Changes => course.changes(),
            Part::Dnsperf => course.dnsperf(),
            Part::Instructions => course.instructions(),
        }
    }
}
