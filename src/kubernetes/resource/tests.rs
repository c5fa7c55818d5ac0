//! The schema, the slim reader and the judge of annotations say the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::model::{
    AnswerMode, OnFailure, Policy, PolicySource, RollbackMode, ServiceKey, StrategyKind,
};
use crate::objects::{Change, Document, Index, Kind, Reader, Settings};
use crate::rollout::{self, ANNOTATIONS, Memory};

/// For each annotation, a spec with it, and that in the words of the annotations.
fn table() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "abort",
            json!({"abort": ["7c9d8b6f54", "b"]}),
            "abort: 7c9d8b6f54,b",
        ),
        ("answer", json!({"answer": "pure"}), "answer: pure"),
        (
            "auto-promotion",
            json!({"strategy": "blue-green", "autoPromotion": "10m"}),
            "auto-promotion: 10m; strategy: blue-green",
        ),
        (
            "backends",
            json!({"strategy": "blue-green", "backends":
                [{"service": "web-blue", "weight": 100}, {"service": "web-green", "weight": 0}]}),
            "backends: web-blue=100,web-green=0; strategy: blue-green",
        ),
        ("clamp", json!({"clamp": false}), "clamp: off"),
        ("endpoints", json!({"endpoints": true}), "endpoints: true"),
        ("headroom", json!({"headroom": 1000}), "headroom: 1000"),
        (
            "on-failure",
            json!({"onFailure": "hold"}),
            "on-failure: hold",
        ),
        ("pause", json!({"pause": ["web-6d4b"]}), "pause: web-6d4b"),
        (
            "promote",
            json!({"promote": [{"revision": "a", "step": 32}, {"revision": "b", "full": true}]}),
            "promote: a@32,b@full",
        ),
        ("ramp", json!({"ramp": "168h"}), "ramp: 168h"),
        ("records", json!({"records": 8}), "records: 8"),
        (
            "retry",
            json!({"retry": [{"revision": "a", "count": u32::MAX}]}),
            "retry: a@4294967295",
        ),
        (
            "rollback",
            json!({"rollback": "immediate"}),
            "rollback: immediate",
        ),
        (
            "slow-start",
            json!({"slowStart": "1h30m"}),
            "slow-start: 1h30m",
        ),
        ("soak", json!({"soak": "0s"}), "soak: 0s"),
        (
            "steps",
            json!({"strategy": "steps", "steps":
                [{"weight": 0, "hold": "30s"}, {"weight": 50}, {"weight": 100}]}),
            "steps: 0@30s,50,100; strategy: steps",
        ),
        (
            "sticky",
            json!({"sticky": "source/32"}),
            "sticky: source/32",
        ),
        (
            "strategy",
            json!({"strategy": "follow"}),
            "strategy: follow",
        ),
        (
            "ttl",
            json!({"ttl": {"endpoints": 3600, "rollout": 0}}),
            "ttl: endpoints=3600,rollout=0",
        ),
        (
            "version-label",
            json!({"versionLabel": "example.com/release"}),
            "version-label: example.com/release",
        ),
        (
            "weights",
            json!({"strategy": "manual", "weights":
                [{"version": "v1.0_rc", "weight": 65535}, {"version": "unversioned", "weight": 0}]}),
            "strategy: manual; weights: v1.0_rc=65535,unversioned=0",
        ),
    ]
}

/// The schema of one part, by its path through properties and items.
fn schema(path: &[&str]) -> JSONSchemaProps {
    let version = definition().spec.versions.remove(0);
    let mut schema = version.schema.unwrap().open_api_v3_schema.unwrap();
    for key in path {
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items {
            schema = *items;
        }
        schema = schema.properties.unwrap().remove(*key).unwrap();
    }
    schema
}

