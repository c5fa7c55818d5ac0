//! What is read from directories of manifests.

mod changes;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::{Loaded, Manifests, parse, watch};
use crate::objects::{Change, Kind, Object};

const WEB: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {clusterIP: None}\n";
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-1\n  namespace: shop\n";

fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        write(dir.path(), name, text);
    }
    dir
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Objects as `Kind ns/name file:line`, with a `+` or `-` where only what differs is given, then Problems with a `!`;
/// the directory is called `D`.
fn shown(dir: &Path, loaded: &Loaded) -> Vec<String> {
    let show = |object: &Object| {
        let (namespace, name) = (object.namespace(), object.name());
        let origin = object.origin().unwrap();
        format!("{} {namespace}/{name} {origin}", object.kind())
    };
    let mut lines = Vec::new();
    for change in &loaded.changes {
        match change {
            Change::Reset { objects, .. } => lines.extend(objects.iter().map(show)),
            Change::Apply(object) => lines.push(format!("+ {}", show(object))),
            Change::Delete {
                kind,
                namespace,
                name,
            } => lines.push(format!("- {kind} {namespace}/{name}")),
        }
    }
    lines.extend(loaded.problems.iter().map(|problem| format!("! {problem}")));
    let dir = dir.display().to_string();
    lines.iter().map(|line| line.replace(&dir, "D")).collect()
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let dir = dir(files);
    let loaded = Manifests::new(dir.path().into()).load().unwrap();
    assert_eq!(loaded.changes.len(), Kind::ALL.len());
    assert_eq!(shown(dir.path(), &loaded), expected);
}

#[test]
fn files_hold_documents_of_any_mix() {
    let both = format!("# all of it\n---\n{POD}---\n# nothing\n---\n\n{WEB}");
    let json = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}"#;
    check(
        &[
            ("a/all.yaml", &both),
            ("b.json", json),
            ("c.yml", json),
            ("notes.txt", "{"),
        ],
        &[
            "Namespace /shop D/b.json:1",
            "Pod shop/web-1 D/a/all.yaml:3",
            "Service shop/web D/a/all.yaml:12",
            "! D/c.yml:1: namespace shop: ignored: it stands a first time at D/b.json:1; remove one of the two",
        ],
    );
}

#[test]
fn files_without_objects_are_fine() {
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n";
    let config =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: \"{{ not parsed }}\n";
    check(
        &[
            ("a.yaml", ""),
            ("b.yaml", "# words\n---\n"),
            ("c.yaml", crd),
            ("d.yaml", config),
            ("e.json", ""),
        ],
        &[],
    );
}

