//! Reports: the status of ServiceRollouts and Events, written to the API; nothing else is ever written.
//!
//! Given [`Report`]s, of which the newest status of a service replaces one that still waits, a task writes them one by
//! one. A status names the version of the resource that it was made for, so of several servers that see the same the
//! first writes and the others are refused: they read what it wrote. An Event has a name made of what happened, and is
//! refused as known where another server told it. What cannot be written is tried again, ever more rarely, behind all
//! else that waits: what is refused in one namespace, or of one sort, holds up nothing. What is more than the limits
//! allow is left out and counted.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{self, Instant};
use tracing::{debug, info, warn};

use super::desk::Desk;
use super::resource::{ServiceRollout, ServiceRolloutStatus};
use crate::model::ServiceKey;
use crate::objects::Kind;

/// The field manager of statuses and the controller of Events.
const MANAGER: &str = "shiftdns";
const CONTROLLER: &str = "shiftdns.io/shiftdns";

/// Events that wait; a cluster that gives more at once is told about the newest.
const NOTICES_MAX: usize = 1024;
/// The longest text of an Event that the API accepts.
const NOTE_MAX: usize = 1024;
/// The longest name of an object.
const NAME_MAX: usize = 253;
/// A second has room for so many writes, and after a quiet time for [`WRITES_BURST`]: a thousand services that begin to
/// roll at once are told of within a minute, and the API server hardly feels it.
const WRITES_PER_SECOND: u32 = 20;
const WRITES_BURST: u32 = 100;
/// Of one service so many Events at once, and one more every [`NOTICE_EVERY`]: what flaps is told, not reported live.
const NOTICES_BURST: u32 = 10;
const NOTICE_EVERY: Duration = Duration::from_secs(30);
/// How long one write may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first wait after a failure; it doubles up to the longest.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Something to write about a service.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which service.
    pub service: ServiceKey,
    /// The UID of the Service.
    pub uid: Arc<str>,
    /// The status of its ServiceRollout, and the version of the resource that it was made for.
    pub status: Option<(Arc<str>, Box<ServiceRolloutStatus>)>,
    /// Events about it.
    pub notices: Vec<Notice>,
}

/// An Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its reason, such as `RolloutDetected`.
    pub reason: &'static str,
    /// Somebody should look.
    pub is_warning: bool,
    /// What happened.
    pub text: String,
    /// Equal on all servers that tell the same.
    pub id: u64,
}

/// How many writes came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Statuses that were written.
    pub statuses: u64,
    /// Events that were written.
    pub events: u64,
    /// Writes that came second: another server had written the same.
    pub known: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Events left out, as there were too many.
    pub dropped: u64,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub struct Outbox {
    // Held for as long as it takes to put one thing in or out.
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By service: of each only the newest.
    statuses: BTreeMap<ServiceKey, Item<StatusOf>>,
    notices: VecDeque<(ServiceKey, Item<NoticeOf>)>,
    written: Written,
    /// The last that was taken was a status: next is an Event, if one is there.
    was_status: bool,
}

/// A status, and the version of the resource that it was made for.
type StatusOf = (Arc<str>, Box<ServiceRolloutStatus>);

/// An Event, and the UID of the Service that it is about.
type NoticeOf = (Arc<str>, Notice);

/// Something that waits, and how it fared.
#[derive(Debug)]
struct Item<T> {
    what: T,
    /// `None`: as soon as possible.
    due: Option<Instant>,
    failures: u32,
}