/// What is asked of `shop/web` by its ServiceRollout, and what a judge says of that.
fn judged(resource: &Value) -> (Vec<String>, Vec<String>) {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"clusterIP": "None"}});
    let mut index = Index::new(Settings::default());
    let (mut reader, mut flaws) = (Reader::default(), Vec::new());
    for value in [service, resource.clone()] {
        let Document::Object(object) = reader.read(&serde_json::from_value(value).unwrap()) else {
            panic!("no object");
        };
        flaws.extend(object.problems());
        index.apply(Change::Apply(object));
    }
    let joined = index.view(&ServiceKey::new("shop", "web")).unwrap();
    let view = joined.view.unwrap();
    let (_, problems) = rollout::policy(&view, &Policy::default(), &Memory::default());
    let words = view.annotations.iter();
    let words = words.map(|(key, value)| format!("{key}: {value}"));
    let problems = flaws.into_iter().chain(problems);
    let problems = problems.map(|problem| problem.text);
    (words.collect(), problems.collect())
}

#[test]
fn every_annotation_has_its_field_and_no_field_has_none() {
    let source = PolicySource::Resource { origin: None };
    let fields: BTreeSet<String> = ANNOTATIONS.iter().map(|word| source.place(word)).collect();
    let properties = schema(&["spec"]).properties.unwrap();
    let properties: BTreeSet<String> = properties
        .keys()
        .map(|field| format!("spec.{field}"))
        .collect();
    assert_eq!(properties, fields);
    let told: Vec<&str> = table().iter().map(|(word, ..)| *word).collect();
    assert_eq!(told, ANNOTATIONS);
}

#[test]
fn a_spec_is_read_into_the_words_of_the_annotations() {
    for (word, spec, expected) in table() {
        let typed: ServiceRolloutSpec = serde_json::from_value(spec.clone()).unwrap();
        let mut resource = ServiceRollout::new("web", typed);
        resource.metadata.namespace = Some("shop".into());
        let written = serde_json::to_value(&resource).unwrap();
        assert_eq!(written["spec"], spec, "{word}");
        let (words, problems) = judged(&written);
        assert_eq!(words.join("; "), expected);
        assert_eq!(problems, [""; 0], "{word}");
    }
}

