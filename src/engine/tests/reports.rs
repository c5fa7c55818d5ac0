//! What is told to the people of a cluster, by one server and by several that see the same a little earlier or later.

use serde_json::json;

use crate::rollout::{Cause, Latch};

use super::shop::{Shop, web};
use super::*;

/// The status of the ServiceRollout `shop/web` as the API of a cluster keeps it: who names an old version is refused.
struct Api {
    version: u32,
    spec: Value,
    generation: i64,
    status: Value,
    accepted: usize,
    refused: usize,
}

impl Api {
    fn new() -> Self {
        let (spec, status) = (json!({}), json!({}));
        Self {
            version: 1,
            spec,
            generation: 1,
            status,
            accepted: 0,
            refused: 0,
        }
    }

    fn resource(&self) -> Object {
        read(json!({
            "apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
            "metadata": {"name": "web", "namespace": "shop", "uid": "sr", "resourceVersion": self.version.to_string(), "generation": self.generation},
            "spec": self.spec, "status": self.status,
        }))
    }

    fn write(&mut self, status: &Status) {
        if *status.version != *self.version.to_string() {
            self.refused += 1;
            return;
        }
        self.accepted += 1;
        self.version += 1;
        let Standing {
            state,
            reason,
            stable,
            target,
            share,
            ttl,
            complaint,
        } = &status.standing;
        let accepted = if complaint.is_empty() {
            "True"
        } else {
            "False"
        };
        self.status = json!({
            "observedGeneration": status.generation, "state": state.as_str(), "reason": reason, "stable": stable, "target": target,
            "shareBasisPoints": share.basis_points(), "ttl": ttl, "memory": status.memory,
            "conditions": [{"type": "Accepted", "status": accepted,
                "message": complaint, "lastTransitionTime": status.accepted_since.to_string()}],
        });
    }

    /// `Paused v1 -> v2 25%`
    fn line(&self) -> String {
        let text = |key: &str| self.status[key].as_str().unwrap_or("-").to_owned();
        let share = self.status["shareBasisPoints"].as_u64().unwrap_or(0);
        let (state, stable, target) = (text("state"), text("stable"), text("target"));
        format!("{state} {stable} -> {target} {}%", share / 100)
    }
}

/// Servers that see what happens each a second after the one before.
struct Servers {
    shops: Vec<Shop>,
    api: Option<Api>,
    told: Vec<String>,
    ids: BTreeSet<u64>,
}

impl Servers {
    fn new(count: usize, with_resource: bool) -> Self {
        let shops = (0..count).map(|_| Shop::in_cluster());
        let mut servers = Self {
            shops: shops.collect(),
            api: with_resource.then(Api::new),
            told: Vec::new(),
            ids: BTreeSet::new(),
        };
        servers.hear(0);
        servers.settle(0);
        servers
    }

    /// Every server reads the resource.
    fn hear(&mut self, second: i64) {
        let Some(api) = &self.api else { return };
        for shop in &mut self.shops {
            let change = Change::Apply(api.resource());
            shop.engine.apply(vec![change], at(second));
        }
    }

    /// What they report is written, the first first, and read, until nobody has anything to say.
    fn settle(&mut self, second: i64) {
        for _ in 0..9 {
            let reports = self.shops.iter_mut().map(|shop| shop.engine.take_reports());
            let reports: Vec<Report> = reports.flatten().collect();
            if reports.is_empty() {
                return;
            }
            for report in &reports {
                assert_eq!(report.service, web());
                for notice in &report.notices {
                    // What another server has told already, under the same name.
                    if self.ids.insert(notice.id) {
                        self.told.push(notice.occasion.as_str().to_owned());
                    }
                }
                let status = report.status.as_ref();
                if let (Some(status), Some(api)) = (status, &mut self.api) {
                    api.write(status);
                }
            }
            self.hear(second);
        }
        panic!("they do not come to rest");
    }

