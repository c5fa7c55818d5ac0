//! A manifest for each rule, and what is found in it.

use super::*;

/// What `shiftdns lint web.yaml` tells.
#[track_caller]
fn check(manifests: &str, expected: &[&str]) {
    let found = judge([("web.yaml", manifests)].into_iter());
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{manifests}");
}

/// What is found by one rule only.
#[track_caller]
fn check_rule(rule: &str, manifests: &str, expected: &[&str]) {
    let found = judge([("web.yaml", manifests)].into_iter());
    let found = found.iter().filter(|finding| finding.rule == rule);
    let found: Vec<String> = found.map(ToString::to_string).collect();
    let expected = expected
        .iter()
        .map(|text| format!("web.yaml:{text} [{rule}]"));
    assert_eq!(found, expected.collect::<Vec<_>>(), "{manifests}");
}

/// A headless service, and a workload below it that nothing is wrong with but what `spec` and `pod` say.
fn web(annotations: &str, kind: &str, spec: &str, pod: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop, annotations: {{{annotations}}}}}
spec: {{clusterIP: None, selector: {{app: web}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: web, namespace: shop}}
spec:
  {spec}
  template:
    metadata: {{labels: {{app: web, version: v1}}}}
    spec: {{{pod}}}
"
    )
}

const POD: &str = "containers: [{name: web, image: 'shop/web:1.0.9', lifecycle: {preStop: {sleep: {seconds: 10}}}}]";

/// Ten pods with time for a minute.
const RECIPE: &str = "replicas: 10
  minReadySeconds: 70
  strategy: {rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}";

fn deployment(annotations: &str, spec: &str) -> String {
    web(annotations, "Deployment", spec, POD)
}

#[test]
fn nothing_is_found_in_the_recipe() {
    check(&deployment("shiftdns.io/ramp: 60s", RECIPE), &[]);
    check(&deployment("", "replicas: 3"), &[]);
    check("", &[]);
}

#[test]
fn a_ramp_needs_old_pods_that_stay() {
    let rule = "ramp-is-no-op";
    check_rule(
        rule,
        &deployment(
            "shiftdns.io/ramp: 10m, shiftdns.io/soak: 10s",
            "replicas: 10",
        ),
        &[
            "6: deployment shop/web: the ramp of 10m of service shop/web is a no-op: maxSurge is 3 of 10, maxUnavailable \
             is 2, minReadySeconds is 0, not 620; old pods have to stay 620 s (soak 10s + ramp 10m + TTL 5s + 5s for \
             ticks)",
        ],
    );
    check_rule(
        rule,
        &deployment("shiftdns.io/steps: '5@1m,100'", RECIPE),
        &[
            "6: deployment shop/web: the steps of 1m5s of service shop/web are a no-op: minReadySeconds is 70, not 80; old \
             pods have to stay 80 s (steps 1m5s + TTL 5s + 10s for ticks)",
        ],
    );
    check_rule(
        rule,
        &deployment("shiftdns.io/ramp: 10s", "strategy: {type: Recreate}"),
        &[
            "6: deployment shop/web: the ramp of 10s of service shop/web is a no-op: `Recreate` leaves no old pod beside a \
             new one; old pods have to stay 20 s (ramp 10s + TTL 5s + 5s for ticks)",
        ],
    );
    for annotations in [
        "",
        "shiftdns.io/weights: 'v1=1'",
        "shiftdns.io/strategy: follow",
    ] {
        check_rule(rule, &deployment(annotations, "replicas: 10"), &[]);
    }
    let partition = "updateStrategy: {rollingUpdate: {partition: 2}}";
    check_rule(
        rule,
        &web("shiftdns.io/ramp: 10s", "StatefulSet", partition, POD),
        &[],
    );
    check_rule(
        rule,
        &deployment("shiftdns.io/ramp: 10s", "replicas: 0"),
        &[],
    );
}

#[test]
fn the_rule_and_the_play_agree() {
    use crate::cli::simulate::is_forced;
    for (annotations, spec) in [
        ("shiftdns.io/ramp: 60s", RECIPE),
        ("shiftdns.io/ramp: 60s", "replicas: 10"),
        ("shiftdns.io/steps: '5@20s,50@20s,100'", RECIPE),
        ("shiftdns.io/steps: '5@40s,50@40s,100'", RECIPE),
        (
            "shiftdns.io/strategy: blue-green, shiftdns.io/auto-promotion: 50s",
            RECIPE,
        ),
        ("shiftdns.io/ramp: 60s", "strategy: {type: Recreate}"),
    ] {
        let manifests = deployment(annotations, spec);
        let found = judge([("web.yaml", &*manifests)].into_iter());
        let is_found = found.iter().any(|finding| finding.rule == "ramp-is-no-op");
        assert_eq!(is_found, is_forced(&manifests), "{manifests}");
    }
}

