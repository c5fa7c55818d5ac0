//! Children: the servers' processes, each a process group on one core, killed by their own ids.
//!
//! Given a command, [`Reaper::start_child`] runs it on a core with its output in a log file. A child is killed when it is dropped, and
//! by the reaper when this process ends without dropping it: by a signal, by `exit`, by a panic. Of a server that forks the whole
//! group is counted and killed.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::calls;

/// A server's process and those it has started.
pub(crate) struct Child {
    process: Process,
    reaper: Arc<Reaper>,
    log: PathBuf,
}

impl Child {
    /// The id of the process, which is that of its group.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// How it ended, if it ended by itself, with the end of its log.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.process.try_wait().ok()??;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        Some(format!("{status}; {}", lines.join(" | ")))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Through the reaper's shell, which knows how to signal a group.
        self.reaper.tell("kill", self.id());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Kills the groups it was told of, and removes their files, when its pipe closes, whichever way this process ends.
pub(crate) struct Reaper {
    shell: Mutex<(Process, Option<ChildStdin>)>,
}

impl Reaper {
    /// Starts it, in a process group of its own so that Ctrl-C spares it. At the end it removes `litter`, where the children's files are.
    pub(crate) fn start(litter: &Path) -> io::Result<Arc<Self>> {
        const SCRIPT: &str = r#"
            declare -A alive
            while read -r verb id; do
                case $verb in
                    add) alive[$id]=1 ;;
                    litter) litter=$id ;;
                    kill) kill -KILL -- "-$id"; unset "alive[$id]" ;;
                esac
            done
            for id in "${!alive[@]}"; do kill -KILL -- "-$id"; done
            [ -n "$litter" ] && rm -rf -- "$litter"
        "#;
        let mut shell = Command::new("bash")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = shell.stdin.take();
        let reaper = Self {
            shell: Mutex::new((shell, pipe)),
        };
        reaper.tell("litter", litter.display());
        Ok(Arc::new(reaper))
    }

    fn tell(&self, verb: &str, of: impl Display) {
        let mut shell = self.shell.lock().expect("no holder panics");
        if let Some(pipe) = &mut shell.1 {
            // Without the reaper the child is killed all the same, unless we are.
            let _ = writeln!(pipe, "{verb} {of}");
        }
    }

    /// Starts `command` on `core`, its output in `log`. This thread goes back to `home` core.
    pub(crate) fn start_child(
        self: &Arc<Self>,
        command: &mut Command,
        log: &Path,
        core: usize,
        home: usize,
    ) -> io::Result<Child> {
        let file = File::create(log)?;
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        calls::stay_on(core)?;
        let spawned = command.spawn();
        calls::stay_on(home)?;
        let process = spawned?;
        self.tell("add", process.id());
        Ok(Child {
            process,
            reaper: Arc::clone(self),
            log: log.to_owned(),
        })
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Ok(shell) = self.shell.get_mut() {
            shell.1 = None;
            let _ = shell.0.wait();
        }
    }
}
