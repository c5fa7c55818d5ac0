//! The rules: each is given a service as it was written, and gives what it finds.
//!
//! A rule that finds something says what will happen, not only what is written, and what to write.

use serde_json::Value;

use super::{Behind, Case, Finding};
use crate::cli::recipe::{Lack, deadline, needs};
use crate::model::{Problem, ServiceKind, Sticky, Strategy};
use crate::rollout::controllers::{Controller, DeploymentUpdate, PodManagement, StatefulSetUpdate};

/// All of them.
pub(super) const ALL: [fn(&Case<'_>) -> Vec<Finding>; 10] = [
    annotations,
    ramp_is_no_op,
    preview_too_small,
    deadline_below_min_ready,
    grace_below_ttl,
    version_unlabelled,
    sticky_behind_cache,
    clamp_off,
    forced_rollback,
    slow_start_all_new,
];

impl Case<'_> {
    fn problem(&self, text: String) -> Problem {
        self.view.policy_problem(text)
    }

    /// The value of an annotation, if it was written.
    fn written(&self, key: &str) -> Option<&str> {
        let (_, value) = self
            .view
            .annotations
            .iter()
            .find(|(known, _)| **known == *key)?;
        Some(value.trim())
    }

    /// Its names lead to pods, not to one address in front of them.
    fn answers_endpoints(&self) -> bool {
        match self.view.kind {
            ServiceKind::Headless => true,
            ServiceKind::ClusterIp { .. } => self.policy.endpoints,
            ServiceKind::ExternalName { .. } => false,
        }
    }
}

/// What the server will say of the annotations, at every start.
fn annotations(case: &Case<'_>) -> Vec<Finding> {
    let named = |problem: &Problem| match problem.text.ends_with("with `publishNotReadyAddresses`")
    {
        true => "unready-published",
        false => "annotation",
    };
    let complaints = case.complaints.iter();
    complaints
        .map(|problem| Finding::warning(named(problem), problem.clone()))
        .collect()
}

/// Kubernetes takes the old pods away before the strategy has had its time.
fn ramp_is_no_op(case: &Case<'_>) -> Vec<Finding> {
    let Some(needs) = needs(&case.policy) else {
        return Vec::new();
    };
    let judge = |behind: &Behind<'_>| {
        let lacks = needs.lacks(&behind.workload).into_iter();
        let lacks = lacks.filter(|lack| match lack {
            Lack::Deadline { .. } => false,
            Lack::Surge { .. } => !needs.is_flip,
            _ => true,
        });
        let lacks: Vec<String> = lacks.map(|lack| lack.to_string()).collect();
        if lacks.is_empty() || behind.workload.replicas == 0 {
            return None;
        }
        let text = format!(
            "the {} of service {} {} a no-op: {}; old pods have to stay {} s ({})",
            needs.what,
            case.view.key,
            needs.verb(),
            lacks.join(", "),
            needs.secs,
            needs.sum
        );
        Some(Finding::warning(
            "ramp-is-no-op",
            behind.known.problem(text),
        ))
    };
    case.behind.iter().filter_map(judge).collect()
}

/// Blue/green in one Deployment: the preview can never carry the whole.
fn preview_too_small(case: &Case<'_>) -> Vec<Finding> {
    let Some(needs) = needs(&case.policy).filter(|needs| needs.is_flip) else {
        return Vec::new();
    };
    let judge = |behind: &Behind<'_>| {
        let mut lacks = needs.lacks(&behind.workload).into_iter();
        let surge = lacks.find(|lack| matches!(lack, Lack::Surge { .. }))?;
        let text = format!(
            "{surge}: the preview can never carry the whole load of service {}; write 100%",
            case.view.key
        );
        Some(Finding::warning(
            "preview-too-small",
            behind.known.problem(text),
        ))
    };
    case.behind.iter().filter_map(judge).collect()
}

