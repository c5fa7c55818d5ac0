//! The objects, what happened to them, and what watches are told about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use shiftdns::objects::Kind;

use super::selection::Selection;

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn of(object: &Value) -> Self {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let (version, kind) = (text("/apiVersion"), text("/kind"));
        let kind = Kind::from_type(version.unwrap_or_default(), kind.unwrap_or_default());
        Self::new(
            kind.unwrap_or_else(|| panic!("not a kind that is served: {object}")),
            text("/metadata/namespace").unwrap_or_default(),
            text("/metadata/name").expect("a name"),
        )
    }
}

/// Something that was stored.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Instant,
    pub version: u64,
    pub key: Key,
    /// `None`: it was deleted.
    pub object: Option<Arc<Value>>,
}

/// An object as it goes out.
#[derive(Debug)]
struct Stored {
    value: Arc<Value>,
    /// In a watch: with its kind.
    whole: String,
    /// In a list: without it, as the real server does with its own kinds.
    item: String,
}

/// What a watch may be told.
#[derive(Clone, Debug)]
enum News {
    Event {
        version: u64,
        before: Option<Arc<Stored>>,
        /// At the end: `None`, and `before` has the version of the end.
        after: Option<Arc<Stored>>,
    },
    /// For those that watch already.
    Raw { line: Vec<u8>, end: bool },
}

/// How far a watch has read.
#[derive(Debug)]
pub(super) struct Cursor {
    kind: Kind,
    position: usize,
    opened_at: usize,
    /// Of the store that was watched: after a restore the feeds are others.
    epoch: u64,
    from: u64,
    selection: Selection,
}

#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    epoch: u64,
    objects: BTreeMap<Key, Arc<Stored>>,
    feeds: BTreeMap<Kind, Vec<News>>,
    history: Vec<Entry>,
    compacted: u64,
    /// What a replica that lags has seen.
    seen: Option<u64>,
    /// How often each object has ended.
    ended: BTreeMap<Key, usize>,
    /// Rests of lists, by their `continue` token.
    rests: Vec<Arc<[Arc<Stored>]>>,
}

/// Which page of which list.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) kind: Kind,
    /// Empty: all.
    pub(super) namespace: &'a str,
    pub(super) selection: Selection,
    /// 0: all.
    pub(super) limit: usize,
    pub(super) token: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    /// How many objects the whole list has at the most, as of a server that has lost the others.
    pub(super) keep: Option<usize>,
    /// Of which moment, if not of the newest.
    pub(super) past: Option<u64>,
}

