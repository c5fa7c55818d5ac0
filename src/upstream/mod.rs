//! Upstream: the addresses of names outside our zones, kept fresh by asking resolvers in the background.
//!
//! Forwarders in front of us (CoreDNS, dnsmasq) do not complete a CNAME, so the answer to an ExternalName is of no use to
//! their clients unless it brings the target's addresses along. This module is told which names are wanted, as they begin
//! and cease to be; it asks the configured resolvers for each, again when the TTL has run out, and gives away what it
//! learned when that is news. It never sees a query: nobody waits for what happens here, and what clients ask starts nothing.
//!
//! ```text
//!   wanted ─> Schedule ── due ──> Resolvers ─> hickory ─> UDP, TCP
//!                ^  │                  │
//!                │  └─ news ─> give    │
//!                └──────── told ───────┘
//! ```

mod counters;
mod lookup;
mod schedule;

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use ipnet::IpNet;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time;

use crate::model::{Family, Resolved};
use crate::wire::Name;

use lookup::Resolvers;
use schedule::{Schedule, Told};

pub use counters::{Counters, Counts};
pub use lookup::StartError;
pub use schedule::Limits;

/// Look-ups that are open at a time. Where every resolver is silent that is 32 in 2 s each, some 16 a second; where they
/// answer within 10 ms, thousands.
const OPEN_MAX: usize = 32;

/// Whom to ask, and how much.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The resolvers, in the order in which they are asked.
    pub servers: Vec<SocketAddr>,
    /// Addresses that are never given.
    pub deny: Vec<IpNet>,
    /// Bounds.
    pub limits: Limits,
}

/// Names that are wanted (`true`), or not any more. Unbounded, since whoever sends must not wait; it holds what one change
/// of the cluster touches.
pub type Wanted = mpsc::UnboundedReceiver<Vec<(Name, bool)>>;

/// The look-ups that go on in the background, until this is dropped.
#[derive(Debug)]
pub struct Upstream {
    task: AbortHandle,
    counters: Arc<Counters>,
    deny: watch::Sender<Vec<IpNet>>,
}

impl Upstream {
    /// Where to set anew which addresses are never given; a target has it from its next look-up on, which is when the TTL
    /// of the last one has run out.
    pub fn deny(&self) -> watch::Sender<Vec<IpNet>> {
        self.deny.clone()
    }

    /// What the look-ups come to.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins to look up what is `wanted`, on the runtime that it is called on. What is learned goes to `give`, which tells
/// whether anybody still takes it.
///
/// # Errors
/// Where no client can be made for a resolver.
pub fn start<G, F>(settings: Settings, wanted: Wanted, give: G) -> Result<Upstream, StartError>
where
    G: FnMut(Vec<(Name, Resolved)>) -> F + Send + 'static,
    F: Future<Output = bool> + Send + 'static,
{
    let Settings {
        servers,
        deny,
        limits,
    } = settings;
    let counters = Arc::<Counters>::default();
    let (sender, denied) = watch::channel(deny.clone());
    let work = Work {
        resolvers: Resolvers::new(&servers, limits.patience)?,
        schedule: Schedule::new(limits, deny),
        counters: Arc::clone(&counters),
        denied,
        open: JoinSet::new(),
        asked: HashMap::new(),
        chance: RandomState::new(),
        answers: 0,
    };
    let task = tokio::spawn(work.run(wanted, give)).abort_handle();
    Ok(Upstream {
        task,
        counters,
        deny: sender,
    })
}

struct Work {
    schedule: Schedule,
    resolvers: Resolvers,
    counters: Arc<Counters>,
    denied: watch::Receiver<Vec<IpNet>>,
    open: JoinSet<Told>,
    asked: HashMap<Id, (Name, Family)>,
    /// Keyed by the system's randomness; with the count of answers, a number nobody foresees.
    chance: RandomState,
    answers: u64,
}

impl Work {
    async fn run<G, F>(mut self, mut wanted: Wanted, mut give: G)
    where
        G: FnMut(Vec<(Name, Resolved)>) -> F + Send,
        F: Future<Output = bool> + Send,
    {
        loop {
            let forgotten = self.schedule.forget(Instant::now());
            if !forgotten.is_empty() && !give(forgotten).await {
                return;
            }
            self.ask();
            let (next, mut news) = (self.next(), Vec::new());
            tokio::select! {
                wishes = wanted.recv() => match wishes {
                    Some(wishes) => news.extend(self.want(wishes)),
                    None => return,
                },
                Some(done) = self.open.join_next_with_id() => {
                    news.extend(self.done(done));
                    // Those that came together are told together.
                    while let Some(done) = self.open.try_join_next_with_id() {
                        news.extend(self.done(done));
                    }
                }
                () = sleep_until(next), if next.is_some() => {}
            }
            if !news.is_empty() && !give(news).await {
                return;
            }
        }
    }

    /// Opens what is due, as far as there is room.
    fn ask(&mut self) {
        let room = OPEN_MAX.saturating_sub(self.open.len());
        for (name, family) in self.schedule.take_due(Instant::now(), room) {
            let look_up = self.resolvers.clone().look_up(name.clone(), family);
            let task = self.open.spawn(look_up);
            self.asked.insert(task.id(), (name, family));
        }
    }

    /// When there is something to do without being told.
    fn next(&self) -> Option<Instant> {
        let has_room = self.open.len() < OPEN_MAX;
        let due = self.schedule.next_due().filter(|_| has_room);
        due.into_iter().chain(self.schedule.next_forgotten()).min()
    }

    fn want(&mut self, wishes: Vec<(Name, bool)>) -> Vec<(Name, Resolved)> {
        let (mut news, now) = (Vec::new(), Instant::now());
        for (name, is_wanted) in wishes {
            if is_wanted {
                let told = self.schedule.want(name.clone(), now);
                news.extend(told.map(|resolved| (name, resolved)));
            } else {
                self.schedule.release(&name, now);
            }
        }
        self.counters.set_targets(self.schedule.len());
        news
    }

    fn done(&mut self, done: Result<(Id, Told), JoinError>) -> Option<(Name, Resolved)> {
        let (id, told) = match done {
            Ok(done) => done,
            // A broken look-up is one that failed, and the next may not be.
            Err(error) => (error.id(), Told::Failed("the look-up broke off".into())),
        };
        let (name, family) = self.asked.remove(&id)?;
        if self.denied.has_changed().unwrap_or(false) {
            self.schedule.deny(self.denied.borrow_and_update().clone());
        }
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.counters
            .count(&told, epoch.map_or(0, |since| since.as_secs()));
        self.answers = self.answers.wrapping_add(1);
        let chance = self.chance.hash_one(self.answers);
        let news = self
            .schedule
            .answer(&name, family, told, Instant::now(), chance);
        news.map(|resolved| (name, resolved))
    }
}

/// Waits for a moment; forever where there is none.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
