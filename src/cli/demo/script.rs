//! The play: what the shop's front is at each second of a loop, and what to look at.
//!
//! Two services are played. `web` is a Deployment with what a strategy needs (all new pods at once, old ones for 40
//! seconds more); its pods are ready after ten seconds. `front` is blue/green between two Services that stand still.
//!
//! ```text
//!   0        75            135          180       215
//!   | steps  | v3 crashes  | a ramp     | blue/   |
//!   | v1->v2 | and is undone| and an undo| green   |
//! ```

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::documents;
use crate::cli::simulate::{reading, with_next_version};
use crate::cli::stage::Stage;
use crate::model::ServiceKey;
use crate::objects::{Kind, Object};
use crate::rollout::controllers::{Event, Failure, Second, Snapshot, Start, Template, play};

/// The manifests of what is played.
const WEB: &str = include_str!("web.yaml");
const FRONT: &str = include_str!("front.yaml");

/// The loop's length.
pub(super) const LOOP_SECS: Second = 215;

const READY_AFTER_SECS: u32 = 10;

const V: [Template; 4] = [Template(0), Template(1), Template(2), Template(3)];

const EVENTS: [(Second, Event); 6] = [
    (10, Event::Update(V[1])),
    (75, Event::Fail(V[2], Failure::CrashLoop { after_secs: 8 })),
    (75, Event::Update(V[2])),
    (120, Event::Undo),
    (140, Event::Update(V[3])),
    (167, Event::Undo),
];

/// What `web` asks for, from a second on.
const ASKED: [(Second, (&str, &str)); 2] = [
    (0, ("shiftdns.io/steps", "10@10s,50@10s,100")),
    (135, ("shiftdns.io/ramp", "30s")),
];

/// Which Service is active behind `front`, from a second on.
const ACTIVE: [(Second, &str); 3] = [
    (0, "front-blue=100,front-green=0"),
    (185, "front-blue=0,front-green=100"),
    (200, "front-blue=100,front-green=0"),
];

/// What happens, from a second on, for the person watching.
const TITLES: [(Second, &str); 20] = [
    (0, "four pods of v1"),
    (10, "kubectl set image: v2 starts"),
    (20, "v2 is ready: step 1"),
    (35, "step 2, caches have forgotten step 1"),
    (50, "step 3: all of it"),
    (60, "Kubernetes takes v1 away"),
    (75, "kubectl set image: v3 starts"),
    (85, "v3 is ready: step 1"),
    (93, "v3 crashes: shifted back"),
    (103, "v3 is ready again, and gets nothing"),
    (111, "v3 crashes again"),
    (120, "kubectl rollout undo"),
    (135, "the service asks for a ramp"),
    (140, "kubectl set image: v4 starts"),
    (150, "v4 is ready: the ramp begins"),
    (167, "kubectl rollout undo, half-way"),
    (180, "blue is active"),
    (185, "green is made active"),
    (190, "caches have forgotten blue"),
    (200, "and back to blue"),
];

/// A part of the loop with a moral.
pub(super) struct Act {
    from: Second,
    /// The service that it is about.
    pub(super) service: &'static str,
    pub(super) title: &'static str,
    /// What to `dig`: the name below `shop.svc.Z`, the type, and what to expect.
    pub(super) digs: &'static [(&'static str, &'static str, &'static str)],
}

pub(super) const ACTS: [Act; 4] = [
    Act {
        from: 0,
        service: "web",
        title: "a canary in steps, `shiftdns.io/steps: 10@10s,50@10s,100`",
        digs: &[
            (
                "web",
                "A",
                "four addresses of v1; then one of ten is v2's, then every other, then all",
            ),
            ("canary._role.web", "A", "the pods of v2, while it rolls"),
            (
                "_rollout.web",
                "TXT",
                "state=Progressing target=v2 stable=v1 strategy=steps",
            ),
            (
                "_versions.web",
                "TXT",
                "a line for each version: its share, and why",
            ),
        ],
    },
    Act {
        from: 75,
        service: "web",
        title: "the same with a version that crashes",
        digs: &[
            (
                "web",
                "A",
                "only v2's addresses from the crash on, although v3 gets ready again",
            ),
            (
                "_versions.web",
                "TXT",
                "version=v3 share=0.00% reason=quarantined, when it is ready again",
            ),
            ("_rollout.web", "TXT", "state=Aborted, until the undo"),
            ("stable._role.web", "A", "the pods of v2, all the time"),
        ],
    },
    Act {
        from: 135,
        service: "web",
        title: "an even ramp, `shiftdns.io/ramp: 30s`, undone half-way",
        digs: &[
            (
                "_versions.web",
                "TXT",
                "v4 gets a sixth every 5 s; after the undo v2 has everything at once",
            ),
            (
                "v4._version.web",
                "A",
                "the pods of v4, until the undo; then none",
            ),
        ],
    },
    Act {
        from: 180,
        service: "front",
        title: "blue/green between two Services, `shiftdns.io/backends: front-blue=0,front-green=100`",
        digs: &[
            (
                "front",
                "A",
                "10.2.0.x is blue, 10.3.0.x is green: never both",
            ),
            ("active._role.front", "A", "the same"),
            (
                "preview._role.front",
                "A",
                "the other one, for a look before it is made active",
            ),
            ("_versions.front", "TXT", "who has the share"),
        ],
    },
];

