//! Programs: the processes of the control plane, each with its log, killed by their own id.
//!
//! Given a command line, [`Program::start`] runs it with standard output and error in a log file. A program can be killed, paused
//! and started again with the same command line. It is killed when it is dropped, and by the [`Reaper`] when this process ends
//! without dropping it: by a signal, by `exit`, or because it is in a `static`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The directory of the built programs; builds what is missing, which takes up to half an hour the first time.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| built_by("tests/cluster/build"))
}

/// Helm; builds it if it is missing, which takes some minutes the first time.
pub fn helm() -> &'static Path {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    HELM.get_or_init(|| built_by("tests/cluster/build-helm").join("helm"))
}

/// The directory that a script builds and names.
fn built_by(script: &str) -> PathBuf {
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("`{script}`: {error}"));
    assert!(output.status.success(), "`{script}` failed");
    let path = String::from_utf8(output.stdout).expect("a path");
    PathBuf::from(path.trim_end())
}

/// A loopback port that nobody listens on, for UDP and TCP.
///
/// Not from the system's own range, because a port is kept while its server is down: a client that connects to a closed port of
/// that range again and again ends up connected with itself.
pub fn port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test processes at a time begin at different ports.
    let offset = u16::try_from(std::process::id() % 613).expect("below 613") * 16;
    for _ in 0..COUNT {
        let port = FIRST + offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", port)).is_ok()
        {
            return port;
        }
    }
    panic!("no free port on loopback");
}

/// A process that can be started more than once.
pub struct Program {
    name: String,
    path: PathBuf,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    log: PathBuf,
    reaper: Arc<Reaper>,
    child: Mutex<Option<Child>>,
}

impl Program {
    /// Starts the program `name` of [`directory`], which logs to `NAME.log` in `home`.
    pub fn start(
        name: &str,
        args: Vec<String>,
        envs: Vec<(String, String)>,
        home: &Path,
        reaper: &Arc<Reaper>,
    ) -> Self {
        Self::start_at(name, directory().join(name), args, envs, home, reaper)
    }

    /// Starts a program that is somewhere else.
    pub fn start_at(
        name: &str,
        path: PathBuf,
        args: Vec<String>,
        envs: Vec<(String, String)>,
        home: &Path,
        reaper: &Arc<Reaper>,
    ) -> Self {
        let program = Self {
            name: name.to_owned(),
            path,
            args,
            envs,
            log: home.join(format!("{name}.log")),
            reaper: Arc::clone(reaper),
            child: Mutex::new(None),
        };
        program.spawn(&[]);
        program
    }

    fn spawn(&self, more: &[&str]) {
        let mut child = self.child.lock().expect("no holder panics");
        assert!(child.is_none(), "`{}` runs already", self.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log file");
        let spawned = Command::new(&self.path)
            .args(&self.args)
            .args(more)
            .env_remove("KUBECONFIG")
            .envs(self.envs.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("a process");
        self.reaper.tell("add", spawned.id());
        *child = Some(spawned);
    }

    /// Kills it (SIGKILL) and waits until it is gone. Nothing happens if it does not run.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("no holder panics").take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
            self.reaper.tell("del", child.id());
        }
    }

    /// Kills it if it runs, and starts it with the same command line and `more` behind it.
    pub fn restart_with(&self, more: &[&str]) {
        self.kill();
        self.spawn(more);
    }

    /// Stops it from running without ending it (SIGSTOP): connections stay open and nobody answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it run on (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("bash")
            .args(["-c", r#"kill "$0" "$1""#, signal, &id])
            .status();
        assert!(sent.expect("bash").success(), "`{}` is gone", self.name);
    }

    /// The id of its process, while it runs.
    pub fn id(&self) -> u32 {
        let child = self.child.lock().expect("no holder panics");
        child.as_ref().expect("the program runs").id()
    }

    /// Its exit status, if it ended by itself.
    pub fn ended(&self) -> Option<String> {
        let mut child = self.child.lock().expect("no holder panics");
        let status = child.as_mut()?.try_wait().expect("a child has a status")?;
        Some(format!("`{}` ended: {status}", self.name))
    }

    /// What it wrote, all runs.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills the programs when this process ends without having done so.
///
/// A shell that reads the ids from a pipe and acts when the pipe closes, which it does whichever way a process ends.
pub struct Reaper {
    shell: Mutex<(Child, Option<ChildStdin>)>,
}

impl Reaper {
    /// Starts it, in a process group of its own so that Ctrl-C spares it.
    pub fn start() -> Arc<Self> {
        const SCRIPT: &str = r#"
            declare -A alive
            while read -r verb id; do
                case $verb in
                    add) alive[$id]=1 ;;
                    del) unset "alive[$id]" ;;
                esac
            done
            for id in "${!alive[@]}"; do kill -KILL "$id"; done
        "#;
        let mut shell = Command::new("bash")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash");
        let pipe = shell.stdin.take();
        Arc::new(Self {
            shell: Mutex::new((shell, pipe)),
        })
    }

    fn tell(&self, verb: &str, id: u32) {
        let mut shell = self.shell.lock().expect("no holder panics");
        let pipe = shell.1.as_mut().expect("open until it is dropped");
        writeln!(pipe, "{verb} {id}").expect("the reaper reads");
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
