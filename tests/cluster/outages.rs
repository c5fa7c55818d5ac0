//! Outages: the API server dies, freezes, forgets and forbids while a workload rolls, and our server answers on.
//!
//! Every outage has a roll-out on a ramp of five minutes whose old pods stay, so an answer with an address that is not ready
//! can come from nothing but a mistake. While the source is lost the ramp must stand still, since new pods may have failed
//! unseen. Each prints how soon the loss was noticed, how far the share went until then, and how soon a change was answered
//! afterwards.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use crate::ours::Ours;
use crate::plane::eventually;
use crate::rig;
use crate::theatre::{SHOP, Scene, Theatre, share};

/// How often the server is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// From which age on data is said to be old.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// Ages are told in whole seconds, and the question is a little later than the look at them.
const MARGIN: Duration = Duration::from_secs(2);
/// Old pods stay far longer than any test.
const STAY: &str = r#"{"minReadySeconds": 3000, "progressDeadlineSeconds": 3600,
    "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}"#;

/// The plane whose API server fails; one test at a time.
fn theatre() -> &'static Theatre {
    static THEATRE: OnceLock<Theatre> = OnceLock::new();
    THEATRE.get_or_init(|| Theatre::build(&format!("staleAfter: {}s", STALE_AFTER.as_secs())))
}

/// What was seen of a server at one moment.
#[derive(Clone, Copy, Debug)]
struct Glimpse {
    at: Instant,
    /// How old it says that its data is; zero while it follows the cluster.
    age: Duration,
    /// Whether the answer said that it may be out of date: extended error 3 (RFC 8914).
    is_stale: bool,
    /// The target's share, in basis points.
    share: u64,
}

/// Looks at one service until it is asked what it saw.
struct Observer {
    end: Arc<AtomicBool>,
    looks: JoinHandle<Vec<Glimpse>>,
}

impl Observer {
    fn of(ours: &Ours, service: &'static str) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&end);
        let (dns, http, api) = (ours.dns, ours.http, ours.api);
        let looks = thread::spawn(move || {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let at = Instant::now();
                seen.extend(glimpse(dns, http, api, service));
                thread::sleep(EVERY.saturating_sub(at.elapsed()));
            }
            seen
        });
        Self { end, looks }
    }

    fn seen(self) -> Vec<Glimpse> {
        self.end.store(true, Ordering::Relaxed);
        self.looks.join().expect("it looks to the end")
    }
}

/// `None` where the loss began or ended while it looked: that is neither here nor there.
fn glimpse(dns: SocketAddr, http: SocketAddr, api: SocketAddr, service: &str) -> Option<Glimpse> {
    let at = Instant::now();
    let age = || crate::ours::metric(http, "shiftdns_data_age_seconds");
    let before = age()?;
    let answer = rig::udp(
        dns,
        &rig::query(&format!("{service}.{SHOP}.svc.cluster.local A")),
    )?;
    let share = share(api, service, "2")?;
    let is_settled = (before > 0.0) == (age()? > 0.0);
    is_settled.then(|| Glimpse {
        at,
        age: Duration::from_secs_f64(before),
        is_stale: is_stale(&answer),
        share,
    })
}

/// Whether the answer has extended error 3, "Stale Answer".
fn is_stale(answer: &[u8]) -> bool {
    let edns = rig::decode(answer).edns;
    edns.is_some_and(|edns| {
        let error = edns.option(EdnsCode::Unknown(15));
        matches!(error, Some(EdnsOption::Unknown(_, octets)) if octets.starts_with(&[0, 3]))
    })
}

/// An outage: its scene, and what was seen since before it began.
struct Outage {
    name: &'static str,
    scene: Scene<'static>,
    observer: Observer,
    began: Instant,
    /// The target's share when it began, in basis points.
    share: u64,
}

impl Outage {
    /// A service whose target has some of the ramp behind it.
    fn set_up(name: &'static str) -> Self {
        let theatre = theatre();
        let policy = [
            ("strategy", "linear"),
            ("ramp", "5m"),
            ("ttl", "endpoints=1,rollout=1"),
        ];
        let scene = theatre.open(name, "deployment", 4, &policy, STAY);
        scene.image("2");
        scene.until_share("2", 1, 30);
        Self {
            name,
            scene,
            observer: Observer::of(&theatre.ours, name),
            began: Instant::now(),
            share: theatre.share(name, "2").expect("it rolls"),
        }
    }

