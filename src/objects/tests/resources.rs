//! ServiceRollouts: their spec in the words of annotations, and how they win over annotations as a whole.

use serde_json::{Value, json};

use super::cast::{apply, change, cluster, joined, read, shown};
use crate::model::{PolicySource, ServiceKey};
use crate::objects::{Index, Object, ServiceRollout};

fn resource(spec: &Value) -> (ServiceRollout, Vec<String>) {
    let object = read(json!({
        "apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3},
        "spec": spec, "status": {"memory": "{}"},
    }));
    let flaws = object.problems();
    assert!(
        flaws
            .iter()
            .all(|flaw| flaw.subject == "servicerollout shop/web")
    );
    let Object::ServiceRollout(resource) = object else {
        panic!("{object:?}")
    };
    let flaws = flaws.into_iter().map(|flaw| flaw.text).collect();
    ((*resource).clone(), flaws)
}

/// `key: value` of all that is written.
fn words(resource: &ServiceRollout) -> Vec<String> {
    let written = resource.written.iter();
    written
        .map(|(key, value)| format!("{key}: {value}"))
        .collect()
}

#[track_caller]
fn check(spec: Value, expected: &[&str]) {
    let (resource, flaws) = resource(&spec);
    assert_eq!(words(&resource), expected, "{spec}");
    assert_eq!(flaws, [""; 0], "{spec}");
}

#[track_caller]
fn check_flaws(spec: Value, expected: &[&str], flaws: &[&str]) {
    let (resource, found) = resource(&spec);
    assert_eq!(words(&resource), expected, "{spec}");
    assert_eq!(found, flaws, "{spec}");
}

#[test]
fn a_spec_says_what_annotations_say() {
    for (spec, word) in [
        (json!({"abort": ["7c9d8b6f54", "b"]}), "abort: 7c9d8b6f54,b"),
        (json!({"answer": "pure"}), "answer: pure"),
        (json!({"autoPromotion": "10m"}), "auto-promotion: 10m"),
        (
            json!({"backends": [{"service": "web-blue", "weight": 100}, {"weight": 0, "service": "web-green"}]}),
            "backends: web-blue=100,web-green=0",
        ),
        (json!({"clamp": false}), "clamp: off"),
        (json!({"clamp": "on"}), "clamp: on"),
        (json!({"endpoints": true}), "endpoints: true"),
        (json!({"headroom": 120}), "headroom: 120"),
        (
            json!({"onFailure": "shift-back-strict"}),
            "on-failure: shift-back-strict",
        ),
        (json!({"pause": ["a"]}), "pause: a"),
        (
            json!({"promote": [{"revision": "a", "step": 2}, {"revision": "b", "full": true},
                {"revision": "c", "full": false, "step": 1}]}),
            "promote: a@2,b@full,c@1",
        ),
        (json!({"ramp": "10m"}), "ramp: 10m"),
        (json!({"records": 2}), "records: 2"),
        (
            json!({"retry": [{"revision": "a", "count": 3}]}),
            "retry: a@3",
        ),
        (json!({"rollback": "immediate"}), "rollback: immediate"),
        (json!({"slowStart": "30s"}), "slow-start: 30s"),
        (json!({"soak": "5s"}), "soak: 5s"),
        (
            json!({"steps": [{"weight": 5, "hold": "30s"}, {"weight": 50}, {"weight": 100}]}),
            "steps: 5@30s,50,100",
        ),
        (json!({"sticky": "source/24"}), "sticky: source/24"),
        (json!({"strategy": "linear"}), "strategy: linear"),
        (
            json!({"ttl": {"rollout": 5, "endpoints": 30}}),
            "ttl: endpoints=30,rollout=5",
        ),
        (json!({"ttl": {"rollout": 1}}), "ttl: rollout=1"),
        (json!({"versionLabel": "release"}), "version-label: release"),
        (
            json!({"weights": [{"version": "v1", "weight": 90}, {"version": "v2", "weight": 10}]}),
            "weights: v1=90,v2=10",
        ),
    ] {
        check(spec, &[word]);
    }
    check(
        json!({"strategy": "steps", "steps": [{"weight": 10}], "clamp": true}),
        &["clamp: on", "steps: 10", "strategy: steps"],
    );
    // Nothing is asked.
    for empty in [
        json!({}),
        Value::Null,
        json!({"abort": [], "promote": [], "retry": null, "ttl": {}, "steps": null}),
    ] {
        check(empty, &[]);
    }
    // What makes up a strategy and is empty is a mistake, and the judge of annotations tells it.
    check(
        json!({"steps": [], "weights": []}),
        &["steps: ", "weights: "],
    );
    let (resource, _) = resource(&json!({}));
    assert_eq!((&*resource.uid.text(), &*resource.version), ("u", "7"));
    assert_eq!(resource.generation, 3);
    assert_eq!(resource.memory.as_deref(), Some("{}"));
}

