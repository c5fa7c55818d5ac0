//! Following one kind: list, watch, and what to do about everything that can go wrong.
//!
//! ```text
//!            ┌────────── gone (410), garbled, restored ──────────┐
//!            v                                                   │
//!  start ─> List ── taken, or held as shrunk ──> Watch ──────────┤
//!            │ ^                                  │ ^            │
//!            │ └── failed: back off, list again   │ └── ended, silent, broken: ask whether our version is in the
//!            └──── held as older: wait, again     │     future of the server's (list), or in its past after watches
//!                                                 │     that told nothing (list); then watch on from where it was
//!                                                 └── every half hour or so: list beside the watch
//! ```
//!
//! This is a loop of its own rather than `kube::runtime::watcher`, because each of its guards needs what that one hides:
//! the resource versions of lists and bookmarks (is ours in the future?), the end of a watch (one that is closed at once
//! must not be begun again without a pause), statuses and headers of refusals (410 at the start, `Retry-After`), the age of
//! what was heard last, and a client that can be changed between two requests.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::time;
use tracing::{debug, info, warn};

use super::api::{Failure, Lines};
use super::desk::{Desk, Stopped};
use super::guard::{Doubt, Guard, Listed, Patience, Verdict};
use super::known::{Known, Mark, number};
use super::pace::{Backoff, Lists, jittered};
use super::reading::{Line, List, Reading, note};
use super::status::{Following, KindStatus};
use crate::model::Problem;
use crate::objects::{Change, Kind, Tree};

/// Changes that are handed over at once, at most, as far as lines come one by one.
const BATCH_MAX: usize = 256;
/// Events that are remembered while a list is read beside the watch: more, and the list is given up for later.
const SINCE_MAX: usize = 1 << 16;
/// Watches in a row that told nothing, not even a bookmark: so many, and something on the way does not let them through.
const FRUITLESS_MAX: u32 = 3;
/// A watch that begins again first tells what was missed; so long after its beginning the kind counts as followed.
const CATCH_UP: Duration = Duration::from_millis(250);

/// Follows one kind.
pub(super) struct Follower {
    desk: Rc<Desk>,
    kind: Kind,
    reading: Rc<RefCell<Reading>>,
    known: Known,
    guard: Guard,
    backoff: Backoff,
    lists: Lists,
    dice: Dice,
    /// The resource version up to which everything is known; empty until there is a list.
    position: String,
    /// When everything is to be listed anew beside the watch.
    relist_at: Instant,
    /// The next list settles a doubt, and does not wait for its turn.
    is_settling: bool,
    /// It was looked for and was not there.
    was_absent: bool,
    has_watched: bool,
    /// With which status it was refused last, while it is; `None`: nobody answered.
    refusal: Option<StatusCode>,
    /// Watches since the last that told anything.
    fruitless: u32,
    problems: Vec<Problem>,
}

/// What to do next.
enum Next {
    List,
    Watch {
        /// Something broke: the server's history may not be ours any more.
        is_doubtful: bool,
    },
}

/// How a watch ended.
enum Ended {
    /// The server closed it.
    Closed,
    /// Nothing was heard for too long.
    Silent,
    /// It failed.
    Broken(Failure),
    /// What it was to go on with is forgotten, or nobody knows what is missing.
    Gone(String),
    /// A list has shown that the server's history is another.
    Restored,
}

/// An event that was heard while a list was being read.
struct Heard {
    mark: Mark,
    change: Change,
}

type Reads = Pin<Box<dyn Future<Output = Result<List, Failure>>>>;

impl Follower {
    pub(super) fn new(desk: Rc<Desk>, kind: Kind) -> Self {
        let pace = &desk.pace;
        let patience = Patience {
            shrunk: pace.confirm_shrunk,
            older: pace.confirm_older,
        };
        Self {
            kind,
            reading: Rc::new(RefCell::new(Reading::new(
                kind,
                desk.reader.sharing(),
                desk.marker.clone(),
            ))),
            known: Known::default(),
            guard: Guard::new(patience),
            backoff: Backoff::new(pace),
            lists: Lists::default(),
            dice: Dice::default(),
            position: String::new(),
            relist_at: Instant::now(),
            is_settling: false,
            was_absent: false,
            has_watched: false,
            refusal: None,
            fruitless: 0,
            problems: Vec::new(),
            desk,
        }
    }