#[test]
fn lists_are_taken_apart() {
    let list = "apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      note: |
        - not an item
      kubectl.kubernetes.io/last-applied-configuration: |
        {\"apiVersion\":\"v1\",\"kind\":\"Service\"}
    managedFields:
    - apiVersion: v1
      fieldsType: FieldsV1
      fieldsV1:
        f:spec:
          f:ports:
            k:{\"port\":80,\"protocol\":\"TCP\"}:
              .: {}
      manager: kubectl
    name: web
    namespace: shop
  spec:
    clusterIP: 10.0.0.1
- apiVersion: v1
  kind: Secret
  metadata:
    name: s
- apiVersion: v1
  kind: Node
  metadata:
    name: n1
kind: List
metadata:
  resourceVersion: \"\"
";
    check(
        &[("a.yaml", list)],
        &["Node /n1 D/a.yaml:28", "Service shop/web D/a.yaml:3"],
    );
    let flow = "{kind: PodList, apiVersion: v1, items: [{metadata: {name: p}}]}";
    check(&[("a.yaml", flow)], &["Pod default/p D/a.yaml:1"]);
    let anchored = "kind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: &m {name: p}\n- apiVersion: v1\n  kind: Node\n  metadata: *m\n";
    check(
        &[("a.yaml", anchored)],
        &["Node /p D/a.yaml:6", "Pod default/p D/a.yaml:3"],
    );
    let json = "{\"kind\": \"PodList\",\n \"apiVersion\": \"v1\", \"items\": [\n  {\"metadata\": {\"name\": \"p\"}},\n  {\"metadata\": {\"name\": \"q\"}}]}";
    check(
        &[("a.json", json)],
        &["Pod default/p D/a.json:3", "Pod default/q D/a.json:4"],
    );
}

#[test]
fn json_lists_are_read_item_by_item() {
    // kubectl writes the kind behind the items, an API server before them.
    for text in [
        "{\"apiVersion\": \"apps/v1\", \"items\": [{\"metadata\": {\"name\": \"d\"}}],\n\"kind\": \"DeploymentList\"}",
        "{\"kind\": \"DeploymentList\", \"apiVersion\": \"apps/v1\", \"items\": [{\"metadata\": {\"name\": \"d\"}}]}",
    ] {
        check(
            &[("a.json", text), ("b.yaml", "")],
            &["Deployment default/d D/a.json:1"],
        );
    }
    let other = "{\"kind\": \"Basket\", \"apiVersion\": \"v1\",\n \"items\": [{\"kind\": \"Pod\", \"apiVersion\": \"v1\", \"metadata\": {\"name\": \"p\"}}]}";
    let node = "{\"kind\": \"Node\", \"apiVersion\": \"v1\", \"metadata\": {\"name\": \"n\"}}";
    check(
        &[("a.json", &format!("{node}\n{other}"))],
        &["Node /n D/a.json:1"],
    );
    let broken = format!(
        "{{\"kind\": \"List\", \"items\": [\n{node},\n{{\n\"kind\": Pod}},\n{node} {node}]}}"
    );
    check(
        &[("a.json", &broken)],
        &[
            "Node /n D/a.json:2",
            "! D/a.json:4: not JSON: expected value",
            "! D/a.json:5: not JSON: expected `,` or `]`",
            "! D/a.json:5: node n: ignored: it stands a first time at D/a.json:2; remove one of the two",
            "! D/a.json:5: node n: ignored: it stands a first time at D/a.json:2; remove one of the two",
        ],
    );
    let flow = "{kind: Pod, apiVersion: v1, metadata: {name: p}}";
    check(&[("a.yaml", flow)], &["Pod default/p D/a.yaml:1"]);
}

#[test]
fn thousands_of_pods_in_one_list_are_read() {
    let mut text = String::from("apiVersion: v1\nitems:\n");
    for n in 0..3000 {
        text += &format!(
            "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: p{n}\n  spec:\n    containers:\n    - env:\n"
        );
        for e in 0..30 {
            text += &format!("      - name: E{e}\n        value: v\n");
        }
    }
    text += "kind: List\n";
    let (objects, problems) = parse("all.yaml", &text);
    assert_eq!((objects.len(), problems), (3000, vec![]));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let nameless = format!("{WEB}---\n# a pod\napiVersion: v1\nkind: Pod\nmetadata: {{}}\n");
    check(
        &[("a.yaml", &nameless)],
        &[
            "Service shop/web D/a.yaml:1",
            "! D/a.yaml:7: a pod without `metadata.name` is ignored; give it a name",
        ],
    );
    let (objects, problems) = parse(
        "b.yaml",
        &format!("{POD}---\nkind: Pod\nmetadata:\n  name: [\n"),
    );
    assert_eq!(objects.len(), 1);
    let told = problems[0].to_string();
    assert_eq!(told, "b.yaml:9: not YAML: unclosed bracket '['");
    let (_, problems) = parse("c.json", "{\n\"a\": 1,\n}");
    assert_eq!(
        problems[0].to_string(),
        "c.json:3: not JSON: trailing comma"
    );
    let twice = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  name: b\n";
    assert_eq!(
        parse("d.yaml", twice).1[0].to_string(),
        "d.yaml:5: not YAML: duplicate mapping key: name"
    );
}

#[test]
fn an_object_is_never_filed_under_a_namespace_it_does_not_name() {
    let object = |kind: &str, namespace: &str| {
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: web, namespace: {namespace}}}\n")
    };
    for (written, read) in [
        ("n", "false"),
        ("7", "7"),
        ("true", "true"),
        ("[shop]", "[…]"),
    ] {
        let (objects, problems) = parse("a.yaml", &object("Service", written));
        assert_eq!(objects, []);
        assert_eq!(
            problems[0].to_string(),
            format!(
                "a.yaml:1: a service is ignored: `metadata.namespace` is `{read}`, which is not a text; put it in \
                 quotes"
            )
        );
    }
    for absent in ["null", "\"\""] {
        let (objects, problems) = parse("a.yaml", &object("Service", absent));
        assert_eq!((&**objects[0].namespace(), problems), ("default", vec![]));
    }
    assert_eq!(parse("a.yaml", &object("Node", "7")).0.len(), 1);
}

