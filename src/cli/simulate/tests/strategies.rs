//! Roll-outs with a strategy: whether it has its time, what to write where it has not, and what a failure does.

use super::{check, service, told, workload};

/// What a controller needs so that a strategy has its time.
const RECIPE: &str = "replicas: 4\n  minReadySeconds: 70\n  strategy: {rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}";

fn with(annotations: &str, spec: &str) -> String {
    service(annotations) + &workload("Deployment", "web", "v1", spec)
}

#[test]
fn a_ramp_over_a_plain_deployment_is_a_no_op_and_the_recipe_is_told_1b() {
    check(
        &with(
            "shiftdns.io/ramp: 60s, shiftdns.io/soak: 5s",
            "replicas: 10",
        ),
        "",
        "
service shop/web: deployment shop/web, 10 pods; 8 ready pods carry the whole load
pods are ready after 10 s

     t  pods v1/v2 (ready)  state        policy %    capacity %  share v1  share v2  reason
  rest  10/0 (10/0)         Healthy      100/-       100/-        100.00%         -  policy
     0  8/5 (8/0)           Pending      100/0       100/0        100.00%     0.00%  policy                           <- version v1 -> v2
    10  3/10 (3/5)          Pending      100/0       37.5/62.5     37.50%    62.50%  v1 capacity-capped, v2 fills-in
    15  3/10 (3/5)          Progressing  100/0       37.5/62.5     37.50%    62.50%  v1 capacity-capped, v2 fills-in
    20  0/10 (0/10)         Draining     91.67/8.33  0/100          0.00%   100.00%  fills-in
    25  0/10 (0/10)         Healthy      0/100       0/100          0.00%   100.00%  policy

The capacity of v2 moves in 2 steps: 0% -> 62.50% -> 100%.
The Deployment sets the pace: at most 3 more and 2 fewer than 10 pods.
The ramp of 1m is a no-op: at 20 s v2 has 100% where the strategy gives it 8.33% (fills-in), because the old pods are gone.

To make it real, old pods have to stay until it is done:
  spec:
    minReadySeconds: 75  # soak 5s + ramp 1m + TTL 5s + 5s for ticks
    progressDeadlineSeconds: 675  # must be above minReadySeconds
    strategy: {rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}
That runs twice the pods, 20 instead of 10, for 1m15s of every roll-out. Without that:
  pause the Deployment when the first new pods are there;
  make it a StatefulSet with a partition;
  have two workloads behind the service, and `shiftdns.io/weights`.
",
    );
}

#[test]
fn a_ramp_that_kubernetes_overtakes_is_cut_short_1c() {
    let got = told(
        &with(
            "shiftdns.io/ramp: 60s, shiftdns.io/soak: 5s",
            "replicas: 10\n  minReadySeconds: 30",
        ),
        "",
    );
    let line = "The ramp of 1m is cut short: at 40 s v2 has 62.50% where the strategy gives it 41.66% (fills-in)";
    assert!(got.contains(line), "{got}");
}

#[test]
fn the_recipe_makes_a_strategy_real() {
    for (annotations, what) in [
        ("shiftdns.io/ramp: 60s", "The ramp of 1m is real"),
        (
            "shiftdns.io/ramp: 61s, shiftdns.io/soak: 7s",
            "The ramp of 1m1s is real",
        ),
        (
            "shiftdns.io/ramp: 60s, shiftdns.io/strategy: exponential",
            "The ramp of 1m is real",
        ),
        (
            "shiftdns.io/steps: '10@11s,50@7s,100'",
            "The steps of 28s are real",
        ),
        (
            "shiftdns.io/strategy: blue-green, shiftdns.io/auto-promotion: 33s",
            "The promotion after 33s is real",
        ),
    ] {
        for ready_after in ["--ready-after 3s", "--ready-after 11s"] {
            let plain = told(&with(annotations, "replicas: 10"), ready_after);
            assert!(plain.contains(" a no-op: "), "{annotations}\n{plain}");
            // As it was printed, without its comments.
            let lines = plain.lines().skip_while(|line| *line != "  spec:").skip(1);
            let lines = lines.take_while(|line| line.starts_with("    "));
            let recipe = lines.map(|line| line.split("  #").next().unwrap().trim());
            let spec: Vec<&str> = ["replicas: 10"].into_iter().chain(recipe).collect();
            let cooked = told(&with(annotations, &spec.join("\n  ")), ready_after);
            assert!(cooked.contains(what), "{annotations}\n{cooked}");
        }
    }
}

#[test]
fn a_long_ramp_is_told_by_some_of_its_rows() {
    let spec = RECIPE.replace("70", "4000\n  progressDeadlineSeconds: 5000");
    let got = told(&with("shiftdns.io/ramp: 1h", &spec), "");
    let rows = got.lines().filter(|line| line.contains(" Progressing "));
    // The first is that of the first ready pods.
    assert_eq!(rows.count(), 1 + 19, "{got}");
    for row in [
        "  3610  4/4 (4/4)           Draining",
        "  4010  0/4 (0/4)           Healthy",
    ] {
        assert!(got.contains(row), "{got}");
    }
}