impl<T> Item<T> {
    fn new(what: T) -> Self {
        Self {
            what,
            due: None,
            failures: 0,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }
}

/// One thing to write.
#[derive(Debug)]
enum Work {
    Status(ServiceKey, Item<StatusOf>),
    Notice(ServiceKey, Item<NoticeOf>),
}

impl Outbox {
    /// Takes reports in; never waits.
    pub fn put(&self, reports: Vec<Report>) {
        let mut waiting = self.lock();
        for report in reports {
            let key = report.service;
            if let Some(status) = report.status {
                waiting.statuses.insert(key.clone(), Item::new(status));
            }
            for notice in report.notices {
                let uid = Arc::clone(&report.uid);
                waiting.add((key.clone(), Item::new((uid, notice))));
            }
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// What has been written so far.
    pub fn written(&self) -> Written {
        self.lock().written
    }

    /// A panic while it was held left it as it was.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due, statuses and Events in turn; else when something will be, if anything waits.
    fn take(&self, now: Instant) -> Result<Work, Option<Instant>> {
        let mut waiting = self.lock();
        let status = waiting.statuses.iter().find(|(_, item)| item.is_due(now));
        let status = status.map(|(key, _)| key.clone());
        let notice = waiting
            .notices
            .iter()
            .position(|(_, item)| item.is_due(now));
        let first = status.filter(|_| !waiting.was_status || notice.is_none());
        if let Some((key, item)) = first.and_then(|key| waiting.statuses.remove_entry(&key)) {
            waiting.was_status = true;
            return Ok(Work::Status(key, item));
        }
        if let Some((key, item)) = notice.and_then(|index| waiting.notices.remove(index)) {
            waiting.was_status = false;
            return Ok(Work::Notice(key, item));
        }
        let statuses = waiting.statuses.values().filter_map(|item| item.due);
        let notices = waiting.notices.iter().filter_map(|(_, item)| item.due);
        Err(statuses.chain(notices).min())
    }

    /// Puts back what could not be written, unless something newer waits; it is due again when it has waited longer than
    /// the last time.
    fn put_back(&self, work: Work, now: Instant) {
        fn later<T>(item: Item<T>, now: Instant) -> Item<T> {
            let doubled = RETRY_MIN * 2_u32.saturating_pow(item.failures);
            Item {
                due: Some(now + doubled.min(RETRY_MAX)),
                failures: (item.failures + 1).min(16),
                ..item
            }
        }
        let mut waiting = self.lock();
        match work {
            Work::Status(key, item) => {
                let item = later(item, now);
                waiting.statuses.entry(key).or_insert(item);
            }
            Work::Notice(key, item) => waiting.add((key, later(item, now))),
        }
    }

    fn count(&self, count: impl FnOnce(&mut Written)) {
        count(&mut self.lock().written);
    }
}

impl Waiting {
    fn add(&mut self, notice: (ServiceKey, Item<NoticeOf>)) {
        if self.notices.len() >= NOTICES_MAX {
            self.notices.pop_front();
            self.written.dropped += 1;
        }
        self.notices.push_back(notice);
    }
}

/// Room for a number of things at once, and for one more every `every`.
#[derive(Clone, Debug)]
struct Bucket {
    burst: u32,
    every: Duration,
    /// When it will be, or was, all empty of debt.
    clear_at: Option<Instant>,
}

impl Bucket {
    fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst,
            every,
            clear_at: None,
        }
    }

    /// Takes one; `Err`: how long until there is room for it, and nothing is taken.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let clear_at = self.clear_at.map_or(now, |at| at.max(now)) + self.every;
        let wait = clear_at
            .saturating_duration_since(now)
            .saturating_sub(self.every * self.burst);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.clear_at = Some(clear_at);
        Ok(())
    }

    /// Nothing was taken for so long that it may be forgotten.
    fn is_full(&self, now: Instant) -> bool {
        self.clear_at.is_none_or(|at| at <= now)
    }
}

pub(super) struct Writer {
    desk: Rc<Desk>,
    outbox: Arc<Outbox>,
    /// Says in Events which server tells them.
    instance: String,
    all: Bucket,
    of_service: BTreeMap<ServiceKey, Bucket>,
    is_failing: bool,
}

/// What came of a write.
enum Came {
    Written,
    /// Another server was first, or what it is about is gone or has changed.
    Known,
    /// It will never be accepted.
    Refused(kube::Error),
    /// It may be accepted later.
    Failed(kube::Error),
}

