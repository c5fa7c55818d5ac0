//! From a request to what is sent back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shiftdns::objects::Kind;

use super::script::{Fault, GONE_LINE, Verb};
use super::selection::Selection;
use super::store::{Cursor, Key, Wanted};
use super::{Asked, State};

/// A request as it was read.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: Option<String>,
    /// `Sec-WebSocket-Key`
    pub(super) key: Option<String>,
    pub(super) line: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    fn value(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(k, _)| k == key);
        found.map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }
}

/// What is sent back.
pub(super) enum Reply {
    Whole {
        code: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
        manner: Manner,
    },
    Watch {
        cursor: Cursor,
        bookmarks: Option<Duration>,
        until: Instant,
    },
    /// Lines of a watch that ends behind them, with the manner of the last.
    Lines(Vec<u8>, Manner),
    Hang,
    /// A port of a pod, over a WebSocket opened with this key; `None`: nobody listens there.
    Forward {
        key: String,
        port: u16,
        inside: Option<SocketAddr>,
    },
}

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    Plain,
    Stall(usize),
    Cut(usize),
    Trickle(usize, Duration),
}

/// What a path leads to.
#[derive(Debug, Default)]
struct Place {
    kind: Option<Kind>,
    namespace: String,
    name: Option<String>,
    subresource: Option<String>,
}

pub(super) fn reply(state: &mut State, connection: u64, request: &Request) -> Reply {
    let place = place(&request.path);
    let verb = match (request.method.as_str(), place.kind, &place.name) {
        ("GET", Some(_), None)
            if request
                .value("watch")
                .is_some_and(|w| w != "false" && w != "0") =>
        {
            Verb::Watch
        }
        ("GET", Some(_), None) => Verb::List,
        ("GET", Some(_), Some(_)) => Verb::Get,
        ("GET", None, _) => Verb::Other,
        _ => Verb::Write,
    };
    let token = request.value("continue");
    let page = token.map_or(0, |t| {
        t.split('-')
            .nth(2)
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    });
    let version = request.value("resourceVersion");
    state.asked.push(Asked {
        at: Instant::now(),
        verb,
        kind: place.kind,
        page,
        is_probe: request.value("limit") == Some("1"),
        version: version.map(str::to_owned),
        line: request.line.clone(),
        body: request.body.clone(),
    });
    let fault = state.script.take(verb, place.kind, page);
    let manner = match &fault {
        Some(Fault::Stall(after)) => Manner::Stall(*after),
        Some(Fault::Cut(after)) => Manner::Cut(*after),
        Some(Fault::Trickle(octets, pause)) => Manner::Trickle(*octets, *pause),
        _ => Manner::Plain,
    };
    match &fault {
        Some(Fault::Status(code, reason, headers)) => {
            return failure(*code, reason, headers.clone());
        }
        Some(Fault::Body(text)) => return whole(200, text.clone().into_bytes(), Manner::Plain),
        Some(Fault::Hang) => return Reply::Hang,
        Some(Fault::Line(line)) => return Reply::Lines(line_of(line), Manner::Plain),
        _ => {}
    }
    if let Some(token) = &state.token
        && request.authorization.as_deref() != Some(format!("Bearer {token}").as_str())
    {
        return failure(401, "Unauthorized", Vec::new());
    }
    let Some(kind) = place.kind.filter(|kind| !state.absent.contains(kind)) else {
        return elsewhere(&place, request);
    };
    if place.subresource.as_deref() == Some("portforward") {
        let name = place.name.unwrap_or_default();
        let known = state.store.get(&Key::new(kind, &place.namespace, &name));
        let port = request.value("ports").and_then(|port| port.parse().ok());
        return match (known, port, &request.key) {
            (Some(_), Some(port), Some(key)) => Reply::Forward {
                key: key.clone(),
                port,
                inside: state.inside,
            },
            (None, ..) => failure(404, "NotFound", Vec::new()),
            _ => failure(400, "BadRequest", Vec::new()),
        };
    }
    let selection = || {
        Selection::parse(
            request.value("labelSelector"),
            request.value("fieldSelector"),
        )
    };
    match verb {
        Verb::Watch => {
            let known = state.store.version();
            let from = version.and_then(|v| v.parse().ok());
            // Without a version a watch begins with what there is; nobody here asks so.
            let from = from.filter(|from| *from > 0).unwrap_or(known);
            let Some(cursor) = state.store.watch(kind, from, selection()) else {
                return Reply::Lines(line_of(GONE_LINE), manner);
            };
            if matches!(manner, Manner::Stall(_) | Manner::Cut(_)) {
                return Reply::Lines(Vec::new(), manner);
            }
            let seconds = request.value("timeoutSeconds").and_then(|s| s.parse().ok());
            let bookmarks = request
                .value("allowWatchBookmarks")
                .is_some_and(|b| b == "true");
            state.watches.push((connection, kind));
            Reply::Watch {
                cursor,
                bookmarks: bookmarks.then_some(state.bookmarks_every),
                until: Instant::now() + Duration::from_secs(seconds.unwrap_or(1800)),
            }
        }
        Verb::List => {
            let keep = match fault {
                Some(Fault::Keep(count)) => Some(count),
                _ => None,
            };
            let past = match fault {
                Some(Fault::Past(version)) => Some(version),
                _ => None,
            };
            let limit = request.value("limit").and_then(|l| l.parse().ok());
            let listed = state.store.list(&Wanted {
                kind,
                namespace: &place.namespace,
                selection: selection(),
                limit: limit.unwrap_or(0),
                token,
                version,
                keep,
                past,
            });
            match listed {
                Ok(body) => whole(200, body.into_bytes(), manner),
                Err((code, reason)) => failure(code, reason, Vec::new()),
            }
        }
        Verb::Get => {
            let name = place.name.unwrap_or_default();
            match state.store.get(&Key::new(kind, &place.namespace, &name)) {
                Some(object) => whole(200, object.to_string().into_bytes(), manner),
                None => failure(404, "NotFound", Vec::new()),
            }
        }
        Verb::Write | Verb::Other => written(state, kind, &place, request),
    }
}