#[test]
fn a_wrong_type_costs_its_field() {
    check_flaws(
        json!({"soak": 5, "ramp": "1m", "records": "8", "headroom": -1, "clamp": "no", "endpoints": "true", "ttl": [1]}),
        &["ramp: 1m"],
        &[
            "`spec.clamp` is ignored: `no` is not true or false",
            "`spec.endpoints` is ignored: `true` is not true or false",
            "`spec.headroom` is ignored: `-1` is not a number from 0 to 4294967295",
            "`spec.records` is ignored: `8` is not a number from 0 to 4294967295",
            "`spec.soak` is ignored: `5` is not a text; put it in quotes",
            "`spec.ttl` is ignored: `[…]` is not a map",
        ],
    );
    // A part of a list costs the list: half of it would be one that nobody wrote.
    for (spec, flaw) in [
        (
            json!({"weights": [{"version": "v1", "weight": 1}, {"version": "v2", "weight": "9"}]}),
            "`spec.weights` is ignored: `9` is not a number from 0 to 4294967295",
        ),
        (
            json!({"weights": [{"weight": 1}]}),
            "`spec.weights` is ignored: an entry has no `version`",
        ),
        (
            json!({"weights": {"v1": 1}}),
            "`spec.weights` is ignored: `{…}` is not a list",
        ),
        (
            json!({"weights": [{"version": "v1=1,v2", "weight": 9}]}),
            "`spec.weights` is ignored: `v1=1,v2` is not one word, without `,`, `=` and `@`",
        ),
        (
            json!({"backends": [{"service": "b", "weight": 1, "wieght": 2}]}),
            "`spec.backends` is ignored: `wieght` is none of `service`, `weight`",
        ),
        (
            json!({"steps": [{"weight": 5, "hold": "1s,100"}]}),
            "`spec.steps` is ignored: `1s,100` is not one word, without `,`, `=` and `@`",
        ),
        (
            json!({"steps": [{"weight": 5}, null]}),
            "`spec.steps` is ignored: an entry is empty",
        ),
        (
            json!({"steps": [5, 100]}),
            "`spec.steps` is ignored: `5` is not a map",
        ),
        (
            json!({"promote": [{"revision": "a", "step": 1, "full": true}]}),
            "`spec.promote` is ignored: an entry wants either `step` or `full: true`",
        ),
        (
            json!({"promote": [{"revision": "a"}]}),
            "`spec.promote` is ignored: an entry wants either `step` or `full: true`",
        ),
        (
            json!({"pause": ["a", 7]}),
            "`spec.pause` is ignored: `7` is not a text; put it in quotes",
        ),
        (
            json!({"abort": ["a,b"]}),
            "`spec.abort` is ignored: `a,b` is not one word, without `,`, `=` and `@`",
        ),
        (
            json!({"abort": "a"}),
            "`spec.abort` is ignored: `a` is not a list",
        ),
        (
            json!({"ttl": {"endpoint": 5}}),
            "`spec.ttl` is ignored: `endpoint` is none of `endpoints`, `rollout`",
        ),
        (
            json!({"on-failure": "hold"}),
            "`spec.on-failure` is ignored: a ServiceRollout has no such field",
        ),
        (json!("x"), "`spec` is ignored: `x` is not a map"),
    ] {
        check_flaws(spec, &[], &[flaw]);
    }
    let long = "x".repeat(70_000);
    check_flaws(
        json!({"strategy": long}),
        &[],
        &["`spec` is ignored: 70008 octets are more than 65536"],
    );
}

#[test]
fn every_field_has_the_name_that_problems_give_it() {
    let source = PolicySource::Resource { origin: None };
    for (field, word, _) in super::super::resource::FIELDS {
        assert_eq!(source.place(word), format!("spec.{field}"));
    }
}

const SHOP: &str = "
    service web ip=None port=http:80 @strategy=linear @ramp=10m @version-label=t @backends=blue=1
    service blue ip=None
    slice blue-x of=blue blue-1@10.1.0.1
    service green ip=None
    slice green-x of=green green-1@10.1.0.2
    slice web-x of=web web-1@10.1.0.3
    pod web-1 ip=10.1.0.3 t=old version=v1";

/// What is asked of `web`, and what there is of it.
fn seen(index: &Index) -> (Vec<String>, Vec<String>) {
    let joined = joined(index, "web");
    let view = joined.view.as_ref().unwrap();
    let words = view.annotations.iter();
    let words = words.map(|(key, value)| format!("{key}: {value}"));
    let listed = index.annotations(&ServiceKey::new("shop", "web"));
    assert_eq!(listed, view.annotations);
    (words.collect(), shown(&joined))
}

