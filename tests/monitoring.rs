//! What `deploy/prometheus` and `deploy/grafana` ask for is what the server tells, and means what it says.
//!
//! The walls stand in every run: names, sentences, the chart's copies. What takes programs of others, promtool and Prometheus
//! (Debian's package `prometheus`), is ignored by plain `cargo test`:
//!
//! ```text
//! cargo test --test monitoring -- --ignored
//! ```
//!
//! Debian's Prometheus is built without its discovery by Consul; `PROMETHEUS=/path/to/prometheus` names another one, such as
//! upstream's release, and then that is tried as well.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Far above any start on loopback; a test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Metrics that others tell: the kubelet (cAdvisor), and Prometheus itself.
const OF_OTHERS: [&str; 3] = [
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "up",
];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&text("deploy/grafana/shiftdns.json")).unwrap()
}

/// All rules, those that record and those that alert.
fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&text("deploy/prometheus/rules.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap();
    let of = |group: &Value| group["rules"].as_array().unwrap().clone();
    groups.iter().flat_map(of).collect()
}

/// Title and expression of everything that the dashboard asks.
fn asked() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            all.push((
                panel["title"].as_str().unwrap().to_owned(),
                expression.to_owned(),
            ));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        let expression = annotation["expr"].as_str().unwrap();
        all.push((
            annotation["name"].as_str().unwrap().to_owned(),
            expression.to_owned(),
        ));
    }
    all
}

/// The names of metrics in an expression of PromQL: words that are not called, no keyword, and in no list of labels.
fn metrics(expression: &str) -> BTreeSet<String> {
    const WORDS: [&str; 12] = [
        "and",
        "or",
        "unless",
        "by",
        "on",
        "without",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "inf",
    ];
    const LISTS: [&str; 6] = [
        "by",
        "on",
        "without",
        "ignoring",
        "group_left",
        "group_right",
    ];
    let mut found = BTreeSet::new();
    let mut rest = expression.trim_start();
    let mut in_list = false;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let length = match first {
            '"' => rest[1..].find('"').unwrap() + 2,
            '{' => rest.find('}').unwrap() + 1,
            '[' => rest.find(']').unwrap() + 1,
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        if LISTS.contains(&token) {
            in_list = rest.starts_with('(');
        } else if token == ")" {
            in_list = false;
        } else if !in_list
            && first.is_ascii_alphabetic()
            && !WORDS.contains(&token)
            && !rest.starts_with('(')
            // An aggregation may have its labels in front: `sum by (job) (x)`.
            && !LISTS.iter().any(|list| rest.strip_prefix(list).is_some_and(|after| after.starts_with([' ', '('])) && is_aggregation(token))
        {
            found.insert(token.to_owned());
        }
    }
    found
}

fn is_aggregation(word: &str) -> bool {
    ["sum", "min", "max", "avg", "count", "count_values", "topk"].contains(&word)
}

#[test]
fn names_of_metrics_are_found_in_expressions() {
    for (expression, expected) in [
        ("a > 0", &["a"][..]),
        (
            "sum by (job, b) (rate(a_total{x=\"y\"}[5m])) / on (z) group_left () (c:d:e > 0)",
            &["a_total", "c:d:e"],
        ),
        (
            "count by (n) (count_values by (n) (\"digest\", a)) or vector(0)",
            &["a"],
        ),
        (
            "max without (instance) (a) unless b and on (i) c == 1",
            &["a", "b", "c"],
        ),
    ] {
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(metrics(expression), expected, "{expression}");
    }
}

/// Names as the code has them, without the endings that the format gives them.
fn told_by_the_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in ["metrics.rs", "metrics/services.rs", "metrics/watches.rs"] {
        let code = text(&format!("src/admin/{file}"));
        // Examples in its tests are no metrics.
        let code = code.split("#[cfg(test)]").next().unwrap();
        let mut quoted = code.split('"');
        quoted.next();
        names.extend(
            quoted
                .step_by(2)
                .filter(|name| name.starts_with("shiftdns_") && !name.contains(' '))
                .map(str::to_owned),
        );
    }
    names
}