#[test]
fn what_stands_around_the_items_of_a_list_is_read_too() {
    for (text, told) in [
        (
            format!("{EXPORT}a: [\n"),
            "a.yaml:17: not YAML: unclosed bracket '['",
        ),
        (format!("b: 'x\n{EXPORT}"), "not YAML: "),
    ] {
        let (objects, problems) = parse("a.yaml", &text);
        let told = problems.iter().filter(|p| p.to_string().contains(told));
        assert_eq!(told.count(), 1, "{text}{problems:?}");
        assert!(objects.len() <= 2);
    }
    // An alias behind the items of what stands in one of them.
    let aliased = EXPORT
        .replace("name: n1", "name: &n n1")
        .replace("\"\"", "*n");
    let (objects, problems) = parse("a.yaml", &aliased);
    assert_eq!((objects.len(), problems), (2, vec![]));
}

#[test]
fn a_broken_file_keeps_its_last_good_objects() {
    let dir = dir(&[("a.yaml", &format!("{POD}---\n{WEB}")), ("b.yaml", "a: [")]);
    let mut manifests = Manifests::new(dir.path().into());
    let first = manifests.load().unwrap();
    let objects = ["Pod shop/web-1 D/a.yaml:1", "Service shop/web D/a.yaml:7"];
    assert_eq!(shown(dir.path(), &first)[..2], objects);
    assert_eq!((first.files, first.problems.len()), (2, 1));
    write(dir.path(), "a.yaml", &format!("{WEB}---\nkind: [\n"));
    let second = manifests.load().unwrap();
    assert_eq!(shown(dir.path(), &second)[..2], objects);
    assert!(
        second.problems[0]
            .to_string()
            .ends_with("(the last good 2 objects of this file are kept)")
    );
    // Still, after another broken version; until the file is whole again.
    write(dir.path(), "a.yaml", "kind: [");
    assert_eq!(shown(dir.path(), &manifests.load().unwrap())[..2], objects);
    write(dir.path(), "a.yaml", WEB);
    fs::remove_file(dir.path().join("b.yaml")).unwrap();
    assert_eq!(
        shown(dir.path(), &manifests.load().unwrap()),
        ["Service shop/web D/a.yaml:1"]
    );
}

/// A whole cluster as kubectl writes it: what the items are stands behind them.
const EXPORT: &str = "apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: web
    namespace: shop
  spec:
    clusterIP: None
- apiVersion: v1
  kind: Node
  metadata:
    name: n1
kind: List
metadata:
  resourceVersion: \"\"
";