#[test]
fn steps_and_what_they_wait_for_are_told() {
    check(
        &with(
            "shiftdns.io/steps: '10@10s,50', shiftdns.io/ttl: 'endpoints=30,rollout=5'",
            RECIPE,
        ),
        "",
        "
service shop/web: deployment shop/web, 4 pods; 4 ready pods carry the whole load
pods are ready after 10 s and available 70 s later

     t  pods v1/v2 (ready)  state        policy %  capacity %  share v1  share v2  TTL  reason
  rest  4/0 (4/0)           Healthy      100/-     100/-        100.00%         -   30  policy
     0  4/4 (4/0)           Pending      100/0     100/0        100.00%     0.00%    5  policy    <- version v1 -> v2
    10  4/4 (4/4)           Progressing  90/10     100/100       90.00%    10.00%    5  policy    step 1 of 2
    25  4/4 (4/4)           Paused       50/50     100/100       50.00%    50.00%    5  policy    step 2 of 2, waits to be promoted
    80  0/4 (0/4)           Draining     50/50     0/100          0.00%   100.00%    5  fills-in
    85  0/4 (0/4)           Healthy      0/100     0/100          0.00%   100.00%    5  policy
   115  0/4 (0/4)           Healthy      0/100     0/100          0.00%   100.00%   30  policy

The capacity of v2 moves in 1 step: 0% -> 100%.
The Deployment sets the pace: at most 4 more and 0 fewer than 4 pods.
The steps of 20s are cut short: at 80 s v2 has 100% where the strategy gives it 50% (fills-in), because the old pods are gone.

To make it real, old pods have to stay until it is done:
  spec:
    minReadySeconds: 640  # steps 20s + a person 10m + TTL 5s + 15s for ticks
    progressDeadlineSeconds: 1240  # must be above minReadySeconds
    strategy: {rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}
That runs twice the pods, 8 instead of 4, for 10m40s of every roll-out. Without that:
  pause the Deployment when the first new pods are there;
  make it a StatefulSet with a partition;
  have two workloads behind the service, and `shiftdns.io/weights`.
",
    );
}

#[test]
fn a_version_that_fails_is_shifted_back_and_stays_so() {
    check(
        &with("shiftdns.io/steps: '10@30s,100'", RECIPE),
        "--fail --undo-at 60s",
        "
service shop/web: deployment shop/web, 4 pods; 4 ready pods carry the whole load
pods are ready after 10 s and available 70 s later

     t  pods v1/v2 (ready)  state        policy %  capacity %  share v1  share v2  reason
  rest  4/0 (4/0)           Healthy      100/-     100/-        100.00%         -  policy
     0  4/4 (4/0)           Pending      100/0     100/0        100.00%     0.00%  policy                     <- version v1 -> v2; its pods crash after 5 s
    10  4/4 (4/4)           Progressing  90/10     100/100       90.00%    10.00%  policy                     step 1 of 2
    15  4/4 (4/0)           Aborted      100/0     100/0        100.00%     0.00%  policy                     container restarts
    25  4/4 (4/4)           Aborted      100/0     100/100      100.00%     0.00%  v1 policy, v2 quarantined  container restarts
    30  4/4 (4/0)           Aborted      100/0     100/0        100.00%     0.00%  policy                     container restarts
    50  4/4 (4/4)           Aborted      100/0     100/100      100.00%     0.00%  v1 policy, v2 quarantined  container restarts
    55  4/4 (4/0)           Aborted      100/0     100/0        100.00%     0.00%  policy                     container restarts
    60  4/0 (4/0)           Healthy      100/0     100/0        100.00%     0.00%  policy                     <- undo

The capacity of v1 stays at 100%.
The Deployment sets the pace: at most 4 more and 0 fewer than 4 pods.
v2 fails at 15 s: container restarts. Its share is shifted back, and stays there although its pods get ready again, until someone undoes it, or asks for it by `shiftdns retry` or `shiftdns promote`.
",
    );
}

#[test]
fn a_person_has_until_the_old_pods_go() {
    let spec = RECIPE.replace("70", "640\n  progressDeadlineSeconds: 1240");
    let got = told(&with("shiftdns.io/steps: '10@10s,50'", &spec), "");
    let line =
        "v2 has to be promoted before 650 s (`shiftdns promote`): then the old pods are gone.\n";
    assert!(got.ends_with(line), "{got}");
}

#[test]
fn a_partition_leaves_a_person_all_the_time() {
    let spec = "replicas: 4\n  updateStrategy: {rollingUpdate: {partition: 2, maxUnavailable: 1}}";
    let manifests =
        service("shiftdns.io/steps: '40'") + &workload("StatefulSet", "web", "v1", spec);
    let got = told(&manifests, "");
    assert!(
        got.ends_with("v2 waits: `shiftdns promote` goes on.\n"),
        "{got}"
    );
}

#[test]
fn a_deadline_that_passes_shifts_back() {
    let spec = RECIPE.replace("70", "70\n  progressDeadlineSeconds: 90");
    let got = told(&with("shiftdns.io/ramp: 60s", &spec), "--fail=never-ready");
    let row = "    90  4/4 (4/0)           Aborted  100/0     100/0        100.00%     0.00%  policy  ProgressDeadlineExceeded\n";
    assert!(got.contains(row), "{got}");
    assert!(
        got.contains("v2 fails at 90 s: ProgressDeadlineExceeded. Its share is shifted back"),
        "{got}"
    );
}
