//! What the objects of a play tell the roll-out, read back by the index that reads those of a cluster.

use jiff::Timestamp;
use serde_json::json;

use super::Stage;
use crate::cli::check::resets;
use crate::cli::simulate::reading::{self, Cast};
use crate::cli::simulate::with_next_version;
use crate::model::ServiceView;
use crate::objects::{Index, Object, Settings};
use crate::rollout::controllers::{Event, Failure, Second, Snapshot, Start, Template, play};

const OLD: Template = Template(0);
const NEW: Template = Template(1);

fn manifests(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: None, selector: {{app: web}}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: web, namespace: shop}}
spec:
  {spec}
  template:
    metadata: {{labels: {{app: web, version: v1}}}}
    spec: {{containers: [{{name: web, image: 'shop/web:1'}}]}}
"
    )
}

/// Any but the beginning of time, before which there would be nothing.
const EPOCH: &str = "2026-01-01T00:00:00Z";

fn cast(manifests: &str) -> Cast {
    let epoch = EPOCH.parse().unwrap();
    reading::read(("web.yaml", manifests), None, (epoch, 10)).unwrap()
}

/// A workload at a second of its play.
fn staged(manifests: &str, events: &[(Second, Event)], second: Second) -> (Stage, Snapshot) {
    let player = cast(manifests).workloads.into_iter().next().unwrap();
    let mut stage = player.stage;
    let (next, _) = with_next_version(&stage.templates[0], Some(&"version".to_owned())).unwrap();
    let mut restarted = stage.templates[0].clone();
    restarted["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/restartedAt": "today"});
    stage.templates.extend([next, restarted]);
    let mut timeline = play(&player.workload, Start::AtRest(OLD), events, second);
    (stage, timeline.pop().unwrap())
}

/// The service at a second of the play of its workload, and the second of a moment.
fn view(
    manifests: &str,
    events: &[(Second, Event)],
    second: Second,
) -> (
    ServiceView,
    impl Fn(Option<Timestamp>) -> Option<Second> + use<>,
) {
    let cast = cast(manifests);
    let (stage, now) = staged(manifests, events, second);
    let mut objects = stage.objects(&now).unwrap();
    objects.push(cast.service);
    let mut index = Index::new(Settings::default());
    for change in resets(objects) {
        index.apply(change);
    }
    assert_eq!(index.problems(), []);
    let joined = index.view(&cast.key).unwrap();
    assert_eq!(joined.problems, []);
    let epoch: Timestamp = EPOCH.parse().unwrap();
    let second = move |at: Option<Timestamp>| at.map(|at| at.as_second() - epoch.as_second());
    (joined.view.unwrap(), second)
}

fn update() -> (Second, Event) {
    (0, Event::Update(NEW))
}

fn crash() -> (Second, Event) {
    (0, Event::Fail(NEW, Failure::CrashLoop { after_secs: 5 }))
}

#[test]
fn a_roll_out_that_gets_nowhere_is_given_up_by_name() {
    let text = manifests("Deployment", "replicas: 4\n  progressDeadlineSeconds: 60");
    let never = (0, Event::Fail(NEW, Failure::NeverReady));
    let given_up = |second: Second| {
        let (view, _) = view(&text, &[update(), never], second);
        let given_up = view.revisions.iter().filter(|r| r.deadline_exceeded);
        assert!(
            view.revisions
                .iter()
                .all(|r| r.troubles.is_empty() && r.stalled.is_none())
        );
        given_up.map(|r| r.label.to_string()).collect::<String>()
    };
    assert_eq!(given_up(59), "");
    assert_eq!(given_up(60), "v2");
}

