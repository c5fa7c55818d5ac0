//! Manifests and configurations as people write them: what cannot be obeyed is told with its place, and everything
//! else is served on.

mod rig;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use rig::{NODATA, NXDOMAIN, Rig, cluster};
use shiftdns::app::{self, Source};
use shiftdns::config::{self, Flags};
use shiftdns::files::Manifests;
use tempfile::TempDir;

/// A service that is without fault.
const GOOD: &str = "namespace shop
    clusterip good.shop 10.96.0.1 http:80";

/// A server fed from a directory, as `serve --manifests` feeds it.
struct Fed {
    dir: TempDir,
    manifests: Manifests,
    rig: Rig,
}

impl Fed {
    /// A directory with `good.yaml` and `bad.yaml`.
    fn new(bad: &str) -> Self {
        let mut config = rig::config();
        config.reverse = vec!["10.0.0.0/8".parse().expect("a range")];
        let dir = TempDir::new().expect("a directory");
        let manifests = Manifests::new(dir.path().to_owned());
        let rig = Rig::unsynced(&config);
        let mut fed = Self {
            dir,
            manifests,
            rig,
        };
        fed.write("good.yaml", &cluster(GOOD));
        fed.write("bad.yaml", bad);
        fed.load();
        fed
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.dir.path().join(file), text).expect("written");
    }

    fn load(&mut self) {
        let loaded = self.manifests.load().expect("the directory can be read");
        self.rig.apply_batch(loaded.changes, loaded.problems);
    }

    /// As a watch does it.
    fn load_changes(&mut self) {
        let loaded = self.manifests.load_if_changed();
        let loaded = loaded.expect("the directory can be read");
        let loaded = loaded.expect("something changed");
        self.rig.apply_batch(loaded.changes, loaded.problems);
    }

    /// The problems, files without their directory; and the good service is answered all the same.
    fn check_problems(&self, expected: &[&str]) {
        let prefix = format!("{}/", self.dir.path().display());
        let problems = self.rig.problems();
        let problems: Vec<String> = problems.iter().map(|p| p.replace(&prefix, "")).collect();
        assert_eq!(problems, expected);
        self.check_a("good", 30, &["10.96.0.1"]);
    }

    fn check_a(&self, service: &str, ttl: u32, addresses: &[&str]) {
        let name = format!("{service}.shop.svc.Z");
        let lines: String = addresses
            .iter()
            .map(|a| format!("{name}. {ttl} A {a}\n"))
            .collect();
        self.rig
            .check(&format!("{name} A"), &format!("NOERROR aa\n{lines}"));
    }
}

/// What `shiftdns check` of a file says, and its exit code.
fn check_command(dir: &Path, file: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_shiftdns"))
        .args(["check", file])
        .current_dir(dir)
        .output()
        .expect("it runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code(), stdout)
}

#[test]
fn a_file_that_is_no_yaml_is_told_with_its_line() {
    let mut fed = Fed::new(
        "apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: [shop
spec:
  clusterIP: 10.96.0.2
",
    );
    let problems = fed.rig.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("/bad.yaml:"), "{problems:?}");
    assert!(problems[0].contains(": not YAML: "), "{problems:?}");
    fed.check_a("good", 30, &["10.96.0.1"]);
    // A typing mistake must not take down what was served before it was made.
    fed.write("bad.yaml", &cluster("clusterip web.shop 10.96.0.2 http:80"));
    fed.load();
    fed.check_problems(&[]);
    fed.check_a("web", 30, &["10.96.0.2"]);
    fed.write("bad.yaml", "kind: Service\n metadata: {");
    fed.load();
    let problems = fed.rig.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].ends_with(" (the last good 1 objects of this file are kept)"),
        "{problems:?}"
    );
    fed.check_a("web", 30, &["10.96.0.2"]);
    fed.check_a("good", 30, &["10.96.0.1"]);
    // Who writes a file anew empties it first.
    fed.write("bad.yaml", "");
    fed.load();
    fed.check_problems(&[
        "bad.yaml:1: is empty; its last good objects are kept, delete the file to remove them",
    ]);
    fed.check_a("web", 30, &["10.96.0.2"]);
    fs::remove_file(fed.dir.path().join("bad.yaml")).expect("removed");
    fed.load();
    fed.check_problems(&[]);
    fed.rig.check("web.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn an_object_without_a_name_is_ignored_and_its_neighbours_are_not() {
    let fed = Fed::new(
        "apiVersion: v1
kind: Service
metadata:
  namespace: shop
spec:
  clusterIP: 10.96.0.2
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.3}
---
apiVersion: example.com/v1
kind: Whatever
",
    );
    fed.check_problems(&[
        "bad.yaml:1: a service without `metadata.name` is ignored; give it a name",
    ]);
    fed.check_a("web", 30, &["10.96.0.3"]);
}

