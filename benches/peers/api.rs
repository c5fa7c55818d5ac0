//! A Kubernetes API server, as far as DNS servers need one: lists and watches of the cluster, over plain HTTP on loopback.
//!
//! Given a [`Shape`], it serves its namespaces, services, slices and pods as JSON; other kinds are empty. [`Api::replace`] changes an object,
//! which every watch is told. Selectors and page sizes are not obeyed, and who asks for a watch that begins with a list is refused, as by
//! servers that are older: the clients then list. The API server of the tests serves more kinds of trouble, and less speed.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

use crate::objects;
use crate::shape::Shape;

/// Between two signs of life in a quiet watch.
const BOOKMARKS: Duration = Duration::from_secs(10);
/// What was stored first.
const FIRST_VERSION: u64 = 1000;

/// The API server; it serves until the process ends.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    version: u64,
    /// By the plural that stands in paths.
    kinds: BTreeMap<&'static str, Stored>,
}

struct Stored {
    /// `apiVersion` and `kind` of an object.
    api_version: &'static str,
    kind: &'static str,
    /// By namespace and name.
    objects: BTreeMap<String, Value>,
    /// What happened: the version and the line of a watch.
    news: Vec<(u64, Arc<[u8]>)>,
}

/// The kinds that are known, by the plural in their paths.
const KINDS: [(&str, &str, &str); 5] = [
    ("namespaces", "v1", "Namespace"),
    ("services", "v1", "Service"),
    ("endpointslices", "discovery.k8s.io/v1", "EndpointSlice"),
    ("pods", "v1", "Pod"),
    // What nobody watches: so much does the server's own work cost.
    (UNWATCHED, "v1", "Nothing"),
];
/// A kind that nobody watches.
pub(crate) const UNWATCHED: &str = "nothings";

impl Api {
    /// Serves the cluster on a port that the system chooses.
    pub(crate) fn start(shape: Shape) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let mut kinds = BTreeMap::new();
        for (plural, api_version, kind) in KINDS {
            let objects: Vec<Value> = match plural {
                "namespaces" => objects::namespaces(shape).collect(),
                "services" => objects::services(shape).collect(),
                "endpointslices" => objects::slices(shape).collect(),
                UNWATCHED => Vec::new(),
                _ => objects::pods(shape).collect(),
            };
            let versioned = objects.into_iter().map(|mut object| {
                object["metadata"]["resourceVersion"] = FIRST_VERSION.to_string().into();
                (key(&object), object)
            });
            let stored = Stored {
                api_version,
                kind,
                objects: versioned.collect(),
                news: Vec::new(),
            };
            kinds.insert(plural, stored);
        }
        let state = State {
            version: FIRST_VERSION,
            kinds,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            news: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                // Who goes away in the middle is no error of ours.
                std::thread::spawn(move || drop(shared.speak(stream)));
            }
        });
        Ok(Self { address, shared })
    }

    /// Stores `object`, of the kind with this plural, in place of the one with its name.
    pub(crate) fn replace(&self, plural: &str, mut object: Value) {
        let mut state = self.shared.state();
        state.version += 1;
        let version = state.version;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let line = format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n");
        let stored = state.kinds.get_mut(plural).expect("a kind that is served");
        stored.news.push((version, line.into_bytes().into()));
        stored.objects.insert(key(&object), object);
        drop(state);
        self.shared.news.notify_all();
    }
}

fn key(object: &Value) -> String {
    let meta = &object["metadata"];
    let text = |field: &str| meta[field].as_str().unwrap_or_default();
    format!("{}/{}", text("namespace"), text("name"))
}

