//! What of a directory is given anew when it changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use proptest::sample::select;
use proptest::{collection::vec, option, prop_assert_eq};

use super::{Manifests, POD, WEB, dir, shown, write};
use crate::objects::{Change, Kind, Object};

#[test]
fn only_what_differs_is_given_anew() {
    let pods: String = (0..100)
        .map(|n| format!("{}---\n", POD.replace("web-1", &format!("p{n}"))))
        .collect();
    let dir = dir(&[("a.yaml", &pods), ("b.yaml", WEB)]);
    let mut manifests = Manifests::new(dir.path().into());
    manifests.load().unwrap();
    let mut check = |expected: &[&str]| {
        let loaded = manifests.load_if_changed().unwrap();
        let shown = loaded.map(|loaded| shown(dir.path(), &loaded));
        assert_eq!(shown.unwrap_or_default(), expected);
    };
    check(&[]);
    write(dir.path(), "b.yaml", &WEB.replace("None", "10.0.0.1"));
    check(&["+ Service shop/web D/b.yaml:1"]);
    // What moves is the same object in another place.
    let last = pods.replace("name: p99\n", "name: p99\n  deletionTimestamp: x\n");
    write(dir.path(), "a.yaml", &last);
    check(&["+ Pod shop/p99 D/a.yaml:595"]);
    write(
        dir.path(),
        "a.yaml",
        &last.replace("name: p98\n", "\n  name: p98\n"),
    );
    check(&["+ Pod shop/p99 D/a.yaml:596"]);
    // Two of one name: the first counts while it is there.
    write(dir.path(), "c.yaml", WEB);
    check(&[
        "+ Service shop/web D/b.yaml:1",
        "! D/c.yaml:1: service shop/web: ignored: it stands a first time at D/b.yaml:1; remove one of the two",
    ]);
    fs::remove_file(dir.path().join("b.yaml")).unwrap();
    check(&["+ Service shop/web D/c.yaml:1"]);
    fs::remove_file(dir.path().join("c.yaml")).unwrap();
    check(&["- Service shop/web"]);
}

/// All objects by what they are called, folded as an index folds them.
#[derive(Debug, Default, PartialEq)]
struct Folded(BTreeMap<(Kind, String, String), (Object, String)>);

impl Folded {
    fn fold(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Apply(object) => self.put(object),
                Change::Delete {
                    kind,
                    namespace,
                    name,
                } => {
                    self.0
                        .remove(&(kind, namespace.to_string(), name.to_string()));
                }
                Change::Reset { kind, objects } => {
                    self.0.retain(|(known, _, _), _| *known != kind);
                    objects.into_iter().for_each(|object| self.put(object));
                }
            }
        }
    }

    fn put(&mut self, object: Object) {
        let (namespace, name) = (object.namespace().to_string(), object.name().to_string());
        let origin = object.origin().unwrap().to_string();
        self.0
            .insert((object.kind(), namespace, name), (object, origin));
    }
}

/// What a file holds after an edit; `None` for one that is deleted.
fn text() -> impl Strategy<Value = Option<String>> {
    let name = || select(vec!["a", "b", "c"]);
    let object = prop_oneof![
        (name(), select(vec!["None", "10.0.0.1", "10.0.0.2"])).prop_map(|(name, ip)| {
            format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{clusterIP: {ip}}}\n---\n")
        }),
        name().prop_map(|name| {
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n---\n")
        }),
        Just("apiVersion: v1\nkind: Secret\n---\n".to_owned()),
        Just("# a line more\n---\n".to_owned()),
    ];
    let start = "apiVersion: v1\nkind: Secret\n---\n";
    option::of(vec(object, 0..6).prop_map(move |objects| format!("{start}{}", objects.concat())))
}

fn edit(dir: &Path, file: &str, text: Option<&String>) {
    match text {
        Some(text) => write(dir, file, text),
        None => drop(fs::remove_file(dir.join(file))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_given_anew_adds_up_to_what_is_there(
        edits in vec(vec((select(vec!["1.yaml", "2.yaml", "3.yaml"]), text()), 1..4), 1..12),
    ) {
        let dir = dir(&[]);
        let mut manifests = Manifests::new(dir.path().into());
        let mut folded = Folded::default();
        for batch in edits {
            for (file, text) in &batch {
                edit(dir.path(), file, text.as_ref());
            }
            let anew = Manifests::new(dir.path().into()).load().unwrap();
            if let Some(loaded) = manifests.load_if_changed().unwrap() {
                folded.fold(loaded.changes);
                prop_assert_eq!(loaded.problems, anew.problems);
            }
            let mut expected = Folded::default();
            expected.fold(anew.changes);
            prop_assert_eq!(&folded, &expected);
        }
    }
}