/// A write: a patch is merged into what is stored, anything else is echoed.
fn written(state: &mut State, kind: Kind, place: &Place, request: &Request) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if request.method != "PATCH" {
        let code = if request.method == "POST" { 201 } else { 200 };
        return whole(code, request.body.clone(), Manner::Plain);
    }
    let name = place.name.clone().unwrap_or_default();
    let Some(mut object) = state.store.get(&Key::new(kind, &place.namespace, &name)) else {
        return failure(404, "NotFound", Vec::new());
    };
    let said = &body["metadata"]["resourceVersion"];
    if !said.is_null() && *said != object["metadata"]["resourceVersion"] {
        return failure(409, "Conflict", Vec::new());
    }
    // A subresource changes nothing but itself.
    match place.subresource.as_deref() {
        Some(part) => merge(&mut object[part], &body[part]),
        None => merge(&mut object, &body),
    }
    state.store.apply(&object);
    let object = state.store.get(&Key::new(kind, &place.namespace, &name));
    whole(
        200,
        object.unwrap_or_default().to_string().into_bytes(),
        Manner::Plain,
    )
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().and_then(|t| t.remove(key))),
            value => merge(&mut target[key], value),
        }
    }
}

fn elsewhere(place: &Place, request: &Request) -> Reply {
    match (request.path.as_str(), request.method.as_str()) {
        ("/version", _) => whole(
            200,
            br#"{"major":"1","minor":"36","gitVersion":"v1.36.4"}"#.to_vec(),
            Manner::Plain,
        ),
        // Events: written, never read.
        (path, "POST" | "PATCH" | "PUT") if path.contains("/events") => {
            whole(201, request.body.clone(), Manner::Plain)
        }
        // What the real one says of a resource that it has not, which is no `Status` object.
        _ if place.name.is_none() => Reply::Whole {
            code: 404,
            headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
            body: b"404 page not found\n".to_vec(),
            manner: Manner::Plain,
        },
        _ => failure(404, "NotFound", Vec::new()),
    }
}

fn whole(code: u16, body: Vec<u8>, manner: Manner) -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply::Whole {
        code,
        headers,
        body,
        manner,
    }
}

fn failure(code: u16, reason: &str, mut headers: Vec<(&'static str, String)>) -> Reply {
    headers.push(("content-type", "application/json".to_owned()));
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("it says {code}"), "reason": reason, "code": code});
    Reply::Whole {
        code,
        headers,
        body: body.to_string().into_bytes(),
        manner: Manner::Plain,
    }
}

fn line_of(line: &str) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

/// `/api/v1/...` and `/apis/GROUP/VERSION/...`, with or without a namespace.
fn place(path: &str) -> Place {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let group = match parts.next() {
        Some("api") => "",
        Some("apis") => parts.next().unwrap_or_default(),
        _ => return Place::default(),
    };
    let version = parts.next().unwrap_or_default();
    let mut rest: Vec<&str> = parts.collect();
    let mut namespace = String::new();
    if rest.len() >= 3 && rest[0] == "namespaces" {
        namespace = rest[1].to_owned();
        rest.drain(..2);
    }
    let plural = rest.first().copied().unwrap_or_default();
    let mut kinds = Kind::ALL.into_iter();
    let kind = kinds.find(|k| k.group() == group && k.version() == version && k.plural() == plural);
    Place {
        kind,
        namespace,
        name: rest.get(1).map(|&name| name.to_owned()),
        subresource: rest.get(2).map(|&part| part.to_owned()),
    }
}