#[test]
fn a_resource_wins_as_a_whole_and_its_end_brings_the_annotations_back() {
    let mut index = cluster(SHOP);
    let mut marks = || {
        let dirty = index.take_dirty();
        dirty.services.iter().any(|key| &*key.name == "web")
    };
    assert!(marks());
    let annotated = seen(&index);
    assert_eq!(
        annotated.0,
        [
            "backends: blue=1",
            "ramp: 10m",
            "strategy: linear",
            "version-label: t"
        ]
    );
    let ignored = "! 4 annotations, from `shiftdns.io/backends` on, are ignored: the ServiceRollout of the service's name wins as a whole";

    apply(&mut index, r#"rollout web {"soak":"5s"}"#);
    assert!(index.take_dirty().services.len() == 1);
    let (words, lines) = seen(&index);
    assert_eq!(words, ["soak: 5s"]);
    // Neither its backends nor its label for versions are those of the annotations.
    assert_eq!(lines, ["10.1.0.3 ready v1", "- v1=v1 1 pods", ignored,]);
    assert_eq!(
        joined(&index, "web").view.unwrap().policy_of,
        PolicySource::Resource { origin: None }
    );

    let green = r#"rollout web {"backends":[{"service":"green","weight":1},{"service":"gone","weight":1}]}"#;
    apply(&mut index, green);
    let joined_now = joined(&index, "web");
    let problems: Vec<String> = joined_now
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        problems,
        [
            format!("service shop/web: {}", &ignored[2..]),
            "servicerollout shop/web: backend `gone` has no endpoints: there is no such service in the namespace".to_owned(),
        ]
    );
    index.take_dirty();
    // The backends of the resource are watched, those of the annotation are not.
    index.apply(change(
        "slice green-x of=green green-1@10.1.0.2 green-2@10.1.0.9",
    ));
    assert!(
        index
            .take_dirty()
            .services
            .contains(&ServiceKey::new("shop", "web"))
    );
    index.apply(change(
        "slice blue-x of=blue blue-1@10.1.0.1 blue-2@10.1.0.8",
    ));
    assert!(
        !index
            .take_dirty()
            .services
            .contains(&ServiceKey::new("shop", "web"))
    );
    index.apply(change("slice blue-x of=blue blue-1@10.1.0.1"));

    apply(&mut index, "- rollout web");
    assert!(
        index
            .take_dirty()
            .services
            .contains(&ServiceKey::new("shop", "web"))
    );
    assert_eq!(seen(&index), annotated);
    assert_eq!(
        joined(&index, "web").view.unwrap().policy_of,
        PolicySource::Annotations
    );
    index.apply(change("slice blue-x of=blue blue-1@10.1.0.1!"));
    assert!(
        index
            .take_dirty()
            .services
            .contains(&ServiceKey::new("shop", "web"))
    );
}

#[test]
fn of_its_status_only_it_itself_is_marked() {
    let mut index = cluster(SHOP);
    apply(&mut index, r#"rollout web {"soak":"5s"}"#);
    index.take_dirty();
    let (mut resource, _) = resource(&json!({"soak": "5s"}));
    resource.uid = "ServiceRollout-shop-web".into();
    resource.version = "8".into();
    resource.memory = Some("more".into());
    let changed = Object::ServiceRollout(resource.into());
    index.apply(crate::objects::Change::Apply(changed));
    let dirty = index.take_dirty();
    assert!(dirty.services.is_empty(), "{dirty:?}");
    assert_eq!(dirty.resources.len(), 1);
}

#[test]
fn a_resource_without_its_service_is_told() {
    let forlorn =
        "servicerollout shop/web: has no effect: there is no Service of its name in the namespace";
    let told = |index: &mut Index| -> Option<Vec<String>> {
        let news = index.changed_problems()?;
        Some(news.iter().map(ToString::to_string).collect())
    };
    let mut index = cluster(r#"rollout web {"soak":"5s"}"#);
    // As long as no Service is known, they are still to come.
    assert_eq!(told(&mut index).unwrap_or_default(), [""; 0]);
    apply(&mut index, "service other ip=None");
    assert_eq!(told(&mut index).unwrap(), [forlorn]);
    apply(&mut index, "service web ip=None");
    assert_eq!(told(&mut index).unwrap(), [""; 0]);
    apply(&mut index, "- service web");
    assert_eq!(told(&mut index).unwrap(), [forlorn]);
    apply(&mut index, "- rollout web");
    assert_eq!(told(&mut index).unwrap(), [""; 0]);
}
