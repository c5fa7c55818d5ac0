//! The program as a process of its own: started with flags, listened to, and ended.
//!
//! Each test has a loopback address of its own, so that it can choose its ports.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test crate that has processes uses another part of them"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A test that waits this long for something fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether something has happened.
const POLL: Duration = Duration::from_millis(5);

/// A query for the addresses of `web.shop`.
pub fn query(id: u16) -> Vec<u8> {
    let mut message = [id.to_be_bytes().as_slice(), &[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]].concat();
    for label in ["web", "shop", "svc", "cluster", "local"] {
        message.push(u8::try_from(label.len()).expect("it works on this machine"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    // With EDNS, so that what is wrong with an answer can be told: an OPT record that announces 1232 octets.
    message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    message
}

/// The code of an answer; 255 where it has no address.
pub fn code(answer: &[u8]) -> u8 {
    match (answer[3] & 15, u16::from_be_bytes([answer[6], answer[7]])) {
        (0, 0) => 255,
        (code, _) => code,
    }
}

/// A directory of manifests.
pub struct Manifests(TempDir);

impl Manifests {
    pub fn new(text: &str) -> Self {
        let dir = TempDir::new().expect("it works on this machine");
        fs::create_dir(dir.path().join("objects")).expect("it works on this machine");
        fs::write(
            dir.path().join("objects/all.json"),
            crate::rig::cluster(text),
        )
        .expect("it works on this machine");
        Self(dir)
    }

    pub fn args(&self) -> Vec<String> {
        let objects = self.0.path().join("objects").display().to_string();
        vec!["--manifests".to_owned(), objects]
    }

    /// A kubeconfig beside them.
    pub fn kubeconfig(&self, server: &str) -> String {
        let path = self.0.path().join("kubeconfig");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: x, contexts: [{{name: x, context: {{cluster: x, user: x}}}}],\n\
             clusters: [{{name: x, cluster: {{server: \"{server}\"}}}}], users: [{{name: x, user: {{}}}}]}}"
        );
        fs::write(&path, text).expect("it works on this machine");
        path.display().to_string()
    }

    /// A configuration beside them, of keys other than the first two.
    pub fn config(&self, keys: &str) -> String {
        let path = self.0.path().join("config.yaml");
        let text = format!("apiVersion: shiftdns.io/v1alpha1\nkind: Config\n{keys}\n");
        fs::write(&path, text).expect("it works on this machine");
        path.display().to_string()
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// The status and the text of a page; `None`: nobody answers.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text))
}

/// Whether the server with these probes says that it is ready.
pub fn is_ready(http: SocketAddr) -> bool {
    get(http, "/readyz").is_some_and(|(status, _)| status == 200)
}

type Log = Arc<(Mutex<Vec<String>>, Condvar)>;

/// A running server.
pub struct Process {
    child: Child,
    log: Log,
    pub dns: SocketAddr,
    pub http: SocketAddr,
    pub started: Instant,
}

impl Process {
    /// Starts `serve` with listeners at `host`.
    pub fn start(host: &str, args: &[String], environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shiftdns"));
        command.envs(environment.iter().map(|(key, value)| (key, value)));
        Self::run(command, host, args)
    }

    /// Runs a command with the arguments of [`Process::start`].
    pub fn run(mut command: Command, host: &str, args: &[String]) -> Self {
        let address =
            |port: u16| SocketAddr::new(host.parse().expect("it works on this machine"), port);
        let (dns, http, api) = (address(21_353), address(21_354), address(21_355));
        command.args(["serve", "--workers", "2"]).args(args);
        for (flag, address) in [("--listen", dns), ("--http", http), ("--api", api)] {
            command.arg(flag).arg(address.to_string());
        }
        let started = Instant::now();
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("it works on this machine");
        let log = Log::default();
        let (of_reader, stderr) = (
            Arc::clone(&log),
            child.stderr.take().expect("it works on this machine"),
        );
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                of_reader
                    .0
                    .lock()
                    .expect("it works on this machine")
                    .push(line);
                of_reader.1.notify_all();
            }
        });
        Self {
            child,
            log,
            dns,
            http,
            started,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with this text.
    pub fn wait_logged(&self, text: &str) {
        let (lines, told) = &*self.log;
        let lines = lines.lock().expect("it works on this machine");
        let is_missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
        let (lines, timeout) = told
            .wait_timeout_while(lines, PATIENCE, is_missing)
            .expect("it works on this machine");
        assert!(
            !timeout.timed_out(),
            "`{text}` is not among\n{}",
            lines.join("\n")
        );
    }

    /// What it has logged.
    pub fn logged(&self) -> String {
        self.log
            .0
            .lock()
            .expect("it works on this machine")
            .join("\n")
    }

    /// The status and the text of a page of probes; `None`: nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.http, path)
    }

    pub fn is_ready(&self) -> bool {
        is_ready(self.http)
    }

    pub fn wait_ready(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.is_ready() {
            assert!(Instant::now() < until, "not ready:\n{}", self.logged());
            thread::sleep(POLL);
        }
    }

    /// One query over UDP.
    pub fn ask(&self) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("it works on this machine");
        socket.connect(self.dns).expect("it works on this machine");
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .expect("it works on this machine");
        socket.send(&query(1)).ok()?;
        let mut answer = vec![0; 1232];
        let len = socket.recv(&mut answer).ok()?;
        answer.truncate(len);
        Some(answer)
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(status.expect("it works on this machine").success());
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it works on this machine");
        self.child.wait().expect("it works on this machine");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it works on this machine") {
                return status;
            }
            assert!(
                Instant::now() < until,
                "it does not end:\n{}",
                self.logged()
            );
            thread::sleep(POLL);
        }
    }

    pub fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it works on this machine")
            .is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