    /// What happens at a second, each server a second after the one before: `spec {..}` is written into the resource.
    fn play(&mut self, second: i64, events: &str) {
        let spec = events.strip_prefix("spec ");
        if let (Some(spec), Some(api)) = (spec, &mut self.api) {
            api.spec = serde_json::from_str(spec).unwrap();
            api.version += 1;
            api.generation += 1;
        }
        for (delay, shop) in (0..).zip(&mut self.shops) {
            match (spec, &self.api) {
                (Some(_), Some(api)) => {
                    let change = Change::Apply(api.resource());
                    shop.engine.apply(vec![change], at(second + delay));
                }
                _ => shop.play(second + delay, events),
            }
        }
        let last = second + i64::try_from(self.shops.len()).unwrap();
        self.settle(last);
    }

    /// Lines of `second events -> status`.
    fn check(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (when, expected) = line.split_once("->").unwrap();
            let (second, events) = when.trim().split_once(' ').unwrap();
            self.play(second.parse().unwrap(), events.trim());
            let found = self.api.as_ref().unwrap().line();
            assert_eq!(found, expected.trim(), "{line}");
            let memories = self.shops.iter().map(|shop| json!(shop.memory()));
            let memories: BTreeSet<String> = memories.map(|memory| memory.to_string()).collect();
            assert_eq!(memories.len(), 1, "{line}: {memories:#?}");
        }
    }
}

const STEPS: &str = r#""steps": [{"weight": 25}, {"weight": 50}, {"weight": 100}]"#;

/// Three servers, of which each is a second later than the one before: every transition is written once, by the
/// first, and all count from the moments that it wrote.
#[test]
fn the_first_server_to_see_a_transition_dates_it_for_all() {
    let mut servers = Servers::new(3, true);
    assert_eq!(
        servers.api.as_ref().unwrap().line(),
        "Healthy v1 -> v1 100%"
    );
    servers.check(&format!(
        r#"
        5   spec {{{STEPS}}}             -> Healthy v1 -> v1 100%
        20  rolls; endpoints 0 1 2 4 5   -> Paused v1 -> v2 25%
        40  spec {{{STEPS}, "promote": [{{"revision": "b", "step": 2}}]}} -> Paused v1 -> v2 50%
        60  spec {{{STEPS}, "abort": ["b"]}} -> Aborted v1 -> v2 0%
        80  spec {{{STEPS}}}             -> Paused v1 -> v2 25%
        "#
    ));
    let api = servers.api.as_ref().unwrap();
    assert_eq!((api.accepted, api.refused), (6, 12));
    assert_eq!(servers.told, ["RolloutDetected", "TrafficShiftedBack"]);
}

/// A server that begins in mid-roll with what the resource remembers has the split of those that were there, and
/// nothing to say.
#[test]
fn a_server_that_begins_goes_on_where_the_others_are() {
    let mut servers = Servers::new(2, true);
    servers.check(
        r#"
        5   spec {"ramp": "100s"}                 -> Healthy v1 -> v1 100%
        20  rolls; endpoints 0 1 2 4 5            -> Progressing v1 -> v2 20%
        45  -                                     -> Progressing v1 -> v2 45%
        "#,
    );
    let shares = |shop: &Shop, second| {
        let outcome = shop.detail(second).outcome;
        let shares = outcome.versions.iter().map(|version| version.share);
        shares.collect::<Vec<_>>()
    };
    let before = shares(&servers.shops[0], 48);
    let resource = servers.api.as_ref().unwrap().resource();
    let mut late = Shop::closed();
    late.sync_beside(Some(resource), "rolls; endpoints 0 1 2 4 5", 48);
    assert_eq!(shares(&late, 48), before);
    assert_eq!(
        late.engine
            .take_reports()
            .iter()
            .filter(|r| r.status.is_some())
            .count(),
        0
    );
}