/// The play, from its first second to its last.
pub(super) struct Script {
    web: Stage,
    timeline: Vec<Snapshot>,
    service: Value,
    front: Value,
    /// What stands still.
    scenery: Vec<Object>,
}

/// The state of the play.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scene<'s> {
    now: &'s Snapshot,
    asked: (&'static str, &'static str),
    active: &'static str,
}

/// The last of those that have begun.
fn latest<T: Copy>(list: &[(Second, T)], second: Second) -> Option<T> {
    let last = list.iter().rfind(|(from, _)| *from <= second)?;
    Some(last.1)
}

/// What happens at a second.
pub(super) fn title(second: Second) -> Option<&'static str> {
    latest(&TITLES, second)
}

/// The act that a second belongs to, by its number.
pub(super) fn act(second: Second) -> usize {
    let begun = ACTS.iter().filter(|act| act.from <= second);
    begun.count().saturating_sub(1)
}

impl Script {
    /// The script of a loop that begins at `epoch`; `scenery` stands still behind it.
    ///
    /// # Errors
    /// When the manifests cannot be played, which a test excludes.
    pub(super) fn new(epoch: Timestamp, mut scenery: Vec<Object>) -> anyhow::Result<Self> {
        let told = (epoch, READY_AFTER_SECS);
        let read = |file: &str, text: &str, service: &str| {
            let key = ServiceKey::new("shop", service);
            let cast = reading::read((file, text), Some(&key), told);
            cast.map_err(|problems| anyhow!("{problems:?}"))
        };
        for (network, service) in [(2, "front-blue"), (3, "front-green")] {
            let cast = read("front.yaml", FRONT, service)?;
            scenery.push(cast.service);
            let mut player = cast.workloads.into_iter().next().context("no workload")?;
            player.stage.network = network;
            let rest = play(&player.workload, Start::AtRest(V[0]), &[], 0);
            scenery.extend(player.stage.objects(rest.first().context("no rest")?)?);
        }
        let cast = read("web.yaml", WEB, "web")?;
        let player = cast.workloads.into_iter().next().context("no workload")?;
        let mut web = player.stage;
        let label = cast.version_labels.get(1);
        for old in 0..V.len() - 1 {
            let (next, _) =
                with_next_version(&web.templates[old], label).map_err(|text| anyhow!(text))?;
            web.templates.push(next);
        }
        Ok(Self {
            web,
            timeline: play(&player.workload, Start::AtRest(V[0]), &EVENTS, LOOP_SECS),
            service: service("web.yaml", WEB)?,
            front: service("front.yaml", FRONT)?,
            scenery,
        })
    }

    /// The scene at a second of the loop.
    pub(super) fn at(&self, second: Second) -> Option<Scene<'_>> {
        Some(Scene {
            now: self.timeline.iter().rfind(|now| now.at <= second)?,
            asked: latest(&ASKED, second)?,
            active: latest(&ACTIVE, second)?,
        })
    }

    /// All objects in a scene.
    ///
    /// # Errors
    /// When they are no Kubernetes objects, which a test excludes.
    pub(super) fn objects(&self, scene: &Scene<'_>) -> Result<Vec<Object>, serde_json::Error> {
        let mut objects = self.before(scene)?;
        objects.extend(self.web.objects(scene.now)?);
        Ok(objects)
    }

    /// The objects before the Deployment `web` is created: with it goes what is remembered of its roll-outs, so that
    /// every loop is as the first.
    ///
    /// # Errors
    /// As for [`Script::objects`].
    pub(super) fn before(&self, scene: &Scene<'_>) -> Result<Vec<Object>, serde_json::Error> {
        let mut objects = self.scenery.clone();
        let asks = |service: &Value, annotations: Value| {
            let mut service = service.clone();
            service["metadata"]["annotations"] = annotations;
            serde_json::from_value(service)
        };
        let (key, value) = scene.asked;
        objects.push(asks(&self.service, serde_json::json!({key: value}))?);
        let backends = serde_json::json!({
            "shiftdns.io/strategy": "blue-green", "shiftdns.io/backends": scene.active,
        });
        objects.push(asks(&self.front, backends)?);
        Ok(objects)
    }
}

/// The first Service of a text, as it was written.
fn service(file: &str, text: &str) -> anyhow::Result<Value> {
    let known = documents::read(file, text).0.into_iter();
    let mut services = known.filter(|known| known.object.kind() == Kind::Service);
    Ok(services.next().context("no service")?.value)
}

/// Whether an object of the shop belongs to the play rather than to the scenery.
pub(super) fn plays(object: &Object) -> bool {
    let name = object.name();
    **object.namespace() == *"shop" && (**name == *"web" || name.starts_with("web-"))
}
