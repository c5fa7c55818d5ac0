//! A Kubernetes API server on loopback that does what a real one will not do when asked.
//!
//! It is given objects (as JSON, or as the lines of `rig::cluster`) and serves them as the real one does: lists in
//! pages with `limit` and `continue`, watches as JSON lines with bookmarks, one numeric `resourceVersion` for all kinds,
//! an error in the stream for a version that was compacted. On top of it every response can be broken ([`Fault`]), the
//! connections can fall silent or die, and the store can travel in time. It decides nothing about DNS.
//!
//! Everything that was stored and asked is kept with its time: [`Api::history`] is what an answer is judged against
//! (see [`oracle`]), [`Api::asked`] is how often the API was bothered.
//!
//! ```text
//!  test ── apply, delete, raw ──> Store ──> feed of each kind ──> watches
//!       ── on(what, fault) ─────> Script ─┐        │
//!                                         v        └──> lists
//!                              connection: HTTP/1.1, by hand: a library would repair what is to be broken
//! ```
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test crate that has the API uses another part of it"
)]

pub mod following;
pub mod oracle;

mod http;
mod reply;
mod script;
mod selection;
mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use shiftdns::objects::Kind;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use script::Script;
use store::Store;

pub use http::Tls;
pub use script::{Fault, GONE_LINE, On, Verb, gone};
pub use store::{Entry, Key};

/// A test that waits this long for something fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub verb: Verb,
    pub kind: Option<Kind>,
    /// Of a list: its page, the first being 0.
    pub page: usize,
    /// Of a list: one object at the most, by which nobody learns more than the version of the server.
    pub is_probe: bool,
    /// `resourceVersion`, if one was named.
    pub version: Option<String>,
    /// The method, the path and the query.
    pub line: String,
    /// What was to be written.
    pub body: Vec<u8>,
}

/// What the connections share with the test.
struct Shared {
    state: Mutex<State>,
    /// Rung when a feed, the script or the gate has changed.
    bell: watch::Sender<u64>,
    /// Connections with a smaller number have fallen silent.
    silent_below: watch::Sender<u64>,
}

struct State {
    store: Store,
    script: Script,
    asked: Vec<Asked>,
    bookmarks_every: Duration,
    /// Kinds whose resource nobody installed.
    absent: Vec<Kind>,
    /// `Authorization: Bearer` must be this.
    token: Option<String>,
    next_connection: u64,
    /// Watches that are open, by kind.
    watches: Vec<(u64, Kind)>,
    /// Where every port of every pod leads; `None`: nobody listens in them.
    inside: Option<SocketAddr>,
}

/// Told when a command is done.
type Done = std::sync::mpsc::Sender<()>;

enum Command {
    /// Kills all connections; `true`: and the listener.
    Kill(bool, Done),
    /// Listens again, with another certificate if there is one.
    Listen(Option<Tls>, Done),
}

/// The API server.
pub struct Api {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    thread: Option<JoinHandle<()>>,
    dir: TempDir,
    tls: Option<Tls>,
    pub address: SocketAddr,
}

impl Api {
    /// Listens on a port that the system chooses, without TLS, with nothing in it.
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// The same with TLS: who connects must trust `tls`.
    pub fn with_tls(tls: Tls) -> Self {
        Self::listen(Some(tls))
    }