    /// Follows until nobody takes events any more.
    pub(super) async fn run(mut self) -> Stopped {
        let mut next = Next::List;
        loop {
            let step = match next {
                Next::List => self.list().await,
                Next::Watch { is_doubtful } => self.watch(is_doubtful).await,
            };
            match step {
                Ok(step) => next = step,
                Err(stopped) => return stopped,
            }
        }
    }

    fn status(&self) -> &KindStatus {
        self.desk.status.of(self.kind)
    }

    /// Reads everything, with no watch under way.
    async fn list(&mut self) -> Result<Next, Stopped> {
        if !std::mem::take(&mut self.is_settling) {
            let span = self.desk.pace.lists;
            let wait = self.lists.wait(span, Instant::now(), self.dice.draw());
            time::sleep(wait).await;
        }
        let from = number(&self.position);
        match self.read_list().await {
            Ok(list) => match self.take(list, Vec::new(), from).await? {
                Verdict::Hold(Doubt::Older, wait) => {
                    time::sleep(wait).await;
                    self.is_settling = true;
                    Ok(Next::List)
                }
                Verdict::Take | Verdict::Hold(Doubt::Shrunk, _) => {
                    self.recovered().await?;
                    Ok(Next::Watch { is_doubtful: false })
                }
            },
            Err(failure) if self.is_absence(&failure) => self.absent(&failure).await,
            Err(failure) => {
                self.fail(&failure).await?;
                Ok(Next::List)
            }
        }
    }

    /// Reads a list as a whole; independent of the watch that may go on meanwhile.
    fn read_list(&self) -> Reads {
        let (desk, reading) = (Rc::clone(&self.desk), Rc::clone(&self.reading));
        let kind = self.kind;
        Box::pin(async move {
            let limit = desk.pace.list;
            let pages = async {
                let mut list = List::default();
                let mut next = String::new();
                loop {
                    let item = |tree: &Tree| reading.borrow_mut().item(tree, &mut list);
                    let page = desk.api(kind).page(&next, item).await?;
                    if list.version.is_empty() {
                        // All pages are of one moment; where they are not, the first is the safe one to watch from.
                        list.version = page.version;
                    }
                    if page.next.is_empty() {
                        return Ok(list);
                    }
                    next = page.next;
                }
            };
            let list = time::timeout(limit, pages).await;
            list.map_err(|_| Failure::Late(limit))?
        })
    }

    /// Folds in a list that was read completely, or holds it. `heard` is what the watch told meanwhile, and `from` up to
    /// where everything was known when the list was begun.
    async fn take(
        &mut self,
        mut list: List,
        heard: Vec<Heard>,
        from: u64,
    ) -> Result<Verdict, Stopped> {
        let now = Instant::now();
        self.lists.begin(now);
        let version = number(&list.version);
        let is_older = version != 0 && version < from;
        let mut newer = Vec::new();
        if !is_older {
            for Heard { mark, change } in heard {
                let is_in_list = mark.version != 0 && mark.version <= version;
                let is_news = !is_in_list
                    && match &change {
                        Change::Delete { .. } => list.known.delete(mark),
                        _ => list.known.apply(mark),
                    };
                newer.extend(is_news.then_some(change));
            }
        }
        let listed = Listed {
            known: self.known.len(),
            missing: self.known.missing_in(&list.known),
            is_older,
        };
        let status = self.desk.status.of(self.kind);
        status.lists.fetch_add(1, Relaxed);
        status.undecodable.fetch_add(list.strange, Relaxed);
        let verdict = self.guard.judge(listed, now);
        let kind = self.kind;
        let mut changes = Vec::new();
        match verdict {
            Verdict::Take => {
                changes.push(Change::Reset {
                    kind,
                    objects: list.objects.into_iter().map(|(_, object)| object).collect(),
                });
                self.known = list.known;
                if listed.is_older {
                    warn!(%kind, from, version, "the API server's history is another, as after a restore; taking its list");
                    self.position = list.version;
                } else {
                    changes.extend(newer);
                    self.move_to(list.version);
                }
                self.problems = list.problems;
                self.was_absent = false;
                let relist = self.desk.pace.relist;
                self.relist_at = now + jittered(relist * 2, self.dice.draw());
            }
            Verdict::Hold(doubt, wait) => {
                let (known, missing) = (listed.known, listed.missing);
                let reason = match doubt {
                    Doubt::Shrunk => "it lacks most of what is known",
                    Doubt::Older => "it is older than what is known",
                };
                let seconds = wait.as_secs_f32();
                warn!(%kind, known, missing, from, version, seconds, reason, "holding a list until another confirms it");
                status.lists_held.fetch_add(1, Relaxed);
                self.relist_at = now + wait;
                if doubt == Doubt::Shrunk {
                    // What it has is there.
                    let mut objects = list.objects;
                    objects.retain(|(mark, _)| self.known.apply(*mark));
                    changes.extend(objects.into_iter().map(|(_, object)| Change::Apply(object)));
                    self.move_to(list.version);
                }
            }
        }
        self.count_objects();
        self.desk.send(kind, changes, &self.problems).await?;
        if verdict == Verdict::Take {
            self.status().set_synced();
        }
        Ok(verdict)
    }

