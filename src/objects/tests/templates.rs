//! Which pod templates are told apart, and what they run.

use serde_json::{Value, json};

use super::cast::{cluster, joined, read};
use crate::objects::{Content, Object};

/// What a ReplicaSet, or a ControllerRevision, says of its template.
fn content(template: &Value) -> Option<Content> {
    let meta = json!({"name": "web-a", "namespace": "shop"});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": {"template": template}});
    let revision = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": meta,
        "data": {"spec": {"template": template}}});
    match (read(set), read(revision)) {
        (Object::ReplicaSet(set), Object::ControllerRevision(revision)) => {
            assert_eq!(set.content, revision.content);
            set.content.clone()
        }
        other => panic!("{other:?}"),
    }
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web", "version": "v1"}, "annotations": {"note": "x"}},
        "spec": {"containers": [{"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}]},
            {"name": "log", "image": "log:2"}], "volumes": [{"name": "tmp", "emptyDir": {}}]},
    })
}

fn digest(change: impl Fn(&mut Value)) -> u64 {
    let mut template = template();
    change(&mut template);
    content(&template).unwrap().digest
}

#[test]
fn a_restart_and_the_labels_of_controllers_leave_a_template_what_it_is() {
    let same = digest(|_| {});
    let restarted = |t: &mut Value| {
        t["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "2026-01-01".into();
    };
    assert_eq!(digest(restarted), same);
    for label in [
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
    ] {
        assert_eq!(
            digest(|t| t["metadata"]["labels"][label] = "x".into()),
            same
        );
    }
    // What servers add where a manifest has nothing.
    assert_eq!(
        digest(|t| t["metadata"]["creationTimestamp"] = Value::Null),
        same
    );
    // The first restart brings the annotations, and even the metadata, along.
    let bare = |t: &mut Value| *t = json!({"spec": {}});
    let first = |t: &mut Value| {
        *t = json!({"spec": {}});
        restarted(t);
    };
    assert_eq!(digest(bare), digest(first));
}

#[test]
fn templates_that_say_something_else_have_another_digest() {
    let same = digest(|_| {});
    let changes: [&dyn Fn(&mut Value); 11] = [
        &|t| t["spec"]["containers"][0]["image"] = "web:2".into(),
        &|t| t["spec"]["containers"][0]["env"][0]["value"] = "2".into(),
        // A text is not a number, and a name does not run into its value.
        &|t| t["spec"]["containers"][0]["env"][0]["value"] = 1.into(),
        &|t| t["spec"]["containers"][0]["env"][0] = json!({"name": "A1", "value": ""}),
        &|t| t["spec"]["containers"].as_array_mut().unwrap().reverse(),
        &|t| t["metadata"]["labels"]["version"] = "v2".into(),
        &|t| t["metadata"]["annotations"]["note"] = "y".into(),
        // Only the mark of kubectl, and only there.
        &|t| t["metadata"]["annotations"]["example.com/restartedAt"] = "2026-01-01".into(),
        &|t| t["metadata"]["labels"]["kubectl.kubernetes.io/restartedAt"] = "x".into(),
        &|t| t["spec"]["nodeSelector"] = json!({"pod-template-hash": "x"}),
        // Empty maps of a spec may mean something.
        &|t| t["spec"]["affinity"] = json!({}),
    ];
    let mut digests: Vec<u64> = changes.iter().map(digest).collect();
    digests.push(same);
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), changes.len() + 1);
}

#[test]
fn a_digest_is_the_same_in_every_process_and_in_any_order_of_keys() {
    let content = |text: &str| {
        let template: Value = serde_json::from_str(text).unwrap();
        content(&template).unwrap()
    };
    let one =
        content(r#"{"metadata":{"labels":{"app":"web"}},"spec":{"a":1,"b":[true,null,"x",2.5]}}"#);
    // Replicas of this server compare digests, and memory outlives it: another number is another format.
    assert_eq!(one.digest, 0xb478b2c931346dda_u64);
    // `serde_json` keeps no order, so this one is read as it stands.
    let tree = r#"{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"x"},"spec":{"template":
        {"spec":{"b":[true,null,"x",2.5],"a":2,"a":1},"metadata":{"labels":{"app":"web"}}}}}"#;
    let Object::ReplicaSet(set) = serde_json::from_str(tree).unwrap() else {
        panic!()
    };
    assert_eq!(set.content.as_ref(), Some(&one));
}

#[test]
fn the_images_of_a_revision_are_told_in_order() {
    let images = |template: &Value| {
        let content = content(template).unwrap();
        content.images.map(|images| images.to_string())
    };
    assert_eq!(images(&template()).as_deref(), Some("web:1 log:2"));
    assert_eq!(images(&json!({"spec": {}})), None);
    assert_eq!(content(&Value::Null), None);
    let index = cluster(
        "service web ip=None select:app=web
         deployment web app=web
         replicaset web-a of=Deployment/web rev=1 app=web pod-template-hash=a image=web:1
         replicaset web-b of=Deployment/web rev=2 app=web pod-template-hash=b image=web:1
         replicaset web-c of=Deployment/web rev=3 app=web pod-template-hash=c image=web:2",
    );
    let revisions = joined(&index, "web").view.unwrap().revisions;
    let images: Vec<Option<&str>> = revisions.iter().map(|r| r.images.as_deref()).collect();
    assert_eq!(images, [Some("web:1"), Some("web:1"), Some("web:2")]);
    assert!(revisions.iter().all(|r| r.template.is_some()));
    assert_eq!(revisions[0].template, revisions[1].template);
    assert_ne!(revisions[0].template, revisions[2].template);
}

#[test]
fn pods_of_no_replica_set_have_no_template() {
    let index = cluster(
        "service web ip=None\n pod p ip=10.1.0.1 version=v1 image=web:1\n slice x of=web p@10.1.0.1",
    );
    let revision = &joined(&index, "web").view.unwrap().revisions[0];
    assert_eq!((revision.template, revision.images.as_ref()), (None, None));
}