/// The API refuses such a Deployment.
fn deadline_below_min_ready(case: &Case<'_>) -> Vec<Finding> {
    let judge = |behind: &Behind<'_>| {
        let lack = deadline(&behind.workload)?;
        let text = format!("{lack}: no roll-out can be in time, and the API refuses it");
        Some(Finding::warning(
            "deadline-below-min-ready",
            behind.known.problem(text),
        ))
    };
    case.behind.iter().filter_map(judge).collect()
}

/// What Kubernetes gives a pod to end, where nothing is written.
const GRACE_SECS: u64 = 30;

/// A pod that ends before caches have forgotten it.
fn grace_below_ttl(case: &Case<'_>) -> Vec<Finding> {
    let ttl = u64::from(case.policy.ttl.endpoints);
    if !case.answers_endpoints() || ttl == 0 {
        return Vec::new();
    }
    let judge = |behind: &Behind<'_>| {
        let spec = &behind.known.value["spec"]["template"]["spec"];
        let grace = spec["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap_or(GRACE_SECS);
        let warning = |rule, text| Some(Finding::warning(rule, behind.known.problem(text)));
        let advice = format!(
            "let a preStop sleep {} s, and more grace than that",
            ttl + 5
        );
        if grace < ttl {
            let text = format!(
                "pods are killed after {grace} s (terminationGracePeriodSeconds), and caches send clients to them for \
                 {ttl} s more: {advice}"
            );
            return warning("grace-below-ttl", text);
        }
        match pre_stop(spec) {
            PreStop::Sleeps(secs) if secs >= grace => {
                let text =
                    format!("preStop sleeps {secs} s of {grace} s of grace: pods are killed in it");
                warning("grace-below-ttl", text)
            }
            PreStop::Sleeps(secs) if secs < ttl => {
                let text = format!(
                    "preStop sleeps {secs} s, and caches send clients to a pod for {ttl} s after it left: {advice}"
                );
                warning("pre-stop-below-ttl", text)
            }
            PreStop::None => {
                let text = format!(
                    "no preStop: unless it goes on after SIGTERM, a pod ends while caches send clients to it for {ttl} s \
                     more: {advice}"
                );
                Some(Finding::note("no-pre-stop", behind.known.problem(text)))
            }
            PreStop::Sleeps(_) | PreStop::Other => None,
        }
    };
    case.behind.iter().filter_map(judge).collect()
}

/// What a pod does before it is told to end.
enum PreStop {
    None,
    /// The longest of its containers.
    Sleeps(u64),
    /// Something whose length is not written.
    Other,
}

fn pre_stop(spec: &Value) -> PreStop {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let hooks = containers
        .iter()
        .map(|container| &container["lifecycle"]["preStop"]);
    let hooks: Vec<&Value> = hooks.filter(|hook| hook.is_object()).collect();
    let longest = hooks.iter().filter_map(|hook| sleep_secs(hook)).max();
    match longest {
        Some(secs) => PreStop::Sleeps(secs),
        None if hooks.is_empty() => PreStop::None,
        None => PreStop::Other,
    }
}

/// `sleep: {seconds: 35}`, or a command with `sleep 35` in it.
fn sleep_secs(hook: &Value) -> Option<u64> {
    if let Some(secs) = hook["sleep"]["seconds"].as_u64() {
        return Some(secs);
    }
    let words = hook["exec"]["command"].as_array()?.iter();
    let words: Vec<&str> = words
        .filter_map(Value::as_str)
        .flat_map(|word| word.split([' ', ';', '&', '|']))
        .filter(|word| !word.is_empty())
        .collect();
    let place = words
        .iter()
        .position(|word| word.rsplit('/').next() == Some("sleep"))?;
    let secs = words.get(place + 1)?;
    secs.strip_suffix('s').unwrap_or(secs).parse().ok()
}