    /// Everything up to this resource version is known; an older one changes nothing.
    fn move_to(&mut self, version: String) {
        let (old, new) = (number(&self.position), number(&version));
        if !version.is_empty() && (old == 0 || new == 0 || new > old) {
            self.position = version;
        }
    }

    fn count_objects(&self) {
        self.status()
            .objects
            .store(self.known.len() as u64, Relaxed);
    }

    /// Watches from where everything is known.
    async fn watch(&mut self, is_doubtful: bool) -> Result<Next, Stopped> {
        let desk = Rc::clone(&self.desk);
        let api = desk.api(self.kind);
        let again = Ok(Next::Watch { is_doubtful: true });
        if is_doubtful {
            match api.version().await {
                Ok(theirs) if is_before(&theirs, &self.position) => {
                    let (kind, ours) = (self.kind, &self.position);
                    info!(%kind, ours, theirs, "what is known is in the API server's future; listing");
                    return Ok(Next::List);
                }
                Ok(theirs)
                    if self.fruitless >= FRUITLESS_MAX && is_before(&self.position, &theirs) =>
                {
                    // A proxy that knows no streams ends them at once, or keeps what they tell to itself.
                    self.fruitless = 0;
                    let cause = format!("{FRUITLESS_MAX} watches in a row told nothing");
                    self.status().set_error(cause);
                    return Ok(Next::List);
                }
                Ok(_) => {}
                Err(failure) if self.is_absence(&failure) => return Ok(Next::List),
                Err(failure) => {
                    self.fail(&failure).await?;
                    return again;
                }
            }
        }
        let begun = Instant::now();
        let lines = match api.watch(&self.position).await {
            Ok(lines) => lines,
            Err(failure) if failure.is(StatusCode::GONE) || self.is_absence(&failure) => {
                self.status().set_error(failure.to_string());
                return Ok(Next::List);
            }
            Err(failure) => {
                self.fail(&failure).await?;
                return again;
            }
        };
        if std::mem::replace(&mut self.has_watched, true) {
            self.status().restarts.fetch_add(1, Relaxed);
        }
        self.fruitless += 1;
        let ended = self.read(lines).await?;
        let ran = begun.elapsed();
        let has_settled = ran >= desk.pace.settled;
        if has_settled {
            self.backoff.reset();
        }
        let next = match ended {
            Ended::Restored => return Ok(Next::Watch { is_doubtful: false }),
            Ended::Gone(cause) => {
                self.status().set_error(cause);
                return Ok(Next::List);
            }
            // A server that restarts closes its watches before their time.
            Ended::Closed => Next::Watch {
                is_doubtful: ran < desk.pace.watch * 9 / 10,
            },
            Ended::Silent => Next::Watch { is_doubtful: true },
            Ended::Broken(failure) => {
                let (kind, cause) = (self.kind, failure.to_string());
                debug!(%kind, cause, "a watch broke");
                self.status().set_error(cause);
                Next::Watch { is_doubtful: true }
            }
        };
        if !has_settled {
            let wait = self.backoff.wait(None, self.dice.draw());
            time::sleep(wait).await;
        }
        Ok(next)
    }