/// Whether a name is a family's with an ending that the format may give it.
fn is_of(families: &BTreeSet<String>, name: &str) -> bool {
    const UNITS: [&str; 4] = ["", "_seconds", "_ratio", "_bytes"];
    const KINDS: [&str; 6] = ["", "_total", "_info", "_bucket", "_count", "_sum"];
    let endings = UNITS
        .iter()
        .flat_map(|unit| KINDS.map(|kind| format!("{unit}{kind}")));
    endings
        .filter_map(|ending| name.strip_suffix(&ending).map(str::to_owned))
        .any(|family| families.contains(&family))
}

#[test]
fn rules_and_dashboard_ask_for_what_is_told() {
    let told = told_by_the_code();
    assert!(told.len() > 40, "{told:?}");
    let rules = rules();
    let recorded: BTreeSet<&str> = rules
        .iter()
        .filter_map(|rule| rule["record"].as_str())
        .collect();
    let check = |whose: &str, expression: &str| {
        for name in metrics(expression) {
            let known =
                is_of(&told, &name) || recorded.contains(&*name) || OF_OTHERS.contains(&&*name);
            assert!(known, "{whose}: nobody tells `{name}`");
        }
    };
    for rule in &rules {
        let whose = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
        check(whose, rule["expr"].as_str().unwrap());
    }
    let asked = asked();
    for (title, expression) in &asked {
        check(title, expression);
        assert!(
            !expression.contains(":ratio") && !expression.contains(":rate"),
            "{title}: the dashboard works without the rules"
        );
    }
}

/// Whatever of ours is named in words for people is told as well; a name that ends in `_*` stands for several.
#[test]
fn what_the_documents_name_is_told() {
    let told = told_by_the_code();
    for file in [
        "README.md",
        "deploy/README.md",
        "CHANGELOG.md",
        "deploy/prometheus/rules.yaml",
    ] {
        let text = text(file);
        let words =
            text.split(|c: char| !c.is_ascii_alphanumeric() && !['_', '*', ':'].contains(&c));
        for word in words.filter(|word| word.starts_with("shiftdns_") && !word.contains(':')) {
            let known = match word.strip_suffix('*') {
                Some(front) => told.iter().any(|name| name.starts_with(front)),
                None => is_of(&told, word),
            };
            assert!(known, "{file}: nobody tells `{word}`");
        }
    }
}

#[test]
fn an_alert_says_what_it_means_what_to_do_and_how_grave_it_is() {
    let tested = text("deploy/prometheus/rules_test.yaml");
    let mut names = BTreeSet::new();
    for alert in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let name = alert["alert"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} stands twice");
        assert!(name.starts_with("ShiftDNS"), "{name}");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}: {severity}"
        );
        for sentence in ["summary", "description", "runbook"] {
            let said = alert["annotations"][sentence].as_str().unwrap_or_default();
            assert!(said.len() > 20, "{name}: {sentence}");
        }
        let fires = [
            format!("alertname=\"{name}\", alertstate=\"firing\""),
            format!("- alertname: {name}\n"),
        ];
        assert!(
            fires.iter().any(|fire| tested.contains(fire)),
            "{name} has no test"
        );
    }
    // What the README says is worth an alert has one.
    let readme = text("README.md");
    let worth = readme.split("\nMetrics worth an alert: ").nth(1).unwrap();
    let worth = worth.split("\n\n").next().unwrap();
    let alerts: String = rules()
        .iter()
        .map(|rule| rule["expr"].as_str().unwrap().to_owned())
        .collect();
    for name in worth.split('`').skip(1).step_by(2) {
        let name = name.split('{').next().unwrap();
        // Roll-outs that end Aborted are a counter that begins with the first one; the state is told at once.
        if name.starts_with("shiftdns_") && name != "shiftdns_rollouts_total" {
            assert!(alerts.contains(name), "README: {name}");
        }
    }
}

