//! A real server that follows the API of a test.

use std::time::{Duration, Instant};

use shiftdns::app::Source;
use shiftdns::config::Config;
use shiftdns::kubernetes::{self, Access, Pace};
use shiftdns::objects::Kind;

use super::oracle::Oracle;
use super::{Api, PATIENCE, until, until_in};
use crate::rig::{self, Rig, cluster};

/// How long a change may take to be answered while nothing is broken. Generous: tests share two cores.
pub const BOUND: Duration = Duration::from_secs(3);

/// Everything of a cluster's pace that takes minutes takes a second.
pub fn quick() -> Pace {
    Pace {
        watch: Duration::from_secs(60),
        silence: Duration::from_secs(2),
        head: Duration::from_millis(700),
        page: Duration::from_secs(1),
        list: Duration::from_secs(8),
        retry_min: Duration::from_millis(20),
        retry_max: Duration::from_millis(200),
        settled: Duration::from_millis(100),
        lists: Duration::from_secs(1),
        relist: Duration::from_secs(600),
        confirm_shrunk: Duration::from_millis(600),
        confirm_older: Duration::from_millis(400),
        absent: Duration::from_millis(500),
    }
}

/// An API, and a server that follows it.
pub struct Following {
    pub rig: Rig,
    pub api: Api,
}

impl Following {
    /// Both, in sync.
    pub fn start(objects: &str) -> Self {
        let api = Api::serving(objects);
        Self::of(api, quick(), |_| {})
    }

    /// The same with another configuration.
    pub fn with(objects: &str, change: impl FnOnce(&mut Config)) -> Self {
        Self::of(Api::serving(objects), quick(), change)
    }

    /// A server that follows `api`, in sync.
    pub fn of(api: Api, pace: Pace, change: impl FnOnce(&mut Config)) -> Self {
        let following = Self::unsynced(api, pace, change);
        following.synced();
        following
    }

    /// The same, perhaps not in sync.
    pub fn unsynced(api: Api, pace: Pace, change: impl FnOnce(&mut Config)) -> Self {
        let kubeconfig = api.kubeconfig();
        Self::by(api, kubeconfig, pace, change)
    }

    /// The same by a kubeconfig of the caller.
    pub fn by(
        api: Api,
        kubeconfig: std::path::PathBuf,
        pace: Pace,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        // Often enough that a watch that works is never taken for a silent one.
        api.bookmarks_every(pace.silence / 5);
        let mut config = rig::config();
        change(&mut config);
        let access = Access {
            kubeconfig: Some(kubeconfig),
            context: None,
        };
        let source = Source::Kubernetes(Box::new(kubernetes::Settings {
            access,
            pace,
            instance: "test".to_owned(),
        }));
        let rig = Rig::from(&config, source);
        Self { rig, api }
    }

    /// Waits until everything has been read and every kind is watched.
    pub fn synced(&self) -> Duration {
        let took = until("the first lists", || self.rig.http("/readyz").0 == 200);
        self.watched();
        took
    }

    /// Waits until every kind is watched.
    pub fn watched(&self) {
        for kind in Kind::ALL {
            until(&format!("a watch of {kind}"), || {
                self.api.open_watches(kind) == 1 || self.is_absent(kind)
            });
        }
    }

    fn is_absent(&self, kind: Kind) -> bool {
        self.api.is_absent(kind)
    }

    /// A client that asks for `names` (`web.shop`) all the time.
    pub fn oracle(&self, names: &[&str]) -> Oracle {
        Oracle::start(self.rig.dns, names)
    }

    /// Waits until the answer is this one, and says how long that took.
    #[track_caller]
    pub fn shows(&self, question: &str, expected: &str) -> Duration {
        self.shows_in(PATIENCE, question, expected)
    }

    /// The same with another patience.
    #[track_caller]
    pub fn shows_in(&self, patience: Duration, question: &str, expected: &str) -> Duration {
        let lines = expected.lines().map(str::trim).filter(|l| !l.is_empty());
        let expected = lines.collect::<Vec<_>>().join("\n");
        let query = rig::query(question);
        let mut last = String::new();
        let started = Instant::now();
        while started.elapsed() < patience {
            last = self
                .rig
                .udp(&query)
                .map_or_else(String::new, |a| rig::shown(&a));
            if last == expected {
                return started.elapsed();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(last, expected, "{question} after {patience:?}");
        started.elapsed()
    }

    /// Changes something and waits until it is answered: the watches of services and slices work.
    #[track_caller]
    pub fn keeps_up(&self, mark: u8) -> Duration {
        self.keeps_up_in(PATIENCE, mark)
    }

    /// The same with another patience.
    #[track_caller]
    pub fn keeps_up_in(&self, patience: Duration, mark: u8) -> Duration {
        self.api.add(&cluster(&format!(
            "clusterip mark.shop 10.97.0.{mark} http:80\n\
             headless marks.shop http:80\n\
             slice marks.shop http:80 | 10.97.1.{mark}"
        )));
        let one = self.shows_in(
            patience,
            "mark.shop.svc.Z A",
            &format!("NOERROR aa\n mark.shop.svc.Z. 30 A 10.97.0.{mark}"),
        );
        let two = self.shows_in(
            patience,
            "marks.shop.svc.Z A",
            &format!("NOERROR aa\n marks.shop.svc.Z. 5 A 10.97.1.{mark}"),
        );
        one + two
    }

    /// Waits until the list of every kind has been read once more than `before`.
    pub fn listed_again(&self, before: &[(Kind, usize)], patience: Duration) -> Duration {
        until_in(patience, "a list of every kind", || {
            before
                .iter()
                .all(|(kind, count)| self.api.lists(*kind) > *count)
        })
    }

    /// How many lists of each kind there were.
    pub fn lists(&self) -> Vec<(Kind, usize)> {
        let kinds = Kind::ALL.into_iter().filter(|kind| !self.is_absent(*kind));
        kinds.map(|kind| (kind, self.api.lists(kind))).collect()
    }
}
