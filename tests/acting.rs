//! People act on roll-outs: through the commands of the program, on a server that keeps what they asked.

mod rig;

use std::path::Path;
use std::process::Command;

use rig::{Rig, cluster, config};
use shiftdns::app::{self, Source};
use shiftdns::config::Config;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A roll-out in steps of which each waits for a person; and a service at rest.
const SHOP: &str = "namespace shop
    headless web.shop http:80 strategy=steps steps=10,50,100
    deployment web.shop 4 v1=aaa v2=bbb
    slice web.shop http:80 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-aaa | 10.1.0.3 @web-aaa | 10.1.0.4 @web-aaa
    slice web.shop http:80 | 10.1.0.5 @web-bbb | 10.1.0.6 @web-bbb
    clusterip api.shop 10.96.0.10 http:80
    slice api.shop http:80 | 10.1.1.1 @v1";

/// A server that does what it is asked, and keeps it in `dir`.
fn serve(dir: &Path) -> Rig {
    let mut config: Config = config();
    config.api.actions = true;
    config.state = Some(dir.join("state"));
    Rig::with(&config, &cluster(SHOP))
}

/// The exit code of a command, and what it printed to standard output or else to standard error.
fn run(rig: &Rig, line: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_shiftdns"))
        .args(line.split(' '))
        .args(["--server", &format!("http://{}", rig.api)])
        .output()
        .expect("it runs");
    let [out, err] = [output.stdout, output.stderr];
    let told = if out.is_empty() { err } else { out };
    let told = String::from_utf8(told).expect("UTF-8");
    (output.status.code(), told)
}

fn check(rig: &Rig, line: &str, code: i32, expected: &str) {
    let (got, told) = run(rig, line);
    assert_eq!((got, told.trim_end()), (Some(code), expected), "{line}");
}

/// The state of a service in the list, and the share of v2, which it rolls to.
fn stands(rig: &Rig) -> String {
    let (_, list) = run(rig, "get");
    let line = list.lines().find(|line| line.contains(" web "));
    let line = line.expect("the service is listed").to_owned();
    let words: Vec<&str> = line.split_whitespace().collect();
    format!("{} {}", words[3], words[12])
}

#[test]
fn a_roll_out_is_led_to_its_end_step_by_step() {
    let dir = TempDir::new().expect("a directory");
    let rig = serve(dir.path());
    assert_eq!(stands(&rig), "Paused 10.00%");
    let done = |what: &str| format!("shop/web: Deployment shop/web: revision bbb {what}");
    check(
        &rig,
        "promote shop/web",
        0,
        &done("promoted to step 2 of 3"),
    );
    assert_eq!(stands(&rig), "Paused 50.00%");
    check(&rig, "pause shop/web --workload web", 0, &done("paused"));
    check(&rig, "resume shop/web", 0, &done("resumed"));
    check(&rig, "abort shop/web", 0, &done("aborted"));
    assert_eq!(stands(&rig), "Aborted 0.00%");
    check(
        &rig,
        "promote shop/web",
        1,
        "shiftdns: revision `bbb` failed; retry it, or promote it in full",
    );
    check(&rig, "retry shop/web", 0, &done("retried"));
    check(
        &rig,
        "promote --full shop/web",
        0,
        &done("promoted in full"),
    );
    let (code, history) = run(&rig, "history shop/web");
    assert_eq!(code, Some(0));
    let line = history
        .lines()
        .find(|line| line.contains("aborted by hand"));
    assert!(
        line.is_some_and(|line| line.contains("Aborted")),
        "{history}"
    );
}

#[test]
fn what_people_asked_survives_a_restart() {
    let dir = TempDir::new().expect("a directory");
    let rig = serve(dir.path());
    run(&rig, "promote shop/web");
    run(&rig, "abort shop/web");
    // On disk before the command has ended, not only at a polite end.
    let kept = std::fs::read_to_string(dir.path().join("state")).expect("it is written");
    assert!(kept.contains(r#""abort":["bbb"]"#), "{kept}");
    drop(rig);
    let rig = serve(dir.path());
    assert_eq!(stands(&rig), "Aborted 0.00%");
    drop(rig);

    std::fs::write(dir.path().join("state"), "no state").expect("it is overwritten");
    let rig = serve(dir.path());
    assert_eq!(stands(&rig), "Paused 10.00%");
    drop(rig);
    let aside = std::fs::read(dir.path().join("state.broken")).expect("it is put aside");
    assert_eq!(aside, b"no state");
}

#[test]
fn a_wait_tells_by_its_exit_code_how_it_ended() {
    let dir = TempDir::new().expect("a directory");
    let rig = serve(dir.path());
    check(&rig, "status shop/api --timeout 10s", 0, "Healthy");
    let (code, told) = run(&rig, "status shop/web --timeout 0s");
    assert_eq!(code, Some(2), "{told}");
    let waits = "Paused; Deployment shop/web: Paused, update to v2, step 1 of 3, 10.00%, waits to be promoted";
    assert_eq!(told, format!("{waits}\nnot over in time\n"));
    run(&rig, "abort shop/web");
    let (code, told) = run(&rig, "status shop/web --timeout 10s");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.ends_with("aborted by hand\n"), "{told}");
}

#[test]
fn whoever_asks_in_vain_is_told_why() {
    let dir = TempDir::new().expect("a directory");
    let rig = serve(dir.path());
    check(
        &rig,
        "get shop/wob",
        1,
        "shiftdns: there is no service `shop/wob`",
    );
    check(
        &rig,
        "pause shop/api",
        1,
        "shiftdns: nothing is rolling out",
    );
    let off = Rig::with(&config(), &cluster(SHOP));
    check(
        &off,
        "pause shop/web",
        1,
        "shiftdns: actions are off; set `api.actions: true` in the configuration",
    );
    let (code, told) = run(&rig, "get shop/web");
    assert_eq!(code, Some(0));
    assert!(
        told.contains("  Note:       waits to be promoted\n"),
        "{told}"
    );

    let address = rig.api;
    drop(rig);
    let output = Command::new(env!("CARGO_BIN_EXE_shiftdns"))
        .args(["get", "--server", &format!("http://{address}")])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "shiftdns: no answer from `http://{address}/api/v1/services`; is the server running"
    );
    assert!(told.starts_with(&expected), "{told}");
}

/// It would be read as a manifest, and every write would read the manifests anew.
#[test]
fn a_state_file_among_the_manifests_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let manifests = dir.path().display().to_string();
    std::fs::write(dir.path().join("shop.yaml"), cluster(SHOP)).expect("written");
    let runtime = Runtime::new().expect("a runtime");
    for state in ["state.json", "./state"] {
        let mut config = config();
        config.state = Some(dir.path().join(state));
        let source = Source::Manifests(dir.path().to_owned());
        let started = runtime.block_on(app::start(&config, source));
        let expected = format!(
            "state: `{manifests}/{state}` lies in the directory of manifests; name a file outside `{manifests}`"
        );
        assert_eq!(
            started.map(drop).map_err(|error| error.to_string()),
            Err(expected)
        );
    }
}