#[test]
fn a_crash_loop_shows_in_its_containers() {
    let text = manifests("Deployment", "replicas: 4\n  minReadySeconds: 60");
    let told = |at: Second| {
        let (view, second) = view(&text, &[update(), crash()], at);
        assert_eq!(view.workloads[0].min_ready_secs, 60);
        let new = view.revisions.iter().find(|r| &*r.label == "v2").unwrap();
        let old = view.revisions.iter().find(|r| &*r.label == "v1").unwrap();
        assert_eq!(old.troubles, []);
        let told = new.troubles.iter().map(|trouble| {
            assert!(trouble.ended_badly && trouble.unready_since.is_none());
            (
                trouble.restarts,
                trouble.crash_looping,
                second(trouble.ended),
            )
        });
        told.collect::<Vec<_>>()
    };
    // Ready from 10 to 15, restarted at once, ready from 25 to 30, and then a back-off of 10 s.
    assert_eq!(told(14), []);
    assert_eq!(told(15), [(1, false, Some(15)); 2]);
    assert_eq!(told(25), [(1, false, Some(15)); 2]);
    assert_eq!(told(30), [(2, true, Some(30)); 2]);
    assert_eq!(told(50), [(2, false, Some(30)); 2]);
}

#[test]
fn a_pause_an_undo_and_a_restart_are_told() {
    let text = manifests("Deployment", "replicas: 4");
    let (view_of_pause, second) = view(&text, &[update(), (7, Event::Pause)], 9);
    let workload = &view_of_pause.workloads[0];
    assert_eq!(
        (workload.paused, second(workload.paused_since)),
        (true, Some(7))
    );

    let (undone, _) = view(&text, &[update(), (7, Event::Undo)], 9);
    let reused = |r: &crate::model::Revision| (r.label.to_string(), r.number, r.reused);
    let revisions: Vec<_> = undone.revisions.iter().map(reused).collect();
    assert_eq!(
        revisions,
        [
            ("v1".to_owned(), Some(3), true),
            ("v2".to_owned(), Some(2), false)
        ]
    );

    let (restarted, _) = view(&text, &[(0, Event::Update(Template(2)))], 0);
    let [old, new] = &restarted.revisions[..] else {
        panic!("{restarted:?}")
    };
    assert_ne!(old.hash, new.hash);
    assert!(old.template.is_some() && old.template == new.template);
    assert_eq!(
        (old.images.as_deref(), &old.images),
        (Some("shop/web:1"), &new.images)
    );
    let (updated, _) = view(&text, &[update()], 0);
    assert_ne!(updated.revisions[0].template, updated.revisions[1].template);
}

/// With a surge a node has two pods for a while, and is up to date when the old one has gone.
#[test]
fn a_daemon_set_tells_of_the_oldest_pod_of_each_node() {
    let rolling =
        "minReadySeconds: 40\n  updateStrategy: {rollingUpdate: {maxSurge: 3, maxUnavailable: 0}}";
    let told = |second: Second| {
        let (stage, now) = staged(&manifests("DaemonSet", rolling), &[update()], second);
        let mut objects = stage.objects(&now).unwrap().into_iter();
        let set = objects.find_map(|object| match object {
            Object::DaemonSet(set) => Some(set),
            _ => None,
        });
        let set = set.unwrap();
        (set.updated, set.available)
    };
    assert_eq!([told(0), told(10), told(50)], [(0, 3), (0, 3), (3, 3)]);
}

#[test]
fn other_workloads_tell_how_they_update() {
    let rolling =
        "replicas: 4\n  updateStrategy: {rollingUpdate: {partition: 2}}\n  minReadySeconds: 3";
    let (stateful, _) = view(&manifests("StatefulSet", rolling), &[update()], 0);
    let workload = &stateful.workloads[0];
    assert_eq!((workload.partition, workload.min_ready_secs), (2, 3));
    let on_delete = "updateStrategy: {type: OnDelete}";
    let (daemons, _) = view(&manifests("DaemonSet", on_delete), &[update()], 0);
    assert!(daemons.workloads[0].on_delete && daemons.workloads[0].observed);
    assert!(
        daemons
            .revisions
            .iter()
            .all(|r| r.template.is_some() && r.images.is_some())
    );
}