impl Writer {
    pub(super) fn new(desk: Rc<Desk>, outbox: Arc<Outbox>, instance: String) -> Self {
        Self {
            desk,
            outbox,
            instance,
            all: Bucket::new(WRITES_BURST, Duration::from_secs(1) / WRITES_PER_SECOND),
            of_service: BTreeMap::new(),
            is_failing: false,
        }
    }

    /// Writes for ever.
    pub(super) async fn run(mut self) {
        loop {
            let work = match self.outbox.take(Instant::now()) {
                Ok(work) => work,
                Err(due) => {
                    let news = self.outbox.news.notified();
                    match due {
                        Some(due) => drop(time::timeout_at(due, news).await),
                        None => news.await,
                    }
                    continue;
                }
            };
            if !self.has_room(&work) {
                self.outbox.count(|written| written.dropped += 1);
                continue;
            }
            while let Err(wait) = self.all.take(Instant::now()) {
                time::sleep(wait).await;
            }
            self.try_writing(work).await;
        }
    }

    async fn try_writing(&mut self, work: Work) {
        let (client, number) = self.desk.clients.get();
        let came = self.write(client, &work).await;
        match came {
            Came::Written => self.outbox.count(|written| match work {
                Work::Status(..) => written.statuses += 1,
                Work::Notice(..) => written.events += 1,
            }),
            Came::Known => self.outbox.count(|written| written.known += 1),
            Came::Refused(error) => {
                self.outbox.count(|written| written.failed += 1);
                warn!(service = %work.service(), %error, "the API refuses what is reported");
            }
            Came::Failed(error) => {
                self.outbox.count(|written| written.failed += 1);
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(service = %work.service(), %error, "cannot report; answers are not concerned");
                }
                debug!(service = %work.service(), %error, "could not report");
                self.outbox.put_back(work, Instant::now());
                // Refusals are no fault of the client, which the watches have as well; nor is a whole API server asked
                // for everything that waits while it is away.
                if !matches!(&error, kube::Error::Api(status) if status.code == 403) {
                    self.desk.clients.renew(number).await;
                    time::sleep(RETRY_MIN).await;
                }
                return;
            }
        }
        if std::mem::take(&mut self.is_failing) {
            info!("reports are written again");
        }
    }

    /// A service that has too many Events loses some; a status is never too much.
    fn has_room(&mut self, work: &Work) -> bool {
        let Work::Notice(key, Item { failures: 0, .. }) = work else {
            return true;
        };
        let now = Instant::now();
        self.of_service.retain(|_, bucket| !bucket.is_full(now));
        let new = || Bucket::new(NOTICES_BURST, NOTICE_EVERY);
        let bucket = self.of_service.entry(key.clone()).or_insert_with(new);
        bucket.take(now).is_ok()
    }

    async fn write(&self, client: Client, work: &Work) -> Came {
        let written = async {
            match work {
                Work::Status(key, item) => {
                    let (version, status) = &item.what;
                    write_status(client, key, version, status).await
                }
                Work::Notice(key, item) => {
                    let (uid, notice) = &item.what;
                    let now = Timestamp::now();
                    let event = event(key, uid, notice, &self.instance, now);
                    write_event(client, &key.namespace, event).await
                }
            }
        };
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        match time::timeout(PATIENCE, written).await {
            Ok(Ok(())) => Came::Written,
            Ok(Err(error)) => came(error),
            Err(_) => Came::Failed(kube::Error::Service(late().into())),
        }
    }
}

async fn write_status(
    client: Client,
    key: &ServiceKey,
    version: &str,
    status: &ServiceRolloutStatus,
) -> Result<(), kube::Error> {
    let kind = Kind::ServiceRollout;
    let api_version = format!("{}/{}", kind.group(), kind.version());
    let body = json!({
        "apiVersion": api_version, "kind": kind.as_str(),
        "metadata": {"name": &*key.name, "namespace": &*key.namespace, "resourceVersion": version},
        "status": status,
    });
    // What comes back is nobody's business, and a later release may say more there.
    let api: Api<DynamicObject> = Api::namespaced_with(
        client,
        &key.namespace,
        &ApiResource::erase::<ServiceRollout>(&()),
    );
    // All servers are one manager: none of them owns what another has written.
    let params = PatchParams::apply(MANAGER).force();
    let patch = Patch::Apply(body);
    api.patch_status(&key.name, &params, &patch).await?;
    Ok(())
}