#[test]
fn a_preview_must_be_able_to_carry_everything() {
    let rule = "preview-too-small";
    let blue_green = "shiftdns.io/strategy: blue-green, shiftdns.io/auto-promotion: 10s";
    check_rule(
        rule,
        &deployment(blue_green, &RECIPE.replace("100%", "50%")),
        &[
            "6: deployment shop/web: maxSurge is 5 of 10: the preview can never carry the whole load of service shop/web; \
             write 100%",
        ],
    );
    check_rule(rule, &deployment(blue_green, RECIPE), &[]);
    check_rule(
        rule,
        &deployment("shiftdns.io/ramp: 10s", "replicas: 10"),
        &[],
    );
}

#[test]
fn a_deadline_below_min_ready_seconds_is_refused() {
    let rule = "deadline-below-min-ready";
    check_rule(
        rule,
        &deployment("", "minReadySeconds: 600"),
        &[
            "6: deployment shop/web: progressDeadlineSeconds is 600, not above minReadySeconds 600: no roll-out can be in \
             time, and the API refuses it",
        ],
    );
    check_rule(
        rule,
        &deployment("", "minReadySeconds: 600\n  progressDeadlineSeconds: 601"),
        &[],
    );
    check_rule(
        rule,
        &web("", "DaemonSet", "minReadySeconds: 600", POD),
        &[],
    );
}

#[test]
fn a_pod_outlives_what_caches_know_of_it() {
    let ttl = "shiftdns.io/ttl: 'endpoints=30'";
    let with = |pod: &str| {
        web(
            ttl,
            "Deployment",
            "replicas: 3",
            &format!("containers: [{{name: web, image: 'a:1', {pod}}}]"),
        )
    };
    let advice = "let a preStop sleep 35 s, and more grace than that";
    check_rule(
        "grace-below-ttl",
        &web(
            ttl,
            "Deployment",
            "replicas: 3",
            &format!("terminationGracePeriodSeconds: 5, {POD}"),
        ),
        &[&format!(
            "6: deployment shop/web: pods are killed after 5 s (terminationGracePeriodSeconds), and caches send clients to \
             them for 30 s more: {advice}"
        )],
    );
    check_rule(
        "grace-below-ttl",
        &with("lifecycle: {preStop: {exec: {command: [sleep, 35s]}}}"),
        &["6: deployment shop/web: preStop sleeps 35 s of 30 s of grace: pods are killed in it"],
    );
    for hook in [
        "sleep: {seconds: 10}",
        "exec: {command: [sh, -c, 'nginx -s quit; /bin/sleep 10 && true']}",
    ] {
        check_rule(
            "pre-stop-below-ttl",
            &with(&format!("lifecycle: {{preStop: {{{hook}}}}}")),
            &[&format!(
                "6: deployment shop/web: preStop sleeps 10 s, and caches send clients to a pod for 30 s after it left: \
                 {advice}"
            )],
        );
    }
    check_rule(
        "no-pre-stop",
        &with("ports: []"),
        &[&format!(
            "6: deployment shop/web: note: no preStop: unless it goes on after SIGTERM, a pod ends while caches send \
             clients to it for 30 s more: {advice}"
        )],
    );
    check(
        &with("lifecycle: {preStop: {httpGet: {path: /drain}}}"),
        &[],
    );
    // One address in front of the pods goes on being right.
    check(&with("ports: []").replace("clusterIP: None, ", ""), &[]);
}

#[test]
fn a_version_has_a_name() {
    let rule = "version-unlabelled";
    let bare = |image: &str| {
        let manifests = deployment("", "replicas: 1").replace(", version: v1", "");
        manifests.replace("shop/web:1.0.9", image)
    };
    check_rule(
        rule,
        &bare("r:5000/web:1.0.9@sha256:00"),
        &[
            "6: deployment shop/web: note: no version label: the version is told by the image's tag, `1.0.9`; label the pods \
             `app.kubernetes.io/version`",
        ],
    );
    for image in ["r:5000/web", "web:latest"] {
        check_rule(
            rule,
            &bare(image),
            &[&format!(
                "6: deployment shop/web: no version label, and no tag that tells versions of `{image}` apart: people see \
                 hashes; label the pods `app.kubernetes.io/version`"
            )],
        );
    }
    let labelled = bare("web").replace("app: web}}\n    spec", "app: web, release: a}}\n    spec");
    check_rule(
        rule,
        &labelled.replace(
            "annotations: {",
            "annotations: {shiftdns.io/version-label: release",
        ),
        &[],
    );
}

#[test]
fn what_publishes_unready_peers_has_no_strategy() {
    let manifests = deployment("shiftdns.io/ramp: 60s", RECIPE);
    let manifests = manifests.replace(
        "{clusterIP: None",
        "{publishNotReadyAddresses: true, clusterIP: None",
    );
    check(
        &manifests,
        &[
            "web.yaml:1: service shop/web: ramp: `60s` has no effect with `publishNotReadyAddresses` [unready-published]",
        ],
    );
}

