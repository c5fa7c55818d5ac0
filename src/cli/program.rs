//! The program as a thing that is installed: the name it is called by, completions for shells, manual pages.
//!
//! kubectl finds a program `kubectl-shiftdns` and calls it for `kubectl shiftdns`. Under that name it is the same program, and
//! says that name where it says how it is used.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// Our own name.
const NAME: &str = "shiftdns";

/// That of kubectl's plugins.
const PLUGIN: &str = "kubectl-shiftdns";

/// The name this was called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// `shiftdns`, or whatever the file is called.
    Own,
    /// `kubectl-shiftdns`.
    Plugin,
}

impl Name {
    /// From the first of the program's arguments.
    pub(super) fn of(called: Option<&OsStr>) -> Self {
        let stem = called.map(Path::new).and_then(Path::file_stem);
        match stem.is_some_and(|stem| stem == PLUGIN) {
            true => Self::Plugin,
            false => Self::Own,
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Own => NAME,
            Self::Plugin => PLUGIN,
        }
    }

    /// As it is typed.
    fn typed(self) -> &'static str {
        match self {
            Self::Own => NAME,
            Self::Plugin => "kubectl shiftdns",
        }
    }
}

/// The commands, under that name.
pub(super) fn command(name: Name) -> Command {
    Cli::command().name(name.file()).bin_name(name.typed())
}

/// `completions`: a script for a shell.
pub(super) fn completions(shell: Shell, name: Name) -> Vec<u8> {
    // A script completes the words behind one name, that of the file. It is made in memory: the generator panics where it
    // cannot write.
    let mut command = command(name).bin_name(name.file());
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name.file(), &mut script);
    script
}

/// `man`: the page of the program, or with a directory a file for it and for each command.
///
/// # Errors
/// Where they cannot be written.
pub(super) fn man(dir: Option<&Path>, name: Name, out: &mut impl Write) -> anyhow::Result<()> {
    let command = command(name).bin_name(name.file());
    match dir {
        None => clap_mangen::Man::new(command).render(out)?,
        Some(dir) => {
            let failed = || format!("cannot write manual pages to `{}`", dir.display());
            std::fs::create_dir_all(dir).with_context(failed)?;
            clap_mangen::generate_to(command, dir).with_context(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_commands_is_sound() {
        for name in [Name::Own, Name::Plugin] {
            command(name).debug_assert();
        }
    }

    #[test]
    fn under_the_name_of_a_plugin_usage_says_so() {
        let usage = |called: &str| {
            let mut command = command(Name::of(Some(OsStr::new(called))));
            command.build();
            let get = command.find_subcommand_mut("get").unwrap();
            get.render_usage().to_string()
        };
        let expected = "Usage: kubectl shiftdns get [OPTIONS] [NS/SERVICE]";
        assert_eq!(usage("/usr/bin/kubectl-shiftdns"), expected);
        assert_eq!(usage("kubectl-shiftdns"), expected);
        for own in ["shiftdns", "./target/debug/shiftdns", "other"] {
            assert_eq!(usage(own), "Usage: shiftdns get [OPTIONS] [NS/SERVICE]");
        }
    }
}
