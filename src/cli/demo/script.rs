//! The play: what the Deployment `web` and its pods are at each second.
//!
//! A rolling update of the manifests' four replicas (surge 25 %, unavailable 25 %, so one each) by the Deployment
//! controller's own arithmetic, pods being ready after ten seconds; then `kubectl rollout undo`.
//!
//! ```text
//!   0    15              25               35          70               80               90        120
//!   | v1 | v1 3, v2 2 new| v1 1, v2 2+2   | v2 4      | undo: v1 2 new | v1 2+2, v2 1   | v1 4     |
//! ```

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;

use crate::cli::simulate::{reading, with_next_version};
use crate::cli::stage::Stage;
use crate::objects::Object;
use crate::rollout::controllers::{Event, Second, Snapshot, Start, Template, play};

/// The loop's length.
pub(super) const LOOP_SECS: u64 = 120;

const V1: Template = Template(0);
const V2: Template = Template(1);

const READY_AFTER_SECS: u32 = 10;

const EVENTS: [(Second, Event); 2] = [(15, Event::Update(V2)), (70, Event::Undo)];

/// What happens, from a second on, for the person watching.
const TITLES: [(u64, &str); 7] = [
    (0, "four pods of v1"),
    (15, "kubectl set image: v2 starts"),
    (25, "first wave of v2 is ready"),
    (35, "second wave: all on v2"),
    (70, "kubectl rollout undo: v1 starts again"),
    (80, "first wave of v1 is ready"),
    (90, "second wave: all on v1"),
];

/// The play, from its first second to its last.
pub(super) struct Script {
    stage: Stage,
    timeline: Vec<Snapshot>,
}

/// The state of the play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scene<'s> {
    /// What happens, for the person watching.
    pub(super) title: &'static str,
    now: &'s Snapshot,
}

impl Script {
    /// The script for the manifests of `web`.
    ///
    /// # Errors
    /// When they cannot be played, which a test excludes.
    pub(super) fn new(web: &str) -> anyhow::Result<Self> {
        let told = (Timestamp::UNIX_EPOCH, READY_AFTER_SECS);
        let cast = reading::read(("web.yaml", web), None, told);
        let cast = cast.map_err(|problems| anyhow!("{problems:?}"))?;
        let player = cast.workloads.into_iter().next().context("no workload")?;
        let mut stage = player.stage;
        let label = cast.version_labels.get(1);
        let (v2, _) =
            with_next_version(&stage.templates[0], label).map_err(|text| anyhow!(text))?;
        stage.templates.push(v2);
        let until = i64::try_from(LOOP_SECS)?;
        let timeline = play(&player.workload, Start::AtRest(V1), &EVENTS, until);
        Ok(Self { stage, timeline })
    }

    /// The scene at a second of the loop.
    pub(super) fn at(&self, second: u64) -> Option<Scene<'_>> {
        let has_begun = |snapshot: &&Snapshot| snapshot.at <= second.try_into().unwrap_or(0);
        Some(Scene {
            title: TITLES.iter().rfind(|(from, _)| *from <= second)?.1,
            now: self.timeline.iter().rfind(has_begun)?,
        })
    }

    /// The objects of `web` in a scene.
    ///
    /// # Errors
    /// When they are no Kubernetes objects, which a test excludes.
    pub(super) fn objects(&self, scene: &Scene<'_>) -> Result<Vec<Object>, serde_json::Error> {
        self.stage.objects(scene.now)
    }
}

/// Whether an object of the manifests belongs to the play rather than to the scenery.
pub(super) fn plays(object: &Object) -> bool {
    let name = object.name();
    let of_web = **name == *"web" || name.starts_with("web-");
    // The Service itself stands still.
    of_web && object.kind().as_str() != "Service" && **object.namespace() == *"shop"
}
