//! Tables as a person reads them; shares are those of the worked examples of roll-outs.

mod strategies;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

/// What `shiftdns simulate -f all.yaml OPTIONS` tells of a text.
fn told(manifests: &str, options: &str) -> String {
    let words = ["simulate", "-f", "all.yaml"];
    let words = words.into_iter().chain(options.split_whitespace());
    let flags = Line::try_parse_from(words).unwrap().flags;
    match tell(("all.yaml", manifests), &flags) {
        Ok(text) => text,
        Err(problems) => {
            let lines = problems.iter().map(|problem| format!("{problem}\n"));
            lines.collect()
        }
    }
}

#[track_caller]
fn check(manifests: &str, options: &str, expected: &str) {
    let expected = expected.trim_start_matches('\n');
    let got = told(manifests, options);
    assert!(got == expected, "{options}\n{got}\ninstead of\n{expected}");
}

/// A headless service of `app: web`, and whatever follows.
fn service(annotations: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop, annotations: {{{annotations}}}}}
spec:
  clusterIP: None
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: 8080}}]
"
    )
}

fn workload(kind: &str, name: &str, version: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: shop}}
spec:
  {spec}
  template:
    metadata: {{labels: {{app: web, app.kubernetes.io/version: {version}}}}}
    spec: {{containers: [{{name: web, image: 'shop/web:1.0.9'}}]}}
"
    )
}

fn web(spec: &str) -> String {
    service("") + &workload("Deployment", "web", "v1", spec)
}

#[test]
fn a_rolling_update_shifts_in_two_steps_1a() {
    check(
        &web("replicas: 10"),
        "",
        "
service shop/web: deployment shop/web, 10 pods; 8 ready pods carry the whole load
pods are ready after 10 s

     t  pods v1/v2 (ready)  state        share v1  share v2  reason
  rest  10/0 (10/0)         Healthy       100.00%         -  follow
     0  8/5 (8/0)           Pending       100.00%     0.00%  follow  <- version v1 -> v2
    10  3/10 (3/5)          Progressing    37.50%    62.50%  follow
    20  0/10 (0/10)         Draining        0.00%   100.00%  follow
    25  0/10 (0/10)         Healthy         0.00%   100.00%  follow

The capacity of v2 moves in 2 steps: 0% -> 62.50% -> 100%.
The Deployment sets the pace: at most 3 more and 2 fewer than 10 pods.
",
    );
}

#[test]
fn an_undo_half_way_waits_for_the_pods_that_start_again_2a() {
    check(
        &web("replicas: 10"),
        "--undo-at 12s",
        "
service shop/web: deployment shop/web, 10 pods; 8 ready pods carry the whole load
pods are ready after 10 s

     t  pods v1/v2 (ready)  state        share v1  share v2  reason
  rest  10/0 (10/0)         Healthy       100.00%         -  follow
     0  8/5 (8/0)           Pending       100.00%     0.00%  follow  <- version v1 -> v2
    10  3/10 (3/5)          Progressing    37.50%    62.50%  follow
    12  8/5 (3/5)           RollingBack    37.50%    62.50%  follow  <- undo
    22  10/0 (8/0)          Healthy       100.00%     0.00%  follow
    32  10/0 (10/0)         Healthy       100.00%     0.00%  follow

The capacity of v1 moves in 1 step: 37.50% -> 100%.
The Deployment sets the pace: at most 3 more and 2 fewer than 10 pods.
",
    );
}

#[test]
fn a_version_that_never_gets_ready_gets_nothing_3a() {
    check(
        &web("replicas: 10"),
        "--fail=never-ready --update image",
        "
service shop/web: deployment shop/web, 10 pods; 8 ready pods carry the whole load
pods are ready after 10 s

     t  pods v1#1/v1#2 (ready)  state     share v1#1  share v1#2  reason
  rest  10/0 (10/0)             Healthy      100.00%           -  follow
     0  8/5 (8/0)               Pending      100.00%       0.00%  follow  <- image 1.0.9 -> 1.0.10; its pods never get ready
   600  8/5 (8/0)               Degraded     100.00%       0.00%  follow  ProgressDeadlineExceeded

The capacity of v1#2 stays at 0%.
The Deployment sets the pace: at most 3 more and 2 fewer than 10 pods.
v1#2 never gets a ready pod, so the roll-out stops where no more old pods may be missing.
v1#2 fails at 600 s: ProgressDeadlineExceeded. Nobody asked for a strategy, so shares follow its pods; `shiftdns.io/on-failure: shift-back` keeps it out.
",
    );
}