/// A headless service with two versions and `annotations`.
fn two_versions(annotations: &str) -> String {
    cluster(&format!(
        "headless web.shop http:80 {annotations}
         slice web.shop http:80 | 10.1.0.1 @v1 | 10.1.0.2 @v2"
    ))
}

#[test]
fn weights_that_are_none_keep_the_last_good_ones() {
    let mut fed = Fed::new(&two_versions("weights=v1=90,v2=-1"));
    let negative = "bad.yaml:1: service shop/web: weights: `v2=-1` is not `name=weight` with a weight from 0 to 65535";
    fed.check_problems(&[negative]);
    // Nothing was good before, so every endpoint counts the same.
    fed.check_a("web", 5, &["10.1.0.1", "10.1.0.2"]);
    fed.write("bad.yaml", &two_versions("weights=v1=1,v2=0"));
    fed.load();
    fed.check_problems(&[]);
    fed.check_a("web", 5, &["10.1.0.1"]);
    fed.write("bad.yaml", &two_versions("weights=v1=90,v2=-1"));
    fed.load();
    fed.check_problems(&[negative]);
    fed.check_a("web", 5, &["10.1.0.1"]);
}

#[test]
fn weights_that_are_all_zero_take_nothing_out() {
    let fed = Fed::new(&two_versions("weights=v1=0,v2=0"));
    fed.check_problems(&[
        "bad.yaml:1: service shop/web: weights: `v1=0,v2=0` has no weight above 0; to take a service out, delete it \
         or its endpoints",
    ]);
    fed.check_a("web", 5, &["10.1.0.1", "10.1.0.2"]);
}

#[test]
fn a_weight_for_a_version_that_is_not_there_leaves_the_others() {
    let fed = Fed::new(&two_versions("weights=v1=1,v3=99"));
    fed.check_problems(&[
        "bad.yaml:1: service shop/web: weights: no version `v3` behind this service; known: v1, v2",
    ]);
    fed.check_a("web", 5, &["10.1.0.1"]);
    let fed = Fed::new(&two_versions("weights=v3=99"));
    fed.check_problems(&[
        "bad.yaml:1: service shop/web: weights: no version `v3` behind this service; known: v1, v2",
        "bad.yaml:1: service shop/web: weights: no version with a weight above 0 is there; every ready endpoint \
         counts the same",
    ]);
    fed.check_a("web", 5, &["10.1.0.1", "10.1.0.2"]);
}

#[test]
fn an_annotation_that_is_not_ours_is_told_with_the_one_that_was_meant() {
    let fed = Fed::new(&two_versions("wieghts=v1=1 soak=5 answer=some"));
    fed.check_problems(&[
        "bad.yaml:1: service shop/web: `shiftdns.io/wieghts` is not an annotation of ShiftDNS; did you mean `weights`?",
        "bad.yaml:1: service shop/web: answer: `some` is none of `auto`, `all`, `mixed`, `pure`",
        "bad.yaml:1: service shop/web: soak: `5` is not a duration such as `90s`, `10m` or `1h`, of at most 168h",
    ]);
    fed.check_a("web", 5, &["10.1.0.1", "10.1.0.2"]);
}

#[test]
fn a_cluster_ip_of_two_services_belongs_to_the_older() {
    let younger =
        cluster("clusterip late.shop 10.96.0.1 http:80").replace("2026-03-01", "2026-03-02");
    let mut fed = Fed::new(&younger);
    fed.check_problems(&[
        "bad.yaml:1: service shop/late: cluster IP `10.96.0.1` is also that of shop/good, which is older",
    ]);
    fed.check_a("late", 30, &["10.96.0.1"]);
    let name = "1.0.96.10.in-addr.arpa";
    fed.rig.check(
        &format!("{name} PTR"),
        &format!("NOERROR aa\n {name}. 30 PTR good.shop.svc.Z."),
    );
    // Which is older may change while neither address does, as when a service is made anew.
    let older = younger.replace("2026-03-02", "2026-02-01");
    fed.write("bad.yaml", &older);
    fed.load();
    fed.check_problems(&[
        "good.yaml:2: service shop/good: cluster IP `10.96.0.1` is also that of shop/late, which is older",
    ]);
    fed.rig.check(
        &format!("{name} PTR"),
        &format!("NOERROR aa\n {name}. 30 PTR late.shop.svc.Z."),
    );
}