/// A request without its body, which none of ours has.
struct Request {
    path: String,
    query: String,
    accept: String,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// One connection, until it ends.
    fn speak(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        while let Some(request) = read(&mut reader)? {
            let asks = |what: &str| request.query.split('&').any(|pair| pair == what);
            let plural = request.path.rsplit('/').next().unwrap_or_default();
            let is_ours = request.path.contains("shiftdns.io");
            match plural {
                "version" => {
                    let version = json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0"});
                    whole(&mut writer, 200, &version.to_string())?;
                }
                // Resources that nobody installed.
                _ if is_ours || request.path.matches('/').count() < 3 => {
                    whole(&mut writer, 404, &status(404, "NotFound"))?;
                }
                _ if asks("sendInitialEvents=true") => {
                    whole(&mut writer, 422, &status(422, "Invalid"))?;
                }
                _ if asks("watch=true") || asks("watch=1") => {
                    return self.watch(&mut writer, plural, &request);
                }
                _ => {
                    let body = self.list(plural, &request);
                    whole(&mut writer, 200, &body)?;
                }
            }
        }
        Ok(())
    }

    fn list(&self, plural: &str, request: &Request) -> String {
        let state = self.state();
        let (api_version, kind, items) = match state.kinds.get(plural) {
            // Namespaces are asked for by their metadata alone.
            Some(stored) if request.accept.contains("as=PartialObjectMetadataList") => {
                let partial = stored.objects.values().map(|object| {
                    let meta = &object["metadata"];
                    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}).to_string()
                });
                let items: Vec<String> = partial.collect();
                ("meta.k8s.io/v1", "PartialObjectMetadata", items)
            }
            Some(stored) => {
                let items = stored.objects.values().map(Value::to_string);
                (stored.api_version, stored.kind, items.collect())
            }
            None => ("v1", "", Vec::new()),
        };
        let version = state.version;
        format!(
            r#"{{"kind":"{kind}List","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{version}"}},"items":[{}]}}"#,
            items.join(",")
        )
    }

    fn watch(&self, writer: &mut TcpStream, plural: &str, request: &Request) -> io::Result<()> {
        let from = (request.query.split('&'))
            .find_map(|pair| pair.strip_prefix("resourceVersion=")?.parse().ok());
        let mut from: u64 = from.filter(|from| *from > 0).unwrap_or(FIRST_VERSION);
        writer.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        )?;
        let mut position = 0;
        let mut state = self.state();
        loop {
            let news = state.kinds.get(plural).map(|stored| &stored.news);
            let fresh = news.map_or(&[][..], |news| news.get(position..).unwrap_or_default());
            let lines: Vec<u8> = (fresh.iter())
                .filter(|(version, _)| *version > from)
                .flat_map(|(_, line)| line.iter().copied())
                .collect();
            position += fresh.len();
            if lines.is_empty() {
                let (woken, waited) = self
                    .news
                    .wait_timeout(state, BOOKMARKS)
                    .expect("no holder panics");
                state = woken;
                if !waited.timed_out() {
                    continue;
                }
            }
            from = state.version;
            let lines = match lines.is_empty() {
                true => bookmark(&state, plural, &request.accept).into_bytes(),
                false => lines,
            };
            drop(state);
            let head = format!("{:x}\r\n", lines.len());
            writer.write_all(&[head.as_bytes(), &lines, b"\r\n"].concat())?;
            state = self.state();
        }
    }
}

fn bookmark(state: &State, plural: &str, accept: &str) -> String {
    let (api_version, kind) = match state.kinds.get(plural) {
        _ if accept.contains("as=PartialObjectMetadata") => {
            ("meta.k8s.io/v1", "PartialObjectMetadata")
        }
        Some(stored) => (stored.api_version, stored.kind),
        None => ("v1", ""),
    };
    let version = state.version.to_string();
    let object =
        json!({"kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": version}});
    format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n")
}

fn status(code: u16, reason: &str) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason, "reason": reason,
        "code": code})
    .to_string()
}

fn whole(writer: &mut TcpStream, code: u16, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes())?;
    writer.write_all(body.as_bytes())
}

/// Reads a request; `None` at the end of the connection.
fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        path: path.to_owned(),
        query: query.to_owned(),
        accept: String::new(),
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "accept" => request.accept = value.trim().to_owned(),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    // A body would be an Event that is told: nobody reads it.
    io::copy(&mut io::Read::take(reader, length), &mut io::sink())?;
    Ok(Some(request))
}
