//! ExternalName targets outside our zones: with `upstream`, an answer brings their addresses along.
//!
//! Some tests are of a whole server with the limits it has; those in which time passes have an engine, the look-ups and
//! the request path without sockets, and a clock that runs a hundred times faster.

mod resolver;
mod rig;

use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::Resolver;
use rig::{Rig, cluster, query, resets, shown};
use shiftdns::answer::{Transport, Verdict, View, Worker, respond};
use shiftdns::app;
use shiftdns::config::Config;
use shiftdns::engine::control::{self, Event, Handle};
use shiftdns::upstream::{self, Limits, Upstream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Far above anything that happens here; a test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(20);

const DB: &str = "namespace shop\n external db.shop db.example.org";

/// `Z` for the zone, one record a line, lines in order.
fn lines(expected: &str) -> String {
    let lines = expected.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// Asks until the answer is what is expected.
#[track_caller]
fn wait_for(mut ask: impl FnMut() -> String, expected: &str) {
    let (expected, started) = (lines(expected), Instant::now());
    loop {
        let got = ask();
        if got == expected {
            return;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{got}\n is still not\n{expected}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn with_upstream(resolver: &Resolver) -> Config {
    let mut config = rig::config();
    config.upstream = vec![resolver.address];
    config
}

/// The parts that look up and answer, with a fast clock.
struct Fast {
    engine: Handle,
    view: Arc<View>,
    worker: Worker,
    out: Vec<u8>,
    upstream: Upstream,
    // Last, so that what runs on it goes first.
    runtime: Runtime,
}

impl Fast {
    /// Serves `text`; what the resolvers say is good for 20 ms at the least and kept for `keep`.
    fn serve(resolvers: &[&Resolver], keep: Duration, text: &str) -> Self {
        let mut config = rig::config();
        config.upstream = resolvers.iter().map(|resolver| resolver.address).collect();
        let (engine, view) = app::offline(&config).expect("the zones' own names fit");
        let (sender, wanted) = mpsc::unbounded_channel();
        let want = move |names| drop(sender.send(names));
        let sinks = control::Sinks {
            want: Some(Box::new(want)),
            ..control::Sinks::default()
        };
        let engine = control::start(engine, sinks).expect("a thread");
        let settings = upstream::Settings {
            servers: config.upstream,
            deny: config.address_deny,
            limits: Limits {
                ttl_min: Duration::from_millis(20),
                retry_min: Duration::from_millis(20),
                retry_max: Duration::from_millis(50),
                patience: Duration::from_millis(500),
                keep,
                ..Limits::default()
            },
        };
        let runtime = Runtime::new().expect("a runtime");
        let entered = runtime.enter();
        let to = engine.clone();
        let upstream = upstream::start(settings, wanted, move |learned| {
            let to = to.clone();
            async move { to.send(Event::Resolved(learned)).await.is_ok() }
        });
        drop(entered);
        let fast = Self {
            engine,
            view,
            worker: Worker::new(1),
            out: Vec::new(),
            upstream: upstream.expect("clients"),
            runtime,
        };
        fast.apply(text);
        fast
    }

    /// Replaces all objects.
    fn apply(&self, text: &str) {
        let batch = Event::Batch {
            changes: resets(&cluster(text)),
            problems: None,
        };
        let send = async {
            self.engine.send(batch).await?;
            self.engine.list().await
        };
        self.runtime.block_on(send).expect("the engine runs");
    }

    fn ask(&mut self, question: &str) -> String {
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let (query, view) = (query(question), &self.view);
        let (worker, out) = (&mut self.worker, &mut self.out);
        let verdict = respond(&query, peer, Transport::Udp, view, worker, 1, out);
        assert_eq!(verdict, Verdict::Reply);
        shown(out)
    }

    #[track_caller]
    fn wait(&mut self, question: &str, expected: &str) {
        wait_for(|| self.ask(question), expected);
    }

    /// The generation, once what was sent to the engine before is done with.
    fn generation(&self) -> u64 {
        let listed = self.runtime.block_on(self.engine.list());
        listed.expect("the engine runs");
        self.view.generation()
    }

    fn problems(&self) -> String {
        let problems = self.runtime.block_on(self.engine.problems());
        let problems = problems.expect("the engine runs");
        let texts: Vec<String> = problems.iter().map(|p| p.text.clone()).collect();
        texts.join("\n")
    }
}

const BARE: &str = "NOERROR aa\n db.shop.svc.Z. 5 CNAME db.example.org.";

fn answered(ttl: u32, addresses: &[&str]) -> String {
    let mut lines: Vec<String> = addresses
        .iter()
        .map(|address| {
            let of = if address.contains(':') { "AAAA" } else { "A" };
            format!("db.example.org. {ttl} {of} {address}")
        })
        .collect();
    lines.push("db.shop.svc.Z. 30 CNAME db.example.org.".to_owned());
    format!("NOERROR aa\n{}", lines.join("\n"))
}

#[test]
fn an_answer_brings_the_addresses_of_the_target_along() {
    let resolver = Resolver::start();
    resolver.say(
        "db.example.org. A",
        "db.example.org. 60 A 192.0.2.2\ndb.example.org. 60 A 192.0.2.1",
    );
    resolver.say(
        "db.example.org. AAAA",
        "db.example.org. 60 AAAA 2001:db8::1",
    );
    let text = "namespace shop
        external db.shop db.example.org
        external via.shop db.shop.svc.cluster.local
        external own.shop missing.shop.svc.cluster.local";
    let rig = Rig::with(&with_upstream(&resolver), &cluster(text));
    // Over one transport: between two questions more may become known.
    let ask = |question| shown(&rig.udp(&query(question)).expect("an answer"));
    let both = answered(5, &["192.0.2.1", "192.0.2.2"]);
    wait_for(|| ask("db.shop.svc.Z A"), &both);
    wait_for(|| ask("db.shop.svc.Z AAAA"), &answered(5, &["2001:db8::1"]));
    rig.check("db.shop.svc.Z A", &both);
    rig.check(
        "via.shop.svc.Z A",
        "NOERROR aa
         db.example.org. 5 A 192.0.2.1
         db.example.org. 5 A 192.0.2.2
         db.shop.svc.Z. 30 CNAME db.example.org.
         via.shop.svc.Z. 30 CNAME db.shop.svc.Z.",
    );
    // Of other types, and of the CNAME itself, the CNAME is all there is.
    for of in ["CNAME", "TXT", "SRV", "MX", "ANY"] {
        let cname = "NOERROR aa\n db.shop.svc.Z. 30 CNAME db.example.org.";
        rig.check(&format!("db.shop.svc.Z {of}"), cname);
    }
    // Both addresses come first in their turn.
    let first = |_| {
        let answer = rig.udp(&query("db.shop.svc.Z A")).expect("an answer");
        rig::decode(&answer).answers[1].data.to_string()
    };
    let firsts: std::collections::BTreeSet<String> = (0..200).map(first).collect();
    assert_eq!(firsts.len(), 2, "{firsts:?}");
    // Each was asked once, whatever we were asked, and what is ours never.
    assert_eq!(resolver.asked("db.example.org. A"), 1);
    assert_eq!(resolver.asked_in_all(), 2);

    let get = |address, path: &str| {
        let answer = ureq::get(format!("http://{address}{path}")).call();
        let mut answer = answer.expect("an answer");
        answer.body_mut().read_to_string().expect("text")
    };
    let metrics = get(rig.http, "/metrics");
    for line in [
        "shiftdns_upstream_targets 1",
        "shiftdns_upstream_lookups_total{result=\"answered\"} 2",
        "shiftdns_upstream_lookups_total{result=\"empty\"} 0",
        "shiftdns_upstream_lookups_total{result=\"failed\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }
    assert!(metrics.contains("\nshiftdns_upstream_last_success_age_seconds "));
    let detail = get(rig.api, "/api/v1/services/shop/db");
    let detail: serde_json::Value = serde_json::from_str(&detail).expect("JSON");
    let addresses = serde_json::json!(["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    assert_eq!(detail["externalAddresses"], addresses);
    assert_eq!(rig.problems(), [""; 0]);
}

#[test]
fn it_is_off_by_default() {
    let resolver = Resolver::start();
    resolver.say("db.example.org. A", "db.example.org. 60 A 192.0.2.1");
    let rig = Rig::serve(&cluster(DB));
    let cname = "NOERROR aa\n db.shop.svc.Z. 30 CNAME db.example.org.";
    rig.check("db.shop.svc.Z A", cname);
    let metrics = ureq::get(format!("http://{}/metrics", rig.http)).call();
    let metrics = metrics.expect("an answer").body_mut().read_to_string();
    assert!(!metrics.expect("text").contains("upstream"));
    assert_eq!(resolver.asked_in_all(), 0);
}

#[test]
fn answers_follow_what_the_resolver_says_and_nothing_is_published_without_news() {
    let resolver = Resolver::start();
    resolver.say("db.example.org. A", "db.example.org. 0 A 192.0.2.1");
    let mut fast = Fast::serve(&[&resolver], PATIENCE, DB);
    fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
    let generation = fast.generation();
    let asked = resolver.asked("db.example.org. A");
    wait_until("it is asked again", || {
        resolver.asked("db.example.org. A") >= asked + 5
    });
    assert_eq!(fast.generation(), generation);
    resolver.say("db.example.org. A", "db.example.org. 0 A 192.0.2.9");
    fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.9"]));
    assert_eq!(fast.generation(), generation + 1);
    // The service has another target, and then none.
    resolver.say("cdn.example.org. A", "cdn.example.org. 0 A 192.0.2.7");
    fast.apply("namespace shop\n external db.shop cdn.example.org");
    fast.wait(
        "db.shop.svc.Z A",
        "NOERROR aa
         cdn.example.org. 5 A 192.0.2.7
         db.shop.svc.Z. 30 CNAME cdn.example.org.",
    );
    fast.apply("namespace shop");
    wait_until("nothing is looked up any more", || {
        fast.upstream.counters().read().targets == 0
    });
}

#[test]
fn a_chain_is_followed_to_its_end() {
    let resolver = Resolver::start();
    // In one answer, as resolvers give it; and link by link, as some servers do.
    resolver.say(
        "db.example.org. A",
        "db.example.org. 60 CNAME x.cdn.example.\nx.cdn.example. 60 CNAME y.cdn.example.\ny.cdn.example. 60 A 192.0.2.1",
    );
    resolver.say(
        "db.example.org. AAAA",
        "db.example.org. 60 CNAME x.cdn.example.",
    );
    resolver.say(
        "x.cdn.example. AAAA",
        "x.cdn.example. 60 CNAME y.cdn.example.",
    );
    resolver.say("y.cdn.example. AAAA", "y.cdn.example. 60 AAAA 2001:db8::1");
    let mut fast = Fast::serve(&[&resolver], PATIENCE, DB);
    fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
    fast.wait("db.shop.svc.Z AAAA", &answered(5, &["2001:db8::1"]));
    assert_eq!(fast.problems(), "");
}

#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    let resolver = Resolver::start();
    resolver.say("db.example.org. A", "cut db.example.org. 60 A 192.0.2.1");
    let mut fast = Fast::serve(&[&resolver], PATIENCE, DB);
    fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
    assert_eq!(resolver.asked("db.example.org. A tcp"), 1);
}

#[test]
fn the_last_addresses_outlive_a_failure_but_not_for_ever() {
    for failure in ["SERVFAIL", "REFUSED", "silence"] {
        let why = if failure == "silence" {
            "no answer"
        } else {
            failure
        };
        let resolver = Resolver::start();
        resolver.say("db.example.org. A", "db.example.org. 0 A 192.0.2.1");
        let mut fast = Fast::serve(&[&resolver], PATIENCE, DB);
        fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
        let generation = fast.generation();
        resolver.say("db.example.org. A", failure);
        wait_for(
            || fast.problems(),
            &format!(
                "externalName: `db.example.org` cannot be looked up: {why} (A); its last addresses are answered"
            ),
        );
        fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
        assert_eq!(fast.generation(), generation);
        resolver.say("db.example.org. A", "db.example.org. 0 A 192.0.2.2");
        fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.2"]));
        wait_for(|| fast.problems(), "");
    }
    let resolver = Resolver::start();
    resolver.say("db.example.org. A", "db.example.org. 0 A 192.0.2.1");
    let mut fast = Fast::serve(&[&resolver], Duration::from_millis(300), DB);
    fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
    resolver.say("db.example.org. A", "SERVFAIL");
    fast.wait("db.shop.svc.Z A", BARE);
    wait_for(
        || fast.problems(),
        "externalName: `db.example.org` cannot be looked up: SERVFAIL (A)",
    );
}

#[test]
fn a_name_that_does_not_exist_has_no_addresses_at_once() {
    let resolver = Resolver::start();
    resolver.say("db.example.org. A", "db.example.org. 0 A 192.0.2.1");
    let mut fast = Fast::serve(&[&resolver], PATIENCE, DB);
    fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
    resolver.say("db.example.org. A", "NXDOMAIN");
    fast.wait("db.shop.svc.Z A", BARE);
    wait_for(
        || fast.problems(),
        "externalName: `db.example.org` does not exist",
    );
    resolver.say("db.example.org. A", "NODATA");
    resolver.say("db.example.org. AAAA", "NODATA");
    wait_for(
        || fast.problems(),
        "externalName: `db.example.org` has no address",
    );
}

#[test]
fn the_next_resolver_is_asked_where_one_fails() {
    for failure in ["SERVFAIL", "REFUSED", "silence"] {
        let [broken, sound] = [Resolver::start(), Resolver::start()];
        for of in ["A", "AAAA"] {
            broken.say(&format!("db.example.org. {of}"), failure);
        }
        sound.say("db.example.org. A", "db.example.org. 60 A 192.0.2.1");
        let mut fast = Fast::serve(&[&broken, &sound], PATIENCE, DB);
        fast.wait("db.shop.svc.Z A", &answered(5, &["192.0.2.1"]));
        assert!(broken.asked_in_all() > 0);
        assert_eq!(fast.problems(), "");
    }
}

#[test]
fn addresses_that_are_never_answered_are_not_answered_here_either() {
    let resolver = Resolver::start();
    resolver.say("db.example.org. A", "db.example.org. 60 A 127.0.0.1");
    let text = "namespace shop\n external db.shop db.example.org\n external here.shop localhost";
    let mut fast = Fast::serve(&[&resolver], PATIENCE, text);
    wait_for(
        || fast.problems(),
        "externalName: `db.example.org` has addresses that are never answered: 127.0.0.1
         externalName: `localhost` has addresses that are never answered: 127.0.0.1, ::1",
    );
    assert_eq!(fast.ask("db.shop.svc.Z A"), lines(BARE));
}
