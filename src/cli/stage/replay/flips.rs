//! Blue and green as two Services, and one in front of them that says which is active.

use serde_json::json;

use super::story::{Recording, cast, listed};
use crate::cli::stage::Stage;
use crate::objects::Object;
use crate::rollout::controllers::{Event, Second, Snapshot, Start, Template, play};

const WORKLOAD: &str = "Deployment replicas: 4, strategy: {type: Recreate}";

/// A backend and its play.
struct Backend {
    stage: Stage,
    timeline: Vec<Snapshot>,
}

impl Backend {
    fn new(name: &str, network: u8, start: Start, events: &[(Second, Event)]) -> Self {
        let player = cast(name, "", WORKLOAD).workloads.pop();
        let player = player.expect("a workload");
        let timeline = play(&player.workload, start, events, 100);
        let mut stage = player.stage;
        stage.network = network;
        Self { stage, timeline }
    }

    fn at(&self, second: Second) -> Option<&Snapshot> {
        self.timeline.iter().rfind(|now| now.at <= second)
    }
}

fn front(backends: &str) -> Object {
    let annotations =
        json!({"shiftdns.io/strategy": "blue-green", "shiftdns.io/backends": backends});
    let front = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
        "spec": {"clusterIP": "None", "ports": [{"port": 80}]},
    });
    serde_json::from_value(front).expect("a service")
}

/// Green is created at second 0, active from second 21 on with three of its four pods, blue again from second 52 on;
/// at second 73 blue is scaled to nothing.
pub(super) fn record() -> Recording {
    let (old, delete) = (Template(0), Event::Delete);
    let gone = [(73, Event::Scale(0))];
    let blue = Backend::new("web-blue", 1, Start::AtRest(old), &gone);
    let fourth = [(18, delete(3))];
    let green = Backend::new("web-green", 2, Start::Created(old), &fourth);
    let objects = |second: Second| {
        let active = match second {
            21..52 => "web-blue=0,web-green=100",
            _ => "web-blue=100,web-green=0",
        };
        let names = ["web-blue", "web-green"];
        let mut objects = names.map(|name| cast(name, "", WORKLOAD).service).to_vec();
        objects.push(front(active));
        for (backend, from) in [(&blue, Second::MIN), (&green, 0)] {
            let now = backend.at(second.max(0)).filter(|_| second >= from);
            let told = now.map(|now| backend.stage.objects(now));
            objects.extend(told.into_iter().flat_map(|told| told.expect("objects")));
        }
        listed(objects)
    };
    let lists = (-1..=90).map(|second| (second, objects(second)));
    Recording::of(lists.collect(), 90)
}
