//! The commands.
//!
//! Each command is given its arguments and a place to write to, and gives an exit code: 0 done, 1 it did not work
//! or problems were found, 2 the command line was wrong (clap's own) or a wait took too long. What a person reads goes to standard
//! output; what went wrong goes to standard error, with its causes, in one line.

mod check;
mod crd;
mod demo;
mod documents;
mod lint;
mod recipe;
mod serve;
mod simulate;
mod stage;
mod systemd;

// Asking a running server: where it is, what it says, how that is printed.
mod asking;
mod client;
mod form;
mod reach;
mod rollouts;

// The program itself: its name, completions, manual pages.
mod program;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::config::{self, Flags};
use crate::{files, telemetry};

use program::Name;

/// An authoritative DNS server for Kubernetes service discovery that knows versions.
#[derive(Debug, Parser)]
#[command(name = "shiftdns", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer DNS for the services of a cluster.
    Serve(Box<Flags>),
    /// Play roll-outs over built-in manifests (steps, a failure, an undo, a flip): no cluster, no set-up.
    Demo(Box<Flags>),
    /// Check manifests, zone files, directories of them, and configuration files; exit code 1 if anything is wrong.
    Check {
        /// What to check.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Show what an update of manifests would do to a service's shares, second by second.
    Simulate(simulate::Flags),
    /// Tell what of manifests cannot work, or not as it was meant; exit code 1 if anything is wrong.
    Lint {
        /// Files, and directories of them.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Print the configuration that would be in force.
    Config(Box<Flags>),
    /// Print the definition of the resource ServiceRollout, for `kubectl apply -f -`.
    Crd,
    /// Ask a running server what it answers.
    Query(asking::Query),
    /// Ask a running server why a service's shares are what they are.
    Explain(asking::Explain),
    /// Ask a running server where roll-outs stand: of one service, or of all in a list.
    Get(rollouts::Get),
    /// Wait until a roll-out is over; exit code 0 when it is Healthy, 1 when it failed, 2 when that took too long.
    Status(rollouts::Status),
    /// Ask a running server what happened to a service's roll-outs.
    History(rollouts::OfService),
    /// Let a roll-out go on: to its next step, or in full.
    Promote(rollouts::Promote),
    /// Shift back to the stable revision, until it is retried.
    Abort(rollouts::OfRollout),
    /// Let a roll-out stand still, until it is resumed.
    Pause(rollouts::OfRollout),
    /// Let a paused roll-out go on.
    Resume(rollouts::OfRollout),
    /// Try a revision again that failed or was aborted.
    Retry(rollouts::OfRollout),
    /// Print a script by which a shell completes the words of this program.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into a directory.
    Man {
        /// The directory; it is made where it is missing.
        dir: Option<PathBuf>,
    },
}

fn service_key(text: &str) -> Result<crate::model::ServiceKey, String> {
    crate::model::ServiceKey::parse(text)
        .ok_or_else(|| format!("`{text}` is not NAMESPACE/SERVICE, such as shop/web"))
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let name = Name::of(std::env::args_os().next().as_deref());
    let matches = program::command(name).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli, name) {
        Ok(code) => code,
        Err(error) => {
            let error: &(dyn std::error::Error + 'static) = error.as_ref();
            // Standard error may be closed; there is no other place to say so.
            let _ = writeln!(io::stderr(), "shiftdns: {}", telemetry::chain(error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, name: Name) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match cli.command {
        Command::Serve(flags) => {
            drop(out);
            serve::serve(&flags)?;
        }
        Command::Demo(flags) => {
            drop(out);
            demo::run(&flags)?;
        }
        Command::Check { paths } => {
            let problems = check::check(&paths)?;
            for problem in &problems {
                writeln!(out, "{problem}")?;
            }
            if !problems.iter().all(files::is_warning) {
                return Ok(ExitCode::FAILURE);
            }
            if problems.is_empty() {
                writeln!(out, "no problems")?;
            }
        }
        Command::Simulate(flags) => match simulate::simulate(&flags)? {
            Ok(text) => write!(out, "{text}")?,
            Err(problems) => {
                for problem in &problems {
                    writeln!(out, "{problem}")?;
                }
                return Ok(ExitCode::FAILURE);
            }
        },
        Command::Lint { paths } => {
            let findings = lint::lint(&paths)?;
            for finding in &findings {
                writeln!(out, "{finding}")?;
            }
            if findings.iter().any(|finding| !finding.is_note) {
                return Ok(ExitCode::FAILURE);
            }
            writeln!(out, "no warnings")?;
        }
        Command::Config(flags) => {
            let config = config::load(None, &flags)?;
            write!(out, "{}", config::render(&config))?;
        }
        Command::Crd => write!(out, "{}", crd::text()?)?,
        Command::Query(asked) => write!(out, "{}", asking::query(&asked)?)?,
        Command::Explain(asked) => write!(out, "{}", asking::explain(&asked)?)?,
        Command::Get(asked) => {
            // A screen is given back also by a thread that fails: nobody may hold the stream from it.
            drop(out);
            rollouts::get(&asked, &mut io::stdout())?;
        }
        Command::Status(asked) => return rollouts::status(&asked, &mut out),
        Command::History(asked) => rollouts::history(&asked, &mut out)?,
        Command::Promote(asked) => rollouts::promote(&asked, &mut out)?,
        Command::Abort(asked) => rollouts::act(&asked, "abort", &mut out)?,
        Command::Pause(asked) => rollouts::act(&asked, "pause", &mut out)?,
        Command::Resume(asked) => rollouts::act(&asked, "resume", &mut out)?,
        Command::Retry(asked) => rollouts::act(&asked, "retry", &mut out)?,
        Command::Completions { shell } => out.write_all(&program::completions(shell, name))?,
        Command::Man { dir } => program::man(dir.as_deref(), name, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}