    /// Reads a watch until it ends, and lists beside it when that is due.
    async fn read(&mut self, mut lines: Lines) -> Result<Ended, Stopped> {
        let silence = self.desk.pace.silence;
        let mut silent_at = Instant::now() + silence;
        let caught_up_at = Instant::now() + CATCH_UP;
        let mut is_catching_up = true;
        let mut list: Option<Reads> = None;
        let mut from = 0;
        let mut heard = Vec::new();
        loop {
            let mut told = Vec::new();
            tokio::select! {
                more = lines.more(|line| told.push(self.reading.borrow_mut().line(line))) => {
                    let mut more = more;
                    while let Some(Ok(())) = more && told.len() < BATCH_MAX {
                        more = match lines.more_now(|line| told.push(self.reading.borrow_mut().line(line))).await {
                            // Nothing has come, or the end has: the next look tells.
                            None => break,
                            more => more,
                        };
                    }
                    // Also at the end: up to the moment at which a peer closes or resets it, a connection is alive, and
                    // servers tell what happens at once.
                    self.status().hear();
                    if !told.is_empty() {
                        self.fruitless = 0;
                    }
                    let is_listing = list.is_some();
                    let ended = self.fold(told, is_listing.then_some(&mut heard)).await?;
                    if let Some(ended) = ended {
                        return Ok(ended);
                    }
                    if heard.len() > SINCE_MAX {
                        // Too much happens; the next time may be quieter.
                        (list, heard) = (None, Vec::new());
                        self.relist_later();
                    }
                    // Whoever takes events may have kept this waiting.
                    silent_at = Instant::now() + silence;
                    match more {
                        None => return Ok(Ended::Closed),
                        Some(Err(failure)) => return Ok(Ended::Broken(failure)),
                        Some(Ok(())) => {}
                    }
                }
                () = time::sleep_until(silent_at.into()) => return Ok(Ended::Silent),
                () = time::sleep_until(caught_up_at.into()), if is_catching_up => {
                    is_catching_up = false;
                    self.recovered().await?;
                }
                () = time::sleep_until(self.relist_at.into()), if list.is_none() => {
                    from = number(&self.position);
                    list = Some(self.read_list());
                }
                result = finish(&mut list), if list.is_some() => {
                    list = None;
                    match result {
                        Ok(done) => {
                            let before = number(&self.position);
                            let verdict = self.take(done, std::mem::take(&mut heard), from).await?;
                            if verdict == Verdict::Take && number(&self.position) < before {
                                return Ok(Ended::Restored);
                            }
                        }
                        Err(failure) if self.is_absence(&failure) => {
                            return Ok(Ended::Gone(failure.to_string()));
                        }
                        Err(failure) => {
                            let (kind, cause) = (self.kind, failure.to_string());
                            debug!(%kind, cause, "a list beside the watch failed");
                            self.status().set_error(cause);
                            heard.clear();
                            self.relist_later();
                        }
                    }
                }
            }
        }
    }

    /// A list beside the watch did not come about; it is no hurry.
    fn relist_later(&mut self) {
        let wait = self.desk.pace.retry_max * 2;
        self.relist_at = Instant::now() + jittered(wait, self.dice.draw());
    }

    /// Folds in lines of a watch; what is news is kept in `heard` too, while a list is being read.
    async fn fold(
        &mut self,
        told: Vec<(Line, String)>,
        mut heard: Option<&mut Vec<Heard>>,
    ) -> Result<Option<Ended>, Stopped> {
        let mut changes = Vec::new();
        let mut ended = None;
        let desk = Rc::clone(&self.desk);
        let status = desk.status.of(self.kind);
        for (line, version) in told {
            let (mark, change, is_news) = match line {
                Line::Applied(mark, object) => {
                    let is_news = self.known.apply(mark);
                    (mark, Change::Apply(object), is_news)
                }
                Line::Deleted(mark, object) => {
                    let change = Change::Delete {
                        kind: self.kind,
                        namespace: object.namespace().clone(),
                        name: object.name().clone(),
                    };
                    (mark, change, self.known.delete(mark))
                }
                Line::Bookmark(version) => {
                    self.move_to(version);
                    continue;
                }
                Line::Strange(problem) => {
                    status.events.fetch_add(1, Relaxed);
                    status.undecodable.fetch_add(1, Relaxed);
                    note(&mut self.problems, problem);
                    self.move_to(version);
                    continue;
                }
                Line::Garbled(says) => {
                    status.undecodable.fetch_add(1, Relaxed);
                    ended = Some(Ended::Gone(format!("a line that cannot be read: {says}")));
                    break;
                }
                Line::Error(StatusCode::GONE, says) => {
                    ended = Some(Ended::Gone(format!("status 410: {says}")));
                    break;
                }
                Line::Error(code, says) => {
                    ended = Some(Ended::Broken(Failure::Refused {
                        code,
                        says,
                        retry_after: None,
                    }));
                    break;
                }
            };
            status.events.fetch_add(1, Relaxed);
            self.move_to(version);
            if !is_news {
                status.outdated.fetch_add(1, Relaxed);
                continue;
            }
            if let Some(heard) = &mut heard {
                let change = change.clone();
                heard.push(Heard { mark, change });
            }
            changes.push(change);
        }
        self.count_objects();
        self.desk.send(self.kind, changes, &self.problems).await?;
        Ok(ended)
    }