#[test]
fn the_chart_brings_the_same_rules_and_the_same_dashboard() {
    for (of_chart, original) in [
        (
            "deploy/helm/shiftdns/files/rules.yaml",
            "deploy/prometheus/rules.yaml",
        ),
        (
            "deploy/helm/shiftdns/files/dashboard.json",
            "deploy/grafana/shiftdns.json",
        ),
    ] {
        if std::env::var_os("SHIFTDNS_UPDATE").is_some() {
            fs::copy(root(original), root(of_chart)).unwrap();
        }
        assert!(
            text(of_chart) == text(original),
            "{of_chart} is not {original}; run `SHIFTDNS_UPDATE=1 cargo test --test monitoring`"
        );
    }
}

/// What Grafana's own schema would be asked for, as far as we write it: it is not published in a form that a program without
/// Grafana could check.
#[test]
fn the_dashboard_is_laid_out_and_its_variables_are_there() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64() >= Some(36));
    assert_eq!(dashboard["uid"], "shiftdns");
    // Who imports it gives it a number.
    assert!(dashboard["id"].is_null());
    let variables: BTreeSet<&str> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    let mut ids = BTreeSet::new();
    let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                let other = taken.insert((x, y), title.to_owned());
                assert_eq!(other, None, "{title} lies on another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(
            panel["datasource"],
            json!({"type": "prometheus", "uid": "${datasource}"})
        );
        let targets = panel["targets"].as_array().unwrap();
        let names: BTreeSet<Option<&str>> = targets
            .iter()
            .map(|target| target["refId"].as_str())
            .collect();
        assert!(
            !targets.is_empty() && names.len() == targets.len(),
            "{title}"
        );
    }
    for (title, expression) in asked() {
        for name in expression.split('$').skip(1) {
            let name = name
                .split(|c: char| c != '_' && !c.is_alphanumeric())
                .next()
                .unwrap();
            assert!(
                name == "__rate_interval" || variables.contains(name),
                "{title}: ${name}"
            );
        }
    }
}

#[test]
#[ignore = "runs promtool: Debian's package prometheus"]
fn rules_are_right_and_their_tests_pass() {
    for args in [
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "rules_test.yaml"],
    ] {
        let output = Command::new("promtool")
            .args(args)
            .current_dir(root("deploy/prometheus"))
            .output()
            .expect("promtool, of Debian's package prometheus");
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
}