#[test]
fn the_schema_has_the_words_of_the_judge() {
    let words = |field: &str| -> Vec<String> {
        let words = schema(&["spec", field]).enum_.unwrap();
        words
            .into_iter()
            .map(|word| word.0.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        words("strategy"),
        StrategyKind::ALL.map(StrategyKind::as_str)
    );
    assert_eq!(words("answer"), AnswerMode::ALL.map(AnswerMode::as_str));
    assert_eq!(words("onFailure"), OnFailure::ALL.map(OnFailure::as_str));
    assert_eq!(
        words("rollback"),
        RollbackMode::ALL.map(RollbackMode::as_str)
    );
}

/// The judge takes what stands at a bound of the schema, and not what stands behind it.
#[test]
fn the_bounds_of_the_schema_are_those_of_the_judge() {
    let spec = |field: &str, value: Value| {
        let mut spec = json!({});
        spec[field] = value;
        let (_, problems) = judged(
            &json!({"apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
            "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}),
        );
        problems.is_empty()
    };
    let weights =
        |weight: i64| json!([{"version": "v", "weight": 1}, {"version": "w", "weight": weight}]);
    let entry = |key: &str, value: i64| {
        let mut entry = json!({"revision": "a"});
        entry[key] = value.into();
        json!([entry])
    };
    type Make<'m> = &'m dyn Fn(i64) -> Value;
    let cases: [(&[&str], Make<'_>); 8] = [
        (&["spec", "headroom"], &|n| n.into()),
        (&["spec", "records"], &|n| n.into()),
        (&["spec", "ttl", "endpoints"], &|n| json!({"endpoints": n})),
        (&["spec", "ttl", "rollout"], &|n| json!({"rollout": n})),
        (&["spec", "weights", "weight"], &weights),
        (&["spec", "steps", "weight"], &|n| json!([{"weight": n}])),
        (&["spec", "promote", "step"], &|n| entry("step", n)),
        (&["spec", "retry", "count"], &|n| entry("count", n)),
    ];
    for (path, make) in cases {
        let schema = schema(path);
        let bound = |bound: Option<f64>| format!("{:.0}", bound.unwrap()).parse::<i64>().unwrap();
        let (least, most) = (bound(schema.minimum), bound(schema.maximum));
        for inside in [least, most] {
            assert!(spec(path[1], make(inside)), "{path:?} {inside}");
        }
        for outside in [least - 1, most + 1] {
            assert!(!spec(path[1], make(outside)), "{path:?} {outside}");
        }
    }
    for (field, entry) in [
        ("steps", (|n| json!({"weight": n})) as fn(usize) -> Value),
        (
            "weights",
            |n| json!({"version": n.to_string(), "weight": 1}),
        ),
        (
            "backends",
            |n| json!({"service": n.to_string(), "weight": 1}),
        ),
        (
            "promote",
            |n| json!({"revision": n.to_string(), "full": true}),
        ),
        ("retry", |n| json!({"revision": n.to_string(), "count": 1})),
        ("pause", |n| n.to_string().into()),
        ("abort", |n| n.to_string().into()),
    ] {
        let most = usize::try_from(schema(&["spec", field]).max_items.unwrap()).unwrap();
        let list = |count: usize| (0..count).map(entry).collect();
        assert!(spec(field, list(most)), "{field}");
        assert!(!spec(field, list(most + 1)), "{field}");
    }
}

#[test]
fn the_definition_is_that_of_the_kind_that_is_watched() {
    let definition = definition();
    let kind = Kind::ServiceRollout;
    let spec = &definition.spec;
    assert_eq!(spec.group, kind.group());
    assert_eq!(spec.names.kind, kind.as_str());
    assert_eq!(spec.names.plural, kind.plural());
    assert_eq!(spec.scope, "Namespaced");
    let [version] = &spec.versions[..] else {
        panic!("one version");
    };
    assert_eq!(version.name, kind.version());
    assert!(version.subresources.as_ref().unwrap().status.is_some());
    let columns = version.additional_printer_columns.iter().flatten();
    let columns: Vec<&str> = columns.map(|column| &*column.name).collect();
    assert_eq!(
        columns,
        [
            "SERVICE", "STATE", "STABLE", "TARGET", "SHARE", "TTL", "AGE"
        ]
    );
    let text = serde_json::to_string(&definition).unwrap();
    for unwanted in ["nullable", "null", "uint", "anyOf", "$ref", "\"default\""] {
        assert!(!text.contains(unwanted), "{unwanted}");
    }
}

/// Who has nothing to say of a part is not asked for it.
#[test]
fn nothing_in_a_status_is_required_but_what_conditions_are() {
    for path in [
        &["status"][..],
        &["status", "tracks"],
        &["status", "revisions"],
    ] {
        let mut schema = schema(path);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items {
            schema = *items;
        }
        assert_eq!(schema.required, None, "{path:?}");
    }
}

#[test]
fn a_status_says_what_there_is_to_say() {
    let nothing = serde_json::to_value(ServiceRolloutStatus::default()).unwrap();
    assert_eq!(nothing, json!({}));
    let told = json!({
        "observedGeneration": 3, "service": "shop/web", "state": "Progressing", "reason": "step", "since": "2026-01-01T00:00:00Z", "stable": "v1",
        "target": "v2", "share": "25%", "shareBasisPoints": 2500, "ttl": 5, "memory": "{}",
        "revisions": [{"revision": "7c9d8b6f54", "version": "v2", "number": 2, "role": "canary", "share": "25%",
            "workload": "deployment shop/web", "reason": "policy", "failed": "crash-loop", "ready": 3, "soaked": 2, "endpoints": 4}],
        "tracks": [{"workload": "deployment shop/web", "state": "Progressing", "kind": "update", "stable": "a",
            "since": "2026-01-01T00:00:00Z", "target": "b", "share": "25%", "step": 2, "steps": 4, "note": "hold"}],
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3, "reason": "Healthy",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "message": ""}],
    });
    let status: ServiceRolloutStatus = serde_json::from_value(told.clone()).unwrap();
    assert_eq!(serde_json::to_value(&status).unwrap(), told);
    // What a newer server wrote is no reason to stop.
    let newer = serde_json::from_value::<ServiceRolloutStatus>(
        json!({"novel": 1, "tracks": [{"novel": 1}]}),
    );
    assert_eq!(newer.unwrap().tracks, [TrackStatus::default()]);
}