#[test]
fn an_endpoint_at_a_cluster_ip_does_not_get_its_reverse_name() {
    let fed = Fed::new(&cluster(
        "headless web.shop http:80
         slice web.shop http:80 | 10.96.0.1 host=mine",
    ));
    let name = "1.0.96.10.in-addr.arpa";
    fed.rig.check(
        &format!("{name} PTR"),
        &format!("NOERROR aa\n {name}. 30 PTR good.shop.svc.Z."),
    );
}

#[test]
fn a_hostname_that_is_no_label_gives_way_to_the_address() {
    let fed = Fed::new(&cluster(
        "headless db.shop pg:5432
         slice db.shop pg:5432 | 10.1.0.1 host=db.0 | 10.1.0.2 host=_tcp | 10.1.0.3 host=DB-2 | 10.1.0.4 host=-x",
    ));
    fed.check_problems(&[
        "bad.yaml:2: service shop/db: endpointslice `db-1`: hostname `db.0` and 2 more is not a DNS label; the \
         endpoint is named by its address",
    ]);
    fed.check_a("10-1-0-1.db", 5, &["10.1.0.1"]);
    fed.check_a("10-1-0-2.db", 5, &["10.1.0.2"]);
    fed.check_a("db-2.db", 5, &["10.1.0.3"]);
    fed.check_a("10-1-0-4.db", 5, &["10.1.0.4"]);
    fed.rig.check("0.db.shop.svc.Z A", NXDOMAIN);
    fed.rig.check("_tcp.db.shop.svc.Z A", NODATA);
}

#[test]
fn of_ten_thousand_endpoints_a_thousand_are_answered() {
    let endpoints: String = (0..10_000)
        .map(|n| format!(" | 10.1.{}.{}", n / 250, n % 250 + 1))
        .collect();
    let fed = Fed::new(&cluster(&format!(
        "headless web.shop http:80\n slice web.shop http:80{endpoints}"
    )));
    fed.check_problems(&[
        "bad.yaml:1: service shop/web: 9000 of 10000 endpoints are left out: 1000 are allowed; raise \
         `limits.endpointsPerService` or `limits.endpointsPerNamespace`",
    ]);
    let count = |question: &str| {
        let query = rig::query(question);
        let over_udp = rig::decode(&fed.rig.udp(&query).expect("an answer"));
        assert!(over_udp.metadata.truncation, "{question} is cut over UDP");
        let over_tcp = rig::decode(&fed.rig.tcp(&query).expect("an answer"));
        assert!(
            !over_tcp.metadata.truncation,
            "{question} is whole over TCP"
        );
        over_tcp.answers.len()
    };
    assert_eq!(count("web.shop.svc.Z A"), 1000);
    assert_eq!(count("_http._tcp.web.shop.svc.Z SRV"), 1000);
    fed.check_a("10-1-0-1.web", 5, &["10.1.0.1"]);
}

#[test]
fn srv_records_that_fit_no_message_are_left_out_and_told() {
    let host = |n: usize| format!("{}-{n:03}", "h".repeat(59));
    let endpoints: String = (0..900)
        .map(|n| format!(" | 10.1.{}.{} host={}", n / 250, n % 250 + 1, host(n)))
        .collect();
    let fed = Fed::new(&cluster(&format!(
        "headless web.shop http:80\n slice web.shop http:80{endpoints}"
    )));
    let problems = fed.rig.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let text = "SRV records do not fit in a message of 65535 octets and are left out";
    assert!(
        problems[0].contains("bad.yaml:1: service shop/web: "),
        "{problems:?}"
    );
    assert!(problems[0].ends_with(text), "{problems:?}");
    let query = rig::query("_http._tcp.web.shop.svc.Z SRV");
    let answer = rig::decode(&fed.rig.tcp(&query).expect("an answer"));
    assert!(!answer.metadata.truncation && answer.answers.len() > 500);
    fed.check_a("good", 30, &["10.96.0.1"]);
}

#[test]
fn a_slice_of_host_names_is_ignored() {
    let fed = Fed::new(&cluster(
        "headless web.shop http:80
         slice web.shop http:80 | web.example.com
         slice web.shop http:80 | 10.1.0.1",
    ));
    fed.check_problems(&[
        "bad.yaml:2: service shop/web: endpointslice `web-1`: ignored: addressType `FQDN` is not answered",
    ]);
    fed.check_a("web", 5, &["10.1.0.1"]);
}