/// Versions that people cannot tell apart.
fn version_unlabelled(case: &Case<'_>) -> Vec<Finding> {
    if !case.answers_endpoints() {
        return Vec::new();
    }
    let asked = case.written("version-label");
    let keys: Vec<&str> = asked
        .into_iter()
        .chain(["app.kubernetes.io/version", "version"])
        .collect();
    let judge = |behind: &Behind<'_>| {
        let template = &behind.known.value["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        if keys.iter().any(|key| labels[*key].is_string()) {
            return None;
        }
        let image = template["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default();
        let label = keys[0];
        let finding = match tag(image) {
            Some(tag) => Finding::note(
                "version-unlabelled",
                behind.known.problem(format!(
                    "no version label: the version is told by the image's tag, `{tag}`; label the pods `{label}`"
                )),
            ),
            None => Finding::warning(
                "version-unlabelled",
                behind.known.problem(format!(
                    "no version label, and no tag that tells versions of `{image}` apart: people see hashes; label the \
                     pods `{label}`"
                )),
            ),
        };
        Some(finding)
    };
    case.behind.iter().filter_map(judge).collect()
}

/// The tag of an image, if it is one of a version.
fn tag(image: &str) -> Option<&str> {
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    // What stands behind a colon before a slash is a port.
    let (_, tag) = named
        .rsplit_once(':')
        .filter(|(_, tag)| !tag.contains('/'))?;
    (tag != "latest").then_some(tag)
}

/// All clients behind a cache are one client.
fn sticky_behind_cache(case: &Case<'_>) -> Vec<Finding> {
    if !matches!(case.policy.sticky, Sticky::Source { .. }) {
        return Vec::new();
    }
    let value = case.written("sticky").unwrap_or("source");
    let text = format!(
        "sticky: `{value}` takes whoever asks for the client: behind the cluster's resolver that is the resolver, and all \
         of its clients get one version; where resolvers send it, `ecs` tells them apart"
    );
    vec![Finding::warning("sticky-behind-cache", case.problem(text))]
}

/// Shares that nobody can carry.
fn clamp_off(case: &Case<'_>) -> Vec<Finding> {
    let is_asked = case.written("clamp") == Some("off");
    if !is_asked || case.policy.strategy == Strategy::Follow {
        return Vec::new();
    }
    let text = format!(
        "clamp: `off` gives a version what strategy `{}` asks, however few of its pods are ready; `headroom` says by how \
         much they can be stretched",
        case.policy.strategy.as_str()
    );
    vec![Finding::warning("clamp-off", case.problem(text))]
}

/// An undo that hangs behind a broken pod.
fn forced_rollback(case: &Case<'_>) -> Vec<Finding> {
    if !case.policy.guarded {
        return Vec::new();
    }
    let judge = |behind: &Behind<'_>| {
        let Controller::StatefulSet {
            update: StatefulSetUpdate::Rolling { .. },
            management: PodManagement::OrderedReady,
        } = behind.workload.controller
        else {
            return None;
        };
        let text = "`podManagementPolicy: OrderedReady` waits for a broken pod on the way back too: an undo hangs until \
                    someone deletes that pod";
        Some(Finding::note("forced-rollback", behind.known.problem(text)))
    };
    case.behind.iter().filter_map(judge).collect()
}

/// Endpoints that are all new are all equally slow.
fn slow_start_all_new(case: &Case<'_>) -> Vec<Finding> {
    if case.policy.slow_start_secs == 0 {
        return Vec::new();
    }
    let judge = |behind: &Behind<'_>| {
        let recreated = Controller::Deployment(DeploymentUpdate::Recreate);
        let why = match behind.workload.controller {
            controller if controller == recreated => "`Recreate` makes all pods new at once",
            _ if behind.workload.replicas == 1 => "there is one pod",
            _ if needs(&case.policy).is_some() => {
                let text = format!(
                    "slow-start of service {}: in a roll-out all pods of a version are new, so none of them is slower \
                     than others; the strategy does that, and slow-start is for scaling",
                    case.view.key
                );
                return Some(Finding::note(
                    "slow-start-all-new",
                    behind.known.problem(text),
                ));
            }
            _ => return None,
        };
        let text = format!(
            "slow-start of service {} does nothing: {why}",
            case.view.key
        );
        Some(Finding::warning(
            "slow-start-all-new",
            behind.known.problem(text),
        ))
    };
    case.behind.iter().filter_map(judge).collect()
}