async fn write_event(client: Client, namespace: &str, event: Value) -> Result<(), kube::Error> {
    let event: Event = serde_json::from_value(event).map_err(kube::Error::SerdeError)?;
    let api: Api<Event> = Api::namespaced(client, namespace);
    api.create(&PostParams::default(), &event).await?;
    Ok(())
}

impl Work {
    fn service(&self) -> &ServiceKey {
        match self {
            Self::Status(key, ..) | Self::Notice(key, ..) => key,
        }
    }
}

/// What a failure means for what was to be written.
fn came(error: kube::Error) -> Came {
    let kube::Error::Api(status) = &error else {
        return Came::Failed(error);
    };
    match StatusCode::from_u16(status.code) {
        // Of a status: another version is there. Of an Event: that name is there. Not found: the resource, or the
        // namespace, has gone, and with it who would read it.
        Ok(StatusCode::CONFLICT | StatusCode::NOT_FOUND) => Came::Known,
        Ok(StatusCode::FORBIDDEN) if is_terminating(status) => Came::Known,
        Ok(StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) => Came::Refused(error),
        _ => Came::Failed(error),
    }
}

/// The namespace is going: nothing is created in it any more.
fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}

/// The Event as it is created.
fn event(key: &ServiceKey, uid: &str, notice: &Notice, instance: &str, now: Timestamp) -> Value {
    // Its name says what happened, so that of several servers one writes it.
    let suffix = format!(".{:016x}", notice.id);
    let stem = cut(&key.name, NAME_MAX - suffix.len());
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": format!("{stem}{suffix}"), "namespace": &*key.namespace},
        "eventTime": format!("{now:.6}"),
        "reportingController": CONTROLLER,
        "reportingInstance": cut(instance, 128),
        "action": "ShiftTraffic",
        "reason": notice.reason,
        "type": if notice.is_warning { "Warning" } else { "Normal" },
        "regarding": {"apiVersion": "v1", "kind": "Service", "namespace": &*key.namespace, "name": &*key.name,
            "uid": uid},
        "note": cut(&notice.text, NOTE_MAX),
    })
}