#[test]
fn an_address_that_is_denied_is_not_answered() {
    let fed = Fed::new(&cluster(
        "headless web.shop http:80
         slice web.shop http:80 | 127.0.0.1 host=lo | 10.1.0.1 | 169.254.169.254
         slice web.shop http:80 | ::ffff:127.0.0.1 | ::1",
    ));
    fed.check_problems(&[
        "bad.yaml:2: service shop/web: endpointslice `web-1`: address `127.0.0.1` and 1 more is denied by \
         `addressDeny`",
        "bad.yaml:3: service shop/web: endpointslice `web-2`: address `::ffff:127.0.0.1` and 1 more is denied by \
         `addressDeny`",
    ]);
    fed.check_a("web", 5, &["10.1.0.1"]);
    fed.rig.check("web.shop.svc.Z AAAA", NODATA);
    fed.rig.check("lo.web.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn a_cluster_ip_that_is_denied_is_not_answered() {
    let fed = Fed::new(
        "apiVersion: v1
kind: Service
metadata: {name: one, namespace: shop}
spec: {clusterIP: 127.0.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: shop}
spec: {clusterIPs: [169.254.169.254, 10.96.0.2]}
",
    );
    fed.check_problems(&[
        "bad.yaml:1: service shop/one: cluster IP `127.0.0.1` is denied by `addressDeny`",
        "bad.yaml:6: service shop/two: cluster IP `169.254.169.254` is denied by `addressDeny`",
    ]);
    fed.rig.check("one.shop.svc.Z A", NODATA);
    fed.check_a("two", 30, &["10.96.0.2"]);
}

#[test]
fn values_of_the_wrong_kind_are_left_out_one_by_one() {
    let fed = Fed::new(
        "apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.300
  ports:
  - {name: http, port: 80}
  - {name: much, port: 70000}
---
apiVersion: v1
kind: Service
metadata: {name: Web.2, namespace: shop}
spec: {clusterIP: 10.96.0.4}
---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: shop}
spec: {type: ExternalName, externalName: 10.0.0.1}
",
    );
    fed.check_problems(&[
        "bad.yaml:1: service shop/web: `spec.clusterIPs` is ignored: `10.96.0.300` is not an IP address",
        "bad.yaml:1: service shop/web: `spec.ports[1].port` is ignored: `70000` is not a port from 1 to 65535",
        "bad.yaml:10: service shop/Web.2: no names: the name `Web.2` is not a lower-case DNS label",
        "bad.yaml:15: service shop/far: no names: externalName `10.0.0.1` is not a host name",
    ]);
    fed.rig.check("web.shop.svc.Z A", NODATA);
    fed.rig.check("far.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn a_problem_moves_with_its_object_and_changes_no_answer() {
    let text = cluster(
        "headless web.shop http:80 weights=nonsense\n slice web.shop http:80 | 10.1.0.1 host=a.b",
    );
    let mut fed = Fed::new(&text);
    let generation = || fed.rig.running().view.generation();
    let before = (fed.rig.problems().len(), generation());
    assert_eq!(before.0, 2);
    fed.write("bad.yaml", &format!("\n{text}"));
    fed.load_changes();
    let after = (
        fed.rig.problems().len(),
        fed.rig.running().view.generation(),
    );
    assert_eq!(after, before);
    for (problem, line) in fed
        .rig
        .problems()
        .iter()
        .zip(["/bad.yaml:2:", "/bad.yaml:3:"])
    {
        assert!(problem.contains(line), "{problem}");
    }
}

#[test]
fn an_object_that_stands_twice_is_read_once() {
    let fed = Fed::new(&cluster("clusterip good.shop 10.96.0.9 http:80"));
    // Files are read in the order of their names, so the first is the one in `bad.yaml`.
    let problems = fed.rig.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("good.yaml:2: service shop/good: ignored: it stands a first time at "),
        "{problems:?}"
    );
    fed.check_a("good", 30, &["10.96.0.9"]);
}

