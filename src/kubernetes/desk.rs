//! What the watches of all kinds share: the client, the way out, and what is wrong with them together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::Event;
use super::access::Clients;
use super::api::Api;
use super::known::Marker;
use super::loss::{Losses, Turn};
use super::pace::Pace;
use super::status::Status;
use crate::model::Problem;
use crate::objects::{Change, Kind, Reader};

/// Of one thread.
pub(super) struct Desk {
    pub(super) clients: Clients,
    pub(super) pace: Pace,
    pub(super) status: Arc<Status>,
    pub(super) marker: Marker,
    /// With its readers the kinds keep once what their objects have in common.
    pub(super) reader: Reader,
    /// Told when the API server answers again.
    pub(super) answers: Notify,
    sink: Sink,
    losses: RefCell<Losses>,
    problems: RefCell<BTreeMap<Kind, Vec<Problem>>>,
}

/// Nobody takes events any more.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

/// Takes what happens, and is ready when there is room for more. It is called where events are read: a task in between
/// would be one more thread to wake on the way of every change.
pub type Sink = Arc<dyn Fn(Event) -> Taking + Send + Sync>;

/// An event on its way.
pub type Taking = Pin<Box<dyn Future<Output = Result<(), Stopped>>>>;

impl Desk {
    pub(super) fn new(clients: Clients, pace: Pace, status: Arc<Status>, sink: Sink) -> Self {
        Self {
            clients,
            pace,
            status,
            marker: Marker::default(),
            reader: Reader::default(),
            answers: Notify::new(),
            sink,
            losses: RefCell::default(),
            problems: RefCell::default(),
        }
    }

    pub(super) fn api(&self, kind: Kind) -> Api<'_> {
        Api {
            kind,
            clients: &self.clients,
            pace: &self.pace,
            status: &self.status,
        }
    }

    /// Hands changes over with what is wrong with the kind's objects, and waits while whoever takes them is behind.
    pub(super) async fn send(
        &self,
        kind: Kind,
        changes: Vec<Change>,
        problems: &[Problem],
    ) -> Result<(), Stopped> {
        let problems = self.replace_problems(kind, problems);
        if changes.is_empty() && problems.is_none() {
            return Ok(());
        }
        self.put(Event::Batch { changes, problems }).await
    }

    /// The kind cannot be followed.
    pub(super) async fn fail(&self, kind: Kind, cause: &str) -> Result<(), Stopped> {
        let turn = self.losses.borrow_mut().fail(kind);
        if turn != Some(Turn::Lost) {
            return Ok(());
        }
        let age = self.status.of(kind).age();
        let age = age.and_then(|age| SignedDuration::try_from(age).ok());
        let since = age.map(|age| Timestamp::now() - age);
        let cause = format!("{kind}: {cause}");
        self.put(Event::Lost { since, cause }).await
    }

    /// The kind is followed.
    pub(super) async fn mend(&self, kind: Kind) -> Result<(), Stopped> {
        let turn = self.losses.borrow_mut().mend(kind);
        match turn {
            Some(Turn::Back) => self.put(Event::Back).await,
            _ => Ok(()),
        }
    }

    async fn put(&self, event: Event) -> Result<(), Stopped> {
        (self.sink)(event).await
    }

    /// All problems, where those of the kind are others than before.
    fn replace_problems(&self, kind: Kind, problems: &[Problem]) -> Option<Vec<Problem>> {
        let mut all = self.problems.borrow_mut();
        let before = all.entry(kind).or_default();
        if before == problems {
            return None;
        }
        *before = problems.to_vec();
        Some(all.values().flatten().cloned().collect())
    }
}