/// The beginning of a text, at most so many octets of it.
fn cut(text: &str, octets: usize) -> &str {
    let mut end = text.len().min(octets);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, version: &str, notices: usize) -> Report {
        let notice = |n: usize| Notice {
            reason: "Stalled",
            is_warning: true,
            text: "it does".to_owned(),
            id: u64::try_from(n).unwrap(),
        };
        Report {
            service: ServiceKey::new("shop", name),
            uid: "u".into(),
            status: (!version.is_empty())
                .then(|| (version.into(), Box::new(ServiceRolloutStatus::default()))),
            notices: (0..notices).map(notice).collect(),
        }
    }

    /// What is taken at a second, and what becomes of it.
    fn taken(outbox: &Outbox, at: Instant) -> Option<(String, Work)> {
        let work = outbox.take(at).ok()?;
        let text = match &work {
            Work::Status(key, item) => format!("{key} {}", item.what.0),
            Work::Notice(key, _) => format!("{key} notice"),
        };
        Some((text, work))
    }

    #[test]
    fn of_a_service_only_the_newest_status_waits_and_statuses_and_events_take_turns() {
        let outbox = Outbox::default();
        let now = Instant::now();
        outbox.put(vec![report("web", "1", 0), report("db", "1", 2)]);
        outbox.put(vec![report("web", "2", 0)]);
        let all = std::iter::from_fn(|| taken(&outbox, now).map(|(text, _)| text));
        let all: Vec<String> = all.collect();
        assert_eq!(
            all,
            [
                "shop/db 1",
                "shop/db notice",
                "shop/web 2",
                "shop/db notice"
            ]
        );
    }

    #[test]
    fn what_fails_holds_nothing_up_and_is_tried_ever_more_rarely() {
        let outbox = Outbox::default();
        let start = Instant::now();
        let secs = Duration::from_secs;
        outbox.put(vec![report("db", "1", 1), report("web", "1", 0)]);
        let (first, work) = taken(&outbox, start).unwrap();
        assert_eq!(first, "shop/db 1");
        outbox.put_back(work, start);
        assert_eq!(taken(&outbox, start).unwrap().0, "shop/db notice");
        assert_eq!(taken(&outbox, start).unwrap().0, "shop/web 1");
        assert_eq!(outbox.take(start).unwrap_err(), Some(start + RETRY_MIN));
        let (mut at, mut waits) = (start + RETRY_MIN, Vec::new());
        for _ in 0..8 {
            let (again, work) = taken(&outbox, at).unwrap();
            assert_eq!(again, "shop/db 1");
            outbox.put_back(work, at);
            let due = outbox.take(at).unwrap_err().unwrap();
            waits.push(due - at);
            at = due;
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60].map(secs));
        // Something newer is due at once, and replaces what failed.
        outbox.put(vec![report("db", "2", 0)]);
        assert_eq!(taken(&outbox, at).unwrap().0, "shop/db 2");
        assert_eq!(outbox.take(at + secs(3600)).unwrap_err(), None);
    }

    #[test]
    fn events_beyond_the_limit_are_left_out_and_counted() {
        let outbox = Outbox::default();
        outbox.put(vec![report("web", "", NOTICES_MAX + 3)]);
        assert_eq!(outbox.written().dropped, 3);
        let Ok(Work::Notice(_, first)) = outbox.take(Instant::now()) else {
            panic!("nothing waits");
        };
        assert_eq!(first.what.1.id, 3, "the oldest went");
    }

    #[test]
    fn a_bucket_has_room_for_a_burst_and_then_for_one_at_a_time() {
        let start = Instant::now();
        let secs = Duration::from_secs;
        let mut bucket = Bucket::new(3, secs(10));
        let mut at = |second| bucket.take(start + secs(second));
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(secs(10)));
        assert_eq!(at(4), Err(secs(6)));
        assert_eq!(at(10), Ok(()));
        assert_eq!(at(10), Err(secs(10)));
        assert_eq!([at(100), at(100), at(100)], [Ok(()); 3]);
        assert_eq!(at(100), Err(secs(10)));
        assert!(!bucket.is_full(start + secs(129)));
        assert!(bucket.is_full(start + secs(130)));
    }

    #[test]
    fn an_event_has_the_name_of_what_happened_and_fits() {
        let notice = Notice {
            reason: "RolloutDetected",
            is_warning: false,
            text: "ä".repeat(1000),
            id: 0xab,
        };
        let key = ServiceKey::new("shop", "web");
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let event = event(&key, "u-1", &notice, "shiftdns-0", now);
        assert_eq!(event["metadata"]["name"], "web.00000000000000ab");
        assert_eq!(event["eventTime"], "2027-01-15T08:00:00.000000Z");
        assert_eq!(event["note"].as_str().unwrap().len(), 1024);
        assert_eq!(event["regarding"]["uid"], "u-1");
    }

    #[test]
    fn who_comes_second_has_nothing_left_to_do() {
        let refused = |code| {
            let status = kube::core::Status::failure("no", "No").with_code(code);
            came(kube::Error::Api(Box::new(status)))
        };
        assert!(matches!(refused(409), Came::Known));
        assert!(matches!(refused(404), Came::Known));
        assert!(matches!(refused(422), Came::Refused(_)));
        assert!(matches!(refused(403), Came::Failed(_)));
        assert!(matches!(refused(500), Came::Failed(_)));
    }
}