#[test]
fn a_crash_loop_gets_its_share_back_after_each_back_off_3b() {
    check(
        &web("replicas: 10\n  minReadySeconds: 60"),
        "--fail=crash-loop",
        "
service shop/web: deployment shop/web, 10 pods; 8 ready pods carry the whole load
pods are ready after 10 s and available 60 s later

     t  pods v1/v2 (ready)  state        share v1  share v2  reason
  rest  10/0 (10/0)         Healthy       100.00%         -  follow
     0  8/5 (8/0)           Pending       100.00%     0.00%  follow  <- version v1 -> v2; its pods crash after 5 s
    10  8/5 (8/5)           Progressing    61.54%    38.46%  follow
    15  8/5 (8/0)           Degraded      100.00%     0.00%  follow  container restarts
    25  8/5 (8/5)           Degraded       61.54%    38.46%  follow  container restarts
    30  8/5 (8/0)           Degraded      100.00%     0.00%  follow  container restarts
    50  8/5 (8/5)           Degraded       61.54%    38.46%  follow  container restarts
    55  8/5 (8/0)           Degraded      100.00%     0.00%  follow  container restarts
    85  8/5 (8/5)           Degraded       61.54%    38.46%  follow  container restarts
    90  8/5 (8/0)           Degraded      100.00%     0.00%  follow  container restarts

The capacity of v2 moves in 8 steps: 0% -> 62.50% -> 0% -> 62.50% -> 0% -> ... -> 62.50% -> 0%.
The Deployment sets the pace: at most 3 more and 2 fewer than 10 pods.
A crash loop has no end; this is its first 120 s.
v2 fails at 15 s: container restarts. Nobody asked for a strategy, so shares follow its pods; `shiftdns.io/on-failure: shift-back` keeps it out.
",
    );
}

#[test]
fn a_canary_of_its_own_deployment_gets_its_weight_when_it_is_ready() {
    let manifests = service("shiftdns.io/weights: 'v1=90,v2=10'")
        + &workload("Deployment", "web-v1", "v1", "replicas: 9")
        + &workload("Deployment", "web-v2", "v2", "replicas: 2");
    check(
        &manifests,
        "--update create",
        "
service shop/web: deployment shop/web-v2, 2 pods; 9 ready pods carry the whole load
deployment shop/web-v1 stands still, 9 pods
pods are ready after 10 s

     t  pods v1/v2 (ready)  state    policy %  capacity %  share v1  share v2  reason
  rest  9/0 (9/0)           Healthy  100/-     100/-        100.00%         -  policy
     0  9/2 (9/0)           Healthy  90/10     100/0        100.00%     0.00%  fills-in  <- created
    10  9/2 (9/2)           Healthy  90/10     100/22.22     90.00%    10.00%  policy

The capacity of v2 moves in 1 step: 0% -> 22.22%.
The Deployment sets the pace: at most 1 more and 0 fewer than 2 pods.
",
    );
    // What no weight names is left out.
    check(
        &manifests,
        "--workload web-v2",
        "
service shop/web: deployment shop/web-v2, 2 pods; 9 ready pods carry the whole load
deployment shop/web-v1 stands still, 9 pods
pods are ready after 10 s

     t  pods v1/v2/v3 (ready)  state        policy %  capacity %       share v1  share v2  share v3  reason
  rest  9/2/0 (9/2/0)          Healthy      90/10/-   100/22.22/-        90.00%    10.00%         -  policy
     0  9/2/1 (9/2/0)          Pending      90/10/-   100/22.22/0        90.00%    10.00%     0.00%  policy                             <- version v2 -> v3
    10  9/1/2 (9/1/1)          Progressing  90/10/-   100/11.11/11.11    90.00%    10.00%     0.00%  v1 policy, v2 policy, v3 excluded
    20  9/0/2 (9/0/2)          Draining     90/10/-   100/0/22.22       100.00%     0.00%     0.00%  v1 fills-in, v3 excluded
    25  9/0/2 (9/0/2)          Healthy      90/10/-   100/0/22.22       100.00%     0.00%     0.00%  v1 fills-in, v3 excluded

The capacity of v3 moves in 2 steps: 0% -> 11.11% -> 22.22%.
The Deployment sets the pace: at most 1 more and 0 fewer than 2 pods.
",
    );
}

