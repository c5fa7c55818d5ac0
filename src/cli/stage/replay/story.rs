//! Stories: roll-outs as the objects of a cluster would tell them, one change after another.
//!
//! A story is a workload and the service in front of it, and what is done to either at which second. It gives all
//! objects at rest, and for each second in which something happens the changes of single objects; what is said at a
//! later second is said from then on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::Stage;
use crate::cli::simulate::{reading, with_next_version};
use crate::model::ServiceKey;
use crate::objects::{Change, Kind, Object};
use crate::rollout::controllers::{
    Event, Failure, Second, Snapshot, Start, Template, Workload, play,
};

/// Kind, namespace and name.
pub(super) type Id = (Kind, Arc<str>, Arc<str>);

/// All objects of a moment.
pub(super) type Objects = BTreeMap<Id, Object>;

/// The service of every story.
pub(super) fn web() -> ServiceKey {
    ServiceKey::new("shop", "web")
}

pub(super) struct Story {
    pub(super) name: &'static str,
    workload: &'static str,
    /// From a second on: the annotations of the service, `{v2}` for the hash of that version's revision.
    annotations: Vec<(Second, String)>,
    events: Vec<(Second, Event)>,
    ready_after_secs: u32,
    gone_after_secs: u32,
}

/// A crash loop has no end; by then it has shown what it does.
const LAST: Second = 160;

/// After the last event, until a ramp of a minute has ended.
const SETTLED_SECS: Second = 70;

/// A story as it was recorded.
pub(super) struct Recording {
    pub(super) rest: Objects,
    /// In the order of the seconds.
    pub(super) seconds: Vec<(Second, Vec<Change>)>,
    /// The last second that is looked at.
    pub(super) until: Second,
}

impl Recording {
    /// From all objects of each second, the first of which is rest.
    pub(super) fn of(lists: Vec<(Second, Objects)>, until: Second) -> Self {
        let mut lists = lists.into_iter();
        let (_, rest) = lists.next().expect("a rest");
        let mut known = rest.clone();
        let mut seconds: Vec<(Second, Vec<Change>)> = Vec::new();
        for (second, objects) in lists {
            seconds.push((second, changes(&known, &objects)));
            known = objects;
        }
        seconds.retain(|(_, changes)| !changes.is_empty());
        Self {
            rest,
            seconds,
            until,
        }
    }

    /// All objects of a second.
    pub(super) fn objects(&self, second: Second) -> Objects {
        let mut objects = self.rest.clone();
        let before = self.seconds.iter().filter(|(at, _)| *at <= second);
        for change in before.flat_map(|(_, changes)| changes) {
            fold(&mut objects, change);
        }
        objects
    }

    /// What happens at a second.
    pub(super) fn at(&self, second: Second) -> &[Change] {
        let mut seconds = self.seconds.iter();
        let found = seconds.find(|(at, _)| *at == second);
        found.map_or(&[], |(_, changes)| changes)
    }
}

impl Story {
    /// `name | Deployment replicas: 10 | ramp: 60s; soak: 5s | 0 update v2; 12 undo; gone 20`.
    ///
    /// Pods are ready ten seconds after they were created and gone as soon as they are deleted, unless it is said.
    pub(super) fn read(line: &'static str) -> Self {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, workload, annotations, events] = columns[..] else {
            panic!("`{line}`");
        };
        Self::new(name, workload, annotations, events)
    }

    pub(super) fn new(
        name: &'static str,
        workload: &'static str,
        annotations: &str,
        events: &str,
    ) -> Self {
        let mut story = Self {
            name,
            workload,
            annotations: vec![(Second::MIN, annotations.to_owned())],
            events: Vec::new(),
            ready_after_secs: 10,
            gone_after_secs: 0,
        };
        for clause in events.split("; ") {
            match clause.split_once(' ') {
                Some(("ready", secs)) => story.ready_after_secs = number(secs),
                Some(("gone", secs)) => story.gone_after_secs = number(secs),
                _ => story.events.push(event(clause)),
            }
        }
        story
    }

    pub(super) fn annotate(mut self, second: Second, annotations: &str) -> Self {
        self.annotations.push((second, annotations.to_owned()));
        self
    }

    pub(super) fn record(&self) -> Recording {
        let (stage, workload) = self.stage();
        let start = Start::AtRest(Template(0));
        let before = play(&workload, start, &[], 0);
        let timeline = play(&workload, start, &self.events, LAST);
        let mut seconds: Vec<Second> = timeline.iter().map(|now| now.at).collect();
        seconds.extend(self.annotations.iter().skip(1).map(|(at, _)| *at));
        seconds.sort_unstable();
        seconds.dedup();
        let until = seconds.last().map_or(0, |last| last + SETTLED_SECS);
        let rest = self.objects(&stage, before.first().expect("a play begins"), -1);
        let mut lists = vec![(-1, rest)];
        for at in seconds {
            let mut snapshots = timeline.iter();
            let now = snapshots.rfind(|now| now.at <= at);
            let now = now.expect("the first is that of second 0");
            lists.push((at, self.objects(&stage, now, at)));
        }
        Recording::of(lists, until.min(LAST))
    }

    /// The hash of a template, as pods carry it.
    pub(super) fn hash(&self, template: u32) -> String {
        self.stage().0.hash(Template(template))
    }

    fn stage(&self) -> (Stage, Workload) {
        let cast = self.cast("");
        let player = cast.workloads.into_iter().next().expect("a workload");
        let (mut stage, mut workload) = (player.stage, player.workload);
        workload.ready_after_secs = self.ready_after_secs;
        workload.gone_after_secs = self.gone_after_secs;
        for older in 0..2 {
            let label = "version".to_owned();
            let next = with_next_version(&stage.templates[older], Some(&label));
            stage.templates.push(next.expect("a version label").0);
        }
        (stage, workload)
    }

    fn cast(&self, annotations: &str) -> reading::Cast {
        cast("web", annotations, self.workload)
    }

    fn objects(&self, stage: &Stage, now: &Snapshot, at: Second) -> Objects {
        let mut said = self.annotations.iter();
        let (_, annotations) = said
            .rfind(|(from, _)| *from <= at)
            .expect("from the beginning");
        let mut annotations = annotations.clone();
        for template in 0..3 {
            let name = format!("{{v{}}}", template + 1);
            annotations = annotations.replace(&name, &stage.hash(Template(template)));
        }
        let mut objects = stage.objects(now).expect("Kubernetes objects");
        objects.push(self.cast(&annotations).service);
        listed(objects)
    }
}