#[test]
fn what_happens_is_told_without_a_resource_too_and_to_nobody_outside_of_a_cluster() {
    let mut servers = Servers::new(1, false);
    for (second, events) in [
        (5, "service strategy: steps, steps: 25+50+100"),
        (20, "rolls; endpoints 0 1 2 4 5"),
        (30, "pod 4 unready; pod 5 unready; endpoints 0 1 2"),
        (
            40,
            "endpoints 4 5; pod 0 gone; pod 1 gone; pod 2 gone; pod 3 gone",
        ),
    ] {
        servers.play(second, events);
    }
    assert_eq!(servers.told, ["RolloutDetected", "CapacityForced"]);
    let mut alone = Shop::open();
    alone.play(20, "rolls; endpoints 0 1 2 4 5");
    assert_eq!(alone.engine.take_reports(), []);
}

/// A server whose watches are behind sees an old state, and another server's status beside it: it leaves that alone, and
/// says what it sees only after two minutes, then four, so that two that never agree do not wear out the API.
#[test]
fn a_server_that_sees_nothing_new_insists_ever_more_rarely() {
    let mut servers = Servers::new(2, true);
    servers.play(5, &format!("spec {{{STEPS}}}"));
    servers.shops[0].play(20, "rolls; endpoints 0 1 2 4 5");
    servers.settle(20);
    let api = |servers: &Servers| {
        let api = servers.api.as_ref().unwrap();
        (api.line(), api.accepted)
    };
    let (told, before) = api(&servers);
    assert_eq!(told, "Paused v1 -> v2 25%");
    let mut writes = Vec::new();
    for second in 21..2000 {
        for shop in &mut servers.shops {
            shop.engine.tick(at(second));
        }
        servers.settle(second);
        let (_, accepted) = api(&servers);
        if accepted > before + writes.len() {
            writes.push(second);
        }
    }
    // Both insist, each in its turn: a handful of writes in half an hour, where echoes would make thousands.
    assert!((2..=12).contains(&writes.len()), "{writes:?}");
    assert!(writes[0] >= 20 + 120, "{writes:?}");
    let late = writes.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(late.max() >= Some(240), "{writes:?}");
    // When its watches catch up it has nothing to add.
    servers.shops[1].play(2000, "rolls; endpoints 0 1 2 4 5");
    servers.settle(2000);
    assert_eq!(api(&servers).0, "Paused v1 -> v2 25%");
}

/// Of two servers the one that saw a revision fail is right, also when nothing shows it any more.
#[test]
fn what_one_server_saw_fail_all_know() {
    let mut servers = Servers::new(2, true);
    servers.play(5, &format!("spec {{{STEPS}}}"));
    servers.play(20, "rolls; endpoints 0 1 2 4 5");
    // A crash that was over before the other one's watch came back.
    let service = servers.shops[0].engine.services.get_mut(&web()).unwrap();
    service.memory.tracks[0].latches.push(Latch {
        hash: "b".into(),
        cause: Cause::CrashLoop,
        at: at(30),
    });
    servers.shops[0].play(60, "endpoints 0 1 2 4");
    let latches = |shop: &Shop| shop.memory().tracks[0].latches.clone();
    assert_eq!(latches(&servers.shops[0]).len(), 1);
    assert_eq!(latches(&servers.shops[1]), []);
    servers.settle(60);
    assert_eq!(latches(&servers.shops[1]), latches(&servers.shops[0]));
    assert_eq!(servers.api.as_ref().unwrap().line(), "Aborted v1 -> v2 0%");
}

/// While the source is lost nothing is told of half a cluster; what was missed is told when it is back.
#[test]
fn what_was_seen_while_the_source_was_lost_is_told_when_it_is_back() {
    let mut servers = Servers::new(1, true);
    servers.play(5, &format!("spec {{{STEPS}}}"));
    servers.play(10, "lost");
    servers.play(20, "rolls; endpoints 0 1 2 4 5");
    assert_eq!(
        servers.api.as_ref().unwrap().line(),
        "Healthy v1 -> v1 100%"
    );
    servers.play(30, "back");
    assert_eq!(servers.api.as_ref().unwrap().line(), "Paused v1 -> v2 25%");
}