#[test]
fn check_says_what_is_wrong_and_where_and_fails() {
    let dir = TempDir::new().expect("a directory");
    let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).expect("written");
    write("good.yaml", &cluster(GOOD));
    assert_eq!(
        check_command(dir.path(), "good.yaml"),
        (Some(0), "no problems\n".into())
    );
    write("weights.yaml", &two_versions("weights=v1=90,v2=-1"));
    assert_eq!(
        check_command(dir.path(), "weights.yaml"),
        (
            Some(1),
            "weights.yaml:1: service shop/web: weights: `v2=-1` is not `name=weight` with a weight from 0 to 65535\n"
                .into()
        )
    );
    write("nameless.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {}\n");
    assert_eq!(
        check_command(dir.path(), "nameless.yaml"),
        (
            Some(1),
            "nameless.yaml:1: a pod without `metadata.name` is ignored; give it a name\n".into()
        )
    );
    write(
        "config.yaml",
        "apiVersion: shiftdns.io/v1alpha1\nkind: Config\nzones:\n- cluster.local\n- not..a.name\n",
    );
    let (code, said) = check_command(dir.path(), "config.yaml");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("config.yaml:5: zones: ") && said.contains("not..a.name"),
        "{said}"
    );
}

#[test]
fn a_zone_that_is_not_a_name_is_told_before_anything_starts() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("config.yaml");
    for (zone, says) in [
        ("a..b", "`a..b`"),
        ("\"\"", "``"),
        (&format!("{}.local", "x".repeat(64)), "xxx"),
    ] {
        let text = format!("apiVersion: shiftdns.io/v1alpha1\nkind: Config\nzones: [{zone}]\n");
        fs::write(&path, text).expect("written");
        let error = config::load(Some(&path), &Flags::default()).expect_err(zone);
        let error = error.to_string();
        assert!(error.contains("config.yaml:3: zones: "), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_port_that_is_taken_is_told_and_nothing_starts() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address");
    let mut config = rig::config();
    config.listen = vec![address];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let error = runtime
        .block_on(app::start(&config, Source::Caller))
        .expect_err("the port is taken");
    let said = format!("{:#}", anyhow::Error::from(error));
    assert!(said.starts_with("cannot answer DNS: "), "{said}");
    assert!(said.contains(&address.to_string()), "{said}");
    assert!(said.contains("in use"), "{said}");
}

/// The example cluster, as `serve --manifests zones/examples` has it.
fn example() -> Rig {
    let loaded = Manifests::new("zones/examples".into())
        .load()
        .expect("it can be read");
    assert_eq!(loaded.problems, []);
    let mut config = rig::config();
    config.reverse = vec!["10.0.0.0/8".parse().expect("a range")];
    let rig = Rig::unsynced(&config);
    rig.apply_batch(loaded.changes, loaded.problems);
    rig
}

#[test]
fn the_example_cluster_has_no_problems() {
    assert_eq!(example().problems(), Vec::<String>::new());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(
        check_command(dir, "zones/examples"),
        (Some(0), "no problems\n".into())
    );
    assert_eq!(
        check_command(dir, "zones/demo"),
        (Some(0), "no problems\n".into())
    );
}

#[test]
fn the_example_cluster_answers_as_it_stands() {
    let rig = example();
    // A slice that someone else writes, without targets.
    rig.check(
        "kubernetes.default.svc.Z A",
        "NOERROR aa\n kubernetes.default.svc.Z. 30 A 10.96.0.1",
    );
    rig.check(
        "192-168-10-3.kubernetes.default.svc.Z A",
        "NOERROR aa\n 192-168-10-3.kubernetes.default.svc.Z. 5 A 192.168.10.3",
    );
    // One number for two protocols.
    rig.check(
        "kube-dns.kube-system.svc.Z SRV",
        "NOERROR aa
         kube-dns.kube-system.svc.Z. 30 SRV 0 256 53 kube-dns.kube-system.svc.Z.
         kube-dns.kube-system.svc.Z. 30 SRV 0 256 9153 kube-dns.kube-system.svc.Z.
         add kube-dns.kube-system.svc.Z. 30 A 10.96.0.10",
    );
    rig.check(
        "10.0.96.10.in-addr.arpa PTR",
        "NOERROR aa\n 10.0.96.10.in-addr.arpa. 30 PTR kube-dns.kube-system.svc.Z.",
    );
    // Ports that differ between the slices.
    rig.check(
        "_grpc._tcp.checkout.shop.svc.Z SRV",
        "NOERROR aa
         _grpc._tcp.checkout.shop.svc.Z. 5 SRV 0 256 9090 10-244-2-51.checkout.shop.svc.Z.
         _grpc._tcp.checkout.shop.svc.Z. 5 SRV 0 256 9191 10-244-3-51.checkout.shop.svc.Z.
         add 10-244-2-51.checkout.shop.svc.Z. 5 A 10.244.2.51
         add 10-244-3-51.checkout.shop.svc.Z. 5 A 10.244.3.51",
    );
    rig.check(
        "assets.shop.svc.Z A",
        "NOERROR aa\n assets.shop.svc.Z. 30 CNAME assets.cdn.example.net.",
    );
    // Nothing stands behind it.
    rig.check("search.shop.svc.Z A", NXDOMAIN);
    // Both families.
    rig.check(
        "cache.data.svc.Z AAAA",
        "NOERROR aa
         cache.data.svc.Z. 5 AAAA fd00:10:244:2::47
         cache.data.svc.Z. 5 AAAA fd00:10:244:3::47",
    );
    rig.check(
        "bank.payments.svc.Z A",
        "NOERROR aa
         bank.payments.svc.Z. 5 A 203.0.113.7
         bank.payments.svc.Z. 5 A 203.0.113.8",
    );
    // A DaemonSet at rest.
    rig.check(
        "stable._role.node-agent.kube-system.svc.Z A",
        "NOERROR aa
         stable._role.node-agent.kube-system.svc.Z. 5 A 10.244.1.7
         stable._role.node-agent.kube-system.svc.Z. 5 A 10.244.2.7",
    );
    rig.check("canary.node-agent.kube-system.svc.Z A", NODATA);
}

/// The `_rollout` line of a service, without the moment since when and the digest.
fn rollout(rig: &Rig, service: &str) -> String {
    let answer = rig.ask(&format!("_rollout.{service}.svc.Z TXT"));
    let line = answer.split('"').nth(1).unwrap_or(&answer);
    let words: Vec<&str> = line
        .split(' ')
        .filter(|w| !w.starts_with("since=") && !w.starts_with("digest="))
        .collect();
    words.join(" ")
}

#[test]
fn the_example_clusters_roll_outs_have_their_versions_and_roles() {
    let rig = example();
    // A rolling update: one new pod is ready, three old ones are, one of those goes.
    assert_eq!(
        rollout(&rig, "web.shop"),
        "workload=web state=Progressing kind=update target=1-5-0 stable=1-4-2 strategy=follow ttl=5 generation=1"
    );
    rig.check(
        "canary.web.shop.svc.Z A",
        "NOERROR aa\n canary.web.shop.svc.Z. 5 A 10.244.1.31",
    );
    rig.check(
        "1-4-2._version.web.shop.svc.Z A",
        "NOERROR aa
         1-4-2._version.web.shop.svc.Z. 5 A 10.244.1.21
         1-4-2._version.web.shop.svc.Z. 5 A 10.244.2.21
         1-4-2._version.web.shop.svc.Z. 5 A 10.244.3.21",
    );
    // An undo: the target is the older ReplicaSet.
    assert_eq!(
        rollout(&rig, "cart.shop"),
        "workload=cart state=RollingBack kind=rollback target=2-0-0 stable=2-1-0 strategy=follow ttl=5 generation=1"
    );
    // A partition that stands; the unready peer is published.
    assert_eq!(
        rollout(&rig, "db.data"),
        "workload=db state=Paused kind=update target=17-2 stable=17-1 strategy=follow ttl=5 generation=1 \
         note=partition 2 stands"
    );
    rig.check(
        "17-2.db.data.svc.Z A",
        "NOERROR aa\n 17-2.db.data.svc.Z. 5 A 10.244.3.62",
    );
    rig.check(
        "db-1.db.data.svc.Z A",
        "NOERROR aa\n db-1.db.data.svc.Z. 5 A 10.244.2.61",
    );
    // Weights on a ClusterIP service that answers its endpoints: v1 may carry 80 % only with more pods than two of
    // three, so all three carry the same.
    rig.check("pay.payments.svc.Z AAAA", NODATA);
    rig.check(
        "_https._tcp.pay.payments.svc.Z SRV",
        "NOERROR aa
         _https._tcp.pay.payments.svc.Z. 5 SRV 0 256 8443 10-244-1-81.pay.payments.svc.Z.
         _https._tcp.pay.payments.svc.Z. 5 SRV 0 256 8443 10-244-1-82.pay.payments.svc.Z.
         _https._tcp.pay.payments.svc.Z. 5 SRV 0 256 8443 10-244-2-81.pay.payments.svc.Z.
         add 10-244-1-81.pay.payments.svc.Z. 5 A 10.244.1.81
         add 10-244-1-82.pay.payments.svc.Z. 5 A 10.244.1.82
         add 10-244-2-81.pay.payments.svc.Z. 5 A 10.244.2.81",
    );
}