#[test]
fn a_partition_holds_a_canary_and_capacity_forces_shares_6() {
    let spec =
        "replicas: 5\n  minReadySeconds: 5\n  updateStrategy: {rollingUpdate: {partition: 3}}";
    let manifests =
        service("shiftdns.io/weights: 'v1=90,v2=10'") + &workload("StatefulSet", "web", "v1", spec);
    check(
        &manifests,
        "--undo-at 40",
        "
service shop/web: statefulset shop/web, 5 pods; 4 ready pods carry the whole load
pods are ready after 10 s and available 5 s later

     t  pods v1/v2 (ready)  state        policy %  capacity %  share v1  share v2  reason
  rest  5/0 (5/0)           Healthy      100/-     100/-        100.00%         -  policy
     0  4/1 (4/0)           Pending      90/10     100/0        100.00%     0.00%  fills-in                         <- version v1 -> v2
    10  4/1 (4/1)           Progressing  90/10     100/25        90.00%    10.00%  policy
    15  3/2 (3/1)           Progressing  90/10     75/25         75.00%    25.00%  v1 capacity-capped, v2 fills-in
    25  3/2 (3/2)           Paused       90/10     75/50         75.00%    25.00%  v1 capacity-capped, v2 fills-in  partition 3 stands
    40  4/1 (3/1)           RollingBack  90/10     75/25         75.00%    25.00%  v1 capacity-capped, v2 fills-in  <- undo
    50  4/1 (4/1)           RollingBack  90/10     100/25        90.00%    10.00%  policy
    55  5/0 (4/0)           Healthy      90/10     100/0        100.00%     0.00%  fills-in
    65  5/0 (5/0)           Healthy      90/10     100/0        100.00%     0.00%  fills-in

The capacity of v1 moves in 1 step: 75% -> 100%.
The StatefulSet sets the pace: at most 1 of 5 pods missing, the highest ordinal first; each pod waits for those before it.
The 3 pods below the partition stay as they are.
",
    );
}

#[test]
fn a_daemon_set_in_json_and_without_a_version_label_is_told_by_its_tags() {
    check(
        r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "log"},
             "spec": {"selector": {"app": "log"}, "ports": [{"port": 80}]}},
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "log"},
             "spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {"metadata": {"labels": {"app": "log"}},
                    "spec": {"containers": [{"name": "log", "image": "r:5000/log:v7@sha256:00"}]}}}},
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}},
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "b"}}]}"#,
        "--ready-after 1m",
        "
service default/log: daemonset default/log, 2 pods; 2 ready pods carry the whole load
pods are ready after 60 s

     t  pods v7/v8 (ready)  state        share v7  share v8  reason
  rest  2/0 (2/0)           Healthy       100.00%         -  follow
     0  2/1 (2/0)           Pending       100.00%     0.00%  follow  <- image v7 -> v8
    60  1/2 (1/1)           Progressing    50.00%    50.00%  follow
   120  0/2 (0/2)           Draining        0.00%   100.00%  follow
   125  0/2 (0/2)           Healthy         0.00%   100.00%  follow

The capacity of v8 moves in 2 steps: 0% -> 50% -> 100%.
The DaemonSet sets the pace: at most 1 of 2 nodes run both versions.
",
    );
}

#[test]
fn recreate_answers_nothing_in_between() {
    check(
        &web("replicas: 2\n  strategy: {type: Recreate}"),
        "",
        "
service shop/web: deployment shop/web, 2 pods; 2 ready pods carry the whole load
pods are ready after 10 s

     t  pods v1/v2 (ready)  state        share v1  share v2  reason
  rest  2/0 (2/0)           Healthy       100.00%         -  follow
     0  0/2 (0/0)           Unavailable     0.00%     0.00%  no-endpoints  <- version v1 -> v2
    10  0/2 (0/2)           Draining        0.00%   100.00%  follow
    15  0/2 (0/2)           Healthy         0.00%   100.00%  follow

The capacity of v2 moves in 1 step: 0% -> 100%.
The Deployment is recreated: no new pod starts before the last old one is gone.
",
    );
}

#[test]
fn what_is_paused_stands_still() {
    let got = told(&web("replicas: 2\n  paused: true"), "");
    assert!(
        got.ends_with("It is paused: nothing moves before `kubectl rollout resume`.\n"),
        "{got}"
    );
    check(
        &web("replicas: 2\n  paused: true"),
        "--undo-at 5",
        "all.yaml:9: deployment shop/web: is paused: `kubectl rollout undo` is refused; leave out `--undo-at`\n",
    );
}