/// A process that is killed when it is dropped.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Whether it comes to say something, before it ends.
    fn knows(&mut self, said: &str) -> bool {
        loop {
            let ended = self.child.try_wait().unwrap().is_some();
            if self.log().contains(said) {
                return true;
            }
            if ended {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Looks until there is something, while it runs.
    fn eventually<T>(&mut self, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(&self.log()) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{what}: {ended:?}\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "{what}\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of ours, and where it listens.
struct Ours {
    /// The process, for as long as it is to run.
    _process: Running,
    dns: SocketAddr,
    http: SocketAddr,
    api: SocketAddr,
}

fn ours(home: &Path, name: &str, args: &[&str]) -> Ours {
    const ANYWHERE: [&str; 6] = [
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_shiftdns"));
    command
        .arg("serve")
        .args(args)
        .args(ANYWHERE)
        .env("NO_COLOR", "1");
    let mut server = Running::start(&mut command, home.join(format!("{name}.log")));
    let (dns, http, api) = server.eventually("our server says where it listens", |log| {
        let after = |mark: &str| -> Option<SocketAddr> {
            let (_, rest) = log.split_once(mark)?;
            let address = rest.split_once([' ', '\n'])?.0;
            Some(address.parse().unwrap())
        };
        Some((after(" address=")?, after(" http=")?, after(" api=")?))
    });
    Ours {
        _process: server,
        dns,
        http,
        api,
    }
}

/// The program; Debian's, unless another one is named.
fn program() -> OsString {
    env::var_os("PROMETHEUS").unwrap_or_else(|| "prometheus".into())
}

/// Whether it can find services by Consul: Debian's was built without.
fn knows_consul() -> bool {
    let directory = tempfile::tempdir().unwrap();
    let configuration = json!({"scrape_configs": [{"job_name": "x",
        "consul_sd_configs": [{"server": "127.0.0.1:1"}]}]});
    let (mut prometheus, _) = prometheus(directory.path(), &configuration);
    prometheus.knows("Server is ready to receive web requests")
}

/// A Prometheus with this configuration, and where it answers.
fn prometheus(home: &Path, configuration: &Value) -> (Running, SocketAddr) {
    let file = home.join("prometheus.yml");
    fs::write(&file, configuration.to_string()).unwrap();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut command = Command::new(program());
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            home.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Running::start(&mut command, home.join("prometheus.log"));
    (prometheus, address)
}

/// A client of it.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .new_agent()
}

/// What a path answers as JSON; `None` where nobody answers yet.
fn page(agent: &ureq::Agent, address: SocketAddr, path: &str) -> Option<Value> {
    let mut response = agent.get(format!("http://{address}{path}")).call().ok()?;
    serde_json::from_str(&response.body_mut().read_to_string().ok()?).ok()
}

/// Asks for the A records of a name, and does not care for the answer.
fn ask(server: SocketAddr, name: &str) {
    let mut query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend(b"\0\0\x01\0\x01");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query, server).unwrap();
    socket.recv(&mut [0; 512]).unwrap();
}

/// Every expression is answered by a real Prometheus that scrapes real servers: one that answers from manifests, and one whose
/// cluster is not there.
#[test]
#[ignore = "runs prometheus: Debian's package of that name"]
fn a_real_prometheus_answers_every_expression() {
    /// Of which there are no series here: nothing rolled out to the end, no API server was heard, no resolver answered.
    const NOT_HERE: [&str; 5] = [
        "shiftdns_rollouts_total",
        "shiftdns_rollout_duration_seconds_bucket",
        "shiftdns_watch_age_seconds",
        "shiftdns_clock_offset_seconds",
        "shiftdns_upstream_last_success_age_seconds",
    ];
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let served = ours(
        home,
        "served",
        &["--manifests", root("zones/examples").to_str().unwrap()],
    );
    let (dns, http) = (served.dns, served.http);
    // A port where nobody listens, for as long as nobody takes it.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    fs::write(
        home.join("kubeconfig"),
        format!(
            "{{apiVersion: v1, kind: Config, clusters: [{{name: none, cluster: {{server: \"http://{closed}\"}}}}], \
             contexts: [{{name: none, context: {{cluster: none, user: none}}}}], users: [{{name: none, user: {{}}}}], \
             current-context: none}}"
        ),
    )
    .unwrap();
    fs::write(
        home.join("config.yaml"),
        format!("apiVersion: shiftdns.io/v1alpha1\nkind: Config\nupstream: [\"{closed}\"]\n"),
    )
    .unwrap();
    let lost = ours(
        home,
        "lost",
        &[
            "--config",
            home.join("config.yaml").to_str().unwrap(),
            "--kubeconfig",
            home.join("kubeconfig").to_str().unwrap(),
        ],
    );
    let (lost_dns, lost_http) = (lost.dns, lost.http);

    let configuration = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [root("deploy/prometheus/rules.yaml")],
        "scrape_configs": [{"job_name": "shiftdns", "honor_labels": true,
            "static_configs": [{"targets": [http.to_string(), lost_http.to_string()]}]}],
    });
    let (mut prometheus, address) = prometheus(home, &configuration);
    let agent = agent();
    let query = |expression: &str| -> Option<Value> {
        let url = format!("http://{address}/api/v1/query");
        let mut response = agent.post(url).send_form([("query", expression)]).ok()?;
        serde_json::from_str(&response.body_mut().read_to_string().ok()?).ok()
    };
    let rows = |answer: &Value| answer["data"]["result"].as_array().map_or(0, Vec::len);

    // A counter that has moved, and enough scrapes for a rate of it.
    let seen = |expression: &str| query(expression).is_some_and(|answer| rows(&answer) > 0);
    prometheus.eventually("both are scraped", |_| {
        seen("count(shiftdns_build_info) == 2").then_some(())
    });
    // Again and again, since a counter that begins with a query has not moved by it.
    let moved = [
        r#"sum(rate(shiftdns_queries_total{rcode="NOERROR"}[1m])) > 0"#,
        r#"sum(rate(shiftdns_queries_total{rcode="SERVFAIL"}[1m])) > 0"#,
        "sum(rate(shiftdns_answers_total[1m])) > 0",
        r#"instance_rcode:shiftdns_queries:rate5m{rcode="REFUSED"} > 0"#,
    ];
    prometheus.eventually("what is asked is counted", |_| {
        for (server, name) in [
            (dns, "web.shop.svc.cluster.local"),
            (dns, "nothing.example"),
            (lost_dns, "web.shop.svc.cluster.local"),
        ] {
            ask(server, name);
        }
        moved
            .iter()
            .all(|expression| seen(expression))
            .then_some(())
    });

    let told = |http: SocketAddr| {
        let mut response = agent.get(format!("http://{http}/metrics")).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    };
    let pages = told(http) + &told(lost_http);
    for (title, expression) in asked() {
        let plain = ["job", "instance", "namespace", "service"].iter().fold(
            expression.replace("$__rate_interval", "1m"),
            |text, name| text.replace(&format!("${name}"), ".*"),
        );
        let answer = query(&plain).unwrap();
        assert_eq!(answer["status"], "success", "{title}: {plain}: {answer}");
        assert!(answer["warnings"].is_null(), "{title}: {answer}");
        let names = metrics(&plain);
        let elsewhere = |name: &String| NOT_HERE.contains(&&**name) || OF_OTHERS.contains(&&**name);
        // A name that has a series here, written as it is asked for.
        for name in names.iter().filter(|name| !elsewhere(name)) {
            let is_there = [format!("\n{name}{{"), format!("\n{name} ")];
            assert!(
                is_there.iter().any(|line| pages.contains(line)),
                "{title}: no server tells `{name}`"
            );
        }
        // States that nothing is in have no rows by right.
        let may_be_empty = names.iter().any(elsewhere) || expression.contains("state=\"Aborted\"");
        assert!(
            may_be_empty || rows(&answer) > 0,
            "{title}: nothing: {plain}"
        );
    }

    let answer = page(&agent, address, "/api/v1/rules").unwrap();
    let mut evaluated = 0;
    for group in answer["data"]["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            assert_ne!(rule["health"], "err", "{rule}");
            evaluated += 1;
        }
    }
    assert_eq!(evaluated, rules().len());
}