/// What is long and stands more than once: how many pods a workload may have more or fewer while it updates.
const BOUNDS: [(&str, &str); 4] = [
    (
        "RECIPE",
        "strategy: {rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}",
    ),
    (
        "THREE",
        "strategy: {rollingUpdate: {maxSurge: 3, maxUnavailable: 0}}",
    ),
    (
        "PARTITION",
        "updateStrategy: {rollingUpdate: {partition: 3}}",
    ),
    (
        "PAIRS",
        "updateStrategy: {rollingUpdate: {maxSurge: 3, maxUnavailable: 0}}",
    ),
];

/// A headless service and the workload behind it, `Deployment replicas: 10`, both of that name.
pub(super) fn cast(name: &str, annotations: &str, workload: &str) -> reading::Cast {
    let (kind, spec) = workload.split_once(' ').expect("a kind and its spec");
    let spec = BOUNDS.iter().fold(spec.to_owned(), |spec, (word, bounds)| {
        spec.replace(word, bounds)
    });
    let annotations = annotations.split("; ").filter_map(|a| a.split_once(": "));
    let annotations: Vec<String> = annotations
        .map(|(key, value)| format!("shiftdns.io/{key}: '{value}'"))
        .collect();
    let text = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop, annotations: {{{}}}}}
spec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: shop}}
spec: {{{spec}, template: {{
  metadata: {{labels: {{app: {name}, version: v1}}}}, spec: {{containers: [{{name: web, image: 'shop/web:1'}}]}}}}}}
",
        annotations.join(", ")
    );
    reading::read(("web.yaml", &text), None, (moment(0), 10)).expect("sound manifests")
}

/// Objects by what they are called.
pub(super) fn listed(objects: Vec<Object>) -> Objects {
    let objects = objects.into_iter();
    objects.map(|object| (id(&object), object)).collect()
}

/// The moment of a second: a tick at second 0.
pub(super) fn moment(second: Second) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).expect("a moment of 2026")
}

fn id(object: &Object) -> Id {
    (
        object.kind(),
        Arc::clone(object.namespace()),
        Arc::clone(object.name()),
    )
}

/// From one list to the next, an object at a time.
fn changes(before: &Objects, after: &Objects) -> Vec<Change> {
    let gone = before.keys().filter(|id| !after.contains_key(*id));
    let gone = gone.map(|(kind, namespace, name)| Change::Delete {
        kind: *kind,
        namespace: Arc::clone(namespace),
        name: Arc::clone(name),
    });
    let news = after
        .iter()
        .filter(|(id, object)| before.get(*id) != Some(*object));
    let news = news.map(|(_, object)| Change::Apply(object.clone()));
    gone.chain(news).collect()
}

/// Keeps account of what there is.
pub(super) fn fold(objects: &mut Objects, change: &Change) {
    match change {
        Change::Apply(object) => {
            objects.insert(id(object), object.clone());
        }
        Change::Delete {
            kind,
            namespace,
            name,
        } => {
            objects.remove(&(*kind, Arc::clone(namespace), Arc::clone(name)));
        }
        Change::Reset { .. } => panic!("a recording has single objects"),
    }
}

/// `12 undo`, `0 update v2`, `0 crash v2 5`.
fn event(text: &str) -> (Second, Event) {
    let words: Vec<&str> = text.split(' ').collect();
    let template = |text: &str| Template(number(&text[1..]) - 1);
    let event = match words[1..] {
        ["update", to] => Event::Update(template(to)),
        ["undo"] => Event::Undo,
        ["pause"] => Event::Pause,
        ["resume"] => Event::Resume,
        ["scale", to] => Event::Scale(number(to)),
        ["delete", slot] => Event::Delete(number(slot)),
        ["fail", of] => Event::Fail(template(of), Failure::NeverReady),
        ["crash", of, after] => {
            let after_secs = number(after);
            Event::Fail(template(of), Failure::CrashLoop { after_secs })
        }
        _ => panic!("`{text}`"),
    };
    (words[0].parse().expect("a second"), event)
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}