#[test]
fn an_export_that_is_still_being_written_takes_nothing_away() {
    let dir = dir(&[("all.yaml", EXPORT)]);
    let mut manifests = Manifests::new(dir.path().into());
    let whole = shown(dir.path(), &manifests.load().unwrap());
    assert_eq!(whole.len(), 2);
    // Wherever the writer is, down to the word that makes it a list.
    let end = EXPORT.find("kind: List").unwrap() + "kind: List".len();
    for length in 0..end {
        write(dir.path(), "all.yaml", &EXPORT[..length]);
        let loaded = shown(dir.path(), &manifests.load().unwrap());
        assert_eq!(loaded[..2], whole, "after {length} octets");
        assert!(
            loaded[2].starts_with("! D/all.yaml:"),
            "after {length} octets"
        );
    }
    write(dir.path(), "all.yaml", EXPORT);
    assert_eq!(shown(dir.path(), &manifests.load().unwrap()), whole);
}

#[test]
fn a_file_that_is_emptied_keeps_its_last_good_objects_until_it_is_deleted() {
    let empty = "is empty; its last good objects are kept, delete the file to remove them";
    for text in ["", "\n \n", "# moved elsewhere\n---\n"] {
        let dir = dir(&[("a.yaml", WEB), ("b.yaml", "")]);
        let mut manifests = Manifests::new(dir.path().into());
        let web = "Service shop/web D/a.yaml:1".to_owned();
        assert_eq!(shown(dir.path(), &manifests.load().unwrap()), [&*web]);
        write(dir.path(), "a.yaml", text);
        let kept = [web, format!("! D/a.yaml:1: {empty}")];
        assert_eq!(shown(dir.path(), &manifests.load().unwrap()), kept);
        // Broken in between, it is as it was.
        write(dir.path(), "a.yaml", "kind: [");
        manifests.load().unwrap();
        write(dir.path(), "a.yaml", text);
        assert_eq!(shown(dir.path(), &manifests.load().unwrap()), kept);
        // Another kind of object is no accident.
        write(dir.path(), "a.yaml", "apiVersion: v1\nkind: Secret\n");
        assert_eq!(shown(dir.path(), &manifests.load().unwrap()), [""; 0]);
        write(dir.path(), "a.yaml", WEB);
        fs::remove_file(dir.path().join("a.yaml")).unwrap();
        assert_eq!(shown(dir.path(), &manifests.load().unwrap()), [""; 0]);
    }
}

#[test]
fn what_ought_to_have_a_kind_and_has_none_is_told() {
    for (file, text) in [
        ("a.yaml", "apiVersion: v1\n"),
        ("a.yaml", "items: []\n"),
        ("a.yaml", "apiVe"),
        ("a.json", "{\"apiVersion\": \"v1\"}"),
        ("a.json", "{\"apiVersion\": \"v1\", \"items\": [{}]}"),
        (
            "a.yaml",
            "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1}]\n",
        ),
    ] {
        let (objects, problems) = parse(file, text);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [format!("{file}:1: incomplete: no `kind`")],
            "{text}"
        );
        assert_eq!(objects, [], "{text}");
    }
    // Others' files.
    assert_eq!(parse("values.yaml", "replicas: 3\n").1, []);
}

#[test]
fn a_file_that_never_was_whole_gives_what_it_has() {
    let files = [("a.yaml", &*format!("{WEB}---\nkind: [\n"))];
    let dir = dir(&files);
    let mut manifests = Manifests::new(dir.path().into());
    assert_eq!(
        shown(dir.path(), &manifests.load().unwrap())[0],
        "Service shop/web D/a.yaml:1"
    );
    write(dir.path(), "a.yaml", &format!("{POD}---\nkind: [\n"));
    assert_eq!(
        shown(dir.path(), &manifests.load().unwrap())[0],
        "Pod shop/web-1 D/a.yaml:1"
    );
}

