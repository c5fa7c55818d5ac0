//! Whole explanations.

use super::*;
use crate::model::{Origin, Policy};
use crate::rollout::testing::{minute, view};
use crate::rollout::{Memory, evaluate};

fn explained(services: &str, annotations: &str) -> String {
    let mut view = view(services, annotations);
    view.origin = Some(Origin {
        file: "cluster.yaml".into(),
        line: 120,
    });
    let outcome = evaluate(&view, &Policy::default(), &Memory::default(), minute(0));
    explain(&view, &outcome, &[])
}

fn check(services: &str, annotations: &str, expected: &str) {
    let got = explained(services, annotations);
    assert_eq!(got, expected, "\n{got}");
}

#[test]
fn a_canary_is_told_with_its_limits() {
    check(
        "workload web N=10 unavailable=2; 1.9.3 rev11 hash=55c8d7 8 ready; \
         2.0.1 rev12 hash=7d9f4b 2 ready 3 unready; unversioned 1 ready",
        "strategy: manual; weights: 1.9.3=60,2.0.1=40; wieghts: x",
        "\
service shop/web: Progressing since 2023-11-14T22:13:20Z

inputs
  read from   cluster.yaml:120
  kind        headless
  workload    Deployment shop/web: 10 pods wanted, 2 may be missing
  track       Progressing: rolls to 2-0-1 (7d9f4b), from 1-9-3 (55c8d7)
  endpoints   11 of 14 count: the ready ones
  policy      manual 1.9.3=60,2.0.1=40; answer auto, 8 records, clamp on, headroom 100%
  guards      on failure shift-back, rollback capacity
  capacity    9 ready pods carry the whole load
  annotation  strategy: manual
  annotation  weights: 1.9.3=60,2.0.1=40
  annotation  wieghts: x

rule
  Every version has the part that its weight asks, up to what its ready pods can carry; what is
  left goes to the stable version, then to others newest first, then to the target.

versions
  alias        rev  hash         pods  ready  policy  capacity   share  role    reason
  1-9-3         11  55c8d7          8      8  60.00%    88.88%  77.78%  stable  fills-in
  2-0-1         12  7d9f4b          5      2  40.00%    22.22%  22.22%  canary  capacity-capped
  unversioned    -  unversioned     -      1       -    11.11%   0.00%  -       excluded

reasons
  capacity-capped  The policy gives it more than its ready pods can carry; it has what they can.
  fills-in         It carries what others cannot, within its own capacity.
  excluded         The policy leaves it out: its weight is 0, or no weight names it.

problems
  `shiftdns.io/wieghts` is not an annotation of ShiftDNS; did you mean `weights`?
",
    );
}

#[test]
fn without_a_policy_the_shares_only_tell() {
    check(
        "v1 rev2 born=0 1 unready; v2 rev1 1 ready",
        "",
        "\
service shop/web: RollingBack since 2023-11-14T22:13:20Z

inputs
  read from  cluster.yaml:120
  kind       headless
  workload   Deployment shop/web: 2 pods wanted, 0 may be missing
  track      RollingBack: rolls back to v1, from v2
  endpoints  1 of 2 count: the ready ones
  policy     follow; answer auto, 8 records, clamp on, headroom 100%

rule
  Every endpoint that counts weighs the same; the shares below only tell what that gives.

versions
  alias  rev  hash  pods  ready  policy  capacity    share  role    reason
  v1       2  v1       1      0       -         -    0.00%  canary  no-endpoints
  v2       1  v2       1      1       -         -  100.00%  stable  follow

reasons
  follow        Every ready endpoint counts the same.
  no-endpoints  None of its endpoints is ready.

problems
  none
",
    );
}

#[test]
fn nothing_is_told_as_nothing() {
    check(
        "service clusterip",
        "weights: v1=1",
        "\
service shop/web: Unavailable since 2023-11-14T22:13:20Z

inputs
  read from   cluster.yaml:120
  kind        ClusterIP
  endpoints   0 of 0 count: none is ready
  policy      follow; answer auto, 8 records, clamp on, headroom 100%
  annotation  weights: v1=1

rule
  No endpoint counts: there is nothing to share.

versions
  none

problems
  weights: `v1=1` has no effect on a ClusterIP service without `shiftdns.io/endpoints: \"true\"` or
  `shiftdns.io/backends`
",
    );
}

