//! The commands of the program, in every form, against a running server.

mod rig;

use std::process::{Command, Output};

use rig::{Rig, cluster, config};
use serde_json::Value;
use tempfile::TempDir;

/// A roll-out in steps of which each waits for a person; and a service at rest.
const SHOP: &str = "namespace shop
    headless web.shop http:80 strategy=steps steps=10,50,100
    deployment web.shop 4 v1=aaa v2=bbb
    slice web.shop http:80 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-aaa | 10.1.0.3 @web-aaa | 10.1.0.4 @web-aaa
    slice web.shop http:80 | 10.1.0.5 @web-bbb | 10.1.0.6 @web-bbb
    clusterip api.shop 10.96.0.10 http:80
    slice api.shop http:80 | 10.1.1.1 @v1";

fn serve() -> Rig {
    let mut config = config();
    config.api.actions = true;
    Rig::with(&config, &cluster(SHOP))
}

/// The program, with no cluster at hand.
fn program(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shiftdns"));
    command
        .args(line.split_whitespace())
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", "/nonexistent");
    command
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).expect("UTF-8")
}

/// What a command that asks `rig` prints.
fn run(rig: &Rig, line: &str) -> String {
    let mut command = program(line);
    let output = command.args(["--server", &format!("http://{}", rig.api)]);
    let Output {
        status,
        stdout,
        stderr,
    } = output.output().expect("it runs");
    assert!(status.success(), "{line}: {}", text(stderr));
    text(stdout)
}

/// What the API says at a path, without what changes from moment to moment.
fn said(rig: &Rig, path: &str) -> Value {
    let url = format!("http://{}{path}", rig.api);
    let mut response = ureq::get(url).call().expect("an answer");
    let body = response.body_mut().read_to_string().expect("text");
    still(&serde_json::from_str(&body).expect("JSON"))
}

fn still(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(resolved) = value.as_object_mut() {
        // The draw of an answer, and the order that it rotates.
        resolved.remove("answers");
        resolved.remove("text");
        resolved.remove("id");
    }
    value
}

#[test]
fn programs_are_told_what_the_api_says() {
    let rig = serve();
    for (line, path) in [
        ("get", "/api/v1/services"),
        ("get shop/web", "/api/v1/services/shop/web"),
        ("explain shop/web", "/api/v1/services/shop/web"),
        ("status shop/api", "/api/v1/services/shop/api"),
        ("history shop/web", "/api/v1/services/shop/web/history"),
        (
            "query api.shop.svc.cluster.local A",
            "/api/v1/resolve?name=api.shop.svc.cluster.local&type=A",
        ),
    ] {
        let expected = said(&rig, path);
        let json = run(&rig, &format!("{line} -o json"));
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(still(&json), expected, "{line}");
        let yaml = run(&rig, &format!("{line} --output=yaml"));
        let yaml: Value = serde_saphyr::from_str(&yaml).expect("YAML");
        assert_eq!(still(&yaml), expected, "{line}");
        // For people it is neither, with the flag or without; and there are no colours, since this is no terminal.
        let table = run(&rig, &format!("{line} -o table"));
        assert!(!table.contains('{'), "{table}");
        assert!(!table.contains('\x1b'), "{table:?}");
        if !line.starts_with("get") {
            assert_eq!(run(&rig, line), table, "{line}");
        }
    }
}

#[test]
fn people_see_bars_targets_and_ages() {
    let rig = serve();
    let table = run(&rig, "get");
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let titles = [
        "NAMESPACE",
        "NAME",
        "KIND",
        "STATE",
        "STRATEGY",
        "READY",
        "VERSIONS",
        "TARGET",
        "SHARE",
        "TTL",
        "AGE",
    ];
    assert_eq!(lines[0], titles);
    let web = lines.iter().find(|line| line[1] == "web").expect("a line");
    let expected = [
        "shop",
        "web",
        "Headless",
        "Paused",
        "steps",
        "6/6",
        "=========#",
        "v1",
        "90.00%,",
        "v2",
        "10.00%",
        "v2",
        "10.00%",
    ];
    assert_eq!(web[..13], expected, "{table}");
    assert!(web[13].ends_with('s') && web[14].ends_with('s'), "{table}");
}

#[test]
fn a_watch_that_is_no_terminal_goes_on_in_plain_text() {
    use std::io::{BufRead as _, BufReader};
    let rig = serve();
    let mut command = program("get shop/web -w");
    command.args(["--server", &format!("http://{}", rig.api)]);
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = |what: &str| {
        let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with(what)));
        found.expect("it goes on").expect("text")
    };
    assert!(next("State:").contains("Paused since"));
    run(&rig, "abort shop/web");
    assert!(next("State:").contains("Aborted since"));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_asked() {
    let refused = |line: &str| {
        let output = program(line).output().expect("it runs");
        (output.status.code(), text(output.stderr))
    };
    let (code, told) = refused("get -o xml");
    assert_eq!(code, Some(2));
    assert!(
        told.contains("[possible values: json, yaml, table]"),
        "{told}"
    );
    let (code, told) = refused("get --kubeconfig /nonexistent/file");
    assert_eq!(code, Some(1));
    let expected = "shiftdns: cannot reach a server in the cluster: cannot use the kubeconfig `/nonexistent/file`";
    assert!(told.starts_with(expected), "{told}");
    let (code, told) = refused("get --server http://127.0.0.1:1 --token-file /nonexistent/token");
    assert_eq!(code, Some(1));
    assert!(
        told.starts_with("shiftdns: cannot read `/nonexistent/token`"),
        "{told}"
    );
}

#[test]
fn shells_and_manuals_know_every_command() {
    let printed = |line: &str| {
        let output = program(line).output().expect("it runs");
        assert!(output.status.success(), "{}", text(output.stderr));
        text(output.stdout)
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&format!("completions {shell}"));
        for word in ["promote", "history", "simulate"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = printed("man");
    assert!(page.contains(".TH shiftdns 1"), "{page}");
    let dir = TempDir::new().expect("a directory");
    let inside = dir.path().join("man1");
    printed(&format!("man {}", inside.display()));
    for page in ["shiftdns.1", "shiftdns-get.1", "shiftdns-promote.1"] {
        assert!(inside.join(page).is_file(), "{page}");
    }
}

#[test]
fn as_a_plugin_of_kubectl_it_is_the_same_program() {
    let dir = TempDir::new().expect("a directory");
    let plugin = dir.path().join("kubectl-shiftdns");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_shiftdns"), &plugin).expect("a link");
    let help = Command::new(&plugin).args(["get", "--help"]).output();
    let help = text(help.expect("it runs").stdout);
    assert!(
        help.contains("Usage: kubectl shiftdns get [OPTIONS] [NS/SERVICE]"),
        "{help}"
    );
    let rig = serve();
    let listed = Command::new(&plugin)
        .args([
            "get",
            "-o",
            "json",
            "--server",
            &format!("http://{}", rig.api),
        ])
        .output()
        .expect("it runs");
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed["services"].as_array().map(Vec::len), Some(2));
}