#[test]
fn what_is_malformed_is_told_as_well() {
    check(
        &deployment("shiftdns.io/weights: 'v1=0'", "replicas: ten"),
        &[
            "web.yaml:1: service shop/web: weights: `v1=0` has no weight above 0; to take a service out, delete it or its \
             endpoints [annotation]",
            "web.yaml:6: deployment shop/web: `spec.replicas` is ignored: `ten` is not a number from 0 to 4294967295 \
             [manifest]",
            "web.yaml:6: deployment shop/web: `spec`: invalid type: string \"ten\", expected u32 [manifest]",
        ],
    );
    check(
        "a: [",
        &["web.yaml:1: not YAML: unclosed bracket '[' [manifest]"],
    );
}

#[test]
fn a_resolver_is_not_a_client() {
    let text = "1: service shop/web: sticky: `source/24` takes whoever asks for the client: behind the cluster's resolver \
                that is the resolver, and all of its clients get one version; where resolvers send it, `ecs` tells them \
                apart";
    let with = |sticky: &str| deployment(&format!("shiftdns.io/sticky: {sticky}"), "replicas: 3");
    check_rule("sticky-behind-cache", &with("source/24"), &[text]);
    check_rule("sticky-behind-cache", &with("ecs"), &[]);
}

#[test]
fn a_share_that_nobody_can_carry_was_asked_for() {
    let text = "1: service shop/web: clamp: `off` gives a version what strategy `manual` asks, however few of its pods are \
                ready; `headroom` says by how much they can be stretched";
    let with = |annotations: &str| deployment(annotations, "replicas: 3");
    check_rule(
        "clamp-off",
        &with("shiftdns.io/clamp: 'off', shiftdns.io/weights: 'v1=1'"),
        &[text],
    );
    check_rule("clamp-off", &with("shiftdns.io/clamp: 'off'"), &[]);
    check_rule("clamp-off", &with("shiftdns.io/backends: 'a=1,b=2'"), &[]);
}

#[test]
fn an_undo_in_order_may_hang() {
    let rule = "forced-rollback";
    let with = |annotations: &str, spec: &str| web(annotations, "StatefulSet", spec, POD);
    let follow = "shiftdns.io/strategy: follow";
    check_rule(
        rule,
        &with(follow, "replicas: 3"),
        &[
            "6: statefulset shop/web: note: `podManagementPolicy: OrderedReady` waits for a broken pod on the way back too: \
             an undo hangs until someone deletes that pod",
        ],
    );
    check_rule(rule, &with(follow, "podManagementPolicy: Parallel"), &[]);
    check_rule(rule, &with("", "replicas: 3"), &[]);
}

#[test]
fn slow_start_is_for_some_pods_among_others() {
    let rule = "slow-start-all-new";
    let slow = "shiftdns.io/slow-start: 1m";
    let does_nothing = "6: deployment shop/web: slow-start of service shop/web does nothing: ";
    check_rule(
        rule,
        &deployment(slow, "replicas: 3\n  strategy: {type: Recreate}"),
        &[&format!(
            "{does_nothing}`Recreate` makes all pods new at once"
        )],
    );
    check_rule(
        rule,
        &deployment(slow, "replicas: 1"),
        &[&format!("{does_nothing}there is one pod")],
    );
    check_rule(
        rule,
        &deployment(&format!("{slow}, shiftdns.io/ramp: 60s"), RECIPE),
        &[
            "6: deployment shop/web: note: slow-start of service shop/web: in a roll-out all pods of a version are new, so \
             none of them is slower than others; the strategy does that, and slow-start is for scaling",
        ],
    );
    check_rule(rule, &deployment(slow, "replicas: 3"), &[]);
}

#[test]
fn services_and_workloads_meet_across_files() {
    let all = deployment("shiftdns.io/ramp: 60s", "replicas: 3");
    let (service, workload) = all.split_once("---\n").unwrap();
    let found = judge([("a/svc.yaml", service), ("b/deploy.yaml", workload)].into_iter());
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        found[0].starts_with("b/deploy.yaml:1: deployment shop/web: the ramp of 1m"),
        "{found:?}"
    );
}

#[test]
fn a_resource_is_judged_in_place_of_annotations() {
    let resource = "---
apiVersion: shiftdns.io/v1alpha1
kind: ServiceRollout
metadata: {name: web, namespace: shop}
spec: ";
    let with = |annotations: &str, spec: &str| {
        deployment(annotations, "replicas: 10") + resource + spec + "\n"
    };
    let no_op = |manifests: &str| {
        let found = judge([("web.yaml", manifests)].into_iter());
        found.iter().any(|finding| finding.rule == "ramp-is-no-op")
    };
    assert!(no_op(&with("", "{ramp: 60s}")));
    assert!(no_op(&deployment("shiftdns.io/ramp: 60s", "replicas: 10")));
    assert!(!no_op(&with("shiftdns.io/ramp: 60s", "{soak: 5s}")));
    check(
        &with("", "{records: 9, soakk: 5s}"),
        &[
            "web.yaml:15: servicerollout shop/web: `spec.soakk` is ignored: a ServiceRollout has no such field [manifest]",
            "web.yaml:15: servicerollout shop/web: records: `9` is not a number from 1 to 8 [annotation]",
        ],
    );
}