#[test]
fn a_ramp_tells_where_it_stands_and_when_it_goes_on() {
    check(
        "workload web N=4; v1 rev1 4 ready; v2 rev2 4 ready",
        "strategy: steps; steps: 5@1h30m,25,100; soak: 10s",
        "\
service shop/web: Progressing since 2023-11-14T22:13:20Z

inputs
  read from   cluster.yaml:120
  kind        headless
  workload    Deployment shop/web: 4 pods wanted, 0 may be missing
  track       Progressing: rolls to v2, from v1
              step 1 of 3, the strategy gives the target 5.00%, and more by itself at
              2023-11-14T23:43:25Z
  endpoints   8 of 8 count: the ready ones
  policy      steps 5@1h30m,25,100; answer auto, 8 records, clamp on, headroom 100%
  guards      on failure shift-back, rollback capacity, soak 10s
  capacity    4 ready pods carry the whole load
  annotation  strategy: steps
  annotation  steps: 5@1h30m,25,100
  annotation  soak: 10s

rule
  Every version has the part that the strategy gives it (the target what its roll-out has reached,
  the stable version the rest), up to what its ready pods can carry; what is left goes to the
  stable version, then to others newest first, then to the target.

versions
  alias  rev  hash  pods  ready  policy  capacity   share  role    reason
  v1       1  v1       4      4  95.00%   100.00%  95.00%  stable  policy
  v2       2  v2       4      4   5.00%   100.00%   5.00%  canary  policy

reasons
  policy  It has what the policy gives it.

problems
  none
",
    );
}

#[test]
fn what_was_answered_is_told_where_it_was_counted() {
    let view = view("v1 rev1 4 ready; v2 rev2 4 ready", "");
    let outcome = evaluate(&view, &Policy::default(), &Memory::default(), minute(0));
    let share = |points| Some(Share::from_basis_points(points));
    let text = explain(&view, &outcome, &[share(9950), None]);
    let (_, told) = text.split_once("answered in the last minute\n").unwrap();
    assert!(told.starts_with("  99.50%  v1\n\nproblems\n"), "{told}");
    assert!(!explain(&view, &outcome, &[None, None]).contains("answered"));
}

#[test]
fn a_failed_version_is_told_with_its_cause() {
    check(
        "workload web N=4; v1 rev1 4 ready; v2 rev2 4 ready",
        "strategy: steps; steps: 5@30s,25,100; abort: v2",
        "\
service shop/web: Aborted since 2023-11-14T22:13:20Z

inputs
  read from   cluster.yaml:120
  kind        headless
  workload    Deployment shop/web: 4 pods wanted, 0 may be missing
  track       Aborted: rolls to v2, from v1 (aborted by hand)
              the strategy gives the target 0.00%
  endpoints   8 of 8 count: the ready ones
  policy      steps 5@30s,25,100; answer auto, 8 records, clamp on, headroom 100%
  guards      on failure shift-back, rollback capacity
  capacity    4 ready pods carry the whole load
  annotation  strategy: steps
  annotation  steps: 5@30s,25,100
  annotation  abort: v2

rule
  Every version has the part that the strategy gives it (the target what its roll-out has reached,
  the stable version the rest), up to what its ready pods can carry; what is left goes to the
  stable version, then to others newest first, then to the target. A version that failed carries
  only what nobody else has the capacity for.

versions
  alias  rev  hash  pods  ready   policy  capacity    share  role    reason
  v1       1  v1       4      4  100.00%   100.00%  100.00%  stable  policy
  v2       2  v2       4      4    0.00%   100.00%    0.00%  canary  quarantined

reasons
  policy       It has what the policy gives it.
  quarantined  It failed, and is kept out.

failed
  v2: aborted by hand

problems
  none
",
    );
}

#[test]
fn every_line_fits_a_terminal_and_is_plain() {
    let label = "a-version-label-of-some-length-".repeat(2);
    let services = format!(
        "workload {} N=1000000 paused; {label}1 rev1000001 hash={label}x 1000 ready; {label}2 rev1000000 900 ready",
        "w".repeat(253)
    );
    let annotations = format!(
        "weights: {label}1=1,{label}2=1,v9=1; colour: {}\u{1b}[31m",
        "x".repeat(300)
    );
    let text = explained(&services, &annotations);
    for line in text.lines() {
        assert!(line.len() < 100, "{line}");
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
        assert_eq!(line.trim_end(), line);
    }
}