/// A service of which each pod, given by number and version, is ready.
fn shop(pods: &[(u8, &str)]) -> String {
    let slice = pods.iter().map(|(number, _)| {
        json!({"addresses": [format!("10.0.0.{number}")], "conditions": {"ready": true}, "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": format!("web-{number}"),
                "uid": format!("p-{number}")}})
    });
    let slice: Vec<Value> = slice.collect();
    let mut items = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web",
            "annotations": {"shiftdns.io/weights": "v1=100,v2=0", "shiftdns.io/clamp": "off"}},
            "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 8080}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"namespace": "shop",
            "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
            "endpoints": slice, "ports": [{"name": "http", "port": 8080}]}),
    ];
    items.extend(pods.iter().map(|(number, version)| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": format!("web-{number}"),
            "uid": format!("p-{number}"), "labels": {"app": "web", "app.kubernetes.io/version": version}},
            "status": {"podIP": format!("10.0.0.{number}")}})
    }));
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// A real Prometheus finds the same endpoints by both of its discoveries that are served, with a token, and is told of a change
/// sooner than it would ask again.
#[test]
#[ignore = "runs prometheus: Debian's package of that name"]
fn a_real_prometheus_finds_the_same_targets_by_http_and_by_consul() {
    let jobs: &[&str] = match knows_consul() {
        true => &["http", "consul"],
        false => &["http"],
    };
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let manifests = home.join("manifests");
    fs::create_dir(&manifests).unwrap();
    let write = |pods: &[(u8, &str)]| {
        // As an editor does: what is read is wholly old or wholly new.
        fs::write(home.join("shop.json"), shop(pods)).unwrap();
        fs::rename(home.join("shop.json"), manifests.join("shop.json")).unwrap();
    };
    write(&[(1, "v1"), (2, "v2")]);
    let token = home.join("token");
    fs::write(&token, "s3cret\n").unwrap();
    fs::write(
        home.join("config.yaml"),
        json!({"apiVersion": "shiftdns.io/v1alpha1", "kind": "Config", "api": {"tokenFile": token}})
            .to_string(),
    )
    .unwrap();
    let served = ours(
        home,
        "served",
        &[
            "--config",
            home.join("config.yaml").to_str().unwrap(),
            "--manifests",
            manifests.to_str().unwrap(),
        ],
    );
    let api = served.api;
    let keep = |from: &str, to: &str| json!({"source_labels": [from], "target_label": to});
    // Nothing answers where the pods would be: what is found is looked at, and nobody is asked there.
    let nowhere = json!({"target_label": "__address__", "replacement": "127.0.0.1:1"});
    let mut configured = json!([
        {"job_name": "http", "http_sd_configs": [{"url": format!("http://{api}/sd/prometheus?service=web"),
            "refresh_interval": "1s", "authorization": {"type": "Bearer", "credentials": "s3cret"}}],
            "relabel_configs": [keep("__address__", "instance"), nowhere,
                keep("__meta_shiftdns_version", "version"), keep("__meta_shiftdns_share", "share")]},
        // It waits for two minutes at a time, which is longer than this test does.
        {"job_name": "consul", "consul_sd_configs": [{"server": api.to_string(), "token": "s3cret",
            "refresh_interval": "1s"}],
            "relabel_configs": [keep("__address__", "instance"), nowhere,
                keep("__meta_consul_service_metadata_version", "version"),
                keep("__meta_consul_health", "health"), keep("__meta_consul_dc", "dc")]},
    ]);
    configured.as_array_mut().unwrap().truncate(jobs.len());
    let (mut prometheus, address) = prometheus(
        home,
        &json!({
            "global": {"scrape_interval": "1h"},
            "scrape_configs": configured,
        }),
    );
    let agent = agent();
    // Address, version and what else is kept, by job.
    let found = |job: &str| -> Option<BTreeSet<String>> {
        let answer = page(&agent, address, "/api/v1/targets?state=active")?;
        let active = answer["data"]["activeTargets"].as_array()?.clone();
        let of_job = active
            .iter()
            .filter(|target| target["labels"]["job"] == *job);
        let line = |target: &Value| {
            let labels = ["instance", "version", "share", "health", "dc"];
            let texts = labels.map(|label| target["labels"][label].as_str().unwrap_or("-"));
            texts.join(" ")
        };
        Some(of_job.map(line).collect())
    };
    let mut check = |expected: [&[&str]; 2]| {
        for (job, expected) in jobs.iter().zip(expected) {
            let expected: BTreeSet<String> =
                expected.iter().map(|line| (*line).to_owned()).collect();
            prometheus.eventually(job, |_| (found(job)? == expected).then_some(()));
        }
    };
    check([
        &["10.0.0.1:8080 v1 100.00 - -", "10.0.0.2:8080 v2 0.00 - -"],
        &[
            "10.0.0.1:8080 v1 - passing cluster-local",
            "10.0.0.2:8080 v2 - critical cluster-local",
        ],
    ]);
    write(&[(1, "v1"), (3, "v1")]);
    check([
        &["10.0.0.1:8080 v1 100.00 - -", "10.0.0.3:8080 v1 100.00 - -"],
        &[
            "10.0.0.1:8080 v1 - passing cluster-local",
            "10.0.0.3:8080 v1 - passing cluster-local",
        ],
    ]);
}