    /// The API server is well again: waits until a change is answered, and judges. A long outage is one that makes data old.
    fn recovers(self, is_long: bool) {
        let (theatre, well) = (theatre(), Instant::now());
        let after = format!("after-{}", self.name);
        let create = [
            "-n",
            SHOP,
            "create",
            "service",
            "clusterip",
            &after,
            "--tcp=80",
        ];
        theatre.plane.kubectl(&create);
        let question = format!("{after}.{SHOP}.svc.cluster.local A");
        eventually("a change is answered", || {
            let answer = theatre.ours.ask(&question);
            answer.starts_with("NOERROR").then_some(())
        });
        let answered = well.elapsed();
        eventually("the source is back", || {
            (theatre.ours.metric("shiftdns_data_age_seconds") == Some(0.0)).then_some(())
        });
        let back = well.elapsed();
        // The ramp goes on.
        let stood = theatre.share(self.name, "2").unwrap_or_default();
        eventually("the ramp goes on", || {
            (theatre.share(self.name, "2")? > stood).then_some(())
        });
        let seen = self.observer.seen();
        let lost: Vec<Glimpse> = seen
            .iter()
            .copied()
            .filter(|glimpse| !glimpse.age.is_zero())
            .collect();
        let first = *lost.first().expect("the loss was noticed");
        let last = *lost.last().expect("the same");
        let leaps = seen
            .windows(2)
            .map(|pair| pair[1].share.saturating_sub(pair[0].share));
        let leap = leaps.max().unwrap_or_default();
        let stale = seen.iter().filter(|glimpse| glimpse.is_stale).count();
        println!(
            "{}: lost for {} ms, noticed after {} ms; share {} bp when it began, {} when noticed, {} at the end of the loss, {} at \
             the end, the largest leap {leap}; {stale} of {} looks stale; once well: a change is answered after {} ms, the source is back after {} ms",
            self.name,
            last.at.duration_since(first.at).as_millis(),
            first.at.duration_since(self.began).as_millis(),
            self.share,
            first.share,
            last.share,
            seen.last().map_or(0, |glimpse| glimpse.share),
            seen.len(),
            answered.as_millis(),
            back.as_millis(),
        );
        for pair in seen.windows(2) {
            let [before, after] = [pair[0], pair[1]];
            let is_lost = |glimpse: Glimpse| !glimpse.age.is_zero();
            if is_lost(before) && is_lost(after) {
                assert!(after.share <= before.share, "{before:?} {after:?}");
            }
            // The one in between may be on either side.
            if before.age >= STALE_AFTER + MARGIN && after.age >= STALE_AFTER + MARGIN {
                assert!(
                    before.is_stale,
                    "old data is not said to be old: {before:?}"
                );
            }
            let is_fresh = |glimpse: Glimpse| glimpse.age + MARGIN < STALE_AFTER;
            if is_fresh(before) && is_fresh(after) {
                assert!(!before.is_stale, "{before:?} {after:?}");
            }
        }
        assert!(stale > 0 || !is_long, "{stale}");
        assert!(!seen.last().expect("the last").is_stale);
        self.scene.close(&["Progressing"]);
        theatre
            .plane
            .kubectl(&["-n", SHOP, "delete", "service", &after]);
    }
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn an_api_server_that_is_dead_for_a_minute() {
    let outage = Outage::set_up("dead");
    theatre().plane.api_server().kill();
    thread::sleep(Duration::from_secs(60));
    theatre().plane.api_server().restart();
    outage.recovers(true);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn an_api_server_that_freezes_for_two_minutes() {
    let outage = Outage::set_up("frozen");
    theatre().plane.api_server().pause();
    thread::sleep(Duration::from_secs(120));
    theatre().plane.api_server().resume();
    outage.recovers(true);
}

/// Watches go on where they were, which the server no longer knows: 410.
#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn an_api_server_that_comes_back_without_its_history() {
    let outage = Outage::set_up("gone");
    let lists = || -> f64 {
        let kinds = [
            "ControllerRevision",
            "DaemonSet",
            "Namespace",
            "StatefulSet",
        ];
        let of = |kind| {
            theatre()
                .ours
                .metric(&format!("shiftdns_watch_lists_total{{kind=\"{kind}\"}}"))
        };
        kinds.iter().filter_map(of).sum()
    };
    let before = lists();
    theatre().plane.etcd_compact();
    // Without a cache of its own it is etcd whom it asks.
    theatre()
        .plane
        .api_server()
        .restart_with(&["--watch-cache=false"]);
    outage.recovers(false);
    println!(
        "gone: {} lists of four kinds that did not change",
        lists() - before
    );
    assert!(lists() > before, "nothing was listed anew: it was no 410");
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_role_that_is_taken_away_for_twenty_seconds() {
    let outage = Outage::set_up("forbidden");
    let plane = &theatre().plane;
    let binding = plane.json(&["get", "clusterrolebinding", "shiftdns"]);
    plane.kubectl(&["delete", "clusterrolebinding", "shiftdns"]);
    // Watches are authorized when they begin, so those under way would go on.
    plane.api_server().restart();
    let restarted = Instant::now();
    eventually("it is forbidden", || {
        (theatre().ours.metric("shiftdns_data_age_seconds")? > 0.0).then_some(())
    });
    thread::sleep(Duration::from_secs(20).saturating_sub(restarted.elapsed()));
    let mut restored = binding.clone();
    for field in [
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "managedFields",
    ] {
        restored["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove(field);
    }
    plane.apply(&restored.to_string());
    outage.recovers(true);
}