    fn listen(tls: Option<Tls>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                store: Store::new(1000),
                script: Script::default(),
                asked: Vec::new(),
                bookmarks_every: Duration::from_secs(60),
                absent: Vec::new(),
                token: None,
                next_connection: 0,
                watches: Vec::new(),
                inside: None,
            }),
            bell: watch::Sender::new(0),
            silent_below: watch::Sender::new(0),
        });
        let (commands, received) = mpsc::unbounded_channel();
        let (port, address) = http::Port::take((Ipv4Addr::LOCALHOST, 0).into());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || http::run(&port, &of_thread, received));
        let api = Self {
            shared,
            commands,
            thread: Some(thread),
            dir: tempfile::tempdir().expect("a directory"),
            tls,
            address,
        };
        api.up();
        api
    }

    /// Listens with these objects, one JSON document a line.
    pub fn serving(objects: &str) -> Self {
        let api = Self::start();
        api.set(objects);
        api
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .expect("no thread panicked with it")
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.shared.ring();
        result
    }

    // What it holds.

    /// Creates or replaces an object; gives its `resourceVersion`.
    pub fn apply(&self, object: &Value) -> u64 {
        self.change(|state| state.store.apply(object))
    }

    /// Deletes an object; gives the `resourceVersion` of its end.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> u64 {
        let key = Key::new(kind, namespace, name);
        self.change(|state| state.store.delete(&key))
            .expect("the object is there")
    }

    /// Holds exactly these objects, one JSON document a line: creates, replaces and deletes what differs.
    pub fn set(&self, objects: &str) {
        let objects: Vec<Value> = documents(objects);
        self.change(|state| state.store.set(&objects));
    }

    /// Creates or replaces these objects, one JSON document a line.
    pub fn add(&self, objects: &str) {
        let objects: Vec<Value> = documents(objects);
        self.change(|state| {
            for object in &objects {
                state.store.apply(object);
            }
        });
    }

    /// An object as no API server would store it.
    pub fn put_raw(&self, kind: Kind, namespace: &str, name: &str, text: &str) {
        let key = Key::new(kind, namespace, name);
        self.change(|state| state.store.put_raw(key, text));
    }

    /// An object as it is.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let key = Key::new(kind, namespace, name);
        self.state().store.get(&key)
    }

    /// The newest `resourceVersion`.
    pub fn version(&self) -> u64 {
        self.state().store.version()
    }

    /// Everything that was stored, with its time.
    pub fn history(&self) -> Vec<Entry> {
        self.state().store.history().to_vec()
    }

    /// What was stored is forgotten up to the newest version: older watches get an error in their stream.
    pub fn compact(&self) {
        self.change(|state| state.store.compact());
    }

    /// A backup is played back: these objects, all versions smaller than before, and the server has restarted.
    pub fn restore(&self, objects: &str) {
        let objects: Vec<Value> = documents(objects);
        self.down();
        self.change(|state| state.store.restore(10, &objects));
        self.up();
    }

    /// From here on serves what was stored at `version`, as a replica does that lags; `None`: it has caught up.
    pub fn lag(&self, version: Option<u64>) {
        self.change(|state| state.store.lag(version));
    }

    // What it does wrong.

    /// Breaks the next response that matches.
    pub fn once(&self, on: On, fault: Fault) {
        self.times(on, fault, 1);
    }

    /// Breaks the next `times` responses that match.
    pub fn times(&self, on: On, fault: Fault, times: usize) {
        self.change(|state| state.script.push(on, fault, times));
    }

    /// Breaks every response that matches, until [`Api::mend`].
    pub fn always(&self, on: On, fault: Fault) {
        self.times(on, fault, usize::MAX);
    }

    /// Breaks nothing from here on; what is broken stays broken.
    pub fn mend(&self) {
        self.change(|state| state.script.clear());
    }

    /// Sends a line into every open watch of a kind; `end` ends those watches behind it.
    pub fn raw_line(&self, kind: Kind, line: &[u8], end: bool) {
        self.change(|state| state.store.raw(kind, line, end));
    }

    /// Sends an event into every open watch of a kind, whatever is stored.
    pub fn raw_event(&self, kind: Kind, event: &str, object: &Value) {
        let line = serde_json::json!({"type": event, "object": object});
        self.raw_line(kind, line.to_string().as_bytes(), false);
    }

    /// Every open watch of a kind is told that its version is gone.
    pub fn gone_in_stream(&self, kind: Kind) {
        self.raw_line(kind, script::GONE_LINE.as_bytes(), true);
    }

    /// A bookmark now, in every open watch of a kind.
    pub fn bookmark(&self, kind: Kind) {
        let line = self.state().store.bookmark(kind);
        self.raw_line(kind, line.as_bytes(), false);
    }

    /// How often watches that asked for bookmarks get one; at first every minute, as the real one does.
    pub fn bookmarks_every(&self, pause: Duration) {
        self.change(|state| state.bookmarks_every = pause);
    }

    /// A resource that nobody installed: 404.
    pub fn absent(&self, kinds: &[Kind]) {
        self.change(|state| state.absent = kinds.to_vec());
    }

    /// Whether nobody installed this resource.
    pub fn is_absent(&self, kind: Kind) -> bool {
        self.state().absent.contains(&kind)
    }

    /// One object as it stands.
    pub fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        self.state().store.get(&Key::new(kind, namespace, name))
    }

    /// Port-forwards lead there, whichever pod and port; at first the nodes say that nobody listens.
    pub fn inside(&self, address: SocketAddr) {
        self.change(|state| state.inside = Some(address));
    }

    /// Who has another token gets 401.
    pub fn require_token(&self, token: &str) {
        self.change(|state| state.token = Some(token.to_owned()));
    }

    /// The connections there are stay open and say nothing more, as behind a broken path; new ones work.
    pub fn silence(&self) {
        let next = self.state().next_connection;
        self.shared.silent_below.send_replace(next);
    }

    /// As [`Api::silence`], and new connections are accepted and not answered either.
    pub fn silence_all(&self) {
        self.shared.silent_below.send_replace(u64::MAX);
    }

    /// New connections work again.
    pub fn unsilence(&self) {
        self.silence();
    }

    /// Kills all connections and refuses new ones.
    pub fn down(&self) {
        self.command(|done| Command::Kill(true, done));
    }

    /// Kills all connections.
    pub fn kill_connections(&self) {
        self.command(|done| Command::Kill(false, done));
    }

    /// Listens again on the same port.
    pub fn up(&self) {
        let tls = self.tls.clone();
        self.command(|done| Command::Listen(tls, done));
    }

    /// The server shows another certificate from here on, and has restarted.
    pub fn certificate(&mut self, tls: Tls) {
        self.tls = Some(tls);
        self.down();
        self.up();
    }

    fn command(&self, command: impl FnOnce(Done) -> Command) {
        let (done, finished) = std::sync::mpsc::channel();
        self.commands.send(command(done)).expect("the thread runs");
        finished.recv().expect("the thread runs");
    }

    // What it was asked.

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// First pages of lists of `kind`, so far; not of lists of one object.
    pub fn lists(&self, kind: Kind) -> usize {
        let state = self.state();
        let lists = state.asked.iter();
        lists
            .filter(|a| a.verb == Verb::List && a.kind == Some(kind) && a.page == 0)
            .filter(|a| !a.is_probe)
            .count()
    }

    /// Watches of `kind` that were asked for, so far.
    pub fn watches(&self, kind: Kind) -> usize {
        let state = self.state();
        let watches = state.asked.iter();
        watches
            .filter(|a| a.verb == Verb::Watch && a.kind == Some(kind))
            .count()
    }

    /// Watches of `kind` that are open and not silent.
    pub fn open_watches(&self, kind: Kind) -> usize {
        let silent_below = *self.shared.silent_below.borrow();
        let state = self.state();
        let open = state.watches.iter();
        open.filter(|(connection, of)| *of == kind && *connection >= silent_below)
            .count()
    }

    // How to reach it.

    /// A directory for the files of a test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a kubeconfig that leads here and gives its path.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_with("{}")
    }

    /// The same; `user` is how to log in, as YAML or JSON. With TLS, `ca.crt` in [`Api::dir`] is trusted.
    pub fn kubeconfig_with(&self, user: &str) -> PathBuf {
        let (address, dir) = (self.address, self.dir.path().display());
        let (scheme, trust) = match &self.tls {
            Some(tls) => {
                tls.write_authority(&self.dir.path().join("ca.crt"));
                ("https", format!("certificate-authority: {dir}/ca.crt"))
            }
            None => ("http", "insecure-skip-tls-verify: false".to_owned()),
        };
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: here, cluster: {{server: '{scheme}://{address}', {trust}}}}}]\n\
             users: [{{name: me, user: {user}}}]\n\
             contexts: [{{name: here, context: {{cluster: here, user: me}}}}]\n"
        );
        let path = self.dir.path().join("kubeconfig");
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // The thread ends when nobody commands it.
        let (closed, _) = mpsc::unbounded_channel();
        self.commands = closed;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the API server did not panic");
            }
        }
    }
}

impl Shared {
    fn ring(&self) {
        self.bell.send_modify(|n| *n += 1);
    }
}

/// One JSON document a line.
fn documents(lines: &str) -> Vec<Value> {
    let lines = lines.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Waits until `condition` holds, and says how long that took.
///
/// # Panics
/// After [`PATIENCE`].
pub fn until(what: &str, condition: impl FnMut() -> bool) -> Duration {
    until_in(PATIENCE, what, condition)
}

/// The same with another patience.
pub fn until_in(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !condition() {
        let waited = started.elapsed();
        assert!(waited < patience, "waited {waited:?} for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}