#[test]
fn what_is_in_the_way_is_told_with_its_place() {
    check(
        &web("replicas: ten"),
        "",
        "all.yaml:9: deployment shop/web: `spec.replicas` is ignored: `ten` is not a number from 0 to 4294967295\n",
    );
    check(
        &web("replicas: 0"),
        "",
        "all.yaml:9: deployment shop/web: 0 pods are not from 1 to 250; nothing is played\n",
    );
    check(
        &web("minReadySeconds: soon"),
        "",
        "all.yaml:9: deployment shop/web: `spec.minReadySeconds` is ignored: `soon` is not a number from 0 to 4294967295\n",
    );
    check(
        &web("revisionHistoryLimit: soon"),
        "",
        "all.yaml:9: deployment shop/web: `spec`: invalid type: string \"soon\", expected u32\n",
    );
    check(
        &web("strategy: {type: BlueGreen}"),
        "",
        "all.yaml:9: deployment shop/web: `BlueGreen` is not a way to update a Deployment\n",
    );
    let bare = web("").replace(", app.kubernetes.io/version: v1", "");
    check(
        &bare,
        "--update version",
        "all.yaml:9: deployment shop/web: the pod template has no version label; use `--update image`\n",
    );
    check(
        &web("replicas: [2"),
        "",
        "all.yaml:14: not YAML: illegal placement of ':' indicator\n",
    );
    check(
        &web("replicas: 2"),
        "--update create --undo-at 5",
        "all.yaml:9: deployment shop/web: has just been created: there is nothing to go back to; leave out `--undo-at`\n",
    );
    check(
        &service("shiftdns.io/backends: 'a=1,b=1'"),
        "",
        "all.yaml: there is no service whose selector matches the pod template of a Deployment, StatefulSet or DaemonSet\n",
    );
    let blue =
        service("shiftdns.io/backends: 'a=1,b=1'") + &workload("Deployment", "web", "v1", "");
    check(
        &blue,
        "",
        "all.yaml:1: service shop/web: a service with `shiftdns.io/backends` is made of other services; simulate one of those\n",
    );
}

#[test]
fn the_service_and_the_workload_are_chosen_by_name() {
    let two = web("replicas: 2") + "---\n" + &service("").replace("name: web,", "name: www,");
    check(
        &two,
        "",
        "all.yaml: there is more than one service to simulate; choose with `--service`: shop/web, shop/www\n",
    );
    assert!(
        told(&two, "--service shop/www")
            .starts_with("service shop/www: deployment shop/web, 2 pods")
    );
    check(
        &two,
        "--service shop/no",
        "all.yaml: there is no service shop/no\n",
    );
    check(
        &web("replicas: 2"),
        "--workload no",
        "all.yaml:1: service shop/web: no workload `no` stands behind it; there is web\n",
    );
}

#[test]
fn of_two_manifests_of_one_workload_the_last_counts() {
    let twice = web("replicas: 2") + &workload("Deployment", "web", "v1", "replicas: 3");
    let got = told(&twice, "");
    assert!(
        got.starts_with(
            "service shop/web: deployment shop/web, 3 pods; 3 ready pods carry the whole load\npods"
        ),
        "{got}"
    );
}

#[test]
fn numbers_beyond_sense_do_no_harm() {
    let spec = "replicas: 2\n  minReadySeconds: 4294967295\n  strategy: {rollingUpdate: {maxSurge: 4294967295}}";
    let got = told(&web(spec), "--undo-at 1m");
    assert!(got.contains("    60  2/0 (2/0)           Healthy"), "{got}");
}

#[test]
fn the_next_version_is_the_next_number() {
    assert_eq!(next("v1"), "v2");
    assert_eq!(next("1.4.9"), "1.4.10");
    assert_eq!(next("stable"), "stable-2");
    assert_eq!(next("4294967295"), "4294967295-2");
    assert_eq!(next(""), "-2");
}

#[test]
fn times_are_seconds_or_minutes() {
    assert_eq!(seconds("30s"), Ok(30));
    assert_eq!(seconds("5m"), Ok(300));
    assert_eq!(seconds("7"), Ok(7));
    for bad in ["", "s", "-1s", "1h", "2d", "1441m", "99999999999"] {
        assert_eq!(
            seconds(bad),
            Err(format!(
                "`{bad}` is not a time such as 30s or 5m, up to a day"
            ))
        );
    }
}

#[test]
fn a_resource_is_played_in_place_of_annotations() {
    let spec = "replicas: 4
  minReadySeconds: 30
  strategy: {rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}";
    let with = |annotations: &str, resource: &str| {
        let resource = match resource {
            "" => String::new(),
            spec => format!(
                "---
apiVersion: shiftdns.io/v1alpha1
kind: ServiceRollout
metadata: {{name: web, namespace: shop}}
spec: {spec}
"
            ),
        };
        told(
            &(service(annotations) + &workload("Deployment", "web", "v1", spec) + &resource),
            "",
        )
    };
    let annotated = with("shiftdns.io/ramp: 20s", "");
    assert!(annotated.contains("The ramp of 20s is real"), "{annotated}");
    assert_eq!(with("", "{ramp: 20s}"), annotated);
    let won = with("shiftdns.io/ramp: 20s", "{strategy: follow}");
    assert!(!won.contains("The ramp"), "{won}");
    assert_eq!(
        with("", "{backends: [{service: blue, weight: 1}]}"),
        "all.yaml:20: servicerollout shop/web: a service with `spec.backends` is made of other services; simulate one of those\n"
    );
}