#[test]
fn a_config_map_mount_is_read_once_and_swapped_as_a_whole() {
    let dir = dir(&[("..2026_1/web.yaml", WEB), ("..2026_2/web.yaml", POD)]);
    symlink("..2026_1", dir.path().join("..data")).unwrap();
    symlink("..data/web.yaml", dir.path().join("web.yaml")).unwrap();
    symlink("web.yaml", dir.path().join("again.yaml")).unwrap();
    symlink(".", dir.path().join("loop")).unwrap();
    symlink("nowhere", dir.path().join("gone.yaml")).unwrap();
    let mut manifests = Manifests::new(dir.path().into());
    assert_eq!(
        shown(dir.path(), &manifests.load().unwrap()),
        ["Service shop/web D/again.yaml:1"]
    );
    assert!(manifests.is_unchanged());
    assert!(manifests.load_if_changed().unwrap().is_none());
    symlink("..2026_2", dir.path().join("..tmp")).unwrap();
    fs::rename(dir.path().join("..tmp"), dir.path().join("..data")).unwrap();
    assert!(!manifests.is_unchanged());
    let second = manifests.load_if_changed().unwrap().unwrap();
    assert_eq!(
        shown(dir.path(), &second),
        ["- Service shop/web", "+ Pod shop/web-1 D/again.yaml:1"]
    );
}