impl Store {
    pub(super) fn new(version: u64) -> Self {
        Self {
            version,
            epoch: 0,
            objects: BTreeMap::new(),
            feeds: BTreeMap::new(),
            history: Vec::new(),
            compacted: 0,
            seen: None,
            ended: BTreeMap::new(),
            rests: Vec::new(),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn history(&self) -> &[Entry] {
        &self.history
    }

    pub(super) fn get(&self, key: &Key) -> Option<Value> {
        let stored = self.objects.get(key)?;
        Some((*stored.value).clone())
    }

    pub(super) fn apply(&mut self, object: &Value) -> u64 {
        let key = Key::of(object);
        let mut object = object.clone();
        self.version += 1;
        let known = self
            .objects
            .get(&key)
            .map(|o| o.value["metadata"]["uid"].clone());
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = self.version.to_string().into();
        let said = meta["uid"].as_str().map(str::to_owned);
        let uid =
            said.unwrap_or_else(|| format!("uid-{:?}-{}-{}", key.kind, key.namespace, key.name));
        meta["uid"] = match (known, self.ended.get(&key)) {
            (Some(known), _) => known,
            // No object has the UID of one that has ended.
            (None, Some(times)) => format!("{uid}-{times}").into(),
            (None, None) => uid.into(),
        };
        if meta["creationTimestamp"].is_null() {
            meta["creationTimestamp"] = "2026-03-01T08:00:00Z".into();
        }
        self.store(key, stored(object));
        self.version
    }

    pub(super) fn put_raw(&mut self, key: Key, text: &str) {
        self.version += 1;
        let value = serde_json::from_str(text).unwrap_or_default();
        let raw = Stored {
            value: Arc::new(value),
            whole: text.to_owned(),
            item: text.to_owned(),
        };
        self.store(key, raw);
    }

    fn store(&mut self, key: Key, stored: Stored) {
        let after = Arc::new(stored);
        self.history.push(Entry {
            at: Instant::now(),
            version: self.version,
            key: key.clone(),
            object: Some(Arc::clone(&after.value)),
        });
        let before = self.objects.insert(key.clone(), Arc::clone(&after));
        self.feeds.entry(key.kind).or_default().push(News::Event {
            version: self.version,
            before,
            after: Some(after),
        });
    }

    pub(super) fn delete(&mut self, key: &Key) -> Option<u64> {
        let old = self.objects.remove(key)?;
        *self.ended.entry(key.clone()).or_default() += 1;
        self.version += 1;
        let mut last = (*old.value).clone();
        if last.is_object() {
            last["metadata"]["resourceVersion"] = self.version.to_string().into();
        }
        self.history.push(Entry {
            at: Instant::now(),
            version: self.version,
            key: key.clone(),
            object: None,
        });
        self.feeds.entry(key.kind).or_default().push(News::Event {
            version: self.version,
            before: Some(Arc::new(stored(last))),
            after: None,
        });
        Some(self.version)
    }

    /// Holds exactly these.
    pub(super) fn set(&mut self, objects: &[Value]) {
        let keys: Vec<Key> = objects.iter().map(Key::of).collect();
        let gone: Vec<Key> = self.objects.keys().cloned().collect();
        for key in gone.iter().filter(|key| !keys.contains(key)) {
            self.delete(key);
        }
        for (key, object) in keys.iter().zip(objects) {
            let same = |stored: &Arc<Stored>| {
                let mut known = (*stored.value).clone();
                for own in ["resourceVersion", "uid", "creationTimestamp"] {
                    if object["metadata"][own].is_null() {
                        known["metadata"].as_object_mut().map(|m| m.remove(own));
                    }
                }
                known == *object
            };
            if !self.objects.get(key).is_some_and(same) {
                self.apply(object);
            }
        }
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
    }

    pub(super) fn lag(&mut self, version: Option<u64>) {
        self.seen = version;
    }

    /// Another store, whose history goes on in ours.
    pub(super) fn restore(&mut self, version: u64, objects: &[Value]) {
        let old: Vec<Key> = self.objects.keys().cloned().collect();
        let mut restored = Self::new(version);
        restored.epoch = self.epoch + 1;
        for object in objects {
            restored.apply(object);
        }
        restored.compacted = restored.version;
        let now = Instant::now();
        let gone = old
            .into_iter()
            .filter(|k| !restored.objects.contains_key(k));
        let gone = gone.map(|key| Entry {
            at: now,
            version: restored.version,
            key,
            object: None,
        });
        self.history.extend(gone);
        self.history.append(&mut restored.history);
        restored.history = std::mem::take(&mut self.history);
        *self = restored;
    }

    /// What is told here and now to those that watch already.
    pub(super) fn raw(&mut self, kind: Kind, line: &[u8], end: bool) {
        let line = line.to_vec();
        let feed = self.feeds.entry(kind).or_default();
        feed.push(News::Raw { line, end });
    }

    pub(super) fn bookmark(&self, kind: Kind) -> String {
        let version = self.seen.unwrap_or(self.version).to_string();
        json!({"type": "BOOKMARK", "object": {"kind": kind.as_str(), "apiVersion": api_version(kind),
            "metadata": {"resourceVersion": version, "creationTimestamp": null}}})
        .to_string()
    }

    /// All objects of a kind as this replica knows them, and the version it knows.
    fn known(&self, kind: Kind, seen: Option<u64>) -> (u64, Vec<Arc<Stored>>) {
        let Some(seen) = seen else {
            let first = Key::new(kind, "", "");
            let of_kind = self
                .objects
                .range(first..)
                .take_while(|(k, _)| k.kind == kind);
            return (self.version, of_kind.map(|(_, o)| Arc::clone(o)).collect());
        };
        let mut known: BTreeMap<Key, Arc<Stored>> = BTreeMap::new();
        for news in self.feeds.get(&kind).into_iter().flatten() {
            match news {
                News::Event {
                    version,
                    before,
                    after,
                } if *version <= seen => match (before, after) {
                    (_, Some(after)) => {
                        known.insert(Key::of(&after.value), Arc::clone(after));
                    }
                    (Some(before), None) => {
                        known.remove(&Key::of(&before.value));
                    }
                    (None, None) => {}
                },
                _ => {}
            }
        }
        (seen, known.into_values().collect())
    }

    /// The body of a page. `Err`: the status of an error and its reason.
    pub(super) fn list(&mut self, wanted: &Wanted<'_>) -> Result<String, (u16, &'static str)> {
        let Wanted {
            kind,
            namespace,
            token,
            ..
        } = *wanted;
        let (version, page, items): (u64, usize, Arc<[Arc<Stored>]>) = match token {
            Some(token) => {
                let mut parts = token.split('-').map(|part| part.parse::<u64>().ok());
                let mut part = || parts.next().flatten();
                match (part(), part(), part(), part()) {
                    (Some(epoch), Some(version), Some(page), Some(rest)) if epoch == self.epoch => {
                        let rest = self.rests.get(usize::try_from(rest).expect("small"));
                        let rest = rest.cloned().ok_or((410, "Expired"))?;
                        (version, usize::try_from(page).expect("small"), rest)
                    }
                    _ => return Err((410, "Expired")),
                }
            }
            None => {
                let (version, all) = self.known(kind, wanted.past.or(self.seen));
                match wanted.version.and_then(|asked| asked.parse::<u64>().ok()) {
                    // "Too large resource version", as a replica says that waited in vain.
                    Some(asked) if asked > version => return Err((504, "Timeout")),
                    _ => {}
                }
                let inside = |o: &Arc<Stored>| {
                    (namespace.is_empty() || o.value["metadata"]["namespace"] == namespace)
                        && wanted.selection.admits(&o.value)
                };
                let items = all.into_iter().filter(inside);
                let items: Arc<[_]> = items.take(wanted.keep.unwrap_or(usize::MAX)).collect();
                (version, 0, items)
            }
        };
        let (now, rest) = match wanted.limit {
            0 => (&items[..], &items[..0]),
            limit => items.split_at(limit.min(items.len())),
        };
        let mut meta = json!({"resourceVersion": version.to_string()});
        if !rest.is_empty() {
            let token = format!("{}-{version}-{}-{}", self.epoch, page + 1, self.rests.len());
            meta["continue"] = token.into();
            meta["remainingItemCount"] = rest.len().into();
            self.rests.push(rest.into());
        }
        let items: Vec<&str> = now.iter().map(|o| o.item.as_str()).collect();
        let (version, kind) = (api_version(kind), kind.as_str());
        Ok(format!(
            r#"{{"kind":"{kind}List","apiVersion":"{version}","metadata":{meta},"items":[{}]}}"#,
            items.join(",")
        ))
    }

    /// Begins a watch behind `version`; `None`: that version is gone.
    pub(super) fn watch(&self, kind: Kind, version: u64, selection: Selection) -> Option<Cursor> {
        if version < self.compacted {
            return None;
        }
        let feed = self.feeds.get(&kind).map_or(&[][..], Vec::as_slice);
        let behind = |news: &News| matches!(news, News::Event { version: v, .. } if *v > version);
        Some(Cursor {
            kind,
            position: feed.iter().position(behind).unwrap_or(feed.len()),
            opened_at: feed.len(),
            epoch: self.epoch,
            from: version,
            selection,
        })
    }

    /// The next line of a watch, and whether it is its last.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Option<(Vec<u8>, bool)> {
        if cursor.epoch != self.epoch {
            return Some((Vec::new(), true));
        }
        let feed = self.feeds.get(&cursor.kind)?;
        while let Some(news) = feed.get(cursor.position) {
            match news {
                News::Event { version, .. } if self.seen.is_some_and(|seen| *version > seen) => {
                    return None;
                }
                _ => {}
            }
            cursor.position += 1;
            match news {
                News::Raw { line, end } if cursor.position > cursor.opened_at => {
                    return Some((line.clone(), *end));
                }
                // A version of the future is accepted in silence: nothing is news until it is reached.
                News::Event {
                    version,
                    before,
                    after,
                } if *version > cursor.from => {
                    let (before, after) = (before.as_deref(), after.as_deref());
                    if let Some(line) = cursor.selection.event(
                        before.map(|s| (&*s.value, s.whole.as_str())),
                        after.map(|s| (&*s.value, s.whole.as_str())),
                    ) {
                        return Some((line.into_bytes(), false));
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// A bookmark for a watch; `None` while its version lies in the future.
    pub(super) fn bookmark_for(&self, cursor: &Cursor) -> Option<String> {
        let known = self.seen.unwrap_or(self.version);
        (known >= cursor.from).then(|| self.bookmark(cursor.kind))
    }
}

fn stored(value: Value) -> Stored {
    let whole = value.to_string();
    let mut item = value.clone();
    if let Some(fields) = item.as_object_mut()
        && !value["apiVersion"]
            .as_str()
            .unwrap_or_default()
            .starts_with("shiftdns.io")
    {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    Stored {
        item: item.to_string(),
        whole,
        value: Arc::new(value),
    }
}

fn api_version(kind: Kind) -> String {
    match kind.group() {
        "" => kind.version().to_owned(),
        group => format!("{group}/{}", kind.version()),
    }
}