    /// The kind cannot be followed: says so, and waits.
    async fn fail(&mut self, failure: &Failure) -> Result<(), Stopped> {
        let cause = failure.to_string();
        let kind = self.kind;
        self.status().set_error(cause.clone());
        let was_failing = self.status().set(Following::Failing) == Following::Failing;
        // A refusal after silence, or another one, is told as well: somebody else has to look.
        let refusal = failure.refusal();
        if !was_failing || self.refusal != refusal {
            self.refusal = refusal;
            warn!(%kind, cause, "cannot be followed; keeping what is known");
        }
        self.desk.fail(kind, &cause).await?;
        let wait = self.backoff.wait(failure.retry_after(), self.dice.draw());
        tokio::select! {
            () = time::sleep(wait) => {}
            // Whoever gets through first tells the others. Those that were refused too: an API server that starts refuses
            // everybody until it has read who may do what. One that asks for a wait gets it.
            () = self.desk.answers.notified(), if failure.retry_after().is_none() => {}
        }
        Ok(())
    }

    /// The kind is followed.
    async fn recovered(&self) -> Result<(), Stopped> {
        let kind = self.kind;
        if self.status().set(Following::Following) == Following::Failing {
            info!(%kind, "followed again");
            self.desk.answers.notify_waiters();
        }
        self.desk.mend(kind).await
    }

    /// The cluster may be without the kind, and is.
    fn is_absence(&self, failure: &Failure) -> bool {
        self.kind.is_optional()
            && (failure.is(StatusCode::NOT_FOUND) || failure.is(StatusCode::FORBIDDEN))
    }

    /// Looks again some time later. What was known of it goes when it is not there a second time: an API server that starts
    /// may not know its custom resources yet.
    async fn absent(&mut self, failure: &Failure) -> Result<Next, Stopped> {
        let (kind, cause) = (self.kind, failure.to_string());
        let wait = jittered(self.desk.pace.absent, self.dice.draw());
        let desk = Rc::clone(&self.desk);
        let status = desk.status.of(kind);
        if status.set(Following::Absent) != Following::Absent {
            info!(%kind, cause, "not there, and not needed; looking again about every minute");
        }
        let is_gone = failure.is(StatusCode::NOT_FOUND) && self.was_absent && self.known.len() > 0;
        self.was_absent = true;
        if !status.is_synced() || is_gone {
            self.known = Known::default();
            self.position = String::new();
            self.problems = Vec::new();
            self.count_objects();
            let changes = vec![Change::Reset {
                kind,
                objects: Vec::new(),
            }];
            desk.send(kind, changes, &[]).await?;
            status.set_synced();
        }
        time::sleep(wait).await;
        Ok(Next::List)
    }
}

/// Waits for the list.
async fn finish(list: &mut Option<Reads>) -> Result<List, Failure> {
    match list {
        Some(list) => list.await,
        None => std::future::pending().await,
    }
}

/// Both are numbers, and this one is the smaller.
fn is_before(version: &str, other: &str) -> bool {
    let (version, other) = (number(version), number(other));
    version != 0 && version < other
}

/// Chance; keyed by the system's randomness.
#[derive(Debug, Default)]
struct Dice {
    seed: RandomState,
    thrown: u64,
}

impl Dice {
    fn draw(&mut self) -> u64 {
        self.thrown += 1;
        self.seed.hash_one(self.thrown)
    }
}