#[test]
fn a_directory_that_is_not_there_is_an_error_and_loses_nothing() {
    let dir = dir(&[("m/a.yaml", WEB)]);
    let mut manifests = Manifests::new(dir.path().join("m"));
    manifests.load().unwrap();
    fs::rename(dir.path().join("m"), dir.path().join("n")).unwrap();
    let error = manifests.load().unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read the manifests in `"),
        "{error}"
    );
    fs::rename(dir.path().join("n"), dir.path().join("m")).unwrap();
    // Who was told that it is gone must learn that it is back.
    assert!(!manifests.is_unchanged());
    assert!(manifests.load_if_changed().unwrap().is_some());
    assert!(manifests.load_if_changed().unwrap().is_none());
    // One file will do.
    let one = Manifests::new(dir.path().join("m/a.yaml")).load().unwrap();
    assert_eq!(one.files, 1);
}

#[test]
fn a_watch_tells_what_is_new_and_ends_when_dropped() {
    let dir = dir(&[("a.yaml", WEB)]);
    let mut manifests = Manifests::new(dir.path().into());
    manifests.load().unwrap();
    let (sender, receiver) = mpsc::channel();
    let watch = watch(dir.path().into(), manifests, move |loaded| {
        let _ = sender.send(loaded);
    })
    .unwrap();
    let patience = Duration::from_secs(20);
    write(dir.path(), "b/c.yaml", POD);
    let loaded = receiver.recv_timeout(patience).unwrap().unwrap();
    let expected = ["+ Pod shop/web-1 D/b/c.yaml:1"];
    assert_eq!(shown(dir.path(), &loaded), expected);
    // A touch without news is not told; the next thing told is the removal.
    write(dir.path(), "b/c.yaml", POD);
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    let loaded = receiver.recv_timeout(patience).unwrap().unwrap();
    assert_eq!(shown(dir.path(), &loaded), ["- Service shop/web"]);
    fs::remove_dir_all(dir.path()).unwrap();
    // A look in the middle of the removal may find less before it finds nothing.
    while receiver.recv_timeout(patience).unwrap().is_ok() {}
    drop(watch);
    let ended = loop {
        if let Err(ended) = receiver.recv_timeout(patience) {
            break ended;
        }
    };
    assert_eq!(ended, mpsc::RecvTimeoutError::Disconnected);
}

#[test]
fn a_watch_tells_of_a_directory_that_is_back_with_what_it_had() {
    let dir = dir(&[("m/a.yaml", WEB)]);
    let mut manifests = Manifests::new(dir.path().join("m"));
    manifests.load().unwrap();
    let (sender, receiver) = mpsc::channel();
    let _watch = watch(dir.path().join("m"), manifests, move |loaded| {
        let _ = sender.send(loaded);
    })
    .unwrap();
    let patience = Duration::from_secs(20);
    fs::rename(dir.path().join("m"), dir.path().join("n")).unwrap();
    receiver.recv_timeout(patience).unwrap().unwrap_err();
    fs::rename(dir.path().join("n"), dir.path().join("m")).unwrap();
    let back = receiver.recv_timeout(patience).unwrap().unwrap();
    assert_eq!((back.changes, back.problems), (vec![], vec![]));
}

#[test]
fn a_directory_below_that_cannot_be_read_hides_its_own_files_only() {
    let dir = dir(&[("a.yaml", WEB), ("m/b.yaml", POD)]);
    let mut manifests = Manifests::new(dir.path().into());
    let pod = "Pod shop/web-1 D/m/b.yaml:1";
    let expected = [pod, "Service shop/web D/a.yaml:1"];
    assert_eq!(shown(dir.path(), &manifests.load().unwrap()), expected);
    // A link to itself is what even root cannot read.
    let (m, n) = (dir.path().join("m"), dir.path().join("n"));
    fs::rename(&m, dir.path().join(".n")).unwrap();
    symlink("m", &m).unwrap();
    write(dir.path(), "a.yaml", &WEB.replace("web", "new"));
    let loaded = shown(dir.path(), &manifests.load().unwrap());
    assert_eq!(loaded[..2], [pod, "Service shop/new D/a.yaml:1"]);
    assert!(
        loaded[2].starts_with("! D/m:1: cannot be read: "),
        "{loaded:?}"
    );
    assert!(
        loaded[2].ends_with("; what is known of it is kept"),
        "{loaded:?}"
    );
    assert!(manifests.is_unchanged());
    fs::remove_file(&m).unwrap();
    fs::rename(dir.path().join(".n"), &n).unwrap();
    let expected = ["Pod shop/web-1 D/n/b.yaml:1", "Service shop/new D/a.yaml:1"];
    assert_eq!(shown(dir.path(), &manifests.load().unwrap()), expected);
}

#[test]
fn files_that_change_together_are_read_together() {
    let dir = dir(&[]);
    // Two files of one revision each, as a ConfigMap mount has them.
    let files = ["a.yaml", "b.yaml", "c.yaml", "d.yaml"];
    for (n, file) in ["..1", "..2"]
        .iter()
        .zip([1, 2])
        .flat_map(|r| files.map(|f| (r, f)))
    {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}, labels: {{a: r{}}}}}\n",
            &file[..1],
            n.1
        );
        write(dir.path(), &format!("{}/{file}", n.0), &pod);
    }
    let swap = |to: &str| {
        symlink(to, dir.path().join("..tmp")).unwrap();
        fs::rename(dir.path().join("..tmp"), dir.path().join("..data")).unwrap();
    };
    swap("..1");
    for file in files {
        symlink(format!("..data/{file}"), dir.path().join(file)).unwrap();
    }
    // At most a swap for each load, so that a load that is tried again finds peace.
    let (loads, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut mixed = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            for n in 0..300 {
                while loads.load(Ordering::Relaxed) == last {
                    thread::yield_now();
                }
                last = loads.load(Ordering::Relaxed);
                thread::sleep(Duration::from_micros(37 * (n as u64 % 10)));
                swap(["..2", "..1"][n % 2]);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut manifests = Manifests::new(dir.path().into());
        while !is_over.load(Ordering::Relaxed) {
            loads.fetch_add(1, Ordering::Relaxed);
            let loaded = manifests.load().unwrap();
            let pods = loaded.changes.iter().find_map(|change| match change {
                Change::Reset {
                    kind: Kind::Pod,
                    objects,
                } => Some(objects),
                _ => None,
            });
            let labels: Vec<_> = pods
                .unwrap()
                .iter()
                .map(|pod| pod.meta().labels.get("a"))
                .collect();
            if labels != [labels[0]; 4] {
                mixed.push(format!("{labels:?}"));
            }
        }
    });
    assert_eq!(mixed, [""; 0]);
}
